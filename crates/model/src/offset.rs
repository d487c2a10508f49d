//! Where a subscriber is: epoch and offset in the journal, life and version in the state table; both
//! together are a cursor.
//!
//! ```text
//! journal       e7 │ 1041 │ 1042 │ 1043 │        │
//!                            ▲ cursor e7-1042: has seen 1042, resumes with 1043
//! state table   s9 │  76  │  77  │  78  │        │
//!                            ▲ cursor e7-1042.s9-77: has every change up to 77, too
//! ```

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use thiserror::Error;

/// One life of a journal's offsets. A journal that cannot continue its old order (it was
/// replaced, or lost acknowledged data to a power cut) starts another epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The epoch's number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

/// Position of an event in the journal's total order. Strictly increasing within an epoch;
/// holes are allowed, so nobody computes the next one. The first event has at least offset 1:
/// [`Offset::ZERO`] stands before every event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// Before the first event.
    pub const ZERO: Self = Self(0);
    /// After every event.
    pub const MAX: Self = Self(u64::MAX);

    /// The offset with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The offset's number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Position in the order of changes to state topics. It means nothing without the [`Life`] of the
/// table that counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Before the first change.
    pub const ZERO: Self = Self(0);
    /// After every change.
    pub const MAX: Self = Self(u64::MAX);

    /// The version with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The version's number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The version before this one; before the first change there is none other.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// One life of the state table: it is in memory, and begins anew with each process. A random number
/// other than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(NonZeroU32);

impl Life {
    /// The life with this number; zero counts as one.
    pub const fn new(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// The life's number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

/// A place among the changes of state topics: of all of them, in the state table's order, and of those
/// that are on the disk, in the journal's. Whoever has the first has the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Of all changes.
    pub version: Version,
    /// Of those that are on the disk.
    pub durable: Offset,
}

impl Progress {
    /// Before the first change.
    pub const ZERO: Self = Self { version: Version::ZERO, durable: Offset::ZERO };

    /// What is reached by one of the two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let (version, durable) = (self.version.max(other.version), self.durable.max(other.durable));
        Self { version, durable }
    }
}

/// What a client has of the state topics that it follows.
///
/// It has what the changes up to `version` have left of each key. While it is in the middle of the
/// values that there were when it began, `since` is further on: of the keys that it has not been
/// given yet it has nothing, and needs no deletion up to there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateMark {
    /// The table's life.
    pub life: Life,
    /// It has every change up to here.
    pub version: Version,
    /// No deletion up to here is any of its business; never before `version`.
    pub since: Version,
    /// The same two in the journal's order, of changes that are on the disk: they mean something
    /// beyond the table's life. `None` where there were none, or it may lack others.
    pub durable: Option<(Offset, Offset)>,
}

impl StateMark {
    /// Of one who has it all up to `version`.
    pub const fn at(life: Life, version: Version) -> Self {
        Self { life, version, since: version, durable: None }
    }

    /// Of one who has all up to the first place, and no use for deletions up to the second.
    pub fn between(life: Life, upto: Progress, since: Progress) -> Self {
        let durable = (since.durable > Offset::ZERO).then_some((upto.durable, since.durable));
        Self { life, version: upto.version, since: since.version, durable }
    }
}

/// What a client resumes with: it has seen everything up to and including `offset`, and what `state`
/// says of state topics.
///
/// Text form `<epoch>-<offset>`, such as `e7-1042`, and with a state part
/// `<epoch>-<offset>.s<life>-<version>` or, in the middle of a snapshot,
/// `<epoch>-<offset>.s<life>-<version>-<since>`. Where changes are on the disk their offsets follow,
/// such as `e7-1042.s9-77.d1040` or `….d17-1040`. Opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The journal's epoch when the cursor was given out.
    pub epoch: Epoch,
    /// The newest offset that the client has seen.
    pub offset: Offset,
    /// What it has of state topics, where that is known.
    pub state: Option<StateMark>,
}

impl Cursor {
    /// A place in the journal; nothing is known of state topics.
    pub const fn new(epoch: Epoch, offset: Offset) -> Self {
        Self { epoch, offset, state: None }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.offset)?;
        let Some(StateMark { life, version, since, durable }) = self.state else { return Ok(()) };
        write!(f, ".s{}-{}", life.get(), version.get())?;
        if since > version {
            write!(f, "-{}", since.get())?;
        }
        let Some((upto, since)) = durable else { return Ok(()) };
        write!(f, ".d{upto}")?;
        if since > upto { write!(f, "-{since}") } else { Ok(()) }
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a cursor looks like `e7-1042`: send back the last `id` or `cursor` exactly as it came")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (place, state) = match text.split_once('.') {
            Some((place, state)) => (place, Some(state_mark(state)?)),
            None => (text, None),
        };
        let (epoch, offset) =
            place.strip_prefix('e').and_then(|rest| rest.split_once('-')).ok_or(CursorError)?;
        let epoch = Epoch(digits(epoch)?.try_into().map_err(|_| CursorError)?);
        Ok(Self { epoch, offset: Offset(digits(offset)?), state })
    }
}

fn state_mark(text: &str) -> Result<StateMark, CursorError> {
    let (life, rest) =
        text.strip_prefix('s').and_then(|rest| rest.split_once('-')).ok_or(CursorError)?;
    let life = u32::try_from(digits(life)?).ok().and_then(NonZeroU32::new).ok_or(CursorError)?;
    let (versions, durable) = match rest.split_once(".d") {
        Some((versions, durable)) => (versions, Some(one_or_two(durable)?)),
        None => (rest, None),
    };
    let (version, since) = one_or_two(versions)?;
    let (life, version, since) = (Life(life), Version(version), Version(since));
    let durable = durable.map(|(upto, since)| (Offset(upto), Offset(since)));
    if durable.is_some_and(|(_, since)| since == Offset::ZERO) {
        return Err(CursorError);
    }
    Ok(StateMark { life, version, since, durable })
}

/// One number, which stands for two, or two of which the second is greater.
fn one_or_two(text: &str) -> Result<(u64, u64), CursorError> {
    let Some((one, two)) = text.split_once('-') else {
        let one = digits(text)?;
        return Ok((one, one));
    };
    let (one, two) = (digits(one)?, digits(two)?);
    if two <= one { Err(CursorError) } else { Ok((one, two)) }
}

/// Like `u64::from_str`, without the leading `+` that it takes.
fn digits(text: &str) -> Result<u64, CursorError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CursorError);
    }
    text.parse().map_err(|_| CursorError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_reads_back_what_it_prints() {
        let cursor = Cursor::new(Epoch::new(7), Offset::new(1042));
        assert_eq!(cursor.to_string(), "e7-1042");
        assert_eq!("e7-1042".parse(), Ok(cursor));
        let version = Version::new(77);
        let mark = StateMark::at(Life::new(9), version);
        let cursor = Cursor { state: Some(mark), ..cursor };
        assert_eq!(cursor.to_string(), "e7-1042.s9-77");
        assert_eq!("e7-1042.s9-77".parse(), Ok(cursor));
        let mark = StateMark { since: Version::new(900), ..mark };
        let cursor = Cursor { state: Some(mark), ..cursor };
        assert_eq!(cursor.to_string(), "e7-1042.s9-77-900");
        assert_eq!("e7-1042.s9-77-900".parse(), Ok(cursor));
        let mark = StateMark { durable: Some((Offset::new(5), Offset::new(5))), ..mark };
        let cursor = Cursor { state: Some(mark), ..cursor };
        assert_eq!(cursor.to_string(), "e7-1042.s9-77-900.d5");
        assert_eq!("e7-1042.s9-77-900.d5".parse(), Ok(cursor));
        assert!("e7-1042.s9-77.d0-5".parse::<Cursor>().is_ok());
    }

    proptest! {
        #[test]
        fn any_cursor_reads_back_what_it_prints(
            (epoch, offset) in any::<(u32, u64)>(),
            state in prop::option::of((1..u32::MAX, any::<u64>(), any::<u64>())),
            durable in prop::option::of((any::<u64>(), 1..u64::MAX)),
        ) {
            let state = state.map(|(life, one, other)| StateMark {
                life: Life::new(life),
                version: Version::new(one.min(other)),
                since: Version::new(one.max(other)),
                durable: durable.map(|(one, other)| {
                    (Offset::new(one.min(other)), Offset::new(one.max(other)))
                }),
            });
            let cursor = Cursor { epoch: Epoch::new(epoch), offset: Offset::new(offset), state };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn what_reads_as_a_cursor_is_printed_like_that(text in "e[0-9]{1,3}-[0-9]{1,3}(\\.?s[0-9]{0,2}(-[0-9]{1,2}){0,3}(\\.d[0-9]{0,2}(-[0-9]{1,2}){0,2})?)?") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                let again: Cursor = cursor.to_string().parse().expect("its own text");
                prop_assert_eq!(cursor, again);
            }
        }
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in [
            "",
            "e",
            "e7",
            "e7-",
            "7-1",
            "e7-+1",
            "e-1",
            "e7-1.2",
            "e4294967296-1",
            "e7-1 ",
            "latest",
            "e7-1.",
            "e7-1.s",
            "e7-1.s9",
            "e7-1.s9-",
            "e7-1.s0-77",
            "e7-1.s4294967296-77",
            "e7-1.9-77",
            "e7-1.s9-77-",
            "e7-1.s9-77-77",
            "e7-1.s9-77-9",
            "e7-1.s9-77-78-79",
            "e7-1.s9-77.s9-77",
            "e7-1.d5",
            "e7-1.s9-77.d",
            "e7-1.s9-77.d0",
            "e7-1.s9-77.d5-5",
            "e7-1.s9-77.d5-4",
            "e7-1.s9-77.d5-6-7",
            "e7-1.s9-77.d5.d5",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
