//! What has ended of one subject's sessions.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_journal::RecordChange;
use bellwire_model::Timestamp;
use bellwire_model::limits::{SESSION_MAX, SESSIONS_ENDED_OF_SUBJECT_MAX};
use serde::{Deserialize, Serialize};

use crate::lived::in_ms;

/// What their records begin with. The subject follows, in letters that keys of records may have, and what
/// has ended of its sessions: the name of one, or until when. What a record says does not change, so that
/// nodes that end sessions of one subject at once take nothing away from each other.
pub(crate) const PREFIX: &str = "access/ended/";

/// What stands before the time until which all sessions of a subject have ended.
const UNTIL: &str = "until-";

/// Those of one subject.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    /// All that were begun until then have ended.
    pub(super) until: Option<Timestamp>,
    /// Whether the journal may have a record of that.
    is_until_told: bool,
    /// By their names: no more than [`SESSIONS_ENDED_OF_SUBJECT_MAX`].
    named: Vec<Named>,
    /// How long servers had been at work when it came to that.
    until_lived: Duration,
    pub(super) written: Written,
}

/// Whether the journal has all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Written {
    #[default]
    Kept,
    /// It is to be written.
    Waits,
    /// What was there until then is being written.
    UnderWay,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    id: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun_at: Option<i64>,
    ends_at: i64,
    /// How long servers had been at work when it was ended, in milliseconds: how long it matters no clock
    /// says, since one that is set ahead and back must revive nothing. Versions before say nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lived: Option<u64>,
    /// Whether the journal may have its record.
    #[serde(skip)]
    is_told: bool,
}

/// As records have it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EndedText {
    pub(super) subject: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    /// As of one that is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lived: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    named: Vec<Named>,
}

impl EndedText {
    /// Whether it says for how long it matters.
    pub(super) fn says_how_long(&self) -> bool {
        let is_said = self.until.is_none() || self.lived.is_some();
        is_said && self.named.iter().all(|named| named.lived.is_some())
    }
}

/// What a record has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// More sessions have ended.
    More,
    /// The same, and so many of them that these are known by no name any more, which no record says yet.
    Many,
}

/// A session that ends early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) subject: &'a str,
    pub(crate) id: &'a str,
    pub(crate) begun_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

impl Named {
    fn new(ending: Ending<'_>, lived: Duration) -> Self {
        let Ending { id, begun_at, ends_at, .. } = ending;
        let lived = Some(in_ms(lived));
        let (begun_at, ends_at) = (Some(begun_at.as_ms()), ends_at.as_ms());
        Self { id: id.into(), begun_at, ends_at, lived, is_told: false }
    }

    fn begun_at(&self) -> Option<Timestamp> {
        self.begun_at.map(Timestamp::from_ms)
    }

    fn ends_at(&self) -> Timestamp {
        Timestamp::from_ms(self.ends_at)
    }

    /// A time that is not before it was begun.
    fn begun_until(&self) -> Timestamp {
        self.begun_at().unwrap_or(self.ends_at())
    }

    /// How long it would have lasted: what is left of that only the clock knows, which may be set. One
    /// may be begun, by what it says, later than the clock by which it ends.
    fn lasts(&self) -> Duration {
        let lasts = self.begun_at().map(|begun_at| self.ends_at().saturating_since(begun_at));
        lasts.filter(|lasts| !lasts.is_zero()).unwrap_or(SESSION_MAX).min(SESSION_MAX)
    }

    /// How long servers have been at work once it matters no more.
    fn matters_until(&self) -> Duration {
        Duration::from_millis(self.lived.unwrap_or_default()).saturating_add(self.lasts())
    }
}

impl Ended {
    /// Takes in what a record says. Servers have been at work for so long.
    pub(super) fn take_in(&mut self, text: EndedText, now: Duration) -> Heard {
        let EndedText { until, lived, named, .. } = text;
        let until = until.map(Timestamp::from_ms);
        let is_later = until > self.until;
        if is_later {
            self.end_until(until, lived.map_or(now, Duration::from_millis));
            self.is_until_told = true;
        }
        let (mut is_more, mut is_many) = (is_later, false);
        for named in named {
            if self.has(&named.id, named.begun_at().or(Some(Timestamp::MAX))) {
                continue;
            }
            is_more = true;
            if self.named.len() >= SESSIONS_ENDED_OF_SUBJECT_MAX {
                // Of nodes each of which had room.
                self.end_all_named(named.begun_until(), now);
                is_many = true;
            } else {
                let lived = Some(named.lived.unwrap_or(in_ms(now)));
                self.named.push(Named { lived, is_told: true, ..named });
            }
        }
        match (is_more, is_many) {
            (_, true) => Heard::Many,
            (true, false) => Heard::More,
            (false, false) => Heard::Nothing,
        }
    }

    /// All that were begun until then have ended, whatever their names.
    fn end_until(&mut self, until: Option<Timestamp>, lived: Duration) {
        self.is_until_told &= self.until >= until;
        self.until = self.until.max(until);
        let until = self.until;
        self.named.retain(|named| Some(named.begun_until()) > until);
        self.until_lived = self.until_lived.max(lived);
    }

    /// The same of those that have names, and of all that were begun until then.
    fn end_all_named(&mut self, until: Timestamp, now: Duration) {
        // A clock may have been ahead when they were begun.
        let begun = self.named.iter().map(Named::begun_until).max();
        self.end_until(begun.max(Some(until)), now);
    }

    /// Its records, by their keys.
    fn records(&self, subject: &str) -> Vec<(Box<str>, EndedText)> {
        let of_named = self.named.iter().map(|named| {
            let text = EndedText {
                subject: subject.into(),
                until: None,
                lived: None,
                named: vec![named.clone()],
            };
            (key(subject, &named.id), text)
        });
        let of_until = self.until.map(|until| {
            let until = until.as_ms();
            let (lived, named) = (Some(in_ms(self.until_lived)), Vec::new());
            let text = EndedText { subject: subject.into(), until: Some(until), lived, named };
            (key(subject, &format!("{UNTIL}{until}")), text)
        });
        of_named.chain(of_until).collect()
    }

    /// The keys of its records.
    pub(super) fn keys(&self, subject: &str) -> Vec<Box<str>> {
        self.records(subject).into_iter().map(|(key, _)| key).collect()
    }

    /// The keys of those that the journal may have.
    pub(super) fn told(&self, subject: &str) -> Vec<Box<str>> {
        let mut told = self.clone();
        told.named.retain(|named| named.is_told);
        told.until = told.until.filter(|_| told.is_until_told);
        told.keys(subject)
    }

    /// What the journal is to have of it, and may have from now on.
    pub(super) fn tell(&mut self, subject: &str) -> impl Iterator<Item = RecordChange> {
        self.named.iter_mut().for_each(|named| named.is_told = true);
        self.is_until_told = true;
        let records = self.records(subject).into_iter().map(|(key, text)| {
            let value = serde_json::to_vec(&text).expect("texts and numbers are JSON");
            RecordChange { key, value: Some(value.into()) }
        });
        // All that the one of before has is in records of its own.
        let before = RecordChange { key: key_of_all(subject), value: None };
        [before].into_iter().chain(records)
    }

    /// Whether all of them have ended by themselves, where servers have been at work for so long. By both
    /// clocks: one that was ahead when they were begun has them last until then.
    pub(super) fn is_over(&self, now: Timestamp, lived: Duration) -> bool {
        self.matters_until() <= lived && self.ends_at().is_none_or(|ends_at| ends_at <= now)
    }

    fn matters_until(&self) -> Duration {
        let of_until = self.until.map(|_| self.until_lived.saturating_add(SESSION_MAX));
        self.named.iter().map(Named::matters_until).chain(of_until).max().unwrap_or_default()
    }

    /// When the last of them ends by itself.
    fn ends_at(&self) -> Option<Timestamp> {
        let named = self.named.iter().map(Named::ends_at).max();
        named.max(self.until.map(|until| until.saturating_add(SESSION_MAX)))
    }

    /// Whether a session of this name has ended, or one that was begun then.
    pub(super) fn has(&self, id: &str, begun_at: Option<Timestamp>) -> bool {
        let is_before = |until: Timestamp| begun_at.is_none_or(|begun_at| begun_at <= until);
        self.until.is_some_and(is_before) || self.named.iter().any(|named| *named.id == *id)
    }

    /// Ends one, or all that were begun until then. Whether it is another than before.
    pub(super) fn end(
        &mut self,
        ending: Ending<'_>,
        (until, lived): (Timestamp, Duration),
    ) -> bool {
        if self.has(ending.id, Some(ending.begun_at)) {
            return false;
        }
        if self.named.len() >= SESSIONS_ENDED_OF_SUBJECT_MAX {
            self.end_all_named(until.max(ending.begun_at), lived);
        } else {
            self.named.push(Named::new(ending, lived));
        }
        true
    }
}

fn key(subject: &str, name: &str) -> Box<str> {
    format!("{}/{name}", key_of_all(subject)).into()
}

/// The record of all that has ended of a subject, as versions before have written it.
pub(super) fn key_of_all(subject: &str) -> Box<str> {
    format!("{PREFIX}{}", BASE64_URL.encode(subject)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    fn ending<'a>(subject: &'a str, id: &'a str) -> Ending<'a> {
        let (begun_at, ends_at) = (NOW.saturating_sub(HOUR), NOW.saturating_add(HOUR));
        Ending { subject, id, begun_at, ends_at }
    }

    #[test]
    fn no_clock_says_how_long_an_ended_session_matters() {
        let mut ended = Ended::default();
        ended.end(ending("ada", "1"), (NOW, Duration::ZERO));
        let year = NOW.saturating_add(Duration::from_hours(24 * 365));
        assert!(!ended.is_over(year, HOUR), "a clock that is ahead");
        assert!(!ended.is_over(NOW, 2 * HOUR), "it was begun by a clock that was ahead");
        assert!(ended.is_over(NOW.saturating_add(HOUR), 2 * HOUR));
        // One that was begun while the clock was ahead is among all that were begun.
        for id in 0..SESSIONS_ENDED_OF_SUBJECT_MAX {
            let (id, begun_at) = (format!("n{id}"), NOW.saturating_add(HOUR));
            ended.end(Ending { begun_at, ..ending("ada", &id) }, (NOW, Duration::ZERO));
        }
        assert!(ended.has("another", Some(NOW.saturating_add(HOUR))));
    }

    #[test]
    fn a_session_of_a_clock_that_was_ahead_stays_ended_for_as_long_as_it_would_last() {
        let ahead = Duration::from_hours(24 * 365);
        let [begun_at, ends_at] = [ahead, ahead + HOUR].map(|it| NOW.saturating_add(it));
        let mut ended = Ended::default();
        ended.end(Ending { begun_at, ends_at, ..ending("ada", "1") }, (NOW, Duration::ZERO));
        // One that was ended by its name alone is among all that were begun.
        for id in 0..SESSIONS_ENDED_OF_SUBJECT_MAX {
            ended.end(ending("ada", &format!("n{id}")), (NOW, Duration::ZERO));
        }
        assert!(ended.has("1", Some(begun_at)));
        assert!(!ended.has("later", Some(begun_at.saturating_add(HOUR))));
    }

    fn said(until: Option<Timestamp>, named: &[(&str, Timestamp)]) -> EndedText {
        let named = named.iter().map(|(id, begun_at)| {
            Named::new(Ending { begun_at: *begun_at, ..ending("ada", id) }, HOUR)
        });
        let until = until.map(Timestamp::as_ms);
        EndedText { subject: "ada".into(), until, lived: None, named: named.collect() }
    }

    #[test]
    fn what_others_have_ended_is_no_more_than_what_one_may() {
        let mut ended = Ended::default();
        let begun_at = |second: usize| NOW.saturating_add(Duration::from_secs(second as u64));
        // Of each round all that were begun until then have ended at another node.
        for round in 0..100 {
            let id = format!("n{round}");
            assert_eq!(ended.take_in(said(None, &[(&id, begun_at(round))]), HOUR), Heard::More);
            assert!(ended.has(&id, Some(begun_at(round))));
            assert_eq!(ended.take_in(said(Some(begun_at(round)), &[]), HOUR), Heard::More);
            assert!(ended.named.is_empty() && ended.has(&id, Some(begun_at(round))), "{round}");
        }
        assert_eq!(ended.take_in(said(None, &[("n7", begun_at(7))]), HOUR), Heard::Nothing);
        // One that was begun later keeps its name.
        ended.take_in(said(None, &[("late", begun_at(1000))]), HOUR);
        ended.take_in(said(Some(begun_at(500)), &[]), HOUR);
        assert_eq!(ended.keys("ada").len(), 2);
        // Several nodes had room for them, each.
        let ids: Vec<String> = (0..100).map(|it| format!("m{it}")).collect();
        let all: Vec<_> = (2000..).map(begun_at).zip(&ids).collect();
        for (begun_at, id) in &all {
            let heard = ended.take_in(said(None, &[(id, *begun_at)]), HOUR);
            assert_ne!(heard, Heard::Nothing);
            assert!(ended.named.len() <= SESSIONS_ENDED_OF_SUBJECT_MAX);
        }
        let mut at_once = Ended::default();
        let named: Vec<_> = all.iter().map(|(begun_at, id)| (id.as_str(), *begun_at)).collect();
        assert_eq!(at_once.take_in(said(None, &named), HOUR), Heard::Many);
        assert!(at_once.named.len() <= SESSIONS_ENDED_OF_SUBJECT_MAX);
        for (begun_at, id) in &all {
            assert!(ended.has(id, Some(*begun_at)) && at_once.has(id, Some(*begun_at)), "{id}");
        }
        assert!(!ended.has("later", Some(begun_at(3000))));
    }
}
