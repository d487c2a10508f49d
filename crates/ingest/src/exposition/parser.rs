//! The parser: one sample after the other.

use std::borrow::Cow;

use bellwire_model::{METRIC_NAME, Timestamp};
use memchr::memchr_iter;

use super::bound;
use super::cursor::{Breaks, Cursor};
use super::number::number;
use super::{Error, Fault, Format};

/// One sample as a target exposes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposed<'a> {
    /// The name and the labels as they are written. One series may be written in several ways, but
    /// one text is one series.
    pub series: &'a str,
    /// Any number; NaN is never a stale marker.
    pub value: f64,
    /// When it was measured, where the target says so.
    pub time: Option<Timestamp>,
}

/// Reads a body sample by sample. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    cursor: Cursor<'a>,
    format: Format,
    /// The label of the family's series that is a number.
    bound: Option<&'static str>,
    name: Option<&'a str>,
    pairs: Vec<(&'a str, &'a str)>,
    /// Where the line begins that is read.
    line_start: usize,
    /// Up to here line breaks were counted, and so many there are.
    counted: (usize, usize),
    has_ended: bool,
}

impl<'a> Parser<'a> {
    /// A parser of a body.
    pub fn new(body: &'a [u8], format: Format) -> Result<Self, Error> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let before = &body[..error.valid_up_to()];
            Error::new(1 + memchr_iter(b'\n', before).count(), Fault::Utf8, "")
        })?;
        Ok(Self {
            cursor: Cursor::new(text),
            format,
            bound: None,
            name: None,
            pairs: Vec::new(),
            line_start: 0,
            counted: (0, 0),
            has_ended: false,
        })
    }

    /// The next sample; nothing at the end.
    pub fn read(&mut self) -> Result<Option<Exposed<'a>>, Error> {
        if self.has_ended {
            return Ok(None);
        }
        let read = match self.format {
            Format::Text => self.text_lines(),
            Format::OpenMetrics => self.open_metrics_lines(),
        };
        self.has_ended = !matches!(read, Ok(Some(_)));
        read.map_err(|fault| {
            let line = &self.cursor.text()[self.line_start..];
            Error::new(self.line(), fault, line.lines().next().unwrap_or_default())
        })
    }

    /// The labels of the sample that was read last, its name first. A name may stand among them
    /// twice.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let name = self.name.map(|name| (METRIC_NAME.into(), unescaped(name)));
        let pairs = self.pairs.iter().map(|(name, value)| {
            let (name, value) = (unescaped(name), unescaped(value));
            let is_bound = self.bound.is_some_and(|bound| *bound == *name);
            (name, if is_bound { bound::normalized(value) } else { value })
        });
        name.into_iter().chain(pairs)
    }

    /// The line of the sample that was read last, from 1.
    pub fn line(&mut self) -> usize {
        let (counted, breaks) = self.counted;
        let text = &self.cursor.text().as_bytes()[counted..self.line_start];
        self.counted = (self.line_start, breaks + memchr_iter(b'\n', text).count());
        self.counted.1 + 1
    }

    fn text_lines(&mut self) -> Result<Option<Exposed<'a>>, Fault> {
        loop {
            self.line_start = self.cursor.at();
            self.cursor.skip_blanks();
            match self.cursor.peek() {
                None => return Ok(None),
                Some(b'\n') => {}
                Some(b'#') => self.text_comment()?,
                Some(_) => return self.text_sample().map(Some),
            }
            self.cursor.eat(b'\n');
        }
    }

    /// A comment, up to its line break. What begins as metadata has to be some.
    fn text_comment(&mut self) -> Result<(), Fault> {
        self.cursor.eat(b'#');
        let blanks = self.cursor.at();
        self.cursor.skip_blanks();
        let has_blanks = self.cursor.at() > blanks;
        for keyword in ["HELP", "TYPE"] {
            let start = self.cursor.clone();
            if has_blanks
                && self.cursor.eat_text(keyword)
                && matches!(self.cursor.peek(), Some(b' ' | b'\t'))
            {
                self.cursor.skip_blanks();
                self.metadata_name()?;
                let text = self.cursor.line();
                let separator = text.chars().next().map_or(0, char::len_utf8);
                return match keyword {
                    "TYPE" => self.set_type(&text[separator..]),
                    _ => Ok(()),
                };
            }
            self.cursor = start;
        }
        self.cursor.line();
        Ok(())
    }

    fn text_sample(&mut self) -> Result<Exposed<'a>, Fault> {
        let series = self.series()?;
        self.cursor.skip_blanks();
        let value = self.cursor.until(|byte| matches!(byte, b'{' | b' ' | b'\t' | b'\n'));
        let value = number(value).ok_or(Fault::Value)?;
        self.cursor.skip_blanks();
        let digits = self.cursor.until(|byte| !byte.is_ascii_digit());
        let time = match digits {
            "" => None,
            digits => Some(Timestamp::from_ms(digits.parse().map_err(|_| Fault::Time)?)),
        };
        self.cursor.skip_blanks();
        match self.cursor.peek() {
            None => {}
            Some(b'\n') => {
                self.cursor.eat(b'\n');
            }
            Some(_) => return Err(if time.is_some() { Fault::LineEnd } else { Fault::Time }),
        }
        Ok(Exposed { series, value, time })
    }

    fn open_metrics_lines(&mut self) -> Result<Option<Exposed<'a>>, Fault> {
        loop {
            self.line_start = self.cursor.at();
            match self.cursor.peek() {
                None => return Err(Fault::NoEnd),
                Some(b'#') => {
                    if self.open_metrics_comment()? {
                        return Ok(None);
                    }
                }
                Some(_) => return self.open_metrics_sample().map(Some),
            }
        }
    }

    /// A line of metadata; whether it was the last.
    fn open_metrics_comment(&mut self) -> Result<bool, Fault> {
        if self.cursor.eat_text("# EOF") {
            self.cursor.eat(b'\n');
            return if self.cursor.peek().is_none() { Ok(true) } else { Err(Fault::AfterEnd) };
        }
        let keywords = ["# HELP ", "# TYPE ", "# UNIT "];
        let keyword = keywords.into_iter().find(|keyword| self.cursor.eat_text(keyword));
        let keyword = keyword.ok_or(Fault::Comment)?;
        let name = self.metadata_name()?;
        if !self.cursor.eat(b' ') {
            return Err(Fault::MetadataText);
        }
        let text = self.cursor.line();
        if !self.cursor.eat(b'\n') {
            return Err(Fault::NoEnd);
        }
        match keyword {
            "# TYPE " => self.set_type(text)?,
            "# UNIT " if !is_unit_of(text, name) => return Err(Fault::Unit),
            _ => {}
        }
        Ok(false)
    }

    fn open_metrics_sample(&mut self) -> Result<Exposed<'a>, Fault> {
        let series = self.series()?;
        let value = self.spaced_number().ok_or(Fault::Value)?;
        let mut time = None;
        if !self.exemplar()? && self.cursor.peek() == Some(b' ') {
            let seconds = self.spaced_number().filter(|number| number.is_finite());
            time = Some(Timestamp::from_ms((seconds.ok_or(Fault::Time)? * 1000.0) as i64));
            self.exemplar()?;
        }
        self.line_end()?;
        Ok(Exposed { series, value, time })
    }

    /// Passes over an exemplar; whether there was one.
    fn exemplar(&mut self) -> Result<bool, Fault> {
        if !self.cursor.eat_text(" # {") {
            return Ok(false);
        }
        // Its labels are no labels of the sample.
        let pairs = self.pairs.len();
        self.pairs_in_braces()?;
        self.pairs.truncate(pairs);
        self.spaced_number().ok_or(Fault::Value)?;
        if self.cursor.peek() == Some(b' ') {
            let seconds = self.spaced_number().filter(|number| number.is_finite());
            seconds.ok_or(Fault::Time)?;
        }
        Ok(true)
    }

    fn line_end(&mut self) -> Result<(), Fault> {
        if self.cursor.eat(b'\n') {
            return Ok(());
        }
        Err(if self.cursor.peek().is_none() { Fault::NoEnd } else { Fault::LineEnd })
    }

    /// The number behind one space.
    fn spaced_number(&mut self) -> Option<f64> {
        if !self.cursor.eat(b' ') {
            return None;
        }
        number(self.cursor.until(|byte| matches!(byte, b' ' | b'\n')))
    }

    /// The name and the labels.
    fn series(&mut self) -> Result<&'a str, Fault> {
        self.pairs.clear();
        let start = self.cursor.at();
        let name = self.cursor.metric_name();
        self.name = (!name.is_empty()).then_some(name);
        let mut series = self.cursor.since(start);
        self.skip_gap();
        if self.cursor.eat(b'{') {
            self.pairs_in_braces()?;
            series = self.cursor.since(start);
        } else if name.is_empty() {
            return Err(Fault::Start);
        }
        match self.name {
            None | Some("") => Err(Fault::NoName),
            Some(_) => Ok(series),
        }
    }

    /// Labels, and perhaps the quoted name, up to the closing brace.
    fn pairs_in_braces(&mut self) -> Result<(), Fault> {
        loop {
            self.skip_gap();
            let name = match self.cursor.peek() {
                Some(b'}') => break,
                Some(b'"') => {
                    let name = self.cursor.quoted(Breaks::Taken).ok_or(Fault::LabelName)?;
                    self.skip_gap();
                    if matches!(self.cursor.peek(), Some(b',' | b'}')) {
                        self.set_name(name)?;
                        if self.cursor.eat(b',') {
                            continue;
                        }
                        break;
                    }
                    name
                }
                _ => self.cursor.label_name(),
            };
            if name.is_empty() {
                return Err(Fault::LabelName);
            }
            self.label_value(name)?;
        }
        self.cursor.eat(b'}');
        Ok(())
    }

    /// The value of a label, and the comma behind it.
    fn label_value(&mut self, name: &'a str) -> Result<(), Fault> {
        self.skip_gap();
        if !self.cursor.eat(b'=') {
            return Err(Fault::LabelEquals);
        }
        self.skip_gap();
        let breaks = match self.format {
            Format::Text => Breaks::Taken,
            Format::OpenMetrics => Breaks::Refused,
        };
        let value = self.cursor.quoted(breaks).ok_or(Fault::LabelValue)?;
        self.pairs.push((name, value));
        self.skip_gap();
        // The text format does without a comma, too.
        let is_separated = self.cursor.eat(b',') || self.cursor.peek() == Some(b'}');
        if is_separated || self.format == Format::Text { Ok(()) } else { Err(Fault::Comma) }
    }

    fn set_name(&mut self, name: &'a str) -> Result<(), Fault> {
        match self.name.replace(name) {
            None => Ok(()),
            Some(_) => Err(Fault::NameTwice),
        }
    }

    /// Blanks, where the format allows any.
    fn skip_gap(&mut self) {
        if self.format == Format::Text {
            self.cursor.skip_blanks();
        }
    }

    /// The name that metadata is of, without its quotes.
    fn metadata_name(&mut self) -> Result<&'a str, Fault> {
        let name = match self.cursor.peek() {
            Some(b'"') => self.cursor.quoted(Breaks::Taken).ok_or(Fault::MetadataName)?,
            _ => self.cursor.metric_name(),
        };
        if name.is_empty() { Err(Fault::MetadataName) } else { Ok(name) }
    }

    fn set_type(&mut self, text: &str) -> Result<(), Fault> {
        self.bound = match (text, self.format) {
            ("histogram", _) => Some("le"),
            ("summary", _) => Some("quantile"),
            ("counter" | "gauge", _)
            | ("untyped", Format::Text)
            | ("unknown" | "gaugehistogram" | "info" | "stateset", Format::OpenMetrics) => None,
            _ => return Err(Fault::Type),
        };
        Ok(())
    }
}

fn is_unit_of(unit: &str, name: &str) -> bool {
    unit.is_empty() || name.strip_suffix(unit).is_some_and(|name| name.ends_with('_'))
}

/// A name or a value without its escapes. An escape of something else stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let (character, length) = match after.as_bytes().first() {
            Some(b'n') => ('\n', 1),
            Some(b'"') => ('"', 1),
            Some(b'\\') => ('\\', 1),
            _ => ('\\', 0),
        };
        plain.push(character);
        rest = &after[length..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}
