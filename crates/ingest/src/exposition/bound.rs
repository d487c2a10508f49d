//! Bounds of histograms and quantiles of summaries, written alike.

use std::borrow::Cow;

use super::number::number;

/// Digits before the point up to which a number is written out, as Go's `%g` does.
const DIGITS_MAX: i32 = 6;
/// Zeros behind the point, likewise.
const ZEROS_MAX: i32 = 4;

/// A bound as `OpenMetrics` writes it, which Prometheus 3 stores whatever the target wrote; what is no
/// number stays as it is.
pub(super) fn normalized(text: Cow<'_, str>) -> Cow<'_, str> {
    match number(&text) {
        Some(value) => written(value).into(),
        None => text,
    }
}

fn written(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    // Both the digits and the exponent are those of the shortest form that reads as this value.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-ZEROS_MAX..DIGITS_MAX).contains(&exponent) || value == 0.0 {
        // The minus of a zero is Go's only where it is not this zero.
        let value = if value == 0.0 { 0.0 } else { value };
        let plain = value.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus' `FormatOpenMetricsFloat` says.
    #[test]
    fn numbers_are_written_as_prometheus_writes_them() {
        let cases = [
            ("1", "1.0"),
            ("1.0", "1.0"),
            ("+1e0", "1.0"),
            ("0", "0.0"),
            ("-0", "0.0"),
            ("-1", "-1.0"),
            ("0.5", "0.5"),
            ("0.00010", "0.0001"),
            ("0.00001", "1e-05"),
            ("100000", "100000.0"),
            ("123456.75", "123456.75"),
            ("1000000", "1e+06"),
            ("123456789", "1.23456789e+08"),
            ("-2.5e-7", "-2.5e-07"),
            ("1e100", "1e+100"),
            ("5e-324", "5e-324"),
            ("Inf", "+Inf"),
            ("+inf", "+Inf"),
            ("-Inf", "-Inf"),
            ("nan", "NaN"),
            ("", ""),
            ("1s", "1s"),
            ("1e999", "1e999"),
        ];
        for (text, expected) in cases {
            assert_eq!(normalized(text.into()), expected, "{text}");
        }
    }
}
