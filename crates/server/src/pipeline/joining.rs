//! What a server has that stood alone becomes what a cluster begins with (`bellwire join`).
//!
//! ```text
//! engine there, empty? ─▶ journal: copy, read, convert ─▶ register of the epoch ─▶ in its place
//!                         └ nothing is changed yet ─────┘ └ the cluster is this journal's
//! ```
//!
//! Whoever is killed begins again, and it goes on: before the register is set nothing has happened, and
//! once it is set nobody else can begin the cluster.

use std::path::PathBuf;

use bellwire_cluster::{Error, Foundation, Founding, RECORDS};
use bellwire_engines::Options;
use bellwire_journal::{Conversion, Converted, DiskJournal, Owner};

use super::StartError;
use super::cluster::{ClusterError, connect, losses, refuse_what_is_not_yet};
use super::core::topics;
use super::journal::{disk_options, fresh_epoch};
use super::keeping::{LAST_FILE, state_handed_on};
use super::kept_file;
use crate::config::Config;

/// What a cluster has begun with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroughtIn {
    /// What the journal has.
    pub converted: Converted,
    /// Where the journal is as it was.
    pub kept_in: PathBuf,
}

/// Makes the data directory of a server that stood alone that of the first node of an empty cluster.
/// Nothing, where it is that already. Blocks on the disk and the engine.
pub fn bring_in(config: &Config) -> Result<Option<BroughtIn>, StartError> {
    let engine = config.cluster.engine.as_ref().ok_or(ClusterError::NoEngine)?;
    refuse_what_is_not_yet(config)?;
    let data = &config.data;
    if !DiskJournal::is_in(data) {
        return Err(ClusterError::NothingThere { path: data.clone() }.into());
    }
    let options = Options { cluster: config.cluster.name.clone(), ..Options::default() };
    let log = connect(engine, &options)?;
    losses(&*log, config)?;
    if let Owner::Node(epoch) = Owner::of(data)? {
        return match Founding::of(&*log, epoch).map_err(ClusterError::from)? {
            Founding::Begun => Ok(None),
            Founding::Open | Founding::Taken => {
                Err(ClusterError::NodeAlready { path: data.clone() }.into())
            }
        };
    }
    let conversion = Conversion::begin(disk_options(config, &topics(config), fresh_epoch()?))?;
    let converted = conversion.converted();
    if Founding::of(&*log, converted.epoch).map_err(ClusterError::from)? == Founding::Taken {
        return Err(ClusterError::from(Error::Taken).into());
    }
    let before = conversion.records(RECORDS)?;
    let before = before.iter().map(|record| &*record.key);
    let foundation = Foundation::new(converted.epoch, converted.tail);
    let mut changes = foundation.records(before);
    if let Some((change, told)) = state_handed_on(config)? {
        changes.push(change);
        kept_file::write(&data.join(LAST_FILE), &told)?;
    }
    let journal = conversion.finish(changes)?;
    foundation.found(&*log).map_err(ClusterError::from)?;
    let kept_in = journal.install()?;
    Ok(Some(BroughtIn { converted, kept_in }))
}
