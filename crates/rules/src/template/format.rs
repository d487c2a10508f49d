//! Numbers for people, and `printf`.

use std::fmt::Write as _;

use super::expand::{Filled, Value};
use super::function::number;
use crate::evaluation::calendar::Calendar;
use crate::number::go_text;

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
        return "0s".into();
    }
    if seconds.abs() < 1.0 {
        return smaller(seconds) + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let seconds = seconds.abs();
    let whole = seconds as i64;
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

/// Seconds since 1970 as a date and a time.
pub(super) fn humanize_timestamp(seconds: f64) -> String {
    if !seconds.is_finite() || seconds.abs() > 1e12 {
        return four_digits(seconds);
    }
    let ms = (seconds * 1e3).round() as i64;
    let whole = ms.div_euclid(1000);
    let part = |part: Calendar| part.of(whole);
    let mut text = format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        part(Calendar::Year),
        part(Calendar::Month),
        part(Calendar::DayOfMonth),
        part(Calendar::Hour),
        part(Calendar::Minute),
        whole.rem_euclid(60),
    );
    let fraction = ms.rem_euclid(1000);
    if fraction != 0 {
        let digits = format!("{fraction:03}");
        text = text + "." + digits.trim_end_matches('0');
    }
    text + " +0000 UTC"
}

/// As Go's `%.4g`.
fn four_digits(value: f64) -> String {
    general(value, 4)
}

/// As Go's `%.<digits>g`: so many digits, with an exponent where the number is far from 1.
fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() || value == 0.0 {
        return go_text(value);
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a whole exponent");
    if exponent < -4 || exponent >= digits as i32 {
        return with_exponent(trimmed(mantissa), exponent);
    }
    let decimals = usize::try_from(digits as i32 - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}")).to_owned()
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// What stands between `%` and the verb.
#[derive(Default)]
struct Verb {
    minus: Flag,
    plus: Flag,
    zero: Flag,
    width: usize,
    precision: Option<usize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Flag {
    #[default]
    Unset,
    Set,
}

/// The widest field that is padded: annotations are no tables.
const WIDTH_MAX: usize = 256;

/// Go's `Sprintf` with the verbs that rules use.
pub(super) fn printf(format: &str, given: &[Value]) -> Filled<String> {
    let mut text = String::new();
    let mut given = given.iter();
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = rest.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            match flag {
                '-' => verb.minus = Flag::Set,
                '+' => verb.plus = Flag::Set,
                '0' => verb.zero = Flag::Set,
                _ => {}
            }
        }
        let digits = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut number = 0_usize;
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                number = (number * 10 + digit as usize - '0' as usize).min(WIDTH_MAX);
            }
            number
        };
        verb.width = digits(&mut rest);
        if rest.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(&mut rest));
        }
        match rest.next() {
            None => text.push_str("%!(NOVERB)"),
            Some('%') => text.push('%'),
            Some(letter) => match given.next() {
                None => _ = write!(text, "%!{letter}(MISSING)"),
                Some(value) => text.push_str(&verb.padded(&verb.print(letter, value)?)),
            },
        }
    }
    Ok(text)
}

impl Verb {
    fn print(&self, letter: char, value: &Value) -> Filled<String> {
        let text = match (letter, value) {
            ('v' | 's', value) => match (value, self.precision) {
                (Value::Text(text), Some(precision)) => text.chars().take(precision).collect(),
                (Value::Number(number), Some(precision)) => general(*number, precision),
                (value, _) => value.print(),
            },
            ('q', value) => format!("{:?}", value.print()),
            ('t', Value::Bool(value)) => value.to_string(),
            ('d', Value::Whole(whole)) => whole.to_string(),
            ('x', Value::Whole(whole)) => format!("{whole:x}"),
            ('f' | 'F' | 'e' | 'g' | 'G', Value::Number(_)) => self.number(letter, number(value)?),
            (letter, value) => return Ok(format!("%!{letter}({})", value.print())),
        };
        let is_number = matches!(value, Value::Number(_) | Value::Whole(_));
        let needs_sign = self.plus == Flag::Set && is_number && !text.starts_with(['-', '+']);
        Ok(if needs_sign { format!("+{text}") } else { text })
    }

    fn number(&self, letter: char, value: f64) -> String {
        if !value.is_finite() {
            return go_text(value);
        }
        let precision = self.precision.unwrap_or(6);
        match letter {
            'f' | 'F' => format!("{value:.precision$}"),
            'e' => {
                let scientific = format!("{value:.precision$e}");
                let (mantissa, exponent) = scientific.split_once('e').expect("an exponent");
                with_exponent(mantissa, exponent.parse().expect("`{:e}` writes a whole exponent"))
            }
            _ => self.precision.map_or_else(|| go_text(value), |digits| general(value, digits)),
        }
    }

    fn padded(&self, text: &str) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if self.minus == Flag::Set {
            return text.to_owned() + &" ".repeat(missing);
        }
        if self.zero == Flag::Set {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + text
    }
}

/// A text as part of a query.
pub(super) fn query_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(byte as char);
            }
            b' ' => escaped.push('+'),
            byte => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}
