//! What has become of one alert.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use bellwire_access::Rights;
use bellwire_alerting::{HistoryPage, Horizon, Measured, place_of_series};
use bellwire_alerts::silence::{Matching, Silence};
use bellwire_hub::PastCopy;
use bellwire_model::limits::{FILTERING_STEPS_MAX, PAGE_EVENTS_MAX, SILENCES_TOLD_MAX};
use bellwire_model::{
    AlertSource, Cursor, Epoch, Fingerprint, Labels, Offset, RuleName, SilenceId, Timestamp, Topic,
};
use bellwire_process::clock;
use bellwire_rules::{Report, RuleReport, Threshold};
use bellwire_shards::parse_cursor;
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};
use serde_json::{Value, json};

use super::App;
use super::alerts::{answer, array, read, shown};
use super::permission::Caller;
use super::silences::view;
use super::topics::parse_limit;
use crate::access::{Onlooker, SeenCase};
use crate::problem::Refused;

/// `GET /v1/alerts/{fingerprint}?before=…&limit=…`: the alert as it is now, what has become of it,
/// the newest first, and who silences it or has.
pub(super) async fn history(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(fingerprint): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let fingerprint = read(&fingerprint)?;
    let epoch = app.publisher.journal.epoch();
    let query = HistoryQuery::parse(query.as_deref().unwrap_or_default(), epoch)?;
    let found = app.large_reads.run(|| find(&app, caller.rights(), (fingerprint, &query)));
    let found = found.await??;
    let rule = match found.source.clone() {
        AlertSource::Rule(name) => Some(rule(&app, name, (fingerprint, &found.labels)).await?),
        AlertSource::Posted { .. } => None,
    };
    Ok(answer(found.json(epoch, rule)))
}

/// Which page is asked for.
struct HistoryQuery {
    before: Offset,
    limit: usize,
}

/// Events of a page where the client does not say.
const LIMIT_DEFAULT: usize = 100;

impl HistoryQuery {
    fn parse(query: &str, epoch: Epoch) -> Result<Self, Problem> {
        let mut parsed = Self { before: Offset::MAX, limit: LIMIT_DEFAULT };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "before" => {
                    let cursor = parse_cursor(&value)?;
                    if cursor.epoch != epoch {
                        let detail = format!(
                            "`{value}` is of another life of the journal: begin without `before`"
                        );
                        return Err(Problem::new(Code::CursorInvalid, detail));
                    }
                    parsed.before = cursor.offset;
                }
                "limit" => parsed.limit = parse_limit(&value, PAGE_EVENTS_MAX)?,
                other => {
                    let detail = format!("`{other}` is no parameter: there are before and limit");
                    return Err(Problem::new(Code::ParameterInvalid, detail));
                }
            }
        }
        Ok(parsed)
    }
}

/// What is found of an alert.
struct Found {
    fingerprint: Fingerprint,
    /// As it is now, where it is on the board.
    now: Option<SeenCase>,
    source: AlertSource,
    labels: Labels,
    page: HistoryPage,
    silences: Silences,
    /// What was measured of its series, of those that are seen.
    series: Vec<Measured>,
}

/// Silences that match the alert.
struct Silences {
    views: Vec<Value>,
    /// There are more, or their expressions take too long.
    has_more: bool,
}

fn find(
    app: &App,
    rights: &Rights,
    (fingerprint, query): (Fingerprint, &HistoryQuery),
) -> Result<Found, Problem> {
    // The board first: what is on it has been told before.
    let cases = app.alerting.cases(&[fingerprint]);
    let now = Onlooker::with(rights).see(&app.alerting, cases).into_iter().next();
    app.history.catch_up()?;
    let (labels, source) = if let Some(seen) = &now {
        (seen.alert().labels.clone(), seen.alert().source.clone())
    } else {
        let newest = app.history.newest(fingerprint)?.ok_or_else(|| not_found(fingerprint))?;
        (newest.labels, newest.source)
    };
    // Whoever may not see it is not told that it was.
    if !rights.alerts.passes(&labels) {
        return Err(not_found(fingerprint));
    }
    let sees_all = rights.alerts.is_all();
    let horizon = if sees_all { Horizon::OfAll } else { Horizon::OfItsOwn };
    let page = app.history.page(fingerprint, (query.before, query.limit), horizon)?;
    let silences = silences(app, rights, &labels);
    let is_newest = query.before == Offset::MAX;
    let series = measured(app, rights, (&page.series, is_newest && now.is_some()));
    Ok(Found { fingerprint, now, source, labels, page, silences, series })
}

/// What was measured of each series that somebody may see, put together; with what is remembered of it
/// now, where the alert is there.
fn measured(app: &App, rights: &Rights, (told, goes_on): (&[Measured], bool)) -> Vec<Measured> {
    let mut all: Vec<(&Labels, BTreeMap<Timestamp, f64>)> = Vec::new();
    for Measured { series, points } in told.iter().filter(|it| rights.query.passes(&it.series)) {
        match all.iter_mut().find(|(known, _)| *known == series) {
            Some((_, known)) => known.extend(points.iter().copied()),
            None => all.push((series, points.iter().copied().collect())),
        }
    }
    // The newest transition's goes on.
    if goes_on && let Some((series, points)) = all.first_mut() {
        let since = points.keys().next().copied();
        let place = place_of_series(series);
        let past = place.and_then(|(topic, key)| app.publisher.states.past(&topic, &key));
        let remembered = past.iter().flat_map(PastCopy::points);
        let remembered = remembered.map(|it| (Timestamp::from_ms(it.time_ms), it.value));
        points.extend(remembered.skip_while(|(time, _)| Some(*time) < since));
    }
    let owned = |(series, points): (&Labels, BTreeMap<Timestamp, f64>)| Measured {
        series: series.clone(),
        points: points.into_iter().collect(),
    };
    all.into_iter().map(owned).collect()
}

fn not_found(fingerprint: Fingerprint) -> Problem {
    let detail =
        format!("`{fingerprint}` is on no board, and nothing is kept of what became of it");
    Problem::new(Code::AlertNotFound, detail)
}

/// The silences that match these labels, as far as they are seen, those in force first.
fn silences(app: &App, rights: &Rights, labels: &Labels) -> Silences {
    let now = clock::now();
    // Copied, so that no alert waits meanwhile.
    let mut all: Vec<Silence> = app.alerting.desk().silences().cloned().collect();
    all.retain(|silence| Onlooker::with(rights).sees_silence(&silence.matchers));
    let found = Matching::among(&all, FILTERING_STEPS_MAX).of_alert(labels);
    let takes_too_long = found.is_none();
    let found: BTreeSet<SilenceId> = found.unwrap_or_default().into_iter().collect();
    let mut matching: Vec<&Silence> = all.iter().filter(|it| found.contains(&it.id)).collect();
    matching.sort_by_key(|silence| super::alertmanager::silences::in_order(silence, now));
    let has_more = takes_too_long || matching.len() > SILENCES_TOLD_MAX;
    let views = matching.iter().take(SILENCES_TOLD_MAX).map(|silence| view(silence, now)).collect();
    Silences { views, has_more }
}

/// The rule as it is in force now; only its name where it is no more, or where several have that name
/// and none of them has the alert.
async fn rule(
    app: &App,
    name: Arc<RuleName>,
    (fingerprint, labels): (Fingerprint, &Labels),
) -> Result<Value, Problem> {
    let mut told = json!({ "file": &*name.file, "group": &*name.group, "name": &*name.alert });
    let mut report = Report::default();
    let rules = app.intake.look(move |engine| engine.report(&mut report, |rule| rule.name == name));
    let mut rules = rules.await?;
    let has_it =
        |report: &RuleReport| report.alerts.iter().any(|alert| alert.fingerprint == fingerprint);
    if rules.len() > 1 {
        rules.retain(has_it);
    }
    if let [RuleReport { rule, .. }] = &rules[..]
        && let Some(alert) = rule.alert()
    {
        told["expression"] = (&*rule.expression).into();
        told["for_ms"] = milliseconds(alert.hold).into();
        told["keep_firing_for_ms"] = milliseconds(alert.keep_firing).into();
        let (rule, labels) = (Arc::clone(rule), labels.clone());
        // To read an expression that is full of patterns takes long.
        let found = tokio::task::spawn_blocking(move || {
            let own: Vec<&str> =
                rule.alert().map(|it| it.label_names().collect()).unwrap_or_default();
            bellwire_rules::thresholds(&rule.expression, &labels, &own)
        });
        let found = found.await.map_err(|error| Problem::new(Code::Draining, error))?;
        if !found.is_empty() {
            told["thresholds"] = found.iter().map(threshold).collect();
        }
    }
    Ok(told)
}

/// `{"expression","operator","value","metric"?,"per_second"?,"query"?}`.
fn threshold(threshold: &Threshold) -> Value {
    let Threshold { left, operator, value, metric, is_per_second, query } = threshold;
    let value = match *value {
        value if value.is_finite() => value.into(),
        value if value.is_nan() => "NaN".into(),
        value => Value::from(if value > 0.0 { "+Inf" } else { "-Inf" }),
    };
    let mut told = json!({ "expression": &**left, "operator": operator, "value": value });
    if let Some(metric) = metric {
        told["metric"] = (&**metric).into();
    }
    if *is_per_second {
        told["per_second"] = true.into();
    }
    if let Some(query) = query {
        told["query"] = (&**query).into();
    }
    told
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Found {
    /// `{"fingerprint","alert"?,"comments"?,"rule"?,"silences","more_silences"?,"history","series"?,"next"?,
    /// "complete_since"?,"links"}`.
    fn json(&self, epoch: Epoch, rule: Option<Value>) -> Vec<u8> {
        let mut json = format!("{{\"fingerprint\":\"{}\"", self.fingerprint).into_bytes();
        let mut member = |name: &str, value: &[u8]| {
            json.extend_from_slice(format!(",\"{name}\":").as_bytes());
            json.extend_from_slice(value);
        };
        if let Some(seen) = &self.now {
            member("alert", &shown(seen));
            if let Some(attention) = &seen.case().status().attention {
                member("comments", &json::comments(attention));
            }
        }
        if let Some(rule) = &rule {
            member("rule", rule.to_string().as_bytes());
        }
        member("silences", Value::from(self.silences.views.clone()).to_string().as_bytes());
        if self.silences.has_more {
            member("more_silences", b"true");
        }
        let HistoryPage { entries, next, complete_since, .. } = &self.page;
        let events = entries.iter();
        let events: Vec<_> =
            events.map(|it| json::event(Some(Cursor::new(epoch, it.offset)), &it.event)).collect();
        member("history", &array(&events));
        let series = self.series.iter();
        let series: Vec<_> =
            series.map(|it| json::series_history(&it.series, &it.points)).collect();
        if !series.is_empty() {
            member("series", &array(&series));
        }
        if let Some(offset) = *next {
            member("next", format!("\"{}\"", Cursor::new(epoch, offset)).as_bytes());
        }
        if let Some(time) = complete_since {
            member("complete_since", time.as_ms().to_string().as_bytes());
        }
        member("links", self.links(rule.as_ref()).to_string().as_bytes());
        json.push(b'}');
        json
    }

    /// Where there is more of it.
    fn links(&self, rule: Option<&Value>) -> Value {
        let mut links = json!({ "acknowledge": format!("/v1/alerts/{}/ack", self.fingerprint) });
        let mut topics = self.page.entries.iter().map(|entry| &entry.event.topic);
        if let Some(topic) = topics.find(|topic| is_of_alert(topic)) {
            links["events"] = format!("/v1/events?{}", query("topic", topic.as_str())).into();
        }
        if let Some(rule) = rule {
            let name = rule["name"].as_str().unwrap_or_default();
            links["rule"] = format!("/api/v1/rules?{}", query("rule_name[]", name)).into();
            if let Some(expression) = rule["expression"].as_str() {
                links["query"] = format!("/api/v1/query?{}", query("query", expression)).into();
            }
        }
        links
    }
}

/// Whether transitions are on this topic, and no dead letters.
fn is_of_alert(topic: &Topic) -> bool {
    topic.segments().nth(1) == Some("events")
}

fn query(name: &str, value: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
}
