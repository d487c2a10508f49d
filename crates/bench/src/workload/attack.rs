//! Workload `attack`: whether those who may be here notice those who may not.

mod wrong;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Print;
use crate::load::{
    AT_ONCE, Answers, Delivered, Flow, Pace, SlowHeads, Slowness, UNDER_WAY_MAX, Volley, hurry,
    provide_for,
};
use crate::result::{OutputFlags, Record};
use crate::system::{Durability, Server, ServerFlags};

const TOPIC: &str = "bench/attack";

/// How long the attackers are at it before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What `bench attack` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Good subscribers of the topic.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    subscribers: usize,
    /// Events a second for them.
    #[arg(long, value_name = "EVENTS", default_value_t = 20.0)]
    rate: f64,
    /// How long to measure: once in peace, once under attack.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    seconds: u32,
    /// Size of an event's body.
    #[arg(long, value_name = "BYTES", visible_alias = "size", default_value_t = 128)]
    body_bytes: usize,
    /// Connections whose requests never end.
    #[arg(long, value_name = "COUNT", default_value_t = 5000)]
    slow_heads: usize,
    /// How long each of them takes for a byte.
    #[arg(long, value_name = "SECONDS", default_value_t = 3,
          value_parser = clap::value_parser!(u64).range(1..=60))]
    slow_interval_seconds: u64,
    /// Requests a second that are no HTTP, have a body that is no JSON, or ask for what is not there.
    #[arg(long, value_name = "REQUESTS", default_value_t = 1000.0)]
    bad_requests: f64,
    /// Requests a second with credentials that count for nothing: tokens, no two of them alike, and
    /// one in twenty a wrong password.
    #[arg(long, value_name = "REQUESTS", default_value_t = 1000.0)]
    bad_tokens: f64,
    /// When the server acknowledges an event.
    #[arg(long, value_enum, default_value_t = Durability::Interval, conflicts_with = "server")]
    durability: Durability,
    /// What the good ones show to a server that runs already: a key or a token that may publish and
    /// subscribe on `bench/**`.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerFlags,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { subscribers, rate, seconds, slow_heads, bad_requests, bad_tokens, .. } =
        *arguments;
    ensure!(subscribers > 0, "there is nobody to deliver to");
    ensure!(rate > 0.0 && seconds > 0, "the rate and the time are above 0");
    ensure!(bad_requests >= 0.0 && bad_tokens >= 0.0, "a rate is not below 0");
    provide_for(subscribers + slow_heads + 2 * UNDER_WAY_MAX)?;
    Record::new("attack")
        .parameter("subscribers", subscribers)
        .parameter("rate", rate)
        .parameter("seconds", seconds)
        .parameter("body_bytes", arguments.body_bytes)
        .parameter("slow_heads", slow_heads)
        .parameter("slow_interval_seconds", arguments.slow_interval_seconds)
        .parameter("bad_requests", bad_requests)
        .parameter("bad_tokens", bad_tokens)
        .parameter("durability", arguments.server.durability_text(arguments.durability))
        .complete(&arguments.output, print, |record| measure(arguments, record))
}

fn measure(arguments: &Arguments, record: Record) -> Result<Record> {
    let Arguments { subscribers, rate, seconds, body_bytes, .. } = *arguments;
    let token = arguments.token_file.as_ref().map(|path| {
        let text = fs::read_to_string(path);
        text.with_context(|| format!("cannot read {}", path.display()))
    });
    let token = token.transpose()?;
    let token = token.as_deref().map(str::trim);
    let server = Server::bellwire_with_access(&arguments.server, arguments.durability, token)?;
    let mut good = server.subscribers(TOPIC)?;
    good.open(subscribers, AT_ONCE)?;
    let publisher = server.publisher(TOPIC, body_bytes)?;
    let mut flow = Flow { publishers: vec![publisher], subscribers: good };
    let pace = Pace { events: (f64::from(seconds) * rate).ceil() as u64, rate };

    // Once for what grows with the first events alone.
    flow.run(Pace { events: 10, rate }, &AtomicBool::new(false))?;
    let (quiet, quiet_cpu) = server.timed(|| in_haste(&mut flow, pace))?;
    let (under_attack, cpu, harm) = attacked(arguments, &server, (&mut flow, pace))?;

    let share = |quantile: f64| {
        under_attack.latency.quantile_ms(quantile) / quiet.latency.quantile_ms(quantile)
    };
    let cores = |delivered: &Delivered, cpu: Option<Duration>| {
        cpu.map(|cpu| cpu.as_secs_f64() / delivered.duration.as_secs_f64())
    };
    let a_second = |count: u64| count as f64 / harm.duration.as_secs_f64();
    let Harm { requests, tokens, slowness, .. } = &harm;
    Ok(record
        .latency("peace", &quiet.latency)
        .latency("attack", &under_attack.latency)
        .figure("attack_p50_ratio", share(0.5))
        .figure("attack_p99_ratio", share(0.99))
        .maybe_figure("peace_server_cpu_cores", cores(&quiet, quiet_cpu))
        .maybe_figure("attack_server_cpu_cores", cores(&under_attack, cpu))
        .figure("bad_requests_refused_per_s", a_second(requests.refused()))
        .figure("bad_requests_unanswered_per_s", a_second(requests.unanswered))
        .figure("bad_tokens_refused_per_s", a_second(tokens.refused()))
        .figure("bad_tokens_unanswered_per_s", a_second(tokens.unanswered))
        .figure("slow_heads_ended_per_s", a_second(slowness.ended)))
}

/// What the attackers did, and for how long.
#[derive(Debug, Default)]
struct Harm {
    requests: Answers,
    tokens: Answers,
    slowness: Slowness,
    duration: Duration,
}

/// Lets events flow while the attackers are at it.
fn attacked(
    arguments: &Arguments,
    server: &Server,
    (flow, pace): (&mut Flow, Pace),
) -> Result<(Delivered, Option<Duration>, Harm)> {
    let (are_there, stop) = (AtomicBool::new(arguments.slow_heads == 0), AtomicBool::new(false));
    let began = Instant::now();
    thread::scope(|scope| {
        let attackers = Attackers::begin(scope, arguments, server, (&are_there, &stop));
        let measured = attackers.as_ref().map_or_else(
            |_| Ok(None),
            |attackers| {
                while !are_there.load(Ordering::Acquire) && !attackers.has_any_ended() {
                    thread::sleep(LOOK_INTERVAL);
                }
                thread::sleep(WARM_UP);
                server.timed(|| in_haste(flow, pace)).map(Some)
            },
        );
        stop.store(true, Ordering::Release);
        let harm = attackers.and_then(Attackers::end);
        // What went wrong with an attacker is why there is nothing that was measured.
        let harm = Harm { duration: began.elapsed(), ..harm? };
        let (delivered, cpu) = measured?.context("nobody attacked")?;
        Ok((delivered, cpu, harm))
    })
}

/// Three threads that mean no good.
#[derive(Debug)]
struct Attackers<'scope> {
    slow: ScopedJoinHandle<'scope, Result<Slowness>>,
    volleys: [ScopedJoinHandle<'scope, Result<Answers>>; 2],
}

impl<'scope> Attackers<'scope> {
    fn begin<'env>(
        scope: &'scope Scope<'scope, 'env>,
        arguments: &Arguments,
        server: &Server,
        (are_there, stop): (&'env AtomicBool, &'env AtomicBool),
    ) -> Result<Self> {
        let address = server.peer().address;
        let (slow, requests, tokens) =
            (SlowHeads::new(address)?, Volley::new(address)?, Volley::new(address)?);
        let crowd = (arguments.slow_heads, Duration::from_secs(arguments.slow_interval_seconds));
        let rates = (arguments.bad_requests, arguments.bad_tokens);
        let (mut wrong, mut nobodies) =
            (wrong::requests(TOPIC, server.token()), wrong::tokens(TOPIC));
        Ok(Self {
            slow: scope.spawn(move || slow.run(crowd, are_there, stop)),
            volleys: [
                scope.spawn(move || requests.run(rates.0, stop, || wrong.next().expect("endless"))),
                scope
                    .spawn(move || tokens.run(rates.1, stop, || nobodies.next().expect("endless"))),
            ],
        })
    }

    fn has_any_ended(&self) -> bool {
        self.slow.is_finished() || self.volleys.iter().any(ScopedJoinHandle::is_finished)
    }

    fn end(self) -> Result<Harm> {
        const CALM: &str = "who attacks does not panic";
        let slowness = self.slow.join().expect(CALM)?;
        let [requests, tokens] = self.volleys.map(|volley| volley.join().expect(CALM));
        let (requests, tokens) = (requests?, tokens?);
        let successes = requests.successes() + tokens.successes();
        ensure!(successes == 0, "the server has let {successes} attackers in");
        Ok(Harm { requests, tokens, slowness, duration: Duration::ZERO })
    }
}

/// Takes times on a thread of its own, which does not wait for the processor behind the attackers.
fn in_haste(flow: &mut Flow, pace: Pace) -> Result<Delivered> {
    thread::scope(|scope| {
        let hasty = scope.spawn(|| {
            hurry();
            flow.run(pace, &AtomicBool::new(false))
        });
        hasty.join().expect("who takes times does not panic")
    })
}
