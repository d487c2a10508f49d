//! What of a plan it takes for a promise to be broken.

use crate::parts::Parts;
use crate::plan::Plan;
use crate::run::run;

/// A plan with so little of this one that it still fails, found in so many runs at most: parts are left out,
/// large ones first.
pub fn shrink(plan: &Plan, parts: &dyn Parts, runs_max: usize) -> Plan {
    let mut least = plan.clone();
    let mut runs = 0;
    let mut fails = |plan: &Plan| {
        runs += 1;
        runs <= runs_max && run(plan, parts).breach.is_some()
    };
    let mut size = least.acts.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < least.acts.len() {
            let mut less = least.clone();
            less.acts.drain(from..(from + size).min(least.acts.len()));
            if fails(&less) {
                least = less;
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    least
}
