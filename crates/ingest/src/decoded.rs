//! What a decoder returns: the samples, and what is wrong with the rest.

use bellwire_model::limits::{REJECT_EXCERPT_BYTES_MAX, REJECTIONS_REPORTED_MAX};
use bellwire_model::{Labels, METRIC_NAME, Sample, SampleError, Topic, excerpt};

/// Bytes of a sensor's text that a rejection quotes.
const QUOTED_BYTES_MAX: usize = 64;

/// A body's samples, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// What could be read.
    pub samples: Vec<Sample>,
    /// Of each sample its line, or the number of the item in an array; from 1.
    pub lines: Vec<u32>,
    /// What is wrong with the first of those items that could not.
    pub rejections: Vec<Rejection>,
    /// How many items could not be read, those without a rejection of their own included.
    pub rejected: usize,
    /// How many of those there are of each code.
    pub by_code: Vec<(&'static str, usize)>,
    /// Samples that were left out on purpose, since somebody else sends the same: for their sender
    /// they count as taken.
    pub passed_over: usize,
    /// How many items the body has, where an item may have several samples; 0 where they are not
    /// counted.
    pub items: usize,
    /// The items whose samples say what was counted within an interval and not what was counted in
    /// all, in the order of their lines.
    pub changes: Vec<Change>,
    /// What the sender should know of what was read.
    pub warnings: Vec<String>,
    /// Items that are events and no samples.
    pub events: Vec<Announced>,
    /// Each line of which something was rejected, with the code of the first of it, where somebody has
    /// to tell of each; nothing is noted otherwise.
    pub each: Option<Vec<(usize, &'static str)>>,
}

/// An item that is an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Its line, or the number of the item in an array; from 1.
    pub line: usize,
    /// Where it goes.
    pub topic: Topic,
    /// Which value of a state topic it is.
    pub key: Option<Box<str>>,
    /// What it says, as it came.
    pub payload: Box<[u8]>,
}

/// What becomes of a sample that is looked at once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Kept,
    /// It is left out on purpose.
    PassedOver,
    /// It is refused: the code, and what is wrong.
    Refused(&'static str, String),
}

impl Verdict {
    /// Its sender may not send the series.
    pub fn forbidden(series: &Labels) -> Self {
        let name = series.metric_name().unwrap_or_default();
        let detail = format!("you may not send `{name}` with these labels");
        Self::Refused("sample_forbidden", detail)
    }
}

/// One item that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Its line, or the number of the item in an array; from 1.
    pub line: usize,
    /// The stable code of the problem.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
    /// The beginning of the item, or its series; empty where neither is text.
    pub excerpt: Box<str>,
}

/// An item whose samples are changes of what they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its line.
    pub line: u32,
    /// When it was counted.
    pub interval: Interval,
}

/// A time within which something was counted, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Its begin; 0 where the sender does not know it.
    pub start_ns: u64,
    /// Its end.
    pub end_ns: u64,
}

impl Decoded {
    /// One that notes each line of which something is rejected, and not the first of them alone.
    pub fn noting_each() -> Self {
        Self { each: Some(Vec::new()), ..Self::default() }
    }

    pub(crate) fn reject(&mut self, line: usize, refusal: Refusal) {
        self.reject_part(line, refusal, "");
    }

    /// Rejects so many items for one reason, the first of them on this line; what they are of.
    pub(crate) fn reject_several(
        &mut self,
        (line, items): (usize, usize),
        refusal: Refusal,
        text: &str,
    ) {
        self.count(refusal.code, items.saturating_sub(1));
        self.reject_part(line, refusal, text);
    }

    /// Rejects an item that reads so.
    pub(crate) fn reject_part(&mut self, line: usize, refusal: Refusal, text: &str) {
        let Refusal { code, detail } = refusal;
        self.count(code, 1);
        if let Some(each) = &mut self.each
            && each.last().is_none_or(|(last, _)| *last != line)
        {
            each.push((line, code));
        }
        if self.rejections.len() < REJECTIONS_REPORTED_MAX {
            let excerpt = beginning(text).into();
            self.rejections.push(Rejection { line, code, detail, excerpt });
        }
    }

    /// Rejects a sample of a series, which is written out only where the rejection is told: samples of
    /// a series share its labels, and their texts would be many times the body.
    pub(crate) fn reject_series(&mut self, line: usize, refusal: Refusal, series: &Labels) {
        let is_told = self.rejections.len() < REJECTIONS_REPORTED_MAX;
        let text = if is_told { series.to_string() } else { String::new() };
        self.reject_part(line, refusal, &text);
    }

    /// Counts items that were rejected.
    pub fn count(&mut self, code: &'static str, items: usize) {
        if items == 0 {
            return;
        }
        self.rejected += items;
        match self.by_code.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += items,
            None => self.by_code.push((code, items)),
        }
    }

    /// How many items were rejected with a code.
    pub fn count_of(&self, code: &str) -> usize {
        self.by_code.iter().find(|(known, _)| *known == code).map_or(0, |(_, count)| *count)
    }

    /// Takes out the samples that may not be sent, and says so of each.
    pub fn keep(&mut self, may_be_sent: impl Fn(&Labels) -> bool) {
        self.sift(|sample| {
            let may = may_be_sent(&sample.series);
            if may { Verdict::Kept } else { Verdict::forbidden(&sample.series) }
        });
    }

    /// Rejects an event that was read on that line, for a reason that only its receiver knows: the code,
    /// and what is wrong.
    pub fn reject_event(
        &mut self,
        (line, topic): (usize, &Topic),
        (code, detail): (&'static str, &str),
    ) {
        self.reject_part(line, Refusal::new(code, detail), topic.as_str());
        self.rejections.sort_by_key(|rejection| rejection.line);
    }

    /// Looks at each sample once more.
    pub fn sift(&mut self, mut judge: impl FnMut(&mut Sample) -> Verdict) {
        let samples = std::mem::take(&mut self.samples);
        let lines = std::mem::take(&mut self.lines);
        for (mut sample, line) in samples.into_iter().zip(lines) {
            match judge(&mut sample) {
                Verdict::Kept => {
                    self.samples.push(sample);
                    self.lines.push(line);
                }
                Verdict::PassedOver => self.passed_over += 1,
                Verdict::Refused(code, detail) => {
                    let refusal = Refusal::new(code, detail);
                    self.reject_series(line as usize, refusal, &sample.series);
                }
            }
        }
        self.rejections.sort_by_key(|rejection| rejection.line);
    }

    /// Adds samples that stand nowhere in the body.
    pub fn add(&mut self, samples: Vec<Sample>) {
        self.samples.extend(samples);
        self.end_line(0);
    }

    /// Goes on with the line of the samples that came last.
    pub(crate) fn end_line(&mut self, line: usize) {
        self.lines.resize(self.samples.len(), line as u32);
    }
}

/// What is wrong with an item, before it is known where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: excerpt(detail.into()) }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<SampleError> for Refusal {
    fn from(error: SampleError) -> Self {
        let code = match error {
            SampleError::Name => "name_invalid",
            SampleError::NotFinite => "value_not_finite",
            SampleError::TooNew { .. } | SampleError::TooOld { .. } => "timestamp_out_of_range",
            SampleError::Labels(_) => "label_invalid",
            _ => "sample_invalid",
        };
        Self::new(code, error.to_string())
    }
}

/// The labels of a series. The metric name has a place of its own in every format, so a label of
/// its name is refused rather than taken for it.
pub(crate) fn series<'a>(
    name: &'a str,
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Labels, SampleError> {
    Sample::check_name(name)?;
    let pairs = std::iter::once((METRIC_NAME, name)).chain(labels);
    Ok(Labels::from_pairs(pairs)?)
}

/// The beginning of a text, for a rejection to quote.
pub(crate) fn quoted(text: &str) -> &str {
    &text[..text.floor_char_boundary(QUOTED_BYTES_MAX)]
}

/// The beginning of an item.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(REJECT_EXCERPT_BYTES_MAX)]
}
