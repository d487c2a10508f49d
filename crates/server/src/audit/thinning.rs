//! Thinning: of what one somebody does again and again the first is told, and how often it was.
//!
//! ```text
//!                    ┌─ of somebody's own ─┐
//! kind, doer ─▶ a table for each kind ─▶ told, or counted ─▶ {"by":…,"count":n}
//!                    └─ no room: together ─┘
//! ```
//!
//! Each kind has its table, and strangers have theirs: no flood of one keeps another from being told.
//! Strangers have a bound together besides, since addresses cost little.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::time::Duration;

use bellwire_access::{Identity, Means};
use bellwire_model::limits::{
    AUDIT_COUNTS_MAX, AUDITED_DOERS_MAX, AUDITED_STRANGERS_INTERVAL, AUDITED_STRANGERS_MAX,
};
use bellwire_model::network_of;

use super::kind::{Kind, Pace};
use crate::lately::{Fades, Lately};

/// Whose deeds of one kind are thinned out together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Doer {
    /// Somebody whom an issuer knows, or this server.
    Somebody { issuer: Option<Box<str>>, subject: Box<str> },
    /// A stranger, by the network that they come from.
    Stranger(Option<IpAddr>),
    /// Whoever may send signals to the process.
    Owner,
}

impl Doer {
    pub(super) fn of(by: Option<&Identity>, address: Option<IpAddr>) -> Self {
        let issuer = match by.map(|identity| &identity.means) {
            None | Some(Means::Open | Means::Anonymous | Means::Pending) => {
                return Self::Stranger(address.map(network_of));
            }
            Some(Means::Token(issuer)) => Some(issuer.clone()),
            Some(_) => None,
        };
        let subject = by.map_or("", Identity::subject).into();
        Self::Somebody { issuer, subject }
    }
}

/// What all strangers together may have told.
const STRANGERS: Pace =
    Pace { at_once: AUDITED_STRANGERS_MAX, interval: AUDITED_STRANGERS_INTERVAL };

/// What was told of late, and what was only counted.
#[derive(Debug)]
pub(super) struct Thinning {
    kinds: Vec<(Kind, OfKind)>,
}

/// Deeds of one kind.
#[derive(Debug)]
struct OfKind {
    known: Lately<Doer, Deeds>,
    /// Those for whom there is no room.
    others: Deeds,
    networks: Lately<Option<IpAddr>, Deeds>,
    strangers: Deeds,
}

impl Default for OfKind {
    fn default() -> Self {
        Self {
            known: Lately::new(AUDITED_DOERS_MAX),
            others: Deeds::default(),
            networks: Lately::new(AUDITED_DOERS_MAX),
            strangers: Deeds::default(),
        }
    }
}

/// Deeds of somebody.
#[derive(Clone, Copy, Debug, Default)]
struct Deeds {
    /// When as many may be told at once as ever, in nanoseconds since the process began.
    rested_at: u64,
    /// How many were not told since that was last said.
    untold: u64,
}

impl Deeds {
    /// Whether one more is told; else it is counted.
    fn admit(&mut self, pace: Pace, now: u64) -> bool {
        let is_told = self.take(pace, now);
        self.untold += u64::from(!is_told);
        is_told
    }

    fn take(&mut self, pace: Pace, now: u64) -> bool {
        let interval = nanoseconds(pace.interval);
        let rested_at = self.rested_at.max(now).saturating_add(interval);
        let is_told = rested_at - now <= interval.saturating_mul(pace.at_once.into());
        if is_told {
            self.rested_at = rested_at;
        }
        is_told
    }
}

impl Fades for Deeds {
    fn is_nothing(&mut self, now: u64) -> bool {
        self.rested_at <= now && self.untold == 0
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Deeds that were not told one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Untold {
    pub(super) kind: Kind,
    /// Whose. `None`: of several.
    pub(super) doer: Option<Doer>,
    pub(super) count: u64,
}

impl Default for Thinning {
    fn default() -> Self {
        Self { kinds: Kind::ALL.map(|kind| (kind, OfKind::default())).into() }
    }
}

impl Thinning {
    /// Whether a deed is told. Where it is not, it is counted.
    pub(super) fn admit(&mut self, kind: Kind, doer: Doer, now: u64) -> bool {
        let of_kind = self.kinds.iter_mut().find(|(of, _)| *of == kind);
        let (_, of_kind) = of_kind.expect("all kinds are there");
        if let Doer::Stranger(network) = doer {
            let own = of_kind.networks.entry(network, now);
            let is_told = own.is_none_or(|own| own.take(kind.pace(), now))
                && of_kind.strangers.take(STRANGERS, now);
            of_kind.strangers.untold += u64::from(!is_told);
            return is_told;
        }
        match of_kind.known.entry(doer, now) {
            Some(own) => own.admit(kind.pace(), now),
            None => kind.is_administrative() || of_kind.others.admit(kind.pace(), now),
        }
    }

    /// What was not told since this was last asked: of those who did most, each, and of the others
    /// together.
    pub(super) fn take_untold(&mut self) -> Vec<Untold> {
        let kinds = self.kinds.iter_mut();
        kinds.flat_map(|(kind, of_kind)| of_kind.take_untold(*kind)).collect()
    }
}

impl OfKind {
    fn take_untold(&mut self, kind: Kind) -> Vec<Untold> {
        let untold = |(doer, deeds): (&Doer, &mut Deeds)| {
            let count = std::mem::take(&mut deeds.untold);
            (count > 0).then(|| Untold { kind, doer: Some(doer.clone()), count })
        };
        let mut all: Vec<Untold> = self.known.entries_mut().filter_map(untold).collect();
        all.sort_by_key(|untold| Reverse(untold.count));
        let rest: u64 = all.drain(all.len().min(AUDIT_COUNTS_MAX)..).map(|it| it.count).sum();
        let others = rest + std::mem::take(&mut self.others.untold);
        let strangers = std::mem::take(&mut self.strangers.untold);
        for (doer, count) in [(None, others), (Some(Doer::Stranger(None)), strangers)] {
            all.extend((count > 0).then_some(Untold { kind, doer, count }));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::limits::{AUDITED_DEEDS_MAX, AUDITED_LOGINS_MAX, AUDITED_REFUSALS_MAX};

    use super::*;

    fn somebody(subject: impl ToString) -> Doer {
        Doer::Somebody { issuer: None, subject: subject.to_string().into() }
    }

    fn stranger(address: &str) -> Doer {
        Doer::of(None, Some(address.parse().expect("an address")))
    }

    /// How many of so many are told.
    fn told(thinning: &mut Thinning, (kind, doer): (Kind, &Doer), count: u64, now: u64) -> u64 {
        (0..count).filter(|_| thinning.admit(kind, doer.clone(), now)).count() as u64
    }

    fn untold(kind: Kind, doer: Option<Doer>, count: u64) -> Untold {
        Untold { kind, doer, count }
    }

    #[test]
    fn what_one_does_again_and_again_is_told_a_few_times_and_then_now_and_then() {
        let mut thinning = Thinning::default();
        let ada = somebody("ada");
        for kind in Kind::ALL {
            let Pace { at_once, interval } = kind.pace();
            let (few, interval) = (u64::from(at_once), nanoseconds(interval));
            assert_eq!(told(&mut thinning, (kind, &ada), 1_000, 0), few, "{kind:?}");
            assert_eq!(told(&mut thinning, (kind, &ada), 1_000, interval), 1, "{kind:?}");
            let rested = (few + 1) * interval;
            assert_eq!(told(&mut thinning, (kind, &ada), 1_000, rested), few, "{kind:?}");
            let counted = untold(kind, Some(ada.clone()), 3_000 - 2 * few - 1);
            assert_eq!(thinning.take_untold(), [counted]);
        }
        assert_eq!(thinning.take_untold(), []);
    }

    /// Whoever floods the audit, and by whatever, nobody else's first deed is lost by it.
    #[test]
    fn a_flood_of_one_thins_out_nobody_else_and_no_other_kind() {
        for flooded in Kind::ALL {
            let mut thinning = Thinning::default();
            told(&mut thinning, (flooded, &somebody("mallory")), 100_000, 0);
            for number in 0..1_000_u32 {
                let address = IpAddr::from(number.to_be_bytes());
                told(&mut thinning, (flooded, &Doer::of(None, Some(address))), 100, 0);
            }
            for kind in Kind::ALL {
                for doer in [somebody("ada"), Doer::Owner] {
                    assert!(thinning.admit(kind, doer, 0), "{kind:?} behind {flooded:?}");
                }
                let is_other = kind != flooded;
                assert!(!is_other || thinning.admit(kind, somebody("mallory"), 0), "{kind:?}");
            }
        }
    }

    #[test]
    fn where_there_is_no_room_acts_of_administration_are_told_and_others_counted_together() {
        let mut thinning = Thinning::default();
        for kind in Kind::ALL {
            for number in 0..AUDITED_DOERS_MAX {
                assert!(thinning.admit(kind, somebody(number), 0));
            }
        }
        let more = 1_000;
        for kind in Kind::ALL {
            let mut is_told =
                |number: u64| thinning.admit(kind, somebody(format_args!("more-{number}")), 0);
            let told = (0..more).filter(|number| is_told(*number)).count() as u64;
            let few = u64::from(kind.pace().at_once);
            assert_eq!(told, if kind.is_administrative() { more } else { few }, "{kind:?}");
            let counted = untold(kind, None, more - told);
            let expected = if told < more { vec![counted] } else { Vec::new() };
            assert_eq!(thinning.take_untold(), expected);
        }
        for kind in [Kind::KeyMade, Kind::Revoked, Kind::Silenced, Kind::Reloaded] {
            assert!(kind.is_administrative() && kind.pace().at_once == AUDITED_DEEDS_MAX);
        }
    }

    #[test]
    fn strangers_have_a_bound_for_each_network_and_one_for_all() {
        let mut thinning = Thinning::default();
        let few = u64::from(AUDITED_REFUSALS_MAX);
        let (one, same) = (stranger("2001:db8::1"), stranger("2001:db8::ffff"));
        assert_eq!(told(&mut thinning, (Kind::Refused, &one), 10, 0), few);
        assert_eq!(told(&mut thinning, (Kind::Refused, &same), 10, 0), 0, "one network is one");
        let mut all = few;
        for number in 0..2 * AUDITED_DOERS_MAX as u32 {
            let doer = Doer::of(None, Some(IpAddr::from(number.to_be_bytes())));
            all += told(&mut thinning, (Kind::Refused, &doer), 1, 0);
        }
        assert_eq!(all, u64::from(AUDITED_STRANGERS_MAX));
        let counted = 20 + 2 * AUDITED_DOERS_MAX as u64 - all;
        let expected = untold(Kind::Refused, Some(Doer::Stranger(None)), counted);
        assert_eq!(thinning.take_untold(), [expected]);
    }

    #[test]
    fn of_very_many_those_who_did_most_are_counted_by_name() {
        let mut thinning = Thinning::default();
        let few = u64::from(AUDITED_LOGINS_MAX);
        let doers = 2 * AUDIT_COUNTS_MAX as u64;
        for number in 1..=doers {
            told(&mut thinning, (Kind::Login, &somebody(number)), few + number, 0);
        }
        let counts = thinning.take_untold();
        assert_eq!(counts.len(), AUDIT_COUNTS_MAX + 1);
        assert_eq!(counts[0], untold(Kind::Login, Some(somebody(doers)), doers));
        let rest = doers - AUDIT_COUNTS_MAX as u64;
        assert_eq!(counts[AUDIT_COUNTS_MAX], untold(Kind::Login, None, rest * (rest + 1) / 2));
    }
}
