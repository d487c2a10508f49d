//! What is known of incarnations as records of the replica.
//!
//! They are written with what is applied, so that they say how far the log was followed, too: the last
//! word of all is what was applied last. Where the epoch began on what was there, a record says behind which
//! place: what was applied before is not in the log. Of a payload that is not complete it is kept where it
//! begins; its pieces are read again.

use bellwire_journal::{Record, RecordChange};
use bellwire_model::Timestamp;
use bellwire_shared_log::Position;
use bytes::Bytes;

use super::speaker::{Open, Speaker, Stage};
use super::{Order, folded};
use crate::Error;
use crate::envelope::Incarnation;
use crate::fields::{Fields, put_number, put_signed};

/// Whose keys begin so are records of the node's own.
pub(crate) const PREFIX: &str = "cluster/";
const HORIZON: &str = "cluster/horizon";
const SPEAKER: &str = "cluster/incarnation/";
const BEGAN: &str = "cluster/began";

const VERSION: u8 = 1;

/// The entry that was applied last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) position: Position,
    pub(crate) checksum: u32,
}

/// Where an epoch began that goes on with what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Began {
    /// Behind which place.
    pub(crate) place: Position,
    /// How far places are beyond those of the log.
    pub(crate) shift: u64,
    /// Of all that was there.
    pub(crate) fold: u64,
}

impl Began {
    /// What a replica is known by that has this, and nothing of any log.
    pub(crate) fn fingerprint(self) -> u64 {
        fingerprint(self.fold, None)
    }

    /// As a record.
    pub(crate) fn change(self) -> RecordChange {
        let mut value = vec![VERSION];
        put_number(&mut value, self.place.get());
        put_number(&mut value, self.shift);
        put_number(&mut value, self.fold);
        RecordChange { key: BEGAN.into(), value: Some(value.into()) }
    }

    fn read(value: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of(value);
        check_version(&mut fields)?;
        let place = Position::new(fields.number()?);
        Ok(Self { place, shift: fields.number()?, fold: fields.number()? })
    }
}

/// What a replica's records say.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) order: Order,
    /// What was applied last of the log, if anything was.
    pub(crate) tail: Option<Tail>,
    /// Where its epoch began, where that goes on with what was there.
    pub(crate) began: Option<Began>,
    /// Of all that was ever applied, if anything was.
    pub(crate) fingerprint: Option<u64>,
}

impl Order {
    /// What the replica's records say, whose newest offset is of the entry at `base`.
    pub(crate) fn load(records: &[Record], base: Position) -> Result<Kept, Error> {
        let mut order = Self::behind(base);
        let (mut last, mut began): (Option<Tail>, Option<Began>) = (None, None);
        for record in records {
            if *record.key == *HORIZON {
                let mut fields = Fields::of(&record.value);
                check_version(&mut fields)?;
                order.horizon = Position::new(fields.number()?);
                order.began = Position::new(fields.number()?);
                order.is_horizon_kept = true;
            } else if *record.key == *BEGAN {
                began = Some(Began::read(&record.value)?);
            } else if let Some(name) = record.key.strip_prefix(SPEAKER) {
                let number = u64::from_str_radix(name, 16);
                let number = number.map_err(|_| Error::Malformed("an incarnation's name"))?;
                let speaker = speaker(&record.value)?;
                let Speaker { at: position, checksum, fold, .. } = speaker;
                if last.is_none_or(|last| last.position < position) {
                    last = Some(Tail { position, checksum });
                    order.fold = fold;
                }
                order.insert(Incarnation::new(number), speaker);
            }
        }
        match (last, began) {
            (Some(last), _) => order.reread = last.position.max(base),
            // Made of the journal of a server that stood alone.
            (None, Some(began)) => order.fold = began.fold,
            (None, None) => {}
        }
        let has_something = last.is_some() || began.is_some();
        let fingerprint = has_something.then(|| fingerprint(order.fold, last));
        let tail = last.filter(|last| began.is_none_or(|began| last.position > began.place));
        Ok(Kept { order, tail, began, fingerprint })
    }

    /// All that has counted.
    pub(crate) fn fold(&self) -> u64 {
        self.fold
    }

    /// What is to be written with what was applied last. That it is written is not asked.
    pub(crate) fn changes(&mut self) -> Vec<RecordChange> {
        let key = |incarnation: Incarnation| format!("{SPEAKER}{incarnation}").into_boxed_str();
        let spoken = std::mem::take(&mut self.changed);
        let rows = spoken.into_iter().filter_map(|incarnation| {
            let value = Some(value(self.speakers.get(&incarnation)?));
            Some(RecordChange { key: key(incarnation), value })
        });
        let mut changes: Vec<RecordChange> = rows.collect();
        let forgotten = std::mem::take(&mut self.forgotten);
        if !self.is_horizon_kept || !forgotten.is_empty() {
            self.is_horizon_kept = true;
            let mut value = vec![VERSION];
            put_number(&mut value, self.horizon.get());
            put_number(&mut value, self.began.get());
            changes.push(RecordChange { key: HORIZON.into(), value: Some(value.into()) });
        }
        let gone = forgotten.into_iter();
        changes.extend(gone.map(|gone| RecordChange { key: key(gone), value: None }));
        changes
    }
}

/// Replicas of older versions have folded nothing: of these the last entry has to do.
fn fingerprint(fold: u64, last: Option<Tail>) -> u64 {
    folded(fold, last.map_or(0, |last| last.checksum).into())
}

fn check_version(fields: &mut Fields<'_>) -> Result<(), Error> {
    let is_known = fields.byte()? == VERSION;
    is_known.then_some(()).ok_or(Error::Malformed("a record of another version"))
}

fn value(speaker: &Speaker) -> Bytes {
    let mut value = vec![VERSION];
    value.push(match speaker.stage {
        Stage::Speaking => 0,
        Stage::Ended => 2,
    });
    let (before, from) = match &speaker.open {
        Some(open) => (open.before, open.from.get()),
        None => (speaker.newest, 0),
    };
    let (born, at) = (speaker.born.get(), speaker.at.get());
    for number in [born, before, at, speaker.checksum.into(), from, speaker.fold] {
        put_number(&mut value, number);
    }
    put_signed(&mut value, speaker.time.as_ms());
    value.into()
}

fn speaker(value: &[u8]) -> Result<Speaker, Error> {
    let mut fields = Fields::of(value);
    check_version(&mut fields)?;
    let stage = match fields.byte()? {
        0 => Stage::Speaking,
        2 => Stage::Ended,
        _ => return Err(Error::Malformed("an incarnation of another kind")),
    };
    let mut number = || fields.number();
    let (born, newest, at) = (number()?, number()?, number()?);
    let (checksum, from) = (number()? as u32, number()?);
    // What an older version writes ends here.
    let (fold, time) =
        if fields.is_empty() { (0, 0) } else { (fields.number()?, fields.signed()?) };
    Ok(Speaker {
        born: Position::new(born),
        newest,
        at: Position::new(at),
        checksum,
        fold,
        time: Timestamp::from_ms(time),
        stage,
        open: (from > 0).then(|| Open::from(Position::new(from), newest)),
    })
}
