//! Published sets of keys, and the files and secrets that keys are configured with.

#![no_main]

use bellwire_access::jwks;
use bellwire_access::jwt::VerificationKey;
use bellwire_model::limits::KEYS_OF_ISSUER_MAX;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = VerificationKey::from_pem(None, data);
    let _ = VerificationKey::from_secret(None, data);
    let Ok(published) = jwks::read(data) else { return };
    assert!(published.keys.iter().len() <= KEYS_OF_ISSUER_MAX);
});
