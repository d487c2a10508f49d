//! Jobs, one after the other: each has its progress and its log as topics, which end with it, and is
//! listed for a while.

use serde_json::json;

use super::{Step, one_of};
use crate::command::demo::random::Random;

/// Where jobs are listed, and for how long.
const LIST: &str = "jobs";
const LISTED_FOR: &str = "5m";

/// Steps of a job, and between two of them.
const STEPS: u32 = 100;
const PAUSE: u32 = 30;
/// Of how many steps one brings a line of the log.
const LINE_EVERY: u32 = 3;
const PERCENT: u32 = 100;

const CRATES: [&str; 12] = [
    "model", "wire", "rules", "alerts", "journal", "hub", "access", "shards", "alerting", "server",
    "bench", "bellwire",
];

#[derive(Debug)]
pub(super) struct Builder {
    /// What tells jobs of this run from those of others: topics that have ended take nothing more.
    run: i64,
    number: u32,
    done: u32,
}

impl Builder {
    pub(super) fn new(run: i64) -> Self {
        Self { run, number: 1, done: 0 }
    }

    pub(super) fn step(&mut self, random: &mut Random, out: &mut Step) {
        let id = format!("{}-{}", self.run, self.number);
        let (progress, log) = (format!("jobs/{id}"), format!("jobs/{id}/log"));
        let title = format!("Build {}", self.number);
        let listed = |state: &str| json!({ "title": title, "state": state });
        match self.done {
            0 => {
                out.value((LIST, &id), listed("running"), Some(LISTED_FOR));
                out.event(&log, json!(format!("{title} begins")));
                out.event(&progress, json!({ "done": 0 }));
            }
            1..STEPS => {
                if self.done.is_multiple_of(LINE_EVERY) {
                    let line = format!("compiling bellwire-{}", one_of(&CRATES, random));
                    out.event(&log, json!(line));
                }
                out.event(&progress, json!({ "done": self.done * PERCENT / STEPS }));
            }
            STEPS => {
                out.last_event(&log, json!(format!("{title} is done")));
                out.last_event(&progress, json!({ "done": PERCENT }));
                out.value((LIST, &id), listed("done"), Some(LISTED_FOR));
            }
            _ => {}
        }
        self.done += 1;
        if self.done > STEPS + PAUSE {
            self.done = 0;
            self.number += 1;
        }
    }
}
