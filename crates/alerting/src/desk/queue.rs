//! What is asked of the desk's thread, in its order. Who has waited for too long while the thread waits for
//! the journal is told to come again, and nothing of what they ask is done.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bellwire_alerts::Desk;
use bellwire_alerts::config::Config;
use bellwire_alerts::desk::Plan;
use bellwire_journal::Error;
use bellwire_model::Timestamp;
use bellwire_model::limits::DESK_QUEUED_MAX;
use bellwire_process::clock::Ticker;
use bellwire_wire::problem::Problem;

use crate::unanswered::{maybe_done, not_done};

/// What waits: there is room for whatever holds a place, and for one new configuration.
pub(super) const QUEUED_MAX: usize = DESK_QUEUED_MAX + 1;

/// What the desk's thread is to do.
pub(super) enum Work {
    /// Alerts are to be routed, and inhibit each other, as this says.
    Replace(Box<Config>),
    /// Somebody asks for something.
    Request(Request),
    /// To look whether it is [over](super::Alerting::end).
    End,
}

/// What somebody asks for.
pub(super) struct Request {
    since: Ticker,
    act: Act,
}

/// Called once, when the turn of a request has come or it has none any more.
type Act = Box<dyn FnOnce(Turn<'_>) -> Option<(Plan, Answer)> + Send>;

/// What has become of a request that has waited.
pub(super) enum Turn<'a> {
    /// It looks at the desk, and says what to do and whom to answer.
    Comes(&'a Desk, Timestamp),
    /// Whoever asks is told why it does not come.
    Passes(Problem),
}

/// Called once the plan is durable and taken, or has failed, or nobody knows yet.
pub(super) type Answer = Box<dyn FnOnce(Result<(), Problem>) + Send>;

/// Who waits for what the journal says, until they are answered.
pub(super) struct Asker {
    since: Ticker,
    answer: Option<Answer>,
}

impl Request {
    pub(super) fn new(
        act: impl FnOnce(Turn<'_>) -> Option<(Plan, Answer)> + Send + 'static,
    ) -> Self {
        Self { since: Ticker::start(), act: Box::new(act) }
    }

    /// Its turn has come.
    pub(super) fn plan(self, desk: &Desk, now: Timestamp) -> (Plan, Asker) {
        let planned = (self.act)(Turn::Comes(desk, now));
        let (plan, answer) =
            planned.map_or_else(|| (Plan::default(), None), |(plan, answer)| (plan, Some(answer)));
        (plan, Asker { since: self.since, answer })
    }

    /// It does not come.
    fn refuse(self) {
        let detail = "the journal takes nothing of what is done with alerts now: send it again";
        let _ = (self.act)(Turn::Passes(not_done(detail)));
    }
}

impl Asker {
    /// The journal has answered.
    pub(super) fn answer(mut self, written: Result<(), Error>) {
        if let Some(answer) = self.answer.take() {
            answer(written.map_err(Problem::from));
        }
    }

    /// Is told, after a while, that nobody knows what becomes of it. It is done all the same once the journal
    /// takes it.
    pub(super) fn answer_late(&mut self, patience: Duration) {
        if self.since.elapsed() >= patience
            && let Some(answer) = self.answer.take()
        {
            answer(Err(maybe_done()));
        }
    }
}

/// The thread's end of the queue.
pub(super) struct Queue {
    work: Receiver<Work>,
    /// What was looked through while the thread waited for the journal, in its order.
    looked_through: VecDeque<Work>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    pub(super) fn new(work: Receiver<Work>) -> Self {
        Self { work, looked_through: VecDeque::new() }
    }

    /// What is next, within a time.
    pub(super) fn next_within(&mut self, wait: Duration) -> Result<Work, RecvTimeoutError> {
        match self.looked_through.pop_front() {
            Some(work) => Ok(work),
            None => self.work.recv_timeout(wait),
        }
    }

    /// Answers those who have waited for too long, while the thread waits for something itself.
    pub(super) fn refuse_late(&mut self, patience: Duration) {
        while self.looked_through.len() < QUEUED_MAX
            && let Ok(work) = self.work.try_recv()
        {
            self.looked_through.push_back(work);
        }
        for work in std::mem::take(&mut self.looked_through) {
            match work {
                Work::Request(request) if request.since.elapsed() >= patience => request.refuse(),
                work => self.looked_through.push_back(work),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{SyncSender, sync_channel};

    use bellwire_wire::problem::Code;

    use super::*;

    type Told = Result<&'static str, Problem>;

    /// What asks for nothing, and says what becomes of that.
    fn request(name: &'static str, told: &SyncSender<(&'static str, Told)>) -> Work {
        let told = told.clone();
        Work::Request(Request::new(move |turn| match turn {
            Turn::Comes(..) => {
                let answer: Answer = Box::new(move |written| {
                    told.send((name, written.map(|()| "done"))).expect("room");
                });
                Some((Plan::default(), answer))
            }
            Turn::Passes(problem) => {
                told.send((name, Err(problem))).expect("room");
                None
            }
        }))
    }

    /// Whether something that was not done may be yet.
    fn is_maybe_taken(told: Told) -> Option<bool> {
        let problem = told.expect_err("it was not done");
        assert_eq!(problem.code, Code::JournalUnavailable);
        problem.is_maybe_taken()
    }

    #[test]
    fn who_waits_while_the_journal_says_nothing_is_answered_and_what_it_has_is_not_forgotten() {
        let (desk, (work, queued)) = (Desk::new(&[]), sync_channel(QUEUED_MAX));
        let (sender, told) = sync_channel(QUEUED_MAX);
        let mut queue = Queue::new(queued);
        for name in ["first", "second"] {
            work.try_send(request(name, &sender)).expect("room");
        }
        work.try_send(Work::Replace(Box::default())).expect("room");
        work.try_send(request("third", &sender)).expect("room");
        let Ok(Work::Request(first)) = queue.next_within(Duration::ZERO) else {
            panic!("it is the first");
        };
        let (_, mut asker) = first.plan(&desk, Timestamp::from_ms(0));
        // The journal has it from here on, and says nothing.
        asker.answer_late(Duration::MAX);
        queue.refuse_late(Duration::MAX);
        assert!(told.try_recv().is_err());
        asker.answer_late(Duration::ZERO);
        queue.refuse_late(Duration::ZERO);
        let answers: Vec<_> =
            told.try_iter().map(|(name, it)| (name, is_maybe_taken(it))).collect();
        let (maybe, no) = (Some(true), Some(false));
        assert_eq!(answers, [("first", maybe), ("second", no), ("third", no)]);
        // Whoever was answered is not answered twice, and what nobody waits for goes on.
        asker.answer(Ok(()));
        assert!(told.try_recv().is_err());
        assert!(matches!(queue.next_within(Duration::ZERO), Ok(Work::Replace(_))));
        work.try_send(request("fourth", &sender)).expect("room");
        let Ok(Work::Request(fourth)) = queue.next_within(Duration::ZERO) else {
            panic!("it is the next");
        };
        fourth.plan(&desk, Timestamp::from_ms(0)).1.answer(Ok(()));
        assert_eq!(told.try_recv(), Ok(("fourth", Ok("done"))));
    }
}
