//! `--from` and `--to`: a stretch of time.

use std::time::Duration;

use anyhow::{Result, ensure};
use bellwire_model::{Timestamp, duration};
use bellwire_rules::replay::Stretch;

/// A time on the command line.
#[derive(Clone, Copy, Debug)]
enum Time {
    At(Timestamp),
    Ago(Duration),
}

/// From when to when.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StretchFlags {
    /// From when on: a time such as 2026-11-29T10:00:00Z, seconds since 1970, or how long ago, such as
    /// 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Time>,
    /// Until when, in the same words.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Time>,
}

impl StretchFlags {
    /// All of it where nothing is said.
    pub(super) fn stretch(&self) -> Result<Stretch> {
        let now = bellwire_process::clock::now();
        let at = |time: Time| match time {
            Time::At(at) => at,
            Time::Ago(ago) => now.saturating_sub(ago),
        };
        let all = Stretch::default();
        let stretch =
            Stretch { from: self.from.map_or(all.from, at), to: self.to.map_or(all.to, at) };
        ensure!(stretch.from <= stretch.to, "`--from` is later than `--to`");
        Ok(stretch)
    }
}

fn time(text: &str) -> Result<Time, String> {
    if let Some(at) = Timestamp::from_rfc3339(text) {
        return Ok(Time::At(at));
    }
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok(Time::At(Timestamp::from_ms((seconds * 1e3).round() as i64)));
    }
    let ago = duration::parse(text).map(Time::Ago);
    ago.ok_or_else(|| {
        "a time such as 2026-11-29T10:00:00Z, seconds since 1970, or how long ago, such as 2h"
            .to_owned()
    })
}
