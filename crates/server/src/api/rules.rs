//! The rules as they go: what each is, what it costs, what it has come to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_alerting::CostReport;
use bellwire_model::AlertState;
use bellwire_process::clock;
use bellwire_rules::{Cost, Health, Mode, Report, RuleKind, RuleReport};
use bellwire_wire::problem::{Code, Problem};
use serde_json::{Value, json};

use super::App;
use super::permission::Caller;
use super::told_rules::{HealthTold, Told};
use crate::problem::Refused;

/// `GET /v1/rules`: every rule that is the caller's to see, in the order of the files.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    if query.is_some_and(|query| !query.is_empty()) {
        let detail = "`/v1/rules` takes no parameters: it lists all rules";
        return Err(Problem::new(Code::ParameterInvalid, detail).into());
    }
    let mut report = Report::default();
    let rules = app.intake.look(move |engine| engine.report(&mut report, |_| true)).await?;
    let rights = caller.rights();
    let read = || {
        let told = rules.into_iter().filter_map(|report| Told::to(rights, report));
        let rules: Vec<Value> = told.map(|told| rule_json(&told)).collect();
        let mut listing = json!({ "rules": rules, "time": clock::slewed().now.as_ms() });
        if let Some(failure) = app.reload.failure() {
            // It quotes the files: whoever runs the server is told what is wrong.
            let reason = Some(failure).filter(|_| rights.is_admin);
            listing["reload_failure"] = json!({ "detail": reason });
        }
        Json(listing).into_response()
    };
    Ok(app.large_reads.run(read).await?)
}

fn rule_json(told: &Told) -> Value {
    let RuleReport { rule, health, .. } = &told.report;
    let mut json = json!({
        "file": &*rule.name.file,
        "line": rule.line,
        "group": &*rule.name.group,
        "name": &*rule.name.alert,
        "expression": &*rule.expression,
        "mode": rule.mode.rule_mode().as_str(),
        "labels": pairs(rule.labels()),
        "cost": CostReport::new(&Cost::of(rule)),
        "health": "unknown",
    });
    match &rule.kind {
        RuleKind::Record(_) => json["kind"] = "recording".into(),
        RuleKind::Alert(alert) => {
            json["kind"] = "alerting".into();
            json["for_ms"] = (alert.hold.as_millis() as u64).into();
            json["keep_firing_ms"] = (alert.keep_firing.as_millis() as u64).into();
            json["annotations"] = pairs(rule.annotations());
            json["alerts"] = alerts(&told.report);
        }
    }
    if let Mode::Tick(reason) = &rule.mode {
        json["mode_reason"] = reason.to_string().into();
        json["interval_ms"] = (rule.interval().as_millis() as u64).into();
    }
    if told.health != HealthTold::Nothing {
        tell_health(&mut json, health);
    }
    if told.health == HealthTold::All {
        tell_effort(&mut json, &told.report);
    }
    json
}

fn tell_health(json: &mut Value, health: &Health) {
    json["health"] = match health {
        Health { last_error: Some(_), .. } => "failing",
        Health { last_evaluation: None, .. } => "unknown",
        Health { .. } => "well",
    }
    .into();
    if let Some(at) = health.last_evaluation {
        json["evaluated_at"] = at.as_ms().into();
    }
}

/// What tells of series, and of how many there are.
fn tell_effort(json: &mut Value, report: &RuleReport) {
    let RuleReport { health, series, parts, .. } = report;
    json["evaluations"] = health.evaluations.into();
    json["failures"] = health.failures.into();
    json["series_looked_at"] = health.looks.into();
    json["series"] = (*series).into();
    json["parts"] = (*parts).into();
    if let Some(error) = &health.last_error {
        json["error"] = (&**error).into();
    }
    if let Some(at) = health.last_sample {
        json["sample_at"] = at.as_ms().into();
    }
}

/// How many of its alerts the caller may see, by their states.
fn alerts(report: &RuleReport) -> Value {
    let count = |state| report.alerts.iter().filter(|alert| alert.state == state).count();
    json!({
        "pending": count(AlertState::Pending),
        "firing": count(AlertState::Firing),
        "data_lost": count(AlertState::DataLost),
    })
}

fn pairs(pairs: Vec<(&str, &str)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect())
}
