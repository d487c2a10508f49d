//! Runs that measured the same thing.

use crate::result::{Record, grouped};

use super::headline::Headline;

/// The runs of one system with the same parameters on one machine: those of the newest commit.
#[derive(Debug)]
pub(super) struct Group<'a> {
    runs: Vec<&'a Record>,
    /// The parameters that tell it from others, for people.
    pub(super) parameters: String,
    pub(super) system: String,
}

impl<'a> Group<'a> {
    /// All groups of a workload, in the order in which they first came.
    pub(super) fn all(records: &'a [Record], headline: &Headline) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for record in records.iter().filter(|record| record.workload == headline.workload) {
            let new = Self {
                runs: vec![record],
                parameters: parameters(headline, record),
                system: record.text("system").unwrap_or_default(),
            };
            match groups.iter_mut().find(|group| group.is_alike(&new)) {
                Some(group) if group.first().commit == record.commit => group.runs.push(record),
                Some(group) if group.first().date <= record.date => group.runs = new.runs,
                Some(_) => {}
                None => groups.push(new),
            }
        }
        groups
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.first().machine == other.first().machine
            && self.system == other.system
            && self.parameters == other.parameters
    }

    pub(super) fn first(&self) -> &'a Record {
        self.runs[0]
    }

    /// How many runs, for people.
    pub(super) fn runs_text(&self) -> String {
        if self.runs.len() == 1 { "1 run".into() } else { format!("{} runs", self.runs.len()) }
    }

    /// Why there are no figures.
    pub(super) fn not_measured(&self) -> Option<&'a str> {
        self.runs.iter().find_map(|run| run.not_measured.as_deref())
    }

    /// What all runs say of one figure.
    pub(super) fn spread(&self, figure: &str) -> Option<Spread> {
        let mut values: Vec<_> = self.runs.iter().filter_map(|run| run.number(figure)).collect();
        values.sort_by(f64::total_cmp);
        let median = *values.get(values.len().saturating_sub(1) / 2)?;
        Some(Spread { least: *values.first()?, median, most: *values.last()? })
    }
}

/// What several runs say of one figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    least: f64,
    /// Of an even number of runs the lower one of the middle.
    pub(super) median: f64,
    most: f64,
}

impl Spread {
    pub(super) fn range(&self) -> String {
        format!("{} – {}", grouped(self.least), grouped(self.most))
    }
}

/// What tells runs apart: transport and TLS where they are not the plain ones, then the numbers.
fn parameters(headline: &Headline, record: &Record) -> String {
    let is = |name: &str, value: &str| record.text(name).as_deref() == Some(value);
    let mut all = Vec::new();
    all.extend(is("transport", "websocket").then(|| "WebSocket".to_owned()));
    all.extend(is("transport", "poll").then(|| "long poll".to_owned()));
    all.extend(is("tls", "true").then(|| "TLS".to_owned()));
    all.extend(headline.parameters.iter().filter_map(|name| {
        let text = record.text(name)?;
        let text = text.parse().map_or(text, grouped);
        Some(format!("{} {text}", name.replace('_', " ")))
    }));
    all.join(", ")
}
