//! What a network does to connections, and when: the same for the same seed.

use std::time::Duration;

/// What happens to all connections at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FaultKind {
    /// They end, as where a proxy restarts.
    Cut,
    /// They are aborted.
    Reset,
    /// Nothing gets through for a while; then all does.
    Stall,
    /// Nothing gets through any more, and nobody is told; new ones work.
    Mute,
    /// They are aborted, and so is each new one for a while.
    Away,
}

impl FaultKind {
    pub(crate) const ALL: [Self; 5] = [Self::Cut, Self::Reset, Self::Stall, Self::Mute, Self::Away];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Reset => "reset",
            Self::Stall => "stall",
            Self::Mute => "mute",
            Self::Away => "away",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// How long the network stays so: zero where the next connection works.
    pub(super) lasts: Duration,
}

/// Of the interval, how long faults last that last.
const SHARES_OF_FAULT: [f64; 2] = [0.1, 0.8];
/// The same of the time from one fault's end to the next.
const SHARES_OF_PEACE: [f64; 2] = [0.5, 1.5];

/// Faults without an end, each with the time of peace before it.
#[derive(Debug)]
pub(super) struct Schedule {
    random: fastrand::Rng,
    interval: Duration,
    /// What is left of a round, in which each kind has its turn.
    round: Vec<FaultKind>,
}

impl Schedule {
    /// `interval` is that between two faults, on average.
    pub(super) fn new(seed: u64, interval: Duration) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), interval, round: Vec::new() }
    }

    fn share_of_interval(&mut self, [least, most]: [f64; 2]) -> Duration {
        self.interval.mul_f64(least + (most - least) * self.random.f64())
    }
}

impl Iterator for Schedule {
    type Item = (Duration, Fault);

    fn next(&mut self) -> Option<Self::Item> {
        if self.round.is_empty() {
            self.round = FaultKind::ALL.into();
            self.random.shuffle(&mut self.round);
        }
        let kind = self.round.pop()?;
        let peace = self.share_of_interval(SHARES_OF_PEACE);
        let lasts = match kind {
            FaultKind::Cut | FaultKind::Reset | FaultKind::Mute => Duration::ZERO,
            FaultKind::Stall | FaultKind::Away => self.share_of_interval(SHARES_OF_FAULT),
        };
        Some((peace, Fault { kind, lasts }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_decides_and_each_kind_has_its_turn() {
        let interval = Duration::from_secs(10);
        let faults = |seed| Schedule::new(seed, interval).take(50).collect::<Vec<_>>();
        assert_eq!(faults(1), faults(1));
        assert_ne!(faults(1), faults(2));
        for round in faults(1).chunks(5) {
            let kinds: BTreeSet<_> = round.iter().map(|(_, fault)| fault.kind).collect();
            assert_eq!(kinds.len(), FaultKind::ALL.len(), "{round:?}");
            for (peace, Fault { lasts, .. }) in round {
                assert!(*peace >= interval / 2 && *peace <= interval * 3 / 2, "{peace:?}");
                assert!(*lasts <= interval * 4 / 5, "{lasts:?}");
            }
        }
    }
}
