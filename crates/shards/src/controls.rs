//! Control events from the hub's and the server's own reasons.

use std::time::Duration;

use bellwire_hub::{Gap, GapReason};
use bellwire_model::FilterSet;
use bellwire_model::limits::RETRY;
use bellwire_process::jittered;
use bellwire_wire::Control;

/// The hub's gap as clients read it.
pub fn gap<'a>(gap: &Gap, filters: &'a FilterSet) -> Control<'a> {
    let reason = match gap.reason {
        GapReason::Expired => bellwire_wire::GapReason::Expired,
        GapReason::Epoch => bellwire_wire::GapReason::Epoch,
    };
    Control::Gap { from: gap.from, to: gap.to, reason, filters }
}

/// How long a client waits before it reconnects.
pub(crate) fn jittered_retry() -> Duration {
    RETRY / 2 + jittered(RETRY)
}
