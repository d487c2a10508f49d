//! The nodes of a cluster: each sets a register of its own again and again.
//!
//! A register says no time, since clocks are apart: whoever looks remembers since when, by its own clock,
//! it has seen the same beat. Registers are never removed, so that of a node that was forgotten is empty.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::Epoch;
use bellwire_shared_log::{Error as LogError, Generation, Position, SharedLog, is_register_name};
use bytes::Bytes;

use crate::Error;
use crate::fields::{Fields, put_bytes, put_number};

/// How often a node says that it is there.
pub(crate) const BEAT: Duration = Duration::from_secs(1);

/// Nodes of a cluster, those that are away included: each one is read whenever all are listed.
pub const NODES_MAX: usize = 64;

const PREFIX: &str = "node-";
const VERSION: u8 = 1;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMark {
    /// What it is called: of `a`–`z`, `0`–`9` and `-`.
    pub id: Box<str>,
    /// The version of Bellwire that it runs.
    pub version: Box<str>,
    /// Where others reach it.
    pub address: Box<str>,
    /// Its run: another number each time that it starts.
    pub run: u64,
    /// How often it has said so in this run.
    pub beat: u64,
    /// Up to where it needs the log no more. Nothing before it has applied anything.
    pub applied: Option<Applied>,
    /// Up to which place ([`place_of`](crate::place_of)) it has applied what there is.
    pub reached: Option<Applied>,
}

/// A place in the log of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The epoch.
    pub epoch: Epoch,
    /// The place.
    pub position: Position,
}

impl NodeMark {
    fn encode(&self) -> Bytes {
        let mut value = vec![VERSION];
        put_number(&mut value, self.run);
        put_number(&mut value, self.beat);
        put_bytes(&mut value, self.version.as_bytes());
        put_bytes(&mut value, self.address.as_bytes());
        // Of the epoch 0 there is nothing.
        let nothing = Applied { epoch: Epoch::new(0), position: Position::START };
        let applied = self.applied.or(self.reached.map(|_| nothing));
        for Applied { epoch, position } in applied.into_iter().chain(self.reached) {
            put_number(&mut value, epoch.get().into());
            put_number(&mut value, position.get());
        }
        value.into()
    }

    fn decode(id: &str, value: &[u8]) -> Result<Option<Self>, Error> {
        if value.is_empty() {
            return Ok(None);
        }
        let mut fields = Fields::of(value);
        if fields.byte()? != VERSION {
            return Err(Error::Malformed("a node of another version"));
        }
        let (run, beat) = (fields.number()?, fields.number()?);
        let (version, address) = (fields.text()?.into(), fields.text()?.into());
        let mut place = || -> Result<Option<Applied>, Error> {
            // What an older version writes ends here.
            if fields.is_empty() {
                return Ok(None);
            }
            let (epoch, position) = (fields.number()?, fields.number()?);
            let epoch = Epoch::new(epoch as u32);
            let place = Applied { epoch, position: Position::new(position) };
            Ok(Some(place).filter(|_| epoch.get() > 0))
        };
        let (applied, reached) = (place()?, place()?);
        Ok(Some(Self { id: id.into(), version, address, run, beat, applied, reached }))
    }
}

/// Whether a node may be called so.
pub(crate) fn is_node_id(id: &str) -> bool {
    !id.is_empty() && is_register_name(&format!("{PREFIX}{id}"))
}

/// All nodes that were not forgotten. Waits for the engine.
pub fn nodes(log: &dyn SharedLog) -> Result<Vec<NodeMark>, Error> {
    let mut nodes = Vec::new();
    for name in log.registers(PREFIX)? {
        let id = name.strip_prefix(PREFIX).unwrap_or_default();
        // One that cannot be read is of a newer version, and is there all the same.
        if let Ok(node) = NodeMark::decode(id, &log.register(&name)?.value) {
            nodes.extend(node);
        }
    }
    Ok(nodes)
}

/// What one node says of itself; nothing where it was forgotten, or has said nothing yet.
pub(crate) fn node(log: &dyn SharedLog, id: &str) -> Result<Option<NodeMark>, Error> {
    let name = format!("{PREFIX}{id}");
    if !is_node_id(id) {
        return Ok(None);
    }
    NodeMark::decode(id, &log.register(&name)?.value)
}

/// What a node has applied of the log of this epoch, as it says itself.
pub(crate) fn applied(
    log: &dyn SharedLog,
    (id, epoch): (&str, Epoch),
) -> Result<Option<Position>, Error> {
    let register = log.register(&format!("{PREFIX}{id}"))?;
    let applied = NodeMark::decode(id, &register.value)?.and_then(|mark| mark.applied);
    Ok(applied.filter(|applied| applied.epoch == epoch).map(|applied| applied.position))
}

/// Forgets a node that is gone. One that is not comes back by itself.
pub(crate) fn forget(log: &dyn SharedLog, id: &str) -> Result<(), Error> {
    let name = format!("{PREFIX}{id}");
    let register = log.register(&name)?;
    if register.value.is_empty() {
        return Ok(());
    }
    log.set_register(&name, register.generation, Bytes::new())?;
    Ok(())
}

/// What a node says of itself again and again.
#[derive(Debug)]
pub(crate) struct Announcer {
    mark: NodeMark,
    generation: Option<Generation>,
}

impl Announcer {
    pub(crate) fn new(mark: NodeMark) -> Self {
        Self { mark, generation: None }
    }

    /// Says once more that it is there, up to where it needs the log no more, and what it has applied.
    pub(crate) fn announce(
        &mut self,
        log: &dyn SharedLog,
        (applied, reached): (Option<Applied>, Option<Applied>),
    ) -> Result<(), Error> {
        let name = format!("{PREFIX}{}", self.mark.id);
        let generation = if let Some(generation) = self.generation.take() {
            generation
        } else {
            let register = log.register(&name)?;
            if register.value.is_empty() && nodes(log)?.len() >= NODES_MAX {
                return Err(Error::TooManyNodes(NODES_MAX));
            }
            register.generation
        };
        self.mark.beat += 1;
        (self.mark.applied, self.mark.reached) = (applied, reached);
        let mut set = log.set_register(&name, generation, self.mark.encode());
        if let Err(LogError::Changed(register)) = &set {
            let other = NodeMark::decode(&self.mark.id, &register.value).ok().flatten();
            if other.is_some_and(|other| other.run != self.mark.run) {
                tracing::error!(id = %self.mark.id, "Another node of this name is running.");
                return Ok(());
            }
            // It went with the log, or an older one is back: others are to know at once.
            set = log.set_register(&name, register.generation, self.mark.encode());
        }
        match set {
            Ok(generation) => self.generation = Some(generation),
            Err(LogError::Changed(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Since when each node was seen to say nothing new.
#[derive(Debug, Default)]
pub struct Roster(BTreeMap<Box<str>, Seen>);

#[derive(Debug)]
struct Seen {
    mark: NodeMark,
    since: Duration,
}

impl Roster {
    /// The nodes as they were read now, each with how long it has said nothing new.
    pub fn look(&mut self, nodes: Vec<NodeMark>, now: Duration) -> Vec<(NodeMark, Duration)> {
        let mut before = std::mem::take(&mut self.0);
        let seen = nodes.into_iter().map(|mark| {
            let same = before.remove(&mark.id).filter(|seen| seen.mark == mark);
            let since = same.map_or(now, |seen| seen.since);
            self.0.insert(mark.id.clone(), Seen { mark: mark.clone(), since });
            (mark, now.saturating_sub(since))
        });
        seen.collect()
    }
}

#[cfg(test)]
mod tests {
    use bellwire_shared_log::MemoryLogs;

    use super::*;

    fn mark(id: &str) -> NodeMark {
        NodeMark {
            id: id.into(),
            version: "1.2.3".into(),
            address: "[::1]:1".into(),
            run: 1,
            beat: 0,
            applied: None,
            reached: None,
        }
    }

    #[test]
    fn nodes_are_listed_until_they_are_forgotten_and_who_is_silent_is_known() {
        let logs = MemoryLogs::immediate();
        let log = logs.handle();
        let (mut one, mut two) = (Announcer::new(mark("one")), Announcer::new(mark("two")));
        one.announce(&*log, (None, None)).unwrap();
        two.announce(&*log, (None, None)).unwrap();
        let mut roster = Roster::default();
        let mut look = |at_s: u64| -> Vec<(String, u64)> {
            let looked = roster.look(nodes(&*log).unwrap(), Duration::from_secs(at_s));
            looked.into_iter().map(|(mark, silent)| (mark.id.into(), silent.as_secs())).collect()
        };
        assert_eq!(look(10), [("one".to_owned(), 0), ("two".to_owned(), 0)]);
        one.announce(&*log, (None, None)).unwrap();
        assert_eq!(look(15), [("one".to_owned(), 0), ("two".to_owned(), 5)]);
        forget(&*log, "two").unwrap();
        forget(&*log, "three").unwrap();
        assert_eq!(look(16), [("one".to_owned(), 1)]);
        // It was not gone after all.
        two.announce(&*log, (None, None)).unwrap();
        two.announce(&*log, (None, None)).unwrap();
        assert_eq!(look(17), [("one".to_owned(), 2), ("two".to_owned(), 0)]);
    }

    #[test]
    fn a_node_tells_what_it_has_applied_and_an_older_one_does_not() {
        let applied = Applied { epoch: Epoch::new(u32::MAX), position: Position::new(1 << 40) };
        for applied in [None, Some(applied)] {
            let mark = NodeMark { applied, ..mark("one") };
            assert_eq!(NodeMark::decode("one", &mark.encode()).unwrap(), Some(mark));
        }
        assert!(NodeMark::decode("one", &[&*mark("one").encode(), &[1]].concat()).is_err());
    }

    #[test]
    fn there_are_so_many_nodes_at_most() {
        let logs = MemoryLogs::immediate();
        let log = logs.handle();
        for number in 0..NODES_MAX {
            Announcer::new(mark(&format!("n{number}"))).announce(&*log, (None, None)).unwrap();
        }
        let mut more = Announcer::new(mark("more"));
        assert!(matches!(more.announce(&*log, (None, None)), Err(Error::TooManyNodes(_))));
        Announcer::new(mark("n7")).announce(&*log, (None, None)).unwrap();
        forget(&*log, "n7").unwrap();
        more.announce(&*log, (None, None)).unwrap();
        assert!(
            is_node_id("n-7")
                && !is_node_id("")
                && !is_node_id("N7")
                && !is_node_id(&"n".repeat(60))
        );
    }
}
