//! Seeds that have failed once, with what was wrong.

use bellwire_sim::{Honest, Plan, run};

#[test]
fn what_was_found_once_is_kept_out() {
    for (seed, what) in FOUND {
        let outcome = run(&Plan::of(*seed), &Honest);
        assert_eq!(outcome.breach, None, "seed {seed}: {what}");
    }
}

/// The seeds. They say the same for as long as a plan is made in the same way of a seed.
const FOUND: &[(u64, &str)] = &[
    (66, "two nodes seemed to hold the lease of who has keys go, and the engine kept out both"),
    (103, "the same"),
    (125, "the same"),
];
