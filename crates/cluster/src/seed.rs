//! What random tests begin with: printed, and taken from `BELLWIRE_TEST_SEED`.

/// A seed.
#[expect(clippy::print_stdout, reason = "a test that fails is run again with it")]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("BELLWIRE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("BELLWIRE_TEST_SEED={seed}");
    seed
}
