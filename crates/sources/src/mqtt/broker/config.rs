//! A broker as it is configured.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::tls::TlsFiles;

/// A broker, and how it is come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Where it is.
    pub address: BrokerAddress,
    /// Our name, by which it knows the session.
    pub client_id: Box<str>,
    /// What it is shown.
    pub login: BrokerLogin,
    /// Whom of it to trust, and with which certificate to come.
    pub tls: TlsFiles,
    /// In which version it is spoken to.
    pub version: BrokerVersion,
    /// The filters of what is asked for. None: those of all topics that are configured.
    pub filters: Vec<Box<str>>,
    /// How long either side may be silent.
    pub keep_alive: Duration,
    /// How long the broker keeps what comes while we are away.
    pub session_expiry: Duration,
}

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Its name, or its IP address.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to through TLS.
    pub is_secure: bool,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (if self.is_secure { "mqtts" } else { "mqtt" }, &self.host);
        if host.contains(':') {
            return write!(f, "{scheme}://[{host}]:{}", self.port);
        }
        write!(f, "{scheme}://{host}:{}", self.port)
    }
}

/// What a broker is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerLogin {
    /// The user.
    pub username: Option<Box<str>>,
    /// Where the password is. It is read anew each time.
    pub password_file: Option<PathBuf>,
}

/// In which version a broker is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BrokerVersion {
    /// 5, and 3.1.1 from when the broker has said that it does not know it.
    #[default]
    Newest,
    /// 5.
    V5,
    /// 3.1.1.
    V311,
}
