//! Durations as Prometheus and Alertmanager write them: `1h30m`, `250ms`, `0`.

use std::time::Duration;

/// Units from the largest to the smallest, in milliseconds; a year has 365 days.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Prometheus counts nanoseconds in 64 bits; what does not fit there is refused here too.
const MS_MAX: u64 = i64::MAX as u64 / 1_000_000;

/// The duration that `text` says; each unit at most once, larger units first.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        let (_, unit_ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = digits.parse::<u64>().ok()?.checked_mul(*unit_ms)?.checked_add(total_ms)?;
        rest = after;
    }
    (!text.is_empty() && total_ms <= MS_MAX).then(|| Duration::from_millis(total_ms))
}

fn split_where(text: &str, end: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_prometheus() {
        let table = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("1y", Some(31_536_000_000)),
            ("2w", Some(1_209_600_000)),
            ("", None),
            ("5", None),
            ("m", None),
            ("-5m", None),
            ("5m1h", None),
            ("5m5m", None),
            ("1.5h", None),
            ("5 m", None),
            ("5x", None),
            ("99999999999999999999s", None),
            ("300y", None),
        ];
        for (text, ms) in table {
            assert_eq!(parse(text), ms.map(Duration::from_millis), "{text}");
        }
    }
}
