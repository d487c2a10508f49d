//! The hot standby of the rules: another node that has what this one writes down, so that at a take-over
//! pending alerts, windows and all else that rules remember go on.
//!
//! ```text
//! keeper: RuleWal ─▶ checkpoint-7, log-7 … ◀── Standby::read ◀── "I have log 7 up to byte 812" ── StateCopy
//!            │ wrote                                                          standby: checkpoint-7, log-7 …
//!            ▼                                                                            │ take-over
//!         Standby ─ who waits is answered once the standby has it                         ▼
//!                                                                      as a server that starts again
//! ```
//!
//! The standby asks for the next bytes of the files of the rules' log, and says by that what it has. So
//! nothing waits in memory for one that is slow, and what it has is what a restart needs.
//!
//! Who is the standby is in the log of the cluster, under the keeper's lease: it is named there before
//! anybody is answered by its word alone, and no longer named before anybody is answered without it.

mod asking;
mod copy;
mod files;
mod following;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_model::limits::{
    STANDBY_ANSWER_PATIENCE, STANDBY_ANSWERS_MAX, STANDBY_PATIENCE, STANDBY_POLL, STANDBY_READS_MAX,
};
use bellwire_process::clock;
use bellwire_rules::RefusedSamples;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{Semaphore, watch};

pub use self::asking::{Piece, Want};
pub use self::copy::StateCopy;
use self::files::Files;
use self::following::Following;
pub use self::following::{Named, Noted, Notice, Place, StandbyReport, StandbyStage};
use crate::figures::Figures;

/// When to send again what may not be kept, in seconds.
const UNSURE_RETRY_S: u32 = 1;

/// The longest wait for the standby in one go: whoever waits does something else in between.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What whoever sends samples waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StandbyMode {
    /// That the standby has what rules make of them, where there is one.
    #[default]
    Wait,
    /// That the keeper has it: what the standby lacks is lost where the keeper is.
    Async,
    /// There is none.
    Off,
}

/// Why the standby gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// What it has is not what it would go on with: it begins anew.
    BeginAnew,
    /// Another node is the standby, or this one keeps nothing now: it asks again later.
    NotNow,
}

/// What a node is told that begins to be the standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// What all is known by that it gets from now on.
    pub stream: u64,
    /// Whose rules these are: a term of the evaluation, which is another one after each take-over.
    pub evaluation: Box<str>,
    /// The checkpoint that it begins with.
    pub checkpoint: u64,
}

/// Told what became of samples, without blocking.
type Done = Box<dyn FnOnce(Result<RefusedSamples, Problem>) + Send>;

/// Who waits until the standby has what was written up to there.
struct Held {
    place: Place,
    since: Duration,
    answer: Result<RefusedSamples, Problem>,
    done: Done,
}

/// The keeper's end. See the module.
pub struct Standby {
    mode: StandbyMode,
    figures: Arc<Figures>,
    /// The evaluator takes it too: nobody who has it waits for the disk.
    shared: Mutex<Shared>,
    files: Files,
    /// Turns at the disk: one that hangs is not asked for more and more.
    turns: Arc<Semaphore>,
    changed: Condvar,
    /// Told of each place that was written.
    news: watch::Sender<()>,
}

struct Shared {
    following: Following,
    held: VecDeque<Held>,
    /// By what the last copy is known that was begun.
    stream: u64,
    /// Whose rules are evaluated here, once they are.
    evaluation: Option<Box<str>>,
    /// No more samples are taken: what there is goes to the standby, which takes over.
    is_closing: bool,
    /// Nobody waits for the standby any more.
    is_over: bool,
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Standby {
    /// Of a keeper whose rules' log is in this folder. Nobody is its standby yet. Each copy is known by
    /// another number, from one on that no process before had.
    pub fn new(mode: StandbyMode, (folder, stream): (PathBuf, u64), figures: Arc<Figures>) -> Self {
        let shared = Shared {
            following: Following::default(),
            held: VecDeque::new(),
            stream,
            evaluation: None,
            is_closing: false,
            is_over: false,
        };
        let (news, _) = watch::channel(());
        Self {
            mode,
            figures,
            shared: Mutex::new(shared),
            files: Files::new(folder),
            turns: Arc::new(Semaphore::new(STANDBY_READS_MAX)),
            changed: Condvar::new(),
            news,
        }
    }

    /// The rules are evaluated, in this term: whoever asks may be the standby from now on.
    pub fn open(&self, evaluation: &str) {
        self.lock().evaluation = Some(evaluation.into());
    }

    /// In which term they are.
    pub fn evaluation(&self) -> Option<Box<str>> {
        self.lock().evaluation.clone()
    }

    /// How it stands with the standby.
    pub fn report(&self) -> Option<StandbyReport> {
        self.lock().following.report()
    }

    /// A node is to be the standby, with nothing that it has. What blocks on the disk is on a thread that may.
    pub async fn begin(self: Arc<Self>, node: &str) -> Result<Begun, NotRead> {
        self.term(&self.lock())?;
        let node: Box<str> = node.into();
        self.on_disk(move |standby| standby.begin_now(&node)).await
    }

    /// The term of the rules, where somebody may be the standby now.
    fn term(&self, shared: &Shared) -> Result<Box<str>, NotRead> {
        let is_off = self.mode == StandbyMode::Off || shared.is_closing || shared.is_over;
        shared.evaluation.clone().filter(|_| !is_off).ok_or(NotRead::NotNow)
    }

    fn begin_now(&self, node: &str) -> Result<Begun, NotRead> {
        let beginning = self.files.beginning().ok().flatten().ok_or(NotRead::NotNow)?;
        let checkpoint = beginning.checkpoint;
        let mut shared = self.lock();
        // Another moment than the one in which it was asked for.
        let evaluation = self.term(&shared)?;
        let stream = shared.stream.wrapping_add(1);
        shared.following.begin((node, stream), clock::uptime()).ok_or(NotRead::NotNow)?;
        shared.stream = stream;
        drop(shared);
        drop(self.files.begin(stream, beginning));
        Ok(Begun { stream, evaluation, checkpoint })
    }

    /// The standby goes no further, as where its disk is full. Once this says so nobody goes by what it has, and
    /// it may remove that; until then it is asked again.
    pub fn leave_copy(&self, stream: u64) -> Result<(), NotRead> {
        let mut shared = self.lock();
        self.term(&shared)?;
        if shared.following.leave(stream) { Err(NotRead::NotNow) } else { Ok(()) }
    }

    /// Does what blocks on the disk when it is its turn.
    async fn on_disk<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, NotRead> + Send + 'static,
    ) -> Result<T, NotRead> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(STANDBY_PATIENCE, turn).await;
        let turn = turn.map_err(|_| NotRead::NotNow)?.map_err(|_| NotRead::NotNow)?;
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&self)
        });
        working.await.map_err(|_| NotRead::NotNow)?
    }

    /// The standby says what it has, and asks for more. Waits for a moment where there is nothing yet.
    /// Reading blocks on the disk for a piece at most, and it is on a thread that may.
    pub async fn read(self: Arc<Self>, want: Want) -> Result<Piece, NotRead> {
        let mut news = self.news.subscribe();
        self.heard(&want)?;
        if let Want::Log { place, waits: true, .. } = want {
            let until = tokio::time::Instant::now() + STANDBY_POLL;
            loop {
                news.borrow_and_update();
                if self.lock().following.has_written_behind(place) {
                    break;
                }
                if tokio::time::timeout_at(until, news.changed()).await.is_err() {
                    break;
                }
            }
        }
        self.on_disk(move |standby| standby.read_now(&want)).await
    }

    fn heard(&self, want: &Want) -> Result<(), NotRead> {
        let mut shared = self.lock();
        if shared.is_over {
            return Err(NotRead::NotNow);
        }
        let is_known = shared.following.heard((want.stream(), want.has()), clock::uptime());
        if !is_known {
            return Err(NotRead::BeginAnew);
        }
        shared.release(self.mode);
        drop(shared);
        self.changed.notify_all();
        Ok(())
    }

    /// What is wanted, as far as it is written.
    fn read_now(&self, want: &Want) -> Result<Piece, NotRead> {
        let written = {
            let shared = self.lock();
            let is_of = shared.following.is_of(want.stream());
            shared.following.written().filter(|_| is_of).ok_or(NotRead::BeginAnew)?
        };
        self.files.read(want, written).map_err(|error| failed(&error))
    }

    /// What is to be written into the log of the cluster. Whoever asks writes it, and
    /// [says](Self::noted) what came of that, before it asks again. Also answers who has waited for long.
    /// Called within a runtime.
    pub fn due(&self) -> Option<Notice> {
        self.due_at(clock::uptime())
    }

    fn due_at(&self, now: Duration) -> Option<Notice> {
        let mut shared = self.lock();
        shared.refuse_late(now);
        let before = shared.following.is_named();
        let notice = shared.due(now, self.mode);
        if before && !shared.following.is_named() {
            self.figures.standby_lost.add(1);
        }
        shared.release(self.mode);
        let report = shared.following.report();
        let over = report.is_none().then_some(shared.stream);
        drop(shared);
        let closed = over.map(|stream| self.files.close(stream)).unwrap_or_default();
        if !closed.is_empty() {
            drop(tokio::task::spawn_blocking(move || drop(closed)));
        }
        self.changed.notify_all();
        let is_whole = report.as_ref().is_some_and(|it| it.stage == StandbyStage::Whole);
        self.figures.standby_whole.set(is_whole.into());
        self.figures.standby_behind.set(report.map_or(0, |report| report.behind_bytes));
        notice
    }

    /// Answers who has waited for long. For whoever waits until what was [due](Self::due) is in the log.
    pub fn answer_late(&self) {
        self.lock().refuse_late(clock::uptime());
    }

    /// What was due is in the log, or may not be.
    pub fn noted(&self, notice: &Notice, noted: Noted) {
        let mut shared = self.lock();
        shared.following.noted(notice, noted);
        shared.release(self.mode);
        drop(shared);
        self.changed.notify_all();
    }

    /// Takes no more samples, and waits until the standby has all there is, if there is one: it is about to
    /// take over. Blocks, for [`STANDBY_PATIENCE`] at most.
    pub fn drain(&self) {
        let until = clock::uptime() + STANDBY_PATIENCE;
        let mut shared = self.lock();
        shared.is_closing = shared.following.is_waited_for();
        while shared.is_closing && shared.following.lacks_what_is_written() {
            let left = until.saturating_sub(clock::uptime());
            if left.is_zero() {
                tracing::warn!(
                    "The standby has not taken all that the rules know before this node ends."
                );
                break;
            }
            let waited = self.changed.wait_timeout(shared, left);
            (shared, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        drop(shared);
        self.leave();
    }

    /// Nobody waits for the standby any more: another node evaluates the rules by now, or will.
    pub fn leave(&self) {
        let mut shared = self.lock();
        shared.is_closing |= shared.following.is_waited_for();
        shared.is_over = true;
        shared.release(self.mode);
        drop(shared);
        self.changed.notify_all();
        self.figures.standby_whole.set(0);
        self.figures.standby_behind.set(0);
    }

    /// Whether no more samples are taken, and nothing is told: the standby goes on with it.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    /// All up to there is in the files.
    pub(crate) fn wrote(&self, place: Place) {
        self.lock().following.wrote(place);
        self.news.send_replace(());
    }

    /// What the rules know cannot be written down: no standby has it either.
    pub(crate) fn broke(&self) {
        self.lock().following.broke();
        self.news.send_replace(());
    }

    /// Answers who sent samples, once the standby has what was written so far; in the order of these calls.
    pub(crate) fn answer(&self, answer: Result<RefusedSamples, Problem>, done: Done) {
        let mut shared = self.lock();
        let place = shared.following.written().unwrap_or_default();
        shared.held.push_back(Held { place, since: clock::uptime(), answer, done });
        shared.release(self.mode);
        if shared.held.len() > STANDBY_ANSWERS_MAX {
            shared.refuse_first();
        }
    }

    /// Whether nobody waits for the standby: who is answered now is so in order.
    pub(crate) fn is_clear(&self) -> bool {
        self.lock().held.is_empty()
    }

    /// Waits until the standby has what was written so far, or there is none, and does something else again
    /// and again. What is told behind this is what a standby would tell.
    pub(crate) fn await_all(&self, mut meanwhile: impl FnMut()) {
        let mut shared = self.lock();
        let place = shared.following.written().unwrap_or_default();
        while shared.lacks(place, self.mode) && !shared.is_closing {
            let waited = self.changed.wait_timeout(shared, WAIT_MAX);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            meanwhile();
            shared = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Whether what was written up to there is to be waited for.
    fn lacks(&self, place: Place, mode: StandbyMode) -> bool {
        mode == StandbyMode::Wait && !self.is_over && self.following.lacks(place)
    }

    /// Answers all that wait for nothing any more. It does not block, so that it may be within the lock,
    /// which keeps the order.
    fn release(&mut self, mode: StandbyMode) {
        while let Some(first) = self.held.front()
            && (first.answer.is_err() || !self.lacks(first.place, mode))
        {
            // What is handed over to a standby that does not have it is with nobody.
            let is_with_nobody = self.is_closing && self.following.lacks(first.place);
            if mode == StandbyMode::Wait && is_with_nobody {
                self.refuse_first();
            } else if let Some(Held { answer, done, .. }) = self.held.pop_front() {
                done(answer);
            }
        }
    }

    /// What is to be in the log. A keeper that ends leaves there what it says: its standby cannot ask any
    /// more, and is about to take over with what it has.
    fn due(&mut self, now: Duration, mode: StandbyMode) -> Option<Notice> {
        if self.is_over {
            return None;
        }
        if self.is_closing {
            // One that was lost before is not to be waited for.
            return self.following.notice();
        }
        if let Some(first) = self.held.front() {
            self.following.leave_if_late(first.since, now);
        }
        self.following.due(now, mode)
    }

    /// Has all sent again that have waited for long.
    fn refuse_late(&mut self, now: Duration) {
        let is_late = |held: &Held| now.saturating_sub(held.since) >= STANDBY_ANSWER_PATIENCE;
        while self.held.front().is_some_and(is_late) {
            self.refuse_first();
        }
    }

    /// Has the first that waits sent again.
    fn refuse_first(&mut self) {
        let Some(Held { answer, done, .. }) = self.held.pop_front() else { return };
        done(answer.and(Err(unsure())));
    }
}

/// Nobody knows whether a take-over would find it.
pub(crate) fn unsure() -> Problem {
    let detail = "the rules have seen the samples, but it is not known whether another node would go on \
                  with them: send them again";
    Problem::new(Code::DeskAway, detail).retry_after(UNSURE_RETRY_S).may_be_taken()
}

/// Something comes to a keeper that hands over.
pub(crate) fn handed_over() -> Problem {
    let detail = "the samples and rules are handed over to another node: ask again";
    Problem::new(Code::DeskAway, detail).retry_after(UNSURE_RETRY_S)
}

/// What cannot be read is not there any more, or the disk fails: either way the standby begins anew.
fn failed(error: &io::Error) -> NotRead {
    tracing::warn!(%error, "What the standby asks for cannot be read; it begins anew.");
    NotRead::BeginAnew
}

#[cfg(test)]
mod tests;
