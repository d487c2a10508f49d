//! The parameters that choose alerts, silences and receivers.

use std::borrow::Cow;
use std::collections::BTreeSet;

use bellwire_access::Rights;
use bellwire_alerting::Alerting;
use bellwire_alerts::config::{Config, Receiver};
use bellwire_alerts::desk::Case;
use bellwire_alerts::{Matcher, Matchers, MatchersBuilder, Operator};

use super::Refusal;
use crate::access::{Onlooker, SeenCase};

/// A request's parameters. Those that do not exist are passed over, as Alertmanager does.
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    pub(super) fn new(query: Option<&'a str>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect())
    }

    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// Whether a parameter is set; every one of them is by default.
    pub(super) fn is_set(&self, name: &str) -> bool {
        let is_true = |value: &str| {
            let words =
                ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
            words.iter().any(|word| value.eq_ignore_ascii_case(word))
        };
        self.all(name).next().is_none_or(is_true)
    }

    /// All that the parameters `filter` ask for.
    pub(super) fn matchers(&self) -> Result<Matchers, Refusal> {
        self.matchers_of("filter").map_err(|error| Refusal::bad(error.text))
    }

    fn matchers_of(&self, name: &str) -> Result<Matchers, Refusal> {
        let mut builder = MatchersBuilder::default();
        let mut all = self.all(name).map(str::parse::<Matcher>);
        all.try_for_each(|matcher| builder.push(matcher?)).map_err(Refusal::bad)?;
        Ok(builder.finish())
    }

    /// The receivers that are asked for.
    pub(super) fn receivers(&self) -> Result<Receivers, Refusal> {
        let name = self.all("receiver").next();
        let name = name.map(|name| Matcher::new("receiver", Operator::Matches, name)).transpose();
        let name =
            name.map_err(|error| Refusal::bad(format!("failed to parse receiver param: {error}")))?;
        let labels = self.matchers_of("receiver_matchers").map_err(|error| {
            Refusal::bad(format!("failed to parse receiver_matchers param: {}", error.text))
        })?;
        Ok(Receivers { name, labels })
    }

    /// The alerts that are asked for.
    pub(super) fn alerts(&self) -> Result<Alerts, Refusal> {
        Ok(Alerts {
            matchers: self.matchers()?,
            with_active: self.is_set("active"),
            with_silenced: self.is_set("silenced"),
            with_inhibited: self.is_set("inhibited"),
        })
    }
}

/// Which receivers.
pub(super) struct Receivers {
    name: Option<Matcher>,
    labels: Matchers,
}

impl Receivers {
    /// Whether the receiver of that name is one of them.
    pub(super) fn take(&self, config: &Config, name: &str) -> bool {
        let has_labels = |receiver: &Receiver| self.labels.matches(&receiver.labels);
        self.name.as_ref().is_none_or(|matcher| matcher.passes(name))
            && (self.labels.is_empty() || config.receiver(name).is_some_and(has_labels))
    }
}

impl Receivers {
    /// The names of those of a configuration: found once, whatever that takes, and not for each alert.
    pub(super) fn names<'a>(&self, config: &'a Config) -> BTreeSet<&'a str> {
        let names = config.receivers.iter().map(|receiver| &*receiver.name);
        names.filter(|name| self.take(config, name)).collect()
    }
}

/// Which alerts.
pub(super) struct Alerts {
    matchers: Matchers,
    with_active: bool,
    with_silenced: bool,
    with_inhibited: bool,
}

impl Alerts {
    /// Those of the desk that somebody sees, copied so that nobody waits for what is made of them.
    pub(super) fn of(
        &self,
        alerting: &Alerting,
        rights: &Rights,
    ) -> Result<Vec<SeenCase>, Refusal> {
        let asked = (&rights.alerts, &self.matchers);
        let alerts = alerting.matching(asked, |case| self.takes(case))?;
        let mut cases = alerting.cases(&alerts);
        cases.retain(|case| self.takes(case));
        Ok(Onlooker::with(rights).see(alerting, cases))
    }

    /// Of those that fire; Alertmanager knows no others.
    fn takes(&self, case: &Case) -> bool {
        let status = case.status();
        case.is_raised()
            && (self.with_active || status.is_muted())
            && (self.with_silenced || status.silenced_by.is_empty())
            && (self.with_inhibited || status.inhibited_by.is_empty())
    }
}
