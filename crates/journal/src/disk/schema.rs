//! The file: its tables, settings and format number.
//!
//! Whoever changes a table raises [`FORMAT`], migrates in [`create`] and tells it in
//! `docs/internals/journal.md`.

use std::path::Path;
use std::time::Duration;

use bellwire_model::limits::WRITE_AHEAD_BYTES_MAX;
use bellwire_model::{Epoch, Offset, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, Transaction, TransactionBehavior};

use super::block_number::BlockNumber;
use super::present::Offsets;
use super::{DiskOptions, Durability};
use crate::Error;
use crate::role::Role;
use crate::steps::Boot;

/// The file in the data directory.
pub(super) const FILE: &str = "journal.sqlite";
/// `Bell` in ASCII: tells the file from other databases.
const APPLICATION_ID: i64 = 0x4265_6c6c;
/// The format that this build writes.
const FORMAT: i64 = 7;
/// What SQLite says of a table in which it finds nothing wrong.
const SOUND: &str = "ok";
/// Where the table `meta` has how many transactions have changed records.
const RECORD_CHANGES: &str = "record_changes";
/// Where the table `meta` has the newest horizon of state topics that are forgotten.
pub(super) const STATE_FORGOTTEN: &str = "state_forgotten";
/// Where the table `meta` has which state topics the last run has kept here.
const STATE_PLACES: &str = "state_places";
/// Where the table `meta` has how much time has passed in the journal's life.
pub(super) const PASSED: &str = "passed";
/// Where the table `meta` has what a replica has applied; nothing where the journal is none.
const APPLIED: &str = "applied";
/// How long to wait for an operator's tool that holds the file, such as a backup.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

// Kinds of body in the table `events`.
pub(super) const NO_BODY: i64 = 0;
pub(super) const JSON: i64 = 1;
pub(super) const TEXT: i64 = 2;
pub(super) const BINARY: i64 = 3;

const TABLES: &str = "
    -- What belongs to the whole journal.
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value ANY NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Names; `trimmed` is the newest offset that retention removed.
    CREATE TABLE topics (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        trimmed INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    -- The events. `kind`, its two lowest bits: 0 none, 1 JSON, 2 text, 3 binary (then with its
    -- content type).
    CREATE TABLE events (
        offset INTEGER PRIMARY KEY,
        topic INTEGER NOT NULL,
        key TEXT,
        type TEXT,
        time INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        content_type TEXT,
        data BLOB
    ) STRICT;

    -- Full blocks of 1024 offsets: what each has of which topic.
    CREATE TABLE blocks (
        block INTEGER NOT NULL,
        topic INTEGER NOT NULL,
        events INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        last INTEGER NOT NULL,
        oldest INTEGER NOT NULL,
        PRIMARY KEY (block, topic)
    ) STRICT, WITHOUT ROWID;

    -- Idempotency keys, by the offset of the event that came with them.
    CREATE TABLE idempotency (
        offset INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        key TEXT NOT NULL,
        time INTEGER NOT NULL
    ) STRICT;
";

/// What format 2 has beyond format 1.
const RECORDS: &str = "
    -- What the server keeps by key beside its events.
    CREATE TABLE records (
        key TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// What format 3 has beyond format 2.
const SUMS: &str = "
    -- Checksums, see `sums`; nothing in rows from before. Those of events are in `kind`.
    ALTER TABLE topics ADD COLUMN checksum INTEGER;
    ALTER TABLE blocks ADD COLUMN checksum INTEGER;
    ALTER TABLE idempotency ADD COLUMN checksum INTEGER;
    ALTER TABLE records ADD COLUMN checksum INTEGER;

    -- Which offsets of a full block have events, where some have none: a bit for each.
    CREATE TABLE holes (
        block INTEGER PRIMARY KEY,
        present BLOB NOT NULL
    ) STRICT;
";

/// What format 4 has beyond format 3.
const STATE: &str = "
    -- Changes of state topics: the newest of each key, and some that no longer count. The columns
    -- are those of events; `topic` is numbered by the table below.
    CREATE TABLE state (
        offset INTEGER PRIMARY KEY,
        topic INTEGER NOT NULL,
        key TEXT,
        type TEXT,
        time INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        content_type TEXT,
        data BLOB
    ) STRICT;

    -- Names of state topics; `horizon` is the newest deletion that is forgotten.
    CREATE TABLE state_topics (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        horizon INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
";

/// What format 5 has beyond format 4.
const ENDS: &str = "
    -- The event that says that a topic has ended; 0 where it has not.
    ALTER TABLE topics ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
";

/// What format 6 has beyond format 5.
const DEADLINES: &str = "
    -- When values of state topics go by themselves, by their offsets, in the milliseconds that have
    -- passed in the journal's life; a row of a value that was replaced goes with that.
    CREATE TABLE deadlines (
        offset INTEGER PRIMARY KEY,
        due INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
";

/// What format 7 has beyond format 6.
const RENEWALS: &str = "
    -- Where a replica was renewed that time last, so that all decide alike whether it is over; 0 where
    -- it is what came with the value. The checksum is of it where there is one.
    ALTER TABLE deadlines ADD COLUMN renewed INTEGER NOT NULL DEFAULT 0;
";

/// What format 6 has of producers.
const PRODUCERS: &str = "
    -- What is remembered of producers: the epoch of each, the sequence that comes next in it, and
    -- the event that it wrote last.
    CREATE TABLE producers (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        producer TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        next INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        time INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
";

/// Opens or creates the file to write it. Commits are synced.
pub(super) fn open_to_write(file: &Path) -> Result<Connection, Error> {
    let (connection, format) = connect_to_write(file)?;
    let prepared = prepare(&connection, format).and_then(|()| tidy_on_close(&connection));
    prepared.map_err(|error| Error::sqlite(file, error))?;
    Ok(connection)
}

/// Opens or creates the file and changes nothing yet. Says what format it has.
///
/// Closing the connection leaves the write-ahead file: where a start or an end fails, the witness
/// still says that it has to be there.
pub(super) fn connect_to_write(file: &Path) -> Result<(Connection, Format), Error> {
    let connect = || {
        let connection =
            connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        let format = Format::of(&connection)?;
        Ok((connection, format))
    };
    let (connection, format) = connect().map_err(|error| Error::sqlite(file, error))?;
    match format {
        Format::Known | Format::Old(_) | Format::New => Ok((connection, format)),
        Format::Foreign => Err(Error::Foreign { path: file.into() }),
        Format::Unknown(found) => Err(too_new(file, found)),
    }
}

/// A newer Bellwire has written it.
pub(super) fn too_new(file: &Path, found: i64) -> Error {
    Error::Format { path: file.into(), found, known: FORMAT }
}

/// From now on, closing the last connection moves what is in the write-ahead file to the main file
/// and removes it.
pub(super) fn tidy_on_close(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// Makes the file one of this format.
pub(super) fn prepare(connection: &Connection, format: Format) -> rusqlite::Result<()> {
    use_write_ahead_file(connection)?;
    connection.pragma_update(None, "synchronous", "full")?;
    // The checkpointer does it, off the writer's way.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let size_limit = WRITE_AHEAD_BYTES_MAX as i64;
    connection.pragma_update_and_check(None, "journal_size_limit", size_limit, |_| Ok(()))?;
    create(connection, &format)
}

/// For a file that is thrown away where writing it fails: no transaction can be taken back.
pub(super) fn write_carelessly(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "off")
}

/// From now on transactions go to the write-ahead file first.
pub(super) fn use_write_ahead_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))
}

/// Opens the file to read it.
pub(super) fn open_to_read(file: &Path) -> rusqlite::Result<Connection> {
    connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens the file to move pages from the write-ahead file into it.
pub(super) fn open_to_checkpoint(file: &Path) -> rusqlite::Result<Connection> {
    connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn connect(file: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time.
    let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    New,
    /// Format 1 has no records, format 2 no checksums, format 3 no state topics, format 4
    /// no topics that have ended, format 5 no keys that go by themselves and no producers, format 6 not
    /// where those were renewed.
    Old(i64),
    Known,
    Unknown(i64),
    Foreign,
}

impl Format {
    /// That of an open file.
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let number =
            |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
        let (application, format) = (number("application_id")?, number("user_version")?);
        let tables = "SELECT count(*) FROM sqlite_schema";
        let is_empty = connection.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0;
        Ok(match (application, format) {
            (0, 0) if is_empty => Self::New,
            (APPLICATION_ID, FORMAT) => Self::Known,
            (APPLICATION_ID, format @ 1..FORMAT) => Self::Old(format),
            (APPLICATION_ID, format) => Self::Unknown(format),
            _ => Self::Foreign,
        })
    }
}

/// Makes the tables that a file of this format lacks.
fn create(connection: &Connection, format: &Format) -> rusqlite::Result<()> {
    if matches!(format, Format::Known) {
        return Ok(());
    }
    let transaction = begin(connection)?;
    if matches!(format, Format::New) {
        transaction.execute_batch(TABLES)?;
    }
    if matches!(format, Format::New | Format::Old(1)) {
        transaction.execute_batch(RECORDS)?;
    }
    if matches!(format, Format::New | Format::Old(1 | 2)) {
        transaction.execute_batch(SUMS)?;
    }
    if !matches!(format, Format::Old(4..=6)) {
        transaction.execute_batch(STATE)?;
    }
    if !matches!(format, Format::Old(5 | 6)) {
        transaction.execute_batch(ENDS)?;
    }
    if !matches!(format, Format::Old(6)) {
        transaction.execute_batch(DEADLINES)?;
        transaction.execute_batch(PRODUCERS)?;
    }
    transaction.execute_batch(RENEWALS)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Whether a file is a replica's, as far as it can be read.
pub(super) fn is_replica(connection: &Connection) -> bool {
    meta::<String>(connection, APPLIED).is_ok_and(|applied| applied.is_some())
}

/// Begins a transaction that writes.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}

/// Changes whenever another connection has written, and after failed transactions.
pub(super) fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// A value of the table `meta`.
pub(super) fn meta<T: FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<Option<T>> {
    let select = "SELECT value FROM meta WHERE name = ?1";
    connection.query_row(select, [name], |row| row.get(0)).optional()
}

/// Sets a value of the table `meta`.
pub(super) fn set_meta(
    connection: &Connection,
    name: &str,
    value: impl ToSql,
) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO meta (name, value) VALUES (?1, ?2)
                  ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.execute(upsert, (name, value)).map(drop)
}

/// How many transactions have changed records.
pub(super) fn record_changes(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(meta::<i64>(connection, RECORD_CHANGES)?.unwrap_or_default().unsigned_abs())
}

/// Counts a transaction that changes records. Returns how many there were with it.
pub(super) fn count_record_change(connection: &Connection) -> rusqlite::Result<u64> {
    let upsert = "INSERT INTO meta (name, value) VALUES (?1, 1)
                  ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value";
    let mut upsert = connection.prepare_cached(upsert)?;
    upsert.query_row([RECORD_CHANGES], |row| row.get(0)).map(i64::unsigned_abs)
}

/// What is known of the last run.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastRun {
    /// Its epoch; nothing where there was none.
    pub(super) epoch: Option<Epoch>,
    /// Whether it was closed.
    pub(super) was_closed: bool,
    /// Whether the system lives on since.
    pub(super) boot: Boot,
    /// It may have acknowledged events that are not in the file: it did not sync each commit, was
    /// not closed, and the system did not live on after it.
    pub(super) may_have_lost: bool,
    /// How many transactions have changed records.
    pub(super) record_changes: u64,
    /// Whether other state topics were kept here than are now, by a journal that is no replica: in one
    /// all come in the order that all have.
    pub(super) had_other_places: bool,
    /// What a replica had applied; nothing where it was none.
    pub(super) applied: Option<Applied>,
    /// Whether its offsets go on.
    continuity: Continuity,
}

/// Whether a run goes on with the offsets of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuity {
    Kept,
    Broken,
}

/// What a replica has applied, in the transaction that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Up to where.
    pub(super) tail: Offset,
    /// How late it was then, as the order says.
    pub(super) time: Timestamp,
}

impl Applied {
    /// Nothing, on a journal that ends there.
    pub(super) const fn nothing(tail: Offset) -> Self {
        Self { tail, time: Timestamp::MIN }
    }

    /// Writes it down.
    pub(super) fn save(self, connection: &Connection) -> rusqlite::Result<()> {
        let text = format!("{} {}", self.tail, self.time.as_ms());
        let upsert = "INSERT INTO meta (name, value) VALUES (?1, ?2)
                      ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        connection.prepare_cached(upsert)?.execute((APPLIED, text)).map(drop)
    }

    /// What a file says; nothing where it is no replica's.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let Some(text) = meta::<String>(connection, APPLIED)? else { return Ok(None) };
        let numbers = text.split_once(' ');
        let applied = numbers.and_then(|(tail, time)| {
            let tail = Offset::new(tail.parse().ok()?);
            Some(Self { tail, time: Timestamp::from_ms(time.parse().ok()?) })
        });
        applied.map(Some).ok_or_else(|| damaged("up to where it was applied"))
    }
}

impl LastRun {
    /// Whether another epoch begins.
    pub(super) fn ends_epoch(self) -> bool {
        self.epoch.is_some() && self.continuity == Continuity::Broken
    }

    /// The epoch of the run that begins.
    pub(super) fn next_epoch(self, options: &DiskOptions) -> Epoch {
        match self.epoch {
            Some(epoch) if self.continuity == Continuity::Kept => epoch,
            // A random number may be the old one by chance.
            Some(epoch) if epoch == options.fresh_epoch => Epoch::new(epoch.get().wrapping_add(1)),
            None | Some(_) => options.fresh_epoch,
        }
    }
}

/// How the last run worked and ended.
pub(super) fn last_run(
    connection: &Connection,
    (options, role): (&DiskOptions, Role),
) -> rusqlite::Result<LastRun> {
    let durability: Option<String> = meta(connection, "durability")?;
    let was_closed = meta(connection, "clean")?.unwrap_or(false);
    let boot_id: Option<String> = meta(connection, "boot_id")?;
    let is_same = options.boot_id.is_some() && options.boot_id == boot_id;
    let boot = if is_same { Boot::Same } else { Boot::Other };
    let synced = durability.as_deref() == Some(Durability::Sync.as_str());
    let may_have_lost = !synced && !was_closed && boot == Boot::Other;
    let epoch = meta(connection, "epoch")?.map(Epoch::new);
    let places: Option<String> = meta(connection, STATE_PLACES)?;
    let applied = Applied::load(connection)?;
    let goes_on = match role {
        Role::Alone => !may_have_lost && applied.is_none(),
        // What a replica has lost comes once more, as it was.
        Role::Replica => applied.is_some(),
    };
    let has_other_places = || places.is_some_and(|places| places != options.state_places);
    Ok(LastRun {
        epoch,
        was_closed,
        boot,
        may_have_lost: may_have_lost && epoch.is_some(),
        record_changes: record_changes(connection)?,
        had_other_places: role == Role::Alone && has_other_places(),
        applied,
        continuity: if goes_on { Continuity::Kept } else { Continuity::Broken },
    })
}

/// Forgets everything, and begins another life in a transaction that is under way: of this epoch, in
/// which all up to `base` was removed.
pub(super) fn begin_anew(
    connection: &Connection,
    (epoch, base): (Epoch, Offset),
) -> rusqlite::Result<()> {
    for table in SMALL_TABLES.iter().filter(|table| **table != "meta").chain(&["events"]) {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    for name in ["open", "clock", RECORD_CHANGES] {
        connection.execute("DELETE FROM meta WHERE name = ?1", [name])?;
    }
    set_meta(connection, "epoch", epoch.get())?;
    set_meta(connection, "forgotten", to_sql(base))?;
    set_meta(connection, STATE_FORGOTTEN, to_sql(base))?;
    Applied::nothing(base).save(connection)
}

/// All but that of events.
const SMALL_TABLES: [&str; 10] = [
    "meta",
    "topics",
    "blocks",
    "holes",
    "idempotency",
    "records",
    "state",
    "state_topics",
    "deadlines",
    "producers",
];

/// Looks whether the small tables hang together; whoever reads events looks at those.
pub(super) fn check_tables(connection: &Connection) -> rusqlite::Result<()> {
    for table in SMALL_TABLES {
        let found = quick_check(connection, table)?;
        if found != SOUND {
            return Err(damaged(format!("table {table}: {found}")));
        }
    }
    Ok(())
}

/// Whether a table hangs together, so that whoever goes through it meets all that it has.
pub(super) fn is_sound(connection: &Connection, table: &str) -> bool {
    quick_check(connection, table).is_ok_and(|found| found == SOUND)
}

fn quick_check(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let check = format!("PRAGMA quick_check('{table}')");
    connection.query_row(&check, [], |row| row.get(0))
}

/// Notes that a server runs on this journal. Returns the epoch that its offsets belong to.
pub(super) fn begin_run(
    connection: &Connection,
    (options, role): (&DiskOptions, Role),
    (last, tail): (LastRun, Offset),
) -> rusqlite::Result<Epoch> {
    let epoch = last.next_epoch(options);
    let transaction = begin(connection)?;
    set_meta(&transaction, "epoch", epoch.get())?;
    set_meta(&transaction, "durability", options.durability.as_str())?;
    set_meta(&transaction, "boot_id", options.boot_id.as_deref().unwrap_or_default())?;
    set_meta(&transaction, "clean", false)?;
    set_meta(&transaction, STATE_PLACES, options.state_places.as_str())?;
    if last.had_other_places {
        set_meta(&transaction, STATE_FORGOTTEN, to_sql(tail))?;
    }
    match (role, last.applied) {
        (Role::Replica, None) => Applied::nothing(tail).save(&transaction)?,
        (Role::Alone, Some(_)) => {
            transaction.execute("DELETE FROM meta WHERE name = ?1", [APPLIED])?;
        }
        (Role::Replica, Some(_)) | (Role::Alone, None) => {}
    }
    // Holds until something is appended or removed.
    transaction.execute("DELETE FROM meta WHERE name = 'open'", [])?;
    transaction.commit()?;
    Ok(epoch)
}

/// Notes that the run has ended and everything is on the disk.
pub(super) fn end_run(
    connection: &Connection,
    open: Option<(BlockNumber, &Offsets)>,
) -> rusqlite::Result<()> {
    // This commit's sync takes along what earlier commits left to the system.
    connection.pragma_update(None, "synchronous", "full")?;
    let transaction = begin(connection)?;
    if let Some((number, offsets)) = open {
        let bytes = [&number.0.to_le_bytes()[..], &offsets.to_bytes()].concat();
        set_meta(&transaction, "open", bytes)?;
    }
    set_meta(&transaction, "clean", true)?;
    transaction.commit()
}

/// The block that was not full when the last run ended.
pub(super) fn open_block(
    connection: &Connection,
) -> rusqlite::Result<Option<(BlockNumber, Offsets)>> {
    let Some(bytes) = meta::<Vec<u8>>(connection, "open")? else { return Ok(None) };
    let open = bytes.split_first_chunk().and_then(|(number, offsets)| {
        Some((BlockNumber(u64::from_le_bytes(*number)), Offsets::from_bytes(offsets)?))
    });
    open.map(Some).ok_or_else(|| damaged("what the newest block has"))
}

/// Offsets are stored as SQLite's signed integers.
pub(super) fn to_sql(offset: Offset) -> i64 {
    offset.get() as i64
}

/// The counterpart of [`to_sql`].
pub(super) fn from_sql(number: i64) -> Offset {
    Offset::new(number as u64)
}

/// The file has a value that no version of this code writes.
pub(super) fn damaged(
    what: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Null, what.into())
}
