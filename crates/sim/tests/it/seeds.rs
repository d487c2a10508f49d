//! So many seeds are played; `cargo run -p bellwire-sim` plays more.

use bellwire_sim::{Figures, Honest, Kind, Plan, run, shrink};

/// How many.
const SEEDS: u64 = 40;

/// So many runs at most until a plan is small.
const SHRINKS_MAX: usize = 200;

/// Where the first of them is: elsewhere at each `cargo test`, and the same at each run of the test command.
fn first() -> u64 {
    let asked = std::env::var("BELLWIRE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let first = asked.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("BELLWIRE_TEST_SEED={first}");
    first
}

#[test]
fn whatever_goes_wrong_what_was_promised_is_kept() {
    let first = first();
    let mut all = Figures::default();
    for seed in first..first + SEEDS {
        let plan = Plan::of(seed);
        let outcome = run(&plan, &Honest);
        if let Some(breach) = outcome.breach {
            let least = shrink(&plan, &Honest, SHRINKS_MAX);
            panic!("{breach}\n{least}again: cargo run -p bellwire-sim -- --seed {seed}");
        }
        all.add(&outcome.figures);
    }
    println!("{all}");
    assert!(all.kills > SEEDS && all.acknowledged > 20 * SEEDS, "{all}");
    assert!(all.trims > 0 && all.terms > SEEDS, "{all}");
}

/// What has failed is to be a test.
#[test]
fn a_seed_is_one_run() {
    let of = |kind: Kind| (0..).map(Plan::of).filter(move |plan| plan.kind == kind);
    for kind in [Kind::Sound, Kind::Lossy, Kind::Long] {
        let plan = of(kind).next().expect("some are");
        assert_eq!(run(&plan, &Honest), run(&plan, &Honest), "{plan}");
    }
    let figures = |plan: Plan| run(&plan, &Honest).figures;
    let mut plans = of(Kind::Sound);
    assert_ne!(plans.next().map(figures), plans.next().map(figures));
}
