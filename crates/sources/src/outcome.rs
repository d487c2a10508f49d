//! What became of a batch of samples.

use bellwire_ingest::{Decoded, Rejection};
use bellwire_model::limits::REJECTIONS_REPORTED_MAX;
use bellwire_rules::{RefusedSample, RefusedSamples};

/// What became of a batch, once the rules have seen it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Samples that the rules have seen; those that came too late are among them.
    pub accepted: usize,
    /// What was refused: what could not be read, was not permitted, or had no room. Its samples are
    /// gone.
    pub decoded: Decoded,
    /// Samples that came too late for any rule. Protocols that promise to say what was passed over
    /// count them as refused.
    pub late: usize,
    /// The first of those.
    pub first_late: Vec<Rejection>,
}

impl Outcome {
    /// What became of what was decoded, given what the rules did not take of it.
    pub fn new(mut decoded: Decoded, refused: RefusedSamples) -> Self {
        let accepted = decoded.lines.len() - refused.without_room();
        let late = refused.late();
        for (refusal, count) in refused.counts().filter(|(_, count)| *count > 0) {
            if refusal != bellwire_rules::SampleRefusal::Late {
                decoded.count(refusal.code(), count);
            }
        }
        let lines = &decoded.lines;
        let rejection = |sample: RefusedSample| Rejection {
            line: lines[sample.place] as usize,
            code: sample.refusal.code(),
            detail: sample.refusal.to_string(),
            excerpt: sample.series.to_string().into(),
        };
        let without_room: Vec<_> = refused.first.into_iter().map(rejection).collect();
        let first_late = refused.first_late.into_iter().map(rejection).collect();
        decoded.rejections.extend(without_room);
        decoded.rejections.sort_by_key(|rejection| rejection.line);
        decoded.rejections.truncate(REJECTIONS_REPORTED_MAX);
        Self { accepted, decoded, late, first_late }
    }

    /// Where the first refused item stands, and what is wrong with it.
    pub fn first_reason(&self) -> String {
        self.decoded.rejections.first().map_or_else(String::new, |rejection| {
            format!("line {}: {}", rejection.line, rejection.detail)
        })
    }
}
