//! Alerts that clients post, as Prometheus does to an Alertmanager: what they say of one alert one
//! after the other is merged as Alertmanager merges it, and it ends when its time is over.

use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{GENERATOR_URL_BYTES_MAX, POSTED_ALERT_BYTES_MAX, RESOLVED_RETENTION};
use bellwire_model::{Alert, AlertSource, AlertState, Fingerprint, Labels, Timestamp};
use thiserror::Error;

/// What a client says of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its labels: its identity.
    pub labels: Labels,
    /// What it says to people.
    pub annotations: Labels,
    /// When it began to fire, where that is said.
    pub starts_at: Option<Timestamp>,
    /// When it stops, or has stopped, where that is said.
    pub ends_at: Option<Timestamp>,
    /// The page that tells more of it.
    pub generator_url: Option<Arc<str>>,
}

impl Post {
    /// Refuses what could be no alert.
    pub(crate) fn check(&self) -> Result<(), PostError> {
        if self.labels.is_empty() {
            return Err(PostError::NoLabels);
        }
        if self.starts_at.zip(self.ends_at).is_some_and(|(start, end)| end < start) {
            return Err(PostError::EndBeforeStart);
        }
        if self.generator_url.as_ref().is_some_and(|url| url.len() > GENERATOR_URL_BYTES_MAX) {
            return Err(PostError::UrlTooLong);
        }
        if self.labels.size_bytes() + self.annotations.size_bytes() > POSTED_ALERT_BYTES_MAX {
            return Err(PostError::TooLarge);
        }
        Ok(())
    }
}

/// Why a posted alert is refused. The first texts are Alertmanager's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PostError {
    /// Nothing says what it is.
    #[error("at least one label pair required")]
    NoLabels,
    /// It ends before it begins.
    #[error("start time must be before end time")]
    EndBeforeStart,
    /// The address of its page is too long.
    #[error("a generatorURL has at most {GENERATOR_URL_BYTES_MAX} bytes")]
    UrlTooLong,
    /// Its labels and annotations are too long together.
    #[error("labels and annotations of an alert have at most {POSTED_ALERT_BYTES_MAX} bytes")]
    TooLarge,
    /// Another alert has the same fingerprint, by which everybody knows it.
    #[error("another alert has the fingerprint of these labels")]
    Collides,
    /// There are as many posted alerts as there may be.
    #[error("there are as many posted alerts, or bytes of them, as there may be")]
    TooMany,
    /// Whoever posts has as much of that as leaves room for others.
    #[error("you have as many posted alerts, or bytes of them, as leave room for those of others")]
    TooManyOfPoster,
}

/// A posted alert as the desk keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Posted {
    /// The alert.
    pub(crate) alert: Arc<Alert>,
    /// Until when it fires, unless somebody says otherwise.
    pub(crate) ends_at: Timestamp,
    /// Who said so.
    pub(crate) end: End,
    /// What tells this time of firing from others of the same alert in the ids of its events.
    pub(crate) since: Timestamp,
    /// Who has posted it first, or has made it longer since: by whose share it is counted. Nobody of whom that was not asked, and
    /// of those that earlier builds took.
    pub(crate) by: Option<Arc<str>>,
    /// Bytes of its record, once there is one.
    pub(crate) record_bytes: usize,
}

/// Who says when a posted alert ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Who posted it.
    Said,
    /// Nobody: it ends unless it is posted again.
    Timeout,
}

/// What a post makes of an alert.
#[derive(Debug, PartialEq)]
pub(crate) enum Made {
    /// It begins to fire.
    Fires(Posted),
    /// It goes on, or is over as before, but somebody knows more of it.
    GoesOn(Posted),
    /// It has stopped.
    Resolves(Posted),
    /// Nothing is new: it is known to have resolved, or has done so before anybody knew of it.
    Nothing,
}

impl Posted {
    /// What `post` makes of the alert that was `old` before.
    pub(crate) fn after(
        old: Option<&Self>,
        post: Post,
        now: Timestamp,
        resolve_timeout: Duration,
    ) -> Made {
        let end = if post.ends_at.is_some() { End::Said } else { End::Timeout };
        let starts_at = post.starts_at.or(post.ends_at).unwrap_or(now);
        let ends_at = post.ends_at.unwrap_or_else(|| now.saturating_add(resolve_timeout));
        let firing = old.filter(|old| old.alert.state == AlertState::Firing);
        let stretch = Stretch { starts_at, ends_at, end };
        let stretch = firing.map_or(stretch, |old| stretch.merged_into(old, now));
        let resolves = stretch.ends_at <= now;
        let since = match (firing, old) {
            (Some(firing), _) => firing.since,
            // An id that was used lately would make the journal pass over the event.
            (None, Some(ended)) if starts_at <= ended.ends_at => now,
            (None, None) if now.saturating_since(starts_at) >= RESOLVED_RETENTION => now,
            _ => starts_at,
        };
        let Stretch { starts_at, ends_at, end } = stretch;
        let alert = Alert {
            fingerprint: Fingerprint::of(&post.labels),
            source: AlertSource::Posted { generator_url: post.generator_url },
            state: if resolves { AlertState::Resolved } else { AlertState::Firing },
            labels: post.labels,
            annotations: post.annotations,
            value: 0.0,
            active_at: starts_at,
            fired_at: Some(starts_at),
            resolved_at: resolves.then_some(ends_at),
            sample_time: now,
        };
        let by = old.and_then(|old| old.by.clone());
        let posted = Self { alert: Arc::new(alert), ends_at, end, since, by, record_bytes: 0 };
        match (firing.is_some(), resolves) {
            (false, false) => Made::Fires(posted),
            (true, false) => Made::GoesOn(posted),
            (true, true) => Made::Resolves(posted),
            (false, true) => old.map_or(Made::Nothing, |old| posted.added_to(old)),
        }
    }

    /// What is said of an alert that is over already: of two ends the later one counts.
    fn added_to(self, old: &Self) -> Made {
        let (start, end) = (self.alert.active_at, self.ends_at);
        let within = |time| old.alert.active_at < time && time < old.ends_at;
        let mut alert = (*self.alert).clone();
        alert.active_at = start.min(old.alert.active_at);
        alert.fired_at = Some(alert.active_at);
        alert.resolved_at = Some(end.max(old.ends_at));
        let is_same = (alert.active_at, alert.resolved_at, &alert.annotations)
            == (old.alert.active_at, old.alert.resolved_at, &old.alert.annotations);
        if is_same || !(within(start) || within(end)) {
            return Made::Nothing;
        }
        Made::GoesOn(Self { ends_at: end.max(old.ends_at), alert: Arc::new(alert), ..old.clone() })
    }

    /// The same, with what another one says to people.
    pub(crate) fn worded_as(self, other: &Self) -> Self {
        let Alert { annotations, source, .. } = &*other.alert;
        let (annotations, source) = (annotations.clone(), source.clone());
        Self { alert: Arc::new(Alert { annotations, source, ..(*self.alert).clone() }), ..self }
    }

    /// The same where the clock was set by so many milliseconds: without an end it waits for the next
    /// post as long as it would have.
    pub(crate) fn stepped(&self, step_ms: i64) -> Self {
        let shifted = |time: Timestamp| Timestamp::from_ms(time.as_ms().saturating_add(step_ms));
        let sample_time = shifted(self.alert.sample_time);
        let alert = Arc::new(Alert { sample_time, ..(*self.alert).clone() });
        Self { alert, ends_at: shifted(self.ends_at), ..self.clone() }
    }

    /// The same as it is found at a start. Where it was posted ahead of the clock, that has been set
    /// back since.
    pub(crate) fn read_at(self, now: Timestamp) -> Self {
        let early = self.alert.sample_time.as_ms().saturating_sub(now.as_ms());
        if early > 0 && self.is_waiting() { self.stepped(-early) } else { self }
    }

    /// Whether it fires until it is posted no more.
    pub(crate) fn is_waiting(&self) -> bool {
        self.alert.state == AlertState::Firing && self.end == End::Timeout
    }

    /// The same alert once its time is over.
    pub(crate) fn timed_out(&self) -> Self {
        let mut alert = (*self.alert).clone();
        alert.state = AlertState::Resolved;
        alert.resolved_at = Some(self.ends_at);
        Self { alert: Arc::new(alert), ..self.clone() }
    }

    /// When it changes by itself: it resolves, or is forgotten.
    pub(crate) fn deadline(&self) -> Timestamp {
        match self.alert.state {
            AlertState::Resolved => self.ends_at.saturating_add(RESOLVED_RETENTION),
            _ => self.ends_at,
        }
    }
}

/// From when to when an alert fires.
#[derive(Clone, Copy)]
struct Stretch {
    starts_at: Timestamp,
    ends_at: Timestamp,
    end: End,
}

impl Stretch {
    /// Where the two overlap, the earlier start counts, and an end that was said and is later.
    fn merged_into(self, old: &Posted, now: Timestamp) -> Self {
        let old_start = old.alert.active_at;
        let within = |time| old_start < time && time < old.ends_at;
        if !within(self.ends_at) && !within(self.starts_at) {
            return self;
        }
        let is_extended = self.ends_at > now && old.ends_at > self.ends_at && old.end == End::Said;
        let (ends_at, end) =
            if is_extended { (old.ends_at, old.end) } else { (self.ends_at, self.end) };
        Self { starts_at: self.starts_at.min(old_start), ends_at, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_mins(5);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(seconds * 1000)
    }

    fn post(starts_at: Option<i64>, ends_at: Option<i64>) -> Post {
        Post {
            labels: Labels::from_pairs([("alertname", "Hot")]).expect("labels"),
            annotations: Labels::empty(),
            starts_at: starts_at.map(at),
            ends_at: ends_at.map(at),
            generator_url: None,
        }
    }

    /// What each post makes of the alert: what it does, from when, to when, known by.
    fn told(posts: &[(i64, Option<i64>, Option<i64>)]) -> Vec<(&'static str, i64, i64, i64)> {
        let mut known: Option<Posted> = None;
        let mut told = Vec::new();
        for &(now, starts_at, ends_at) in posts {
            // Time passes as the desk has it pass.
            if let Some(old) = known.as_ref().filter(|old| old.ends_at <= at(now)) {
                known = Some(old.timed_out());
            }
            let post = post(starts_at, ends_at);
            let (word, posted) = match Posted::after(known.as_ref(), post, at(now), TIMEOUT) {
                Made::Fires(posted) => ("fires", posted),
                Made::GoesOn(posted) => ("goes on", posted),
                Made::Resolves(posted) => ("resolves", posted),
                Made::Nothing => {
                    told.push(("nothing", 0, 0, 0));
                    continue;
                }
            };
            let seconds = |time: Timestamp| time.as_ms() / 1000;
            let [from, to, since] =
                [posted.alert.active_at, posted.ends_at, posted.since].map(seconds);
            told.push((word, from, to, since));
            known = Some(posted);
        }
        told
    }

    #[test]
    fn posts_of_one_alert_are_merged_as_in_alertmanager() {
        // As Prometheus sends it: again and again with a later end, then with the end itself.
        assert_eq!(
            told(&[(10, Some(9), Some(250)), (70, Some(9), Some(310)), (100, Some(9), Some(95))]),
            [("fires", 9, 250, 9), ("goes on", 9, 310, 9), ("resolves", 9, 95, 9)]
        );
        // Nobody says when it ends.
        assert_eq!(
            told(&[(10, None, None), (100, None, None), (500, None, None)]),
            [("fires", 10, 310, 10), ("goes on", 10, 400, 10), ("fires", 500, 800, 500)]
        );
        // An end that was said outlasts an earlier one, but not that it is over.
        assert_eq!(
            told(&[(0, Some(0), Some(100)), (10, Some(5), Some(50)), (20, Some(5), Some(15))]),
            [("fires", 0, 100, 0), ("goes on", 0, 100, 0), ("resolves", 0, 15, 0)]
        );
        // It was over a little later than was said first; the latest end is the one that counts.
        assert_eq!(
            told(&[
                (0, Some(0), None),
                (50, Some(30), Some(45)),
                (52, Some(29), Some(48)),
                (53, Some(29), Some(41)),
                (54, Some(50), Some(51)),
            ]),
            [
                ("fires", 0, 300, 0),
                ("resolves", 0, 45, 0),
                ("goes on", 0, 48, 0),
                ("nothing", 0, 0, 0),
                ("nothing", 0, 0, 0),
            ]
        );
        // What was over before it was known is nobody's business, nor is that it is over twice.
        assert_eq!(
            told(&[(100, Some(0), Some(50)), (101, None, Some(60))]),
            [("nothing", 0, 0, 0); 2]
        );
    }

    #[test]
    fn firing_again_has_another_id_than_before() {
        // With the same start after a silence of the sender, or much later than it began.
        assert_eq!(
            told(&[(10, Some(9), None), (400, Some(9), None)]),
            [("fires", 9, 310, 9), ("fires", 9, 700, 400)]
        );
        assert_eq!(told(&[(9_000, Some(9), None)]), [("fires", 9, 9_300, 9_000)]);
    }
}
