//! What targets expose to a scraper: Prometheus' text format 0.0.4 and `OpenMetrics` 1.0.
//!
//! ```text
//! # TYPE http_requests_total counter
//! http_requests_total{method="post",code="200"} 1027 1395066363000
//! ╰─ series ──────────────────────────────────╯ ╰ value ╰ time, or the scrape's
//! {"höhe.über.grund", site="oslo"} 23
//! ```
//!
//! | | text 0.0.4 | `OpenMetrics` |
//! |---|---|---|
//! | times | whole milliseconds | seconds, rounded towards zero |
//! | blanks | anywhere between two parts | one space where the format has one |
//! | comments, empty lines | passed over | refused |
//! | end | where the text ends | `# EOF`, or nothing of it counts |
//! | exemplars | none | read and left out |
//!
//! It reads what Prometheus 3 reads, and as it does: one line that cannot be read spoils the whole,
//! since half of what a target says may mean something else. `_created` is a series as any other. The
//! bounds of classic histograms and the quantiles of summaries are written alike, whatever the target
//! writes: `le="1"` is `le="1.0"`. Unlike Prometheus, it asks for UTF-8 in comments too, and blanks
//! before a name are no part of it.
//!
//! The [`Parser`] hands out one sample after the other. A scrape finds most of its series again by
//! their text, so labels are made only when they are [asked for](Parser::labels).

mod bound;
mod cursor;
mod error;
mod number;
mod parser;

pub use self::error::{Error, Fault};
pub use self::parser::{Exposed, Parser};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4, with quoted names as of 1.0.0.
    Text,
    /// `OpenMetrics`, version 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type, without its parameters.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain",
            Self::OpenMetrics => "application/openmetrics-text",
        }
    }

    /// What a `Content-Type` says; nothing where it says neither.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |format: &Self| essence.eq_ignore_ascii_case(format.media_type());
        [Self::Text, Self::OpenMetrics].into_iter().find(is)
    }
}
