//! Who of several nodes does something, for a while: a lease of two registers. Pure, told the time.
//!
//! ```text
//! lease-x        A ───────────────────────────────┐ B ─────────▶  set when the holder changes: the fence
//! lease-x-beat   1   2   3   4                    │ 5   6   7     set again and again by who holds it
//!                            ├─ hold ─┤           │
//!                            │        A gives up  │
//!                            └──── lease ─────────┘
//!                            B sees 4, and nothing newer
//! ```
//!
//! The holder holds for `hold` from when it *began* to set a beat, by its own clock, which nobody sets, and
//! only if the answer came while it still held by the beat before. Others take over once they have seen a
//! beat for the first time, have let `lease` pass by their own clocks, and a look that began after that
//! still shows the same. Since `hold` is shorter than `lease`, whoever held has given up by then, whatever
//! was slow on the way, unless one clock goes faster than another by the ratio of the two.
//!
//! - *Its process is paused and wakes*: by its clock it does not hold any more. It does not beat again: it
//!   would not know whether another takes over in that moment. It takes the lease like anybody else,
//!   by setting the register from what it was, which only one of the two can do.
//! - *It does not know that it was paused*, as it looked at the clock before: what it appends has a
//!   [`Fence`] of `lease-x`, which the engine compares where it stores. Whoever takes over sets that
//!   first, then appends something under its own fence and meets it in the log: what was appended under
//!   the one before is before that, and nothing comes after. What is done elsewhere than in the log has to be such that it may be done twice.
//! - *The answer to a compare-and-set is lost*: it may have been done, also later. A beat counts where it
//!   is read back in time, by when it was begun. A take-over is read back by its nonce, another each time.
//! - *A clock jumps ahead*: who holds gives up too early, which costs a take-over. Who waits counts no
//!   more than one and a half looks from one look to the next, whatever its clock says, so that a jump
//!   is worth half a look. Clocks that go back have no place here.

mod register;
mod step;

use std::time::Duration;

use bellwire_shared_log::{Error as LogError, Fence, Generation, Register};
use bytes::Bytes;

use register::{Beat, Held};
pub(crate) use step::{Looked, Stepped, step};

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTiming {
    /// Others take over when they have seen nothing new for so long.
    pub lease: Duration,
    /// Who has set nothing for so long has given up. Shorter by more than clocks go apart.
    pub hold: Duration,
    /// The holder sets its beat so often.
    pub beat: Duration,
    /// Others look so often.
    pub look: Duration,
}

impl Default for LeaseTiming {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(3_500),
            hold: Duration::from_millis(2_500),
            beat: Duration::from_millis(800),
            look: Duration::from_millis(400),
        }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseStep {
    /// Nothing until then.
    Wait(Duration),
    /// Read both registers, the lease's first, and tell [`Lease::looked`].
    Look,
    /// Set the lease's register, and tell [`Lease::took`].
    Take(Generation, Bytes),
    /// Set the beat's register, and tell [`Lease::beat`].
    Beat(Generation, Bytes),
}

/// What one node knows of a lease.
#[derive(Debug)]
pub struct Lease {
    name: Box<str>,
    node: Box<str>,
    timing: LeaseTiming,
    /// What was seen last, and the look that showed it first.
    seen: Option<Seen>,
    /// When the last look began.
    looked: Option<Duration>,
    /// A take-over whose answer is not known.
    asked: Option<Asked>,
    /// What it was, or would be, known by when it was taken last.
    nonce: u64,
    held: Option<Holding>,
    /// The lease's register as this node has set it, until it is seen to be another's.
    own: Option<Generation>,
    /// How often it was taken from where it was not this node's own.
    terms: u64,
    is_wanted: bool,
    /// How much longer it waits than it has to.
    deference: Duration,
}

/// A take-over that is asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When that began.
    at: Duration,
    /// What the register was.
    from: Generation,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    lease: Generation,
    beat: Generation,
    is_free: bool,
    /// Up to when it was waited: at first when the answer came, then when each look began.
    at: Duration,
    /// How long, as it counts.
    waited: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    generation: Generation,
    beat: Generation,
    count: u64,
    until: Duration,
    /// When the newest beat began.
    begun: Duration,
    /// When the next one is due.
    due: Duration,
}

impl Lease {
    /// What `node` has of the lease of this name, which is of `a`–`z`, `0`–`9` and `-`. Nothing yet.
    pub fn new(name: &str, node: &str, timing: LeaseTiming) -> Self {
        debug_assert!(timing.hold < timing.lease && timing.beat < timing.hold);
        Self {
            name: format!("lease-{name}").into(),
            node: node.into(),
            timing,
            seen: None,
            looked: None,
            asked: None,
            nonce: 0,
            held: None,
            own: None,
            terms: 0,
            is_wanted: true,
            deference: Duration::ZERO,
        }
    }

    /// Leaves it to others for so long, once it is nobody's: one of them is to have it first. That costs
    /// time where none of them takes it, and nothing else.
    pub fn defer(&mut self, deference: Duration) {
        self.deference = deference;
    }

    /// The register that changes with the holder.
    pub fn register(&self) -> &str {
        &self.name
    }

    /// The register that the holder sets again and again.
    pub fn beat_register(&self) -> String {
        format!("{}-beat", self.name)
    }

    /// Which node holds it, as its register says; nobody, where it is free.
    pub fn holder(register: &Register) -> Option<Box<str>> {
        Held::decode(&register.value)?.node
    }

    /// Whether this node has set the register as it is.
    fn is_own(&self, register: &Register) -> bool {
        let held = Held::decode(&register.value);
        held.is_some_and(|held| held.nonce == self.nonce && self.nonce > 0)
    }

    /// What appends are fenced by while it is held; nothing where it is not.
    pub fn held(&self, now: Duration) -> Option<Fence> {
        let held = self.held.filter(|held| now < held.until)?;
        Some(Fence { register: self.name.to_string(), generation: held.generation })
    }

    /// Up to when it is held, where it is.
    pub fn held_until(&self) -> Option<Duration> {
        Some(self.held?.until)
    }

    /// In which term it is this node's own, and what appends are fenced by in it. A term goes on for as
    /// long as nobody else was seen to have taken it, whether or not it is held by the clock: where
    /// somebody has, the engine keeps out what is appended. What was decided in one term is void in the
    /// next.
    pub fn term(&self) -> Option<(u64, Fence)> {
        let generation = self.own?;
        Some((self.terms, Fence { register: self.name.to_string(), generation }))
    }

    /// What was appended under its fence was kept out: it is looked at once more.
    pub fn doubt(&mut self) {
        (self.held, self.looked) = (None, None);
    }

    /// What is to be done.
    pub fn next(&mut self, now: Duration) -> LeaseStep {
        if let Some(held) = &self.held {
            if now < held.until {
                let is_due = now >= held.due || !self.is_wanted;
                return if is_due { self.go_on(now) } else { LeaseStep::Wait(held.due) };
            }
            self.held = None;
        }
        match (self.seen, self.looked) {
            (Some(seen), Some(_)) if self.may_take(seen) => {
                self.nonce = fastrand::u64(1..);
                self.asked = Some(Asked { at: now, from: seen.lease });
                // Whatever comes of it, it is looked at again before another one.
                self.looked = None;
                let held = Held { node: Some(self.node.clone()), nonce: self.nonce };
                LeaseStep::Take(seen.lease, held.encode())
            }
            (Some(_), Some(looked)) if now < looked.saturating_add(self.timing.look) => {
                LeaseStep::Wait(looked.saturating_add(self.timing.look))
            }
            _ => LeaseStep::Look,
        }
    }

    /// Whether it is nobody's any more.
    fn may_take(&self, seen: Seen) -> bool {
        let lasts = if seen.is_free { Duration::ZERO } else { self.timing.lease };
        self.is_wanted && seen.waited >= lasts.saturating_add(self.deference)
    }

    /// The next thing that the holder sets.
    fn go_on(&mut self, now: Duration) -> LeaseStep {
        let Some(held) = &mut self.held else { return LeaseStep::Look };
        if !self.is_wanted {
            // It is over here before it is so for others.
            let generation = held.generation;
            (self.held, self.seen, self.own) = (None, None, None);
            return LeaseStep::Take(generation, Held { node: None, nonce: 0 }.encode());
        }
        (held.begun, held.due) = (now, now.saturating_add(self.timing.beat));
        held.count += 1;
        let beat = Beat { nonce: self.nonce, count: held.count };
        LeaseStep::Beat(held.beat, beat.encode())
    }

    /// Wants it, or gives it up: who does not want it any more has the register say so.
    pub fn want(&mut self, is_wanted: Wanted) {
        self.is_wanted = is_wanted == Wanted::Yes;
    }

    /// The registers were read: when that began, and when the answers were here.
    pub fn looked(
        &mut self,
        (begun, now): (Duration, Duration),
        lease: &Register,
        beat: &Register,
    ) {
        let held = Held::decode(&lease.value);
        let is_own = self.is_own(lease);
        let beat = beat.generation;
        if let Some(asked) = self.asked.take()
            && is_own
        {
            self.note_own(asked.from, lease.generation);
            self.begin((asked.at, now), lease.generation, beat);
        }
        if !is_own {
            self.own = None;
        }
        // Its own, of which it has given up: nobody else goes by that.
        let is_free = lease.value.is_empty() || is_own || held.is_some_and(|it| it.node.is_none());
        let lease = lease.generation;
        let same = self.seen.filter(|seen| (seen.lease, seen.beat) == (lease, beat));
        let waited = same.map_or(Duration::ZERO, |seen| {
            let step = begun.saturating_sub(seen.at).min(self.timing.look * 3 / 2);
            seen.waited.saturating_add(step)
        });
        let at = same.map_or(now, |_| begun);
        self.seen = Some(Seen { lease, beat, is_free, at, waited });
        self.looked = Some(begun);
    }

    /// The lease's register was set, or was not, or nobody knows.
    pub fn took(&mut self, now: Duration, answer: Result<Generation, LogError>) {
        let Some(asked) = self.asked else { return };
        match answer {
            Ok(generation) => {
                self.asked = None;
                let beat = self.seen.map_or(Generation::NEVER, |seen| seen.beat);
                self.note_own(asked.from, generation);
                self.begin((asked.at, now), generation, beat);
            }
            // It may be done: the next look tells.
            Err(LogError::Away(_)) => {}
            Err(_) => self.asked = None,
        }
    }

    /// It was set by this node, from what it was.
    fn note_own(&mut self, from: Generation, generation: Generation) {
        if self.own != Some(from) {
            self.terms += 1;
        }
        self.own = Some(generation);
    }

    /// It is held from when that began, if it is not over already.
    fn begin(
        &mut self,
        (begun, now): (Duration, Duration),
        generation: Generation,
        beat: Generation,
    ) {
        let until = begun.saturating_add(self.timing.hold);
        if now < until {
            let due = begun.saturating_add(self.timing.beat);
            self.held = Some(Holding { generation, beat, count: 0, until, begun, due });
        }
    }

    /// The beat's register was set, or was not, or nobody knows.
    pub fn beat(&mut self, now: Duration, answer: Result<Generation, LogError>) {
        let Some(held) = &mut self.held else { return };
        // Answers that come too late count for nothing: another may hold it by now.
        if now >= held.until {
            self.held = None;
            return;
        }
        match answer {
            Ok(generation) => {
                held.beat = generation;
                held.until = held.begun.saturating_add(self.timing.hold);
            }
            // One of before that was done when nobody answered.
            Err(LogError::Changed(register))
                if Beat::nonce(&register.value) == Some(self.nonce) =>
            {
                (held.beat, held.due) = (register.generation, now);
            }
            // Somebody else's, or nobody's: the registers may be those of an old copy of the engine, in
            // which this node holds nothing. Whose it is the lease's register says.
            Err(LogError::Changed(_)) => self.doubt(),
            Err(_) => held.due = now.saturating_add(self.timing.look),
        }
    }
}

/// Whether a lease is to be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As soon as it can be.
    Yes,
    /// No more.
    No,
}

#[cfg(test)]
mod tests;
