//! Configuration: one table of settings behind flags, environment and file.
//!
//! Flags win over environment (`BELLWIRE_LISTEN`) over file (`listen = …`) over defaults. The
//! table names each setting once; the command line, the file reader and the reference in the
//! documentation are made from it. What cannot be one value, such as `[[topic]]`, is read from
//! the file alone.

mod access;
mod file;
mod host;
mod ingest;
mod limits;
mod listen;
mod mqtt;
mod origin;
mod samples;
mod scrape;
mod setting;
mod suggestion;
mod values;
mod webhook;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwire_alerting::StandbyMode;
use bellwire_authn::CALLBACK_PATH;
pub use bellwire_authn::config::{
    AccessConfig, IssuerConfig, IssuerKey, IssuerKeys, KeySource, KeysPlace, LoginConfig, Plain,
    ProxyConfig, Publishing,
};
use bellwire_model::{Filter, Labels, Networks};
use bellwire_rules::RuleMode;
use bellwire_shards::{PastRule, PresenceTerms, TopicRule};
use bellwire_sources::scrape::Job;
use thiserror::Error;
use url::Url;

pub use host::Hosts;
pub use ingest::IngestConfig;
pub use listen::parse_listen;
pub use mqtt::MqttConfig;
pub use origin::Origins;
pub use setting::{Group, SETTINGS, Setting};
pub use webhook::Webhook;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where to accept connections; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Whether others than this machine may be listened to although nobody is asked who he is.
    pub insecure: bool,
    /// PEM file of the certificate and those below it, to speak TLS.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's private key.
    pub tls_key: Option<PathBuf>,
    /// Names that the server may be asked by, beside those that it knows itself.
    pub hosts: Hosts,
    /// The proxies in front, which say whose a request is.
    pub trusted_proxies: Networks,
    /// Whether their connections begin with the PROXY protocol.
    pub proxy_protocol: bool,
    /// The data directory, of the `disk` engine.
    pub data: PathBuf,
    /// Which engine keeps the journal.
    pub journal: Engine,
    /// When an event is acknowledged.
    pub durability: Durability,
    /// Which nodes it stands among, if any.
    pub cluster: ClusterConfig,
    /// Patterns of rule files.
    pub rules: Vec<String>,
    /// How rules are evaluated where their group does not say.
    pub rule_mode: RuleMode,
    /// Alertmanager's configuration file: whom to notify of alerts.
    pub alertmanager_config: Option<PathBuf>,
    /// How long nobody is notified after the start.
    pub notification_start_delay: Duration,
    /// What webhooks may reach although it is of this machine or its cloud alone.
    pub webhook_networks_allowed: Networks,
    /// How browsers are told of alerts though no page is open.
    pub push: PushConfig,
    /// How long streams keep events where `[[topic]]` says nothing else.
    pub retention_age: Duration,
    /// How long the rules' log is kept for replays; zero: no longer than a start needs.
    pub record_age: Duration,
    /// Bytes that are kept of it for replays.
    pub record_bytes_max: u64,
    /// What templates of rules name as `$externalLabels`.
    pub external_labels: Labels,
    /// Where people reach this server; `$externalURL` in templates.
    pub external_url: String,
    /// Whose followers may show themselves.
    pub presence: PresenceTerms,
    /// Whether the pages of the examples are shown: those of a demo, no setting.
    pub examples: bool,
    /// Which samples become values of `samples/…` topics.
    pub forward: Vec<Filter>,
    /// How much is remembered of which series on state topics, first match first.
    pub sample_history: Vec<PastRule>,
    /// Bytes that all that is remembered of series takes.
    pub history_bytes_max: usize,
    /// Origins whose pages may read and publish.
    pub allowed_origins: Origins,
    /// Silence after which a stream sends a heartbeat.
    pub heartbeat_interval: Duration,
    /// How long a client may take no byte although there is something to send.
    pub stall_timeout: Duration,
    /// Threads that serve streams; 0 for one for each core.
    pub shards: usize,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections of one address at a time; 0 for no limit.
    pub connections_per_address_max: u32,
    /// New connections of one address in a second; 0 for no limit.
    pub connects_per_second_per_address_max: u32,
    /// Memory of the process beyond which new subscribers are refused; 0 for a share of what
    /// there is.
    pub memory_bytes_max: u64,
    /// How long a query may take.
    pub query_timeout: Duration,
    /// Samples that a query may hold at once.
    pub query_samples_max: usize,
    /// Queries at a time.
    pub queries_max: usize,
    /// What the configuration says of topics, first match first.
    pub topics: Vec<TopicRule>,
    /// How what others post becomes events.
    pub webhooks: Vec<Webhook>,
    /// Who may come in, and what they may. `None`: everybody, and everything.
    pub access: Option<AccessConfig>,
    /// How what sources send is taken.
    pub ingest: IngestConfig,
    /// What is scraped.
    pub scrape: Vec<Job>,
    /// The file that says what no setting can, and is read again at a reload.
    pub file: Option<PathBuf>,
    /// Where sensors publish over MQTT, and brokers of theirs. `None`: nowhere.
    pub mqtt: Option<MqttConfig>,
}

/// How browsers are told of alerts though no page is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PushConfig {
    /// Whether they may be.
    pub enabled: bool,
    /// Whom those may write to who run push services; empty for nobody who is named.
    pub contact: String,
    /// How long a browser is told after a page was last open in it.
    pub lifetime: Duration,
    /// What push services may have for addresses although others may not.
    pub networks_allowed: Networks,
}

/// Which nodes a server stands among.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The address of the engine that they share, which may have a password. `None`: it stands alone.
    pub engine: Option<String>,
    /// What the cluster is called in it.
    pub name: String,
    /// Where other nodes reach this one; empty for where it listens.
    pub address: String,
    /// Whether another node has what the rules know, and who waits for that.
    pub standby: StandbyMode,
}

/// Without the password that an address may have.
impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = self.engine.as_ref().and_then(|url| url.split_once(':')).map(|(kind, _)| kind);
        f.debug_struct("ClusterConfig")
            .field("engine", &engine)
            .field("name", &self.name)
            .field("address", &self.address)
            .field("standby", &self.standby)
            .finish()
    }
}

/// Which engine keeps the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded database in the data directory.
    Disk,
    /// In memory: gone with the process, for trying things out.
    Memory,
}

/// When an event is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it is synced to disk.
    Sync,
    /// When it is written; synced at an interval. Survives a crash of the process, not a power cut.
    Interval,
}

impl Default for Config {
    fn default() -> Self {
        let mut config = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            insecure: false,
            tls_certificate: None,
            tls_key: None,
            hosts: Hosts::default(),
            trusted_proxies: Networks::default(),
            proxy_protocol: false,
            data: PathBuf::new(),
            journal: Engine::Disk,
            durability: Durability::Sync,
            cluster: ClusterConfig::default(),
            rules: Vec::new(),
            rule_mode: RuleMode::Stream,
            alertmanager_config: None,
            notification_start_delay: Duration::ZERO,
            webhook_networks_allowed: Networks::default(),
            push: PushConfig::default(),
            retention_age: Duration::ZERO,
            record_age: Duration::ZERO,
            record_bytes_max: 0,
            external_labels: Labels::empty(),
            external_url: String::new(),
            forward: Vec::new(),
            sample_history: Vec::new(),
            history_bytes_max: 0,
            presence: PresenceTerms { topics: Vec::new(), grace: Duration::ZERO, named_max: 0 },
            examples: false,
            allowed_origins: Origins::default(),
            heartbeat_interval: Duration::ZERO,
            stall_timeout: Duration::ZERO,
            shards: 0,
            connections_max: 0,
            connections_per_address_max: 0,
            connects_per_second_per_address_max: 0,
            memory_bytes_max: 0,
            query_timeout: Duration::ZERO,
            query_samples_max: 0,
            queries_max: 0,
            topics: Vec::new(),
            webhooks: Vec::new(),
            access: None,
            ingest: IngestConfig::default(),
            scrape: Vec::new(),
            file: None,
            mqtt: None,
        };
        for setting in SETTINGS {
            let values = setting.default.split(',').filter(|value| !value.is_empty());
            let values: Vec<String> = values.map(ToOwned::to_owned).collect();
            setting.apply(&mut config, &values).expect("defaults are valid");
        }
        config
    }
}

/// What is wrong with the configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {reason}")]
pub struct ConfigError {
    /// `file:line:column`, `--flag` or `VARIABLE`.
    pub place: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Whoever reaches the port could do everything, and others than this machine reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "`listen` is {listen}, which others than this machine may reach, and nobody would be asked who he \
     is: whoever comes could read and publish everything. Listen on this machine alone \
     (`--listen 127.0.0.1:{}`), with a proxy in front that asks; or say who may do what (`[access]` \
     in the configuration file); or say that everybody may (`--insecure`)",
    listen.port()
)]
pub struct Exposed {
    listen: SocketAddr,
}

/// Values given on the command line, by key.
pub type Flags = Vec<(&'static str, Vec<String>)>;

impl Config {
    /// Reads all layers. `variable` looks up the environment.
    pub fn load(
        file: Option<&Path>,
        variable: impl Fn(&str) -> Option<String>,
        flags: &Flags,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut config = Self::default();
        let mut errors = Vec::new();
        if let Some(path) = file {
            errors.extend(file::apply(&mut config, path));
            config.file = Some(path.to_owned());
        }
        for setting in SETTINGS {
            let name = setting.variable();
            if let Some(value) = variable(&name) {
                let values: Vec<String> = if setting.is_list {
                    value.split(',').map(|value| value.trim().to_owned()).collect()
                } else {
                    vec![value]
                };
                let result = setting.apply(&mut config, &values);
                errors.extend(result.err().map(|reason| ConfigError { place: name, reason }));
            }
        }
        for (key, values) in flags {
            let setting = SETTINGS.iter().find(|setting| setting.key == *key);
            let setting = setting.expect("flags are made from the table");
            let place = format!("--{}", setting.flag());
            let result = setting.apply(&mut config, values);
            errors.extend(result.err().map(|reason| ConfigError { place, reason }));
        }
        if errors.is_empty() && config.proxy_protocol && config.trusted_proxies.is_empty() {
            let reason = "nobody could come in: say in `trusted_proxies` who the proxies are";
            let place = "proxy_protocol".to_owned();
            errors.push(ConfigError { place, reason: reason.to_owned() });
        }
        errors.extend(config.settle().err());
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// What the file says by now of what is scraped.
    pub fn read_scrape(file: Option<&Path>) -> Result<Vec<Job>, Vec<ConfigError>> {
        let Some(path) = file else { return Ok(Vec::new()) };
        let mut config = Self::default();
        let errors = file::apply(&mut config, path);
        if errors.is_empty() { Ok(config.scrape) } else { Err(errors) }
    }

    /// Has other settings say what `[access]` goes by.
    fn settle(&mut self) -> Result<(), ConfigError> {
        let lacking = |place: &str, reason: &str| {
            Err(ConfigError { place: place.to_owned(), reason: reason.to_owned() })
        };
        let Some(access) = &mut self.access else { return Ok(()) };
        if access.proxy.is_some() && self.trusted_proxies.is_empty() {
            let reason = "`trusted_proxies` says where the proxies are: there are none, and the word of \
                          nobody else counts";
            return lacking("[access.proxy]", reason);
        }
        if let Some(login) = &mut access.login
            && login.redirect_url.is_none()
        {
            let url = Url::parse(&format!("{}{CALLBACK_PATH}", self.external_url)).ok();
            if url.is_none() {
                let reason = "`external_url` says where people reach this server, where the provider \
                              sends them back to; or `redirect_url` does: there is neither";
                return lacking("[access.login]", reason);
            }
            login.redirect_url = url;
        }
        Ok(())
    }

    /// Whether nobody is asked who he is, or everybody may come as whoever runs the server.
    pub fn is_open(&self) -> bool {
        self.access.as_ref().is_none_or(AccessConfig::lets_in_everybody)
    }

    /// Whether others than this machine may reach what is open.
    pub fn is_exposed(&self) -> bool {
        self.is_open() && self.reachable().is_some()
    }

    /// Where others than this machine may reach it.
    fn reachable(&self) -> Option<SocketAddr> {
        let listens = [Some(self.listen), self.mqtt.as_ref().and_then(|mqtt| mqtt.listen)];
        let reachable = |listen: &SocketAddr| !listen.ip().to_canonical().is_loopback();
        listens.into_iter().flatten().find(reachable)
    }

    /// What webhooks reach beside what everybody may. Where only this machine comes in, and unasked, it
    /// gains nothing by a request of ours that it could make itself.
    pub fn webhook_networks(&self) -> Networks {
        self.beside(&self.webhook_networks_allowed)
    }

    /// The same of push services.
    pub fn push_networks(&self) -> Networks {
        self.beside(&self.push.networks_allowed)
    }

    fn beside(&self, allowed: &Networks) -> Networks {
        let allowed = allowed.clone();
        if self.is_open() && !self.is_exposed() { allowed.with_loopback() } else { allowed }
    }

    /// Checks that nobody is let in by mistake.
    pub fn check_exposure(&self) -> Result<(), Exposed> {
        match self.reachable() {
            Some(listen) if self.is_open() && !self.insecure => Err(Exposed { listen }),
            _ => Ok(()),
        }
    }
}

/// What all of our variables begin with.
const VARIABLE_PREFIX: &str = "BELLWIRE_";

/// Variables that are ours and no settings: what is logged, where commands look for a server, and what
/// they show it.
const OTHER_VARIABLES: [&str; 3] = ["log", "server", "token"];

/// A variable with our prefix that is none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// Ours that it looks like. Others may have names such as `BELLWIRE_SERVICE_HOST` for what is
    /// theirs; but this one is most likely a slip.
    pub meant: Option<String>,
}

impl From<&UnknownVariable> for ConfigError {
    fn from(unknown: &UnknownVariable) -> Self {
        let meant = unknown.meant.as_ref();
        let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        let reason = format!("there is no such variable{meant}");
        Self { place: unknown.name.clone(), reason }
    }
}

/// Which of the names of variables have our prefix, and are none of ours.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<UnknownVariable> {
    let ours = || SETTINGS.iter().map(|setting| setting.key).chain(OTHER_VARIABLES);
    let unknown = |name: String| {
        let written = name.strip_prefix(VARIABLE_PREFIX)?;
        if ours().any(|key| key.to_uppercase() == written) {
            return None;
        }
        // Only settings are relied on by a server; and others' `SERVICE_HOST` is no `SERVER`.
        let meant = suggestion::nearest(written, SETTINGS.iter().map(|setting| setting.key));
        let meant = meant.map(|key| format!("{VARIABLE_PREFIX}{}", key.to_uppercase()));
        Some(UnknownVariable { name, meant })
    };
    let mut unknown: Vec<_> = names.into_iter().filter_map(unknown).collect();
    unknown.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    unknown
}

/// How a duration is written, for those who wrote it otherwise.
const DURATION_FORM: &str = "a duration such as 30s, 24h or 1h30m: larger units first, each once";

/// A number of bytes: `1048576`, `512KiB`, `64MiB`, `1GiB`, `2TiB`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_prometheus() {
        let load = |text: &str| {
            let flags = vec![("heartbeat_interval", vec![text.to_owned()])];
            Config::load(None, |_| None, &flags)
        };
        for (text, ms) in [("250ms", 250), ("1h30m", 5_400_000), ("1w1d", 691_200_000)] {
            let config = load(text).expect(text);
            assert_eq!(config.heartbeat_interval, Duration::from_millis(ms), "{text}");
        }
        for text in ["", "0", "5", "1.5h", "30m1h", "30s30s", "99999999999999999999s"] {
            let [error] = &load(text).expect_err(text)[..] else { panic!("one mistake: {text}") };
            let told = error.to_string();
            assert!(told.contains("larger units first, each once"), "{told}");
            assert!(told.starts_with("--heartbeat-interval"), "{told}");
        }
    }

    #[test]
    fn sizes_read_as_written() {
        assert_eq!(parse_bytes("1GiB"), Some(1 << 30));
        assert_eq!(parse_bytes("64 MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("1GB"), None);
    }

    #[test]
    fn flags_win_over_the_environment_over_the_defaults() {
        let variable = |name: &str| (name == "BELLWIRE_LISTEN").then(|| "127.0.0.1:1".to_owned());
        let config = Config::load(None, variable, &Vec::new()).expect("valid");
        assert_eq!(config.listen.port(), 1);
        let flags = vec![("listen", vec!["127.0.0.1:2".to_owned()])];
        let config = Config::load(None, variable, &flags).expect("valid");
        assert_eq!(config.listen.port(), 2);
        assert_eq!(Config::load(None, |_| None, &Vec::new()).expect("valid").listen.port(), 8080);
    }

    #[test]
    fn what_would_serve_nobody_is_refused() {
        for (key, value, reason) in [
            ("memory_bytes_max", "10", "it is 64MiB at least, or 0"),
            ("memory_bytes_max", "63MiB", "it is 64MiB at least, or 0"),
            ("connections_max", "0", "above 0"),
            ("data", "", "expected a directory"),
            ("stall_timeout", "25h", "at most 24h"),
            ("queries_max", "0", "above 0"),
            ("heartbeat_interval", "0s", "expected a duration"),
        ] {
            let flags = vec![(key, vec![value.to_owned()])];
            let errors = Config::load(None, |_| None, &flags).expect_err(key);
            assert!(errors[0].reason.contains(reason), "{key} {value}: {errors:?}");
        }
        for value in ["0", "64MiB", "1TiB"] {
            let flags = vec![("memory_bytes_max", vec![value.to_owned()])];
            Config::load(None, |_| None, &flags).expect(value);
        }
    }

    #[test]
    fn variables_of_others_are_told_from_slips() {
        let ours = ["BELLWIRE_LOG", "BELLWIRE_DATA", "BELLWIRE_SERVER", "HOME"];
        let others = ["BELLWIRE_LISTN", "BELLWIRE_PORT", "BELLWIRE_SERVICE_HOST"];
        let names = ours.into_iter().chain(others).map(ToOwned::to_owned);
        let unknown = unknown_variables(names);
        let found: Vec<_> = unknown.iter().map(|u| (&*u.name, u.meant.as_deref())).collect();
        let meant = [Some("BELLWIRE_LISTEN"), None, None];
        assert_eq!(found, others.into_iter().zip(meant).collect::<Vec<_>>());
        let error = ConfigError::from(&unknown[0]).to_string();
        let expected = "there is no such variable; did you mean `BELLWIRE_LISTEN`?";
        assert_eq!(error, format!("BELLWIRE_LISTN: {expected}"));
    }

    #[test]
    fn only_this_machine_is_let_in_unasked_unless_that_is_meant() {
        let exposed = |listen: &str, more: &[(&'static str, &str)]| {
            let flags = std::iter::once(("listen", listen)).chain(more.iter().copied());
            let flags = flags.map(|(key, value)| (key, vec![value.to_owned()])).collect();
            Config::load(None, |_| None, &flags).expect("valid").check_exposure().err()
        };
        for listen in ["8080", "127.0.0.1:1", "127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(exposed(listen, &[]), None, "{listen}");
        }
        for listen in ["0.0.0.0:8080", "[::]:8080", "192.0.2.7:8080", "[2001:db8::1]:8080"] {
            let told = exposed(listen, &[]).expect(listen).to_string();
            for way in ["--listen 127.0.0.1:8080", "[access]", "--insecure"] {
                assert!(told.contains(way), "{told}");
            }
            assert_eq!(exposed(listen, &[("insecure", "true")]), None, "{listen}");
            assert!(exposed(listen, &[("insecure", "false")]).is_some(), "{listen}");
        }
        let mut config = Config { listen: ([0, 0, 0, 0], 1).into(), ..Config::default() };
        config.access = Some(AccessConfig::default());
        assert_eq!(config.check_exposure(), Ok(()), "who comes is asked");
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let variable = |name: &str| (name == "BELLWIRE_DURABILITY").then(|| "maybe".to_owned());
        let flags = vec![("listen", vec!["nowhere".to_owned()])];
        let errors = Config::load(None, variable, &flags).expect_err("two mistakes");
        let places: Vec<_> = errors.iter().map(|error| error.place.as_str()).collect();
        assert_eq!(places, ["BELLWIRE_DURABILITY", "--listen"]);
    }
}
