//! Takes the desk over and gives it up while the server runs: its clients stay, and so does its journal.
//!
//! ```text
//! Tenure ─ seat ─▶ Turns: this node holds it, and the journal has all ─┐
//!                         another node does ──────────────────────────┴▶ the old desk ends ─▶ a new one is asked
//! ```
//!
//! A desk ends, its threads joined, before the next one begins: two of one process never have the same files, and
//! the last word of one is before the first of the other. Whoever asks in between is told to ask again. Where a desk
//! does not begin all begins anew, as at a start.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_alerting::Reload;
use bellwire_cluster::{Seat, Tenure};
use bellwire_model::limits::CLUSTER_ROLE_PATIENCE;
use bellwire_model::with_causes;
use bellwire_process::crash;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::StartError;
use super::cluster::{DESK_CATCH_UP_MAX, Succession, turned};
use super::desk::{Desk, Ground, Running};
use super::ending::LastWords;
use super::files;
use super::keeping::rule_state_folder;
use crate::api::{self, App};
use crate::durable_streams::DurableStreams;
use crate::front_door::Routes;
use crate::membership::Role;
use crate::requests::Errands;

/// The pause before the log is asked again that takes nothing.
const AGAIN: Duration = Duration::from_millis(200);

/// Who is told which desk there is.
pub(super) struct Asked {
    pub(super) app: Arc<App>,
    pub(super) routes: Arc<Routes>,
    pub(super) errands: Arc<Errands>,
    pub(super) reload: Arc<Reload>,
    pub(super) streams: Arc<DurableStreams>,
}

/// The desk of a server.
#[derive(Debug)]
pub(super) enum AtDesk {
    /// It is the same for as long as the server runs.
    Alone(Running),
    /// It may be another one from time to time.
    Among {
        /// Becomes true where it is to stay as it is.
        stays: watch::Sender<bool>,
        thread: JoinHandle<()>,
        /// The last one, once the thread has ended.
        last: Arc<Mutex<Option<Running>>>,
    },
}

impl AtDesk {
    /// The desk as it is from now on. Blocks while it is becoming another one.
    pub(super) fn settle(self) -> Option<Running> {
        match self {
            Self::Alone(running) => Some(running),
            Self::Among { stays, thread, last } => {
                stays.send_replace(true);
                if thread.join().is_err() {
                    tracing::error!("What takes the desk over had failed.");
                }
                last.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
        }
    }
}

/// See the module.
struct Turns {
    ground: Ground,
    asked: Asked,
    succession: Succession,
    handle: Handle,
    tenure: Arc<Tenure>,
    seats: watch::Receiver<Seat>,
    stays: watch::Receiver<bool>,
    role: Role,
    running: Option<Running>,
}

/// How it stands with the log, for a node that is to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaughtUp {
    Yes,
    /// It is not to take over any more.
    Void,
    /// It is far behind.
    No,
}

/// Has the desk follow the lease, where there is one.
pub(super) fn begin(
    (ground, running): (Ground, Running),
    asked: Asked,
    (handle, succession): (&Handle, &Succession),
) -> io::Result<AtDesk> {
    let Some(cluster) = running.cluster.clone() else { return Ok(AtDesk::Alone(running)) };
    let tenure = Arc::clone(&cluster.tenure);
    let (told, seats) = watch::channel(tenure.seat());
    tenure.watch(move |seat| drop(told.send_replace(seat.clone())));
    let (stays, until) = watch::channel(false);
    let turns = Turns {
        ground,
        asked,
        succession: succession.clone(),
        handle: handle.clone(),
        tenure,
        seats,
        stays: until,
        role: cluster.role,
        running: Some(running),
    };
    let last = Arc::<Mutex<_>>::default();
    let left = Arc::clone(&last);
    let run = move || {
        let running = turns.run();
        *left.lock().unwrap_or_else(PoisonError::into_inner) = running;
    };
    let thread = crash::spawn_essential("turns".to_owned(), run)?;
    Ok(AtDesk::Among { stays, thread, last })
}

impl Turns {
    fn run(mut self) -> Option<Running> {
        while !self.is_to_stay() {
            self.seats.mark_unchanged();
            let seat = self.tenure.seat();
            if !self.role.is_over(&seat) {
                self.wait();
            } else if let Err(error) = self.turn(&seat) {
                let error = with_causes(&error);
                tracing::error!(error, "The desk is not taken over or given up: it begins anew.");
                self.begin_anew();
            }
        }
        self.running
    }

    fn is_to_stay(&self) -> bool {
        *self.stays.borrow() || self.stays.has_changed().is_err()
    }

    /// Waits until the lease is another's, or the server ends.
    fn wait(&mut self) {
        let (seats, stays) = (&mut self.seats, &mut self.stays);
        self.handle.block_on(async {
            tokio::select! {
                seat = seats.changed() => if seat.is_err() {
                    // Another server of this process hears of it.
                    drop(stays.changed().await);
                },
                _ = stays.changed() => {}
            }
        });
    }

    /// What is left to do where the desk cannot be another one. Nothing is turned from then on.
    fn begin_anew(&mut self) {
        if let Some(cluster) = &self.asked.app.cluster {
            cluster.anew.send_replace(true);
        }
        let stays = &mut self.stays;
        self.handle.block_on(async { drop(stays.wait_for(|stays| *stays).await) });
    }

    /// The lease is another's: takes the desk over, or gives it up.
    fn turn(&mut self, seat: &Seat) -> Result<(), StartError> {
        let role = match self.role {
            Role::Keeper(_) => Role::Other,
            Role::Other => Role::of(seat),
        };
        let Role::Keeper(term) = role else {
            tracing::warn!(?seat, "Another node evaluates the rules from now on.");
            return self.become_one(role);
        };
        match self.catch_up(term) {
            CaughtUp::Yes => {}
            CaughtUp::Void => return Ok(()),
            CaughtUp::No => {
                tracing::warn!(
                    "This node is to evaluate the rules, and is far behind its cluster."
                );
                self.begin_anew();
                return Ok(());
            }
        }
        tracing::warn!(term, "This node evaluates the rules from now on.");
        let Err(error) = self.become_one(role) else { return Ok(()) };
        if Role::of(&self.tenure.decided(CLUSTER_ROLE_PATIENCE)) == role {
            return Err(error);
        }
        let error = with_causes(&error);
        tracing::warn!(
            error,
            "The desk was not taken over: another node has it, or nobody can have it now."
        );
        self.become_one(Role::Other)
    }

    /// Waits until all is applied here that the last keeper has appended: nothing of it comes behind that, since
    /// the lease is this node's.
    fn catch_up(&self, term: u64) -> CaughtUp {
        let Some(cluster) = &self.asked.app.cluster else { return CaughtUp::Void };
        let is_wanted =
            || !self.is_to_stay() && Role::of(&self.tenure.seat()) == Role::Keeper(term);
        while is_wanted() {
            let caught_up = async { timeout(DESK_CATCH_UP_MAX, cluster.catches_up()).await };
            match self.handle.block_on(caught_up) {
                Ok(Ok(())) => return CaughtUp::Yes,
                Ok(Err(problem)) => {
                    tracing::debug!(?problem, "The log takes nothing yet.");
                    self.handle.block_on(sleep(AGAIN));
                }
                Err(_) if cluster.journal.behind() >= DESK_CATCH_UP_MAX => return CaughtUp::No,
                // Without the engine, or while it is found out what that has lost, nobody gets further.
                Err(_) => {}
            }
        }
        CaughtUp::Void
    }

    /// The node has this role from now on.
    fn become_one(&mut self, role: Role) -> Result<(), StartError> {
        let Some(before) = self.asked.app.cluster.clone() else { return Ok(()) };
        before.end_role();
        // Whatever comes next has its files alone, and nobody waits for it who might keep that from beginning.
        if self.end() == LastWords::GivenUp {
            // Nothing more is appended through this journal.
            tracing::warn!("The log does not take the last word of this desk: it begins anew.");
            self.begin_anew();
            return Ok(());
        }
        let reload = Arc::clone(&self.asked.reload);
        let paused = reload.pause();
        let (files, failure) = files::read_again(&self.ground.config, &self.succession)?;
        let config = &self.ground.config;
        let of_rules = (rule_state_folder(&config.data), &self.ground.figures.alerting);
        let cluster = turned(&before, role, (config, of_rules))?;
        let desk = {
            let _context = self.handle.enter();
            Desk::open(&self.ground, Some(cluster), files)?
        };
        self.asked.streams.decide(desk.decides())?;
        paused.concern(desk.concerned(), (role != Role::Other).then_some(failure));
        drop(paused);
        self.ask(&desk);
        self.role = role;
        let running = desk.run(&self.ground, (&self.handle, &self.asked.app))?;
        self.running = Some(running);
        tracing::info!(?role, "The desk is another one, and all clients stay.");
        Ok(())
    }

    /// Whoever asks from now on asks this one.
    fn ask(&mut self, desk: &Desk) {
        self.asked.app = Arc::new(desk.after(&self.asked.app));
        if let Some(among) = &self.ground.among {
            desk.show(among);
        }
        self.asked.errands.turn(desk.keeper());
        self.asked.routes.turn(api::router(Arc::clone(&self.asked.app)));
    }

    /// Nothing is left of the old one.
    fn end(&mut self) -> LastWords {
        self.running.take().map_or(LastWords::Said, |running| running.end(&self.handle))
    }
}
