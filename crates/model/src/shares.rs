//! A room for all, of which whoever fills it leaves some to others.

use crate::identity_hash::IdentityHash;
use crate::limits::ROOM_OF_ONE_SHARE;
use crate::name_hasher::NameMap;

/// Who has a share: a hash stands for the name, which strangers may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(u64);

impl Holder {
    /// Whoever has this name.
    pub fn named(name: &str) -> Self {
        let mut hash = IdentityHash::new("holder 1");
        hash.write_text(name);
        Self(hash.finish())
    }
}

/// How much of a room is taken, and by whom.
#[derive(Debug)]
pub struct Shares {
    max: usize,
    used: usize,
    /// Those who have some of it.
    holders: NameMap<Holder, usize>,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// For nobody.
    Full,
    /// What is left is for others.
    OfHolder,
}

impl Shares {
    /// A room for so much.
    pub fn new(max: usize) -> Self {
        Self { max, used: 0, holders: NameMap::default() }
    }

    /// Whether a holder may have so much more. As long as all together have less than the share of one
    /// nobody is counted.
    pub fn check(&self, holder: Holder, more: usize) -> Result<(), Shortage> {
        let free = self.max.saturating_sub(self.used);
        if more > free {
            return Err(Shortage::Full);
        }
        let share = free.saturating_mul(ROOM_OF_ONE_SHARE);
        if self.used + more <= share {
            return Ok(());
        }
        let own = self.holders.get(&holder).copied().unwrap_or_default();
        if own + more <= share { Ok(()) } else { Err(Shortage::OfHolder) }
    }

    /// A holder takes so much, which was [checked](Self::check) or is taken whatever there is.
    pub fn take(&mut self, holder: Holder, amount: usize) {
        self.used += amount;
        *self.holders.entry(holder).or_default() += amount;
    }

    /// A holder gives so much back.
    pub fn give_back(&mut self, holder: Holder, amount: usize) {
        self.used = self.used.saturating_sub(amount);
        let Some(own) = self.holders.get_mut(&holder) else { return };
        *own = own.saturating_sub(amount);
        if *own == 0 {
            self.holders.remove(&holder);
        }
    }

    /// How much is taken.
    pub fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fills_a_room_leaves_some_of_it_to_others() {
        let [ada, bob] = ["ada", "bob"].map(Holder::named);
        let mut shares = Shares::new(900);
        let mut fill = |holder| {
            let mut taken = 0;
            while shares.check(holder, 1) == Ok(()) {
                shares.take(holder, 1);
                taken += 1;
            }
            (taken, shares.check(holder, 1))
        };
        assert_eq!(fill(ada), (800, Err(Shortage::OfHolder)));
        assert_eq!(fill(bob), (89, Err(Shortage::OfHolder)));
        assert_eq!(fill(ada), (0, Err(Shortage::OfHolder)));
        assert_eq!(shares.check(bob, 12), Err(Shortage::Full));
        shares.give_back(ada, 800);
        assert_eq!((shares.used(), shares.holders.len()), (89, 1));
        assert_eq!(shares.check(ada, 700), Ok(()));
    }
}
