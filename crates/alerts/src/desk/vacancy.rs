//! The room that there is for posted alerts, and what of it one who posts may have.

use std::sync::Arc;

use bellwire_model::limits::{ALERTS_OF_ONE_SHARE, POSTED_ALERTS_MAX};

use super::{Case, Desk};
use crate::posted::{PostError, Posted};

/// What is left while a request is planned.
pub(super) struct Vacancy<'a> {
    desk: &'a Desk,
    /// Whose share is asked for. `None`: nobody is asked who they are.
    pub(super) poster: Option<Arc<str>>,
    alerts: usize,
    bytes: usize,
    /// What is planned takes this.
    planned: Amount,
    /// What whoever posts has at the desk, once somebody has looked.
    own: Option<Amount>,
}

/// Alerts, and bytes of their records.
#[derive(Clone, Copy, Default)]
struct Amount {
    alerts: usize,
    bytes: usize,
}

/// What a post adds to what there is, and to what whoever posts is charged with.
#[derive(Clone, Copy)]
pub(super) struct Growth {
    /// Bytes that are more than before.
    pub(super) bytes: usize,
    own: Amount,
}

impl Growth {
    /// What has become of an alert with a record of so many bytes; 0 for a new one.
    pub(super) fn from(old_bytes: usize, posted: &Posted) -> Self {
        let bytes = posted.record_bytes.saturating_sub(old_bytes);
        Self { bytes, own: Amount { alerts: usize::from(old_bytes == 0), bytes } }
    }

    /// The same of another's alert, which is now of whoever has made it longer: all of it.
    pub(super) fn taken_over(old_bytes: usize, posted: &Posted) -> Self {
        let own = Amount { alerts: 1, bytes: posted.record_bytes };
        Self { bytes: posted.record_bytes.saturating_sub(old_bytes), own }
    }
}

impl Amount {
    fn and(self, other: Self) -> Self {
        Self { alerts: self.alerts + other.alerts, bytes: self.bytes + other.bytes }
    }
}

impl<'a> Vacancy<'a> {
    pub(super) fn of(desk: &'a Desk, poster: Option<Arc<str>>) -> Self {
        let alerts = POSTED_ALERTS_MAX.saturating_sub(desk.posted);
        let bytes = desk.posted_bytes_max.saturating_sub(desk.posted_bytes);
        Self { desk, poster, alerts, bytes, planned: Amount::default(), own: None }
    }

    /// Whether there is room for one alert more.
    pub(super) fn check_new(&mut self) -> Result<(), PostError> {
        if self.alerts == 0 {
            return Err(PostError::TooMany);
        }
        self.check_share(Amount { alerts: 1, bytes: 0 })
    }

    /// Whether there is room for what becomes longer. What becomes no longer always has it.
    pub(super) fn check_growth(&mut self, growth: Growth) -> Result<(), PostError> {
        if growth.bytes > self.bytes {
            return Err(PostError::TooMany);
        }
        if growth.own.bytes == 0 { Ok(()) } else { self.check_share(growth.own) }
    }

    /// Whether an alert counts for somebody else, or for nobody.
    pub(super) fn is_of_another(&self, posted: &Posted) -> bool {
        self.poster.is_some() && posted.by != self.poster
    }

    /// Somebody takes some of it: alerts that are new, and bytes in the place of others.
    pub(super) fn take(
        &mut self,
        alerts: usize,
        (before, after): (usize, usize),
        Growth { own, .. }: Growth,
    ) {
        self.alerts -= alerts;
        self.bytes = (self.bytes + before).saturating_sub(after);
        self.planned = self.planned.and(own);
    }

    /// Whether whoever posts leaves room for others.
    fn check_share(&mut self, more: Amount) -> Result<(), PostError> {
        let Some(poster) = &self.poster else { return Ok(()) };
        let [alerts, bytes] = [self.alerts, self.bytes].map(|free| free * ALERTS_OF_ONE_SHARE);
        let leaves_room = |of_poster: Amount| {
            let with = of_poster.and(more);
            (more.alerts == 0 || with.alerts <= alerts) && (more.bytes == 0 || with.bytes <= bytes)
        };
        let all = Amount { alerts: self.desk.posted, bytes: self.desk.posted_bytes };
        // Mostly there is that much room for all together.
        if leaves_room(all.and(self.planned)) {
            return Ok(());
        }
        let own = *self.own.get_or_insert_with(|| self.desk.posted_by(poster));
        if leaves_room(own.and(self.planned)) { Ok(()) } else { Err(PostError::TooManyOfPoster) }
    }
}

impl Desk {
    /// What somebody has posted.
    fn posted_by(&self, name: &str) -> Amount {
        let posted = self.cases.values().filter_map(|case: &Case| case.posted.as_ref());
        let own = posted.filter(|posted: &&Posted| posted.by.as_deref() == Some(name));
        own.fold(Amount::default(), |sum, posted| {
            sum.and(Amount { alerts: 1, bytes: posted.record_bytes })
        })
    }
}
