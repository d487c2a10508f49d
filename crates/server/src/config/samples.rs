//! `[samples]`: what is remembered of series.

use std::ops::Range;

use bellwire_model::duration;
use bellwire_model::limits::{PAST_POINTS, PAST_POINTS_MAX, PAST_RULES_MAX, PAST_WINDOW_MAX};
use bellwire_shards::PastRule;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

use super::DURATION_FORM;

/// What is wrong, and where.
type Mistake = (Range<usize>, String);

/// `[samples]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SamplesTable {
    #[serde(default)]
    history: Vec<HistoryTable>,
}

/// One `[[samples.history]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryTable {
    r#match: Spanned<String>,
    keep: Spanned<String>,
    points_max: Option<Spanned<u16>>,
}

/// How much is remembered of which series, or what is wrong with one and where.
pub(super) fn read(value: Spanned<DeValue<'_>>) -> Result<Vec<PastRule>, Mistake> {
    let span = value.span();
    let SamplesTable { history } = SamplesTable::deserialize(ValueDeserializer::from(value))
        .map_err(|error| (error.span().unwrap_or(span.clone()), error.message().to_owned()))?;
    if history.len() > PAST_RULES_MAX {
        return Err((span, format!("there are at most {PAST_RULES_MAX} `[[samples.history]]`")));
    }
    history.into_iter().map(HistoryTable::rule).collect()
}

impl HistoryTable {
    fn rule(self) -> Result<PastRule, Mistake> {
        let Self { r#match, keep, points_max } = self;
        let pattern = r#match.get_ref().parse();
        let pattern = pattern.map_err(|error| (r#match.span(), format!("`match`: {error}")))?;
        let window = duration::parse(keep.get_ref()).filter(|window| *window <= PAST_WINDOW_MAX);
        let window = window.ok_or_else(|| {
            let (most, text) = (PAST_WINDOW_MAX.as_secs() / 3600, keep.get_ref());
            let reason =
                format!("`keep`: expected 0s or {DURATION_FORM}, {most}h at most; not `{text}`");
            (keep.span(), reason)
        })?;
        let points_max = match points_max {
            None => PAST_POINTS,
            Some(points) if (1..=PAST_POINTS_MAX).contains(points.get_ref()) => *points.get_ref(),
            Some(points) => {
                let reason = format!("`points_max` is a number from 1 to {PAST_POINTS_MAX}");
                return Err((points.span(), reason));
            }
        };
        Ok(PastRule { pattern, window, points_max })
    }
}
