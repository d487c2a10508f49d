//! The connections that readers share.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use bellwire_model::limits::JOURNAL_READERS_MAX;
use rusqlite::Connection;

use super::schema::open_to_read;

/// A few connections, opened when needed.
#[derive(Debug)]
pub(super) struct Pool {
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
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file, leases: Mutex::default(), returned: Condvar::new() }
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close_idle(&self) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.idle.clear();
    }

    /// A connection, once there is one.
    pub(super) fn lease(&self) -> rusqlite::Result<Lease<'_>> {
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
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Lease<'_> {
    pub(super) fn connection(&self) -> &Connection {
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
