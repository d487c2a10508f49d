//! Readers: connections of their own, so that they never wait for the writer nor it for them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwire_model::{Body, Entry, Event, FilterSet, Offset, Timestamp, Topic};
use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, Row};

use super::index::{Matcher, Plan, Planned, SharedIndex};
use super::pool::Pool;
use super::present::Present;
use super::schema::{BINARY, JSON, NO_BODY, TEXT, damaged, from_sql, to_sql};
use super::sums;
use super::{records, rows};
use crate::topics::TopicId;
use crate::trims::Search;
use crate::{Page, ReadLimit, Record};

/// What [`event`] reads, and the offset.
pub(super) const SELECT: &str = "
    SELECT topic, time, kind, data, key, type, content_type, offset
    FROM events WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset";
/// Columns of [`SELECT`].
pub(super) const TOPIC: usize = 0;
pub(super) const OFFSET: usize = 7;
const SELECT_COUNTED: &str = "
    SELECT topic, time, kind, data, key, type, content_type
    FROM events WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset";
const SELECT_BARE: &str = "
    SELECT topic, time, kind, data
    FROM events WHERE offset BETWEEN ?1 AND ?2 ORDER BY offset";

/// The readers of one journal.
#[derive(Debug)]
pub(super) struct Readers {
    index: SharedIndex,
    pool: Pool,
    /// Damaged events that were met, each as often as it was.
    damaged: AtomicU64,
}

impl Readers {
    pub(super) fn new(file: PathBuf, index: SharedIndex) -> Self {
        Self { index, pool: Pool::new(file), damaged: AtomicU64::new(0) }
    }

    /// See [`Journal::read`](crate::Journal::read).
    pub(super) fn read(
        &self,
        after: Offset,
        filters: &FilterSet,
        limit: ReadLimit,
    ) -> rusqlite::Result<Page> {
        if after >= self.index.bounds().tail {
            let trimmed = self.index.trimmed(filters);
            return Ok(Page { entries: Vec::new(), end: after, trimmed, lost: 0 });
        }
        let lease = self.pool.lease()?;
        let mut after = after;
        loop {
            let scan = Scan { index: &self.index, connection: lease.connection(), filters, limit };
            let (page, reach) = scan.run(after)?;
            self.damaged.fetch_add(page.lost, Ordering::Relaxed);
            if !page.entries.is_empty() || page.lost > 0 || reach == Reach::Tail {
                return Ok(page);
            }
            // Retention passed by, or somebody writes, before anything was found: go on with a new
            // snapshot.
            after = page.end;
        }
    }

    /// See [`Journal::records`](crate::Journal::records).
    pub(super) fn records(&self, prefix: &str) -> rusqlite::Result<Vec<Record>> {
        let lease = self.pool.lease()?;
        records::with_prefix(lease.connection(), prefix)
    }

    /// Reads what somebody else knows how to read.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        read(self.pool.lease()?.connection())
    }

    /// See [`Journal::damaged`](crate::Journal::damaged).
    pub(super) fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close_idle(&self) {
        self.pool.close_idle();
    }
}

/// Why a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Tail,
    Limit,
    /// The index is not true of the snapshot any more, or somebody writes.
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
        let mut search = Search::new(self.filters);
        let (mut page, mut plan, tail, sweeps) = loop {
            let index = self.index.read();
            let Some(trimmed) = index.topics.search(&mut search) else { continue };
            snapshot.prepare_cached("SELECT 1 FROM meta LIMIT 1")?.query_row([], |_| Ok(()))?;
            let plan = index.plan(after, index.tail, &mut matcher);
            let page = Page { entries: Vec::new(), end: after, trimmed, lost: 0 };
            break (page, plan, index.tail, index.sweeps);
        };

        // 2. Scan what matches, plan by plan, for as long as the index is true of the snapshot.
        let mut filling =
            Filling { page: &mut page, matcher: &mut matcher, limit: self.limit, bytes: 0, tail };
        loop {
            let reach = filling.add(&snapshot, &plan)?;
            if reach != Reach::Tail {
                return Ok((page, reach));
            }
            if plan.end >= tail {
                return Ok((page, Reach::Tail));
            }
            let index = self.index.try_read().filter(|index| index.sweeps == sweeps);
            let Some(index) = index else { return Ok((page, Reach::Swept)) };
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
    tail: Offset,
}

/// The offsets of a block that are to be read.
struct Stretch<'a> {
    first: Offset,
    last: Offset,
    present: &'a Present,
}

/// Which columns a scan reads. Each costs a twentieth of what a row does, and where every offset has
/// an event the checksum vouches for those that are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Columns {
    /// Neither the offset, which is counted, nor texts: the event is right if it has none.
    Bare,
    /// All but the offset.
    Counted,
    /// All.
    Numbered,
}

impl Columns {
    /// In which order they are tried.
    fn of(present: &Present) -> &'static [Self] {
        match present {
            Present::All => &[Self::Bare, Self::Counted, Self::Numbered],
            Present::Some(_) | Present::Unknown | Present::Stored => &[Self::Numbered],
        }
    }

    fn select(self) -> &'static str {
        match self {
            Self::Bare => SELECT_BARE,
            Self::Counted => SELECT_COUNTED,
            Self::Numbered => SELECT,
        }
    }
}

/// What is at an offset.
enum Found {
    Event(Event),
    /// An event that does not match.
    Other,
    /// More of its columns have to be read.
    Unclear,
    /// An event that is not what was written, or not there although it must be.
    Lost,
}

/// How a scan of rows ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scanned {
    Whole,
    Full,
    /// More columns have to be read.
    Unclear,
    /// A row is damaged or missing.
    Doubtful,
}

impl Filling<'_, '_> {
    /// Adds what a plan finds; `Limit` when the page is full, `Tail` where the plan ends, `Swept` where
    /// the snapshot lacks what is known of a block by now.
    fn add(&mut self, snapshot: &Connection, plan: &Plan) -> rusqlite::Result<Reach> {
        for Planned { number, range, present } in &plan.blocks {
            let first = range.0.max(Offset::new(self.page.end.get() + 1));
            let stored = match present {
                Present::Stored => match rows::present(snapshot, *number)? {
                    Some(stored) => Some(stored),
                    None => return Ok(Reach::Swept),
                },
                Present::Unknown | Present::All | Present::Some(_) => None,
            };
            let present = stored.as_ref().unwrap_or(present);
            let stretch = Stretch { first, last: range.1.min(plan.end), present };
            let mut scanned = Scanned::Unclear;
            for columns in Columns::of(present) {
                if scanned == Scanned::Unclear {
                    scanned = self.scan(snapshot, &stretch, *columns)?;
                }
            }
            let reach = match scanned {
                Scanned::Whole => Reach::Tail,
                Scanned::Full => Reach::Limit,
                Scanned::Unclear | Scanned::Doubtful => self.search(snapshot, &stretch)?,
            };
            if reach == Reach::Limit {
                return Ok(Reach::Limit);
            }
        }
        self.page.end = plan.end;
        Ok(Reach::Tail)
    }

    /// Takes row after row, for as long as each is whole and none is missing.
    fn scan(
        &mut self,
        snapshot: &Connection,
        stretch: &Stretch<'_>,
        columns: Columns,
    ) -> rusqlite::Result<Scanned> {
        let mut select = snapshot.prepare_cached(columns.select())?;
        let mut next = stretch.first.max(Offset::new(self.page.end.get() + 1));
        let mut rows = select.query((to_sql(next), to_sql(stretch.last)))?;
        loop {
            let row = match rows.next() {
                Ok(row) => row,
                Err(error) if is_damage(&error) => return Ok(Scanned::Doubtful),
                Err(error) => return Err(error),
            };
            let offset = match row {
                Some(row) if columns == Columns::Numbered => from_sql(row.get(OFFSET)?),
                Some(_) => next,
                None => Offset::new(stretch.last.get() + 1),
            };
            let is_missing = || stretch.present.first_missing(next, offset.get()).is_some();
            if offset < next || is_missing() {
                return Ok(Scanned::Doubtful);
            }
            let Some(row) = row else { return Ok(Scanned::Whole) };
            let found = self.found(row, offset, columns).unwrap_or(Found::Lost);
            if matches!(found, Found::Unclear) {
                return Ok(Scanned::Unclear);
            }
            if matches!(found, Found::Lost) || !stretch.present.may_have(offset) {
                return Ok(Scanned::Doubtful);
            }
            if self.take(offset, found) == Reach::Limit {
                return Ok(Scanned::Full);
            }
            next = Offset::new(offset.get() + 1);
        }
    }

    /// Looks for each event by itself: a damaged page hides those that lie beside it.
    fn search(&mut self, snapshot: &Connection, stretch: &Stretch<'_>) -> rusqlite::Result<Reach> {
        let first = stretch.first.max(Offset::new(self.page.end.get() + 1));
        let mut next = first;
        let end = stretch.last.get() + 1;
        while let Some(offset) = stretch.present.first_possible(next, end) {
            next = Offset::new(offset.get() + 1);
            let found = match self.look_up(snapshot, offset)? {
                Some(found) => found,
                None if stretch.present.must_have(offset) => Found::Lost,
                None => continue,
            };
            if self.take(offset, found) == Reach::Limit {
                return Ok(Reach::Limit);
            }
        }
        Ok(Reach::Tail)
    }

    fn look_up(&self, snapshot: &Connection, offset: Offset) -> rusqlite::Result<Option<Found>> {
        let mut select = snapshot.prepare_cached(SELECT)?;
        let mut rows = select.query((to_sql(offset), to_sql(offset)))?;
        match rows.next() {
            Ok(row) => {
                Ok(row.map(|row| self.found(row, offset, Columns::Numbered).unwrap_or(Found::Lost)))
            }
            Err(error) if is_damage(&error) => Ok(Some(Found::Lost)),
            Err(error) => Err(error),
        }
    }

    fn found(&self, row: &Row<'_>, offset: Offset, columns: Columns) -> rusqlite::Result<Found> {
        let Some((topic, sums)) = self.matcher.topic(TopicId(row.get(TOPIC)?))? else {
            return Ok(Found::Other);
        };
        let (event, kind) = match columns {
            Columns::Counted | Columns::Numbered => event(row, topic.clone())?,
            Columns::Bare => match bare_event(row, topic.clone()) {
                Ok(bare) => bare,
                Err(_) => return Ok(Found::Unclear),
            },
        };
        let kind_of = |event: &Event| sums.kind_of(offset, event);
        Ok(match columns {
            Columns::Bare | Columns::Counted if !sums::is_summed(kind) => Found::Unclear,
            _ if is_whole(kind, &event, kind_of) => Found::Event(event),
            Columns::Bare => Found::Unclear,
            Columns::Counted | Columns::Numbered => Found::Lost,
        })
    }

    /// Takes what is at an offset, unless the page is full without it. A page with something lost
    /// begins with it, so that its gap lies before all that follows.
    fn take(&mut self, offset: Offset, found: Found) -> Reach {
        match found {
            Found::Event(event) => {
                self.bytes += event.size_bytes();
                if self.bytes > self.limit.bytes && !self.page.entries.is_empty() {
                    return Reach::Limit;
                }
                self.page.entries.push(Entry::of_stream(offset, event));
            }
            Found::Lost if !self.page.entries.is_empty() => return Reach::Limit,
            Found::Lost => {
                // Beyond what retention has told already: that is not told again.
                let told = Offset::new(self.page.trimmed.get() + 1).min(self.tail);
                self.page.trimmed = self.page.trimmed.max(told).max(offset);
                self.page.lost += 1;
            }
            // Nothing vouches for the offset of one that was counted: where one before it is missing,
            // that has to be noticed first.
            Found::Other | Found::Unclear => return Reach::Tail,
        }
        self.page.end = offset;
        let is_full = self.page.entries.len() >= self.limit.events.max(1);
        if is_full { Reach::Limit } else { Reach::Tail }
    }
}

/// Whether an event of this `kind` is what was written: the kind is as its checksum makes it. One
/// from before there were checksums has none.
pub(super) fn is_whole(kind: i64, event: &Event, kind_of: impl FnOnce(&Event) -> i64) -> bool {
    match &event.body {
        _ if sums::is_summed(kind) => kind == kind_of(event),
        Some(Body::Json(json)) => std::str::from_utf8(json).is_ok(),
        _ => true,
    }
}

/// Whether the file is damaged, where it was read.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Reads a row of [`SELECT`], and what its `kind` is.
pub(super) fn event(row: &Row<'_>, topic: Topic) -> rusqlite::Result<(Event, i64)> {
    let (mut event, kind) = event_with(row, topic, || row.get(6))?;
    (event.key, event.event_type) = (row.get(4)?, row.get(5)?);
    Ok((event, kind))
}

/// Reads a row of [`SELECT_BARE`]. Fails where there must be a text.
fn bare_event(row: &Row<'_>, topic: Topic) -> rusqlite::Result<(Event, i64)> {
    event_with(row, topic, || Err(rusqlite::Error::InvalidColumnIndex(6)))
}

fn event_with(
    row: &Row<'_>,
    topic: Topic,
    content_type: impl FnOnce() -> rusqlite::Result<Box<str>>,
) -> rusqlite::Result<(Event, i64)> {
    let bytes = || match row.get_ref(3)? {
        ValueRef::Blob(bytes) => Ok(Bytes::copy_from_slice(bytes)),
        _ => Err(damaged("an event's body has no data")),
    };
    let kind = row.get(2)?;
    let body = match sums::body_kind(kind) {
        NO_BODY => None,
        JSON => Some(Body::Json(bytes()?)),
        TEXT => Some(Body::text(bytes()?).map_err(|_| damaged("an event's text is not UTF-8"))?),
        BINARY => Some(Body::Binary { content_type: content_type()?, bytes: bytes()? }),
        _ => return Err(damaged("an event's body is of no known kind")),
    };
    let time = Timestamp::from_ms(row.get(1)?);
    Ok((Event { topic, key: None, event_type: None, time, body }, kind))
}
