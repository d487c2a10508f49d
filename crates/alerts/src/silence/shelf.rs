//! All silences: by id, by deadline, and those in force by what they match.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_model::limits::{
    SILENCES_BYTES_MAX, SILENCES_MAX, SILENCES_NAMED_MAX, SILENCES_OF_MAKER_SHARE,
    SILENCES_REGEX_BYTES_MAX,
};
use bellwire_model::{Labels, SilenceId, Timestamp};
use rustc_hash::FxHashSet;

use super::index::Index;
use super::waiting::Waiting;
use super::{Ending, NewSilence, Silence, SilenceError, SilenceState};
use crate::Matchers;

/// See the module.
#[derive(Debug)]
pub(crate) struct Silences {
    by_id: BTreeMap<SilenceId, Shelved>,
    deadlines: BTreeSet<(Timestamp, SilenceId)>,
    in_force: Index,
    waiting: Waiting,
    /// What alerts have not been looked at for.
    shifts: Shifts,
    /// Bytes of all their expressions, compiled.
    regex_bytes: usize,
    /// Bytes of all of them.
    bytes: usize,
    bytes_max: usize,
}

/// A silence and its place among the deadlines.
#[derive(Debug)]
struct Shelved {
    silence: Silence,
    deadline: Timestamp,
    /// Where it is in its life, as alerts have been looked at.
    state: SilenceState,
    bytes: usize,
}

/// What a silence in force does to alerts.
#[derive(PartialEq)]
struct Hold {
    matchers: Matchers,
    until_resolved: bool,
}

impl Shelved {
    /// Nothing where it is not in force.
    fn hold(&self) -> Option<Hold> {
        let Silence { matchers, ending, .. } = &self.silence;
        let (matchers, until_resolved) = (matchers.clone(), *ending != Ending::Time);
        (self.state == SilenceState::Active).then_some(Hold { matchers, until_resolved })
    }
}

/// Silences that have come into force, and that are no longer.
#[derive(Debug, Default)]
pub(crate) struct Shifts {
    come: Index,
    gone: Index,
    gone_ids: FxHashSet<SilenceId>,
}

/// The silences in force that match an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Silencers {
    /// The first of them.
    pub(crate) named: Vec<SilenceId>,
    /// How many there are.
    pub(crate) count: usize,
}

impl Silencers {
    /// Whether there are others than those that are named.
    pub(crate) fn has_more(&self) -> bool {
        self.count > self.named.len()
    }

    fn add(&mut self, members: &BTreeSet<SilenceId>) {
        self.count += members.len();
        self.named.extend(members.iter().take(SILENCES_NAMED_MAX));
    }

    fn sorted(mut self) -> Self {
        self.named.sort_unstable();
        self.named.truncate(SILENCES_NAMED_MAX);
        self
    }
}

impl Default for Silences {
    fn default() -> Self {
        Self {
            by_id: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            in_force: Index::default(),
            waiting: Waiting::default(),
            shifts: Shifts::default(),
            regex_bytes: 0,
            bytes: 0,
            bytes_max: SILENCES_BYTES_MAX,
        }
    }
}

impl Silences {
    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

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
            let changed = new.made(old.id, now);
            self.check_room(&changed, self.by_id[&old.id].bytes)?;
            return Ok(vec![changed]);
        }
        if self.by_id.len() >= SILENCES_MAX {
            return Err(SilenceError::TooMany);
        }
        if self.regex_bytes + new.matchers.regex_bytes() > SILENCES_REGEX_BYTES_MAX {
            return Err(SilenceError::TooLarge);
        }
        let starts_at = new.starts_at.max(now);
        let made = NewSilence { starts_at, ..new }.made(id, now);
        self.check_room(&made, 0)?;
        self.check_share(&made)?;
        let mut planned = vec![made];
        let is_left = |old: &&Silence| old.state(now) != SilenceState::Expired;
        planned.extend(old.filter(is_left).map(|old| old.ended(now)));
        Ok(planned)
    }

    /// Whether there is room for a silence in the place of so many bytes. What becomes no longer
    /// always has it.
    fn check_room(&self, silence: &Silence, before: usize) -> Result<(), SilenceError> {
        let bytes = silence.size_bytes();
        let has_room = self.bytes - before + bytes <= self.bytes_max;
        if has_room || bytes <= before { Ok(()) } else { Err(SilenceError::NoRoom { bytes }) }
    }

    /// Whether whoever makes a silence more leaves room for those of others.
    fn check_share(&self, made: &Silence) -> Result<(), SilenceError> {
        let amount = |silence: &Silence, bytes| [1, bytes, silence.matchers.regex_bytes()];
        let made_amount = amount(made, made.size_bytes());
        let all = [self.by_id.len(), self.bytes, self.regex_bytes];
        let most = [SILENCES_MAX, self.bytes_max, SILENCES_REGEX_BYTES_MAX];
        let leaves_room = |of_maker: [usize; 3]| {
            let share =
                |index: usize| SILENCES_OF_MAKER_SHARE * (most[index].saturating_sub(all[index]));
            (0..most.len()).all(|index| of_maker[index] + made_amount[index] <= share(index))
        };
        // Mostly there is that much room for all together.
        if leaves_room(all) {
            return Ok(());
        }
        let own = self.by_id.values().filter(|it| it.silence.created_by == made.created_by);
        let own = own.map(|it| amount(&it.silence, it.bytes));
        let own = own.fold([0; 3], |sum, it| std::array::from_fn(|index| sum[index] + it[index]));
        if leaves_room(own) { Ok(()) } else { Err(SilenceError::NoRoomOfMaker) }
    }

    /// Puts back what was stored, and returns those for which there is no room: of the ones that
    /// have ended those that ended first. What is or comes into force is always kept.
    pub(crate) fn restore(&mut self, now: Timestamp, silences: Vec<Silence>) -> Vec<SilenceId> {
        let is_left = |silence: &Silence| silence.state(now) != SilenceState::Expired;
        let (left, mut expired): (Vec<_>, Vec<_>) = silences.into_iter().partition(is_left);
        expired.sort_by_key(|silence| std::cmp::Reverse((silence.ends_at, silence.id)));
        for silence in left {
            self.put(now, silence);
        }
        let mut expired = expired.into_iter();
        let mut without_room = Vec::new();
        for silence in expired.by_ref() {
            let bytes = self.bytes + silence.size_bytes();
            if self.by_id.len() >= SILENCES_MAX || bytes > self.bytes_max {
                without_room.push(silence.id);
                break;
            }
            self.put(now, silence);
        }
        without_room.extend(expired.map(|silence| silence.id));
        without_room
    }

    /// How many bytes there are beyond what may be.
    pub(crate) fn excess_bytes(&self) -> usize {
        self.bytes.saturating_sub(self.bytes_max)
    }

    /// Puts a silence in the place of the one with its id.
    pub(crate) fn put(&mut self, now: Timestamp, silence: Silence) {
        let (id, deadline, state) = (silence.id, silence.deadline(now), silence.state(now));
        let bytes = silence.size_bytes();
        self.regex_bytes += silence.matchers.regex_bytes();
        self.bytes += bytes;
        self.deadlines.insert((deadline, id));
        let shelved = Shelved { silence, deadline, state, bytes };
        let before = self.by_id.insert(id, shelved);
        if let Some(before) = &before {
            self.let_go(before, Some(deadline));
        }
        self.shift(id, before.as_ref());
    }

    fn remove(&mut self, id: SilenceId) {
        if let Some(before) = self.by_id.remove(&id) {
            self.let_go(&before, None);
            self.shift(id, Some(&before));
        }
    }

    /// What is counted with a silence no longer is; `deadline` is the one that it has now.
    fn let_go(&mut self, before: &Shelved, deadline: Option<Timestamp>) {
        self.regex_bytes -= before.silence.matchers.regex_bytes();
        self.bytes -= before.bytes;
        if deadline != Some(before.deadline) {
            self.deadlines.remove(&(before.deadline, before.silence.id));
        }
    }

    /// Notes whether a silence has come into force, or is no longer.
    fn shift(&mut self, id: SilenceId, before: Option<&Shelved>) {
        let (before, after) = (before.and_then(Shelved::hold), self.by_id.get(&id));
        let after = after.and_then(Shelved::hold);
        if before.as_ref().map(|hold| &hold.matchers) != after.as_ref().map(|hold| &hold.matchers) {
            if let Some(Hold { matchers, .. }) = &before {
                self.in_force.remove(matchers, id);
                if !self.shifts.come.remove(matchers, id) {
                    self.shifts.gone.add(matchers, id);
                    self.shifts.gone_ids.insert(id);
                }
            }
            if let Some(Hold { matchers, .. }) = &after {
                self.in_force.add(matchers, id);
                if self.shifts.gone.remove(matchers, id) {
                    self.shifts.gone_ids.remove(&id);
                } else {
                    self.shifts.come.add(matchers, id);
                }
            }
        }
        let (before, after) =
            (before.filter(|hold| hold.until_resolved), after.filter(|hold| hold.until_resolved));
        if before != after {
            if let Some(Hold { matchers, .. }) = &before {
                self.waiting.remove(matchers, id);
            }
            if let Some(Hold { matchers, .. }) = &after {
                self.waiting.add(matchers, id);
            }
        } else if let Some(Hold { matchers, .. }) = &after
            && self.by_id[&id].silence.ending == (Ending::Resolution { has_matched: false })
        {
            self.waiting.on_changed(matchers);
        }
    }

    /// The silences in force that match.
    pub(crate) fn matching(&self, labels: &Labels) -> Silencers {
        let mut silencers = Silencers::default();
        for (_, members) in self.in_force.matching(labels) {
            silencers.add(members);
        }
        silencers.sorted()
    }

    /// What has come into force or is no longer, and alerts are to be looked at for; nothing where
    /// there is nothing. Each of them is then told of by [`shifted`](Self::shifted) and, if it
    /// fires, by [`count`](Self::count), and then all have been [`counted`](Self::counted).
    pub(crate) fn take_shifts(&mut self) -> Option<Shifts> {
        let has_shifted = !self.shifts.come.is_empty() || !self.shifts.gone.is_empty();
        (has_shifted || self.waiting.must_count()).then(|| std::mem::take(&mut self.shifts))
    }

    /// The silences of an alert that had `before`; nothing where they are the same.
    pub(crate) fn shifted(
        &self,
        shifts: &Shifts,
        labels: &Labels,
        before: &Silencers,
    ) -> Option<Silencers> {
        let (mut come, mut gone) = (Silencers::default(), 0);
        for (_, members) in shifts.come.matching(labels) {
            come.add(members);
        }
        for (_, members) in shifts.gone.matching(labels) {
            gone += members.len();
        }
        if (come.count, gone) == (0, 0) {
            return None;
        }
        let is_left = |id: &&SilenceId| !shifts.gone_ids.contains(id);
        let left: Vec<SilenceId> = before.named.iter().filter(is_left).copied().collect();
        if before.has_more() && left.len() < before.named.len() {
            // Those come up that were not named.
            return Some(self.matching(labels));
        }
        come.count = before.count + come.count - gone;
        come.named.extend(left);
        Some(come.sorted())
    }

    /// An alert that fires, for those that wait for a resolution and are new.
    pub(crate) fn count(&mut self, labels: &Labels) {
        self.waiting.count(labels);
    }

    /// All of them have been counted.
    pub(crate) fn counted(&mut self) {
        self.waiting.counted();
    }

    /// An alert has begun to fire.
    pub(crate) fn on_raised(&mut self, labels: &Labels) {
        self.waiting.on_raised(labels);
    }

    /// An alert fires no more.
    pub(crate) fn on_ended(&mut self, labels: &Labels) {
        self.waiting.on_ended(labels);
    }

    /// Nobody has said of which silences the last alert has ended.
    pub(crate) fn doubt_all(&mut self) {
        self.waiting.doubt_all();
    }

    /// Silences that wait for a resolution, and have matched a firing alert by now. Each has begun,
    /// though the clock may have been set back since and nobody has noticed.
    pub(crate) fn take_matched(&mut self, now: Timestamp) -> Vec<Silence> {
        let matched = self.waiting.take_matched().into_iter();
        let silences = matched.filter_map(|id| self.get(id));
        let has_not =
            |silence: &&Silence| silence.ending == Ending::Resolution { has_matched: false };
        let ending = Ending::Resolution { has_matched: true };
        let matched = |silence: &Silence| {
            let starts_at = silence.starts_at.min(now);
            Silence { starts_at, ending, ..silence.clone() }
        };
        silences.filter(has_not).map(matched).collect()
    }

    /// Silences that have matched a firing alert, and match none any more, as ended now.
    pub(crate) fn take_unattended(&mut self, now: Timestamp) -> Vec<Silence> {
        let unattended = self.waiting.take_unattended().into_iter();
        let silences = unattended.filter_map(|id| self.get(id));
        let ends = |silence: &&Silence| {
            silence.ending == Ending::Resolution { has_matched: true } && now < silence.ends_at
        };
        silences.filter(ends).map(|silence| silence.ended(now)).collect()
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

    /// Does what time has done until `now`, and returns the silences that it has forgotten.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Vec<SilenceId> {
        let mut forgotten = Vec::new();
        while let Some(&(time, id)) = self.deadlines.first()
            && time <= now
        {
            let silence = self.get(id).expect("a deadline is of a silence");
            if silence.state(time) == SilenceState::Expired && time > silence.ends_at {
                self.remove(id);
                forgotten.push(id);
                continue;
            }
            // One that has begun and ended meanwhile has silenced nothing.
            let silence = silence.clone();
            self.put(now, silence);
        }
        forgotten
    }
}
