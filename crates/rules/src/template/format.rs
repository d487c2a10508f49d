//! Values as Go's package `fmt` prints them: `Sprint`, `Sprintln` and `Sprintf`.

use std::fmt::Write as _;

use bellwire_model::Labels;

use super::float::float_text;
use super::quote::{Charset, fits_backquotes, is_printable, quoted, quoted_character};
use super::time::{duration_text, month_name, time_text, weekday_name};
use super::value::Value;
use crate::evaluation::Element;

/// The values beside each other, with a space between two that are no texts.
pub(super) fn print(values: &[Value]) -> String {
    let mut printer = Printer::default();
    let mut was_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_) | Value::Html(_));
        if !is_text && !was_text {
            printer.text.push(' ');
        }
        printer.print(value, 'v');
        was_text = is_text;
    }
    printer.text
}

/// The values with spaces between them, and a new line.
pub(super) fn print_line(values: &[Value]) -> String {
    let mut printer = Printer::default();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            printer.text.push(' ');
        }
        printer.print(value, 'v');
    }
    printer.text.push('\n');
    printer.text
}

/// A value as a template prints it: what Go points at, not the pointer.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Nil => "<no value>".into(),
        Value::Text(text) | Value::Html(text) => (**text).to_owned(),
        value => {
            let mut printer = Printer::default();
            printer.print_value(value, 'v', 1);
            printer.text
        }
    }
}

/// As `printed`, for several values at once.
pub(super) fn printed_together(values: &[Value]) -> String {
    match values {
        [Value::Text(text)] => (**text).to_owned(),
        values => {
            let pointees: Vec<Value> = values
                .iter()
                .map(|value| match value {
                    Value::Nil | Value::Sample(_) => Value::text(printed(value)),
                    value => value.clone(),
                })
                .collect();
            // What was no text stays none, for the spaces.
            let mut text = String::new();
            for (at, value) in pointees.iter().enumerate() {
                let is_text =
                    |value: &Value| matches!(value, Value::Text(_) | Value::Html(_) | Value::Nil);
                if at > 0 && !is_text(&values[at]) && !is_text(&values[at - 1]) {
                    text.push(' ');
                }
                text.push_str(&printed(value));
            }
            text
        }
    }
}

/// What stands between `%` and the verb, and the text so far.
#[derive(Debug, Default)]
pub(super) struct Printer {
    pub(super) text: String,
    pub(super) flags: Flags,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// Whether a value is told within an error, where it does not describe itself.
    is_error: bool,
}

/// A set of flags.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const MINUS: u8 = 1;
    pub(super) const PLUS: u8 = 2;
    pub(super) const SHARP: u8 = 4;
    pub(super) const SPACE: u8 = 8;
    pub(super) const ZERO: u8 = 16;
    /// `%+v`.
    pub(super) const PLUS_V: u8 = 32;
    /// `%#v`.
    pub(super) const SHARP_V: u8 = 64;

    pub(super) fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    pub(super) fn set(&mut self, flag: u8) {
        self.0 |= flag;
    }

    pub(super) fn clear(&mut self, flag: u8) {
        self.0 &= !flag;
    }

    /// `%v` takes two flags for itself.
    pub(super) fn turn_to_v(&mut self) {
        for (flag, of_v) in [(Self::SHARP, Self::SHARP_V), (Self::PLUS, Self::PLUS_V)] {
            self.clear(of_v);
            if self.has(flag) {
                self.clear(flag);
                self.set(of_v);
            }
        }
    }
}

impl Printer {
    /// Writes behind a text, with nothing set.
    pub(super) fn behind(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    pub(super) fn print(&mut self, value: &Value, verb: char) {
        match (verb, value) {
            ('T' | 'v', Value::Nil) => self.pad("<nil>"),
            (verb, Value::Nil) => _ = write!(self.text, "%!{verb}(<nil>)"),
            ('T', value) => self.truncated(value.type_name()),
            ('p', _) => self.bad_verb(value, verb),
            (verb, value) => self.print_value(value, verb, 0),
        }
    }

    fn print_value(&mut self, value: &Value, verb: char, depth: usize) {
        match value {
            Value::Nil if verb == 'v' => self.text.push_str("<nil>"),
            Value::Nil => _ = write!(self.text, "%!{verb}(<nil>)"),
            Value::Bool(is_true) if matches!(verb, 't' | 'v') => self.pad(&is_true.to_string()),
            Value::Whole(whole) => self.whole(value, i128::from(*whole), verb),
            Value::Byte(byte) if verb == 'v' && self.flags.has(Flags::SHARP_V) => {
                _ = write!(self.text, "{byte:#x}");
            }
            Value::Byte(byte) => self.whole(value, i128::from(*byte), verb),
            Value::Number(number) => self.number(value, *number, verb),
            Value::Text(text) | Value::Html(text) => self.string(value, text, verb),
            Value::Labels(labels) => self.labels(labels, verb),
            Value::Arguments(arguments) => {
                let pairs = arguments.iter().map(|(name, value)| (&**name, value.clone()));
                self.map("map[string]interface {}", pairs.collect(), verb);
            }
            Value::Sample(sample) => {
                if depth == 0 {
                    self.text.push('&');
                }
                self.sample(sample, verb);
            }
            Value::List(list) => {
                let elements = list.to_vec();
                self.text.push('[');
                for (at, element) in elements.iter().enumerate() {
                    let space = if at > 0 { " " } else { "" };
                    self.text.push_str(space);
                    self.sample(element, verb);
                }
                self.text.push(']');
            }
            Value::Data(data) => {
                let fields = [
                    ("Labels", Value::Labels(data.labels.clone())),
                    ("ExternalLabels", Value::Labels(data.external_labels.clone())),
                    ("ExternalURL", Value::Text(data.external_url.clone())),
                    ("Value", Value::Number(data.value)),
                ];
                self.fields(value.type_name(), &fields, verb);
            }
            Value::Time(_) | Value::Duration(_) | Value::Month(_) | Value::Weekday(_) => {
                self.named_number(value, verb);
            }
            Value::Bool(_) => self.bad_verb(value, verb),
        }
    }

    /// What describes itself, unless it is asked for its number.
    fn named_number(&mut self, value: &Value, verb: char) {
        let (text, number) = match value {
            Value::Time(time) => (time_text(*time), *time),
            Value::Duration(duration) => (duration_text(*duration), *duration),
            Value::Month(month) => (month_name(*month).to_owned(), *month),
            Value::Weekday(weekday) => (weekday_name(*weekday).to_owned(), *weekday),
            _ => return,
        };
        let describes_itself = !self.is_error && !self.flags.has(Flags::SHARP_V);
        if describes_itself && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') {
            self.string(value, &text, verb);
        } else {
            self.whole(value, i128::from(number), verb);
        }
    }

    fn labels(&mut self, labels: &Labels, verb: char) {
        let pairs = labels.iter().map(|(name, value)| (name, Value::text(value)));
        self.map("map[string]string", pairs.collect(), verb);
    }

    fn map(&mut self, type_name: &str, pairs: Vec<(&str, Value)>, verb: char) {
        let is_source = self.flags.has(Flags::SHARP_V);
        let (open, close, between) =
            if is_source { (type_name, '}', ", ") } else { ("map", ']', " ") };
        self.text.push_str(open);
        self.text.push(if is_source { '{' } else { '[' });
        for (at, (name, value)) in pairs.into_iter().enumerate() {
            if at > 0 {
                self.text.push_str(between);
            }
            self.print_value(&Value::text(name), verb, 1);
            self.text.push(':');
            self.print_value(&value, verb, 1);
        }
        self.text.push(close);
    }

    fn sample(&mut self, sample: &Element, verb: char) {
        let fields = [
            ("Labels", Value::Labels(sample.labels.clone())),
            ("Value", Value::Number(sample.value)),
        ];
        self.fields("template.sample", &fields, verb);
    }

    fn fields(&mut self, type_name: &str, fields: &[(&str, Value)], verb: char) {
        let is_source = self.flags.has(Flags::SHARP_V);
        if is_source {
            self.text.push_str(type_name);
        }
        self.text.push('{');
        for (at, (name, value)) in fields.iter().enumerate() {
            if at > 0 {
                self.text.push_str(if is_source { ", " } else { " " });
            }
            if is_source || self.flags.has(Flags::PLUS_V) {
                _ = write!(self.text, "{name}:");
            }
            self.print_value(value, verb, 1);
        }
        self.text.push('}');
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        _ = write!(self.text, "%!{verb}({}=", value.type_name());
        let was_error = std::mem::replace(&mut self.is_error, true);
        self.print_value(value, 'v', 0);
        self.is_error = was_error;
        self.text.push(')');
    }

    fn whole(&mut self, value: &Value, number: i128, verb: char) {
        let magnitude = number.unsigned_abs();
        let (digits, prefix) = match verb {
            'v' | 'd' => (magnitude.to_string(), ""),
            'b' => (format!("{magnitude:b}"), "0b"),
            'o' | 'O' => (format!("{magnitude:o}"), "0"),
            'x' => (format!("{magnitude:x}"), "0x"),
            'X' => (format!("{magnitude:X}"), "0X"),
            'c' => return self.pad(&character(number).to_string()),
            'q' => return self.pad(&quoted_character(character(number), self.charset())),
            'U' => return self.unicode(number),
            _ => return self.bad_verb(value, verb),
        };
        let is_signed = number < 0 || self.flags.has(Flags::PLUS) || self.flags.has(Flags::SPACE);
        let zeros = match (self.precision, self.width) {
            (Some(0), _) if number == 0 => {
                self.text.push_str(&" ".repeat(self.width.unwrap_or(0)));
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.pads_with_zeros() => {
                width.saturating_sub(usize::from(is_signed))
            }
            _ => 0,
        };
        let mut text = format!("{digits:0>zeros$}");
        if self.flags.has(Flags::SHARP) && !(prefix == "0" && text.starts_with('0')) {
            text.insert_str(0, prefix);
        }
        if verb == 'O' {
            text.insert_str(0, "0o");
        }
        let sign = match number {
            ..0 => "-",
            _ if self.flags.has(Flags::PLUS) => "+",
            _ if self.flags.has(Flags::SPACE) => " ",
            _ => "",
        };
        self.pad_with_spaces(&format!("{sign}{text}"));
    }

    /// As `U+0061`, and the character itself where that is asked for.
    fn unicode(&mut self, number: i128) {
        let digits = self.precision.unwrap_or(4).max(4);
        // Negative numbers show the bits that Go holds them in.
        let mut text = format!("U+{:0>digits$X}", number as u64);
        if self.flags.has(Flags::SHARP)
            && let Some(c) = u32::try_from(number).ok().and_then(char::from_u32)
            && is_printable(c)
        {
            _ = write!(text, " '{c}'");
        }
        self.pad_with_spaces(&text);
    }

    fn number(&mut self, value: &Value, number: f64, verb: char) {
        let (style, precision) = match verb {
            'v' => ('g', None),
            'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
            'f' | 'e' | 'E' => (verb, Some(6)),
            'F' => ('f', Some(6)),
            _ => return self.bad_verb(value, verb),
        };
        let precision = self.precision.or(precision);
        let text = float_text(number, style, precision);
        let (sign, mut digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) if text.starts_with('-') => ('-', digits.to_owned()),
            Some(digits) => ('+', digits.to_owned()),
            None => ('+', text),
        };
        let has_plus = self.flags.has(Flags::PLUS);
        let sign =
            if sign == '+' && self.flags.has(Flags::SPACE) && !has_plus { ' ' } else { sign };
        if !number.is_finite() {
            let is_bare = number.is_nan() && sign == '+' && !has_plus;
            let shows = !is_bare && (has_plus || sign != '+' || self.flags.has(Flags::SPACE));
            // Go writes the sign of an infinity always.
            let shows = shows || number.is_infinite();
            let text = if shows { format!("{sign}{digits}") } else { digits };
            return self.pad_with_spaces(&text);
        }
        if self.flags.has(Flags::SHARP) && verb != 'b' {
            digits = with_point(&digits, verb, precision);
        }
        if !has_plus && sign == '+' {
            return self.pad(&digits);
        }
        let width = self.width.unwrap_or(0);
        if self.pads_with_zeros() && width > digits.chars().count() + 1 {
            let zeros = width - 1;
            _ = write!(self.text, "{sign}{digits:0>zeros$}");
            return;
        }
        self.pad(&format!("{sign}{digits}"));
    }

    fn string(&mut self, value: &Value, text: &str, verb: char) {
        match verb {
            'v' if self.flags.has(Flags::SHARP_V) => self.quoted(text),
            'v' | 's' => self.truncated(text),
            'x' | 'X' => self.hexadecimal(text, verb),
            'q' => self.quoted(text),
            _ => self.bad_verb(value, verb),
        }
    }

    fn charset(&self) -> Charset {
        if self.flags.has(Flags::PLUS) { Charset::Ascii } else { Charset::Printable }
    }

    fn cut<'a>(&self, text: &'a str) -> &'a str {
        let end = self.precision.and_then(|precision| text.char_indices().nth(precision));
        end.map_or(text, |(end, _)| &text[..end])
    }

    fn truncated(&mut self, text: &str) {
        self.pad(self.cut(text).to_owned().as_str());
    }

    fn quoted(&mut self, text: &str) {
        let text = self.cut(text);
        if self.flags.has(Flags::SHARP) && fits_backquotes(text) {
            return self.pad(&format!("`{text}`"));
        }
        self.pad(&quoted(text, self.charset()));
    }

    fn hexadecimal(&mut self, text: &str, verb: char) {
        let bytes = &text.as_bytes()[..self.precision.unwrap_or(text.len()).min(text.len())];
        let prefix = match (self.flags.has(Flags::SHARP), verb) {
            (false, _) => "",
            (true, 'x') => "0x",
            (true, _) => "0X",
        };
        let has_spaces = self.flags.has(Flags::SPACE);
        let mut written = String::with_capacity(bytes.len() * 2);
        for (at, byte) in bytes.iter().enumerate() {
            if has_spaces && at > 0 {
                written.push(' ');
            }
            if has_spaces || at == 0 {
                written.push_str(prefix);
            }
            _ = if verb == 'x' {
                write!(written, "{byte:02x}")
            } else {
                write!(written, "{byte:02X}")
            };
        }
        self.pad(&written);
    }

    fn pads_with_zeros(&self) -> bool {
        self.flags.has(Flags::ZERO) && !self.flags.has(Flags::MINUS)
    }

    fn pad(&mut self, text: &str) {
        let fill = if self.pads_with_zeros() { '0' } else { ' ' };
        self.pad_with(text, fill);
    }

    fn pad_with_spaces(&mut self, text: &str) {
        self.pad_with(text, ' ');
    }

    fn pad_with(&mut self, text: &str, fill: char) {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let padding = std::iter::repeat_n(fill, missing);
        if self.flags.has(Flags::MINUS) {
            self.text.push_str(text);
            self.text.extend(padding);
        } else {
            self.text.extend(padding);
            self.text.push_str(text);
        }
    }
}

/// The character of that number; what is none is the one that stands for none.
fn character(number: i128) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The digits of a float with the point and the zeros at the end that `#` asks for.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let exponent = match verb {
        'x' | 'X' => text.find(['p', 'P']),
        _ => text.find(['e', 'E']),
    };
    let (mantissa, exponent) = text.split_at(exponent.unwrap_or(text.len()));
    let wanted = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6) as i64,
        _ => 0,
    };
    let digits = mantissa.trim_start_matches("0x").trim_start_matches("0X");
    let significant = mantissa.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    let mut padded = mantissa.to_owned();
    let mut missing = wanted - significant as i64;
    if !mantissa.contains('.') {
        missing -= i64::from(digits == "0");
        padded.push('.');
    }
    padded.extend(std::iter::repeat_n('0', usize::try_from(missing).unwrap_or(0)));
    padded + exponent
}
