//! A following of the engine in memory: hands on what was delivered, and waits for nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::steps::as_ended;
use super::store::PAGE_BYTES_MAX;
use super::world::{Pace, Reach, World};
use crate::{Ended, Entry, Following};

pub(super) struct MemoryFollowing {
    pub(super) handle: Arc<Handle>,
    pub(super) number: u64,
}

impl Following for MemoryFollowing {
    /// Returns at once: no time passes in here.
    fn next(&mut self, _patience: Duration) -> Result<Vec<Entry>, Ended> {
        self.handle.world().next(self.number)
    }
}

impl Drop for MemoryFollowing {
    fn drop(&mut self) {
        self.handle.world().followers.remove(&self.number);
    }
}

impl World {
    fn next(&mut self, number: u64) -> Result<Vec<Entry>, Ended> {
        let gone = || Ended::Lost("there is no such following".into());
        let handle = self.followers.get(&number).ok_or_else(gone)?.handle;
        let reach = self.reach(handle);
        let follower = self.followers.get_mut(&number).ok_or_else(gone)?;
        if !follower.inbox.is_empty() {
            return Ok(take_page(&mut follower.inbox));
        }
        if let Some(ended) = &follower.ended {
            return Err(ended.clone());
        }
        if self.pace == Pace::Stepped {
            return Ok(Vec::new());
        }
        let doubt = follower
            .broken
            .take()
            .or_else(|| (reach != Reach::Open).then(|| Ended::Lost("nothing is answered".into())));
        let doubt = doubt.or_else(|| self.store.check_kept(follower.after).err().map(as_ended));
        if let Some(ended) = doubt {
            follower.ended = Some(ended.clone());
            return Err(ended);
        }
        let page = self.store.page(follower.after, usize::MAX);
        if let Some(newest) = page.last() {
            follower.after = newest.position;
        }
        Ok(page)
    }
}

/// The first of them, up to [`PAGE_BYTES_MAX`].
fn take_page(inbox: &mut VecDeque<Entry>) -> Vec<Entry> {
    let mut bytes = 0;
    let is_too_much = |entry: &Entry| {
        bytes += entry.batch.len();
        bytes > PAGE_BYTES_MAX
    };
    let count = inbox.iter().position(is_too_much).unwrap_or(inbox.len());
    inbox.drain(..count).collect()
}
