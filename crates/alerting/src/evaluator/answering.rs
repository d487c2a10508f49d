//! Who waits for the rules, and what the rules wait for: another node that takes over with what they know.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bellwire_process::clock::{self, Ticker};
use bellwire_rules::RefusedSamples;
use bellwire_wire::problem::Problem;

use super::Evaluator;
use super::intake::{Asked, Claim, Taken, Work, untold};
use crate::standby::{handed_over, unsure};

/// Who says nothing to a transition for so long does not take it.
const BLOCKED_AGE: Duration = Duration::from_secs(2);

/// Who sent the samples that the rules look at.
pub(super) struct Sender {
    pub(super) taken: Taken,
    /// What waited longer than whatever came behind it.
    claim: Arc<Claim>,
}

impl Sender {
    pub(super) fn new(taken: Taken, claim: &Arc<Claim>) -> Self {
        Self { taken, claim: Arc::clone(claim) }
    }
}

impl Evaluator {
    /// Answers who sent samples: once the standby has what the rules make of them, where there is one.
    pub(super) fn answer(&self, answer: Result<RefusedSamples, Problem>, taken: Taken) {
        let answer =
            answer.and_then(|refused| if self.is_in_doubt() { Err(unsure()) } else { Ok(refused) });
        match &self.standby {
            Some(standby) => standby.answer(answer, taken),
            None => taken(answer),
        }
    }

    /// Whether another node may go on without what these rules have seen: it has taken over already, or will,
    /// and this one does not tell what it makes of them. What is handed over to a standby is its own to say.
    fn is_in_doubt(&self) -> bool {
        let is_untold = self.has_untold && self.charge.is_one_of_several() && !self.is_closing();
        is_untold || !self.charge.is_ours()
    }

    /// Has a batch sent again, where nobody has it yet.
    pub(super) fn refuse(&self, claim: &Claim, problem: Problem) {
        if let Some(taken) = claim.take().and_then(|batch| batch.taken) {
            self.answer(Err(problem), taken);
        }
    }

    /// Whether nothing is evaluated here any more, by now or soon.
    pub(super) fn is_ending(&self) -> bool {
        *self.draining.borrow() || self.inbox.condition().is_over()
    }

    /// Another node evaluates the rules from now on: whoever waits is told so.
    pub(super) fn leave(mut self) {
        while let Ok(Asked { work, .. }) = self.inbox.next_now() {
            match work {
                Work::Samples(claim) => self.refuse(&claim, handed_over()),
                Work::Answer(answer, taken) => self.answer(answer, taken),
                // Who is told nothing knows it by that.
                _ => {}
            }
        }
        let Self { inbox, register, .. } = self;
        // Nothing more comes, so that nobody enters whom nobody answers.
        drop(inbox);
        register.refuse_all(&handed_over());
    }

    /// Whether another node is about to go on with all of it.
    pub(super) fn is_closing(&self) -> bool {
        self.standby.as_ref().is_some_and(|standby| standby.is_closing())
    }

    /// Answers those who have waited for too long, while it waits for something itself: in the order of
    /// what they sent.
    pub(super) fn refuse_late(&mut self) {
        if self.standby.as_ref().is_some_and(|standby| !standby.is_clear()) {
            return;
        }
        match self.sender.take() {
            Some(sender) if !sender.claim.is_late() => self.sender = Some(sender),
            Some(Sender { taken, .. }) => {
                let is_among = self.charge.is_one_of_several();
                taken(Err(if is_among { unsure() } else { untold() }));
                self.inbox.refuse_late();
            }
            None => self.inbox.refuse_late(),
        }
    }

    /// What is announced is what the standby would announce.
    pub(super) fn await_standby(&mut self) {
        let Some(standby) = self.standby.clone() else { return };
        let since = Ticker::start();
        standby.await_all(|| {
            self.course.awake(clock::slewed().now);
            self.attend_since(since);
        });
    }

    /// Sees to those who wait, while it waits since then for what others say to a transition.
    pub(super) fn attend_since(&mut self, since: Ticker) {
        if since.elapsed() >= BLOCKED_AGE {
            self.inbox.condition().is_blocked.store(true, Ordering::Relaxed);
        }
        self.refuse_late();
    }
}
