//! Numbers for people, as Prometheus' templates write them.

use super::float::float_text;

const LARGER: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGER_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALLER: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// With a metric prefix.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    if value.abs() < 1.0 {
        return smaller(value);
    }
    larger(value, 1000.0, &LARGER)
}

/// With a binary prefix.
pub(super) fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four_digits(value);
    }
    larger(value, 1024.0, &LARGER_1024)
}

fn larger(mut value: f64, step: f64, prefixes: &[&str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < step {
            break;
        }
        prefix = next;
        value /= step;
    }
    four_digits(value) + prefix
}

fn smaller(mut value: f64) -> String {
    let mut prefix = "";
    for next in SMALLER {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    four_digits(value) + prefix
}

/// Seconds as days, hours, minutes and seconds.
pub(super) fn humanize_duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return four_digits(seconds);
    }
    if seconds == 0.0 {
        return four_digits(seconds) + "s";
    }
    if seconds.abs() < 1.0 {
        return smaller(seconds) + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    let whole = whole(seconds);
    let (s, m, h, d) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(seconds)),
        (0, 0, m) => format!("{sign}{m}m {s}s"),
        (0, h, m) => format!("{sign}{h}h {m}m {s}s"),
        (d, h, m) => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

pub(super) fn humanize_percentage(share: f64) -> String {
    four_digits(share * 100.0) + "%"
}

/// As Go's `%.4g`.
pub(super) fn four_digits(value: f64) -> String {
    float_text(value, 'g', Some(4))
}

/// A float as a whole number, as the processors that Prometheus mostly runs on make it: what is
/// too large becomes the least.
pub(super) fn whole(value: f64) -> i64 {
    if value >= -(2_f64.powi(63)) && value < 2_f64.powi(63) { value as i64 } else { i64::MIN }
}
