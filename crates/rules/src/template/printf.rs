//! Go's `Sprintf`: a format whose verbs stand for values.

use std::fmt::Write as _;

use super::format::{Flags, Printer};
use super::value::Value;

/// Widths and precisions that Go reads at all.
const NUMBER_MAX: usize = 1_000_000;

/// The format with its verbs filled in. A field wider than `bytes_max` is refused.
pub(super) fn print_format(
    format: &str,
    values: &[Value],
    bytes_max: usize,
) -> Result<String, String> {
    let mut formatting = Formatting {
        format,
        at: 0,
        values,
        next: 0,
        printer: Printer::default(),
        is_reordered: false,
    };
    while let Some(length) = formatting.rest().find('%') {
        formatting.printer.text.push_str(&format[formatting.at..formatting.at + length]);
        formatting.at += length + 1;
        let is_over = formatting.verb(bytes_max)?;
        if is_over || formatting.printer.text.len() > bytes_max {
            break;
        }
    }
    formatting.printer.text.push_str(&format[formatting.at..]);
    formatting.extra();
    Ok(formatting.printer.text)
}

struct Formatting<'a> {
    format: &'a str,
    at: usize,
    values: &'a [Value],
    next: usize,
    printer: Printer,
    is_reordered: bool,
}

/// Whether an index in brackets is one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Index {
    Absent,
    Good,
    Bad,
}

impl Formatting<'_> {
    fn rest(&self) -> &str {
        &self.format[self.at..]
    }

    fn accept(&mut self, c: char) -> bool {
        let is_next = self.rest().starts_with(c);
        self.at += if is_next { c.len_utf8() } else { 0 };
        is_next
    }

    /// Writes one verb with all that stands before it. Says whether the format ends with it.
    fn verb(&mut self, bytes_max: usize) -> Result<bool, String> {
        let text = std::mem::take(&mut self.printer.text);
        self.printer = Printer::behind(text);
        self.flags();
        let mut is_good = true;
        let mut index = self.index(&mut is_good);
        if self.accept('*') {
            self.star_width();
            index = Index::Absent;
        } else {
            self.printer.width = self.number();
            is_good &= !(index == Index::Good && self.printer.width.is_some());
        }
        // A point at the very end is no precision but a verb.
        if self.rest().len() > 1 && self.accept('.') {
            is_good &= index != Index::Good;
            index = self.index(&mut is_good);
            if self.accept('*') {
                self.star_precision();
                index = Index::Absent;
            } else {
                self.printer.precision = Some(self.number().unwrap_or(0));
            }
        }
        if index == Index::Absent {
            self.index(&mut is_good);
        }
        let widest = self.printer.width.max(self.printer.precision).unwrap_or(0);
        if widest > bytes_max {
            return Err(format!("a field of {widest} characters is wider than {bytes_max}"));
        }
        let Some(verb) = self.rest().chars().next() else {
            self.printer.text.push_str("%!(NOVERB)");
            return Ok(true);
        };
        self.at += verb.len_utf8();
        if verb == '%' {
            self.printer.text.push('%');
        } else if !is_good {
            _ = write!(self.printer.text, "%!{verb}(BADINDEX)");
        } else if let Some(value) = self.values.get(self.next) {
            if matches!(verb, 'v' | 'w') {
                self.printer.flags.turn_to_v();
            }
            self.printer.print(value, verb);
            self.next += 1;
        } else {
            _ = write!(self.printer.text, "%!{verb}(MISSING)");
        }
        Ok(false)
    }

    fn flags(&mut self) {
        while let Some(c) = self.rest().chars().next() {
            self.printer.flags.set(match c {
                '-' => Flags::MINUS,
                '+' => Flags::PLUS,
                '#' => Flags::SHARP,
                ' ' => Flags::SPACE,
                '0' => Flags::ZERO,
                _ => break,
            });
            self.at += 1;
        }
    }

    /// Digits, where they stand; those of a number that is far too large end the format.
    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let Some(digit) = self.rest().chars().next().and_then(|c| c.to_digit(10)) {
            if number.is_some_and(|number| number > NUMBER_MAX) {
                self.at = self.format.len();
                return None;
            }
            number = Some(number.unwrap_or(0) * 10 + digit as usize);
            self.at += 1;
        }
        number
    }

    /// `[2]`: the value that comes next.
    fn index(&mut self, is_good: &mut bool) -> Index {
        if !self.rest().starts_with('[') {
            return Index::Absent;
        }
        self.is_reordered = true;
        let Some(end) = self.rest().find(']') else {
            self.at += 1;
            *is_good = false;
            return Index::Bad;
        };
        let digits = &self.rest()[1..end];
        let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        let number = digits.parse::<usize>().ok().filter(|_| is_number && digits.len() < 8);
        self.at += end + 1;
        match number {
            Some(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                Index::Good
            }
            Some(_) => {
                *is_good = false;
                Index::Good
            }
            None => {
                *is_good = false;
                Index::Bad
            }
        }
    }

    /// A width or precision that is a value itself.
    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Whole(number) | Value::Month(number) | Value::Weekday(number) => *number,
            Value::Byte(number) => i64::from(*number),
            _ => return None,
        };
        (number.unsigned_abs() <= NUMBER_MAX as u64).then_some(number)
    }

    fn star_width(&mut self) {
        match self.star() {
            None => self.printer.text.push_str("%!(BADWIDTH)"),
            Some(width) => {
                if width < 0 {
                    self.printer.flags.set(Flags::MINUS);
                    self.printer.flags.clear(Flags::ZERO);
                }
                self.printer.width = Some(width.unsigned_abs() as usize);
            }
        }
    }

    fn star_precision(&mut self) {
        match self.star().and_then(|precision| usize::try_from(precision).ok()) {
            None => self.printer.text.push_str("%!(BADPREC)"),
            precision => self.printer.precision = precision,
        }
    }

    /// Tells the values that no verb took.
    fn extra(&mut self) {
        let Some(values) = self.values.get(self.next..).filter(|values| !values.is_empty()) else {
            return;
        };
        if self.is_reordered {
            return;
        }
        let text = std::mem::take(&mut self.printer.text);
        self.printer = Printer::behind(text);
        self.printer.text.push_str("%!(EXTRA ");
        for (at, value) in values.iter().enumerate() {
            if at > 0 {
                self.printer.text.push_str(", ");
            }
            if !matches!(value, Value::Nil) {
                _ = write!(self.printer.text, "{}=", value.type_name());
            }
            self.printer.print(value, 'v');
        }
        self.printer.text.push(')');
    }
}
