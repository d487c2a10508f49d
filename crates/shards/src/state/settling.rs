//! Values that nobody has any more take little room: they are packed, be there changes or none.

use bellwire_model::limits::{STATE_LOOKS_MAX, STATE_SETTLE_INTERVAL, STATE_SETTLED_MAX};
use bellwire_process::crash;
use tokio::time::sleep;

use super::States;
use crate::frames::Frames;

impl States {
    /// Looks after values that were shared, for as long as it is polled.
    pub async fn settle_values(&self) {
        loop {
            sleep(STATE_SETTLE_INTERVAL).await;
            let mut looked = 0;
            while crash::run_essential(|| self.settle_some()) > looked && looked < STATE_SETTLED_MAX
            {
                looked += STATE_LOOKS_MAX;
                // Others get their turn at the table, and at the thread.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Looks at some. Returns how many are shared still.
    fn settle_some(&self) -> usize {
        let mut table = self.table.lock().expect("not poisoned");
        table.settle(STATE_LOOKS_MAX, Frames::encoded_bytes)
    }
}
