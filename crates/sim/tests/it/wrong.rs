//! Worlds that are wrong in one way each: each is found within so many seeds, or the simulation sees nothing.

mod engine;
mod replica;

use std::sync::Arc;

use bellwire_journal::{Append, Replica};
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{MemoryLog, MemoryLogs, SharedLog};
use bellwire_sim::{Kind, Parts, Plan, Step, run};

use self::engine::WrongLog;
use self::replica::WrongReplica;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Appends are stored whatever their fence says.
    IgnoresFences,
    /// More of the log goes than is asked for.
    TrimsTooMuch,
    /// The log always seems to be the one that was followed.
    SeesNoLoss,
    /// Who comes from another cluster does not see that this is one.
    HidesItsNumber,
    /// Followings connect again by themselves.
    GoesOn,
    /// The newest entries are lost where the engine is killed.
    LosesItsEnd,
    /// An entry in a while is not applied.
    SkipsOne,
    /// Publishers are answered before anything is there.
    AnswersAtOnce,
    /// A snapshot has no idempotency keys.
    ForgetsKeys,
    /// A snapshot has no producers.
    ForgetsProducers,
}

/// Each, with the seeds that may find it: of this kind, so many at most.
const WRONG: &[(How, Kind, u64)] = &[
    (How::IgnoresFences, Kind::Sound, 100),
    (How::TrimsTooMuch, Kind::Long, 10),
    (How::SeesNoLoss, Kind::Lossy, 50),
    (How::HidesItsNumber, Kind::Long, 10),
    (How::GoesOn, Kind::Lossy, 50),
    (How::LosesItsEnd, Kind::Sound, 50),
    (How::SkipsOne, Kind::Sound, 20),
    (How::AnswersAtOnce, Kind::Sound, 50),
    (How::ForgetsKeys, Kind::Long, 20),
    (How::ForgetsProducers, Kind::Long, 20),
];

impl Parts for How {
    fn log(&self, log: Arc<MemoryLog>) -> Arc<dyn SharedLog> {
        Arc::new(WrongLog::new(log, *self))
    }

    fn log_of_others(&self, log: Arc<MemoryLog>) -> Arc<dyn SharedLog> {
        Arc::new(WrongLog::of_others(log, *self))
    }

    fn replica(&self, replica: Arc<dyn Replica>) -> Arc<dyn Replica> {
        Arc::new(WrongReplica::new(replica, *self))
    }

    fn snapshot(&self, mut steps: Vec<Step>) -> Vec<Step> {
        for step in &mut steps {
            let Step::Applied { batches, .. } = step else { continue };
            for append in batches.iter_mut().flatten() {
                self.forget(append);
            }
        }
        steps
    }

    fn kill_engine(&self, logs: &MemoryLogs) {
        if *self == Self::LosesItsEnd {
            logs.fail(Fault::Restore);
        }
        logs.fail(Fault::Kill);
        logs.fail(Fault::Copy);
    }

    fn waits_for_the_journal(&self) -> bool {
        *self != Self::AnswersAtOnce
    }
}

impl How {
    fn forget(self, append: &mut Append) {
        match self {
            Self::ForgetsKeys => append.idempotency_key = None,
            Self::ForgetsProducers => append.fence = None,
            _ => {}
        }
    }
}

#[test]
fn each_wrong_world_is_found() {
    for (how, kind, most) in WRONG {
        let plans = (0..).map(Plan::of).filter(|plan| plan.kind == *kind).take(*most as usize);
        let mut played = 0;
        let found = plans.into_iter().find_map(|plan| {
            played += 1;
            Some((plan.seed, run(&plan, how).breach?))
        });
        let (seed, breach) =
            found.unwrap_or_else(|| panic!("{how:?} is not found in {most} seeds"));
        println!("{how:?}: seed {seed}, the {played}. played: {breach}");
    }
}
