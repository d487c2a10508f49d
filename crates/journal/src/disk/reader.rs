//! Readers: connections of their own, so that they never wait for the writer nor it for them.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use bellwire_model::limits::JOURNAL_READERS_MAX;
use bellwire_model::{Body, Entry, Event, FilterSet, Offset, Timestamp, Topic};
use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::index::{Matcher, Plan, SharedIndex};
use super::records;
use super::schema::{damaged, from_sql, open_to_read, to_sql};
use super::store::{BINARY, JSON, NO_BODY, TEXT};
use crate::topics::TopicId;
use crate::{Page, ReadLimit, Record};

const SELECT: &str = "SELECT offset, topic, key, type, time, kind, content_type, data
                      FROM events WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset";

/// The readers of one journal.
#[derive(Debug)]
pub(super) struct Readers {
    index: SharedIndex,
    pool: Pool,
}

impl Readers {
    pub(super) fn new(file: PathBuf, index: SharedIndex) -> Self {
        Self { index, pool: Pool { file, leases: Mutex::default(), returned: Condvar::new() } }
    }

    /// See [`Journal::read`](crate::Journal::read).
    pub(super) fn read(
        &self,
        after: Offset,
        filters: &FilterSet,
        limit: ReadLimit,
    ) -> rusqlite::Result<Page> {
        {
            let index = self.index.read();
            if after >= index.tail {
                let trimmed = index.topics.trimmed(filters);
                return Ok(Page { entries: Vec::new(), end: after, trimmed });
            }
        }
        let lease = self.pool.lease()?;
        let mut after = after;
        loop {
            let scan = Scan { index: &self.index, connection: lease.connection(), filters, limit };
            let (page, reach) = scan.run(after)?;
            if !page.entries.is_empty() || reach == Reach::Tail {
                return Ok(page);
            }
            // Retention passed by before anything was found: go on with a new snapshot.
            after = page.end;
        }
    }

    /// See [`Journal::records`](crate::Journal::records).
    pub(super) fn records(&self, prefix: &str) -> rusqlite::Result<Vec<Record>> {
        let lease = self.pool.lease()?;
        records::with_prefix(lease.connection(), prefix)
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close_idle(&self) {
        let mut leases = self.pool.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.idle.clear();
    }
}

/// Why a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Tail,
    Limit,
    Swept,
}

/// One read of one snapshot.
struct Scan<'a> {
    index: &'a SharedIndex,
    connection: &'a Connection,
    filters: &'a FilterSet,
    limit: ReadLimit,
}

impl Scan<'_> {
    fn run(&self, after: Offset) -> rusqlite::Result<(Page, Reach)> {
        let mut matcher = Matcher::new(self.filters);
        let snapshot = self.connection.unchecked_transaction()?;

        // 1. The snapshot is taken under the lock: what it lacks, `trimmed` tells exactly.
        let (mut page, mut plan, tail, sweeps) = {
            let index = self.index.read();
            snapshot.prepare_cached("SELECT 1 FROM meta LIMIT 1")?.query_row([], |_| Ok(()))?;
            let trimmed = index.topics.trimmed(self.filters);
            let plan = index.plan(after, index.tail, &mut matcher);
            (Page { entries: Vec::new(), end: after, trimmed }, plan, index.tail, index.sweeps)
        };

        // 2. Scan what matches, plan by plan, for as long as the index is true of the snapshot.
        let mut filling =
            Filling { page: &mut page, matcher: &mut matcher, limit: self.limit, bytes: 0 };
        loop {
            if filling.add(&snapshot, &plan)? == Reach::Limit {
                return Ok((page, Reach::Limit));
            }
            if plan.end >= tail {
                return Ok((page, Reach::Tail));
            }
            let index = self.index.read();
            if index.sweeps != sweeps {
                return Ok((page, Reach::Swept));
            }
            plan = index.plan(plan.end, tail, filling.matcher);
        }
    }
}

/// A page that fills up.
struct Filling<'a, 'f> {
    page: &'a mut Page,
    matcher: &'a mut Matcher<'f>,
    limit: ReadLimit,
    bytes: usize,
}

impl Filling<'_, '_> {
    /// Adds what a plan finds; `Limit` when the page is full, `Tail` where the plan ends.
    fn add(&mut self, snapshot: &Connection, plan: &Plan) -> rusqlite::Result<Reach> {
        let mut select = snapshot.prepare_cached(SELECT)?;
        for number in &plan.blocks {
            let first = number.first().max(Offset::new(self.page.end.get() + 1));
            let last = number.last().min(plan.end);
            let mut rows = select.query((to_sql(first), to_sql(last)))?;
            while let Some(row) = rows.next()? {
                if self.add_row(row)? == Reach::Limit {
                    return Ok(Reach::Limit);
                }
            }
        }
        self.page.end = plan.end;
        Ok(Reach::Tail)
    }

    fn add_row(&mut self, row: &Row<'_>) -> rusqlite::Result<Reach> {
        let offset = from_sql(row.get(0)?);
        if let Some(topic) = self.matcher.topic(TopicId(row.get(1)?))? {
            let event = event(row, topic.clone())?;
            self.bytes += event.size_bytes();
            if self.bytes > self.limit.bytes && !self.page.entries.is_empty() {
                return Ok(Reach::Limit);
            }
            self.page.entries.push(Entry { offset, event });
        }
        self.page.end = offset;
        let is_full = self.page.entries.len() >= self.limit.events.max(1);
        Ok(if is_full { Reach::Limit } else { Reach::Tail })
    }
}

fn event(row: &Row<'_>, topic: Topic) -> rusqlite::Result<Event> {
    let bytes = || match row.get_ref(7)? {
        ValueRef::Blob(bytes) => Ok(Bytes::copy_from_slice(bytes)),
        _ => Err(damaged("an event's body has no data")),
    };
    let body = match row.get(5)? {
        NO_BODY => None,
        JSON => Some(Body::Json(bytes()?)),
        TEXT => Some(Body::text(bytes()?).map_err(|_| damaged("an event's text is not UTF-8"))?),
        BINARY => Some(Body::Binary { content_type: row.get(6)?, bytes: bytes()? }),
        _ => return Err(damaged("an event's body is of no known kind")),
    };
    let time = Timestamp::from_ms(row.get(4)?);
    Ok(Event { topic, key: row.get(2)?, event_type: row.get(3)?, time, body })
}

/// A few connections, opened when needed.
#[derive(Debug)]
struct Pool {
    file: PathBuf,
    leases: Mutex<Leases>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Leases {
    idle: Vec<Connection>,
    leased: usize,
}

impl Pool {
    /// A connection, once there is one.
    fn lease(&self) -> rusqlite::Result<Lease<'_>> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let all_leased = |leases: &mut Leases| leases.leased >= JOURNAL_READERS_MAX;
        let wait = self.returned.wait_while(leases, all_leased);
        let mut leases = wait.unwrap_or_else(PoisonError::into_inner);
        leases.leased += 1;
        let mut lease = Lease { pool: self, connection: leases.idle.pop() };
        drop(leases);
        if lease.connection.is_none() {
            lease.connection = Some(open_to_read(&self.file)?);
        }
        Ok(lease)
    }
}

/// A connection that goes back when it is dropped.
struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Lease<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("a lease has its connection until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut leases = self.pool.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.leased -= 1;
        leases.idle.extend(self.connection.take());
        self.pool.returned.notify_one();
    }
}
