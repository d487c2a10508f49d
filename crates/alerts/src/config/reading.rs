//! From the file as written to what it means. Notes every mistake, each with its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{
    ALERTMANAGER_REGEX_BYTES_MAX, INHIBITION_RULES_MAX, RECEIVERS_MAX, ROUTES_MAX,
};
use bellwire_model::{LabelsBuilder, duration};
use serde_saphyr::{Location, MessageFormatter as _, Spanned, UserMessageFormatter};

use super::document::{self, Document, Pairs, Text};
use super::receiver::{
    Authorization, HttpSettings, Receiver, Redirects, Resolved, Secret, Webhook,
};
use super::{Config, ConfigError, RESOLVE_TIMEOUT, Reason};
use crate::inhibition::InhibitionRule;
use crate::route::{GroupBy, Route, RouteId, Routes, TimeInterval};
use crate::{Matcher, Matchers, Operator};

/// What is known so far, and what is wrong.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) errors: Vec<ConfigError>,
    intervals: BTreeMap<String, Arc<TimeInterval>>,
    receivers: Vec<Receiver>,
    /// Bytes of all expressions so far, compiled.
    regex_bytes: usize,
}

impl Reading {
    pub(super) fn config(mut self, text: &str) -> Result<Config, Vec<ConfigError>> {
        let options = serde_saphyr::options! { with_snippet: false };
        let document: Document = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| vec![refusal(&error)])?;
        if let Some(template) = document.templates.first() {
            self.refuse(template.referenced, Reason::Templates);
        }
        let resolve_timeout =
            document.global.as_ref().and_then(|global| global.resolve_timeout.as_ref());
        let resolve_timeout = resolve_timeout.and_then(|text| self.duration(text));
        for interval in document.mute_time_intervals.iter().chain(&document.time_intervals) {
            self.interval(interval);
        }
        let http = document.global.and_then(|global| global.http_config);
        for receiver in &document.receivers {
            self.receiver(receiver, http.as_ref());
        }
        let routes = self.root(document.route);
        let inhibition = self.inhibition(&document.inhibit_rules);
        match routes {
            Some(routes) if self.errors.is_empty() => Ok(Config {
                resolve_timeout: resolve_timeout.unwrap_or(RESOLVE_TIMEOUT),
                routes,
                inhibition,
                receivers: self.receivers,
                original: text.into(),
            }),
            _ => {
                self.errors.sort_by_key(|error| (error.line, error.column));
                Err(self.errors)
            }
        }
    }

    pub(super) fn refuse(&mut self, place: Location, reason: impl Into<Reason>) {
        let (line, column) = (place.line() as usize, place.column() as usize);
        self.errors.push(ConfigError { line, column, reason: reason.into() });
    }

    fn interval(&mut self, interval: &document::TimeInterval) {
        let name = &interval.name.value;
        let spans = interval.time_intervals.iter().map(|span| self.span(span)).collect();
        let read = TimeInterval { name: name.as_str().into(), spans };
        if name.is_empty() {
            self.refuse(interval.name.referenced, Reason::EmptyName);
        } else if self.intervals.insert(name.clone(), Arc::new(read)).is_some() {
            let name = name.as_str().into();
            self.refuse(interval.name.referenced, Reason::Twice { noun: "time interval", name });
        }
    }

    fn receiver(&mut self, receiver: &document::Receiver, http: Option<&document::Http>) {
        let (name, place) = (&receiver.name.value, receiver.name.referenced);
        if name.is_empty() {
            self.refuse(place, Reason::EmptyName);
        } else if self.receivers.iter().any(|other| *other.name == **name) {
            self.refuse(place, Reason::Twice { noun: "receiver", name: name.as_str().into() });
        }
        if self.receivers.len() >= RECEIVERS_MAX {
            return self.refuse(place, Reason::TooMany { noun: "receivers", max: RECEIVERS_MAX });
        }
        let mut labels = LabelsBuilder::default();
        let own = receiver.labels.iter().filter(|(label, _)| *label != "name");
        let own = own.map(|(label, value)| (label.as_str(), value.value.as_str()));
        for (label, value) in own.chain([("name", name.as_str())]) {
            if let Err(error) = labels.push(label, value) {
                self.refuse(place, error);
            }
        }
        if let Some(other) =
            receiver.labels.get("name").filter(|label| label.value.as_str() != name)
        {
            self.refuse(other.referenced, Reason::ReceiverName);
        }
        let webhooks = receiver.webhook_configs.iter();
        let webhooks = webhooks.filter_map(|webhook| self.webhook(webhook, http)).collect();
        match labels.build() {
            Ok(labels) => {
                let name = name.as_str().into();
                self.receivers.push(Receiver { name, labels, webhooks });
            }
            Err(error) => self.refuse(place, error),
        }
    }

    fn webhook(
        &mut self,
        webhook: &Spanned<document::Webhook>,
        http: Option<&document::Http>,
    ) -> Option<Webhook> {
        let (place, webhook) = (webhook.referenced, &webhook.value);
        let url = match (&webhook.url, &webhook.url_file) {
            (Some(url), None) => self.url(url)?,
            (None, Some(file)) => Secret::File(file.value.as_str().into()),
            _ => {
                self.refuse(place, Reason::OneOf { fields: "`url` and `url_file`" });
                return None;
            }
        };
        let timeout = webhook.timeout.as_ref().and_then(|timeout| self.duration(timeout));
        let http = webhook.http_config.as_ref().or(http);
        Some(Webhook {
            url,
            resolved: match webhook.send_resolved {
                Some(false) => Resolved::LeftOut,
                _ => Resolved::Sent,
            },
            alerts_max: (webhook.max_alerts > 0).then_some(webhook.max_alerts as usize),
            timeout: timeout.filter(|timeout| !timeout.is_zero()),
            http: http.map(|http| self.http(http)).unwrap_or_default(),
        })
    }

    fn url(&mut self, text: &Text) -> Option<Secret> {
        let is_url = url::Url::parse(&text.value)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if text.value.contains("{{") {
            self.refuse(text.referenced, Reason::Template);
        } else if !is_url {
            self.refuse(text.referenced, Reason::Url);
        } else {
            return Some(Secret::Text(text.value.as_str().into()));
        }
        None
    }

    fn http(&mut self, http: &document::Http) -> HttpSettings {
        let authorizations = [
            http.basic_auth.as_ref().map(|basic| basic.referenced),
            http.authorization.as_ref().map(|authorization| authorization.referenced),
            http.bearer_token.as_ref().map(|token| token.referenced),
            http.bearer_token_file.as_ref().map(|file| file.referenced),
        ];
        if let Some(second) = authorizations.into_iter().flatten().nth(1) {
            let fields = "`basic_auth`, `authorization`, `bearer_token` and `bearer_token_file`";
            self.refuse(second, Reason::OneOf { fields });
        }
        HttpSettings {
            authorization: self.authorization(http),
            redirects: match http.follow_redirects {
                Some(false) => Redirects::Refused,
                _ => Redirects::Followed,
            },
            ca_file: http.tls_config.as_ref().and_then(|tls| tls.ca_file.as_ref()).map(Into::into),
        }
    }

    fn authorization(&mut self, http: &document::Http) -> Option<Authorization> {
        let bearer = |credentials| Authorization::Scheme { scheme: "Bearer".into(), credentials };
        if let Some(Spanned { value: basic, referenced: place, .. }) = &http.basic_auth {
            let password = match (&basic.password, &basic.password_file) {
                (Some(_), Some(_)) => {
                    let fields = "`password` and `password_file`";
                    self.refuse(*place, Reason::OneOf { fields });
                    None
                }
                (text, file) => secret(text.as_deref(), file.as_deref()),
            };
            let username = basic.username.as_deref().unwrap_or_default().into();
            return Some(Authorization::Basic { username, password });
        }
        if let Some(Spanned { value: authorization, referenced: place, .. }) = &http.authorization {
            let document::Authorization { r#type, credentials, credentials_file } = authorization;
            let ((Some(_), None) | (None, Some(_))) = (credentials, credentials_file) else {
                let fields = "`credentials` and `credentials_file`";
                self.refuse(*place, Reason::OneOf { fields });
                return None;
            };
            let credentials = secret(credentials.as_deref(), credentials_file.as_deref())?;
            let scheme = r#type.as_deref().unwrap_or("Bearer").trim().into();
            return Some(Authorization::Scheme { scheme, credentials });
        }
        let token = http.bearer_token.as_ref().map(|token| token.value.as_str());
        let file = http.bearer_token_file.as_ref().map(|file| file.value.as_str());
        secret(token, file).map(bearer)
    }

    fn root(&mut self, route: Option<Spanned<document::Route>>) -> Option<Routes> {
        let Some(Spanned { value: route, referenced: place, .. }) = route else {
            let reason = Reason::RouteMissing;
            self.errors.push(ConfigError { line: 1, column: 1, reason });
            return None;
        };
        let forbidden = [
            ("match", !route.r#match.is_empty()),
            ("match_re", !route.match_re.is_empty()),
            ("matchers", !route.matchers.is_empty()),
            ("mute_time_intervals", !route.mute_time_intervals.is_empty()),
            ("active_time_intervals", !route.active_time_intervals.is_empty()),
            ("continue", route.r#continue),
        ];
        for (field, _) in forbidden.into_iter().filter(|(_, is_there)| *is_there) {
            self.refuse(place, Reason::RootField { field });
        }
        if route.receiver.as_ref().is_none_or(|receiver| receiver.value.is_empty()) {
            self.refuse(place, Reason::RootReceiver);
            return None;
        }
        let root = self.route(&route, &Route::root("".into()));
        let mut routes = Routes::new(root);
        self.children(&route, Routes::ROOT, &mut routes);
        routes.identify();
        Some(routes)
    }

    fn children(&mut self, route: &document::Route, id: RouteId, routes: &mut Routes) {
        for child in &route.routes {
            if routes.len() >= ROUTES_MAX {
                let reason = Reason::TooMany { noun: "routes", max: ROUTES_MAX };
                return self.refuse(child.referenced, reason);
            }
            let read = self.route(&child.value, routes.get(id));
            let added = routes.add(id, read);
            self.children(&child.value, added, routes);
        }
    }

    /// A route has of its parent what it does not say itself, but for whom it takes and when.
    fn route(&mut self, route: &document::Route, parent: &Route) -> Route {
        let mut read = Route::root(parent.receiver.clone());
        if let Some(receiver) = route.receiver.as_ref().filter(|name| !name.value.is_empty()) {
            read.receiver = receiver.value.as_str().into();
            if !self.receivers.iter().any(|known| *known.name == *receiver.value) {
                let name = receiver.value.as_str().into();
                self.refuse(receiver.referenced, Reason::Undefined { noun: "receiver", name });
            }
        }
        read.matchers = self.matchers([&route.r#match, &route.match_re], &route.matchers);
        read.continues = route.r#continue;
        read.group_by = match &route.group_by {
            Some(names) => self.group_by(names),
            None => parent.group_by.clone(),
        };
        read.timing = parent.timing;
        if let Some(wait) = route.group_wait.as_ref().and_then(|wait| self.duration(wait)) {
            read.timing.wait = wait;
        }
        if let Some(interval) = self.positive("group_interval", route.group_interval.as_ref()) {
            read.timing.interval = interval;
        }
        if let Some(interval) = self.positive("repeat_interval", route.repeat_interval.as_ref()) {
            read.timing.repeat_interval = interval;
        }
        read.mute_intervals = self.named_intervals(&route.mute_time_intervals);
        read.active_intervals = self.named_intervals(&route.active_time_intervals);
        read
    }

    fn group_by(&mut self, names: &[Text]) -> GroupBy {
        let mut labels: Vec<Box<str>> = Vec::with_capacity(names.len());
        for name in names.iter().filter(|name| name.value != "...") {
            self.label_name(name);
            if labels.iter().any(|label| **label == *name.value) {
                let twice = Reason::Twice { noun: "label", name: name.value.as_str().into() };
                self.refuse(name.referenced, twice);
            }
            labels.push(name.value.as_str().into());
        }
        let Some(all) = names.iter().find(|name| name.value == "...") else {
            return GroupBy::Labels(labels);
        };
        if !labels.is_empty() {
            self.refuse(all.referenced, Reason::GroupByAllAndLabels);
        }
        GroupBy::All
    }

    fn label_name(&mut self, name: &Text) {
        let mut checked = LabelsBuilder::default();
        if let Err(error) = checked.push(&name.value, "") {
            self.refuse(name.referenced, error);
        }
    }

    fn named_intervals(&mut self, names: &[Text]) -> Vec<Arc<TimeInterval>> {
        let mut intervals = Vec::with_capacity(names.len());
        for name in names {
            if let Some(interval) = self.intervals.get(&name.value) {
                intervals.push(interval.clone());
            } else {
                let undefined = name.value.as_str().into();
                let reason = Reason::Undefined { noun: "time interval", name: undefined };
                self.refuse(name.referenced, reason);
            }
        }
        intervals
    }

    fn inhibition(&mut self, rules: &[document::InhibitRule]) -> Vec<InhibitionRule> {
        let mut read = Vec::with_capacity(rules.len());
        for rule in rules {
            let sources =
                self.matchers([&rule.source_match, &rule.source_match_re], &rule.source_matchers);
            let targets =
                self.matchers([&rule.target_match, &rule.target_match_re], &rule.target_matchers);
            for name in &rule.equal {
                self.label_name(name);
            }
            let equal = rule.equal.iter().map(|name| name.value.as_str().into()).collect();
            read.push(InhibitionRule { sources, targets, equal });
        }
        if read.len() > INHIBITION_RULES_MAX {
            let reason = Reason::TooMany { noun: "inhibit_rules", max: INHIBITION_RULES_MAX };
            self.errors.push(ConfigError { line: 1, column: 1, reason });
        }
        read
    }

    /// All that is matched in either of the older forms and in the new one.
    fn matchers(&mut self, [equal, regex]: [&Pairs; 2], texts: &[Text]) -> Matchers {
        let mut all = Vec::new();
        let older = equal.iter().map(|pair| (Operator::Equal, pair));
        let older = older.chain(regex.iter().map(|pair| (Operator::Matches, pair)));
        for (operator, (name, value)) in older {
            match Matcher::new(name, operator, value.value.as_str()) {
                Ok(matcher) => all.push(matcher),
                Err(error) => self.refuse(value.referenced, error),
            }
        }
        for text in texts {
            match text.value.parse::<Matchers>() {
                Ok(matchers) => all.extend(matchers.iter().cloned()),
                Err(error) => self.refuse(text.referenced, error),
            }
        }
        all.sort_by(|a, b| {
            (a.name(), a.value(), a.operator()).cmp(&(b.name(), b.value(), b.operator()))
        });
        let place = texts.first().map(|text| text.referenced);
        let place = place.or_else(|| Some(equal.values().chain(regex.values()).next()?.referenced));
        let place = place.unwrap_or(Location::UNKNOWN);
        let matchers = Matchers::new(all).unwrap_or_else(|error| {
            self.refuse(place, error);
            Matchers::default()
        });
        let is_within = |bytes| bytes <= ALERTMANAGER_REGEX_BYTES_MAX;
        let was_within = is_within(self.regex_bytes);
        self.regex_bytes = self.regex_bytes.saturating_add(matchers.regex_bytes());
        if was_within && !is_within(self.regex_bytes) {
            self.refuse(place, Reason::RegexesTooLarge);
        }
        matchers
    }

    fn duration(&mut self, text: &Text) -> Option<Duration> {
        let duration = duration::parse(&text.value);
        if duration.is_none() {
            self.refuse(text.referenced, Reason::Duration { text: text.value.as_str().into() });
        }
        duration
    }

    fn positive(&mut self, field: &'static str, text: Option<&Text>) -> Option<Duration> {
        let text = text?;
        let duration = self.duration(text)?;
        if duration.is_zero() {
            self.refuse(text.referenced, Reason::Zero { field });
        }
        Some(duration)
    }
}

fn secret(text: Option<&str>, file: Option<&str>) -> Option<Secret> {
    text.map(|text| Secret::Text(text.into()))
        .or_else(|| file.map(|file| Secret::File(file.into())))
}

/// What the parser refuses, in our words where it is about what is not supported.
fn refusal(error: &serde_saphyr::Error) -> ConfigError {
    let place = error.location().unwrap_or(Location::UNKNOWN);
    let reason = match error {
        serde_saphyr::Error::SerdeUnknownField { field, .. } if is_integration(field) => {
            Reason::WebhooksOnly { name: field.as_str().into() }
        }
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            // `templates` is read to be refused by name.
            let known = expected.iter().filter(|name| **name != "templates");
            let known: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            Reason::UnknownField { name: field.as_str().into(), known: known.join(", ").into() }
        }
        other => Reason::Yaml { text: UserMessageFormatter.format_message(other).into() },
    };
    ConfigError {
        line: place.line().max(1) as usize,
        column: place.column().max(1) as usize,
        reason,
    }
}

/// Whether a field is of a receiver that there is not, or sets something up for one.
fn is_integration(field: &str) -> bool {
    const GLOBALS: [&str; 12] = [
        "smtp_",
        "slack_",
        "pagerduty_",
        "opsgenie_",
        "wechat_",
        "victorops_",
        "telegram_",
        "webex_",
        "rocketchat_",
        "mattermost_",
        "jira_",
        "discord_",
    ];
    field.ends_with("_configs") || GLOBALS.iter().any(|prefix| field.starts_with(prefix))
}
