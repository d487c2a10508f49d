//! Who holds a lease writes one number after the other: the next one of what stood before its term.
//!
//! Of two that hold it at once one would repeat a number, or write under an older generation behind a newer
//! one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bellwire_cluster::{ClusterJournal, Lease, LeaseStep, LeaseTiming, Wanted};
use bellwire_journal::{Append, RecordChange, Reply};
use bellwire_model::Epoch;
use bellwire_shared_log::{Fence, SharedLog};

use crate::clients::{DESK, Text, event};
use crate::clock::MachineClock;
use crate::watch::Watch;

/// The lease.
const NAME: &str = "desk";

/// The record that is written with each number, before it.
const RECORD: &str = "desk/number";

/// Between two numbers.
const PACE: Duration = Duration::from_millis(700);

/// How long nothing is done where the engine does not answer.
const AWAY_PAUSE: Duration = Duration::from_millis(200);

/// What becomes of an append.
#[derive(Clone, Debug, Default)]
struct Answer(Arc<AtomicU8>);

impl Answer {
    const MADE: u8 = 1;
    const FAILED: u8 = 2;

    fn reply(&self) -> Reply {
        let answer = Arc::clone(&self.0);
        Box::new(move |result| {
            let said = if result.is_ok() { Self::MADE } else { Self::FAILED };
            answer.store(said, Ordering::Relaxed);
        })
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
enum Stage {
    /// It is nobody's, or another's.
    Out,
    /// What stood before this term is applied once this was met.
    Meets(Answer),
    /// It writes.
    Writes { number: u64, flight: Option<Answer>, next_at: Duration },
}

/// See the module.
pub(crate) struct Keeper {
    lease: Lease,
    log: Arc<dyn SharedLog>,
    node: String,
    stage: Stage,
    /// Of what has been read.
    term: u64,
    epoch: Option<Epoch>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Where it writes.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) journal: &'a ClusterJournal,
    pub(crate) watch: &'a Watch,
    pub(crate) clock: &'a MachineClock,
}

impl Keeper {
    pub(crate) fn new(node: &str, log: Arc<dyn SharedLog>) -> Self {
        let lease = Lease::new(NAME, node, LeaseTiming::default());
        Self { lease, log, node: node.to_owned(), stage: Stage::Out, term: 0, epoch: None }
    }

    /// Whether it writes.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.stage, Stage::Writes { .. })
    }

    /// In which term it is, or was last.
    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Goes on. Returns how long there is nothing more, by its own clock.
    pub(crate) fn turn(&mut self, desk: &Desk<'_>) -> Duration {
        let now = || desk.clock.now_reading().uptime;
        let epoch = Some(desk.watch.epoch());
        if self.epoch.is_some_and(|_| self.epoch != epoch) {
            // The registers may be gone with the log, and what was read is void.
            self.lease.doubt();
            self.stage = Stage::Out;
        }
        self.epoch = epoch;
        let wait = self.hold(desk.clock);
        let term = self
            .lease
            .term()
            .filter(|(term, _)| matches!(self.stage, Stage::Out) || *term == self.term);
        let Some((term, fence)) = term else {
            self.stage = Stage::Out;
            return wait;
        };
        if let Stage::Out = self.stage {
            if self.lease.held(now()).is_none() {
                return wait;
            }
            self.term = term;
        }
        self.write(fence, desk);
        wait.min(PACE)
    }

    /// Lets go of the lease, so that another takes it at once.
    pub(crate) fn give_up(&mut self, clock: &MachineClock) {
        self.lease.want(Wanted::No);
        if self.lease.held(clock.now_reading().uptime).is_some() {
            self.hold(clock);
        }
        self.stage = Stage::Out;
    }

    /// Holds the lease, or asks for it.
    fn hold(&mut self, clock: &MachineClock) -> Duration {
        let now = || clock.now_reading().uptime;
        let (name, beat) = (self.lease.register().to_owned(), self.lease.beat_register());
        loop {
            let begun = now();
            match self.lease.next(begun) {
                LeaseStep::Wait(until) => return until.saturating_sub(begun),
                LeaseStep::Look => {
                    let registers =
                        self.log.register(&name).and_then(|it| Ok((it, self.log.register(&beat)?)));
                    let Ok((name, beat)) = registers else { return AWAY_PAUSE };
                    self.lease.looked((begun, now()), &name, &beat);
                }
                LeaseStep::Take(expected, value) => {
                    let answer = self.log.set_register(&name, expected, value);
                    self.lease.took(now(), answer);
                    // Somebody else has a turn before it is looked again.
                    return Duration::from_millis(1);
                }
                LeaseStep::Beat(expected, value) => {
                    let answer = self.log.set_register(&beat, expected, value);
                    let is_away = answer.is_err();
                    self.lease.beat(now(), answer);
                    if is_away {
                        return AWAY_PAUSE;
                    }
                }
            }
        }
    }

    fn write(&mut self, fence: Fence, desk: &Desk<'_>) {
        let Desk { journal, watch, clock } = desk;
        let now = clock.now();
        match &mut self.stage {
            Stage::Out => {
                let answer = Answer::default();
                let asked = journal.append_fenced(Vec::new(), fence, answer.reply());
                if asked.is_ok() {
                    self.stage = Stage::Meets(answer);
                }
            }
            Stage::Meets(answer) => match answer.get() {
                Answer::MADE => self.begin(desk),
                Answer::FAILED => self.doubt(),
                _ => {}
            },
            Stage::Writes { number, flight, next_at } => {
                match flight.as_ref().map(Answer::get) {
                    Some(Answer::MADE) => (*number, *flight) = (*number + 1, None),
                    Some(Answer::FAILED) => return self.doubt(),
                    Some(_) => return,
                    None => {}
                }
                if now < *next_at {
                    return;
                }
                *next_at = now + PACE;
                let (generation, epoch) = (fence.generation.get(), watch.epoch());
                let text =
                    Text::Desk { number: *number + 1, generation, epoch, node: self.node.clone() };
                let event = event((DESK, None), &text.write(), clock.now_reading().wall);
                let (answer, batch) = (Answer::default(), vec![Append::new(event, None)]);
                let value = Some(text.write().into_bytes().into());
                let change = RecordChange { key: RECORD.into(), value };
                let written =
                    journal.write_records_fenced(vec![change], fence.clone(), Box::new(drop));
                if written.is_ok() && journal.append_fenced(batch, fence, answer.reply()).is_ok() {
                    *flight = Some(answer);
                }
            }
        }
    }

    /// Reads what stood before this term, and goes on with it.
    fn begin(&mut self, desk: &Desk<'_>) {
        let number = desk.watch.life().desk();
        self.stage = Stage::Writes { number, flight: None, next_at: Duration::ZERO };
    }

    /// Something was kept out, or nobody knows.
    fn doubt(&mut self) {
        self.lease.doubt();
        self.stage = Stage::Out;
    }
}
