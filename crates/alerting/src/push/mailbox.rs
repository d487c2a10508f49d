//! What one subscription is yet to be told, and when that may be tried. A pure state machine.

use std::time::Duration;

use bellwire_alerts::dispatch::Arrival;
use bellwire_model::Timestamp;
use bellwire_model::limits::{
    PUSH_FAILING_MAX, PUSH_PAUSE, PUSH_RETRY_MAX, PUSH_RETRY_MIN, PUSH_TRIED,
};

use super::news::{Change, Untold};

/// Of one subscription. All of its times but marks are steady.
#[derive(Debug)]
pub(super) struct Mailbox {
    untold: Untold,
    /// Whether its browser is to be told that it is reached.
    has_test: bool,
    /// What is on its way, and up to when that says everything.
    sent: Option<(Untold, Timestamp)>,
    /// Up to when it has been told of everything, by the wall clock.
    pub(super) told_until: Timestamp,
    pub(super) is_mark_kept: bool,
    /// Nothing is sent before.
    next_at: Timestamp,
    tries: Option<Tries>,
    failing_since: Option<Timestamp>,
}

/// Attempts that have failed, one behind the other.
#[derive(Clone, Copy, Debug)]
struct Tries {
    began: Timestamp,
    pause: Duration,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outgoing {
    /// That it is reached.
    Test,
    News(Untold),
}

/// What becomes of a subscription whose service takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    Left,
    Over,
}

impl Mailbox {
    /// Of a subscription that has been told of everything until then.
    pub(super) fn new(told_until: Timestamp) -> Self {
        Self {
            untold: Untold::default(),
            has_test: false,
            sent: None,
            told_until,
            is_mark_kept: true,
            next_at: Timestamp::MIN,
            tries: None,
            failing_since: None,
        }
    }

    pub(super) fn add(&mut self, change: &Change) {
        self.untold.add(change);
        self.forget_tries();
    }

    pub(super) fn add_test(&mut self) {
        self.has_test = true;
    }

    /// When there is something to send; nothing while there is not, or while something is on its way.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        let has_something = self.has_test || !self.untold.is_empty();
        (has_something && self.sent.is_none()).then_some(self.next_at)
    }

    /// Takes out what is to be sent now. `wall`: up to when it says everything.
    pub(super) fn take(&mut self, now: Timestamp, wall: Timestamp) -> Option<Outgoing> {
        self.due_at().filter(|due| *due <= now)?;
        if std::mem::take(&mut self.has_test) {
            self.sent = Some((Untold::default(), self.told_until));
            return Some(Outgoing::Test);
        }
        let untold = std::mem::take(&mut self.untold);
        self.sent = Some((untold.clone(), wall));
        Some(Outgoing::News(untold))
    }

    /// The push service has it.
    pub(super) fn on_taken(&mut self, now: Timestamp) {
        self.on_over();
        (self.tries, self.failing_since) = (None, None);
        self.next_at = now.saturating_add(PUSH_PAUSE);
    }

    /// Nothing is left of it that is still to be told.
    pub(super) fn on_nothing(&mut self) {
        self.on_over();
        self.forget_tries();
    }

    /// Whom it was for has other rights by now, or asks for something else: what was to be sent is made
    /// anew.
    pub(super) fn on_stale(&mut self) {
        let Some((untold, _)) = self.sent.take() else { return };
        if untold.is_empty() {
            self.has_test = true;
        }
        self.untold.put_back(untold, Arrival::Impossible);
        self.forget_tries();
    }

    /// It would not be taken another time either.
    pub(super) fn on_refused(&mut self, now: Timestamp) -> Patience {
        self.on_over();
        self.tries = None;
        self.next_at = now.saturating_add(PUSH_PAUSE);
        self.patience(now)
    }

    /// It may be taken another time, `wait` from now where the service says so. `jitter` is between 0
    /// and 1. Says whether it is tried no more. A test is not tried again: whoever asked for it sees that
    /// it failed.
    pub(super) fn on_put_off(
        &mut self,
        now: Timestamp,
        (wait, jitter): (Option<Duration>, f64),
        arrival: Arrival,
    ) -> (Patience, Given) {
        let tries = self.tries.unwrap_or(Tries { began: now, pause: PUSH_RETRY_MIN });
        let pause = wait.unwrap_or_default().max(tries.pause.mul_f64(0.5 + jitter / 2.0));
        self.next_at = now.saturating_add(pause.min(PUSH_RETRY_MAX));
        let is_test = self.sent.as_ref().is_some_and(|(untold, _)| untold.is_empty());
        if is_test {
            self.sent = None;
            self.tries = None;
            return (Patience::Left, Given::Up);
        }
        if now.saturating_since(tries.began) >= PUSH_TRIED {
            self.tries = None;
            self.on_over();
            return (self.patience(now), Given::Up);
        }
        self.tries = Some(Tries { pause: (tries.pause * 2).min(PUSH_RETRY_MAX), ..tries });
        if let Some((untold, _)) = self.sent.take() {
            self.untold.put_back(untold, arrival);
        }
        self.forget_tries();
        (Patience::Left, Given::Back)
    }

    /// What there is nothing left of was not tried in vain: the next news have all of their time.
    fn forget_tries(&mut self) {
        if self.untold.is_empty() && !self.has_test && self.sent.is_none() {
            self.tries = None;
        }
    }

    /// Nothing stays untold of what was on its way.
    fn on_over(&mut self) {
        if let Some((_, until)) = self.sent.take()
            && until > self.told_until
        {
            self.told_until = until;
            self.is_mark_kept = false;
        }
    }

    fn patience(&mut self, now: Timestamp) -> Patience {
        let since = *self.failing_since.get_or_insert(now);
        let is_over = now.saturating_since(since) >= PUSH_FAILING_MAX;
        if is_over { Patience::Over } else { Patience::Left }
    }
}

/// What has become of news that were put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// They are tried again.
    Back,
    /// They are not.
    Up,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::news::Turn;
    use super::*;
    use crate::tests::fixture::posted;

    const WALL: Timestamp = Timestamp::from_ms(1_000_000);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_ms(0).saturating_add(Duration::from_secs(seconds))
    }

    fn mailbox() -> Mailbox {
        let mut mailbox = Mailbox::new(Timestamp::from_ms(5));
        let alert = Arc::new(posted(&[("alertname", "A")], WALL));
        mailbox.add(&Change { alert, turn: Turn::Fires, found: None });
        mailbox
    }

    #[test]
    fn one_message_is_on_its_way_and_the_next_one_waits() {
        let mut mailbox = mailbox();
        assert!(matches!(mailbox.take(at(0), WALL), Some(Outgoing::News(_))));
        mailbox.add_test();
        assert_eq!(mailbox.take(at(9), WALL), None, "one is on its way");
        mailbox.on_taken(at(10));
        assert_eq!((mailbox.told_until, mailbox.is_mark_kept), (WALL, false));
        assert_eq!(mailbox.due_at(), Some(at(10).saturating_add(PUSH_PAUSE)));
        assert_eq!(mailbox.take(at(60), WALL), Some(Outgoing::Test));
        mailbox.on_taken(at(61));
        assert_eq!((mailbox.told_until, mailbox.due_at()), (WALL, None));
    }

    #[test]
    fn what_is_put_off_is_tried_again_more_and_more_seldom_and_then_given_up() {
        let mut mailbox = mailbox();
        let (mut now, mut tries) = (at(0), 0);
        loop {
            assert!(mailbox.take(now, WALL).is_some(), "{tries}");
            let (patience, given) = mailbox.on_put_off(now, (None, 1.0), Arrival::Impossible);
            assert_eq!(patience, Patience::Left);
            tries += 1;
            if given == Given::Up {
                break;
            }
            assert_eq!(mailbox.told_until, Timestamp::from_ms(5));
            let next = mailbox.due_at().expect("it is tried again");
            let pause = next.saturating_since(now);
            assert!(pause >= PUSH_RETRY_MIN && pause <= PUSH_RETRY_MAX, "{pause:?}");
            now = next;
        }
        assert!((10..=20).contains(&tries), "{tries}");
        assert!(now.saturating_since(at(0)) >= PUSH_TRIED);
        assert_eq!((mailbox.told_until, mailbox.due_at()), (WALL, None));
    }

    /// An alert of this name that has turned.
    fn turned(name: &str, turn: Turn) -> Change {
        let alert = Arc::new(posted(&[("alertname", name)], WALL));
        Change { alert, turn, found: None }
    }

    #[test]
    fn failures_that_are_days_apart_end_nothing_and_each_has_its_retries() {
        let mut mailbox = mailbox();
        let days = PUSH_FAILING_MAX.as_secs() + 60;
        let put_off = |mailbox: &mut Mailbox, now| {
            mailbox.take(now, WALL).expect("something");
            mailbox.on_put_off(now, (None, 1.0), Arrival::Impossible)
        };
        assert_eq!(put_off(&mut mailbox, at(0)), (Patience::Left, Given::Back));
        // It resolves before anybody has heard of it.
        mailbox.add(&turned("A", Turn::Resolved));
        assert_eq!(mailbox.due_at(), None);
        mailbox.add(&turned("B", Turn::Fires));
        assert_eq!(put_off(&mut mailbox, at(days)), (Patience::Left, Given::Back));
        // What was to be told is nobody's business by now.
        mailbox.take(at(days + 10), WALL).expect("again");
        mailbox.on_nothing();
        mailbox.add_test();
        assert_eq!(put_off(&mut mailbox, at(2 * days)), (Patience::Left, Given::Up));
        mailbox.add(&turned("C", Turn::Fires));
        assert_eq!(put_off(&mut mailbox, at(3 * days)), (Patience::Left, Given::Back));
        assert!(mailbox.due_at().is_some());
    }

    #[test]
    fn what_is_made_anew_is_not_lost() {
        let mut mailbox = mailbox();
        let first = mailbox.take(at(0), WALL);
        mailbox.on_stale();
        assert_eq!(mailbox.told_until, Timestamp::from_ms(5));
        assert_eq!(mailbox.take(at(0), WALL), first);
        mailbox.on_taken(at(1));
        mailbox.add_test();
        assert_eq!(mailbox.take(at(60), WALL), Some(Outgoing::Test));
        mailbox.on_stale();
        assert_eq!(mailbox.take(at(60), WALL), Some(Outgoing::Test));
    }

    #[test]
    fn a_service_says_when_to_come_back_and_not_for_ever() {
        let mut mailbox = mailbox();
        let put_off = |mailbox: &mut Mailbox, seconds| {
            mailbox.take(at(0), WALL).expect("something");
            let wait = Some(Duration::from_secs(seconds));
            mailbox.next_at = at(0);
            mailbox.on_put_off(at(0), (wait, 0.0), Arrival::Impossible);
            let due = mailbox.due_at().expect("again").saturating_since(at(0));
            mailbox.next_at = at(0);
            due
        };
        assert_eq!(put_off(&mut mailbox, 90), Duration::from_secs(90));
        assert_eq!(put_off(&mut mailbox, 1_000_000), PUSH_RETRY_MAX);
    }

    #[test]
    fn a_browser_that_takes_nothing_for_days_is_gone() {
        let mut mailbox = Mailbox::new(WALL);
        let mut refuse = |seconds: u64| {
            mailbox.add_test();
            mailbox.take(at(seconds), WALL).expect("a test");
            mailbox.on_refused(at(seconds))
        };
        assert_eq!(refuse(0), Patience::Left);
        assert_eq!(refuse(PUSH_FAILING_MAX.as_secs() - 1), Patience::Left);
        assert_eq!(refuse(PUSH_FAILING_MAX.as_secs() + 60), Patience::Over);
    }
}
