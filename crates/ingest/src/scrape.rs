//! One scrape of a target: what it exposes, to samples.
//!
//! ```text
//! body ── exposition ── Treatment: target's labels, relabeling, limits ──▶ Memory ──▶ samples
//!                                                                            │
//!                                        series of the scrape before ────────┘──▶ stale markers
//! ```
//!
//! A scrape counts as a whole or not at all. What was exposed before and is not any more is marked as
//! stale, and so is everything once a scrape fails.

mod memory;
mod report;
mod treatment;

pub use self::memory::{Failed, Memory, Scraped, Why};
pub use self::report::{Report, stale};
pub use self::treatment::{Conflict, SeriesLimits, Times, Treatment};

/// The value that says that a series has no more samples for now: a NaN of its own, which no target
/// can write.
pub const STALE_MARKER: f64 = bellwire_model::Sample::STALE;
