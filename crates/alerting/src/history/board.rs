//! The board as it was at some time.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_alerts::past::{Happened, Place, Then};
use bellwire_journal::Error;
use bellwire_model::limits::{ALERT_HISTORY_BYTES_MAX, ALERT_HISTORY_LOOKS_MAX};
use bellwire_model::{Acknowledgement, Alert, AlertState, Fingerprint, Labels, Timestamp};
use bellwire_process::clock;
use bellwire_wire::json;

use super::reading::Reader;
use super::{History, Horizon};

/// How many events back it is looked for who had acknowledged an alert.
const ACKNOWLEDGED_LOOKS_MAX: usize = 64;

/// How many events that are gone are passed by for one alert.
const GONE_LOOKS_MAX: usize = 8;

/// An alert as it fired then.
#[derive(Debug)]
pub struct AlertThen {
    /// As the event has it that tells of it, but for what it was not yet.
    pub alert: Arc<Alert>,
    /// Who had acknowledged it.
    pub acknowledged: Option<Arc<Acknowledgement>>,
    /// The time of that event: later than the one that is asked for where all before it is gone.
    pub told_at: Timestamp,
}

/// Some of the alerts that fired then, by fingerprint.
#[derive(Debug)]
pub struct BoardThen {
    pub alerts: Vec<AlertThen>,
    /// There may be others behind this one, which is one of those above or none at all: whoever may
    /// not see an alert learns no fingerprint of it.
    pub next: Option<Fingerprint>,
    /// What was before may be gone, in part or all of it; none where nothing is.
    pub complete_since: Option<Timestamp>,
}

/// What is asked of the board.
#[derive(Debug)]
pub struct AskedThen {
    pub time: Timestamp,
    /// The last alert of the page before.
    pub after: Option<Fingerprint>,
    pub limit: usize,
    pub horizon: Horizon,
}

/// What tells of an alert.
#[derive(Debug)]
struct Witness {
    journal: Option<Then>,
    /// As it is now, where it fires since then.
    now: Option<Arc<Alert>>,
}

impl History {
    /// The alerts that fired at some time and pass, as events tell it, and the alerts that there are
    /// now.
    pub fn board(
        &self,
        asked: &AskedThen,
        now: impl IntoIterator<Item = Arc<Alert>>,
        passes: impl Fn(&Labels) -> bool,
    ) -> Result<BoardThen, Error> {
        let witnesses = self.witnesses(asked.time, now);
        let is_behind = |alert: &Fingerprint| asked.after.is_none_or(|after| *alert > after);
        let left = witnesses.into_iter().filter(|(alert, _)| is_behind(alert));
        let mut looking = Looking { history: self, reader: self.reader(), bytes: 0, looks: 0 };
        let (mut alerts, mut last, mut next) = (Vec::new(), None, None);
        for (alert, witness) in left {
            if !looking.has_room() {
                next = Some(between(last, alert));
                break;
            }
            last = Some(alert);
            let Witness { journal, now } = witness;
            let told = journal.map(|then| looking.ask(then, asked.time)).transpose()?.flatten();
            let by_board = |alert: Arc<Alert>| {
                let told_at = alert.sample_time;
                AlertThen { alert, acknowledged: None, told_at }
            };
            let then = told.or_else(|| now.map(by_board));
            let Some(then) = then.filter(|then| passes(&then.alert.labels)) else { continue };
            if alerts.len() == asked.limit {
                next = alerts.last().map(|last: &AlertThen| last.alert.fingerprint);
                break;
            }
            alerts.push(then);
        }
        let gone = self.journal.trimmed(&self.filters);
        let complete_since = match asked.horizon {
            Horizon::OfAll => self.complete_since(gone, None),
            // When events of others were is not told, so nothing better is known.
            Horizon::OfItsOwn => self.complete_since(gone, None).map(|_| clock::now()),
        };
        Ok(BoardThen { alerts, next, complete_since })
    }

    fn witnesses(
        &self,
        time: Timestamp,
        now: impl IntoIterator<Item = Arc<Alert>>,
    ) -> BTreeMap<Fingerprint, Witness> {
        let index = self.index();
        let fires_since = |alert: &Arc<Alert>| {
            alert.fired_at.is_some_and(|fired_at| fired_at <= time)
                && alert.resolved_at.is_none_or(|resolved_at| resolved_at > time)
        };
        let of_journal = index.events.at(time).into_iter();
        let of_journal = of_journal.map(|then| {
            let witness = Witness { journal: Some(then), now: None };
            (then.alert, witness)
        });
        let mut witnesses: BTreeMap<_, _> = of_journal.collect();
        for alert in now.into_iter().filter(fires_since) {
            let fingerprint = alert.fingerprint;
            if let Some(witness) = witnesses.get_mut(&fingerprint) {
                witness.now = Some(alert);
            } else if !index.events.has(fingerprint) {
                witnesses.insert(fingerprint, Witness { journal: None, now: Some(alert) });
            }
        }
        witnesses
    }
}

/// The roundest fingerprint behind which the next alert comes and not the last one: it tells as little
/// as can be of either.
fn between(last: Option<Fingerprint>, next: Fingerprint) -> Fingerprint {
    let behind = last.map_or(0, |last| last.get().saturating_add(1));
    let mut rounded = (0..u64::BITS).rev().map(|bits| next.get() >> bits << bits);
    let found = rounded.find(|it| *it >= behind && *it > 0);
    Fingerprint::from_u64(found.map_or(0, |found| found - 1))
}

/// Reads what witnesses say, so much for one request.
struct Looking<'a> {
    history: &'a History,
    reader: Reader<'a>,
    bytes: usize,
    looks: usize,
}

impl Looking<'_> {
    fn has_room(&self) -> bool {
        self.looks < ALERT_HISTORY_LOOKS_MAX && self.bytes < ALERT_HISTORY_BYTES_MAX
    }

    fn read(&mut self, place: Place) -> Result<Option<(Alert, Option<Acknowledgement>)>, Error> {
        self.looks += 1;
        let Some(entry) = self.reader.read_of_any(place)? else { return Ok(None) };
        self.bytes += entry.event.size_bytes();
        let body = entry.event.body;
        Ok(body.and_then(|body| json::read_shown_alert(body.bytes()).ok()))
    }

    /// What the event says that tells of it, or where that is gone those behind it.
    fn ask(&mut self, then: Then, time: Timestamp) -> Result<Option<AlertThen>, Error> {
        let mut place = then.before.or(then.after);
        for _ in 0..GONE_LOOKS_MAX {
            let Some(at) = place else { return Ok(None) };
            if let Some((alert, acknowledged)) = self.read(at)? {
                return self.told(then, at, (alert, acknowledged), time);
            }
            place = self.history.index().events.next_behind(then.alert, at.offset);
        }
        Ok(None)
    }

    fn told(
        &mut self,
        then: Then,
        place: Place,
        (mut alert, acknowledged): (Alert, Option<Acknowledgement>),
        time: Timestamp,
    ) -> Result<Option<AlertThen>, Error> {
        let is_of_then = then.before == Some(place);
        let acknowledged = match place.what {
            Happened::FiresOn | Happened::LostData if is_of_then => {
                self.acknowledged_before(then.alert, place)?
            }
            Happened::Acknowledged if is_of_then => acknowledged,
            _ => None,
        };
        if !is_of_then {
            // It is from later: what it says of its beginning holds, and no more.
            if alert.fired_at.is_none_or(|fired_at| fired_at > time) {
                return Ok(None);
            }
            (alert.state, alert.resolved_at) = (AlertState::Firing, None);
        }
        let acknowledged = acknowledged.map(Arc::new);
        Ok(Some(AlertThen { alert: Arc::new(alert), acknowledged, told_at: place.time }))
    }

    /// Who had acknowledged it when its data was lost, or came back.
    fn acknowledged_before(
        &mut self,
        alert: Fingerprint,
        place: Place,
    ) -> Result<Option<Acknowledgement>, Error> {
        let says = |place: &Place| !matches!(place.what, Happened::FiresOn | Happened::LostData);
        let said = {
            let index = self.history.index();
            index.events.before(alert, place.offset).take(ACKNOWLEDGED_LOOKS_MAX).find(says)
        };
        let Some(said) = said.filter(|said| said.what == Happened::Acknowledged) else {
            return Ok(None);
        };
        Ok(self.read(said)?.and_then(|(_, acknowledged)| acknowledged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_page_goes_on_is_between_two_alerts_and_none_of_them() {
        let of = Fingerprint::from_u64;
        let cases = [
            (None, 0x12ab, 0x0fff),
            (Some(0x0fff), 0x12ab, 0x0fff),
            (Some(0x1000), 0x12ab, 0x11ff),
            (Some(0x12aa), 0x12ab, 0x12aa),
            (Some(u64::MAX - 1), u64::MAX, u64::MAX - 1),
        ];
        for (last, next, expected) in cases {
            let found = between(last.map(of), of(next)).get();
            assert_eq!(found, expected, "{last:x?} {next:x}");
            assert!(last.is_none_or(|last| last <= found) && found < next);
        }
    }
}
