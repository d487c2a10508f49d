//! The board as it is, and as it was at some time.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bellwire_access::Rights;
use bellwire_alerting::{AlertThen, AskedThen, BoardThen, Horizon};
use bellwire_alerts::silence::{Matching, Silence, SilenceState};
use bellwire_model::limits::{
    ALERTS_THEN_MAX, FILTERING_STEPS_MAX, SILENCE_RETENTION, SILENCES_NAMED_MAX,
};
use bellwire_model::{Alert, AlertStatus, Fingerprint, SilenceId, Timestamp};
use bellwire_process::clock;
use bellwire_wire::json;
use bellwire_wire::problem::{Code, Problem};

use super::App;
use super::alerts::{answer, array};
use super::permission::Caller;
use super::time::parse_time;
use super::topics::parse_limit;
use crate::access::Onlooker;
use crate::problem::Refused;

/// Which board is asked for.
struct Asked {
    time: Timestamp,
    after: Option<Fingerprint>,
    limit: usize,
}

/// `GET /v1/alerts`: the alerts that there are; with `at`, those that fired then.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    match asked(query.as_deref().unwrap_or_default())? {
        Some(asked) => then(&app, caller.rights(), asked).await,
        None => super::alerts::now(&app, caller.rights()).await,
    }
}

/// Nothing where the board of now is asked for.
fn asked(query: &str) -> Result<Option<Asked>, Problem> {
    let (mut time, mut after, mut limit) = (None, None, ALERTS_THEN_MAX);
    let pairs = || url::form_urlencoded::parse(query.as_bytes());
    // Without `at` there have never been parameters here.
    if !pairs().any(|(name, _)| name == "at") {
        return Ok(None);
    }
    for (name, value) in pairs() {
        match &*name {
            "at" => time = Some(time_of(&value)?),
            "after" => after = Some(alert_of(&value)?),
            "limit" => limit = parse_limit(&value, ALERTS_THEN_MAX)?,
            other => {
                let detail = format!("`{other}` is no parameter: there are at, after and limit");
                return Err(Problem::new(Code::ParameterInvalid, detail));
            }
        }
    }
    Ok(time.map(|time| Asked { time, after, limit }))
}

fn alert_of(text: &str) -> Result<Fingerprint, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("`after` is the `next` of the page before, not `{text}`");
        Problem::new(Code::ParameterInvalid, detail)
    })
}

fn time_of(text: &str) -> Result<Timestamp, Problem> {
    let time = parse_time(text).filter(|time| *time <= clock::now());
    time.ok_or_else(|| {
        let detail = format!(
            "`at` is a time that has been, in milliseconds since 1970 or as RFC 3339, not `{text}`"
        );
        Problem::new(Code::ParameterInvalid, detail)
    })
}

/// `GET /v1/alerts?at=…&after=…&limit=…`: `{"alerts","at","next"?,"complete_since"?,
/// "silences_unknown"?}`.
async fn then(app: &App, rights: &Rights, asked: Asked) -> Result<Response, Refused> {
    Ok(app.large_reads.run(|| look(app, rights, &asked)).await??)
}

fn look(app: &App, rights: &Rights, asked: &Asked) -> Result<Response, Problem> {
    app.history.catch_up()?;
    let (now, silences) = {
        let desk = app.alerting.desk();
        let now: Vec<Arc<Alert>> = desk.cases().map(|case| Arc::clone(case.alert())).collect();
        let silences: Vec<Silence> = desk.silences().cloned().collect();
        (now, silences)
    };
    let Asked { time, after, limit } = *asked;
    let horizon = if rights.alerts.is_all() { Horizon::OfAll } else { Horizon::OfItsOwn };
    let asked = AskedThen { time, after, limit, horizon };
    let board = app.history.board(&asked, now, |labels| rights.alerts.passes(labels))?;
    let mut marks = Silenced::at(time, &silences, rights);
    let alerts: Vec<_> = board.alerts.iter().map(|alert| shown(alert, &mut marks)).collect();
    Ok(answer(told(&board, (time, &alerts), &marks)))
}

/// What silenced alerts at that time.
struct Silenced {
    matching: Matching,
    /// Those that the caller may not see.
    unseen: BTreeSet<SilenceId>,
    /// Some of those that did are not known any more, or it takes too long to find them.
    is_unknown: bool,
}

impl Silenced {
    fn at(time: Timestamp, silences: &[Silence], rights: &Rights) -> Self {
        let in_force = || silences.iter().filter(move |it| it.state(time) == SilenceState::Active);
        let onlooker = Onlooker::with(rights);
        let unseen = in_force().filter(|silence| !onlooker.sees_silence(&silence.matchers));
        let unseen = unseen.map(|silence| silence.id).collect();
        let matching = Matching::among(in_force(), FILTERING_STEPS_MAX);
        let is_unknown = clock::now().saturating_since(time) > SILENCE_RETENTION;
        Self { matching, unseen, is_unknown }
    }

    fn of(&mut self, alert: &Alert) -> Vec<SilenceId> {
        let silences = self.matching.of_alert(&alert.labels);
        self.is_unknown |= silences.is_none();
        silences.unwrap_or_default()
    }
}

/// An alert as it is on the board, with `told_at` behind all else.
fn shown(then: &AlertThen, silenced: &mut Silenced) -> Vec<u8> {
    let AlertThen { alert, acknowledged, told_at } = then;
    let all = silenced.of(alert);
    let named = |ids: Vec<SilenceId>| {
        let silenced_by: Vec<SilenceId> = ids.into_iter().take(SILENCES_NAMED_MAX).collect();
        let has_more_silences = silenced_by.len() < all.len();
        let acknowledged = acknowledged.clone();
        AlertStatus { silenced_by, has_more_silences, acknowledged, ..AlertStatus::default() }
    };
    let seen = all.iter().copied().filter(|id| !silenced.unseen.contains(id)).collect();
    let (status, named) = (named(all.clone()), named(seen));
    let mut json = json::shown_alert_naming(alert, &status, &named);
    json.pop();
    json.extend_from_slice(format!(",\"told_at\":{}}}", told_at.as_ms()).as_bytes());
    json
}

fn told(
    board: &BoardThen,
    (time, alerts): (Timestamp, &[Vec<u8>]),
    silenced: &Silenced,
) -> Vec<u8> {
    let mut json = [b"{\"alerts\":", &*array(alerts)].concat();
    let numbers = [("at", Some(time)), ("complete_since", board.complete_since)];
    for (name, time) in numbers {
        if let Some(time) = time {
            json.extend_from_slice(format!(",\"{name}\":{}", time.as_ms()).as_bytes());
        }
    }
    if let Some(next) = board.next {
        json.extend_from_slice(format!(",\"next\":\"{next}\"").as_bytes());
    }
    if silenced.is_unknown {
        json.extend_from_slice(b",\"silences_unknown\":true");
    }
    json.push(b'}');
    json
}
