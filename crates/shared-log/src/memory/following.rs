//! A following of the engine in memory: hands on what was delivered, and waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Handle;
use super::steps::as_ended;
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
            return Ok(follower.inbox.drain(..).collect());
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
