//! The rounds of one target: it is scraped at its moments for as long as it is there, and its series end
//! when it is gone.
//!
//! ```text
//! wait for its moment ─▶ get ─▶ Memory ─▶ samples, stale markers, report: one batch ─▶ rules
//!         ▲                                                                            │
//!         └──────── next moment, or an order: another plan, or that it is gone ◀───────┘
//! ```
//!
//! A broken invariant fails the scrape that meets it. The next one is made all the same: a target that
//! is looked at no more would be silent, and nobody would hear of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_ingest::Decoded;
use bellwire_ingest::exposition::Format;
use bellwire_ingest::relabel::Rule;
use bellwire_ingest::scrape::{Memory, Report, Scraped, Treatment, stale};
use bellwire_model::{Labels, Timestamp};
use bellwire_process::clock::Ticker;
use bellwire_process::crash;
use bellwire_wire::problem::Problem;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::client::{Answer, Fetch, FetchError};
use super::job::{Pace, Series};
use super::status::{Health, LastScrape, Status};
use super::target::Target;
use super::wall::Wall;
use crate::intake::{Batch, Intake, Sender};
use crate::kind::Kind;

/// The formats that Prometheus 3 asks for by itself, in its order.
const ACCEPTED: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                        application/openmetrics-text;version=0.0.1;q=0.5,\
                        text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
/// Targets are told how long they have.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// How the targets of a job are scraped.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) client: Arc<dyn Fetch>,
    /// What asks those that somebody else than the configuration has chosen.
    pub(super) client_of_told: Arc<dyn Fetch>,
    pub(super) series: Series,
    pub(super) relabel: Arc<[Rule]>,
    pub(super) body_bytes_max: usize,
    pub(super) fallback: Option<Format>,
    /// Why all scrapes fail.
    pub(super) failure: Option<String>,
}

impl Order {
    /// Whether it says nothing new.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scrape(plan, pace), Self::Scrape(other_plan, other_pace)) => {
                Arc::ptr_eq(plan, other_plan) && pace == other_pace
            }
            (Self::End, Self::End) => true,
            _ => false,
        }
    }
}

/// What the loop of a target is to do.
#[derive(Clone, Debug)]
pub(super) enum Order {
    /// To go on like this.
    Scrape(Arc<Plan>, Pace),
    /// The target is gone.
    End,
}

/// One target on its rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) target: Target,
    /// Where in the interval its moment is.
    pub(super) hash: u64,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) status: Arc<Status>,
    pub(super) intake: Arc<dyn Intake>,
    pub(super) sender: Sender,
    pub(super) wall: Wall,
}

/// What is known of the target's series: it outlives what breaks while it is looked at.
type Shared = Arc<Mutex<Memory>>;

/// The code of a scrape that has met a broken invariant.
pub(super) const BROKEN: &str = "invariant_broken";

/// Why a scrape does not count, and its stable code.
struct Failure {
    code: &'static str,
    reason: String,
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { code: error.code(), reason: error.to_string() }
    }
}

impl Rounds {
    /// Scrapes until the target is gone, and ends its series then.
    pub(super) async fn run(mut self) {
        let memory = Shared::default();
        let mut last_pace = None;
        loop {
            let order = self.orders.borrow_and_update().clone();
            let Order::Scrape(plan, pace) = order else { break };
            last_pace = Some(pace);
            // What texts stand for depends on the plan.
            lock(&memory).forget_texts();
            self.follow(&plan, pace, &memory).await;
        }
        if let Some(pace) = last_pace.filter(|_| self.status.get().health != Health::Unknown) {
            self.end(pace, &memory).await;
        }
    }

    /// Scrapes by a plan until there is another order.
    async fn follow(&mut self, plan: &Arc<Plan>, pace: Pace, memory: &Shared) {
        let first = Instant::now() + pace.until_first(self.wall.now(), self.hash);
        let mut moments = interval_at(first, pace.interval);
        // As in Prometheus, a moment that has passed meanwhile is left out.
        moments.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            // Both can be dropped at any point: a moment that was not waited for stays.
            tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        // The server ends: so does this, without a word.
                        std::future::pending::<()>().await;
                    }
                    return;
                }
                _ = moments.tick() => {}
            }
            let time = pace.aligned(self.wall.now(), self.hash);
            self.scrape((plan, pace), memory, time).await;
        }
    }

    /// One scrape.
    async fn scrape(&self, by: (&Arc<Plan>, Pace), memory: &Shared, time: Timestamp) {
        let began = Ticker::start();
        let exposed = crash::contain_task(self.ask(by, memory, time)).await;
        let exposed = exposed.unwrap_or_else(|| broken(memory, time));
        let concluded = crash::contain_task(self.conclude(exposed, memory, (time, began))).await;
        if concluded.is_none() {
            self.intake.note_unread(Kind::Scrape, BROKEN);
            self.tell(Failure::broken().reason, time, began.elapsed());
        }
    }

    /// What the target exposes now, and why that does not count.
    async fn ask(
        &self,
        (plan, pace): (&Arc<Plan>, Pace),
        memory: &Shared,
        time: Timestamp,
    ) -> (Scraped, Option<Failure>) {
        let answer = match &plan.failure {
            None => self.get((plan, pace)).await,
            Some(reason) => Err(Failure { code: "job_unusable", reason: reason.clone() }),
        };
        let (plan, memory) = (Arc::clone(plan), Arc::clone(memory));
        let target = self.target.labels.clone();
        off_the_workers(move || read(answer, (&plan, target), &mut lock(&memory), time)).await
    }

    /// Has the rules see what was exposed, and tells how it went.
    async fn conclude(
        &self,
        (mut scraped, failure): (Scraped, Option<Failure>),
        memory: &Shared,
        (time, began): (Timestamp, Ticker),
    ) {
        let took = began.elapsed();
        let report = Report {
            is_up: failure.is_none(),
            duration: took,
            exposed: scraped.exposed,
            kept: scraped.kept,
            new_series: scraped.new_series,
        };
        add(&mut scraped.decoded, report.samples(&self.target.labels, time));
        if let Some(failure) = &failure {
            self.intake.note_unread(Kind::Scrape, failure.code);
        }
        // Whoever hears of an alert by it may look at once.
        let error = failure.map(|failure| failure.reason).unwrap_or_default();
        self.tell(error.clone(), time, took);
        if let Err(problem) = self.hand_over(scraped.decoded, memory).await
            && error.is_empty()
        {
            self.tell(problem.detail().to_owned(), time, took);
        }
    }

    async fn get(&self, (plan, pace): (&Plan, Pace)) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPTED));
        let seconds = pace.timeout.as_secs_f64().to_string();
        headers
            .extend(HeaderValue::try_from(seconds).ok().map(|seconds| (TIMEOUT_HEADER, seconds)));
        let client = if self.target.is_told() { &plan.client_of_told } else { &plan.client };
        let getting = client.get(&self.target.url, headers, plan.body_bytes_max);
        match timeout(pace.timeout, getting).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure {
                code: "target_timeout",
                reason: format!(
                    "context deadline exceeded: no whole answer within {:?}",
                    pace.timeout
                ),
            }),
        }
    }

    /// Has the rules see a batch. What they did not see is told by the next one, as far as it still
    /// matters then.
    async fn hand_over(&self, decoded: Decoded, memory: &Shared) -> Result<(), Problem> {
        let ends = Memory::ends_of(&decoded);
        let batch = Batch { kind: Kind::Scrape, decoded, sender: self.sender.clone() };
        match self.intake.take(batch).await {
            Ok(_) => Ok(()),
            Err(problem) => {
                lock(memory).end_again(ends);
                Err(problem)
            }
        }
    }

    fn tell(&self, error: String, began_at: Timestamp, took: Duration) {
        let health = if error.is_empty() { Health::Up } else { Health::Down };
        if health == Health::Down && self.status.get().health != Health::Down {
            let (url, reason) = (self.target.url.as_str(), &error);
            tracing::warn!(url, reason, "A target cannot be scraped.");
        }
        self.status.set(LastScrape { health, error, began_at: Some(began_at), took });
    }

    /// Ends all series of a target that is gone, as Prometheus does: it may be there again under another
    /// job, so that two moments pass before, and samples of then are newer than the markers.
    async fn end(&self, pace: Pace, memory: &Shared) {
        sleep(pace.until_first(self.wall.now(), self.hash)).await;
        let time = self.wall.now();
        sleep(pace.interval + pace.interval / 10).await;
        let mut decoded = lock(memory).lose(time);
        add(&mut decoded, stale(&self.target.labels, time));
        if let Err(problem) = self.hand_over(decoded, memory).await {
            let (url, reason) = (self.target.url.as_str(), problem.detail());
            tracing::warn!(url, reason, "The series of a target that is gone are not ended.");
        }
    }
}

impl Failure {
    fn broken() -> Self {
        let reason = "an invariant of the server is broken: its log says where".to_owned();
        Self { code: BROKEN, reason }
    }
}

fn lock(memory: &Shared) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a scrape comes to that broke off somewhere: all series end, and nothing more is believed of
/// what is known of them.
fn broken(memory: &Shared, time: Timestamp) -> (Scraped, Option<Failure>) {
    let mut memory = std::mem::take(&mut *lock(memory));
    let decoded = crash::contain(|| memory.lose(time)).unwrap_or_default();
    (Scraped { decoded, ..Scraped::default() }, Some(Failure::broken()))
}

/// What an answer comes to.
fn read(
    answer: Result<Answer, Failure>,
    (plan, target): (&Plan, Labels),
    memory: &mut Memory,
    time: Timestamp,
) -> (Scraped, Option<Failure>) {
    let lost = |memory: &mut Memory, failure| {
        (Scraped { decoded: memory.lose(time), ..Scraped::default() }, Some(failure))
    };
    let (body, format) = match answer.and_then(|answer| readable(answer, plan)) {
        Ok(readable) => readable,
        Err(failure) => return lost(memory, failure),
    };
    let Series { conflict, times, limits, .. } = plan.series;
    let relabel = Arc::clone(&plan.relabel);
    let treatment = Treatment { target, conflict, times, relabel, limits };
    match memory.take((body.bytes(), format), &treatment, time) {
        Ok(scraped) => (scraped, None),
        Err(failed) => {
            let failure = Failure { code: failed.why.code(), reason: failed.why.to_string() };
            (failed.scraped, Some(failure))
        }
    }
}

/// The body of an answer, inflated, and how it is written.
fn readable(answer: Answer, plan: &Plan) -> Result<(super::client::Body, Format), Failure> {
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let format = content_type.and_then(Format::from_content_type).or(plan.fallback);
    let Some(format) = format else {
        let given = content_type.unwrap_or("nothing");
        let reason = format!(
            "its Content-Type is {given:?}, which is no exposition format, and there is no \
             fallback_scrape_protocol"
        );
        return Err(Failure { code: "content_type_unknown", reason });
    };
    let is_gzip = answer.is_gzip();
    let body = if is_gzip { answer.body.inflated()? } else { answer.body };
    Ok((body, format))
}

/// Adds what the server says of a scrape. Where a target's labels leave no room for a name nothing is
/// said: its series have none either.
fn add(
    decoded: &mut Decoded,
    samples: Result<Vec<bellwire_model::Sample>, bellwire_model::LabelsError>,
) {
    decoded.add(samples.unwrap_or_default());
}

/// Does what takes the time of a processor where no other task waits for it.
async fn off_the_workers<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Whoever looks after the task that waits contains it.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
