//! The shared log on engines that users run: NATS JetStream and Redis.
//!
//! Nothing outside of this crate knows either: [`connect`] gives a [`SharedLog`].

mod answer;
#[cfg(feature = "jetstream")]
mod jetstream;
#[cfg(feature = "redis")]
mod redis;
mod runtime;

use std::path::PathBuf;
use std::sync::Arc;

use bellwire_model::limits::CLUSTER_NAME_BYTES_MAX;
use bellwire_shared_log::{Error, SharedLog};
use url::Url;

/// What a cluster is called where nobody has said otherwise.
pub const CLUSTER_DEFAULT: &str = "bellwire";

/// What a node knows of its engine beside its address.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the cluster: clusters of several names may share an engine. It is of `a`–`z`,
    /// `0`–`9` and `-`.
    pub cluster: String,
    /// A file with credentials, where they are not in the address: a `.creds` file of NATS.
    pub credentials: Option<PathBuf>,
    /// Certificates of those whom we trust in place of the system's, as PEM, for TLS.
    pub authorities: Option<PathBuf>,
    /// On how many servers a log is kept that is made anew; where nothing is said as many as the
    /// engine has, up to three.
    pub replicas: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cluster: CLUSTER_DEFAULT.to_owned(),
            credentials: None,
            authorities: None,
            replicas: None,
        }
    }
}

/// An address, by which engine it is of.
enum Address {
    Nats(Vec<Url>),
    Redis(Url),
}

/// Whether an address is one, without going there.
pub fn check_address(address: &str) -> Result<(), Error> {
    read(address).map(drop)
}

/// Whether a cluster may be called so: its name is part of names inside of the engines.
pub fn check_cluster_name(name: &str) -> Result<(), Error> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let has_length = (1..=CLUSTER_NAME_BYTES_MAX).contains(&name.len());
    if has_length && name.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(Error::Unfit(format!(
        "`{name}` cannot be the name of a cluster: 1 to {CLUSTER_NAME_BYTES_MAX} of a–z, 0–9 and - can"
    )))
}

/// The log of a cluster on the engine at `address`, which is made there if it is not there yet.
///
/// The address is a URL whose scheme says which engine it is: `nats://` or `tls://`, `redis://` or
/// `rediss://`. Of NATS several servers may be named, with commas between them.
pub fn connect(address: &str, options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    check_cluster_name(&options.cluster)?;
    match read(address)? {
        Address::Nats(urls) => on_jetstream(&urls, options),
        Address::Redis(url) => on_redis(&url, options),
    }
}

fn read(address: &str) -> Result<Address, Error> {
    let mut urls = urls(address)?;
    match (urls[0].scheme(), urls.len()) {
        ("nats" | "tls", _) => Ok(Address::Nats(urls)),
        ("redis" | "rediss", 1) => Ok(Address::Redis(urls.remove(0))),
        ("redis" | "rediss", _) => {
            Err(Error::Unfit("give one address of Redis, not several".to_owned()))
        }
        (scheme, _) => Err(Error::Unfit(format!(
            "`{scheme}://` is no engine: give an address that begins with nats://, tls://, redis:// \
             or rediss://"
        ))),
    }
}

#[cfg(feature = "jetstream")]
fn on_jetstream(urls: &[Url], options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    jetstream::connect(urls, options)
}

#[cfg(not(feature = "jetstream"))]
fn on_jetstream(_urls: &[Url], _options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    Err(left_out("NATS", "jetstream"))
}

#[cfg(feature = "redis")]
fn on_redis(url: &Url, options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    redis::connect(url, options)
}

#[cfg(not(feature = "redis"))]
fn on_redis(_url: &Url, _options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    Err(left_out("Redis", "redis"))
}

#[cfg(not(all(feature = "jetstream", feature = "redis")))]
fn left_out(engine: &str, feature: &str) -> Error {
    Error::Unfit(format!(
        "this program was built without {engine}: build it with the feature `{feature}`"
    ))
}

/// The addresses, at least one; what the first one begins with need not be said again. Errors do not
/// repeat them: there may be passwords in them.
fn urls(address: &str) -> Result<Vec<Url>, Error> {
    let scheme = address.split_once("://").map_or("", |(scheme, _)| scheme);
    let of = |part: &str| {
        let part = part.trim();
        let whole =
            if part.contains("://") { part.to_owned() } else { format!("{scheme}://{part}") };
        let url = Url::parse(&whole).ok().filter(Url::has_host);
        let is_same = |url: &Url| url.scheme() == scheme || matches!(scheme, "nats" | "tls");
        url.filter(is_same).ok_or_else(|| {
            Error::Unfit(
                "the engine's address is none: it is to be like nats://10.0.0.7:4222".to_owned(),
            )
        })
    };
    address.split(',').map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for (address, expected) in [
            ("", "the engine's address is none"),
            ("10.0.0.7:4222", "the engine's address is none"),
            ("nats://", "the engine's address is none"),
            ("nats://a:secret@b:port", "the engine's address is none"),
            ("redis://a,nats://b", "the engine's address is none"),
            ("redis://a,b", "give one address"),
            ("kafka://a:9092", "`kafka://` is no engine"),
            ("http://secret@a", "`http://` is no engine"),
        ] {
            let error = connect(address, &Options::default()).unwrap_err();
            assert_eq!(
                check_address(address),
                Err(error.clone()),
                "it is seen without going there"
            );
            assert!(matches!(&error, Error::Unfit(_)), "{address}: {error:?}");
            let error = error.to_string();
            assert!(error.starts_with(expected), "{address}: {error}");
            assert!(!error.contains("secret"), "{address}: {error}");
        }
    }

    #[test]
    fn several_servers_may_be_named() {
        for (address, expected) in [
            ("nats://a:1", "nats://a:1"),
            ("nats://a:1,b:2, c", "nats://a:1 nats://b:2 nats://c"),
            ("tls://u:p@a,tls://b", "tls://u:p@a tls://b"),
            ("rediss://[::1]:7000", "rediss://[::1]:7000"),
        ] {
            let urls = urls(address).unwrap();
            let urls: Vec<&str> = urls.iter().map(Url::as_str).collect();
            assert_eq!(urls.join(" "), expected);
        }
    }

    #[test]
    fn a_cluster_is_named_with_few_characters() {
        let (longest, longer) = ("a".repeat(32), "a".repeat(33));
        for (name, expected) in [
            ("bellwire", true),
            ("a-1", true),
            (&longest, true),
            (&longer, false),
            ("", false),
            ("A", false),
            ("a.b", false),
        ] {
            assert_eq!(check_cluster_name(name).is_ok(), expected, "{name}");
        }
    }
}
