//! What can happen next, and its happening: one thing at each step, whichever the generator says.

use super::world::{Due, Late, Pace, Reach, World};
use crate::{Ended, Error};

/// How many batches a following has delivered and not handed on, at most: who is slow finds that
/// batches were trimmed before they came.
const INBOX_ENTRIES_MAX: usize = 32;

/// How many batches come with one step, at most.
const DELIVERED_MAX: usize = 8;

/// How many answers are on offer at each step, so that others have their turn as well.
const ANSWERS_ON_OFFER: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The engine does the oldest request of a handle.
    Apply(u64),
    /// A handle gives up waiting.
    TimeOut(u64),
    /// An answer arrives.
    Answer(usize),
    /// Batches arrive at a following.
    Deliver(u64),
    /// A following notices that it is lost.
    Notice(u64),
    /// What was answered with [`Error::Away`] is done after all.
    DoLate(usize),
}

/// What came of a step.
pub(super) enum Stepped {
    /// There was nothing to do.
    Idle,
    /// Something happened; where it was an answer, it is to be given now.
    Done(Option<Due>),
}

impl World {
    pub(super) fn step(&mut self) -> Stepped {
        let steps = self.possible();
        if steps.is_empty() {
            return Stepped::Idle;
        }
        let step = steps[self.random.usize(..steps.len())];
        Stepped::Done(self.take(step))
    }

    fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (&handle, _) in self.lines.iter().filter(|(_, line)| !line.requests.is_empty()) {
            let is_open = self.reach(handle) == Reach::Open;
            steps.push(if is_open { Step::Apply(handle) } else { Step::TimeOut(handle) });
        }
        steps.extend((0..self.answers.len().min(ANSWERS_ON_OFFER)).map(Step::Answer));
        if self.pace == Pace::Stepped {
            steps.extend(self.followers.keys().filter_map(|&number| self.possible_for(number)));
        }
        if self.is_running() {
            steps.extend((0..self.late.len()).map(Step::DoLate));
        }
        steps
    }

    fn possible_for(&self, number: u64) -> Option<Step> {
        let follower = self.followers.get(&number).filter(|follower| follower.ended.is_none())?;
        if follower.broken.is_some() || self.reach(follower.handle) != Reach::Open {
            return Some(Step::Notice(number));
        }
        let has_room = follower.inbox.len() < INBOX_ENTRIES_MAX;
        (has_room && self.store.has_more(follower.after)
            || self.store.check_kept(follower.after).is_err())
        .then_some(Step::Deliver(number))
    }

    fn take(&mut self, step: Step) -> Option<Due> {
        match step {
            Step::Apply(handle) => {
                if let Some(pending) = self.line(handle).requests.pop_front() {
                    let due = self.apply(handle, pending);
                    self.answers.push((handle, due));
                }
            }
            Step::TimeOut(handle) => self.disconnect(handle),
            Step::Answer(index) => return Some(self.answers.swap_remove(index).1),
            Step::Deliver(number) => self.deliver(number),
            Step::Notice(number) => self.notice(number),
            Step::DoLate(index) => {
                let late: Late = self.late.swap_remove(index);
                self.do_late(late);
            }
        }
        None
    }

    fn deliver(&mut self, number: u64) {
        let count = self.random.usize(1..=DELIVERED_MAX);
        let Some(follower) = self.followers.get_mut(&number) else { return };
        if let Err(error) = self.store.check_kept(follower.after) {
            follower.ended = Some(as_ended(error));
            return;
        }
        let page = self.store.page(follower.after, count);
        if let Some(newest) = page.last() {
            follower.after = newest.position;
        }
        follower.inbox.extend(page);
    }

    fn notice(&mut self, number: u64) {
        let is_kept = self.random.bool();
        let Some(follower) = self.followers.get_mut(&number) else { return };
        let why = follower.broken.take();
        follower.ended = Some(why.unwrap_or_else(|| Ended::Lost("nothing is answered".into())));
        if !is_kept {
            follower.inbox.clear();
        }
    }
}

pub(super) fn as_ended(error: Error) -> Ended {
    match error {
        Error::Trimmed(until) => Ended::Trimmed(until),
        other => Ended::Lost(other.to_string()),
    }
}
