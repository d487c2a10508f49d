//! Silences: while one is in force, nobody is notified of the alerts that it matches.
//!
//! ```text
//!         starts_at              ends_at        + SILENCE_RETENTION
//! ───────────┼──────────────────────┼──────────────────────┼──────▶ time
//!   pending          active                expired             forgotten
//! ```
//!
//! The rules of what may be changed are Alertmanager's: a change that would alter what was silenced
//! in the past ends the silence and begins another one.

mod index;
mod shelf;
mod waiting;

use bellwire_model::limits::{
    NOTE_BYTES_MAX, PERSON_BYTES_MAX, SILENCE_RETENTION, SILENCES_BYTES_MAX, SILENCES_MAX,
    SILENCES_REGEX_BYTES_MAX,
};
use bellwire_model::{Labels, SilenceId, Timestamp};
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::{MatcherError, Matchers};

pub(crate) use shelf::{Silencers, Silences};

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its identity.
    pub id: SilenceId,
    /// What it silences.
    pub matchers: Matchers,
    /// When it comes into force.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Who made it.
    pub created_by: Box<str>,
    /// Why.
    pub comment: Box<str>,
    /// What programs note about it.
    pub annotations: Labels,
    /// What ends it.
    pub ending: Ending,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What ends a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its time alone.
    Time,
    /// Before that time, that no alert which it matches fires any more.
    Resolution {
        /// Whether it has matched a firing alert yet; before that, nothing can have resolved.
        has_matched: bool,
    },
}

/// Where a silence is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SilenceState {
    /// It is in force.
    Active,
    /// It has not begun.
    Pending,
    /// It has ended.
    Expired,
}

impl SilenceState {
    /// As Alertmanager words it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Where it is in its life.
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now >= self.ends_at {
            SilenceState::Expired
        } else if now < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }

    /// Bytes that it takes.
    fn size_bytes(&self) -> usize {
        let matcher = |matcher: &crate::Matcher| {
            size_of::<crate::Matcher>() + matcher.name().len() + matcher.value().len()
        };
        let texts = self.created_by.len() + self.comment.len() + self.annotations.size_bytes();
        size_of::<Self>() + texts + self.matchers.iter().map(matcher).sum::<usize>()
    }

    /// When it next changes by itself, or is forgotten.
    fn deadline(&self, now: Timestamp) -> Timestamp {
        match self.state(now) {
            SilenceState::Pending => self.starts_at,
            SilenceState::Active => self.ends_at,
            SilenceState::Expired => self.ends_at.saturating_add(SILENCE_RETENTION),
        }
    }

    /// The same silence, ended now.
    pub(crate) fn ended(&self, now: Timestamp) -> Self {
        let starts_at = self.starts_at.min(now);
        Self { starts_at, ends_at: now, updated_at: now, ..self.clone() }
    }

    /// Whether `to` may take its place without altering what was silenced in the past.
    fn may_become(&self, to: &NewSilence, now: Timestamp) -> bool {
        let seconds = |time: Timestamp| time.as_ms().div_euclid(1000);
        self.matchers == to.matchers
            && match self.state(now) {
                SilenceState::Active => seconds(self.starts_at) == seconds(to.starts_at),
                SilenceState::Pending => to.starts_at >= now,
                SilenceState::Expired => false,
            }
    }
}

/// What is asked for: a new silence, or another form of one that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSilence {
    /// The silence to change; nothing for a new one.
    pub id: Option<SilenceId>,
    /// What it silences.
    pub matchers: Matchers,
    /// When it comes into force; not before now.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Who makes it.
    pub created_by: Box<str>,
    /// Why.
    pub comment: Box<str>,
    /// What programs note about it.
    pub annotations: Labels,
    /// What ends it.
    pub ending: Ending,
}

impl NewSilence {
    /// Refuses what could be no silence.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), SilenceError> {
        if self.starts_at >= self.ends_at {
            return Err(SilenceError::EndNotAfterStart);
        }
        if self.ends_at < now {
            return Err(SilenceError::EndInPast);
        }
        if self.matchers.is_empty() {
            return Err(SilenceError::NoMatchers);
        }
        let passes_empty =
            |matcher: &crate::Matcher| matcher.operator().is_equal() && matcher.passes("");
        if self.matchers.iter().all(passes_empty) {
            return Err(SilenceError::MatchesEmpty);
        }
        if self.created_by.len() > PERSON_BYTES_MAX || self.comment.len() > NOTE_BYTES_MAX {
            return Err(SilenceError::TextTooLong);
        }
        Ok(())
    }

    pub(crate) fn made(self, id: SilenceId, now: Timestamp) -> Silence {
        Silence {
            id,
            matchers: self.matchers,
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            created_by: self.created_by,
            comment: self.comment,
            annotations: self.annotations,
            ending: self.ending,
            updated_at: now,
        }
    }
}

/// How many of the alerts with these labels each silence matches; those that match none are left
/// out. What it costs grows with the alerts, and hardly with silences; nothing where it would cost
/// more than so many steps.
pub fn count_matched<'a>(
    silences: impl IntoIterator<Item = &'a Silence>,
    alerts: impl IntoIterator<Item = &'a Labels>,
    mut steps_max: usize,
) -> Option<FxHashMap<SilenceId, u64>> {
    let mut index = index::Index::default();
    for silence in silences {
        index.add(&silence.matchers, silence.id);
    }
    let mut by_class: FxHashMap<index::ClassId, u64> = FxHashMap::default();
    for labels in alerts {
        for class in index.matching_within(labels, &mut steps_max)? {
            *by_class.entry(class).or_default() += 1;
        }
    }
    let of_class = |(class, count)| index.members(class).map(move |id| (id, count));
    Some(by_class.into_iter().flat_map(of_class).collect())
}

/// Finds the silences that match an alert, for one alert after the other.
#[derive(Debug)]
pub struct Matching {
    index: index::Index,
    steps_left: usize,
}

impl Matching {
    /// Among these, in so many steps for all alerts together.
    pub fn among<'a>(silences: impl IntoIterator<Item = &'a Silence>, steps_max: usize) -> Self {
        let mut index = index::Index::default();
        for silence in silences {
            index.add(&silence.matchers, silence.id);
        }
        Self { index, steps_left: steps_max }
    }

    /// Those that match an alert with these labels, sorted; nothing where the steps are used up.
    pub fn of_alert(&mut self, labels: &Labels) -> Option<Vec<SilenceId>> {
        let classes = self.index.matching_within(labels, &mut self.steps_left)?;
        let members = classes.into_iter().flat_map(|class| self.index.members(class));
        let mut silences: Vec<SilenceId> = members.collect();
        silences.sort_unstable();
        Some(silences)
    }
}

/// Why a silence is refused. The texts are those that users of Alertmanager know.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// There is none of that id.
    #[error("silence not found")]
    NotFound,
    /// It would have ended before it begins.
    #[error("Failed to create silence: start time must be before end time")]
    EndNotAfterStart,
    /// It would have ended already.
    #[error("Failed to create silence: end time can't be in the past")]
    EndInPast,
    /// It would silence every alert.
    #[error("invalid silence: at least one matcher required")]
    NoMatchers,
    /// It would silence every alert without certain labels.
    #[error("invalid silence: at least one matcher must not match the empty string")]
    MatchesEmpty,
    /// A matcher is none.
    #[error("invalid silence: invalid label matcher: {0}")]
    Matcher(#[from] MatcherError),
    /// Author or comment are too long.
    #[error(
        "invalid silence: an author has at most {PERSON_BYTES_MAX} bytes, a comment \
         {NOTE_BYTES_MAX}"
    )]
    TextTooLong,
    /// There are too many.
    #[error("exceeded maximum number of silences: {SILENCES_MAX}")]
    TooMany,
    /// Whoever makes it has so many already that others would have no room.
    #[error(
        "whoever makes this silence has as many, or bytes of them, as leave room for those of \
         others, those that ended in the last five days included: silence the same alerts by fewer"
    )]
    NoRoomOfMaker,
    /// Their expressions would take more than [`SILENCES_REGEX_BYTES_MAX`].
    #[error(
        "the regular expressions of all silences together take at most \
         {SILENCES_REGEX_BYTES_MAX} bytes compiled: repeat smaller classes, or fewer times"
    )]
    TooLarge,
    /// All of them would take more than [`SILENCES_BYTES_MAX`].
    #[error(
        "no room for this silence of {bytes} bytes: all silences, those that ended in the last five \
         days included, take at most {SILENCES_BYTES_MAX} bytes; shorten its matchers, comment or \
         annotations, or silence the same alerts by fewer silences"
    )]
    NoRoom {
        /// What it would take.
        bytes: usize,
    },
}
