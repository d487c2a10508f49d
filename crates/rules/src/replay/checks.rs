//! When a test compares alerts with what a replay has found.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwire_model::{Labels, Timestamp};

use super::ticks::Ticks;
use super::{Compared, Outcome};
use crate::rule::{ALERT_NAME, RuleSet};

/// Ticks that pass behind a change before it is looked at: a sample waits for its tick, and so does
/// what has to hold for a while.
const TICKS_BEHIND: u32 = 2;

/// What must fire at a tick.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) at: Timestamp,
    pub(super) after: Duration,
    pub(super) name: Box<str>,
    pub(super) firing: Vec<Labels>,
}

/// Checks of all alerts between their changes, those of then among them, in the order of their times;
/// and what there is no tick for.
pub(super) fn checks(
    outcome: &Outcome,
    rules: &RuleSet,
    ticks: Ticks,
) -> (Vec<Check>, Vec<String>) {
    let mut changes: BTreeMap<Box<str>, Vec<Timestamp>> = BTreeMap::new();
    for rule in rules.groups().iter().flat_map(|group| &group.rules) {
        if rule.alert().is_some() {
            changes.entry((*rule.name.alert).into()).or_default();
        }
    }
    for Compared { labels, then, now, .. } in &outcome.alerts {
        // What no rule of these is called says nothing of them.
        let Some(changes) = changes.get_mut(labels.get(ALERT_NAME).unwrap_or_default()) else {
            continue;
        };
        for episode in [then, now].into_iter().flatten() {
            let times = [Some(episode.fired_at), episode.resolved_at, episode.data_lost_at];
            let is_within = |time: &Timestamp| (ticks.begins..ticks.ends).contains(time);
            changes.extend(times.into_iter().flatten().filter(is_within));
        }
    }
    let (mut checks, mut left_out) = (Vec::new(), Vec::new());
    for (name, mut changes) in changes {
        changes.extend([ticks.begins, ticks.ends]);
        changes.sort_unstable();
        changes.dedup();
        for between in changes.windows(2) {
            let (since, until) = (between[0], between[1]);
            let settled = since.saturating_add(ticks.interval * TICKS_BEHIND);
            let is_last = until == ticks.ends;
            let at =
                ticks.time_behind(settled).filter(|at| *at < until || (is_last && *at == until));
            match at {
                Some(at) => checks.push(check(outcome, ticks, &name, at)),
                None => left_out.push(format!(
                    "{name} from {} to {}: too short for ticks",
                    since.rfc3339(),
                    until.rfc3339()
                )),
            }
        }
    }
    checks.sort_by_key(|check| check.after);
    (checks, left_out)
}

fn check(outcome: &Outcome, ticks: Ticks, name: &str, at: Timestamp) -> Check {
    let fires = |compared: &&Compared| {
        compared.labels.get(ALERT_NAME) == Some(name)
            && compared.now.as_ref().is_some_and(|now| {
                now.fired_at <= at
                    && now.resolved_at.is_none_or(|ended| ended > at)
                    && now.data_lost_at.is_none_or(|lost| lost > at)
            })
    };
    let firing = outcome.alerts.iter().filter(fires).map(|compared| compared.labels.clone());
    let after = at.saturating_since(ticks.zero);
    Check { at, after, name: name.into(), firing: firing.collect() }
}
