//! All silences: by id, by deadline, and those in force by what they match.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::limits::{SILENCES_MAX, SILENCES_REGEX_BYTES_MAX};
use bellwire_model::{Labels, SilenceId, Timestamp};
use rustc_hash::FxHashMap;

use super::{NewSilence, Silence, SilenceError, SilenceState};
use crate::Operator;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    by_id: BTreeMap<SilenceId, Shelved>,
    deadlines: BTreeSet<(Timestamp, SilenceId)>,
    in_force: InForce,
    /// Bytes of all their expressions, compiled.
    regex_bytes: usize,
}

/// A silence and its place among the deadlines.
#[derive(Debug)]
struct Shelved {
    silence: Silence,
    deadline: Timestamp,
    /// Where it is in its life, as alerts have been looked at.
    state: SilenceState,
}

/// What time has done to a silence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has come into force or has ended: alerts are to be looked at.
    Changed(SilenceId),
    /// It is forgotten.
    Forgotten(SilenceId),
}

impl Silences {
    pub(crate) fn get(&self, id: SilenceId) -> Option<&Silence> {
        self.by_id.get(&id).map(|shelved| &shelved.silence)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values().map(|shelved| &shelved.silence)
    }

    /// The silences that make a request true, the first of them the one asked for: a new one, the
    /// old one changed, or a new one and the old one ended. `id` is for a new one.
    pub(crate) fn planned(
        &self,
        now: Timestamp,
        new: NewSilence,
        id: SilenceId,
    ) -> Result<Vec<Silence>, SilenceError> {
        new.check(now)?;
        let old = new.id.map(|id| self.get(id).ok_or(SilenceError::NotFound)).transpose()?;
        if let Some(old) = old
            && old.may_become(&new, now)
        {
            return Ok(vec![new.made(old.id, now)]);
        }
        if self.by_id.len() >= SILENCES_MAX {
            return Err(SilenceError::TooMany);
        }
        if self.regex_bytes + new.matchers.regex_bytes() > SILENCES_REGEX_BYTES_MAX {
            return Err(SilenceError::TooLarge);
        }
        let starts_at = new.starts_at.max(now);
        let mut planned = vec![NewSilence { starts_at, ..new }.made(id, now)];
        let is_left = |old: &&Silence| old.state(now) != SilenceState::Expired;
        planned.extend(old.filter(is_left).map(|old| old.ended(now)));
        Ok(planned)
    }

    /// Puts a silence in the place of the one with its id.
    pub(crate) fn put(&mut self, now: Timestamp, silence: Silence) {
        self.remove(silence.id);
        let (deadline, state) = (silence.deadline(now), silence.state(now));
        self.deadlines.insert((deadline, silence.id));
        if state == SilenceState::Active {
            self.in_force.add(&silence);
        }
        self.regex_bytes += silence.matchers.regex_bytes();
        self.by_id.insert(silence.id, Shelved { silence, deadline, state });
    }

    fn remove(&mut self, id: SilenceId) {
        if let Some(Shelved { silence, deadline, .. }) = self.by_id.remove(&id) {
            self.regex_bytes -= silence.matchers.regex_bytes();
            self.in_force.remove(&silence);
            self.deadlines.remove(&(deadline, id));
        }
    }

    /// The silences in force that match, sorted.
    pub(crate) fn matching(&self, labels: &Labels) -> Vec<SilenceId> {
        let matches = |id: &SilenceId| {
            self.get(*id).expect("what is in force exists").matchers.matches(labels)
        };
        let mut matching: Vec<SilenceId> =
            self.in_force.candidates(labels).filter(matches).collect();
        matching.sort_unstable();
        matching
    }

    /// What becomes of silences where the clock has been set back: one that has begun has begun, and
    /// one that has ended does not come back.
    pub(crate) fn set_back(&self, now: Timestamp) -> Vec<Silence> {
        let set_back = |Shelved { silence, state, .. }: &Shelved| match (*state, silence.state(now))
        {
            (SilenceState::Active, SilenceState::Pending) => {
                Some(Silence { starts_at: now, updated_at: now, ..silence.clone() })
            }
            (SilenceState::Expired, SilenceState::Active | SilenceState::Pending) => {
                Some(silence.ended(now))
            }
            _ => None,
        };
        self.by_id.values().filter_map(set_back).collect()
    }

    /// When [`advance`](Self::advance) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(time, _)| *time)
    }

    /// What time has done until `now`.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Vec<Turn> {
        let mut turns = Vec::new();
        while let Some(&(time, id)) = self.deadlines.first()
            && time <= now
        {
            let silence = self.get(id).expect("a deadline is of a silence");
            if silence.state(time) == SilenceState::Expired && time > silence.ends_at {
                self.remove(id);
                turns.push(Turn::Forgotten(id));
                continue;
            }
            // Step by step: one that has begun and ended meanwhile has silenced nothing.
            let silence = silence.clone();
            self.put(now, silence);
            turns.push(Turn::Changed(id));
        }
        turns
    }
}

/// The silences in force, by one label value that an alert must have where there is such a
/// matcher: so that many silences of one host or alert each cost nothing for all others.
#[derive(Debug, Default)]
struct InForce {
    by_value: FxHashMap<(Box<str>, Box<str>), Vec<SilenceId>>,
    others: Vec<SilenceId>,
}

impl InForce {
    fn add(&mut self, silence: &Silence) {
        match required(silence) {
            Some(value) => self.by_value.entry(value).or_default().push(silence.id),
            None => self.others.push(silence.id),
        }
    }

    fn remove(&mut self, silence: &Silence) {
        let is_other = |id: &SilenceId| *id != silence.id;
        let Some(value) = required(silence) else { return self.others.retain(is_other) };
        if let Some(ids) = self.by_value.get_mut(&value) {
            ids.retain(is_other);
            if ids.is_empty() {
                self.by_value.remove(&value);
            }
        }
    }

    /// Those that may match.
    fn candidates(&self, labels: &Labels) -> impl Iterator<Item = SilenceId> {
        let of_value =
            |(name, value): (&str, &str)| self.by_value.get(&(name.into(), value.into()));
        let by_value: Vec<&Vec<SilenceId>> = labels.iter().filter_map(of_value).collect();
        by_value.into_iter().flatten().chain(&self.others).copied()
    }
}

/// A label and the only value with which an alert can match.
fn required(silence: &Silence) -> Option<(Box<str>, Box<str>)> {
    let is_exact = |matcher: &&crate::Matcher| {
        matcher.operator() == Operator::Equal && !matcher.value().is_empty()
    };
    let matcher = silence.matchers.iter().find(is_exact)?;
    Some((matcher.name().into(), matcher.value().into()))
}
