//! How names are hashed that strangers choose: topics, keys, filters, labels.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// Builds hashers with a secret, so that nobody can choose names that collide and make a table slow.
/// The secret comes from outside: this crate has no randomness of its own.
#[derive(Clone, Copy)]
pub struct NameHasher {
    seed: u64,
    shared: &'static SharedSeed,
}

impl NameHasher {
    /// A hasher with these secrets. It keeps them as long as the process lives: make one, and copy
    /// it.
    pub fn new([seed, shared]: [u64; 2]) -> Self {
        Self { seed, shared: Box::leak(Box::new(SharedSeed::from_u64(shared))) }
    }
}

impl BuildHasher for NameHasher {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        FoldHasher::with_seed(self.seed, self.shared)
    }
}

/// Says nothing of the secret.
impl fmt::Debug for NameHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameHasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_alike_under_one_secret_and_differently_under_another() {
        let [one, same, seed, shared] = [[1, 2], [1, 2], [3, 2], [1, 3]].map(NameHasher::new);
        assert_eq!(one.hash_one("a/b"), same.hash_one("a/b"));
        assert_ne!(one.hash_one("a/b"), seed.hash_one("a/b"));
        assert_ne!(one.hash_one("a/b"), shared.hash_one("a/b"));
    }
}
