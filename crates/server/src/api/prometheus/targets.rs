//! `GET /api/v1/targets`: what is scraped, and how that goes.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bellwire_model::Labels;
use bellwire_sources::scrape::{ActiveTarget, JobTargets, duration_text};
use http::Uri;
use serde_json::{Map, Value, json};

use super::{Failure, success};
use crate::api::App;

/// What Go shows for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The targets of all jobs, or of one: `state` is `active`, `dropped` or `any`, `scrapePool` a job.
pub(in crate::api) async fn targets(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Json<Value>, Failure> {
    let (mut state, mut job) = (None, None);
    let query = uri.query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "state" => state = Some(value.into_owned()),
            "scrapePool" => job = Some(value.into_owned()).filter(|job| !job.is_empty()),
            other => return Err(Failure::bad_data(format!("there is no parameter `{other}`"))),
        }
    }
    let (shows_active, shows_dropped) = match state.as_deref().unwrap_or("any") {
        "any" | "" => (true, true),
        "active" => (true, false),
        "dropped" => (false, true),
        other => return Err(Failure::bad_data(format!("`state` is no `{other}`"))),
    };
    let (mut active, mut dropped, mut counts) = (Vec::new(), Vec::new(), Map::new());
    let jobs = app.scraper.targets();
    for (name, targets) in
        jobs.iter().filter(|(name, _)| job.as_ref().is_none_or(|job| job == *name))
    {
        let JobTargets { active: up, dropped: down, dropped_count } = targets;
        if shows_active {
            active.extend(up.iter().map(|target| of(name, target)));
        }
        if shows_dropped {
            let of = |discovered| json!({ "discoveredLabels": discovered, "scrapePool": name });
            dropped.extend(down.iter().map(of));
        }
        counts.insert(name.clone(), (*dropped_count).into());
    }
    Ok(success(json!({
        "activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts,
    })))
}

fn of(job: &str, target: &ActiveTarget) -> Value {
    let last = &target.last;
    let began_at = last.began_at.map_or_else(|| NEVER.to_owned(), |at| at.rfc3339().to_string());
    json!({
        "discoveredLabels": target.discovered,
        "labels": labels(&target.labels),
        "scrapePool": job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": last.error,
        "lastScrape": began_at,
        "lastScrapeDuration": last.took.as_secs_f64(),
        "health": last.health.as_str(),
        "scrapeInterval": duration_text(target.interval),
        "scrapeTimeout": duration_text(target.timeout),
    })
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}
