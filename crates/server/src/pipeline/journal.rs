//! The journal that the configuration asks for, and how it ages.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bellwire_journal::{
    ClockReading, DiskJournal, DiskOptions, Journal, MemoryJournal, StateLoader,
};
use bellwire_model::Epoch;
use bellwire_model::limits::RETENTION_INTERVAL;
use bellwire_process::clock;
use bellwire_shards::{Committer, TopicRules};

use super::StartError;
use super::cluster::{Joined, Succession};
use crate::config::{Config, Durability, Engine};

/// A journal as it is opened.
pub(super) enum Opened {
    /// Of a server that stands alone.
    Alone(Arc<dyn Journal>),
    /// Of a node among others, of which nothing happens yet.
    Among(Box<Joined>),
}

impl Opened {
    /// The journal.
    pub(super) fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Self::Alone(journal) => Arc::clone(journal),
            Self::Among(joined) => joined.journal(),
        }
    }
}

/// Opens it, and hands on what it has of state topics.
pub(super) fn open_journal(
    config: &Config,
    topics: &TopicRules,
    committer: Committer,
    states: &mut dyn StateLoader,
    (address, succession): (SocketAddr, &Succession),
) -> Result<Opened, StartError> {
    let epoch = fresh_epoch()?;
    if let Some(engine) = &config.cluster.engine {
        let options = || disk_options(config, topics, epoch);
        let open =
            Joined::open((config, engine, succession), address, options, (committer, states));
        return Ok(Opened::Among(Box::new(open?)));
    }
    let observer = Box::new(committer);
    Ok(Opened::Alone(match config.journal {
        Engine::Memory => Arc::new(MemoryJournal::new(epoch, topics.retention(), observer)),
        Engine::Disk => {
            let options = disk_options(config, topics, epoch);
            Arc::new(DiskJournal::open_into(options, observer, states)?)
        }
    }))
}

/// One that nobody has.
pub(super) fn fresh_epoch() -> io::Result<Epoch> {
    getrandom::u32().map(Epoch::new).map_err(|error| io::Error::other(error.to_string()))
}

/// How it is opened on the disk.
pub(super) fn disk_options(
    config: &Config,
    topics: &TopicRules,
    fresh_epoch: Epoch,
) -> DiskOptions {
    DiskOptions {
        path: config.data.clone(),
        durability: match config.durability {
            Durability::Sync => bellwire_journal::Durability::Sync,
            Durability::Interval => bellwire_journal::Durability::Interval,
        },
        retention: topics.retention(),
        state_places: topics.state_places(),
        fresh_epoch,
        boot_id: boot_id(),
        now: clock_reading(),
    }
}

/// What the journal ages by.
fn clock_reading() -> ClockReading {
    ClockReading { wall: clock::now(), uptime: clock::uptime() }
}

/// Tells one boot of the system from another, where it says so.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Applies retention again and again. A failure is told; the next round tries again.
pub(super) async fn apply_retention(journal: Arc<dyn Journal>) {
    let mut interval = tokio::time::interval(RETENTION_INTERVAL);
    loop {
        interval.tick().await;
        let journal = Arc::clone(&journal);
        let applied =
            tokio::task::spawn_blocking(move || journal.apply_retention(clock_reading())).await;
        match applied {
            Ok(Ok(None) | Err(bellwire_journal::Error::Closed)) => {}
            Ok(Ok(Some(step))) => {
                let by_s = step.by_ms / 1000;
                tracing::warn!(
                    by_s,
                    "The clock was set. Events and keys age by the time that passes, not by it."
                );
            }
            Ok(Err(error)) => tracing::warn!(%error, "Retention could not be applied."),
            Err(error) => tracing::error!(%error, "Retention failed."),
        }
    }
}
