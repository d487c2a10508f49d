//! Series as Prometheus' tests write them: `name{label="value"} 1+2x3 _ stale`.

use bellwire_model::limits::SERIES_TEXT_VALUES_MAX;
use bellwire_model::{Labels, LabelsBuilder, METRIC_NAME};
use thiserror::Error;

use crate::number::read_number;
use crate::storage::STALE;

/// A series and its values, one for each step.
#[derive(Clone, Debug)]
pub(crate) struct SeriesText {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Cell>,
}

/// What a series has at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    Nothing,
    Value(f64),
    /// A native histogram, which is not evaluated.
    Histogram,
}

/// Why a text is no series.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum SeriesTextError {
    #[error("`{0}` is no series: a name, labels in braces, or both")]
    Series(Box<str>),
    #[error("`{0}` is no value: write it as `1`, `1+2x3`, `_x3` or `stale`")]
    Value(Box<str>),
    #[error("a series has at most {SERIES_TEXT_VALUES_MAX} values")]
    TooMany,
    #[error(transparent)]
    Labels(#[from] bellwire_model::LabelsError),
}

impl SeriesText {
    /// Reads a series with its values.
    pub(crate) fn read(line: &str) -> Result<Self, SeriesTextError> {
        let (labels, rest) = split_series(line)?;
        Ok(Self { labels, values: values(rest)? })
    }
}

/// Reads a series without values.
pub(crate) fn series(text: &str) -> Result<Labels, SeriesTextError> {
    match split_series(text)? {
        (labels, "") => Ok(labels),
        _ => Err(SeriesTextError::Series(text.into())),
    }
}

/// The series at the start of a line, and what follows it.
fn split_series(line: &str) -> Result<(Labels, &str), SeriesTextError> {
    let line = line.trim();
    let refusal = || SeriesTextError::Series(line.into());
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let is_name = name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
    if !is_name || name.starts_with(|c: char| c.is_ascii_digit()) || line.is_empty() {
        return Err(refusal());
    }
    let mut labels = LabelsBuilder::default();
    labels.push(METRIC_NAME, name)?;
    let rest = rest.trim();
    // Two braces begin a histogram, the first of the values.
    let Some(mut rest) = rest.strip_prefix('{').filter(|rest| !rest.starts_with('{')) else {
        return Ok((labels.build()?, rest));
    };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels.build()?, after.trim()));
        }
        let (label, after) = label_name(rest).ok_or_else(refusal)?;
        let after = after.trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let (value, after) = quoted(value.trim_start()).ok_or_else(refusal)?;
            labels.push(&label, &value)?;
            rest = after.trim_start();
        } else {
            // A quoted text alone is the metric's name.
            labels.push(METRIC_NAME, &label)?;
            rest = after;
        }
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(refusal()),
        }
    }
}

fn label_name(text: &str) -> Option<(String, &str)> {
    if text.starts_with(['"', '\'']) {
        return quoted(text);
    }
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))?;
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// The text in quotes at the start, and what follows it.
pub(crate) fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote != '`' => is_escaped = true,
            c if c == quote => {
                let end = at + c.len_utf8();
                let value = crate::expression::quoted::unquoted(&text[..end]).ok()?;
                return Some((value, &text[end..]));
            }
            _ => {}
        }
    }
    None
}

/// Values beside each other, each for one step or for several.
pub(crate) fn values(text: &str) -> Result<Vec<Cell>, SeriesTextError> {
    let mut cells = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = word(rest);
        expand(word, &mut cells)?;
        if cells.len() > SERIES_TEXT_VALUES_MAX {
            return Err(SeriesTextError::TooMany);
        }
        rest = after.trim_start();
    }
    Ok(cells)
}

/// The next word; a histogram has spaces within its braces.
fn word(text: &str) -> (&str, &str) {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if c.is_whitespace() && depth == 0 => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}

/// The cells that a word stands for.
fn expand(word: &str, cells: &mut Vec<Cell>) -> Result<(), SeriesTextError> {
    let refusal = || SeriesTextError::Value(word.into());
    let times = |text: &str| -> Result<usize, SeriesTextError> {
        let times = text.parse().map_err(|_| refusal())?;
        if times > SERIES_TEXT_VALUES_MAX { Err(SeriesTextError::TooMany) } else { Ok(times) }
    };
    if word.starts_with("{{") {
        let after = word.rfind("}}").map_or("", |end| &word[end + 2..]);
        let first = after.split_once('x').map_or(Ok(0), |(_, count)| times(count))?;
        let is_sum = word.contains("}}+{{") || word.contains("}}-{{");
        let count = if after.is_empty() { 1 } else { first + usize::from(is_sum) };
        cells.extend(std::iter::repeat_n(Cell::Histogram, count));
        return Ok(());
    }
    if let Some(rest) = word.strip_prefix('_') {
        let count = match rest.strip_prefix('x') {
            Some(count) => times(count)?,
            None if rest.is_empty() => 1,
            None => return Err(refusal()),
        };
        cells.extend(std::iter::repeat_n(Cell::Nothing, count));
        return Ok(());
    }
    if word == "stale" {
        cells.push(Cell::Value(STALE));
        return Ok(());
    }
    let is_hexadecimal = word.trim_start_matches(['+', '-']).starts_with("0x")
        && word.trim_start_matches(['+', '-'])[2..].contains(|c: char| c.is_ascii_alphabetic());
    let Some((series, count)) = word.rsplit_once('x').filter(|_| !is_hexadecimal) else {
        cells.push(Cell::Value(read_number(word).ok_or_else(refusal)?));
        return Ok(());
    };
    let count = times(count)?;
    let sign = signs(series)
        .find(|at| read_number(&series[..*at]).is_some() && read_number(&series[*at..]).is_some());
    let Some(sign) = sign else {
        // `7x3` is seven four times: the first value, and three more.
        let value = read_number(series).ok_or_else(refusal)?;
        cells.extend(std::iter::repeat_n(Cell::Value(value), count + 1));
        return Ok(());
    };
    let number = |text: &str| read_number(text).ok_or_else(refusal);
    let (mut value, step) = (number(&series[..sign])?, number(&series[sign..])?);
    cells.push(Cell::Value(value));
    for _ in 0..count {
        value += step;
        cells.push(Cell::Value(value));
    }
    Ok(())
}

/// Where signs stand that may part a value from its step.
fn signs(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices().skip(1).filter(|(_, c)| matches!(c, '+' | '-')).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_out() {
        let value = Cell::Value;
        let table: [(&str, &[Cell]); 9] = [
            ("5", &[value(5.0)]),
            ("2+3x2", &[value(2.0), value(5.0), value(8.0)]),
            ("1-2x4", &[value(1.0), value(-1.0), value(-3.0), value(-5.0), value(-7.0)]),
            ("7x3", &[value(7.0); 4]),
            ("_ _x2 1", &[Cell::Nothing, Cell::Nothing, Cell::Nothing, value(1.0)]),
            ("-1e-3+1e1x1", &[value(-0.001), value(9.999)]),
            (
                "0x10 Inf",
                &[
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(0.0),
                    value(f64::INFINITY),
                ],
            ),
            ("{{schema:0 count:3}}x1 1", &[Cell::Histogram, value(1.0)]),
            ("{{count:0}}+{{count:1}}x1", &[Cell::Histogram, Cell::Histogram]),
        ];
        for (text, expected) in table {
            assert_eq!(values(text).expect(text), expected, "{text}");
        }
        for text in ["x", "1x", "stalex2", "1+x3", "1..2", "_y"] {
            assert_eq!(values(text), Err(SeriesTextError::Value(text.into())), "{text}");
        }
        assert_eq!(values("1x99999999999"), Err(SeriesTextError::TooMany));
    }

    #[test]
    fn series_are_read_with_their_labels() {
        let table = [
            ("up", "up"),
            ("up{}", "up"),
            ("{}", "{}"),
            (r#"up{a="1",b="x}, \"y"}"#, r#"up{a="1",b="x}, \"y"}"#),
            (" up { a = '1' , } ", r#"up{a="1"}"#),
            (r#"{"dotted.name", "dotted.label"="x"}"#, r#"dotted.name{dotted.label="x"}"#),
            (r#"{__name__="up",a="b"}"#, r#"up{a="b"}"#),
        ];
        let with_histogram = SeriesText::read("up {{count:1}} 1").expect("a series");
        assert_eq!(with_histogram.labels.to_string(), "up");
        assert_eq!(with_histogram.values, [Cell::Histogram, Cell::Value(1.0)]);
        for (text, expected) in table {
            assert_eq!(series(text).expect(text).to_string(), expected, "{text}");
        }
        for text in ["", "up{", "up{a}", "up{a=b}", "up{a=\"1\" b=\"2\"}", "1up", "up 1"] {
            assert!(series(text).is_err(), "{text}");
        }
    }
}
