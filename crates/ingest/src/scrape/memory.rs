//! What is known of a target from scrape to scrape.

use bellwire_model::limits::{SCRAPE_SAMPLES_BYTES_MAX, SCRAPE_SAMPLES_MAX};
use bellwire_model::{Labels, NameMap, NameSet, Sample, Timestamp};
use thiserror::Error;

use super::STALE_MARKER;
use super::treatment::{SeriesError, Times, Treated, Treatment};
use crate::decoded::{Decoded, Refusal};
use crate::exposition::{self, Exposed, Format, Parser};

/// Texts of series that a target may expose beyond twice as many as its last scrape that counted,
/// before those of scrapes that failed are forgotten.
const TEXTS_OF_FAILURES_MAX: usize = 1_000;

/// A target's series by how it writes them, and which of them were there the last time.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    texts: NameMap<Box<str>, Known>,
    /// The number of the scrape that is under way, or was the last.
    scrape: u32,
    /// How many texts the last one had that counted.
    texts_taken: usize,
    /// Series that are alive, though no text stands for them any more.
    orphans: Vec<Labels>,
}

/// What a text stands for.
#[derive(Clone, Debug)]
struct Known {
    /// Nothing where relabeling drops it.
    labels: Option<Labels>,
    /// The last scrape that had it.
    seen: u32,
    /// The last one that had it with a sample that its absence ends.
    tracked: u32,
    /// Whether it was there, in that way, in the last scrape that counted.
    is_alive: bool,
}

/// What a scrape comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scraped {
    /// Its samples and the stale markers, and what of it was refused by itself.
    pub decoded: Decoded,
    /// Samples that the target exposes.
    pub exposed: usize,
    /// Those left after relabeling.
    pub kept: usize,
    /// Those of series that the scrape before did not have.
    pub new_series: usize,
}

/// A scrape that does not count: everything is stale.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// Why.
    pub why: Why,
    /// The stale markers, and the numbers as far as it was read.
    pub scraped: Scraped,
}

/// Why a scrape does not count.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Why {
    /// A line cannot be read.
    #[error("{0}")]
    Exposition(#[from] exposition::Error),
    /// Labels cannot be those of a series.
    #[error("line {line}: {error}")]
    Series {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        error: SeriesError,
    },
    /// There are more samples than the configuration allows.
    #[error("sample_limit exceeded: more than {0} samples are left after relabeling")]
    SampleLimit(usize),
    /// There are more than there is room for, whatever the configuration says.
    #[error(
        "a scrape has at most {SCRAPE_SAMPLES_MAX} samples, of {SCRAPE_SAMPLES_BYTES_MAX} bytes with \
         their labels"
    )]
    TooMany,
}

impl Why {
    /// The stable code of the reason.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exposition(_) => "exposition_invalid",
            Self::Series { error: SeriesError::Limit { .. }, .. } => "label_limit",
            Self::Series { .. } => "label_invalid",
            Self::SampleLimit(_) => "sample_limit",
            Self::TooMany => "too_many_samples",
        }
    }
}

impl Memory {
    /// Takes what a target exposes at a time.
    pub fn take(
        &mut self,
        (body, format): (&[u8], Format),
        treatment: &Treatment,
        time: Timestamp,
    ) -> Result<Scraped, Box<Failed>> {
        self.scrape += 1;
        let mut reading = Reading {
            memory: self,
            treatment,
            time,
            line: 0,
            bytes: 0,
            scraped: Scraped::default(),
        };
        let result = reading.body(body, format);
        let mut scraped = reading.scraped;
        match result {
            Ok(()) => {
                mark(&mut scraped.decoded, self.settle(), time);
                Ok(scraped)
            }
            Err(why) => {
                scraped.decoded = self.lose(time);
                Err(Box::new(Failed { why, scraped }))
            }
        }
    }

    /// A scrape that brought nothing: stale markers for everything that was there.
    pub fn lose(&mut self, time: Timestamp) -> Decoded {
        let mut stale = std::mem::take(&mut self.orphans);
        for known in self.texts.values_mut().filter(|known| known.is_alive) {
            known.is_alive = false;
            stale.extend(known.labels.clone());
        }
        // Texts of scrapes that failed would pile up.
        if self.texts.len() > self.texts_taken * 2 + TEXTS_OF_FAILURES_MAX {
            self.texts.clear();
        }
        let mut decoded = Decoded::default();
        mark(&mut decoded, stale, time);
        decoded
    }

    /// The series that these samples end.
    pub fn ends_of(decoded: &Decoded) -> Vec<Labels> {
        let is_marker = |sample: &&Sample| sample.is_stale_marker();
        let ended = decoded.samples.iter().filter(is_marker);
        ended.map(|sample| sample.series.clone()).collect()
    }

    /// The rules have not seen the end of these series: the next scrape ends them, if it does not have
    /// them.
    pub fn end_again(&mut self, ends: Vec<Labels>) {
        self.orphans.extend(ends);
    }

    /// From now on texts may stand for other series. Those that are alive stay so until the next
    /// scrape tells.
    pub fn forget_texts(&mut self) {
        let alive = self.texts.drain().filter(|(_, known)| known.is_alive);
        self.orphans.extend(alive.filter_map(|(_, known)| known.labels));
    }

    /// A scrape counts: says which series it ends, and forgets what it does not have.
    fn settle(&mut self) -> Vec<Labels> {
        let scrape = self.scrape;
        let mut gone: NameSet<Labels> = self.orphans.drain(..).collect();
        let mut is_whole = true;
        for known in self.texts.values_mut() {
            is_whole &= known.seen == scrape;
            let was_alive = known.is_alive;
            known.is_alive = known.tracked == scrape;
            if was_alive && !known.is_alive {
                gone.extend(known.labels.clone());
            }
        }
        if !gone.is_empty() {
            // A series may be written in another way than before.
            let present = self.texts.values().filter(|known| known.seen == scrape);
            for labels in present.filter_map(|known| known.labels.as_ref()) {
                gone.remove(labels);
            }
        }
        if !is_whole {
            self.texts.retain(|_, known| known.seen == scrape);
        }
        self.texts_taken = self.texts.len();
        gone.into_iter().collect()
    }
}

/// Adds stale markers.
fn mark(decoded: &mut Decoded, stale: Vec<Labels>, time: Timestamp) {
    let marker = |series| Sample { series, value: STALE_MARKER, time };
    decoded.add(stale.into_iter().map(marker).collect());
}

/// A scrape under way.
struct Reading<'a> {
    memory: &'a mut Memory,
    treatment: &'a Treatment,
    time: Timestamp,
    line: usize,
    /// What the samples take.
    bytes: usize,
    scraped: Scraped,
}

impl Reading<'_> {
    fn body(&mut self, body: &[u8], format: Format) -> Result<(), Why> {
        let mut parser = Parser::new(body, format)?;
        while let Some(exposed) = parser.read()? {
            self.line = parser.line();
            // Each of them is remembered, those that are dropped, too.
            if self.scraped.exposed == SCRAPE_SAMPLES_MAX || self.bytes > SCRAPE_SAMPLES_BYTES_MAX {
                return Err(Why::TooMany);
            }
            self.scraped.exposed += 1;
            self.sample(exposed, &parser)?;
        }
        let limit = self.treatment.limits.samples;
        if limit > 0 && self.scraped.kept > limit {
            return Err(Why::SampleLimit(limit));
        }
        Ok(())
    }

    fn sample(&mut self, exposed: Exposed<'_>, parser: &Parser<'_>) -> Result<(), Why> {
        let times = self.treatment.times;
        let time = exposed.time.filter(|_| times != Times::Ignored);
        let is_tracked = time.is_none() || times == Times::Tracked;
        let scrape = self.memory.scrape;
        let mut known = self.memory.texts.get_mut(exposed.series);
        if known.is_none() {
            if !self.learn(exposed, parser)? {
                return Ok(());
            }
            known = self.memory.texts.get_mut(exposed.series);
        }
        let known = known.expect("it was there, or was learnt");
        let is_twice = known.seen == scrape && time.is_none();
        known.seen = scrape;
        let Some(labels) = &known.labels else { return Ok(()) };
        self.scraped.kept += 1;
        if is_twice {
            let detail = "the series stands twice in one scrape: its first sample counts";
            self.reject(Refusal::new("sample_duplicate", detail), exposed.series);
            return Ok(());
        }
        let at = time.unwrap_or(self.time);
        if let Err(error) = Sample::check_time(at, self.time) {
            self.reject(error.into(), exposed.series);
            return Ok(());
        }
        if is_tracked {
            known.tracked = scrape;
        }
        let sample = Sample { series: labels.clone(), value: exposed.value, time: at };
        self.bytes += size_of::<Sample>() + labels.size_bytes();
        self.scraped.decoded.samples.push(sample);
        self.scraped.decoded.end_line(self.line);
        Ok(())
    }

    /// Finds out what a text stands for; whether it stands for anything.
    fn learn(&mut self, exposed: Exposed<'_>, parser: &Parser<'_>) -> Result<bool, Why> {
        let pairs: Vec<_> = parser.labels().collect();
        let treated = self.treatment.of(&pairs);
        let treated = treated.map_err(|error| Why::Series { line: self.line, error })?;
        let labels = match treated {
            Treated::Kept(labels) => Some(labels),
            Treated::Dropped => None,
            Treated::Refused(error) => {
                self.scraped.kept += 1;
                self.reject(error.into(), exposed.series);
                return Ok(false);
            }
        };
        self.scraped.new_series += usize::from(labels.is_some());
        let known = Known { labels, seen: 0, tracked: 0, is_alive: false };
        self.memory.texts.insert(exposed.series.into(), known);
        Ok(true)
    }

    fn reject(&mut self, refusal: Refusal, series: &str) {
        self.scraped.decoded.reject_part(self.line, refusal, series);
    }
}
