//! Numbers as Go prints and reads them, which is how they read in everything that Prometheus says.

/// `value` as Go's `%v` prints a float64: the fewest digits that say it exactly, with an exponent
/// below 1e-4 and from 1e6 on.
pub(crate) fn go_text(value: f64) -> String {
    let magnitude = value.abs();
    let is_plain = magnitude == 0.0 || (1e-4..1e6).contains(&magnitude);
    if is_plain { plain_text(value) } else { scientific_text(value) }
}

/// `value` as Prometheus' API has that of a sample: with an exponent below 1e-6 and from 1e21 on.
pub fn sample_text(value: f64) -> String {
    let magnitude = value.abs();
    let is_plain = magnitude == 0.0 || (1e-6..1e21).contains(&magnitude);
    if is_plain { plain_text(value) } else { scientific_text(value) }
}

/// `value` with as many digits as say it exactly and never an exponent, as label values and scalars
/// have it.
pub fn plain_text(value: f64) -> String {
    if value.is_finite() { format!("{value}") } else { scientific_text(value) }
}

/// `value` with as many digits as say it exactly and always an exponent, as the values of alerts
/// have it in Prometheus' API: `5.55e+01`.
pub fn scientific_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a whole exponent");
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// The number that a text says, as Go reads it.
pub(crate) fn read_number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(digits) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let value = u64::from_str_radix(digits, 16).ok()? as f64;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_go() {
        let table = [("1", 1.0), ("+Inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)];
        let table = table.into_iter().chain([(".5", 0.5), ("1e3", 1e3), ("-0x10", -16.0)]);
        for (text, value) in table {
            assert_eq!(read_number(text), Some(value), "{text}");
        }
        assert_eq!(read_number(""), None);
        assert_eq!(read_number("1m"), None);
        assert_eq!(plain_text(1e21), "1000000000000000000000");
        let table = [(1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-6, "0.000001")];
        let table = table.into_iter().chain([(5e-324, "5e-324"), (-1.5e-7, "-1.5e-07")]);
        for (value, text) in table.chain([(0.0, "0"), (f64::NAN, "NaN")]) {
            assert_eq!(sample_text(value), text);
        }
        assert_eq!(plain_text(f64::INFINITY), "+Inf");
    }

    #[test]
    fn numbers_print_as_in_go() {
        let table = [
            (0.0, "0"),
            (-0.0, "-0"),
            (21.5, "21.5"),
            (-3.0, "-3"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (3.000_000_000_000_000_4e-7, "3.0000000000000004e-07"),
            (123_456.0, "123456"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (1e100, "1e+100"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in table {
            assert_eq!(go_text(value), text);
        }
    }

    #[test]
    fn numbers_have_exponents_of_two_digits() {
        let table = [(55.5, "5.55e+01"), (0.0, "0e+00"), (-1e-7, "-1e-07"), (1e300, "1e+300")];
        for (value, text) in table {
            assert_eq!(scientific_text(value), text);
        }
        assert_eq!(scientific_text(f64::NAN), "NaN");
    }
}
