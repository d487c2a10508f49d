//! Randomness that can be had again: its seed is printed, and taken from `BELLWIRE_TEST_SEED`.

/// A generator of small numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A new one; the test's output names its seed.
    pub(crate) fn announced() -> Self {
        let given = std::env::var("BELLWIRE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| getrandom::u64().expect("entropy"));
        println!("BELLWIRE_TEST_SEED={seed}");
        Self::new(seed)
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A seed for another one.
    pub(crate) fn seed(&mut self) -> u64 {
        self.below(u64::MAX)
    }
}
