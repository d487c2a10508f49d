//! Scraping: targets are asked for what they expose, as Prometheus does.
//!
//! ```text
//! Scraper ─┬─ Pool (a job) ─┬─ Finders: configuration, files, servers ─▶ groups
//!          │                │                     │ relabeling
//!          │                │                     ▼
//!          │                ├─ Rounds (a target): get, read, hand over ─▶ Intake
//!          │                └─ Rounds …
//!          └─ Pool …
//! ```
//!
//! A job is a task, and so is each of its targets. A new configuration is an order to those that run:
//! a target that stays keeps its moments and what is known of its series.

mod client;
mod discovery;
mod group;
mod job;
mod pace;
mod pool;
mod rounds;
mod scraper;
mod status;
mod table;
mod target;
mod wall;

pub use group::Group;
pub use job::{
    Coding, Credentials, Discovery, FileDiscovery, Http, HttpDiscovery, Job, Pace, Place,
    Redirects, Series,
};
pub use scraper::Scraper;
pub use status::{ActiveTarget, Health, JobTargets, LastScrape};
pub use table::{JobTable, check_names};
pub use target::duration_text;
