//! The only clocks: time enters the product here.
#![allow(clippy::disallowed_methods, reason = "this is where time comes from")]

mod slew;

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bellwire_model::Timestamp;

use self::slew::Slew;
pub use self::slew::Slewed;

/// The wall clock.
pub fn now() -> Timestamp {
    Timestamp::from_ms(i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX))
}

static SLEW: Slew = Slew::new();
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Time that goes on evenly from what the wall clock said at first, whatever becomes of it: what is
/// waited for goes by it.
pub fn steady() -> Timestamp {
    static BEGINNING: LazyLock<(Duration, Instant)> =
        LazyLock::new(|| (since_epoch(), Instant::now()));
    let (wall, began) = &*BEGINNING;
    let ms = wall.saturating_add(began.elapsed()).as_millis();
    Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// The wall clock, but that it never goes back: the time of the rules.
pub fn slewed() -> Slewed {
    // The wall clock first: who is interrupted between the two must not seem to be ahead.
    let wall = since_epoch();
    SLEW.read(wall, BEGAN.elapsed())
}

/// Has [`slewed`] go on from a time at the earliest.
pub fn go_on_from(time: Timestamp) {
    SLEW.go_on_from(time, BEGAN.elapsed());
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// How long the system has been up: where it does not tell that, how long the process has.
///
/// The system tells it in a file, which costs whoever asks for each event: so it is read once. A
/// container may have an uptime of its own there, which journals remember.
pub fn uptime() -> Duration {
    static TOLD: LazyLock<(Duration, Duration)> =
        LazyLock::new(|| (told_uptime().unwrap_or_default(), awake_or_not()));
    let (told, at) = *TOLD;
    told.saturating_add(awake_or_not().saturating_sub(at))
}

fn told_uptime() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(told.split(' ').next()?.parse().ok()?).ok()
}

/// Goes on evenly while the system sleeps, too, where there is such a clock.
fn awake_or_not() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }
    #[cfg(not(target_os = "linux"))]
    BEGAN.elapsed()
}

/// A monotonic clock in coarse ticks, small enough to keep one per connection.
#[derive(Clone, Copy, Debug)]
pub struct Ticker(Instant);

/// One tick of a [`Ticker`].
pub const TICK: Duration = Duration::from_millis(100);

/// A number of ticks since the ticker began.
pub type Tick = u32;

impl Ticker {
    /// A ticker that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Ticks since the ticker began.
    pub fn now(self) -> Tick {
        (self.0.elapsed().as_millis() / TICK.as_millis()) as Tick
    }

    /// Milliseconds since the ticker began.
    pub fn now_ms(self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }

    /// How long until so many milliseconds have passed since the ticker began.
    pub fn until_ms(self, at_ms: u64) -> Duration {
        Duration::from_millis(at_ms).saturating_sub(self.0.elapsed())
    }

    /// How long until `tick` begins.
    pub fn until(self, tick: Tick) -> Duration {
        (TICK * tick).saturating_sub(self.0.elapsed())
    }

    /// How long ago the ticker began.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Durations beyond it (about a year) are as good as never, and must not wrap.
const TICKS_MAX: Tick = 1 << 28;

/// A duration in ticks, at least one.
pub fn ticks(duration: Duration) -> Tick {
    u32::try_from(duration.as_millis() / TICK.as_millis()).unwrap_or(TICKS_MAX).clamp(1, TICKS_MAX)
}

/// Waits, in a thread that has nothing else to do.
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uptime_is_what_the_system_tells() {
        // In hundredths of a second, rounded down, each time that it is told.
        const HUNDREDTH: Duration = Duration::from_millis(10);
        let Some(before) = told_uptime() else { return };
        let uptime = uptime();
        let after = told_uptime().expect("it was told a moment ago");
        assert!(before < uptime + 2 * HUNDREDTH, "{before:?} {uptime:?}");
        assert!(uptime < after + 2 * HUNDREDTH, "{uptime:?} {after:?}");
    }
}
