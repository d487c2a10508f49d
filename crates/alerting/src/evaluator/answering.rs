//! Who waits for the rules, and what the rules wait for: another node that takes over with what they know.

use bellwire_process::clock;
use bellwire_rules::RefusedSamples;
use bellwire_wire::problem::Problem;

use super::Evaluator;
use super::intake::{Asked, Claim, Taken, Work};
use crate::standby::handed_over;

impl Evaluator {
    /// Answers who sent samples: once the standby has what the rules make of them, where there is one.
    pub(super) fn answer(&self, answer: Result<RefusedSamples, Problem>, taken: Taken) {
        match &self.standby {
            Some(standby) => standby.answer(answer, taken),
            None => taken(answer),
        }
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
        if self.standby.as_ref().is_none_or(|standby| standby.is_clear()) {
            self.inbox.refuse_late();
        }
    }

    /// What is announced is what the standby would announce.
    pub(super) fn await_standby(&mut self) {
        let Some(standby) = self.standby.clone() else { return };
        standby.await_all(|| {
            self.course.awake(clock::slewed().now);
            self.refuse_late();
        });
    }
}
