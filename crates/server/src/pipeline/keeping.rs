//! What the alerting stands on: the journal of a server that stands alone, that of the keeper among other
//! nodes, or nothing.
//!
//! A node that is not the keeper has all parts of the alerting as well, so that whoever reaches them need
//! not know: with no rules, over an empty journal that is nobody's, and they show nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use bellwire_alerting::{Beginning, Charge, Standby, StateCopy, StateTopics};
use bellwire_cluster::FencedJournal;
use bellwire_journal::{Journal, MemoryJournal, Observer, RecordChange};
use bellwire_model::limits::CLUSTER_START_PATIENCE;
use bellwire_model::{Alert, Entry};
use bellwire_process::clock;
use bellwire_shards::States;

use super::StartError;
use super::cluster::ClusterError;
use super::kept_file;
use crate::board::{Board, Leftovers, Nowhere, SharedBoard};
use crate::config::{Config, Engine};
use crate::durable_streams::Decides;
use crate::membership::{Membership, Role};
use crate::mirror;
use crate::standby::{self, InLog};

/// Whose evaluation the newest transitions in the log are of: a node and a number.
const LAST: &str = "alerting/keeper";

/// The same of what the data directory has of rules.
pub(super) const LAST_FILE: &str = "keeper";

/// See the module.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) states: Arc<dyn StateTopics>,
    /// Where the board of alerts is one that nodes share.
    pub(super) board: Option<Arc<SharedBoard>>,
    /// What another node had shown here.
    pub(super) leftovers: Option<Arc<Leftovers>>,
    pub(super) charge: Charge,
    /// Where another node may take over.
    pub(super) standby: Option<Arc<Standby>>,
    pub(super) role: Keeps,
}

/// What a server does of the alerting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    /// All, alone.
    Alone,
    /// All, as one of several that may.
    Among,
    /// Nothing: another does.
    Nothing,
}

impl Keeping {
    pub(super) fn new(
        journal: &Arc<dyn Journal>,
        states: &Arc<States>,
        cluster: Option<&Arc<Membership>>,
    ) -> Self {
        let states = Arc::clone(states);
        let Some(cluster) = cluster else {
            let (journal, charge) = (Arc::clone(journal), Charge::always());
            let states = Arc::new(Board(states));
            let (board, leftovers, standby, role) = (None, None, None, Keeps::Alone);
            return Self { journal, states, board, leftovers, charge, standby, role };
        };
        let Role::Keeper(term) = cluster.role else {
            let epoch = journal.epoch();
            let journal = Arc::new(MemoryJournal::new(epoch, Vec::new(), Box::new(Nobody)));
            let (states, charge) = (Arc::new(Nowhere), Charge::told(|| false));
            let (board, leftovers, standby, role) = (None, None, None, Keeps::Nothing);
            return Self { journal, states, board, leftovers, charge, standby, role };
        };
        let tenure = Arc::clone(&cluster.tenure);
        let journal = FencedJournal::new(Arc::clone(&cluster.journal), tenure, term);
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let leftovers = Leftovers::of(&states, &mirror::of_keeper());
        let board = SharedBoard::new(states, Arc::clone(&leftovers), Arc::clone(&journal));
        let board = Arc::new(board);
        let of = Arc::clone(cluster);
        let charge = Charge::told(move || of.is_in_charge());
        let states = Arc::<SharedBoard>::clone(&board);
        let (board, leftovers) = (Some(board), Some(leftovers));
        let (standby, role) = (cluster.standby.clone(), Keeps::Among);
        Self { journal, states, board, leftovers, charge, standby, role }
    }

    /// How this server creates and deletes streams, where it does.
    pub(super) fn decides(&self) -> Option<Decides> {
        let (journal, charge) = (Arc::clone(&self.journal), self.charge.clone());
        self.evaluates().then_some(Decides { journal, charge })
    }

    /// Whether this server evaluates rules.
    pub(super) fn evaluates(&self) -> bool {
        self.role != Keeps::Nothing
    }

    /// Where the rules' state is kept, and what they begin with. Blocks on the log, where it is to say that
    /// from now on it is this node that evaluates them.
    pub(super) fn state(
        &self,
        config: &Config,
        cluster: Option<&Arc<Membership>>,
    ) -> Result<RuleState, StartError> {
        let folder = kept_state_folder(config);
        let beginning = Beginning::WhereItEnded;
        let cluster = match (self.role, cluster) {
            (Keeps::Among, Some(cluster)) => cluster,
            (Keeps::Nothing, _) => return Ok(RuleState::of_one(None)),
            _ => return Ok(RuleState::of_one(folder)),
        };
        let file = config.data.join(LAST_FILE);
        let copy = standby::folder(&config.data);
        let records = self.journal.records(LAST)?;
        let told =
            records.first().map(|record| String::from_utf8_lossy(&record.value).into_owned());
        let named = InLog::read(&*self.journal)?;
        let own = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if let Some(evaluation) = told.clone().filter(|told| own.as_ref() == Some(told)) {
            // Of what it writes from now on nobody has anything.
            if named.is_some() {
                self.write(vec![InLog::none()])?;
            }
            return Ok(RuleState { folder, beginning, copy, evaluation, newest: None });
        }
        let named = named.filter(|named| named.node == cluster.node);
        let beginning = copied(&copy, (told.as_deref(), named.as_ref()));
        let number = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let newest = format!("{} {number:016x}", cluster.node);
        if beginning != Beginning::Afresh {
            StateCopy::note_taken(&copy, &newest)?;
        }
        let value = Some(newest.clone().into_bytes().into());
        self.write(vec![RecordChange { key: LAST.into(), value }, InLog::none()])?;
        let evaluation = newest.clone();
        Ok(RuleState { folder, beginning, copy, evaluation, newest: Some((file, newest)) })
    }

    /// Has the log say so. Blocks.
    fn write(&self, changes: Vec<RecordChange>) -> Result<(), StartError> {
        let (reply, replied) = sync_channel(1);
        let reply = Box::new(move |answer| {
            let _ = reply.send(answer);
        });
        self.journal.write_records(changes, reply)?;
        let written = replied.recv_timeout(CLUSTER_START_PATIENCE);
        written.map_err(|_| ClusterError::NotReached { why: "it takes nothing".to_owned() })??;
        Ok(())
    }

    /// The alerts as other nodes have shown them, for longer maybe than the log has their transitions.
    pub(super) fn shown(&self) -> Vec<Alert> {
        self.board.as_ref().map_or_else(Vec::new, |board| board.alerts())
    }

    /// The rules have begun, and all alerts are shown.
    pub(super) fn begun(&self, state: &RuleState) -> io::Result<()> {
        if let Some((file, newest)) = &state.newest {
            // Before the copy goes: one of the two is there, whatever becomes of the power.
            kept_file::write(file, newest)?;
        }
        if let Some(standby) = &self.standby {
            StateCopy::remove(&state.copy)?;
            standby.open(&state.evaluation);
        }
        if let Some(board) = &self.board {
            board.settle(clock::now());
        }
        Ok(())
    }
}

/// Of a server that stood alone and has evaluated rules: the record by which what its directory has of them is
/// the newest of a cluster that begins with it, and what is to stand there of that.
pub(super) fn state_handed_on(config: &Config) -> io::Result<Option<(RecordChange, String)>> {
    if !rule_state_folder(&config.data).exists() {
        return Ok(None);
    }
    let number = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    let told = format!("join {number:016x}");
    let value = Some(told.clone().into_bytes().into());
    Ok(Some((RecordChange { key: LAST.into(), value }, told)))
}

/// What a data directory has of rules.
#[derive(Debug)]
pub(super) struct RuleState {
    pub(super) folder: Option<PathBuf>,
    pub(super) beginning: Beginning,
    /// Where this node has copied what another knew, of no use once the rules have begun.
    copy: PathBuf,
    /// The term of the evaluation.
    evaluation: String,
    /// What is to stand there of whose it is, once the rules have begun.
    newest: Option<(PathBuf, String)>,
}

impl RuleState {
    /// Of a server that shares it with nobody.
    fn of_one(folder: Option<PathBuf>) -> Self {
        let (copy, evaluation) = (PathBuf::new(), String::new());
        Self { folder, beginning: Beginning::WhereItEnded, copy, evaluation, newest: None }
    }
}

/// What rules begin with that another node had before: a copy, where it is of the last evaluation and whole.
fn copied(copy: &Path, (last, named): (Option<&str>, Option<&InLog>)) -> Beginning {
    let Some(last) = last else { return Beginning::Afresh };
    let of = named.map(InLog::named);
    let named = of.as_ref().zip(named).map(|(of, named)| (of, &*named.evaluation));
    match StateCopy::is_whole(copy, (last, named)) {
        Ok(true) => {
            tracing::info!("The rules go on with what the standby has.");
            Beginning::WhereAnotherEnded(copy.to_owned())
        }
        Ok(false) => {
            tracing::warn!(
                "This node has not got what the last one knew of samples: pending alerts and windows begin anew."
            );
            Beginning::Afresh
        }
        Err(error) => {
            tracing::error!(%error, "The copy of what the last node knew cannot be read: pending alerts and windows begin anew.");
            Beginning::Afresh
        }
    }
}

/// The folder of the rules' state, in a data directory.
pub fn rule_state_folder(data: &Path) -> PathBuf {
    data.join("rules")
}

/// The same of a server that keeps something.
pub(super) fn kept_state_folder(config: &Config) -> Option<PathBuf> {
    (config.journal == Engine::Disk).then(|| rule_state_folder(&config.data))
}

/// Nobody is shown what becomes of nothing.
struct Nobody;

impl Observer for Nobody {
    fn on_commit(&mut self, _: Vec<Entry>) {}
}
