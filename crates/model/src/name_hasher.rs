//! How names are hashed that strangers choose: topics, keys, filters, labels.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// A map whose keys strangers may choose.
pub type NameMap<K, V> = HashMap<K, V, NameHasher>;

/// A set of what strangers may choose.
pub type NameSet<K> = HashSet<K, NameHasher>;

/// Builds hashers with a secret, so that nobody can choose names that collide and make a table slow.
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

/// The hasher of this process. Its secret is drawn once, as the standard library draws those of its
/// own maps: nothing that anybody sees may depend on it.
impl Default for NameHasher {
    fn default() -> Self {
        static OF_PROCESS: LazyLock<NameHasher> = LazyLock::new(|| {
            let random = RandomState::new();
            NameHasher::new([random.hash_one(0), random.hash_one(1)])
        });
        *OF_PROCESS
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

/// Stands for a name within this process, in a table that has no room for names: 128 bits under two
/// secrets, each as strong as those of the standard library's maps. So no stranger finds two names
/// that are taken for one, and chance does not either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameDigest([u64; 2]);

impl NameDigest {
    /// The one of a name, or of several that belong together.
    pub fn of(name: impl Hash) -> Self {
        static SECRETS: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        Self(SECRETS.each_ref().map(|secret| secret.hash_one(&name)))
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

    #[test]
    fn the_maps_of_a_process_share_a_secret_that_is_drawn() {
        let (one, names) = (NameHasher::default(), NameSet::<&str>::default());
        let other = names.hasher();
        assert_eq!(one.hash_one("a/b"), other.hash_one("a/b"));
        // One that is all zeros would be one that was never drawn.
        assert_ne!(one.hash_one("a/b"), NameHasher::new([0, 0]).hash_one("a/b"));
    }
}
