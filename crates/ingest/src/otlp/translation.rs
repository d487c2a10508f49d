//! Names of metrics and attributes to names of series and labels, by the rules that Prometheus has
//! for them: [otlptranslator](https://github.com/prometheus/otlptranslator), version 1.0.0.

mod unit;

use std::str::FromStr;

use thiserror::Error;

use self::unit::Suffixes;

/// How names are translated, by the words that Prometheus has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// `http.server.duration` in seconds is `http_server_duration_seconds`. Prometheus' default.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `http_server_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// `http.server.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// `http.server.duration`.
    NoTranslation,
}

/// The text is no strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a strategy is one of UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, \
     NoUTF8EscapingWithSuffixes, NoTranslation"
)]
pub struct StrategyError;

impl FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        match text {
            "UnderscoreEscapingWithSuffixes" => Ok(Self::UnderscoreEscapingWithSuffixes),
            "UnderscoreEscapingWithoutSuffixes" => Ok(Self::UnderscoreEscapingWithoutSuffixes),
            "NoUTF8EscapingWithSuffixes" => Ok(Self::NoUtf8EscapingWithSuffixes),
            "NoTranslation" => Ok(Self::NoTranslation),
            _ => Err(StrategyError),
        }
    }
}

/// What a metric is, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A sum that never falls: Prometheus' counter.
    Counter,
    /// A sum that may fall.
    Sum,
    /// Counts by buckets whose bounds are told.
    Histogram,
    /// Counts by buckets of an exponential scale.
    ExponentialHistogram,
    /// Quantiles that the sender has computed.
    Summary,
}

impl Strategy {
    const fn escapes(self) -> bool {
        matches!(
            self,
            Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes
        )
    }

    /// The name of a metric's series, or nothing where nothing of the name can be kept.
    pub fn metric_name(self, name: &str, unit: &str, kind: Kind) -> Option<String> {
        let translated = match self {
            Self::UnderscoreEscapingWithSuffixes => escaped_with_suffixes(name, unit, kind),
            Self::UnderscoreEscapingWithoutSuffixes => escaped(name),
            Self::NoUtf8EscapingWithSuffixes => with_suffixes(name, unit, kind),
            Self::NoTranslation => name.to_owned(),
        };
        let is_nothing = self.escapes() && translated != name && is_underscores(&translated);
        (!translated.is_empty() && !is_nothing).then_some(translated)
    }

    /// The name of an attribute's label, or nothing where nothing of the name can be kept.
    pub fn label_name(self, key: &str) -> Option<String> {
        if !self.escapes() {
            return (!is_underscores(key)).then(|| key.to_owned());
        }
        let as_is = |character: &char| character.is_ascii_alphanumeric();
        let escaped = key.chars().map(|one| if as_is(&one) { one } else { '_' }).collect();
        let escaped: String = escaped;
        // What begins with two underscores is a name of Prometheus' own.
        let prefix = match escaped.as_bytes() {
            [b'0'..=b'9', ..] => "key_",
            [b'_', b'_', ..] => "",
            [b'_', ..] => "key",
            _ => "",
        };
        let name = format!("{prefix}{escaped}");
        (!is_underscores(&name)).then_some(name)
    }
}

/// Whether a name that was translated may keep a character.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == ':'
}

fn is_underscores(name: &str) -> bool {
    name.bytes().all(|byte| byte == b'_')
}

fn escaped_with_suffixes(name: &str, unit: &str, kind: Kind) -> String {
    let tokens = name.split(|character| !is_plain(character));
    let mut tokens: Vec<&str> = tokens.filter(|token| !token.is_empty()).collect();
    let Suffixes { main, per } = Suffixes::of(unit).plain();
    let per = if per == "per_" { "" } else { without_end(&per) };
    let main = if tokens.contains(&main.as_str()) { "" } else { main.as_str() };
    let per = if tokens.contains(&per) { "" } else { per };
    let main = if per.is_empty() { main } else { without_end(main) };
    tokens.extend([main, per].into_iter().filter(|suffix| !suffix.is_empty()));
    if kind == Kind::Counter {
        tokens.retain(|token| *token != "total");
        tokens.push("total");
    }
    // Counters of things are often said to be of the unit 1, so only gauges are ratios.
    if kind == Kind::Gauge && unit == "1" {
        tokens.retain(|token| *token != "ratio");
        tokens.push("ratio");
    }
    not_a_digit_first(tokens.join("_"))
}

fn without_end(suffix: &str) -> &str {
    suffix.strip_suffix('_').unwrap_or(suffix)
}

fn escaped(name: &str) -> String {
    let tokens = name.split(|character| !is_plain(character) && character != '_');
    let tokens: Vec<&str> = tokens.filter(|token| !token.is_empty()).collect();
    not_a_digit_first(tokens.join("_"))
}

fn not_a_digit_first(name: String) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn with_suffixes(name: &str, unit: &str, kind: Kind) -> String {
    let Suffixes { main, per } = Suffixes::of(unit);
    let is_ratio = kind == Kind::Gauge && unit == "1";
    let mut suffixes = Vec::new();
    let mut stem = name;
    for (suffix, is_added) in
        [("ratio", is_ratio), ("total", kind == Kind::Counter), (per.as_str(), !per.is_empty())]
    {
        if is_added {
            stem = without_suffix(stem, suffix);
            suffixes.push(suffix);
        }
    }
    if !main.is_empty() && !stem.ends_with(&main) {
        suffixes.push(&main);
    }
    // The innermost came last.
    suffixes.iter().rev().fold(stem.to_owned(), |name, suffix| format!("{name}_{suffix}"))
}

/// The name without a suffix and what stands between them, where something is left.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> &'a str {
    let Some(stem) = name.strip_suffix(suffix) else { return name };
    let end = stem.char_indices().next_back().map_or(0, |(place, _)| place);
    if end == 0 { name } else { &stem[..end] }
}

#[cfg(test)]
mod tests;
