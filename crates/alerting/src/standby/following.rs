//! What the keeper knows of its standby. Pure, told the time.
//!
//! ```text
//!          begins          has nearly all           is named in the log
//! nobody ─────────▶ Copies ───────────────▶ Joins ─────────────────────▶ Whole
//!   ▲                 │                       │                            │ silent, no further, or late
//!   │◀────────────────┘                       ▼                            ▼
//!   └────────────────── nobody is named in the log ◀──────────────────── Lost
//! ```
//!
//! From `Joins` on it is waited for, and in `Lost` still: whoever takes over may go by what the log says.

use std::time::Duration;

use bellwire_model::limits::{
    STANDBY_BEHIND_BYTES_MAX, STANDBY_JOINS_WITHIN_BYTES, STANDBY_PATIENCE,
};

use super::StandbyMode;

/// A place in the rules' log: the end of something that was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the log.
    pub log: u64,
    /// Bytes of it.
    pub bytes: u64,
}

/// A standby, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The node.
    pub node: Box<str>,
    /// What it has is known by this.
    pub stream: u64,
}

/// What is to be written into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// That this one is the standby.
    Name(Named),
    /// That nobody is.
    Forget,
}

/// What came of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is in the log.
    Written,
    /// It may be there or not.
    Unsure,
}

/// How far a standby is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandbyStage {
    /// It gets what there was.
    Copies,
    /// It has nearly all, and is about to be named.
    Joins,
    /// It has all that anybody was answered.
    Whole,
    /// It is named, and does not follow.
    Lost,
}

/// A standby, for whoever asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandbyReport {
    /// The node.
    pub node: Box<str>,
    /// How far it is.
    pub stage: StandbyStage,
    /// Bytes of the newest log that it lacks.
    pub behind_bytes: u64,
}

#[derive(Debug)]
struct Follower {
    named: Named,
    stage: StandbyStage,
    /// Up to where it has all; nothing before it has a checkpoint.
    has: Option<Place>,
    /// What it had to have before it is named.
    joins_at: Place,
    heard_at: Duration,
    /// Since when it lacks something and gets no further.
    stuck_since: Option<Duration>,
    /// Whether what is due is being written.
    is_noting: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Following {
    follower: Option<Follower>,
    /// What is written; nothing while nothing can be.
    written: Option<Place>,
}

impl Following {
    pub(super) fn written(&self) -> Option<Place> {
        self.written
    }

    pub(super) fn wrote(&mut self, place: Place) {
        self.written = Some(place);
    }

    /// Nothing is written down any more. What the standby has is out of date.
    pub(super) fn broke(&mut self) {
        self.written = None;
        self.lose();
    }

    /// A node begins to copy; nothing where another is the standby, or its own word is still in the log.
    pub(super) fn begin(&mut self, (node, stream): (&str, u64), now: Duration) -> Option<()> {
        self.written?;
        match &self.follower {
            Some(other) if other.stage != StandbyStage::Copies => {
                if &*other.named.node == node {
                    self.lose();
                }
                return None;
            }
            Some(other) if &*other.named.node != node => return None,
            _ => {}
        }
        self.follower = Some(Follower {
            named: Named { node: node.into(), stream },
            stage: StandbyStage::Copies,
            has: None,
            joins_at: Place::default(),
            heard_at: now,
            stuck_since: None,
            is_noting: false,
        });
        Some(())
    }

    /// Whether this is the stream of the standby.
    pub(super) fn is_of(&self, stream: u64) -> bool {
        self.follower
            .as_ref()
            .is_some_and(|it| it.named.stream == stream && it.stage != StandbyStage::Lost)
    }

    /// The standby says what it has. Says whether it is the standby.
    pub(super) fn heard(&mut self, (stream, has): (u64, Option<Place>), now: Duration) -> bool {
        let (true, Some(written)) = (self.is_of(stream), self.written) else { return false };
        let Some(follower) = &mut self.follower else { return false };
        // What it has not got from here it cannot have.
        if has.is_some_and(|has| has > written) || has < follower.has {
            self.lose();
            return false;
        }
        follower.heard_at = now;
        if has > follower.has {
            follower.stuck_since = None;
        }
        follower.has = has;
        let is_near = has.is_some_and(|has| {
            has.log == written.log && behind(has, written) <= STANDBY_JOINS_WITHIN_BYTES
        });
        if follower.stage == StandbyStage::Copies && is_near {
            // From here on it is waited for; what was answered before is behind it once it has this.
            (follower.stage, follower.joins_at) = (StandbyStage::Joins, written);
        }
        true
    }

    /// The standby of this stream goes no further. Says whether it may be named in the log all the same.
    pub(super) fn leave(&mut self, stream: u64) -> bool {
        let is_its = |following: &Self| {
            following.follower.as_ref().is_some_and(|it| it.named.stream == stream)
        };
        if is_its(self) {
            self.lose();
        }
        is_its(self)
    }

    /// Whether there is something for who has this.
    pub(super) fn has_written_behind(&self, place: Place) -> bool {
        self.written.is_none_or(|written| written > place)
    }

    /// Whether somebody is to be waited for that may lack this.
    pub(super) fn lacks(&self, place: Place) -> bool {
        self.follower.as_ref().is_some_and(|follower| match follower.stage {
            StandbyStage::Copies => false,
            StandbyStage::Joins | StandbyStage::Whole => follower.has < Some(place),
            StandbyStage::Lost => true,
        })
    }

    /// Whether the standby lacks anything.
    pub(super) fn lacks_what_is_written(&self) -> bool {
        self.lacks(self.written.unwrap_or_default())
    }

    /// Whether one may be named in the log.
    pub(super) fn is_waited_for(&self) -> bool {
        self.follower.as_ref().is_some_and(|it| it.stage != StandbyStage::Copies)
    }

    /// Whether one is the standby that has all.
    pub(super) fn is_named(&self) -> bool {
        self.follower.as_ref().is_some_and(|it| it.stage == StandbyStage::Whole)
    }

    /// What is to be in the log, where nothing else is on its way there.
    pub(super) fn due(&mut self, now: Duration, mode: StandbyMode) -> Option<Notice> {
        self.look(now, mode);
        self.notice()
    }

    /// The same as things stand: whether it still follows is not asked.
    pub(super) fn notice(&mut self) -> Option<Notice> {
        let follower = self.follower.as_mut().filter(|follower| !follower.is_noting)?;
        let notice = match follower.stage {
            StandbyStage::Joins if follower.has >= Some(follower.joins_at) => {
                Notice::Name(follower.named.clone())
            }
            StandbyStage::Lost => Notice::Forget,
            _ => return None,
        };
        follower.is_noting = true;
        Some(notice)
    }

    /// It is in the log, or may not be.
    pub(super) fn noted(&mut self, notice: &Notice, noted: Noted) {
        let Some(follower) = &mut self.follower else { return };
        follower.is_noting = false;
        match notice {
            Notice::Name(_) if noted == Noted::Unsure => self.lose(),
            Notice::Name(named) => {
                if follower.named == *named && follower.stage == StandbyStage::Joins {
                    follower.stage = StandbyStage::Whole;
                }
            }
            Notice::Forget if noted == Noted::Written => self.follower = None,
            Notice::Forget => {}
        }
    }

    /// Somebody waits since then for what the standby lacks. It may get further all the time, and never
    /// get near.
    pub(super) fn leave_if_late(&mut self, since: Duration, now: Duration) {
        if self.is_waited_for() && now.saturating_sub(since) >= STANDBY_PATIENCE {
            self.lose();
        }
    }

    /// Whether the standby is still one.
    fn look(&mut self, now: Duration, mode: StandbyMode) {
        let (Some(follower), Some(written)) = (&mut self.follower, self.written) else { return };
        let is_long = |since: Duration| now.saturating_sub(since) >= STANDBY_PATIENCE;
        let (mut is_gone, mut is_stuck) = (is_long(follower.heard_at), false);
        if matches!(follower.stage, StandbyStage::Joins | StandbyStage::Whole) {
            let has = follower.has.unwrap_or_default();
            if has >= written {
                follower.stuck_since = None;
            } else {
                let since = *follower.stuck_since.get_or_insert(now);
                is_stuck = mode == StandbyMode::Wait && is_long(since);
            }
            is_gone |= behind(has, written) > STANDBY_BEHIND_BYTES_MAX;
        }
        if is_gone || is_stuck {
            self.lose();
        }
    }

    /// It is no standby any more: at once where the log does not name it.
    fn lose(&mut self) {
        let Some(follower) = &mut self.follower else { return };
        let is_unnamed = match follower.stage {
            StandbyStage::Copies => true,
            StandbyStage::Joins => !follower.is_noting && follower.has < Some(follower.joins_at),
            StandbyStage::Whole | StandbyStage::Lost => false,
        };
        if is_unnamed {
            self.follower = None;
        } else if follower.stage != StandbyStage::Lost {
            follower.stage = StandbyStage::Lost;
            tracing::warn!(node = %follower.named.node, "The standby of the rules does not follow: they go on without.");
        }
    }

    pub(super) fn report(&self) -> Option<StandbyReport> {
        let follower = self.follower.as_ref()?;
        let written = self.written.unwrap_or_default();
        Some(StandbyReport {
            node: follower.named.node.clone(),
            stage: follower.stage,
            behind_bytes: behind(follower.has.unwrap_or_default(), written),
        })
    }
}

/// Bytes between two places, as far as they are in the newest log.
fn behind(has: Place, written: Place) -> u64 {
    if has.log == written.log { written.bytes.saturating_sub(has.bytes) } else { written.bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(bytes: u64) -> Place {
        Place { log: 1, bytes }
    }

    /// One that has all, and is named.
    fn whole() -> Following {
        let mut following = Following::default();
        following.wrote(at(100));
        following.begin(("s", 1), Duration::ZERO).expect("nobody else is");
        assert!(following.heard((1, None), Duration::ZERO) && !following.lacks(at(100)));
        assert!(following.heard((1, Some(at(90))), Duration::ZERO));
        // It is waited for from here on, and not named before it has what there was.
        assert!(following.lacks(at(100)));
        assert_eq!(following.due(Duration::ZERO, StandbyMode::Wait), None);
        assert!(following.heard((1, Some(at(100))), Duration::ZERO));
        let notice = following.due(Duration::ZERO, StandbyMode::Wait).expect("it is to be named");
        assert_eq!(following.due(Duration::ZERO, StandbyMode::Wait), None, "it is on its way");
        following.noted(&notice, Noted::Written);
        assert!(following.is_named() && !following.lacks_what_is_written());
        following
    }

    #[test]
    fn one_that_says_nothing_is_waited_for_until_it_is_no_longer_named() {
        let mut following = whole();
        following.wrote(at(101));
        assert_eq!(following.due(SECOND, StandbyMode::Wait), None);
        assert!(following.lacks(at(101)));
        let notice = following.due(3 * SECOND, StandbyMode::Wait);
        assert_eq!(notice, Some(Notice::Forget));
        assert!(following.lacks(at(101)) && !following.heard((1, Some(at(101))), 3 * SECOND));
        // The log may have taken it or not: it is written again.
        following.noted(&Notice::Forget, Noted::Unsure);
        assert_eq!(following.due(3 * SECOND, StandbyMode::Wait), Some(Notice::Forget));
        following.noted(&Notice::Forget, Noted::Written);
        assert!(!following.lacks(at(101)) && following.report().is_none());
    }

    #[test]
    fn one_that_gets_no_further_is_left_where_somebody_waits_for_it() {
        for (mode, is_left) in [(StandbyMode::Wait, true), (StandbyMode::Async, false)] {
            let mut following = whole();
            following.wrote(at(200));
            for second in 1..5 {
                assert_eq!(
                    following.heard((1, Some(at(100))), second * SECOND),
                    second < 4 || !is_left
                );
                following.due(second * SECOND, mode);
            }
            assert_eq!(following.report().expect("one").stage == StandbyStage::Lost, is_left);
        }
        // One that does is not, as long as it does not lack too much.
        let mut following = whole();
        for second in 1..10 {
            following.wrote(at(200 + u64::from(second)));
            assert!(following.heard((1, Some(at(199 + u64::from(second)))), second * SECOND));
            assert_eq!(following.due(second * SECOND, StandbyMode::Wait), None);
        }
        following.wrote(at(300 + STANDBY_BEHIND_BYTES_MAX));
        assert_eq!(following.due(10 * SECOND, StandbyMode::Wait), Some(Notice::Forget));
    }

    #[test]
    fn one_that_leaves_is_needed_until_it_is_no_longer_named() {
        let mut following = whole();
        assert!(!following.leave(2) && following.is_named(), "of another copy");
        assert!(following.leave(1) && following.leave(1));
        assert_eq!(following.due(Duration::ZERO, StandbyMode::Wait), Some(Notice::Forget));
        following.noted(&Notice::Forget, Noted::Unsure);
        assert!(following.leave(1));
        assert_eq!(following.due(Duration::ZERO, StandbyMode::Wait), Some(Notice::Forget));
        following.noted(&Notice::Forget, Noted::Written);
        assert!(!following.leave(1));
        // Nobody names one that copies.
        following.begin(("s", 2), Duration::ZERO).expect("nobody else is");
        assert!(!following.leave(2) && following.report().is_none());
    }

    #[test]
    fn what_cannot_be_is_no_standby() {
        // It has what was never written, or less than it has said, or is another one.
        for said in [(1, Some(at(101))), (1, Some(at(99))), (1, None)] {
            let mut following = whole();
            assert!(!following.heard(said, SECOND), "{said:?}");
            assert_eq!(following.report().expect("it is named").stage, StandbyStage::Lost);
        }
        let mut following = whole();
        assert!(!following.heard((2, Some(at(100))), SECOND) && following.is_named());
        assert!(following.begin(("t", 3), SECOND).is_none() && following.is_named());
        // It has forgotten all itself: its word in the log goes first.
        assert!(following.begin(("s", 3), SECOND).is_none() && !following.is_named());
        let mut following = whole();
        following.broke();
        assert!(following.begin(("s", 3), SECOND).is_none());
        assert_eq!(following.due(SECOND, StandbyMode::Wait), Some(Notice::Forget));
    }

    /// Numbers that look like chance.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// Whatever is lost, late or said twice: where the log names a standby, it has all that anybody was
    /// answered.
    #[test]
    fn whoever_the_log_names_has_all_that_was_answered() {
        let mut ever_named = 0;
        for seed in 0..400 {
            let (mut chance, mut following) = (Chance(seed), Following::default());
            let (mut now, mut written, mut stream) = (Duration::ZERO, 0_u64, 0_u64);
            // What the node has: of its stream, so many bytes.
            let mut copy: Option<(u64, u64)> = None;
            let mut waiting: Vec<u64> = Vec::new();
            let mut answered = 0;
            let mut in_log: Option<u64> = None;
            let mut noting: Option<Notice> = None;
            following.wrote(at(0));
            for _ in 0..400 {
                now += Duration::from_millis(chance.below(120));
                match chance.below(10) {
                    0..3 => {
                        written += 1 + chance.below(50);
                        following.wrote(at(written));
                        waiting.push(written);
                    }
                    3 if chance.below(20) == 0 => copy = None,
                    3 if chance.below(30) == 0 => now += 3 * SECOND,
                    3..7 => {
                        copy = if let Some((of, has)) = copy {
                            let is_taken = following.heard((of, Some(at(has))), now);
                            is_taken.then(|| (of, has + chance.below(written - has + 1)))
                        } else {
                            stream += 1;
                            following.begin(("s", stream), now).map(|()| (stream, 0))
                        };
                    }
                    _ => match noting.take() {
                        None => noting = following.due(now, StandbyMode::Wait),
                        Some(notice) => {
                            let (is_done, is_known) = (chance.below(4) > 0, chance.below(4) > 0);
                            if is_done {
                                in_log = match &notice {
                                    Notice::Name(named) => Some(named.stream),
                                    Notice::Forget => None,
                                };
                            }
                            let is_written = is_done && is_known;
                            following.noted(
                                &notice,
                                if is_written { Noted::Written } else { Noted::Unsure },
                            );
                        }
                    },
                }
                waiting.retain(|place| {
                    let waits = following.lacks(at(*place));
                    answered = if waits { answered } else { answered.max(*place) };
                    waits
                });
                // Who takes over now goes on with this.
                if let Some((_, has)) = copy.filter(|(of, _)| in_log == Some(*of)) {
                    ever_named += 1;
                    assert!(has >= answered, "seed {seed}: {answered} was answered, it has {has}");
                }
            }
        }
        assert!(ever_named > 1_000, "{ever_named}");
    }
}
