//! The table of settings.

use std::path::PathBuf;
use std::time::Duration;

use bellwire_alerting::StandbyMode;
use bellwire_model::limits::{MEMORY_BYTES_MIN, PRESENCE_GRACE_MAX, PRESENCE_NAMED_MAX};
use bellwire_model::{Labels, duration};
use bellwire_rules::RuleMode;

use super::values::{
    choose, cluster_name, cluster_url, networks, node_address, one, parse, path, positive,
    push_contact, span_of_time,
};
use super::{
    Config, DURATION_FORM, Durability, Engine, Hosts, Origins, VARIABLE_PREFIX, parse_bytes,
    parse_listen,
};

/// One setting: its names, its default, its explanation, and what it does.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file; flag and variable are made from it.
    pub key: &'static str,
    /// What stands for the value in help texts.
    pub value_name: &'static str,
    /// The default as one would write it; several values with commas.
    pub default: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Under which heading help texts list it.
    pub group: Group,
    /// Whether it takes several values: a repeated flag, an array in the file, commas in a variable.
    pub is_list: bool,
    set: fn(&mut Config, &[String]) -> Result<(), String>,
}

/// Settings that belong together, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Where it listens, and how.
    Listening,
    /// What is kept where, and for how long.
    Storage,
    /// Rules, and what they say of this server.
    Rules,
    /// Whom to notify.
    Notifications,
    /// What streams and pages get.
    Streams,
    /// How much there may be.
    Limits,
}

impl Group {
    /// As a heading.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Listening => "Listening",
            Self::Storage => "Storage",
            Self::Rules => "Rules",
            Self::Notifications => "Notifications",
            Self::Streams => "Streams and pages",
            Self::Limits => "Limits",
        }
    }
}

impl Setting {
    /// The flag, without the dashes in front.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// Whether its flag says all without a value.
    pub fn is_switch(&self) -> bool {
        self.default == "false"
    }

    /// The environment variable.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.to_uppercase())
    }

    /// Sets the value, or says what is wrong with it.
    pub(super) fn apply(&self, config: &mut Config, values: &[String]) -> Result<(), String> {
        (self.set)(config, values)
    }
}

/// All settings, in the order of the reference.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        value_name: "ADDR",
        default: "127.0.0.1:8080",
        help: "Address to accept connections on. A port alone is one of this machine, reached from \
               here only; 0.0.0.0:8080 is open to others. Port 0 picks a free one.",
        group: Group::Listening,
        is_list: false,
        set: |config, values| {
            config.listen = parse_listen(one(values)?)?;
            Ok(())
        },
    },
    Setting {
        key: "insecure",
        value_name: "BOOL",
        default: "false",
        help: "Whether to listen on an address that others than this machine reach although nobody is \
               asked who he is: whoever comes may read and publish everything.",
        group: Group::Listening,
        is_list: false,
        set: |config, values| {
            config.insecure = choose(values, &[("true", true), ("false", false)])?;
            Ok(())
        },
    },
    Setting {
        key: "tls_certificate",
        value_name: "FILE",
        default: "",
        help: "PEM file of the certificate chain, to speak TLS; read again when it changes, and at SIGHUP.",
        group: Group::Listening,
        is_list: false,
        set: |config, values| path(values, &mut config.tls_certificate),
    },
    Setting {
        key: "tls_key",
        value_name: "FILE",
        default: "",
        help: "PEM file of the certificate's private key.",
        group: Group::Listening,
        is_list: false,
        set: |config, values| path(values, &mut config.tls_key),
    },
    Setting {
        key: "hosts",
        value_name: "NAME",
        default: "",
        help: "Names that requests may be for, beside localhost, addresses, and the names of the \
               certificate, of this machine and of `external_url`; `*.example.com` for all below a \
               domain, `*` for any. Others get 421: a page may have pointed its name here.",
        group: Group::Listening,
        is_list: true,
        set: |config, values| {
            config.hosts = Hosts::read(values)?;
            Ok(())
        },
    },
    Setting {
        key: "trusted_proxies",
        value_name: "NETWORK",
        default: "",
        help: "Addresses and networks such as 10.0.0.0/8 of the proxies in front, `loopback` for \
               127.0.0.0/8 and ::1: their `Forwarded` or `X-Forwarded-For` says whose a request is. \
               What others say of that does not count.",
        group: Group::Listening,
        is_list: true,
        set: |config, values| networks(values, &mut config.trusted_proxies),
    },
    Setting {
        key: "proxy_protocol",
        value_name: "BOOL",
        default: "false",
        help: "Whether connections begin with the PROXY protocol (version 1 or 2), which says whose \
               they are: all come from `trusted_proxies` then, and others are refused.",
        group: Group::Listening,
        is_list: false,
        set: |config, values| {
            config.proxy_protocol = choose(values, &[("true", true), ("false", false)])?;
            Ok(())
        },
    },
    Setting {
        key: "data",
        value_name: "DIR",
        default: "bellwire-data",
        help: "Data directory; made where it is missing.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            let value = one(values)?;
            if value.is_empty() {
                return Err("expected a directory such as bellwire-data, or . for this one".into());
            }
            config.data = PathBuf::from(value);
            Ok(())
        },
    },
    Setting {
        key: "journal",
        value_name: "ENGINE",
        default: "disk",
        help: "Engine of the journal: `disk`, or `memory` to keep nothing.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            config.journal = choose(values, &[("disk", Engine::Disk), ("memory", Engine::Memory)])?;
            Ok(())
        },
    },
    Setting {
        key: "durability",
        value_name: "WHEN",
        default: "sync",
        help: "Acknowledge events when they are synced (`sync`), or when they are written and synced \
               every second (`interval`: survives a crash of the process, not a power cut). With \
               `cluster`, `sync` is refused where the engine says that it may lose what it has \
               acknowledged.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            let choices = [("sync", Durability::Sync), ("interval", Durability::Interval)];
            config.durability = choose(values, &choices)?;
            Ok(())
        },
    },
    Setting {
        key: "cluster",
        value_name: "URL",
        default: "",
        help: "Engine that nodes share, such as nats://127.0.0.1:4222 or redis://127.0.0.1:6379: every \
               node that names it has the same events at the same places, and clients go on at any.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            config.cluster.engine = cluster_url(values)?;
            Ok(())
        },
    },
    Setting {
        key: "cluster_name",
        value_name: "NAME",
        default: "bellwire",
        help: "Name of the cluster, where several share an engine.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            config.cluster.name = cluster_name(one(values)?)?;
            Ok(())
        },
    },
    Setting {
        key: "cluster_address",
        value_name: "URL",
        default: "",
        help: "Where other nodes of the cluster reach this one, such as http://10.0.0.7:8080. None: where \
               it listens, or where that is all addresses, the one from which it reaches the engine.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            config.cluster.address = node_address(values)?;
            Ok(())
        },
    },
    Setting {
        key: "cluster_standby",
        value_name: "MODE",
        default: "wait",
        help: "Whether another node has what the rules know, to take over with it: samples are \
               acknowledged once it has them, while there is one (`wait`), or once the node has them that \
               evaluates the rules (`async`: a take-over may lack the last moment), or there is none \
               (`off`).",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            let choices = [
                ("wait", StandbyMode::Wait),
                ("async", StandbyMode::Async),
                ("off", StandbyMode::Off),
            ];
            config.cluster.standby = choose(values, &choices)?;
            Ok(())
        },
    },
    Setting {
        key: "retention_age",
        value_name: "DURATION",
        default: "24h",
        help: "How long streams keep events where `[[topic]]` says nothing else.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| span_of_time(values, &mut config.retention_age),
    },
    Setting {
        key: "record_age",
        value_name: "DURATION",
        default: "6h",
        help: "How long the rules' log is kept in the data directory, so that `bellwire record` has what \
               happened and `bellwire replay` says what other rules would have done; 0s: no longer \
               than a start needs.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            let value = one(values)?;
            config.record_age = duration::parse(value)
                .ok_or_else(|| format!("expected 0s or {DURATION_FORM}; not `{value}`"))?;
            Ok(())
        },
    },
    Setting {
        key: "record_bytes_max",
        value_name: "SIZE",
        default: "256MiB",
        help: "Bytes of the rules' log that are kept for that, beside what a start needs; the oldest \
               go first. A disk that is full has none of it.",
        group: Group::Storage,
        is_list: false,
        set: |config, values| {
            let value = one(values)?;
            config.record_bytes_max = parse_bytes(value)
                .ok_or_else(|| format!("expected a size such as 256MiB, not `{value}`"))?;
            Ok(())
        },
    },
    Setting {
        key: "rules",
        value_name: "GLOB",
        default: "",
        help: "Prometheus rule files to load; may be given several times.",
        group: Group::Rules,
        is_list: true,
        set: |config, values| {
            config.rules = values.to_vec();
            Ok(())
        },
    },
    Setting {
        key: "rule_mode",
        value_name: "MODE",
        default: "stream",
        help: "How rules are evaluated whose group has no `mode`: as samples arrive (`stream`), or \
               at each interval as Prometheus does (`tick`).",
        group: Group::Rules,
        is_list: false,
        set: |config, values| {
            let choices = RuleMode::ALL.map(|mode| (mode.as_str(), mode));
            config.rule_mode = choose(values, &choices)?;
            Ok(())
        },
    },
    Setting {
        key: "external_labels",
        value_name: "NAME=VALUE",
        default: "",
        help: "Labels of this server, which templates of rules name as `$externalLabels`.",
        group: Group::Rules,
        is_list: true,
        set: |config, values| {
            let pair = |value: &String| {
                let (name, value) = value.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            };
            let values = values.iter().filter(|value| !value.is_empty());
            let pairs: Option<Vec<_>> = values.map(pair).collect();
            let pairs = pairs.ok_or("a label is written as name=value")?;
            let pairs = pairs.iter().map(|(name, value)| (&**name, &**value));
            config.external_labels = Labels::from_pairs(pairs).map_err(|e| e.to_string())?;
            Ok(())
        },
    },
    Setting {
        key: "external_url",
        value_name: "URL",
        default: "",
        help: "Where people reach this server, for links in alerts; `$externalURL` in templates.",
        group: Group::Rules,
        is_list: false,
        set: |config, values| {
            let url = values.first().map(String::as_str).unwrap_or_default();
            if !url.is_empty() {
                url::Url::parse(url).map_err(|error| format!("`{url}` is no URL: {error}"))?;
            }
            url.trim_end_matches('/').clone_into(&mut config.external_url);
            Ok(())
        },
    },
    Setting {
        key: "alertmanager_config",
        value_name: "FILE",
        default: "",
        help: "Alertmanager's configuration file: which webhooks to notify of which alerts; none: nobody.",
        group: Group::Notifications,
        is_list: false,
        set: |config, values| path(values, &mut config.alertmanager_config),
    },
    Setting {
        key: "notification_start_delay",
        value_name: "DURATION",
        default: "0s",
        help: "How long nobody is notified after the start, so that those who post alerts come back first.",
        group: Group::Notifications,
        is_list: false,
        set: |config, values| {
            let value = one(values)?;
            config.notification_start_delay = duration::parse(value)
                .ok_or_else(|| format!("expected 0s or {DURATION_FORM}; not `{value}`"))?;
            Ok(())
        },
    },
    Setting {
        key: "webhook_networks_allowed",
        value_name: "NETWORK",
        default: "",
        help: "Addresses and networks such as 169.254.0.0/16 that webhooks reach although they are \
               loopback, link-local or a cloud's metadata; `loopback` for 127.0.0.0/8 and ::1, which \
               a server without [access] that only this machine reaches needs not be told.",
        group: Group::Notifications,
        is_list: true,
        set: |config, values| networks(values, &mut config.webhook_networks_allowed),
    },
    Setting {
        key: "push",
        value_name: "BOOL",
        default: "true",
        help: "Whether browsers may ask to be told of alerts though no page is open (Web Push). Where \
               the server has no way out to push services nothing is told, and nothing else changes.",
        group: Group::Notifications,
        is_list: false,
        set: |config, values| {
            config.push.enabled = choose(values, &[("true", true), ("false", false)])?;
            Ok(())
        },
    },
    Setting {
        key: "push_contact",
        value_name: "URL",
        default: "",
        help: "Whom those may write to who run push services, such as mailto:ops@example.com; Apple's \
               refuses messages without. None: `external_url`, where it is https.",
        group: Group::Notifications,
        is_list: false,
        set: |config, values| push_contact(values, &mut config.push.contact),
    },
    Setting {
        key: "push_lifetime",
        value_name: "DURATION",
        default: "30d",
        help: "How long a browser is told after a page of this server was last open in it.",
        group: Group::Notifications,
        is_list: false,
        set: |config, values| span_of_time(values, &mut config.push.lifetime),
    },
    Setting {
        key: "push_networks_allowed",
        value_name: "NETWORK",
        default: "",
        help: "Addresses and networks that push services may have although they are loopback, private, \
               link-local or a cloud's metadata; `loopback` for 127.0.0.0/8 and ::1, which a server \
               without [access] that only this machine reaches needs not be told.",
        group: Group::Notifications,
        is_list: true,
        set: |config, values| networks(values, &mut config.push.networks_allowed),
    },
    Setting {
        key: "forward",
        value_name: "FILTER",
        default: "samples/**",
        help: "Which `samples/<metric name>` topics show the newest samples; none: an empty list.",
        group: Group::Streams,
        is_list: true,
        set: |config, values| {
            let mut filters = Vec::new();
            for value in values.iter().filter(|value| !value.is_empty()) {
                filters.push(value.parse().map_err(|error| format!("`{value}`: {error}"))?);
            }
            config.forward = filters;
            Ok(())
        },
    },
    Setting {
        key: "presence",
        value_name: "FILTER",
        default: "",
        help: "Topics whose followers may show themselves, on `presence/<topic>`; none: an empty list.",
        group: Group::Streams,
        is_list: true,
        set: |config, values| {
            let mut filters = Vec::new();
            for value in values.iter().filter(|value| !value.is_empty()) {
                filters.push(value.parse().map_err(|error| format!("`{value}`: {error}"))?);
            }
            config.presence.topics = filters;
            Ok(())
        },
    },
    Setting {
        key: "presence_grace",
        value_name: "DURATION",
        default: "10s",
        help: "How long a follower that shows itself is there after its connection has ended.",
        group: Group::Streams,
        is_list: false,
        set: |config, values| {
            span_of_time(values, &mut config.presence.grace)?;
            if config.presence.grace > PRESENCE_GRACE_MAX {
                return Err("whoever is away for longer than 5m has gone".into());
            }
            Ok(())
        },
    },
    Setting {
        key: "presence_named_max",
        value_name: "COUNT",
        default: "100",
        help: "Followers of a topic that show themselves beyond which `presence/<topic>` tells their \
               number alone.",
        group: Group::Streams,
        is_list: false,
        set: |config, values| {
            positive(values, &mut config.presence.named_max)?;
            if config.presence.named_max > PRESENCE_NAMED_MAX {
                return Err(format!("at most {PRESENCE_NAMED_MAX} are named"));
            }
            Ok(())
        },
    },
    Setting {
        key: "allowed_origins",
        value_name: "ORIGIN",
        default: "",
        help: "Origins of other sites whose pages may use the API, such as https://app.example or https://*.example.com; `*` for all.",
        group: Group::Streams,
        is_list: true,
        set: |config, values| {
            config.allowed_origins = Origins::read(values)?;
            Ok(())
        },
    },
    Setting {
        key: "heartbeat_interval",
        value_name: "DURATION",
        default: "25s",
        help: "Silence after which a stream sends a heartbeat.",
        group: Group::Streams,
        is_list: false,
        set: |config, values| span_of_time(values, &mut config.heartbeat_interval),
    },
    Setting {
        key: "stall_timeout",
        value_name: "DURATION",
        default: "60s",
        help: "How long a client may take no byte although there is something to send.",
        group: Group::Streams,
        is_list: false,
        set: |config, values| {
            span_of_time(values, &mut config.stall_timeout)?;
            if config.stall_timeout > STALL_TIMEOUT_MAX {
                return Err("a client that takes no byte for a day is gone: at most 24h".into());
            }
            Ok(())
        },
    },
    Setting {
        key: "shards",
        value_name: "COUNT",
        default: "0",
        help: "Threads that serve streams; 0 for one for each core.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| {
            parse(values, "a number", &mut config.shards)?;
            if config.shards > SHARDS_MAX {
                return Err(format!("there are at most {SHARDS_MAX} shards"));
            }
            Ok(())
        },
    },
    Setting {
        key: "connections_max",
        value_name: "COUNT",
        default: "2000000",
        help: "Connections at a time; the limit of file descriptors lowers it.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| positive(values, &mut config.connections_max),
    },
    Setting {
        key: "connections_per_address_max",
        value_name: "COUNT",
        default: "0",
        help: "Connections of one address (of one /64 with IPv6) at a time; 0 for no limit, which \
               is right behind a proxy that `trusted_proxies` does not name.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| parse(values, "a number", &mut config.connections_per_address_max),
    },
    Setting {
        key: "connects_per_second_per_address_max",
        value_name: "COUNT",
        default: "0",
        help: "New connections of one address (of one /64 with IPv6) in a second, as many at once; 0 \
               for no limit.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| {
            parse(values, "a number", &mut config.connects_per_second_per_address_max)
        },
    },
    Setting {
        key: "memory_bytes_max",
        value_name: "SIZE",
        default: "0",
        help: "Memory that the process may have, 64MiB at least; near it new subscribers get 503. \
               0 for 60 % of the machine's or the container's.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| {
            let value = one(values)?;
            let bytes = parse_bytes(value)
                .ok_or_else(|| format!("expected a size such as 512MiB, not `{value}`"))?;
            if (1..MEMORY_BYTES_MIN).contains(&bytes) {
                let least = MEMORY_BYTES_MIN >> 20;
                return Err(format!(
                    "with `{value}` nobody could be served: it is {least}MiB at least, or 0 for a share of what there is"
                ));
            }
            config.memory_bytes_max = bytes;
            Ok(())
        },
    },
    Setting {
        key: "history_bytes_max",
        value_name: "SIZE",
        default: "56MiB",
        help: "Memory for the recent past of series, so that charts are full when they open; an eighth \
               of `memory_bytes_max` at most, and 0 to remember nothing. `[[samples.history]]` says \
               how much of which.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| {
            let value = one(values)?;
            let bytes = parse_bytes(value).and_then(|bytes| usize::try_from(bytes).ok());
            config.history_bytes_max = bytes
                .ok_or_else(|| format!("expected 0 or a size such as 64MiB, not `{value}`"))?;
            Ok(())
        },
    },
    Setting {
        key: "query_timeout",
        value_name: "DURATION",
        default: "2m",
        help: "How long a query may take, its wait for others included; it may ask for less.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| span_of_time(values, &mut config.query_timeout),
    },
    Setting {
        key: "query_samples_max",
        value_name: "COUNT",
        default: "50000000",
        help: "Samples that a query may hold at once, 16 bytes each: those that it looks at, and \
               those that it comes to. All queries together hold a fifth of the memory at most.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| positive(values, &mut config.query_samples_max),
    },
    Setting {
        key: "queries_max",
        value_name: "COUNT",
        default: "20",
        help: "Queries that are evaluated at a time, half of them of one subject at most, or of one \
               network where nobody is asked; others wait.",
        group: Group::Limits,
        is_list: false,
        set: |config, values| {
            positive(values, &mut config.queries_max)?;
            if config.queries_max > QUERIES_MAX {
                return Err(format!("at most {QUERIES_MAX} queries are evaluated at a time"));
            }
            Ok(())
        },
    },
];

/// Each query under way has a thread.
const QUERIES_MAX: usize = 256;

/// The system counts the milliseconds of it in 31 bits.
const STALL_TIMEOUT_MAX: Duration = Duration::from_hours(24);

/// Shards beyond any machine's cores are a mistake.
const SHARDS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn the_reference_lists_every_setting() {
        let row = |setting: &Setting| {
            let key = format!("`{}`", setting.key);
            let flag = if setting.is_switch() {
                format!("`--{}`", setting.flag())
            } else {
                format!("`--{} {}`", setting.flag(), setting.value_name)
            };
            let default = match setting.default {
                "" => "none".to_owned(),
                default => format!("`{default}`"),
            };
            let help = setting.help.to_owned();
            [key, flag, format!("`{}`", setting.variable()), default, help]
        };
        let heads = ["key", "flag", "variable", "default", "meaning"];
        let table = golden::table(heads, SETTINGS.iter().map(row));
        golden::check("docs/reference/configuration.md", "settings", &table);
    }

    #[test]
    fn the_example_has_every_setting_with_its_default() {
        let example = golden::read("examples/bellwire.toml");
        let (settings, _topics) = example.split_once("[[topic]]\n").expect("settings, then topics");
        let lines = settings.lines().filter_map(|line| {
            let (key, value) = line.trim_start_matches("# ").split_once(" = ")?;
            let is_key = key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            is_key.then_some((key, value.trim_matches(['[', ']', '"'])))
        });
        let mut missing: Vec<&Setting> = SETTINGS.iter().collect();
        for (key, value) in lines {
            let at = missing.iter().position(|setting| setting.key == key);
            let setting = missing.remove(at.unwrap_or_else(|| panic!("`{key}` is no setting")));
            assert!(
                ["", value].contains(&setting.default),
                "`{key}` is {} by default",
                setting.default
            );
        }
        let missing: Vec<&str> = missing.iter().map(|setting| setting.key).collect();
        assert!(missing.is_empty(), "examples/bellwire.toml says nothing of {missing:?}");
    }

    #[test]
    fn settings_of_a_group_stand_together() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.group));
    }
}
