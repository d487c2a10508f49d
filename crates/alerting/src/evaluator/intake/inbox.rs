//! What waits for the evaluator, as it sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::{Asked, Condition, QUEUED_MAX, Work};

/// The evaluator's end of the queue.
pub(in crate::evaluator) struct Inbox {
    queue: Receiver<Asked>,
    /// What was looked through while the evaluator waited for the journal, in its order.
    looked_through: VecDeque<Asked>,
    condition: Arc<Condition>,
}

impl Inbox {
    pub(super) fn new(queue: Receiver<Asked>, condition: Arc<Condition>) -> Self {
        Self { queue, looked_through: VecDeque::new(), condition }
    }

    /// How it goes with the evaluator.
    pub(in crate::evaluator) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Whether samples were refused since this was last asked.
    pub(in crate::evaluator) fn take_has_refused(&self) -> bool {
        self.condition.has_refused.swap(false, Ordering::Relaxed)
    }

    /// What is next, within a time.
    pub(in crate::evaluator) fn next_within(
        &mut self,
        wait: Duration,
    ) -> Result<Asked, RecvTimeoutError> {
        match self.looked_through.pop_front() {
            Some(asked) => Ok(asked),
            None => self.queue.recv_timeout(wait),
        }
    }

    /// What is next, if anything is.
    pub(in crate::evaluator) fn next_now(&mut self) -> Result<Asked, TryRecvError> {
        match self.looked_through.pop_front() {
            Some(asked) => Ok(asked),
            None => self.queue.try_recv(),
        }
    }

    /// Answers those who have waited for too long, while the evaluator waits for something itself.
    pub(in crate::evaluator) fn refuse_late(&mut self) {
        while self.looked_through.len() < QUEUED_MAX
            && let Ok(asked) = self.queue.try_recv()
        {
            self.looked_through.push_back(asked);
        }
        let mut is_first = true;
        for asked in std::mem::take(&mut self.looked_through) {
            match asked.work {
                // Who has waited for it has given up.
                Work::Samples(claim) if claim.is_taken() => {}
                Work::Samples(claim) if is_first && claim.is_late() => {
                    self.condition.refuse(&claim);
                }
                // Answers keep the order of what they answer.
                Work::Answer(answer, taken) if is_first => taken(answer),
                work => {
                    is_first &= !matches!(work, Work::Samples(_));
                    self.looked_through.push_back(Asked { work, ..asked });
                }
            }
        }
    }
}
