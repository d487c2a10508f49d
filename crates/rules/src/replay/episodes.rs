//! When alerts fired, as far as transitions tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bellwire_model::limits::REPLAY_EPISODES_MAX;
use bellwire_model::{
    Alert, AlertState, Fingerprint, Labels, RuleName, Timestamp, Transition, TransitionKind,
};

use crate::wal::ClockLead;

/// One time that an alert fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// When it began to fire.
    pub fired_at: Timestamp,
    /// When it resolved; nothing where it was still firing.
    pub resolved_at: Option<Timestamp>,
    /// When its data was lost the first time.
    pub data_lost_at: Option<Timestamp>,
    /// The value with which it began to fire.
    pub value: f64,
}

/// What is known of one alert.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) labels: Labels,
    pub(super) rule: Option<Arc<RuleName>>,
    /// In the order of their times.
    pub(super) episodes: Vec<Episode>,
    /// The time of the last transition: what is told twice is told late.
    told_at: Timestamp,
}

/// When which alerts fired, from a time on.
#[derive(Debug)]
pub(super) struct Episodes {
    from: Timestamp,
    tracks: BTreeMap<Fingerprint, Track>,
    count: usize,
}

impl Episodes {
    /// What has ended before a time is not remembered.
    pub(super) fn new(from: Timestamp) -> Self {
        Self { from, tracks: BTreeMap::new(), count: 0 }
    }

    /// Whether alerts have fired more often than is remembered.
    pub(super) fn is_overfull(&self) -> bool {
        self.count > REPLAY_EPISODES_MAX
    }

    pub(super) fn into_tracks(self) -> BTreeMap<Fingerprint, Track> {
        self.tracks
    }

    /// An alert that was firing already when all began.
    pub(super) fn go_on(&mut self, alert: &Alert) {
        if !is_firing(alert) {
            return;
        }
        let fired_at = alert.fired_at.unwrap_or(alert.active_at);
        self.begin(alert, fired_at);
    }

    /// Ends what still fires though these alerts are all that there are.
    pub(super) fn end_others<'a>(
        &mut self,
        alerts: impl Iterator<Item = &'a Alert>,
        time: Timestamp,
    ) {
        let firing = alerts.filter(|alert| is_firing(alert)).map(|alert| alert.fingerprint);
        let firing: BTreeSet<Fingerprint> = firing.collect();
        let others = self.tracks.keys().filter(|alert| !firing.contains(alert));
        for alert in others.copied().collect::<Vec<_>>() {
            self.end(alert, time);
        }
    }

    /// Moves back what a clock has told that was ahead.
    pub(super) fn correct(&mut self, lead: ClockLead) {
        for track in self.tracks.values_mut() {
            track.told_at = lead.corrected(track.told_at);
            for Episode { fired_at, resolved_at, data_lost_at, .. } in &mut track.episodes {
                let sometimes = [resolved_at, data_lost_at].into_iter().filter_map(Option::as_mut);
                for time in sometimes.chain([fired_at]) {
                    *time = lead.corrected(*time);
                }
            }
        }
    }

    /// What becomes of an alert. What is told again changes nothing.
    pub(super) fn tell(&mut self, Transition { kind, time, alert, .. }: &Transition) {
        if let Some(track) = self.tracks.get_mut(&alert.fingerprint) {
            if *time < track.told_at {
                return;
            }
            track.told_at = *time;
        }
        match kind {
            TransitionKind::Firing => self.begin(alert, *time),
            TransitionKind::DataLost => {
                if let Some(open) = self.open(alert.fingerprint) {
                    open.data_lost_at.get_or_insert(*time);
                }
            }
            TransitionKind::Resolved => self.end(alert.fingerprint, *time),
            TransitionKind::Pending | TransitionKind::Inactive => {}
        }
    }

    /// It fires, unless it does so already: its data may have come back.
    fn begin(&mut self, alert: &Alert, fired_at: Timestamp) {
        let track = self.tracks.entry(alert.fingerprint).or_insert_with(|| Track {
            labels: alert.labels.clone(),
            rule: alert.rule().cloned(),
            episodes: Vec::new(),
            told_at: fired_at,
        });
        let is_known = |last: &Episode| last.resolved_at.is_none() || last.fired_at >= fired_at;
        if track.episodes.last().is_some_and(is_known) {
            return;
        }
        let (resolved_at, data_lost_at) = (None, None);
        track.episodes.push(Episode { fired_at, resolved_at, data_lost_at, value: alert.value });
        self.count += 1;
    }

    fn open(&mut self, alert: Fingerprint) -> Option<&mut Episode> {
        let last = self.tracks.get_mut(&alert)?.episodes.last_mut();
        last.filter(|last| last.resolved_at.is_none())
    }

    fn end(&mut self, alert: Fingerprint, time: Timestamp) {
        let from = self.from;
        let Some(open) = self.open(alert) else { return };
        open.resolved_at = Some(time);
        if time < from
            && let Some(track) = self.tracks.get_mut(&alert)
        {
            track.episodes.pop();
            self.count -= 1;
        }
    }
}

fn is_firing(alert: &Alert) -> bool {
    matches!(alert.state, AlertState::Firing | AlertState::DataLost)
}
