//! Follows the stream, on a connection of its own: each read blocks for a second at most, and with it
//! the server says whether it still is the one, with the data, that was followed.
//!
//! Positions are without holes, so that a batch that is missing shows by the next one; and where none
//! comes although the server has counted one, nothing is behind it that would show.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ::redis::{Pipeline, RedisError, Value};
use bellwire_shared_log::{Ended, Entry, Error, Following, Position, Span};
use tokio::sync::Semaphore;

use super::link::{Link, Place, bytes, number};
use super::script::Script;
use super::server::Server;
use super::{in_time, refusal};
use crate::runtime::Runtime;

/// For how long the server holds back the answer to a read while there is nothing.
const BLOCK: Duration = Duration::from_secs(1);

/// How many bytes a read is to have, by the largest batch of the one before; and how many batches.
const READ_BYTES: usize = 4 * 1024 * 1024;
const READ_MIN: usize = 8;
const READ_MAX: usize = 32;

/// How many reads wait for whoever follows.
const READS_WAITING_MAX: usize = 1;

type Read = Result<Vec<Entry>, Ended>;

/// What follows the log, as its follower has it.
pub(super) struct Followed {
    reads: Receiver<Read>,
    /// A permit for each read that may be made before one is taken.
    room: Arc<Semaphore>,
    /// It is to go on while this is there.
    _runtime: Runtime,
}

/// Follows what is behind a position.
pub(super) fn follow(
    runtime: &Runtime,
    place: &Arc<Place>,
    after: Position,
) -> Result<Followed, Error> {
    let place = Arc::clone(place);
    let mut link = runtime.wait(in_time(async move {
        let mut link = Link::dial(&place).await?;
        let span = span(&mut link).await?;
        if after < span.trimmed { Err(Error::Trimmed(span.trimmed)) } else { Ok(link) }
    }))?;
    let (sender, reads) = sync_channel(READS_WAITING_MAX + 1);
    let room = Arc::new(Semaphore::new(READS_WAITING_MAX));
    let permits = Arc::clone(&room);
    runtime.spawn(async move {
        let mut reader = Reader { last: after.get(), tail: 0, count: READ_MIN };
        // It is closed when nobody follows any more.
        while let Ok(permit) = permits.acquire().await {
            let read = loop {
                match reader.read(&mut link).await {
                    Ok(entries) if entries.is_empty() && !permits.is_closed() => {}
                    read => break read,
                }
            };
            permit.forget();
            let is_end = read.is_err();
            if hand_on(&sender, read).is_err() || is_end {
                return;
            }
        }
    });
    Ok(Followed { reads, room, _runtime: runtime.clone() })
}

/// There is room for what has a permit, so that this does not wait.
fn hand_on(sender: &SyncSender<Read>, read: Read) -> Result<(), ()> {
    sender.try_send(read).map_err(|_| ())
}

impl Following for Followed {
    fn next(&mut self, patience: Duration) -> Read {
        match self.reads.recv_timeout(patience) {
            Ok(read) => {
                self.room.add_permits(1);
                read
            }
            Err(RecvTimeoutError::Timeout) => Ok(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => Err(lost("it has ended before")),
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.room.close();
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").finish_non_exhaustive()
    }
}

/// Where it is.
#[derive(Debug)]
struct Reader {
    /// The position that was read last.
    last: u64,
    /// The newest batch of which the server has told.
    tail: u64,
    /// How many batches are asked for.
    count: usize,
}

impl Reader {
    /// The next batches; none where none came.
    async fn read(&mut self, link: &mut Link) -> Read {
        let (log, meta) = link.keys();
        let mut commands = Pipeline::with_capacity(3);
        commands.cmd("XREAD").arg("COUNT").arg(self.count);
        commands.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        commands.arg("STREAMS").arg(log).arg(format!("{}-0", self.last));
        commands.cmd("HMGET").arg(meta).arg("made").arg("tail");
        commands.cmd("INFO").arg("replication");
        let answers = link.clone().send(commands).await.map_err(doubt)?;
        let Ok([read, meta, info]) = <[Value; 3]>::try_from(answers) else {
            return Err(lost("the server has answered something else"));
        };
        let tail = same(link, meta, info)?;
        let entries = entries(read, self.last)?;
        if tail < self.last {
            return Err(lost("the log ends before what was followed"));
        }
        // What was counted before this read is there, or is gone.
        let is_gone = |entries: &Vec<Entry>| entries.is_empty() && self.tail > self.last;
        let Some(entries) = entries.filter(|entries| !is_gone(entries)) else {
            return Err(gap(link, self.last).await);
        };
        self.tail = tail;
        if let Some(newest) = entries.last() {
            self.last = newest.position.get();
            let largest = entries.iter().map(|entry| entry.batch.len()).max().unwrap_or_default();
            self.count = (READ_BYTES / largest.max(1)).clamp(READ_MIN, READ_MAX);
        }
        Ok(entries)
    }
}

/// Checks that the server has the same log with the same data still, and says where it ends.
fn same(link: &Link, meta: Value, info: Value) -> Result<u64, Ended> {
    let info = String::from_utf8_lossy(&bytes(info).map_err(doubt)?).into_owned();
    let server = Server::new(info, Vec::new());
    if !server.leads() {
        return Err(lost("the server has become a replica"));
    }
    if server.replication() != link.server.replication() || !link.is_of_newest() {
        // Or this one has begun to count anew, as it does for its first replica.
        return Err(lost("another server leads, or this one leads anew"));
    }
    let meta = meta.extract_error().map(|meta| meta.into_sequence().unwrap_or_default());
    let Ok([made, tail]) = <[Value; 2]>::try_from(meta.map_err(doubt)?) else {
        return Err(lost("the server has answered something else"));
    };
    if bytes(made).map_err(doubt)? != *link.made {
        return Err(lost("the log was made anew"));
    }
    number(tail).map_err(|error| lost(&error.to_string()))
}

/// The batches of a read that follow each other without a hole behind `last`; nothing where the first
/// one is behind a hole. Those behind a later hole are read again, as the first ones.
fn entries(read: Value, last: u64) -> Result<Option<Vec<Entry>>, Ended> {
    let read = read.extract_error().map_err(doubt)?;
    // A map of the one stream that was asked for.
    let listed = match read {
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        _ => None,
    };
    let listed = listed.and_then(|entries| entries.into_sequence().ok()).unwrap_or_default();
    let mut entries = Vec::with_capacity(listed.len());
    for value in listed {
        let entry = entry(value).ok_or_else(|| lost("there is an entry of something else"))?;
        if entry.position.get() != last + entries.len() as u64 + 1 {
            return Ok(Some(entries).filter(|entries| !entries.is_empty()));
        }
        entries.push(entry);
    }
    Ok(Some(entries))
}

/// An entry of the stream: its id, and one field with its value.
fn entry(value: Value) -> Option<Entry> {
    let [id, fields] = <[Value; 2]>::try_from(value.into_sequence().ok()?).ok()?;
    let [_, batch] = <[Value; 2]>::try_from(fields.into_sequence().ok()?).ok()?;
    let id = String::from_utf8(bytes(id).ok()?).ok()?;
    let position = Position::new(id.strip_suffix("-0")?.parse().ok()?);
    Some(Entry { position, batch: bytes(batch).ok()?.into() })
}

/// Why the batch behind `last` is not there.
async fn gap(link: &mut Link, last: u64) -> Ended {
    match span(link).await {
        Ok(span) if span.trimmed.get() > last => Ended::Trimmed(span.trimmed),
        Ok(_) => lost(&format!("the batch behind {last} is gone")),
        Err(error) => lost(&error.to_string()),
    }
}

/// Where the log begins and ends.
pub(super) async fn span(link: &mut Link) -> Result<Span, Error> {
    to_span(link.run(Script::Span, &[]).await?)
}

/// What the script of that name has answered.
pub(super) fn to_span(answer: Value) -> Result<Span, Error> {
    let mut numbers = answer.into_sequence().unwrap_or_default().into_iter();
    let mut next = || number(numbers.next().unwrap_or_default()).map(Position::new);
    Ok(Span { trimmed: next()?, tail: next()? })
}

fn lost(why: &str) -> Ended {
    Ended::Lost(why.to_owned())
}

fn doubt(error: RedisError) -> Ended {
    Ended::Lost(refusal::error(&error).to_string())
}
