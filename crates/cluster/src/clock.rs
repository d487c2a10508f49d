//! What time it is for a node: that of the process, or another one in simulations.

use std::fmt;
use std::sync::Arc;

use bellwire_journal::ClockReading;
use bellwire_process::clock;

/// Tells what the clocks say.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> ClockReading + Send + Sync>);

impl Clock {
    /// The clocks of this process.
    pub fn of_process() -> Self {
        Self::told(|| ClockReading { wall: clock::now(), uptime: clock::uptime() })
    }

    /// Whatever this says.
    pub fn told(tell: impl Fn() -> ClockReading + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// What the clocks say.
    pub fn now(&self) -> ClockReading {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}
