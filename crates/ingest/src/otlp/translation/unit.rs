//! Units as OpenTelemetry writes them (`By/s`, as UCUM has them) to the words that Prometheus puts
//! at the end of a name (`bytes`, `per_second`).

use super::is_plain;

/// Units, each with its word. A unit without a word is dimensionless.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    // Not a slip of ours: Prometheus says so, and rules match names to the letter.
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Units after the stroke.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// What a unit adds to a name: what is measured, and per what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suffixes {
    pub(super) main: String,
    /// With `per_` before it.
    pub(super) per: String,
}

impl Suffixes {
    /// What a unit adds. Annotations in braces, such as `{request}`, add nothing.
    pub(super) fn of(unit: &str) -> Self {
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let per = word(per, PER_UNITS);
        Self {
            main: word(main, UNITS).to_owned(),
            per: if per.is_empty() { String::new() } else { format!("per_{per}") },
        }
    }

    /// Those of names that have ASCII letters, digits and single underscores alone.
    pub(super) fn plain(self) -> Self {
        Self { main: plain(&self.main), per: plain(&self.per) }
    }
}

fn word<'a>(unit: &'a str, words: &[(&'a str, &'a str)]) -> &'a str {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return "";
    }
    words.iter().find(|(known, _)| *known == unit).map_or(unit, |(_, word)| word)
}

fn plain(suffix: &str) -> String {
    let mut plain = String::with_capacity(suffix.len());
    for character in suffix.chars() {
        let character = if is_plain(character) { character } else { '_' };
        // A stroke of several underscores is one, and none stands at the beginning.
        if character != '_' || (!plain.is_empty() && !plain.ends_with('_')) {
            plain.push(character);
        }
    }
    plain
}
