//! `[[mqtt.broker]]` in the configuration file.

use std::path::PathBuf;
use std::time::Duration;

use bellwire_model::duration;
use bellwire_model::limits::{
    MQTT_CLIENT_ID_BYTES_MAX, MQTT_TOPIC_BYTES_MAX, MQTT_TOPICS_MAX, TOPIC_SEGMENTS_MAX,
};
use serde::Deserialize;
use url::{Host, Url};

use super::config::{BrokerAddress, BrokerConfig, BrokerLogin, BrokerVersion};
use crate::tls::TlsTable;

/// How long either side may be silent: a broker that hangs is noticed within one and a third of it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The longest that packets can say.
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(u16::MAX as u64);
/// How long the broker keeps what comes while we are away: enough for a restart, or a network that is
/// down. What has no time of its own counts as of when it comes here, however long it has waited.
const SESSION_EXPIRY: Duration = Duration::from_hours(1);
/// What begins a filter whose messages several clients share.
const SHARED: &str = "$share/";

/// One `[[mqtt.broker]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerTable {
    url: String,
    client_id: String,
    username: Option<String>,
    password_file: Option<PathBuf>,
    tls_config: Option<TlsTable>,
    version: Option<String>,
    #[serde(default)]
    topics: Vec<String>,
    keep_alive: Option<String>,
    session_expiry: Option<String>,
}

impl BrokerTable {
    /// The broker, or what is wrong with what is said of it.
    pub fn broker(self) -> Result<BrokerConfig, String> {
        let version = version(self.version.as_deref())?;
        for filter in &self.topics {
            check_filter(filter, version)?;
        }
        if self.topics.len() > MQTT_TOPICS_MAX {
            return Err(format!("`topics` has at most {MQTT_TOPICS_MAX} filters"));
        }
        if self.client_id.is_empty() || self.client_id.len() > MQTT_CLIENT_ID_BYTES_MAX {
            return Err(format!(
                "`client_id` has 1 to {MQTT_CLIENT_ID_BYTES_MAX} bytes: the broker knows by it what to \
                 keep, and nobody else on it may have the same"
            ));
        }
        if version == BrokerVersion::V311 && self.password_file.is_some() && self.username.is_none()
        {
            return Err("MQTT 3.1.1 knows no `password_file` without `username`".into());
        }
        let address = address(&self.url)?;
        if self.tls_config.is_some() && !address.is_secure {
            return Err("`tls_config` is for a `url` that begins with `mqtts://`".into());
        }
        let keep_alive = read("keep_alive", self.keep_alive.as_deref(), KEEP_ALIVE)?;
        if !(Duration::from_secs(1)..=KEEP_ALIVE_MAX).contains(&keep_alive) {
            return Err("`keep_alive` is from 1s to 65535s".into());
        }
        Ok(BrokerConfig {
            address,
            client_id: self.client_id.into(),
            login: BrokerLogin {
                username: self.username.map(Into::into),
                password_file: self.password_file,
            },
            tls: self.tls_config.map(TlsTable::files).transpose()?.unwrap_or_default(),
            version,
            filters: self.topics.into_iter().map(Into::into).collect(),
            keep_alive,
            session_expiry: read("session_expiry", self.session_expiry.as_deref(), SESSION_EXPIRY)?,
        })
    }
}

fn version(text: Option<&str>) -> Result<BrokerVersion, String> {
    match text {
        None => Ok(BrokerVersion::Newest),
        Some("5") => Ok(BrokerVersion::V5),
        Some("3.1.1") => Ok(BrokerVersion::V311),
        Some(other) => Err(format!("`version` is \"5\" or \"3.1.1\", not `{other}`")),
    }
}

fn address(text: &str) -> Result<BrokerAddress, String> {
    // Whatever stands before it may be a secret.
    let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let wrong = || {
        format!(
            "`url`: `{shown}` is not the place of a broker, such as mqtt://broker.example:1883 or \
             mqtts://broker.example; user and password stand in `username` and `password_file`"
        )
    };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let is_secure = match url.scheme() {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(wrong()),
    };
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = match url.host().filter(|_| is_plain).ok_or_else(wrong)? {
        Host::Domain(name) if !name.is_empty() => name.into(),
        Host::Domain(_) => return Err(wrong()),
        Host::Ipv4(ip) => ip.to_string().into(),
        Host::Ipv6(ip) => ip.to_string().into(),
    };
    let port = url.port().unwrap_or(if is_secure { 8883 } else { 1883 });
    Ok(BrokerAddress { host, port, is_secure })
}

/// Checks a filter of topics: `a/+/c`, `a/#`, `$share/group/a/+`.
fn check_filter(filter: &str, version: BrokerVersion) -> Result<(), String> {
    let wrong = |reason: &str| Err(format!("`topics`: `{filter}`: {reason}"));
    let mut topic = filter;
    if let Some(shared) = filter.strip_prefix(SHARED) {
        if version == BrokerVersion::V311 {
            return wrong("shared subscriptions are of MQTT 5");
        }
        match shared.split_once('/') {
            Some((group, rest)) if !group.is_empty() && !group.contains(['+', '#']) => topic = rest,
            _ => return wrong("a shared subscription is `$share/<group>/<filter>`"),
        }
    }
    let levels: Vec<&str> = topic.split('/').collect();
    let is_short = topic.len() <= MQTT_TOPIC_BYTES_MAX && levels.len() <= TOPIC_SEGMENTS_MAX;
    if topic.is_empty() || !is_short || filter.contains('\0') {
        return wrong("a filter has 1 to 1024 bytes, and not too many levels");
    }
    let is_wrong = |(place, level): (usize, &&str)| match *level {
        "+" => false,
        "#" => place + 1 < levels.len(),
        level => level.contains(['+', '#']),
    };
    if levels.iter().enumerate().any(is_wrong) {
        return wrong("`+` and `#` are a level of their own, and `#` is the last");
    }
    Ok(())
}

fn read(key: &str, text: Option<&str>, default: Duration) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(default) };
    duration::parse(text)
        .ok_or_else(|| format!("`{key}`: expected a duration such as 30s or 1h; not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(text: &str) -> Result<BrokerConfig, String> {
        toml::from_str::<BrokerTable>(text).map_err(|error| error.to_string())?.broker()
    }

    fn with(more: &str) -> Result<BrokerConfig, String> {
        broker(&format!("url = \"mqtts://b.example\"\nclient_id = \"c\"\n{more}"))
    }

    #[test]
    fn a_broker_is_a_url_and_a_name() {
        let plain = broker("url = \"mqtt://[::1]\"\nclient_id = \"c\"").expect("a broker");
        assert_eq!(plain.address.to_string(), "mqtt://[::1]:1883");
        assert_eq!((plain.keep_alive, plain.session_expiry), (KEEP_ALIVE, SESSION_EXPIRY));
        assert_eq!(plain.version, BrokerVersion::Newest);
        let full = with(
            "username = \"u\"\npassword_file = \"p\"\nversion = \"5\"\nkeep_alive = \"5s\"\n\
             session_expiry = \"0s\"\ntopics = [\"$share/g/a/+/#\", \"+\", \"#\", \"/a\"]\n\
             tls_config = { ca_file = \"ca\", cert_file = \"c\", key_file = \"k\" }",
        );
        let full = full.expect("a broker");
        assert_eq!(full.address.to_string(), "mqtts://b.example:8883");
        assert_eq!((full.filters.len(), full.session_expiry), (4, Duration::ZERO));
        assert!(full.tls.identity.is_some() && full.login.password_file.is_some());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("url = \"mqtt://h\"", "missing field `client_id`"),
            ("url = \"mqtt://h\"\nclient_id = \"\"", "`client_id` has 1 to 256 bytes"),
            ("url = \"tcp://h\"\nclient_id = \"c\"", "`url`: `tcp://h` is not the place"),
            ("url = \"mqtt://u:p@h\"\nclient_id = \"c\"", "`username` and `password_file`"),
            ("url = \"mqtt://h/x\"\nclient_id = \"c\"", "is not the place"),
            ("url = \"mqtt://h\"\nclient_id = \"c\"\ntls_config = {}", "`mqtts://`"),
        ] {
            let wrong = broker(text).expect_err(text);
            assert!(wrong.contains(expected) && !wrong.contains("u:p"), "{wrong}");
        }
        for (text, expected) in [
            ("version = \"4\"", "`version` is \"5\" or \"3.1.1\", not `4`"),
            ("keep_alive = \"0s\"", "`keep_alive` is from 1s"),
            ("keep_alive = \"soon\"", "`keep_alive`: expected a duration"),
            ("topics = [\"a/#/b\"]", "`#` is the last"),
            ("topics = [\"a+\"]", "a level of their own"),
            ("topics = [\"\"]", "1 to 1024 bytes"),
            ("topics = [\"$share/g\"]", "`$share/<group>/<filter>`"),
            ("topics = [\"$share/+/a\"]", "`$share/<group>/<filter>`"),
            ("topics = [\"$share/g/a\"]\nversion = \"3.1.1\"", "are of MQTT 5"),
            ("password_file = \"p\"\nversion = \"3.1.1\"", "without `username`"),
            ("tls_config = { cert_file = \"c\" }", "go together"),
        ] {
            let wrong = with(text).expect_err(text);
            assert!(wrong.contains(expected), "{wrong}");
        }
    }
}
