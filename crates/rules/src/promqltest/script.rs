//! The commands of a script.

use std::time::Duration;

use bellwire_model::Timestamp;

use super::comparison::{Expected, NotesExpected, Said, When};
use crate::duration;
use crate::series_text::{Cell, SeriesText, quoted};

/// A command.
pub(super) enum Command {
    Clear,
    Load(Data),
    Check(Box<Check>),
}

/// A block of series.
pub(super) struct Data {
    pub(super) step: Duration,
    pub(super) series: Vec<SeriesText>,
    pub(super) buckets: Buckets,
    /// Why the block is not loaded as it is meant.
    pub(super) lacking: Option<Box<str>>,
}

/// What becomes of series of buckets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Buckets {
    /// They are loaded as they are.
    Classic,
    /// They are loaded, and as native histograms with custom buckets beside it.
    Custom,
}

/// An expression and what it must come to.
pub(super) struct Check {
    /// The command as written.
    pub(super) command: Box<str>,
    pub(super) when: When,
    pub(super) expression: Box<str>,
    pub(super) expected: Expected,
}

/// A command that cannot be read.
pub(super) struct Fault {
    pub(super) command: Box<str>,
    pub(super) reason: String,
}

type Read<T> = Result<T, String>;

/// The commands, each with its line.
pub(super) fn commands(script: &str) -> Vec<(usize, Result<Command, Fault>)> {
    let mut commands = Vec::new();
    let mut lines = script.lines().map(str::trim).enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // What belongs to a command follows it, up to a line that is empty or a comment.
        let mut block = Vec::new();
        while let Some((_, inner)) =
            lines.next_if(|(_, next)| !next.is_empty() && !next.starts_with('#') && line != "clear")
        {
            block.push(inner);
        }
        let command =
            command(line, &block).map_err(|reason| Fault { command: line.into(), reason });
        commands.push((index + 1, command));
    }
    commands
}

fn command(line: &str, block: &[&str]) -> Read<Command> {
    let (word, rest) = split_word(line);
    match word {
        "clear" if rest.is_empty() => Ok(Command::Clear),
        "load" | "load_with_nhcb" => data(word, rest, block).map(Command::Load),
        _ if word.starts_with("eval") => check(line, block).map(|c| Command::Check(Box::new(c))),
        _ => Err(format!("`{word}` is no command: `load`, `clear` and `eval` are")),
    }
}

fn data(word: &str, step: &str, block: &[&str]) -> Read<Data> {
    let mut lacking = None;
    let buckets = if word == "load_with_nhcb" { Buckets::Custom } else { Buckets::Classic };
    let mut series = Vec::with_capacity(block.len());
    for line in block {
        if line.contains("@st") {
            lacking = Some("start timestamps are of tier 3".into());
            continue;
        }
        series.push(SeriesText::read(line).map_err(|error| error.to_string())?);
    }
    Ok(Data { step: span(step)?, series, buckets, lacking })
}

fn check(line: &str, block: &[&str]) -> Read<Check> {
    let (word, rest) = split_word(line);
    let mut expected = Expected::default();
    match word {
        "eval" => {}
        "eval_fail" => expected.failure = Some(Said::Anything),
        "eval_warn" => expected.warnings = NotesExpected::Some(vec![]),
        "eval_info" => expected.infos = NotesExpected::Some(vec![]),
        "eval_ordered" => expected.is_ordered = true,
        word => return Err(format!("`{word}` is no command")),
    }
    let (when, expression) = when(rest)?;
    for line in block {
        expect(line, when, &mut expected)?;
    }
    Ok(Check { command: line.into(), when, expression: expression.into(), expected })
}

/// When to evaluate, and the expression.
fn when(text: &str) -> Read<(When, &str)> {
    let keyword = |text: &'_ str, wanted: &str| -> Read<()> {
        if text == wanted { Ok(()) } else { Err(format!("expected `{wanted}`, found `{text}`")) }
    };
    let (kind, rest) = split_word(text);
    if kind == "instant" {
        let (at, rest) = split_word(rest);
        keyword(at, "at")?;
        let (time, rest) = split_word(rest);
        return Ok((When::Instant(instant(time)?), rest));
    }
    keyword(kind, "range")?;
    let (words, rest) = range_words(rest)?;
    let [start, end, step] = words;
    let when = When::Range { start: instant(start)?, end: instant(end)?, step: span(step)? };
    Ok((when, rest))
}

/// The times of `from … to … step …`, and what follows.
fn range_words(text: &str) -> Read<([&str; 3], &str)> {
    let mut rest = text;
    let mut words = [""; 3];
    for (keyword, place) in ["from", "to", "step"].into_iter().zip(&mut words) {
        let (found, after) = split_word(rest);
        if found != keyword {
            return Err(format!("expected `{keyword}`, found `{found}`"));
        }
        (*place, rest) = split_word(after);
    }
    Ok((words, rest))
}

/// A line of what must come.
fn expect(line: &str, when: When, expected: &mut Expected) -> Read<()> {
    let (word, rest) = split_word(line);
    match word {
        "expect" => return expectation(rest, expected),
        "expected_fail_message" => {
            expected.failure = Some(Said::Text(rest.into()));
            return Ok(());
        }
        "expected_fail_regexp" => {
            expected.failure = Some(pattern(rest)?);
            return Ok(());
        }
        _ => {}
    }
    let is_number = crate::number::read_number(line).is_some();
    if is_number && matches!(when, When::Instant(_)) {
        expected.scalar = crate::number::read_number(line);
        return Ok(());
    }
    let series = match SeriesText::read(line) {
        Ok(series) => series,
        Err(error) => return Err(error.to_string()),
    };
    expected.has_histograms |= series.values.contains(&Cell::Histogram);
    expected.series.push(series);
    Ok(())
}

fn expectation(text: &str, expected: &mut Expected) -> Read<()> {
    let (word, rest) = split_word(text);
    match word {
        "ordered" => expected.is_ordered = true,
        "fail" => expected.failure = Some(said(rest)?),
        "warn" => expected.warnings.add(said(rest)?),
        "info" => expected.infos.add(said(rest)?),
        "no_warn" => expected.warnings = NotesExpected::None,
        "no_info" => expected.infos = NotesExpected::None,
        "string" => {
            let (text, _) = quoted(rest).ok_or_else(|| format!("`{rest}` is no text"))?;
            expected.text = Some(text.into());
        }
        "range" => {
            let rest = rest.strip_prefix("vector").unwrap_or(rest).trim_start();
            let ([start, end, step], _) = range_words(rest)?;
            expected.matrix = Some((instant(start)?, instant(end)?, span(step)?));
        }
        word => return Err(format!("`expect {word}` is not known")),
    }
    Ok(())
}

/// `msg: text`, `regex: pattern`, or nothing.
fn said(text: &str) -> Read<Said> {
    let text = text.trim();
    if let Some(message) = text.strip_prefix("msg:") {
        return Ok(Said::Text(message.trim().into()));
    }
    match text.strip_prefix("regex:") {
        Some(regex) => pattern(regex.trim()),
        None if text.is_empty() => Ok(Said::Anything),
        None => Err(format!("expected `msg:` or `regex:`, found `{text}`")),
    }
}

fn pattern(text: &str) -> Read<Said> {
    bellwire_re2::Regex::new(text).map(Said::Pattern).map_err(|error| error.to_string())
}

fn instant(text: &str) -> Read<Timestamp> {
    let time = Timestamp::from_ms(0);
    match text.strip_prefix('-') {
        Some(before) => span(before).map(|before| time.saturating_sub(before)),
        None => span(text).map(|after| time.saturating_add(after)),
    }
}

/// A duration, or a number of seconds.
fn span(text: &str) -> Read<Duration> {
    duration::parse(text)
        .or_else(|| Duration::try_from_secs_f64(text.parse().ok()?).ok())
        .ok_or_else(|| format!("`{text}` is no duration"))
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    (word, rest.trim())
}
