//! Time: that of the world, and what a machine's clocks make of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bellwire_cluster::Clock;
use bellwire_journal::ClockReading;
use bellwire_model::Timestamp;

/// What walls say when a world begins.
const BEGAN_MS: u64 = 1_700_000_000_000;

/// The time of the world.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorldTime(Arc<AtomicU64>);

impl WorldTime {
    pub(crate) fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn set(&self, now: Duration) {
        self.0.store(now.as_micros() as u64, Ordering::Relaxed);
    }
}

/// What a machine's clocks say: one that goes evenly, if not quite right, and one that is set.
#[derive(Clone, Debug)]
pub(crate) struct MachineClock {
    time: WorldTime,
    /// How much faster than time it goes, in thousandths.
    fast: i64,
    /// By how much the wall clock was set, in milliseconds.
    ahead_ms: Arc<AtomicI64>,
}

impl MachineClock {
    pub(crate) fn new(time: WorldTime, fast: i64) -> Self {
        Self { time, fast, ahead_ms: Arc::default() }
    }

    /// What it is by the world's.
    pub(crate) fn now(&self) -> Duration {
        self.time.now()
    }

    /// What the clocks say at a time of the world.
    pub(crate) fn at(&self, time: Duration) -> ClockReading {
        let micros = time.as_micros() as i64;
        let uptime_us = micros + micros / 1_000 * self.fast;
        let wall_ms = BEGAN_MS as i64 + uptime_us / 1_000 + self.ahead_ms.load(Ordering::Relaxed);
        ClockReading {
            wall: Timestamp::from_ms(wall_ms),
            uptime: Duration::from_micros(uptime_us as u64),
        }
    }

    /// What they say now.
    pub(crate) fn now_reading(&self) -> ClockReading {
        self.at(self.now())
    }

    /// Sets the wall clock.
    pub(crate) fn set_wall(&self, by_ms: i64) {
        self.ahead_ms.store(by_ms, Ordering::Relaxed);
    }

    /// How much time of the world passes in so much of its own.
    pub(crate) fn world(&self, own: Duration) -> Duration {
        own * 1_000 / (1_000 + self.fast) as u32
    }

    /// As a node has them.
    pub(crate) fn of_node(&self) -> Clock {
        let clock = self.clone();
        Clock::told(move || clock.now_reading())
    }
}
