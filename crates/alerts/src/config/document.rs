//! `alertmanager.yml` as it is written: its fields, and where each stands.
//!
//! What is not listed here is refused by name. Nothing is passed over: a route that would be
//! ignored is a notification that nobody gets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// A text and its place.
pub(super) type Text = Spanned<String>;

/// Label names with a value each.
pub(super) type Pairs = BTreeMap<String, Spanned<Value>>;

/// A text that is empty where it is not set, as Go reads `~` and `null`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Value(Option<String>);

impl Value {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) global: Option<Global>,
    pub(super) route: Option<Spanned<Route>>,
    #[serde(default)]
    pub(super) inhibit_rules: Vec<InhibitRule>,
    #[serde(default)]
    pub(super) receivers: Vec<Receiver>,
    #[serde(default)]
    pub(super) templates: Vec<Text>,
    /// The older name of `time_intervals`.
    #[serde(default)]
    pub(super) mute_time_intervals: Vec<TimeInterval>,
    #[serde(default)]
    pub(super) time_intervals: Vec<TimeInterval>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Global {
    pub(super) resolve_timeout: Option<Text>,
    pub(super) http_config: Option<Http>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub(super) receiver: Option<Text>,
    pub(super) group_by: Option<Vec<Text>>,
    #[serde(default)]
    pub(super) r#match: Pairs,
    #[serde(default)]
    pub(super) match_re: Pairs,
    #[serde(default)]
    pub(super) matchers: Vec<Text>,
    #[serde(default)]
    pub(super) mute_time_intervals: Vec<Text>,
    #[serde(default)]
    pub(super) active_time_intervals: Vec<Text>,
    #[serde(default)]
    pub(super) r#continue: bool,
    #[serde(default)]
    pub(super) routes: Vec<Spanned<Route>>,
    pub(super) group_wait: Option<Text>,
    pub(super) group_interval: Option<Text>,
    pub(super) repeat_interval: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InhibitRule {
    /// For people; nothing refers to it.
    #[serde(rename = "name")]
    pub(super) _name: Option<Text>,
    #[serde(default)]
    pub(super) source_match: Pairs,
    #[serde(default)]
    pub(super) source_match_re: Pairs,
    #[serde(default)]
    pub(super) source_matchers: Vec<Text>,
    #[serde(default)]
    pub(super) target_match: Pairs,
    #[serde(default)]
    pub(super) target_match_re: Pairs,
    #[serde(default)]
    pub(super) target_matchers: Vec<Text>,
    #[serde(default)]
    pub(super) equal: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Receiver {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) labels: Pairs,
    #[serde(default)]
    pub(super) webhook_configs: Vec<Spanned<Webhook>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    pub(super) url: Option<Text>,
    pub(super) url_file: Option<Text>,
    pub(super) send_resolved: Option<bool>,
    #[serde(default)]
    pub(super) max_alerts: u64,
    pub(super) timeout: Option<Text>,
    pub(super) http_config: Option<Http>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    pub(super) basic_auth: Option<Spanned<BasicAuth>>,
    pub(super) authorization: Option<Spanned<Authorization>>,
    pub(super) bearer_token: Option<Text>,
    pub(super) bearer_token_file: Option<Text>,
    pub(super) follow_redirects: Option<bool>,
    /// Leave to use it, not a duty: requests are few, and go over HTTP/1.1.
    #[serde(rename = "enable_http2")]
    pub(super) _enable_http2: Option<bool>,
    pub(super) tls_config: Option<TlsConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicAuth {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) password_file: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authorization {
    pub(super) r#type: Option<String>,
    pub(super) credentials: Option<String>,
    pub(super) credentials_file: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsConfig {
    pub(super) ca_file: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeInterval {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) time_intervals: Vec<Span>,
}

/// A stretch of time: all that is given must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Span {
    pub(super) times: Option<Vec<Spanned<Times>>>,
    pub(super) weekdays: Option<Vec<Text>>,
    pub(super) days_of_month: Option<Vec<Text>>,
    pub(super) months: Option<Vec<Text>>,
    pub(super) years: Option<Vec<Text>>,
    pub(super) location: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    pub(super) start_time: String,
    pub(super) end_time: String,
}
