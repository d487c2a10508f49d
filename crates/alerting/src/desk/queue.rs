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
use bellwire_model::limits::{DESK_ANSWER_PATIENCE, DESK_QUEUED_MAX};
use bellwire_process::clock::Ticker;
use bellwire_wire::problem::{Code, Problem};

/// What waits: there is room for whatever holds a place, and for one new configuration.
pub(super) const QUEUED_MAX: usize = DESK_QUEUED_MAX + 1;

/// When to ask again what the journal may take later, in seconds.
const RETRY_S: u32 = 5;

/// What the desk's thread is to do.
pub(super) enum Work {
    /// Alerts are to be routed, and inhibit each other, as this says.
    Replace(Box<Config>),
    /// Somebody asks for something.
    Request(Request),
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
        let (plan, answer) = planned.map_or_else(|| (Plan::default(), None), |(plan, answer)| (plan, Some(answer)));
        (plan, Asker { since: self.since, answer })
    }

    fn is_late(&self) -> bool {
        self.since.elapsed() >= DESK_ANSWER_PATIENCE
    }

    /// It does not come.
    fn refuse(self) {
        let detail = "the journal takes nothing of what is done with alerts now: send it again";
        let problem = Problem::new(Code::JournalUnavailable, detail).retry_after(RETRY_S);
        let _ = (self.act)(Turn::Passes(problem));
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
    pub(super) fn answer_if_late(&mut self) {
        if self.since.elapsed() >= DESK_ANSWER_PATIENCE
            && let Some(answer) = self.answer.take()
        {
            let detail = "the journal does not say whether it takes this: it may yet";
            let problem = Problem::new(Code::JournalUnavailable, detail);
            answer(Err(problem.retry_after(RETRY_S).may_be_taken()));
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
    pub(super) fn refuse_late(&mut self) {
        while self.looked_through.len() < QUEUED_MAX
            && let Ok(work) = self.work.try_recv()
        {
            self.looked_through.push_back(work);
        }
        for work in std::mem::take(&mut self.looked_through) {
            match work {
                Work::Request(request) if request.is_late() => request.refuse(),
                work => self.looked_through.push_back(work),
            }
        }
    }
}
