//! Rounds in virtual time: when a target is scraped, and what is said of it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use bellwire_access::Identity;
use bellwire_model::METRIC_NAME;
use bellwire_wire::problem::Code;
use url::Url;

use super::super::client::Fetching;
use super::super::job::Job;
use super::super::table::JobTable;
use super::*;
use crate::intake::{Part, PartsTaken, Taken};
use crate::outcome::Outcome;

const INTERVAL: Duration = Duration::from_secs(10);
/// The moment in the interval.
const MOMENT_MS: i64 = 3_000;
/// A whole interval of the clock on the wall.
const BEGAN_MS: i64 = 1_700_000_000_000;

/// What becomes of a request, or of a batch, after so long.
#[derive(Clone, Copy)]
enum Step {
    Done(u64),
    Fails(u64),
    Breaks,
}

/// Steps one after the other; after the last of them all goes well.
#[derive(Default)]
struct Steps(Mutex<VecDeque<Step>>);

impl Steps {
    fn of(steps: &[Step]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(steps.iter().copied().collect())))
    }

    /// Waits, and says whether it goes well.
    async fn next(&self) -> bool {
        let step = self.0.lock().expect("not poisoned").pop_front();
        match step.unwrap_or(Step::Done(0)) {
            Step::Done(seconds) => {
                sleep(Duration::from_secs(seconds)).await;
                true
            }
            Step::Fails(seconds) => {
                sleep(Duration::from_secs(seconds)).await;
                false
            }
            Step::Breaks => unreachable!("an invariant of a test"),
        }
    }
}

struct House {
    target: Arc<Steps>,
    rules: Arc<Steps>,
    /// What has reached the rules: when by its samples, and what.
    seen: Mutex<Vec<(i64, String)>>,
    unread: Mutex<Vec<&'static str>>,
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.seen)
    }
}

impl Fetch for House {
    fn get<'a>(&'a self, _: &'a Url, _: HeaderMap, _: usize) -> Fetching<'a> {
        Box::pin(async move {
            let is_there = self.target.next().await;
            let nobody = || FetchError::Connection("nobody is there".to_owned());
            is_there.then(|| Answer::of_text("a 1\n")).ok_or_else(nobody)
        })
    }
}

#[derive(Debug)]
struct Rules(Arc<House>);

impl Intake for Rules {
    fn take(&self, batch: Batch) -> Taken {
        let house = Arc::clone(&self.0);
        Box::pin(async move {
            let is_taken = house.rules.next().await;
            if !is_taken {
                return Err(Problem::new(Code::PublishersBusy, "the rules are busy"));
            }
            let samples = &batch.decoded.samples;
            let told = samples.iter().filter_map(|sample| {
                let name = sample.series.get(METRIC_NAME)?;
                let value = if sample.is_stale_marker() { -1.0 } else { sample.value };
                (!name.starts_with("scrape_")).then(|| format!("{name} {value}"))
            });
            let told = told.collect::<Vec<_>>().join(", ");
            let time = samples.first().expect("a sample").time;
            house.seen.lock().expect("not poisoned").push((time.as_ms() - BEGAN_MS, told));
            Ok(Outcome::new(batch.decoded, bellwire_rules::RefusedSamples::default()))
        })
    }

    fn note_unread(&self, _: Kind, reason: &'static str) {
        self.0.unread.lock().expect("not poisoned").push(reason);
    }

    fn has_room(&self) -> bool {
        unreachable!("a target's room is its own")
    }

    fn admit(&self, _: Kind, _: Part) -> Result<Part, Problem> {
        unreachable!("a target sends for itself")
    }

    fn publish(&self, _: Vec<bellwire_model::Event>) -> crate::intake::EventsTaken {
        unreachable!("a target says samples")
    }

    fn take_together(&self, _: Kind, _: Vec<Part>) -> PartsTaken {
        unreachable!("a target sends for itself")
    }
}

/// A target that is on its rounds.
struct Run {
    house: Arc<House>,
    orders: watch::Sender<Order>,
    status: Arc<Status>,
    jump_ms: Arc<AtomicI64>,
}

impl Run {
    fn begin(timeout_s: u64, target: &[Step], rules: &[Step]) -> Self {
        let house = Arc::new(House {
            target: Steps::of(target),
            rules: Steps::of(rules),
            seen: Mutex::default(),
            unread: Mutex::default(),
        });
        let table: JobTable = toml::from_str("job_name = \"j\"").expect("a job");
        let job: Job = table.job().expect("a job");
        let plan = Plan {
            client: Arc::clone(&house) as Arc<dyn Fetch>,
            client_of_told: Arc::clone(&house) as Arc<dyn Fetch>,
            series: job.series,
            relabel: Arc::default(),
            body_bytes_max: 1_000,
            fallback: Some(Format::Text),
            failure: None,
        };
        let pace = Pace { interval: INTERVAL, timeout: Duration::from_secs(timeout_s) };
        let (orders, ordered) = watch::channel(Order::Scrape(Arc::new(plan), pace));
        let (status, jump_ms) = (Arc::<Status>::default(), Arc::<AtomicI64>::default());
        let (began, jumped) = (Instant::now(), Arc::clone(&jump_ms));
        let wall = Wall::new(move || {
            let passed_ms = began.elapsed().as_millis() as i64;
            Timestamp::from_ms(BEGAN_MS + passed_ms + jumped.load(Ordering::Relaxed))
        });
        let target = Target {
            labels: Labels::from_pairs([("job", "j")]).expect("labels"),
            url: "http://h:1/metrics".parse().expect("a URL"),
            pace,
            discovered: std::collections::BTreeMap::new(),
        };
        let rounds = Rounds {
            target,
            hash: MOMENT_MS as u64,
            orders: ordered,
            status: Arc::clone(&status),
            intake: Arc::new(Rules(Arc::clone(&house))),
            sender: Sender::new(Arc::new(Identity::open()), None),
            wall,
        };
        tokio::spawn(rounds.run());
        Self { house, orders, status, jump_ms }
    }

    /// What the rules have seen by then.
    async fn after(&self, seconds: u64) -> Vec<(i64, String)> {
        sleep(Duration::from_secs(seconds)).await;
        std::mem::take(&mut *self.house.seen.lock().expect("not poisoned"))
    }

    fn unread(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.house.unread.lock().expect("not poisoned"))
    }
}

fn at(seconds: i64, told: &str) -> (i64, String) {
    (seconds * 1_000, told.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_target_is_scraped_at_its_moments_however_long_it_takes() {
    let run = Run::begin(10, &[Step::Done(0), Step::Done(9), Step::Done(4)], &[]);
    let all = "a 1, up 1";
    assert_eq!(run.after(40).await, [at(3, all), at(13, all), at(23, all), at(33, all)]);
    assert_eq!((run.unread(), run.status.get().health), (vec![], Health::Up));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_takes_too_long_is_down_and_asked_again_at_the_next_moment() {
    let run = Run::begin(5, &[Step::Done(0), Step::Done(6), Step::Done(100), Step::Done(4)], &[]);
    let told = run.after(45).await;
    let down = "a -1, up 0";
    // What has ended has ended, and is not told of again.
    assert_eq!(told[..3], [at(3, "a 1, up 1"), at(13, down), at(23, "up 0")]);
    assert_eq!(run.unread(), ["target_timeout"; 2]);
    assert_eq!(told[3..], [at(33, "a 1, up 1"), at(43, "a 1, up 1")]);
}

#[tokio::test(start_paused = true)]
async fn moments_that_pass_while_the_rules_are_busy_are_left_out() {
    let run = Run::begin(10, &[], &[Step::Done(25), Step::Fails(1), Step::Done(0)]);
    let told = run.after(30).await;
    assert_eq!(told, [at(3, "a 1, up 1")]);
    // One came at once behind it, and was refused: the status says so.
    assert_eq!(run.status.get().error, "the rules are busy");
    assert_eq!(run.after(10).await, [at(33, "a 1, up 1")]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_moves_times_and_not_the_rounds() {
    let run = Run::begin(10, &[], &[]);
    let hour = 3_600;
    assert_eq!(run.after(20).await.len(), 2);
    run.jump_ms.store(hour * 1_000, Ordering::Relaxed);
    assert_eq!(run.after(20).await, [at(hour + 23, "a 1, up 1"), at(hour + 33, "a 1, up 1")]);
    run.jump_ms.store(-hour * 1_000, Ordering::Relaxed);
    assert_eq!(run.after(20).await, [at(43 - hour, "a 1, up 1"), at(53 - hour, "a 1, up 1")]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_invariant_fails_one_scrape() {
    let run = Run::begin(10, &[Step::Done(0), Step::Breaks, Step::Done(0)], &[]);
    let told = run.after(30).await;
    assert_eq!(told, [at(3, "a 1, up 1"), at(13, "a -1, up 0"), at(23, "a 1, up 1")]);
    assert_eq!((run.unread(), run.status.get().health), (vec![BROKEN], Health::Up));

    let run = Run::begin(10, &[], &[Step::Done(0), Step::Breaks]);
    assert_eq!(run.after(20).await.len(), 1);
    assert_eq!((run.unread(), run.status.get().health), (vec![BROKEN], Health::Down));
    assert_eq!(run.after(10).await, [at(23, "a 1, up 1")]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_ends_two_moments_later() {
    let run = Run::begin(10, &[Step::Done(0), Step::Fails(0), Step::Done(0)], &[]);
    assert_eq!(run.after(30).await.len(), 3);
    assert_eq!(run.unread(), ["target_unreachable"]);
    run.orders.send_replace(Order::End);
    assert_eq!(run.after(13).await, []);
    assert_eq!(run.after(30).await, [at(33, "a -1, up -1")]);
    assert_eq!(run.after(100).await, []);
}
