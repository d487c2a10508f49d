//! What happened, counted.

use std::fmt;

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// What happened in a run, or in many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Figures {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Figures {
            /// Adds those of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }

        impl fmt::Display for Figures {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let all = [$((self.$name, $text)),*];
                for (index, (count, text)) in all.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{count} {text}")?;
                }
                Ok(())
            }
        }
    };
}

figures! {
    /// Runs.
    seeds: "seeds",
    /// Nodes that were killed, of which some have lost what was not synced.
    kills: "kills",
    /// Of these, those that have lost what was not synced.
    power_losses: "losses of power",
    /// Nodes that were paused.
    pauses: "pauses",
    /// Nodes that were cut off from the engine or from each other, or had their connections lost.
    cuts: "cuts",
    /// What went wrong at the engine.
    engine_faults: "faults of the engine",
    /// States of the engine that were lost.
    restores: "old copies restored",
    /// Disks that had no room for a while.
    full_disks: "disks full",
    /// Clocks that were set.
    clock_steps: "steps of clocks",
    /// Nodes that were drained, were new, had lost their disk or were forgotten.
    members: "nodes drained, joined, replaced or forgotten",
    /// Nodes whose data were not to be gone on with, and were removed by hand.
    emptied: "emptied by hand",
    /// Nodes of another cluster that were started.
    strangers: "strangers",
    /// Trims.
    trims: "trims",
    /// Snapshots that were taken.
    snapshots: "snapshots",
    /// Epochs that ended.
    epochs: "epochs raised",
    /// Terms of the lease.
    terms: "terms of the lease",
    /// Events that were acknowledged.
    acknowledged: "events acknowledged",
    /// Of these, those that the last epoch has not.
    lost: "of these gone with an epoch",
    /// Appends that were sent again.
    again: "sent again",
    /// Events that were delivered.
    delivered: "events delivered",
    /// Gaps that were told.
    gaps: "gaps",
    /// Turns that were taken.
    turns: "turns",
    /// Virtual time.
    virtual_seconds: "virtual seconds",
}
