//! `/api/v1/rules` and `/api/v1/alerts`: what rules there are, and what they give.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_model::{Alert, AlertState, Labels};
use bellwire_rules::{AlertReport, Health, Report, Rule, RuleReport, scientific_text};
use serde_json::{Value, json};

use super::parameters::Parameters;
use super::{Failure, success};
use crate::api::App;
use crate::api::permission::Caller;
use crate::api::told_rules::{HealthTold, Told};

/// Which rules are asked for.
#[derive(Debug)]
struct Wanted {
    kind: Option<&'static str>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    alerts: Alerts,
}

/// Whether the alerts of rules are told, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alerts {
    Told,
    Excluded,
}

impl Wanted {
    fn of(parameters: &Parameters) -> Result<Self, Failure> {
        let kind = match parameters.get("type") {
            None => None,
            Some("alert") => Some("alerting"),
            Some("record") => Some("recording"),
            Some(other) => {
                let text = format!("`type` is `alert` or `record`, not `{other}`");
                return Err(Failure::bad_data(text));
            }
        };
        let alerts = match parameters.get("exclude_alerts") {
            None | Some("false" | "0") => Alerts::Told,
            Some("true" | "1") => Alerts::Excluded,
            Some(other) => {
                let text = format!("`exclude_alerts` is `true` or `false`, not `{other}`");
                return Err(Failure::bad_data(text));
            }
        };
        let all = |name: &str| parameters.all(name).map(ToOwned::to_owned).collect();
        let (names, groups, files) = (all("rule_name[]"), all("rule_group[]"), all("file[]"));
        Ok(Self { kind, names, groups, files, alerts })
    }

    fn has(&self, rule: &Rule) -> bool {
        let is_in = |wanted: &[String], name: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
        };
        self.kind.is_none_or(|wanted| wanted == kind(rule))
            && is_in(&self.names, &rule.name.alert)
            && is_in(&self.groups, &rule.name.group)
            && is_in(&self.files, &rule.name.file)
    }
}

/// `GET /api/v1/rules`: the groups with their rules.
pub(in crate::api) async fn rules(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Failure> {
    let wanted = Wanted::of(&parameters)?;
    let (alerts, mut report) = (wanted.alerts, Report::default());
    let rules = app.intake.look(move |engine| engine.report(&mut report, |rule| wanted.has(rule)));
    let rules = rules.await?;
    let read = || {
        let rules = rules.into_iter().filter_map(|report| Told::to(caller.rights(), report));
        success(json!({ "groups": groups(rules, alerts) })).into_response()
    };
    Ok(app.large_reads.run(read).await?)
}

/// `GET /api/v1/alerts`: pending and firing alerts of the rules.
pub(in crate::api) async fn alerts(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Response, Failure> {
    let mut report = AlertReport::default();
    let alerts = app.intake.look(move |engine| engine.report_alerts(&mut report));
    let mut alerts = alerts.await?;
    let read = || {
        let scope = &caller.rights().alerts;
        alerts.retain(|alert| alert.state != AlertState::Resolved && scope.passes(&alert.labels));
        sort(&mut alerts);
        let alerts: Vec<Value> = alerts.iter().map(|alert| alert_json(alert)).collect();
        success(json!({ "alerts": alerts })).into_response()
    };
    Ok(app.large_reads.run(read).await?)
}

fn sort(alerts: &mut [Arc<Alert>]) {
    alerts.sort_unstable_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
}

fn groups(rules: impl Iterator<Item = Told>, alerts: Alerts) -> Vec<Value> {
    let mut groups: Vec<Value> = Vec::new();
    let mut current = None;
    for Told { mut report, health } in rules {
        let name = &report.rule.name;
        let group = Some((Arc::clone(&name.file), Arc::clone(&name.group)));
        if current != group {
            current = group;
            let settings = report.rule.group_settings();
            groups.push(json!({
                "name": &*name.group, "file": &*name.file,
                "interval": settings.interval.map_or(0.0, |interval| interval.as_secs_f64()),
                "limit": settings.limit,
                "rules": [],
            }));
        }
        let rules = groups.last_mut().and_then(|group| group["rules"].as_array_mut());
        sort(&mut report.alerts);
        rules.expect("a group has rules").push(rule_json(&report, health, alerts));
    }
    groups
}

fn kind(rule: &Rule) -> &'static str {
    if rule.alert().is_some() { "alerting" } else { "recording" }
}

fn rule_json(report: &RuleReport, health: HealthTold, alerts: Alerts) -> Value {
    let rule = &*report.rule;
    let unknown = Health::default();
    let known = if health == HealthTold::Nothing { &unknown } else { &report.health };
    let mut told = json!({
        "name": &*rule.name.alert, "query": &*rule.expression, "type": kind(rule),
        "labels": pairs(rule.labels()), "health": self::health(known),
        "evaluationTime": 0.0,
    });
    if let Some(time) = known.last_evaluation {
        told["lastEvaluation"] = time.rfc3339().to_string().into();
    }
    if let Some(error) = &known.last_error
        && health == HealthTold::All
    {
        told["lastError"] = (&**error).into();
    }
    if let Some(alert) = rule.alert() {
        told["duration"] = seconds(alert.hold);
        told["keepFiringFor"] = seconds(alert.keep_firing);
        told["annotations"] = pairs(rule.annotations());
        told["state"] = state(&report.alerts).into();
        if alerts == Alerts::Told {
            told["alerts"] = report.alerts.iter().map(|alert| alert_json(alert)).collect();
        }
    }
    told
}

fn health(health: &Health) -> &'static str {
    match health {
        Health { last_error: Some(_), .. } => "err",
        Health { last_evaluation: None, .. } => "unknown",
        _ => "ok",
    }
}

fn pairs(pairs: Vec<(&str, &str)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect())
}

fn labels(labels: &Labels) -> Value {
    pairs(labels.iter().collect())
}

/// The worst of its alerts.
fn state(alerts: &[Arc<Alert>]) -> &'static str {
    let has = |state| alerts.iter().any(|alert| alert.state == state);
    match () {
        () if has(AlertState::Firing) || has(AlertState::DataLost) => "firing",
        () if has(AlertState::Pending) => "pending",
        () => "inactive",
    }
}

fn alert_json(alert: &Alert) -> Value {
    json!({
        "labels": labels(&alert.labels),
        "annotations": labels(&alert.annotations),
        "state": match alert.state {
            // Prometheus knows no such state, and the alert has not resolved.
            AlertState::DataLost => AlertState::Firing.as_str(),
            state => state.as_str(),
        },
        "activeAt": alert.active_at.rfc3339().to_string(),
        "value": scientific_text(alert.value),
    })
}

fn seconds(duration: Duration) -> Value {
    json!(duration.as_secs_f64())
}
