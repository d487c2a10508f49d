//! What an entry of the log is: a head that says whose it is and which, a payload, a checksum.
//!
//! ```text
//! B W L │ major │ minor │ part │ incarnation │ number │ born │ ends │ epoch │ time │ payload │ checksum
//! ```
//!
//! The head stays as it is for as long as the major version is the same, so that every node can tell
//! what counts ([`crate::order`]), whether or not it can read what it says. A payload that is larger
//! than an entry comes in pieces, each an entry with a number of its own.

use std::fmt;

use bellwire_model::{Epoch, Timestamp};
use bellwire_shared_log::{BATCH_BYTES_MAX, Position};
use bytes::Bytes;

use crate::Error;
use crate::fields::Fields;

const MAGIC: [u8; 3] = *b"BWL";

/// Another one is another head.
const MAJOR: u8 = 1;

/// A larger one has kinds of content that this build may not know.
pub(crate) const MINOR: u8 = 0;

const HEAD_BYTES: usize = 3 + 3 + 4 * 8 + 4 + 8;
const CHECKSUM_BYTES: usize = 4;

/// The bytes of a payload that fit into one entry.
pub(crate) const PIECE_BYTES_MAX: usize = BATCH_BYTES_MAX - HEAD_BYTES - CHECKSUM_BYTES;

/// The bytes of a payload, whatever the number of its pieces: what one publisher appends at once, or
/// changes of records that belong together, fit by far.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 128 * 1024 * 1024;

/// So many bits of an incarnation are its node's, the lowest: a few nodes hardly ever have the same, and those
/// that do speak as one of how late it is. The others are another number for each life.
const NODE_BITS: u32 = 24;

/// One life of a node as a maker of batches: a number other than zero, random but for what says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Incarnation(u64);

impl Incarnation {
    /// The one with this number.
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Another one of a node.
    pub(crate) fn random(node: NodeBits) -> Self {
        let life = fastrand::u64(1..1 << (u64::BITS - NODE_BITS));
        Self(life << NODE_BITS | u64::from(node.0))
    }

    /// Whose it is. One that a build of before has drawn is of a node of its own.
    pub(crate) const fn node(self) -> NodeBits {
        NodeBits(self.0 as u32 & NodeBits::ALL)
    }

    /// Its number.
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// What the incarnations of a node have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeBits(u32);

impl NodeBits {
    const ALL: u32 = (1 << NODE_BITS) - 1;

    /// That of a node of this name.
    pub(crate) fn of(id: &str) -> Self {
        Self(crc32fast::hash(id.as_bytes()) & Self::ALL)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What an entry has of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing: it takes the place of what was given up, so that nobody waits for its number.
    Void,
    /// All of it.
    Whole,
    /// The first piece; what the others have is to follow.
    First,
    /// Another piece.
    Middle,
    /// The last piece.
    Last,
}

impl Part {
    const ALL: [Self; 5] = [Self::Void, Self::Whole, Self::First, Self::Middle, Self::Last];
}

/// Whose an entry is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Who made it.
    pub(crate) incarnation: Incarnation,
    /// Which of theirs it is: 1, 2, 3, …
    pub(crate) number: u64,
    /// Up to which place its maker had followed the log when this incarnation began.
    pub(crate) born: Position,
    /// What nothing more is taken from, from here on: the incarnation that this one follows.
    pub(crate) ends: Option<Incarnation>,
    /// The epoch that its maker followed.
    pub(crate) epoch: Epoch,
    /// Its maker's wall clock.
    pub(crate) time: Timestamp,
    /// What it has.
    pub(crate) part: Part,
}

/// An entry as its maker meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Whose it is, and which.
    pub(crate) head: Head,
    /// The version of what made it.
    pub(crate) minor: u8,
    /// What it says, or a piece of that.
    pub(crate) payload: Bytes,
    /// Of all that stands before it.
    pub(crate) checksum: u32,
}

/// Why bytes are no [`Piece`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// They are of somebody else, or damaged.
    Foreign,
    /// They are of a Bellwire whose heads are others.
    Major(u8),
}

/// An entry's bytes.
pub(crate) fn encode(head: &Head, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len() + CHECKSUM_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[MAJOR, MINOR, head.part as u8]);
    let ends = head.ends.map_or(0, Incarnation::get);
    for number in [head.incarnation.get(), head.number, head.born.get(), ends] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&head.epoch.get().to_le_bytes());
    bytes.extend_from_slice(&head.time.as_ms().to_le_bytes());
    bytes.extend_from_slice(payload);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.into()
}

/// What an entry's bytes say.
pub(crate) fn decode(entry: &Bytes) -> Result<Piece, Unread> {
    if entry.get(..MAGIC.len()) != Some(&MAGIC[..]) {
        return Err(Unread::Foreign);
    }
    match entry.get(MAGIC.len()) {
        Some(&MAJOR) => {}
        Some(&major) if major > MAJOR => return Err(Unread::Major(major)),
        _ => return Err(Unread::Foreign),
    }
    let checksum = checksum_of(entry).ok_or(Unread::Foreign)?;
    let end = entry.len() - CHECKSUM_BYTES;
    let head = entry.get(MAGIC.len() + 1..HEAD_BYTES.min(end)).ok_or(Unread::Foreign)?;
    let (minor, head) = decode_head(head).map_err(|_| Unread::Foreign)?;
    Ok(Piece { head, minor, payload: entry.slice(HEAD_BYTES..end), checksum })
}

/// The checksum of an entry, where it is right.
pub(crate) fn checksum_of(entry: &[u8]) -> Option<u32> {
    let (body, checksum) = entry.split_last_chunk()?;
    let checksum = u32::from_le_bytes(*checksum);
    (crc32fast::hash(body) == checksum).then_some(checksum)
}

fn decode_head(bytes: &[u8]) -> Result<(u8, Head), Error> {
    let mut fields = Fields::of(bytes);
    let (minor, part) = (fields.byte()?, usize::from(fields.byte()?));
    let mut number = || fields.array().map(u64::from_le_bytes);
    let (incarnation, count, born, ends) = (number()?, number()?, number()?, number()?);
    let head = Head {
        incarnation: Incarnation(incarnation),
        number: count,
        born: Position::new(born),
        ends: (ends != 0).then_some(Incarnation(ends)),
        epoch: Epoch::new(u32::from_le_bytes(fields.array()?)),
        time: Timestamp::from_ms(i64::from_le_bytes(fields.array()?)),
        part: *Part::ALL.get(part).ok_or(Error::Malformed("it is a part of another kind"))?,
    };
    Ok((minor, head))
}

/// The pieces of a payload, with what each is.
pub(crate) fn pieces(payload: &Bytes) -> Result<Vec<(Part, Bytes)>, Error> {
    let bytes = payload.len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Error::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
    }
    if bytes <= PIECE_BYTES_MAX {
        return Ok(vec![(Part::Whole, payload.clone())]);
    }
    let piece = |start: usize| {
        let end = bytes.min(start + PIECE_BYTES_MAX);
        let part = match (start, end) {
            (0, _) => Part::First,
            (_, end) if end == bytes => Part::Last,
            _ => Part::Middle,
        };
        (part, payload.slice(start..end))
    };
    Ok((0..bytes).step_by(PIECE_BYTES_MAX).map(piece).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn heads()(
            incarnation in 1..u64::MAX,
            (number, born) in any::<(u64, u64)>(),
            ends in any::<u64>(),
            epoch in any::<u32>(),
            time in any::<i64>(),
            part in 0..5_usize,
        ) -> Head {
            Head {
                incarnation: Incarnation(incarnation),
                number,
                born: Position::new(born),
                ends: (ends != 0).then_some(Incarnation(ends)),
                epoch: Epoch::new(epoch),
                time: Timestamp::from_ms(time),
                part: Part::ALL[part],
            }
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(head in heads(), payload in prop::collection::vec(any::<u8>(), 0..50)) {
            let entry = encode(&head, &payload);
            let piece = decode(&entry).unwrap();
            prop_assert_eq!(checksum_of(&entry), Some(piece.checksum));
            prop_assert_eq!((piece.head, &*piece.payload), (head, &*payload));
        }

        #[test]
        fn a_byte_that_is_another_is_noticed(head in heads(), at in 4_usize..60, by in 1..=255_u8) {
            let mut entry = encode(&head, b"what is said").to_vec();
            entry[at] ^= by;
            prop_assert_eq!(decode(&entry.into()), Err(Unread::Foreign));
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..90), is_ours in any::<bool>()) {
            if is_ours {
                bytes.splice(0..bytes.len().min(4), *b"BWL\x01");
                let checksum = crc32fast::hash(&bytes);
                bytes.extend_from_slice(&checksum.to_le_bytes());
            }
            let _ = decode(&bytes.into());
        }
    }

    #[test]
    fn all_lives_of_a_node_are_its_own() {
        for id in ["a", "1f0c6f2a9be4d713", ""] {
            let node = NodeBits::of(id);
            let [one, other] = [(); 2].map(|()| Incarnation::random(node));
            assert!(one != other && one.get() > 0);
            assert_eq!((one.node(), other.node()), (node, node));
        }
        assert_ne!(NodeBits::of("a"), NodeBits::of("b"));
    }

    #[test]
    fn a_head_of_another_major_version_is_told_from_what_is_foreign() {
        for (bytes, expected) in [
            (&b"BWL\x02anything"[..], Unread::Major(2)),
            (b"BWL\x00anything", Unread::Foreign),
            (b"XWL\x02anything", Unread::Foreign),
            (b"BWL", Unread::Foreign),
            (b"BWL\x01\x00\x00", Unread::Foreign),
        ] {
            assert_eq!(decode(&Bytes::from_static(bytes)), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn pieces_are_the_payload_and_fit_into_entries() {
        for (bytes, count) in [
            (0, 1),
            (PIECE_BYTES_MAX, 1),
            (PIECE_BYTES_MAX + 1, 2),
            (2 * PIECE_BYTES_MAX, 2),
            (2 * PIECE_BYTES_MAX + 1, 3),
        ] {
            let payload = Bytes::from(vec![7; bytes]);
            let pieces = pieces(&payload).unwrap();
            let parts: Vec<Part> = pieces.iter().map(|(part, _)| *part).collect();
            let expected = match count {
                1 => vec![Part::Whole],
                2 => vec![Part::First, Part::Last],
                _ => vec![Part::First, Part::Middle, Part::Last],
            };
            assert_eq!(parts, expected);
            assert!(pieces.iter().all(|(_, piece)| piece.len() <= PIECE_BYTES_MAX));
            assert_eq!(pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>(), bytes);
        }
        let too_large = Bytes::from(vec![7; PAYLOAD_BYTES_MAX + 1]);
        assert!(matches!(pieces(&too_large), Err(Error::TooLarge { .. })));
    }
}
