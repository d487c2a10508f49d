//! Users of a small site, who have a name and a password and nobody else to vouch for them.
//!
//! Passwords are hashed with Argon2id under the parameters that OWASP's cheat sheet for storing
//! passwords names first: 19 MiB, two passes, one lane. Each check costs that, whoever asks: whoever
//! calls this bounds how many run at a time ([`PASSWORD_CHECKS_MAX`]).
//!
//! [`PASSWORD_CHECKS_MAX`]: bellwire_model::limits::PASSWORD_CHECKS_MAX

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use bellwire_model::limits::{
    ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, PASSWORD_BYTES_MAX,
    PASSWORD_CHARS_MIN, USERNAME_BYTES_MAX,
};
use thiserror::Error;

/// Bytes that are drawn for the salt of a password.
pub const SALT_BYTES: usize = 16;

const HASH_BYTES: usize = 32;
/// What a hash may have that others have made.
const HASH_BYTES_READ: RangeInclusive<usize> = 16..=64;
const SALT_BYTES_READ: RangeInclusive<usize> = 8..=64;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The least that OWASP lists, in memory and in memory times passes.
const MEMORY_KIB_MIN: u32 = 7 * 1024;
const WORK_MIN: u32 = 5 * MEMORY_KIB_MIN;

/// The name of a local user: letters, digits and `. _ - @ +` of ASCII, in lower case.
///
/// Names are ASCII so that each has one form and none looks like another, and in lower case so that
/// `Ann` and `ann` are not two people. What is typed in another case is read as this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(Box<str>);

impl Username {
    /// The name that this text is.
    pub fn read(text: &str) -> Result<Self, UsernameError> {
        let is_fit = |letter: u8| letter.is_ascii_alphanumeric() || b"._-@+".contains(&letter);
        match text.len() {
            0 => Err(UsernameError::Empty),
            1..=USERNAME_BYTES_MAX if text.bytes().all(is_fit) => {
                Ok(Self(text.to_ascii_lowercase().into()))
            }
            1..=USERNAME_BYTES_MAX => Err(UsernameError::Letters),
            _ => Err(UsernameError::TooLong),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is kept of a password, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    cost: Cost,
    salt: Box<[u8]>,
    hash: Box<[u8]>,
}

/// What one check costs. In the order of the work that it is, so that the costliest can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    work: u32,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    const TODAY: Self =
        Self { work: MEMORY_KIB * PASSES, memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };

    /// Of a hash that others may have made: it must neither take gigabytes nor be guessed in a day.
    fn read(params: &Params) -> Result<Self, PasswordHashError> {
        let (memory_kib, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        if memory_kib > ARGON2_MEMORY_KIB_MAX
            || passes > ARGON2_PASSES_MAX
            || lanes > ARGON2_LANES_MAX
        {
            return Err(PasswordHashError::TooCostly);
        }
        let cost = Self { work: memory_kib * passes, memory_kib, passes, lanes };
        if memory_kib < MEMORY_KIB_MIN || cost.work < WORK_MIN {
            return Err(PasswordHashError::TooWeak);
        }
        Ok(cost)
    }
}

impl PasswordHash {
    /// What is kept of a new password, with a salt that was drawn for it.
    ///
    /// The password counts as the bytes that were typed: browsers and terminals give composed
    /// characters, and a library that composes others is not worth what it weighs.
    pub fn new(password: &str, salt: [u8; SALT_BYTES]) -> Result<Self, PasswordError> {
        if password.chars().count() < PASSWORD_CHARS_MIN {
            return Err(PasswordError::TooShort);
        }
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        let mut made =
            Self { cost: Cost::TODAY, salt: salt.into(), hash: vec![0; HASH_BYTES].into() };
        made.hash = made.worked_out(password).ok_or(PasswordError::TooLong)?;
        Ok(made)
    }

    /// The hash that a PHC string has.
    pub fn read(text: &str) -> Result<Self, PasswordHashError> {
        let read = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Malformed)?;
        if read.algorithm != Algorithm::Argon2id.ident()
            || read.version != Some(Version::V0x13.into())
        {
            return Err(PasswordHashError::Algorithm);
        }
        // What is left out would be what the library thinks best this year.
        if !["m", "t", "p"].iter().all(|name| read.params.get(*name).is_some()) {
            return Err(PasswordHashError::Malformed);
        }
        let params = Params::try_from(&read).map_err(|_| PasswordHashError::Malformed)?;
        let (Some(salt), Some(hash)) = (read.salt, read.hash) else {
            return Err(PasswordHashError::Malformed);
        };
        if !HASH_BYTES_READ.contains(&hash.len()) || !SALT_BYTES_READ.contains(&salt.len()) {
            return Err(PasswordHashError::Malformed);
        }
        if !params.keyid().is_empty() || !params.data().is_empty() {
            return Err(PasswordHashError::Malformed);
        }
        let salt: &[u8] = salt.as_ref();
        Ok(Self { cost: Cost::read(&params)?, salt: salt.into(), hash: hash.as_bytes().into() })
    }

    /// Whether a new one should be made when its password is next seen: it is cheaper to guess than
    /// those of today.
    pub fn is_outdated(&self) -> bool {
        self.cost < Cost::TODAY
    }

    fn is_of(&self, password: &str) -> bool {
        let worked_out = self.worked_out(password);
        worked_out
            .is_some_and(|hash| constant_time::verify_slices_are_equal(&hash, &self.hash).is_ok())
    }

    /// The work. Nothing where the library refuses what has been checked here.
    fn worked_out(&self, password: &str) -> Option<Box<[u8]>> {
        let Cost { memory_kib, passes, lanes, .. } = self.cost;
        let mut hash = vec![0; self.hash.len()];
        let params = Params::new(memory_kib, passes, lanes, Some(hash.len())).ok()?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &self.salt, &mut hash)
            .ok()?;
        Some(hash.into())
    }
}

/// The PHC string.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory_kib, passes, lanes, .. } = self.cost;
        let (salt, hash) = (BASE64.encode(&self.salt), BASE64.encode(&self.hash));
        write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}")
    }
}

/// Says nothing of what it is a hash of: passwords can be guessed.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("cost", &self.cost).finish_non_exhaustive()
    }
}

/// All local users.
#[derive(Clone, Debug)]
pub struct LocalUsers {
    hashes: BTreeMap<Username, PasswordHash>,
    /// Whose hash is worked out where there is no such user: as costly as the costliest, so that
    /// nobody learns from the time that it takes who has an account.
    decoy: PasswordHash,
}

impl LocalUsers {
    /// Those users. Of two of one name the last counts.
    pub fn new(users: impl IntoIterator<Item = (Username, PasswordHash)>) -> Self {
        let hashes: BTreeMap<_, _> = users.into_iter().collect();
        let costliest = hashes.values().map(|hash| hash.cost).max();
        let decoy = PasswordHash {
            cost: costliest.unwrap_or(Cost::TODAY),
            salt: Box::new([0; SALT_BYTES]),
            hash: Box::new([0; HASH_BYTES]),
        };
        Self { hashes, decoy }
    }

    /// The user whose name and password these are. Takes tens of milliseconds and the memory that
    /// the hash says, whatever the name is.
    pub fn verify(&self, name: &str, password: &str) -> Option<&Username> {
        if password.len() > PASSWORD_BYTES_MAX {
            return None;
        }
        let name = Username::read(name).ok();
        let user = name.and_then(|name| self.hashes.get_key_value(&name));
        let is_right = user.map_or(&self.decoy, |(_, hash)| hash).is_of(password);
        user.filter(|_| is_right).map(|(name, _)| name)
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// Why a text is no name of a local user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsernameError {
    /// There is none.
    #[error("a user has a name")]
    Empty,
    /// It is too long.
    #[error("the name of a user has at most {USERNAME_BYTES_MAX} bytes")]
    TooLong,
    /// It has other letters.
    #[error("the name of a user has letters and digits of ASCII and `. _ - @ +` only")]
    Letters,
}

/// Why a password cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// It can be guessed.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    TooShort,
    /// It is more work than a password is worth.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
}

/// Why a text is no hash of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PasswordHashError {
    /// It is something else.
    #[error("this is no PHC string with a salt and a hash; `bellwire user add` writes one")]
    Malformed,
    /// It was made in another way.
    #[error("passwords are hashed with `argon2id` and `v=19`; `bellwire user add` writes that")]
    Algorithm,
    /// Each login would take too much.
    #[error(
        "the hash costs more than `m={ARGON2_MEMORY_KIB_MAX},t={ARGON2_PASSES_MAX},\
         p={ARGON2_LANES_MAX}`, in each of which it may cost less"
    )]
    TooCostly,
    /// Whoever gets it can guess the password.
    #[error("the hash costs less than OWASP's least, such as `m=7168,t=5,p=1`")]
    TooWeak,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the tests of the reference implementation (`src/test.c`): `password` with `somesalt`.
    const REFERENCE: &str = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                             CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn user(name: &str, hash: &PasswordHash) -> (Username, PasswordHash) {
        (Username::read(name).unwrap(), hash.clone())
    }

    #[test]
    fn a_hash_of_the_reference_implementation_is_verified() {
        let hash = PasswordHash::read(REFERENCE).unwrap();
        assert!(hash.is_of("password"));
        assert!(!hash.is_of("Password") && !hash.is_of("password\0") && !hash.is_of(""));
        assert_eq!(hash.to_string(), REFERENCE);
    }

    #[test]
    fn a_password_is_found_again_and_no_other() {
        let hash = PasswordHash::new("correct horse battery", [7; SALT_BYTES]).unwrap();
        let text = hash.to_string();
        assert!(
            text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$"),
            "{text}"
        );
        assert_eq!(PasswordHash::read(&text), Ok(hash.clone()));
        assert!(!hash.is_outdated());
        let users = LocalUsers::new([user("ann@example.com", &hash)]);
        let name = |name: &str, password: &str| users.verify(name, password).map(Username::as_str);
        assert_eq!(name("ann@example.com", "correct horse battery"), Some("ann@example.com"));
        assert_eq!(name("Ann@Example.com", "correct horse battery"), Some("ann@example.com"));
        assert_eq!(name("ann@example.com", "correct horse"), None);
        assert_eq!(name("bob@example.com", "correct horse battery"), None);
        assert_eq!(name("ann\n", "correct horse battery"), None);
        assert_eq!(name("ann@example.com", &"x".repeat(PASSWORD_BYTES_MAX + 1)), None);
    }

    #[test]
    fn somebody_who_does_not_exist_costs_as_much_as_whoever_costs_most() {
        let today = PasswordHash::new("correct horse battery", [7; SALT_BYTES]).unwrap();
        assert_eq!(LocalUsers::new([]).decoy.cost, Cost::TODAY);
        assert_eq!(LocalUsers::new([user("ann", &today)]).decoy.cost, Cost::TODAY);
        let costly = PasswordHash::read(REFERENCE).unwrap();
        let users = LocalUsers::new([user("ann", &today), user("bob", &costly)]);
        assert_eq!(users.decoy.cost, costly.cost);
        assert!(users.decoy.worked_out("any password at all").is_some(), "the work is done");
    }

    #[test]
    fn a_hash_that_takes_gigabytes_or_no_work_is_refused() {
        let with =
            |params: &str| PasswordHash::read(&REFERENCE.replace("m=65536,t=2,p=1", params)).err();
        let (weak, costly) = (Some(PasswordHashError::TooWeak), Some(PasswordHashError::TooCostly));
        for (params, expected) in [
            ("m=65536,t=3,p=4", None),
            ("m=19456,t=2,p=1", None),
            ("m=7168,t=5,p=1", None),
            ("m=47104,t=1,p=1", None),
            ("m=65537,t=2,p=1", costly),
            ("m=4194304,t=2,p=1", costly),
            ("m=4294967295,t=2,p=1", costly),
            ("m=65536,t=11,p=1", costly),
            ("m=65536,t=4294967295,p=1", costly),
            ("m=65536,t=2,p=5", costly),
            ("m=4096,t=3,p=1", weak),
            ("m=7167,t=10,p=1", weak),
            ("m=7168,t=4,p=1", weak),
            ("m=8,t=1,p=1", weak),
        ] {
            assert_eq!(with(params), expected, "{params}");
        }
    }

    #[test]
    fn what_is_no_hash_of_today_is_refused() {
        let other = Some(PasswordHashError::Algorithm);
        let malformed = Some(PasswordHashError::Malformed);
        for (text, expected) in [
            (String::new(), malformed),
            ("password".into(), malformed),
            ("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".into(), malformed),
            (REFERENCE.replace("argon2id", "argon2i"), other),
            (REFERENCE.replace("argon2id", "scrypt"), other),
            (REFERENCE.replace("v=19", "v=16"), other),
            (REFERENCE.replace("$v=19", ""), other),
            (REFERENCE.replace("m=65536,", ""), malformed),
            (REFERENCE.replace(",p=1", ",p=1,keyid=AAAA"), malformed),
            (REFERENCE.replace("c29tZXNhbHQ$", "c29t$"), malformed),
            (REFERENCE[..REFERENCE.len() - 30].into(), malformed),
            (REFERENCE.rsplit_once('$').unwrap().0.into(), malformed),
            (format!("{REFERENCE}$"), malformed),
        ] {
            assert_eq!(PasswordHash::read(&text).err(), expected, "{text}");
        }
    }

    #[test]
    fn a_new_password_is_neither_short_nor_a_book() {
        let new = |password: &str| PasswordHash::new(password, [0; SALT_BYTES]).err();
        assert_eq!(new(""), Some(PasswordError::TooShort));
        assert_eq!(new(&"é".repeat(PASSWORD_CHARS_MIN - 1)), Some(PasswordError::TooShort));
        assert_eq!(new(&"é".repeat(PASSWORD_CHARS_MIN)), None);
        assert_eq!(new(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Some(PasswordError::TooLong));
    }

    #[test]
    fn a_name_has_one_form() {
        let long = "a".repeat(USERNAME_BYTES_MAX + 1);
        for (text, expected) in [
            ("ann", Ok("ann")),
            ("Ann.Lee+ops@example-site.com", Ok("ann.lee+ops@example-site.com")),
            (&long[1..], Ok(&long[1..])),
            ("", Err(UsernameError::Empty)),
            (&long, Err(UsernameError::TooLong)),
            ("ann lee", Err(UsernameError::Letters)),
            ("ann:lee", Err(UsernameError::Letters)),
            ("ann\n", Err(UsernameError::Letters)),
            ("ann\0", Err(UsernameError::Letters)),
            ("ann/../bob", Err(UsernameError::Letters)),
            ("*", Err(UsernameError::Letters)),
            ("аnn", Err(UsernameError::Letters)),
            ("zoe\u{308}", Err(UsernameError::Letters)),
        ] {
            assert_eq!(
                Username::read(text).as_ref().map(Username::as_str),
                expected.as_ref().copied(),
                "{text}"
            );
        }
    }

    #[test]
    fn debug_text_says_nothing_of_a_password() {
        let users = LocalUsers::new([user("ann", &PasswordHash::read(REFERENCE).unwrap())]);
        let shown = format!("{users:?}");
        assert!(shown.contains("ann") && !shown.contains("CTFh"), "{shown}");
        assert!(!shown.contains("115, 111") && !shown.contains("[9, 49"), "{shown}");
    }
}
