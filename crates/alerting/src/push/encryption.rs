//! Messages that only the browser reads they are for (RFC 8291): not the push service on the way.
//!
//! ```text
//! salt (16) | record size (4) | 65 | our key of this message (65) | AES-128-GCM of text and 0x02
//! ```

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use bellwire_model::limits::PUSH_MESSAGE_BYTES_MAX;
use thiserror::Error;

/// Bytes of a point of P-256 that is not compressed.
const POINT_BYTES: usize = 65;
const SECRET_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
/// All of a message is one record.
const RECORD_BYTES: u32 = 4_096;

/// What a browser gives out for messages to it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ReceiverKeys {
    point: [u8; POINT_BYTES],
    secret: [u8; SECRET_BYTES],
}

/// Says nothing of the secret.
impl fmt::Debug for ReceiverKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverKeys").finish_non_exhaustive()
    }
}

/// Why keys of a subscription are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeysError {
    #[error("`keys.p256dh` is the base64url of the 65 bytes of a point of P-256")]
    Point,
    #[error("`keys.auth` is the base64url of 16 bytes")]
    Secret,
}

impl ReceiverKeys {
    /// Reads `keys` of a `PushSubscription`.
    pub(crate) fn read(p256dh: &str, auth: &str) -> Result<Self, KeysError> {
        let bytes = |text: &str| BASE64_URL.decode(text.trim_end_matches('=')).ok();
        let point = bytes(p256dh).and_then(|bytes| bytes.try_into().ok());
        let secret = bytes(auth).and_then(|bytes| bytes.try_into().ok());
        let keys = Self {
            point: point.ok_or(KeysError::Point)?,
            secret: secret.ok_or(KeysError::Secret)?,
        };
        // Whether it is on the curve only the agreement finds out.
        keys.encrypt(b"").map_err(|_| KeysError::Point)?;
        Ok(keys)
    }

    /// As the browser has written them: `p256dh` and `auth`.
    pub(crate) fn texts(&self) -> (String, String) {
        (BASE64_URL.encode(self.point), BASE64_URL.encode(self.secret))
    }

    /// The body of a request that has this text. An error says that it is too long, or that the system
    /// gives no randomness.
    pub(crate) fn encrypt(&self, text: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| Unspecified)?;
        self.encrypt_with(text, &PrivateKey::generate(&ECDH_P256)?, salt)
    }

    fn encrypt_with(
        &self,
        text: &[u8],
        own: &PrivateKey,
        salt: [u8; SALT_BYTES],
    ) -> Result<Vec<u8>, Unspecified> {
        if text.len() > PUSH_MESSAGE_BYTES_MAX {
            return Err(Unspecified);
        }
        let point = own.compute_public_key()?;
        let theirs = UnparsedPublicKey::new(&ECDH_P256, &self.point[..]);
        let (key, nonce) = agree(own, theirs, Unspecified, |shared| {
            let agreed = Salt::new(HKDF_SHA256, &self.secret).extract(shared);
            let of_both: [&[u8]; 3] = [b"WebPush: info\0", &self.point, point.as_ref()];
            let agreed: [u8; 32] = expand(&agreed, &of_both)?;
            let of_message = Salt::new(HKDF_SHA256, &salt).extract(&agreed);
            let key: [u8; 16] = expand(&of_message, &[b"Content-Encoding: aes128gcm\0"])?;
            let nonce: [u8; 12] = expand(&of_message, &[b"Content-Encoding: nonce\0"])?;
            Ok((key, nonce))
        })?;
        // The only record is the last one.
        let mut record = [text, &[2]].concat();
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)?;
        let size = RECORD_BYTES.to_be_bytes();
        Ok([&salt[..], &size, &[POINT_BYTES as u8], point.as_ref(), &record].concat())
    }
}

/// So many bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const BYTES: usize>(key: &Prk, info: &[&[u8]]) -> Result<[u8; BYTES], Unspecified> {
    let mut bytes = [0; BYTES];
    key.expand(info, Length(BYTES))?.fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of RFC 8291, appendix A.
    pub(in crate::push) const POINT: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    pub(in crate::push) const SECRET: &str = "BTBZMqHH6r4Tts7J_aSIgg";
    const TEXT: &[u8] = b"When I grow up, I want to be a watermelon";
    const OWN: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
    const SALT: &str = "DGv6ra1nlYgDCS1FRnbzlw";
    const MESSAGE: &str = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vC\
                           YLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXL\
                           WyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_URL.decode(text).expect("base64url")
    }

    #[test]
    fn a_message_is_that_of_the_standards_example() {
        let keys = ReceiverKeys::read(POINT, SECRET).expect("keys");
        let own = PrivateKey::from_private_key(&ECDH_P256, &bytes(OWN)).expect("a key");
        let salt = bytes(SALT).try_into().expect("a salt");
        let message = keys.encrypt_with(TEXT, &own, salt).expect("it fits");
        assert_eq!(BASE64_URL.encode(message), MESSAGE);
        assert_eq!(keys.texts(), (POINT.to_owned(), SECRET.to_owned()));
    }

    #[test]
    fn no_message_is_longer_than_push_services_take() {
        let keys = ReceiverKeys::read(POINT, SECRET).expect("keys");
        let longest = keys.encrypt(&vec![b'x'; PUSH_MESSAGE_BYTES_MAX]).expect("it fits");
        assert_eq!(longest.len(), 4_096);
        assert!(keys.encrypt(&vec![b'x'; PUSH_MESSAGE_BYTES_MAX + 1]).is_err());
        assert_ne!(keys.encrypt(TEXT), keys.encrypt(TEXT), "each has a key and a salt of its own");
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_no_key() {
        let mut off = bytes(POINT);
        off[64] ^= 1;
        let off = BASE64_URL.encode(off);
        for point in ["", "AAAA", "!", &POINT[1..], &off] {
            assert_eq!(ReceiverKeys::read(point, SECRET), Err(KeysError::Point), "{point}");
        }
        for secret in ["", "AAAA", POINT] {
            assert_eq!(ReceiverKeys::read(POINT, secret), Err(KeysError::Secret), "{secret}");
        }
        assert!(ReceiverKeys::read(&format!("{POINT}="), &format!("{SECRET}==")).is_ok());
    }
}
