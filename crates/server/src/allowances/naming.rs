//! Topics and series that somebody names, of which they may name so many different ones.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bellwire_model::NameHasher;
use bellwire_model::limits::{NAMES_LATELY, NAMES_LIMITED_MAX};
use bellwire_process::jittered;
use bellwire_wire::problem::Problem;

use super::account::{Account, Named};
use super::{Allowances, RETURN_SPREAD};

/// Somebody names topics or series, in one request.
#[derive(Debug)]
pub(crate) struct Naming<'a> {
    allowances: &'a Allowances,
    account: Arc<Account>,
    named: Named,
    most: u64,
    now: u64,
}

impl<'a> Naming<'a> {
    pub(super) fn new(
        allowances: &'a Allowances,
        account: Arc<Account>,
        (named, most, now): (Named, u64, u64),
    ) -> Self {
        Self { allowances, account, named, most, now }
    }

    /// One is named, which may be known already.
    pub(crate) fn take(&self, name: &impl Hash) -> Result<(), Problem> {
        let name = NameHasher::default().hash_one(name);
        let all = self.account.names();
        let has_room = all.load(Ordering::Relaxed) < NAMES_LIMITED_MAX;
        let taken = {
            let mut used = self.account.used();
            let names = used.names(self.named);
            let before = names.counted();
            let taken = names.take(self.now, name, if has_room { self.most } else { 0 });
            // To go on counting wraps around, and back: fewer than before are as good as less than none.
            all.fetch_add(names.counted().wrapping_sub(before), Ordering::Relaxed);
            taken
        };
        taken.map_err(|wait| {
            let (most, named) = (self.most, self.named.as_str());
            if !has_room {
                return self.allowances.is_crowded();
            }
            let minutes = NAMES_LATELY.as_secs() / 60;
            let allowed = format!("{most} different {named} in {minutes} minutes");
            self.allowances.refusal(&allowed, wait + jittered(RETURN_SPREAD))
        })
    }
}
