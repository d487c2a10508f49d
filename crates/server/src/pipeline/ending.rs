//! How the threads of the alerting end: with all said where the journal takes it, and without where it does
//! not.
//!
//! Both wait for what they have brought the journal as long as that takes, since they must not know less
//! than what is shown. The log of a cluster may say nothing for hours. What it has not taken by then is
//! given up: it is written down with the rules or told to whoever asked, so that whoever takes over tells it.

use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_cluster::ClusterJournal;
use bellwire_model::limits::DRAIN_TIMEOUT;
use bellwire_process::clock;

/// How long the log of a cluster may say nothing to what is brought to it at the end.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// How often it is looked whether the threads have ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Whether all was said that was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastWords {
    Said,
    /// Something may be in the log or not, or come to be there yet.
    GivenUp,
}

/// Waits for the ends of the evaluator and of the desk. Of a node what the log does not take is given up.
pub(super) fn join(
    (evaluator, alerts): (JoinHandle<()>, JoinHandle<()>),
    log: Option<&ClusterJournal>,
) -> LastWords {
    let have_ended = || evaluator.is_finished() && alerts.is_finished();
    let last_words = log.map_or(LastWords::Said, |log| await_log(log, have_ended));
    // With the intake goes the evaluator, and then the desk.
    if evaluator.join().is_err() {
        tracing::error!("The evaluator had failed.");
    }
    if alerts.join().is_err() {
        tracing::error!("The alerts' desk had failed.");
    }
    last_words
}

fn await_log(log: &ClusterJournal, have_ended: impl Fn() -> bool) -> LastWords {
    let began = clock::uptime();
    while !have_ended() {
        let waited = clock::uptime().saturating_sub(began);
        // What it was silent before is over, maybe: it is heard of in a moment.
        if waited >= DRAIN_TIMEOUT || waited.min(log.silence()) >= SILENCE_MAX {
            tracing::warn!(
                "The log of the cluster does not take all that there is to say of alerts. Whoever takes over says it."
            );
            log.give_up();
            return LastWords::GivenUp;
        }
        clock::pause(LOOK_INTERVAL);
    }
    LastWords::Said
}
