//! `bellwire-sim`: plays many seeds, says what happened, and of those that fail how to play them again.

#![allow(clippy::print_stdout, reason = "what a command prints is its purpose")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bellwire_process::clock;
use bellwire_sim::{Figures, Honest, Kind, Plan, run, shrink};
use clap::Parser;

/// So many runs at most until a plan is small.
const SHRINKS_MAX: usize = 400;

/// Plays clusters in trouble: whole nodes on virtual time.
#[derive(Debug, Parser)]
struct Arguments {
    /// Play this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Of its acts these alone, by their numbers.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    acts: Option<Vec<usize>>,
    /// How many seeds to play.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Plans of this kind alone.
    #[arg(long, value_parser = Kind::ALL.map(|(name, _)| name))]
    kind: Option<String>,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many at once.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
    /// How many failures to look for.
    #[arg(long, default_value_t = 1)]
    failures: u64,
    /// Show the whole plan of a seed that fails, not only what of it is needed.
    #[arg(long)]
    whole: bool,
}

impl Arguments {
    fn wants(&self, kind: Kind) -> bool {
        let asked = Kind::ALL.iter().find(|(name, _)| self.kind.as_deref() == Some(name));
        asked.is_none_or(|(_, asked)| *asked == kind)
    }
}

/// What all seeds came to.
#[derive(Debug, Default)]
struct Total {
    figures: Figures,
    failures: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (first, count) = arguments.seed.map_or((arguments.first, arguments.seeds), |it| (it, 1));
    let (next, is_over) = (AtomicU64::new(first), AtomicBool::new(false));
    let total = Mutex::new(Total::default());
    let began = clock::uptime();
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) {
                        break;
                    }
                    if !arguments.wants(Plan::of(seed).kind) {
                        continue;
                    }
                    let failures = play(seed, &arguments, &total);
                    is_over.fetch_or(failures >= arguments.failures, Ordering::Relaxed);
                }
            });
        }
    });
    let took = clock::uptime().saturating_sub(began).as_secs_f64();
    let Total { figures, failures } = total.into_inner().expect("nobody panics with it");
    let each_minute = figures.seeds as f64 * 60.0 / took.max(0.001);
    println!("{figures}.");
    println!("{failures} failed; {took:.1} s, {each_minute:.0} seeds a minute.");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a seed. Returns how many have failed.
fn play(seed: u64, arguments: &Arguments, total: &Mutex<Total>) -> u64 {
    let mut plan = Plan::of(seed);
    arguments.acts.iter().for_each(|acts| plan.keep(acts));
    let outcome = run(&plan, &Honest);
    let shown = outcome.breach.as_ref().map(|breach| {
        let least = if arguments.whole { plan } else { shrink(&plan, &Honest, SHRINKS_MAX) };
        let still = run(&least, &Honest).breach.unwrap_or_else(|| breach.clone());
        let acts: Vec<String> = least.acts.iter().map(|act| act.number.to_string()).collect();
        let again = format!("--seed {seed} --acts {} --whole", acts.join(","));
        format!("FAILED: {breach}\nwith the least that it takes: {still}\n{least}again: {again}\n")
    });
    let mut total = total.lock().expect("nobody panics with it");
    total.figures.add(&outcome.figures);
    if let Some(shown) = shown {
        total.failures += 1;
        println!("{shown}");
    }
    total.failures
}
