//! One run.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::figures::Figures;
use crate::parts::Parts;
use crate::plan::Plan;
use crate::truth::Breach;
use crate::world::{World, settle};

/// What has become of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What happened until it ended.
    pub figures: Figures,
    /// The promise that was not kept, if one was not.
    pub breach: Option<Breach>,
}

/// Plays a plan.
pub fn run(plan: &Plan, parts: &dyn Parts) -> Outcome {
    let mut world = World::new(plan, parts);
    // Whatever panics within a node is found as well.
    let played = catch_unwind(AssertUnwindSafe(|| world.run().and_then(|()| settle(&mut world))));
    let breach = match played {
        Ok(played) => played.err(),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&said| said.to_owned()));
            Some(Breach { what: format!("it panics: {}", said.unwrap_or_default()) })
        }
    };
    let breach = breach.map(|Breach { what }| {
        let at = world.now().as_secs_f64();
        Breach { what: format!("{what} (at {at:.3} s)") }
    });
    Outcome { figures: world.figures(), breach }
}
