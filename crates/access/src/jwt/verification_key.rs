//! A key that tokens are verified with. Its kind says what it may be used for, and nothing that a
//! token says changes that.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKey as RsaPublicKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use aws_lc_rs::{error::KeyRejected, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bellwire_model::limits::{HMAC_SECRET_BYTES_MAX, HMAC_SECRET_BYTES_MIN};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;

/// How a token is signed: those that are verified here, by their names in RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever verifies can sign.
    Hs256,
    /// RSA with PKCS #1 padding and SHA-256.
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The algorithm of this name; nothing where it is none of these. `none` is none of them.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            // The second is the name in RFC 9864.
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A key with its id and the one algorithm that it is for.
#[derive(Clone)]
pub struct VerificationKey {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Box<hmac::Key>),
    Public(Box<ParsedPublicKey>),
}

/// What a public key is made of, as a JWK says it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PublicParts<'a> {
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
    P256 { x: &'a [u8], y: &'a [u8] },
    Ed25519(&'a [u8]),
}

impl VerificationKey {
    /// A key for HS256. What looks like a public key is refused: everybody has it, and could sign
    /// with it.
    pub fn from_secret(id: Option<&str>, secret: &[u8]) -> Result<Self, KeyError> {
        match secret.len() {
            _ if is_key_file(secret) => return Err(KeyError::SecretIsKeyFile),
            0..HMAC_SECRET_BYTES_MIN => return Err(KeyError::SecretTooShort),
            HMAC_SECRET_BYTES_MIN..=HMAC_SECRET_BYTES_MAX => {}
            _ => return Err(KeyError::SecretTooLong),
        }
        let material = Material::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)));
        Ok(Self { id: id.map(Into::into), algorithm: Algorithm::Hs256, material })
    }

    /// The key in a PEM file (`BEGIN PUBLIC KEY`). Its kind says which algorithm it is for.
    pub fn from_pem(id: Option<&str>, pem: &[u8]) -> Result<Self, KeyError> {
        let begins = |what: &[u8]| pem.windows(what.len()).any(|window| window == what);
        if begins(b"PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::NotPem)?;
        let key: &[u8] = key.as_ref();
        let (algorithm, material) = if let Ok(rsa) = RsaPublicKey::from_der(key) {
            check_rsa_size(rsa.modulus_len())?;
            (Algorithm::Rs256, ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key))
        } else if let Ok(ecdsa) = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key) {
            (Algorithm::Es256, Ok(ecdsa))
        } else {
            (Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, key))
        };
        Self::public(id, algorithm, material)
    }

    pub(crate) fn from_parts(id: Option<&str>, parts: PublicParts<'_>) -> Result<Self, KeyError> {
        let (algorithm, material) = match parts {
            PublicParts::Rsa { modulus, exponent } => {
                check_rsa_size(modulus.len())?;
                let components = RsaPublicKeyComponents { n: modulus, e: exponent };
                // Through its encoding: a modulus and an exponent are looked at when they are read.
                let der = components.as_der().map_err(|_| KeyError::Unfit)?;
                (Algorithm::Rs256, ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_ref()))
            }
            PublicParts::P256 { x, y } => {
                // A coordinate with its leading zeros cut off is against RFC 7518, section 6.2.1.
                if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
                    return Err(KeyError::Unfit);
                }
                let point = [&[UNCOMPRESSED_POINT], x, y].concat();
                (Algorithm::Es256, ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point))
            }
            PublicParts::Ed25519(x) => {
                if x.len() != COORDINATE_BYTES {
                    return Err(KeyError::Unfit);
                }
                (Algorithm::EdDsa, ParsedPublicKey::new(&ED25519, x))
            }
        };
        Self::public(id, algorithm, material)
    }

    fn public(
        id: Option<&str>,
        algorithm: Algorithm,
        material: Result<ParsedPublicKey, KeyRejected>,
    ) -> Result<Self, KeyError> {
        let material = Material::Public(Box::new(material.map_err(|_| KeyError::Unfit)?));
        Ok(Self { id: id.map(Into::into), algorithm, material })
    }

    /// What tokens call it, where it has a name.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The one algorithm that it is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature is of this text by this key.
    pub(crate) fn is_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            // In constant time.
            Material::Secret(key) => hmac::verify(key, text, signature).is_ok(),
            Material::Public(key) => key.verify_sig(text, signature).is_ok(),
        }
    }

    /// Whether both are one key under any name.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.material, &other.material) {
            (Material::Public(one), Material::Public(two)) => {
                self.algorithm == other.algorithm && one.as_ref().as_ref() == two.as_ref().as_ref()
            }
            _ => false,
        }
    }
}

/// Says nothing of a secret.
impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Bytes of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE_BYTES: usize = 32;
/// What a point with both of its coordinates begins with.
const UNCOMPRESSED_POINT: u8 = 4;
/// RFC 7518, section 3.3, asks for at least 2048 bits; larger ones than 8192 take too long.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

fn check_rsa_size(modulus_bytes: usize) -> Result<(), KeyError> {
    if RSA_BYTES.contains(&modulus_bytes) { Ok(()) } else { Err(KeyError::RsaSize) }
}

/// Whether these bytes hold a key of another kind in one of the forms in which keys are handed out:
/// PEM, DER, the base64 of DER, a JWK, a line of OpenSSH.
fn is_key_file(secret: &[u8]) -> bool {
    let trimmed = secret.trim_ascii();
    let text = String::from_utf8_lossy(trimmed);
    let bare: Vec<u8> =
        trimmed.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    text.contains("-----BEGIN")
        || (text.starts_with('{') && text.contains("\"kty\""))
        || (text.starts_with('{') && text.contains("\"keys\""))
        || text.starts_with("ssh-")
        || text.starts_with("ecdsa-sha2-")
        || is_der_sequence(secret)
        || BASE64.decode(bare).is_ok_and(|decoded| is_der_sequence(&decoded))
}

/// Whether these bytes are one sequence of ASN.1 and nothing else, as all keys and certificates are.
fn is_der_sequence(bytes: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const LONG_FORM: u8 = 0x80;
    let [SEQUENCE, first, rest @ ..] = bytes else { return false };
    if *first < LONG_FORM {
        return rest.len() == usize::from(*first);
    }
    let Some((length, content)) = rest.split_at_checked(usize::from(first & !LONG_FORM)) else {
        return false;
    };
    // Three bytes of length: 16 MiB, more than any secret is read of.
    (1..=3).contains(&length.len())
        && length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)) == content.len()
}

/// Why a key cannot be verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A public key, certificate or key file where a secret is asked for.
    #[error(
        "this is a key file, not a secret: whoever has the public key could sign; configure it as a \
         public key"
    )]
    SecretIsKeyFile,
    /// A secret that can be guessed.
    #[error("a secret for HS256 has at least {HMAC_SECRET_BYTES_MIN} bytes (RFC 7518)")]
    SecretTooShort,
    /// A secret that is something else.
    #[error("a secret for HS256 has at most {HMAC_SECRET_BYTES_MAX} bytes")]
    SecretTooLong,
    /// A private key: only who signs needs it.
    #[error("this is a private key: only who signs needs it; configure its public key")]
    Private,
    /// No PEM with a public key.
    #[error(
        "no `BEGIN PUBLIC KEY` found: `openssl pkey -pubin` and `openssl x509 -pubkey -noout` write it"
    )]
    NotPem,
    /// An RSA key of another size.
    #[error("an RSA key has 2048 to 8192 bits")]
    RsaSize,
    /// A key of another kind, or none.
    #[error("the key is no valid one for RS256, ES256 (P-256) or EdDSA (Ed25519)")]
    Unfit,
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7
6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==
-----END PUBLIC KEY-----
";

    #[test]
    fn what_looks_like_a_key_file_is_no_secret() {
        let base64: String = P256_PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let der = BASE64.decode(&base64).unwrap();
        let wrapped = P256_PEM.lines().skip(1).take(2).collect::<Vec<_>>().join("\r\n");
        for secret in [
            P256_PEM.as_bytes(),
            &P256_PEM.replace('\n', "\r\n").into_bytes(),
            &der,
            base64.as_bytes(),
            wrapped.as_bytes(),
            format!("\n  {P256_PEM}").as_bytes(),
            b"{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78\"}",
            b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdd7y9aLlbRPmZiTTWWEAnvj0d0",
            b"-----BEGIN CERTIFICATE-----\n",
        ] {
            let refused = VerificationKey::from_secret(None, secret).unwrap_err();
            assert_eq!(refused, KeyError::SecretIsKeyFile, "{}", String::from_utf8_lossy(secret));
        }
    }

    #[test]
    fn a_secret_is_as_long_as_what_it_makes() {
        for (bytes, expected) in [
            (0, Some(KeyError::SecretTooShort)),
            (HMAC_SECRET_BYTES_MIN - 1, Some(KeyError::SecretTooShort)),
            (HMAC_SECRET_BYTES_MIN, None),
            (HMAC_SECRET_BYTES_MAX, None),
            (HMAC_SECRET_BYTES_MAX + 1, Some(KeyError::SecretTooLong)),
        ] {
            let made = VerificationKey::from_secret(None, &vec![b'k'; bytes]);
            assert_eq!(made.err(), expected, "{bytes}");
        }
    }

    #[test]
    fn a_public_key_says_what_it_is_for() {
        let key = VerificationKey::from_pem(Some("a"), P256_PEM.as_bytes()).unwrap();
        assert_eq!((key.id(), key.algorithm()), (Some("a"), Algorithm::Es256));
        let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (pem, expected) in [
            ("", KeyError::NotPem),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", KeyError::NotPem),
            (private, KeyError::Private),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", KeyError::Unfit),
        ] {
            let refused = VerificationKey::from_pem(None, pem.as_bytes()).unwrap_err();
            assert_eq!(refused, expected, "{pem}");
        }
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_is_no_key() {
        let (x, y) = ([1; 32], [2; 32]);
        for parts in [
            PublicParts::P256 { x: &x, y: &y },
            PublicParts::P256 { x: &x[1..], y: &y },
            PublicParts::P256 { x: &[], y: &[] },
            PublicParts::Ed25519(&x[1..]),
            PublicParts::Rsa { modulus: &[255; 256], exponent: &[] },
            PublicParts::Rsa { modulus: &[255; 256], exponent: &[1] },
            PublicParts::Rsa { modulus: &[255; 256], exponent: &[2] },
        ] {
            let refused = VerificationKey::from_parts(None, parts).err();
            assert_eq!(refused, Some(KeyError::Unfit), "{parts:?}");
        }
        let small = PublicParts::Rsa { modulus: &[255; 128], exponent: &[1, 0, 1] };
        assert_eq!(VerificationKey::from_parts(None, small).err(), Some(KeyError::RsaSize));
    }

    #[test]
    fn debug_text_says_nothing_of_a_secret() {
        let key = VerificationKey::from_secret(Some("a"), &[b's'; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains("115") && !shown.contains("ss"), "{shown}");
    }

    #[test]
    fn only_the_four_algorithms_have_names() {
        for algorithm in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        }
        for name in ["none", "None", "NONE", "", "hs256", "HS384", "RS512", "PS256", "ES256K"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
