//! The next step of a lease, done at the engine.

use std::time::Duration;

use bellwire_shared_log::{Generation, SharedLog};

use super::{Lease, LeaseStep};
use crate::clock::Clock;

/// What the registers were at a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    /// Who holds it, as the register says.
    pub(crate) holder: Option<Box<str>>,
    /// Whether that is by what this node has set itself.
    pub(crate) is_own: bool,
    /// The registers, the lease's first.
    pub(crate) generations: (Generation, Generation),
}

/// What has become of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// There was nothing to do, and is not before then.
    Waits(Duration),
    /// The registers were read.
    Looked(Looked),
    /// A register was set, or was not, or nobody knows.
    Set,
    /// The engine has not said what the registers are.
    Unanswered,
}

/// Does what is to be done next. Waits for the engine.
pub(crate) fn step(lease: &mut Lease, log: &dyn SharedLog, clock: &Clock) -> Stepped {
    let (name, beat) = (lease.register().to_owned(), lease.beat_register());
    let now = || clock.now().uptime;
    let begun = now();
    match lease.next(begun) {
        LeaseStep::Wait(until) => return Stepped::Waits(until),
        LeaseStep::Look => {
            let registers = log.register(&name).and_then(|it| Ok((it, log.register(&beat)?)));
            let Ok((name, beat)) = registers else { return Stepped::Unanswered };
            lease.looked((begun, now()), &name, &beat);
            let (holder, is_own) = (Lease::holder(&name), lease.is_own(&name));
            let generations = (name.generation, beat.generation);
            return Stepped::Looked(Looked { holder, is_own, generations });
        }
        LeaseStep::Take(expected, value) => {
            let answer = log.set_register(&name, expected, value);
            lease.took(now(), answer);
        }
        LeaseStep::Beat(expected, value) => {
            let answer = log.set_register(&beat, expected, value);
            lease.beat(now(), answer);
        }
    }
    Stepped::Set
}
