//! What is left to each subject of what its roles allow.
//!
//! Nothing is kept of anybody without limits, nor of anybody who has done nothing for a while.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bellwire_access::{Bucket, Identity, Limits};
use bellwire_model::limits::SUBJECTS_LIMITED_MAX;
use bellwire_process::jittered;
use bellwire_wire::problem::{Code, Problem};

use crate::lately::{self, Fades, Lately};
use crate::observe::Figures;

/// What subjects with limits have used up.
#[derive(Debug)]
pub(crate) struct Allowances {
    used: Mutex<Lately<Box<str>, Used>>,
    figures: Arc<Figures>,
}

/// What one of them has.
#[derive(Debug, Default)]
struct Used {
    /// Streams, WebSockets and long polls that it has now.
    connections: u64,
    connects: Bucket,
    events: Bucket,
    samples: Bucket,
    bytes: Bucket,
}

impl Fades for Used {
    fn is_nothing(&self, now: u64) -> bool {
        let buckets = [&self.connects, &self.events, &self.samples, &self.bytes];
        self.connections == 0 && buckets.iter().all(|bucket| bucket.is_full(now))
    }
}

/// One connection of somebody whose connections are limited, counted until this is dropped. It goes
/// with the connection, whoever that is of later: a subject renews what it shows and stays the same.
#[derive(Debug)]
pub(crate) struct Counted {
    allowances: Arc<Allowances>,
    name: Box<str>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let fewer = |used: &mut Used| used.connections -= 1;
        self.allowances.used().settle(&self.name, lately::now(), fewer);
    }
}

/// What somebody sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent {
    Events(usize),
    Samples(usize),
    Bytes(usize),
}

/// When it is worth another try to connect at the earliest, and what is added at random: many are
/// refused at once, and must not return at once.
const RETURN: Duration = Duration::from_secs(5);
const RETURN_SPREAD: Duration = Duration::from_secs(10);

impl Allowances {
    pub(crate) fn new(figures: Arc<Figures>) -> Self {
        Self { used: Mutex::new(Lately::new(SUBJECTS_LIMITED_MAX)), figures }
    }

    /// Whether somebody may have one connection more.
    pub(crate) fn check_connect(&self, who: &Identity) -> Result<(), Problem> {
        let limits = &who.rights.limits;
        if limits.connections.is_none() && limits.connects_per_second.is_none() {
            return Ok(());
        }
        let (used, now) = (self.used(), lately::now());
        used.get(&who.own_name("")).map_or(Ok(()), |used| self.check(used, limits, now))
    }

    /// Counts one more connection of somebody, who may have as many already. `None`: without a limit
    /// nothing is counted.
    pub(crate) fn connect(self: &Arc<Self>, who: &Identity) -> Result<Option<Counted>, Problem> {
        let limits = &who.rights.limits;
        if limits.connections.is_none() && limits.connects_per_second.is_none() {
            return Ok(None);
        }
        let name = who.own_name("");
        let (mut all, now) = (self.used(), lately::now());
        let used = all.entry(name.clone(), now).ok_or_else(|| self.is_crowded())?;
        self.check(used, limits, now)?;
        if let Some(per_second) = limits.connects_per_second {
            // It was looked at.
            let _ = used.connects.take(now, 1, per_second);
        }
        if limits.connections.is_none() {
            return Ok(None);
        }
        used.connections += 1;
        Ok(Some(Counted { allowances: Arc::clone(self), name }))
    }

    fn check(&self, used: &Used, limits: &Limits, now: u64) -> Result<(), Problem> {
        if let Some(most) = limits.connections.filter(|most| used.connections >= *most) {
            let after = RETURN + jittered(RETURN_SPREAD);
            return Err(self.refusal(&format!("{most} connections at a time"), after));
        }
        let Some(most) = limits.connects_per_second else { return Ok(()) };
        let wait = used.connects.check(now);
        wait.map_err(|wait| self.refusal(&format!("{most} new connections a second"), wait))
    }

    /// Takes what somebody sends of what they may send in a second.
    pub(crate) fn spend(&self, who: &Identity, sent: Sent) -> Result<(), Problem> {
        let limits = &who.rights.limits;
        let (limit, amount, name) = match sent {
            Sent::Events(count) => (limits.events_per_second, count, "events"),
            Sent::Samples(count) => (limits.samples_per_second, count, "samples"),
            Sent::Bytes(count) => (limits.bytes_per_second, count, "bytes"),
        };
        let Some(per_second) = limit.filter(|_| amount > 0) else { return Ok(()) };
        let (mut all, now) = (self.used(), lately::now());
        let used = all.entry(who.own_name(""), now).ok_or_else(|| self.is_crowded())?;
        let bucket = match sent {
            Sent::Events(_) => &mut used.events,
            Sent::Samples(_) => &mut used.samples,
            Sent::Bytes(_) => &mut used.bytes,
        };
        let taken = bucket.take(now, amount as u64, per_second);
        taken.map_err(|wait| self.refusal(&format!("{per_second} {name} a second"), wait))
    }

    fn refusal(&self, allowed: &str, wait: Duration) -> Problem {
        self.figures.door.principals_refused.add(1);
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let detail = format!("your roles allow {allowed}, which are used up");
        Problem::new(Code::PrincipalExhausted, detail).retry_after(seconds)
    }

    fn is_crowded(&self) -> Problem {
        self.figures.door.principals_refused.add(1);
        let detail = "as many subjects with limits are at work as are kept account of";
        Problem::new(Code::PrincipalExhausted, detail).retry_after(1)
    }

    fn used(&self) -> MutexGuard<'_, Lately<Box<str>, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_access::Rights;

    use super::*;

    fn who(limits: Limits) -> Identity {
        Identity { rights: Rights { limits, ..Rights::all() }, ..Identity::open() }
    }

    #[test]
    fn nothing_is_kept_of_those_without_limits_and_of_those_who_have_left() {
        let allowances = Arc::new(Allowances::new(Arc::default()));
        let free = who(Limits::NONE);
        assert!(allowances.connect(&free).expect("no limit").is_none());
        allowances.spend(&free, Sent::Events(1_000_000)).expect("no limit");
        assert_eq!(allowances.used().len(), 0);
        let one = who(Limits { connections: Some(1), ..Limits::NONE });
        let first = allowances.connect(&one).expect("the first");
        let refused = allowances.connect(&one).expect_err("the second");
        assert_eq!(refused.code, Code::PrincipalExhausted);
        assert!(refused.retry_after_s().is_some() && allowances.check_connect(&one).is_err());
        drop(first);
        assert_eq!(allowances.used().len(), 0);
        let second = allowances.connect(&one).expect("the place of the first");
        assert!(second.is_some() && allowances.check_connect(&one).is_err());
    }
}
