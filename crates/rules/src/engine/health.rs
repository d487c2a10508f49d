//! How the evaluations of a rule go.

use bellwire_model::Timestamp;

/// How the evaluations of a rule have gone since it was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Evaluations that came to something. In stream mode each is of a part of the rule.
    pub evaluations: u64,
    /// Evaluations that failed.
    pub failures: u64,
    /// When it was evaluated last.
    pub last_evaluation: Option<Timestamp>,
    /// Why it fails. It does as long as a part of it that failed has not been evaluated well since.
    pub last_error: Option<Box<str>>,
    /// Series that its evaluations have looked at, each time that one did: what they cost.
    pub looks: u64,
    /// When a sample last came that it selects. Nothing where none has since it was loaded, and of
    /// one in tick mode, which looks for its series when it ticks.
    pub last_sample: Option<Timestamp>,
    /// Parts that failed the last time.
    failing: usize,
}

impl Health {
    pub(super) fn succeed(&mut self, now: Timestamp) {
        self.evaluations += 1;
        self.last_evaluation = Some(now);
    }

    /// A part of the rule has failed, which it had not done the last time where it is new.
    pub(super) fn fail(&mut self, now: Timestamp, reason: &str, part: FailingPart) {
        self.failures += 1;
        self.last_evaluation = Some(now);
        self.last_error = Some(reason.into());
        self.failing += usize::from(part == FailingPart::New);
    }

    /// A part that failed has come to something again, or is gone.
    pub(super) fn mend(&mut self) {
        self.failing -= 1;
        if self.failing == 0 {
            self.last_error = None;
        }
    }
}

/// Whether a part that fails did so the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailingPart {
    New,
    Known,
}
