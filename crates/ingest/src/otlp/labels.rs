//! Labels of series: a point's attributes, what its resource adds and what its scope adds.
//!
//! | from | becomes |
//! |---|---|
//! | attributes of the point | labels of the translated names |
//! | `service.namespace`, `service.name` | `job`: `<namespace>/<name>`, or the name alone |
//! | `service.instance.id` | `instance` |
//! | attributes of the resource that are promoted | labels, where the point has none of that name |
//! | attributes of the resource | labels of `target_info` |
//! | the scope, where it is promoted | `otel_scope_name`, `…_version`, `…_schema_url`, `otel_scope_<attribute>` |
//!
//! Attributes whose names become the same are one label, their values joined by `;` in the order of
//! the attributes' names, and a warning says so. The others set a label of that name aside.

use std::borrow::Cow;

use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX};
use bellwire_model::{Labels, LabelsError, METRIC_NAME, SampleError};

use super::settings::Settings;
use super::warnings::Warnings;
use crate::decoded::{Refusal, quoted};

const SERVICE_NAME: &str = "service.name";
const SERVICE_NAMESPACE: &str = "service.namespace";
const SERVICE_INSTANCE: &str = "service.instance.id";
/// What `job` and `instance` say already.
const IDENTIFYING: [&str; 3] = [SERVICE_NAMESPACE, SERVICE_NAME, SERVICE_INSTANCE];

const JOB: &str = "job";
const INSTANCE: &str = "instance";
const TARGET_INFO: &str = "target_info";
const SCOPE_PREFIX: &str = "otel_scope_";

/// One attribute, its value as text already.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Attribute<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
}

/// Whose instrumentation the metrics are of.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scope<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    pub(super) schema_url: Cow<'a, str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A label that a resource or a scope adds.
type Pair = (String, String);

/// What makes labels of attributes, with what the resource and the scope at hand add.
#[derive(Debug)]
pub(super) struct Naming<'s> {
    settings: &'s Settings,
    /// Names of the labels of the attributes of the last point, by their places: the next point
    /// mostly has the same.
    names: Vec<(Box<str>, Box<str>)>,
    /// What the resource adds where the point says nothing.
    promoted: Vec<Pair>,
    /// `job` and `instance`.
    identity: Vec<Pair>,
    scope: Vec<Pair>,
}

impl<'s> Naming<'s> {
    pub(super) fn new(settings: &'s Settings) -> Self {
        let [promoted, identity, scope] = [const { Vec::new() }; 3];
        Self { settings, names: Vec::new(), promoted, identity, scope }
    }

    /// Goes on with the points of this resource.
    pub(super) fn begin_resource(&mut self, attributes: &[Attribute<'_>]) -> Result<(), Refusal> {
        self.scope.clear();
        self.identity.clear();
        self.promoted.clear();
        let of = |key| attributes.iter().find(|attribute| attribute.key == key);
        if let Some(name) = of(SERVICE_NAME) {
            let job = match of(SERVICE_NAMESPACE) {
                Some(namespace) => format!("{}/{}", namespace.value, name.value),
                None => name.value.to_string(),
            };
            self.identity.push((JOB.to_owned(), job));
        }
        if let Some(instance) = of(SERVICE_INSTANCE) {
            self.identity.push((INSTANCE.to_owned(), instance.value.to_string()));
        }
        self.identity.retain(|(_, value)| !value.is_empty());
        let promoted = attributes.iter().filter(|one| self.settings.promotes(&one.key));
        for attribute in promoted {
            let name = self.translated(&attribute.key)?;
            set(&mut self.promoted, name, attribute.value.to_string());
            check_count(&self.promoted)?;
        }
        Ok(())
    }

    /// Goes on with the points of this scope.
    pub(super) fn begin_scope(&mut self, scope: &Scope<'_>) -> Result<(), Refusal> {
        self.scope.clear();
        if !self.settings.promote_scope_metadata || scope.name.is_empty() {
            return Ok(());
        }
        for attribute in &scope.attributes {
            let name = self.translated(&format!("{SCOPE_PREFIX}{}", attribute.key))?;
            set(&mut self.scope, name, attribute.value.to_string());
            check_count(&self.scope)?;
        }
        for (name, value) in [
            ("otel_scope_name", &scope.name),
            ("otel_scope_version", &scope.version),
            ("otel_scope_schema_url", &scope.schema_url),
        ] {
            set(&mut self.scope, name.to_owned(), value.to_string());
        }
        Ok(())
    }

    /// The labels of a point's series: `own` are those that its kind gives it, its name among them.
    pub(super) fn series(
        &mut self,
        attributes: &[Attribute<'_>],
        own: &[(&str, &str)],
        warnings: &mut Warnings,
    ) -> Result<Labels, Refusal> {
        self.translate(attributes)?;
        let added = self.promoted.iter().chain(&self.identity).chain(&self.scope);
        let added = added.map(|(name, value)| (&**name, &**value));
        // Mostly in the order of a set: the name, then attributes, which most senders sort.
        let pairs = own.iter().copied().chain(self.pairs(attributes)).chain(added);
        match Labels::from_pairs(pairs) {
            Err(LabelsError::Duplicate { .. }) => self.resolved(attributes, own, warnings),
            labels => labels.map_err(refusal),
        }
    }

    /// Translates the names of a point's attributes, where the last point had others.
    fn translate(&mut self, attributes: &[Attribute<'_>]) -> Result<(), Refusal> {
        for (place, attribute) in attributes.iter().enumerate() {
            if self.names.get(place).is_some_and(|(key, _)| **key == *attribute.key) {
                continue;
            }
            let name = (Box::from(&*attribute.key), self.translated(&attribute.key)?.into());
            match self.names.get_mut(place) {
                Some(other) => *other = name,
                None => self.names.push(name),
            }
        }
        Ok(())
    }

    fn translated(&self, key: &str) -> Result<String, Refusal> {
        self.settings.translation_strategy.label_name(key).ok_or_else(|| {
            let detail = format!("no label can be named after the attribute `{}`", quoted(key));
            Refusal::new("label_invalid", detail)
        })
    }

    fn pairs<'t>(
        &'t self,
        attributes: &'t [Attribute<'_>],
    ) -> impl Iterator<Item = (&'t str, &'t str)> {
        let names = self.names.iter().map(|(_, name)| &**name);
        names.zip(attributes).map(|(name, attribute)| (name, &*attribute.value))
    }

    /// The labels where several would have one name.
    fn resolved(
        &self,
        attributes: &[Attribute<'_>],
        own: &[(&str, &str)],
        warnings: &mut Warnings,
    ) -> Result<Labels, Refusal> {
        let mut pairs = joined(attributes, &self.names, warnings);
        let promoted = self.promoted.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in promoted {
            if pairs.iter().all(|(other, _)| other != name) {
                pairs.push((name.to_owned(), value.to_owned()));
            }
        }
        let setting_aside = self.identity.iter().chain(&self.scope);
        let setting_aside = setting_aside.map(|(name, value)| (&**name, &**value));
        for (name, value) in setting_aside.chain(own.iter().copied()) {
            let aside = pairs.iter().find(|(other, _)| other == name);
            // Prometheus' own name for the name is no attribute.
            if aside.is_some_and(|(_, other)| other != value) && name != METRIC_NAME {
                warnings.say(|| format!("the attribute that becomes `{name}` is set aside"));
            }
            set(&mut pairs, name.to_owned(), value.to_owned());
        }
        Labels::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value))).map_err(refusal)
    }

    /// The labels of the resource's own series, where they would say something.
    pub(super) fn target_info(
        &mut self,
        attributes: &[Attribute<'_>],
        warnings: &mut Warnings,
    ) -> Option<Labels> {
        let is_identifying = |one: &Attribute<'_>| IDENTIFYING.contains(&&*one.key);
        if attributes.iter().all(is_identifying) {
            return None;
        }
        let keeps = self.settings.keep_identifying_resource_attributes;
        let kept = attributes.iter().filter(|one| keeps || !is_identifying(one));
        let (kept, long): (Vec<_>, Vec<_>) =
            kept.cloned().partition(|one| one.value.len() <= LABEL_VALUE_BYTES_MAX);
        for attribute in long {
            let key = quoted(&attribute.key);
            warnings.say(|| format!("`{key}` is too long for a label of `{TARGET_INFO}`"));
        }
        let [promoted, scope] = [&mut self.promoted, &mut self.scope].map(std::mem::take);
        let labels = self.series(&kept, &[(METRIC_NAME, TARGET_INFO)], warnings);
        (self.promoted, self.scope) = (promoted, scope);
        match labels {
            Ok(labels) => {
                let is_identified = labels.get(JOB).or(labels.get(INSTANCE)).is_some();
                is_identified.then_some(labels)
            }
            Err(refusal) => {
                warnings.say(|| format!("there is no `{TARGET_INFO}`: {}", refusal.detail()));
                None
            }
        }
    }
}

/// The labels of attributes, those of one name as one.
fn joined(
    attributes: &[Attribute<'_>],
    names: &[(Box<str>, Box<str>)],
    warnings: &mut Warnings,
) -> Vec<Pair> {
    let mut by_key: Vec<_> = attributes.iter().zip(names.iter().map(|(_, name)| name)).collect();
    by_key.sort_by(|(one, _), (other, _)| one.key.cmp(&other.key));
    let mut pairs: Vec<Pair> = Vec::with_capacity(by_key.len());
    for (attribute, name) in by_key {
        let value = &*attribute.value;
        if value.is_empty() || **name == *METRIC_NAME {
            continue;
        }
        let Some((_, joined)) = pairs.iter_mut().find(|(other, _)| **other == **name) else {
            pairs.push((name.to_string(), value.to_owned()));
            continue;
        };
        joined.push(';');
        joined.push_str(value);
        warnings.say(|| {
            format!(
                "attributes such as `{}` become one label `{}`: their values are joined by `;`",
                quoted(&attribute.key),
                quoted(name)
            )
        });
    }
    pairs
}

/// Sets a label, in place of one of its name; to nothing takes it away.
fn set(pairs: &mut Vec<Pair>, name: String, value: String) {
    pairs.retain(|(other, _)| *other != name);
    if !value.is_empty() {
        pairs.push((name, value));
    }
}

/// Refuses what no series has room for, before each of very many is looked for among all others.
fn check_count(pairs: &[Pair]) -> Result<(), Refusal> {
    match pairs.len() {
        ..=LABELS_PER_SERIES_MAX => Ok(()),
        labels => Err(refusal(LabelsError::TooMany { labels })),
    }
}

fn refusal(error: LabelsError) -> Refusal {
    Refusal::from(SampleError::from(error))
}
