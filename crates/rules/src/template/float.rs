//! Floats as Go's `strconv` writes and reads them.

use crate::number::scientific_text;

/// `value` by a verb (`e`, `E`, `f`, `g`, `G`, `b`, `x` or `X`), with so many digits or, without
/// a precision, as many as say it exactly.
pub(super) fn float_text(value: f64, verb: char, precision: Option<usize>) -> String {
    if !value.is_finite() {
        return scientific_text(value);
    }
    match verb {
        'e' => with_exponent(value, precision),
        'f' => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => format!("{value}"),
        },
        'g' => general(value, precision),
        'b' => of_base_two(value),
        'x' => hexadecimal(value, precision),
        upper => float_text(value, upper.to_ascii_lowercase(), precision).to_ascii_uppercase(),
    }
}

fn with_exponent(value: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else { return scientific_text(value) };
    let (mantissa, exponent) = parts(value, precision);
    join_exponent(&mantissa, exponent)
}

/// The digits with so many behind the point, and the exponent of 10.
fn parts(value: f64, precision: usize) -> (String, i32) {
    let scientific = format!("{value:.precision$e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    (mantissa.to_owned(), exponent.parse().expect("`{:e}` writes a whole exponent"))
}

fn join_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// With an exponent where the number is far from 1, and no zeros at the end.
fn general(value: f64, precision: Option<usize>) -> String {
    let Some(precision) = precision else { return crate::number::go_text(value) };
    let digits = precision.max(1);
    let (mantissa, exponent) = parts(value, digits - 1);
    let shortest = trimmed(&mantissa);
    // Digits that are there only by the precision do not hold an exponent back.
    let count = shortest.chars().filter(char::is_ascii_digit).count() as i32;
    let bound = match digits as i32 {
        digits if digits > count && count > exponent => count.max(1),
        digits => digits,
    };
    let bound = if exponent < bound { bound } else { digits as i32 };
    if exponent < -4 || exponent >= bound {
        return join_exponent(shortest, exponent);
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// The sign, the 53 bits of the mantissa and the exponent of 2 of the last of them.
fn bits(value: f64) -> (&'static str, u64, i32) {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52) as i32 & 0x7ff {
        0 => (sign, fraction, -1074),
        exponent => (sign, fraction | 1 << 52, exponent - 1075),
    }
}

/// As `4503599627370496p-52`.
fn of_base_two(value: f64) -> String {
    let (sign, mantissa, exponent) = bits(value);
    format!("{sign}{mantissa}p{exponent:+}")
}

/// As `0x1.8p+01`.
fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let (sign, mut mantissa, mut exponent) = bits(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // One digit before the point, 15 behind it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - shift as i32;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let cut = (15 - precision) * 4;
        let extra = mantissa & ((1 << cut) - 1);
        let half = 1_u64 << (cut - 1);
        mantissa >>= cut;
        mantissa += u64::from(extra > half || (extra == half && mantissa & 1 == 1));
        mantissa <<= cut;
        if mantissa >= 1 << 61 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) => format!("{digits:0<precision$}")[..precision].to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "{sign}0x{}{point}{digits}p{exponent_sign}{:02}",
        mantissa >> 60,
        exponent.unsigned_abs()
    )
}

/// The number that a text says, or what is wrong with it.
pub(super) fn read_float(text: &str) -> Result<f64, &'static str> {
    let invalid = "invalid syntax";
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_named = unsigned.starts_with(|c: char| c.is_alphabetic());
    if is_named && unsigned.len() < text.len() && unsigned.eq_ignore_ascii_case("nan") {
        return Err(invalid);
    }
    let magnitude = if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        hexadecimal_value(&unsigned[2..])
    } else {
        let digits = without_underscores(unsigned);
        // A second sign is none.
        digits
            .filter(|digits| !digits.starts_with(['+', '-']))
            .and_then(|digits| digits.parse().ok())
    };
    let magnitude: f64 = magnitude.ok_or(invalid)?;
    if magnitude.is_infinite() && !is_named {
        return Err("value out of range");
    }
    Ok(if text.starts_with('-') { -magnitude } else { magnitude })
}

/// Digits without the underscores between them, if they stand between digits.
pub(super) fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let mut underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    let is_placed =
        underscores.all(|(at, _)| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    is_placed.then(|| text.replace('_', ""))
}

/// `1.8p3`: the digits are hexadecimal, the exponent is of 2.
fn hexadecimal_value(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let digits = without_underscores(digits.strip_prefix('_').unwrap_or(digits))?;
    let (before, after) = digits.split_once('.').unwrap_or((&*digits, ""));
    let mantissa = u64::from_str_radix(&format!("{before}{after}"), 16).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    let exponent = exponent.checked_sub(i32::try_from(after.len()).ok()?.checked_mul(4)?)?;
    Some(mantissa as f64 * 2_f64.powi(exponent))
}
