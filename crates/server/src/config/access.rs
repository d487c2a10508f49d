//! `[access]`: who may come in, and what they may. Its secrets are hashes, or files that hold them.

use std::collections::BTreeMap;
use std::ops::Range;

use bellwire_access::{Role, RoleError, RoleText, StoredKey};
use bellwire_model::limits::{KEYS_CONFIGURED_MAX, ROLES_MAX};
use serde::Deserialize;
use toml::Spanned;

/// Who may come in.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessConfig {
    /// The role of who shows no credential. `None`: they get nothing.
    pub anonymous: Option<Box<str>>,
    /// Roles by name.
    pub roles: BTreeMap<Box<str>, Role>,
    /// API keys.
    pub keys: Vec<StoredKey>,
}

/// `[access]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessTable {
    anonymous: Option<Spanned<String>>,
    #[serde(default)]
    role: Vec<Spanned<RoleTable>>,
    #[serde(default)]
    key: Vec<Spanned<KeyTable>>,
}

/// `[[access.role]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleTable {
    name: Spanned<String>,
    #[serde(default)]
    subscribe: Vec<Spanned<String>>,
    #[serde(default)]
    publish: Vec<Spanned<String>>,
    #[serde(default)]
    ingest: Vec<Spanned<String>>,
    #[serde(default)]
    query: Vec<Spanned<String>>,
    #[serde(default)]
    alerts: Vec<Spanned<String>>,
    #[serde(default)]
    attend: Vec<Spanned<String>>,
    #[serde(default)]
    post_alerts: Vec<Spanned<String>>,
    #[serde(default)]
    admin: bool,
}

/// `[[access.key]]`: what `bellwire key make` prints.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    id: Spanned<String>,
    hash: Spanned<String>,
    subject: Spanned<String>,
    roles: Vec<Spanned<String>>,
    #[serde(default)]
    note: String,
}

/// What is wrong, and where in the file.
pub(super) type Mistake = (Range<usize>, String);

/// Reads the table.
pub(super) fn read(value: Spanned<toml::de::DeValue<'_>>) -> Result<AccessConfig, Mistake> {
    let span = value.span();
    let deserializer = toml::de::ValueDeserializer::from(value);
    let table = AccessTable::deserialize(deserializer)
        .map_err(|error| (error.span().unwrap_or(span.clone()), error.message().to_owned()))?;
    if table.role.len() > ROLES_MAX {
        return Err((span, format!("there are at most {ROLES_MAX} `[[access.role]]`")));
    }
    if table.key.len() > KEYS_CONFIGURED_MAX {
        return Err((span, format!("there are at most {KEYS_CONFIGURED_MAX} `[[access.key]]`")));
    }
    let mut roles = BTreeMap::new();
    for table in table.role {
        let (name, role) = role(table.into_inner())?;
        let place = name.span();
        if roles.insert(Box::from(name.get_ref().as_str()), role).is_some() {
            return Err((place, format!("there are two roles `{}`", name.get_ref())));
        }
    }
    let has_role = |name: &Spanned<String>| {
        if name.get_ref() == Role::ADMIN || roles.contains_key(name.get_ref().as_str()) {
            return Ok(());
        }
        let reason = format!(
            "there is no role `{0}`: `[[access.role]]` with `name = \"{0}\"` makes one",
            name.get_ref()
        );
        Err((name.span(), reason))
    };
    table.anonymous.iter().try_for_each(&has_role)?;
    let keys = table.key.into_iter().map(|table| {
        let table = table.into_inner();
        table.roles.iter().try_for_each(&has_role)?;
        key(table)
    });
    let keys = keys.collect::<Result<_, _>>()?;
    let anonymous = table.anonymous.map(|name| name.into_inner().into());
    Ok(AccessConfig { anonymous, roles, keys })
}

fn role(table: RoleTable) -> Result<(Spanned<String>, Role), Mistake> {
    let lists = [
        ("subscribe", &table.subscribe),
        ("publish", &table.publish),
        ("ingest", &table.ingest),
        ("query", &table.query),
        ("alerts", &table.alerts),
        ("attend", &table.attend),
        ("post_alerts", &table.post_alerts),
    ];
    let texts = |list: &[Spanned<String>]| -> Vec<String> {
        list.iter().map(|text| text.get_ref().clone()).collect()
    };
    let text = RoleText {
        subscribe: texts(&table.subscribe),
        publish: texts(&table.publish),
        ingest: texts(&table.ingest),
        query: texts(&table.query),
        alerts: texts(&table.alerts),
        attend: texts(&table.attend),
        post_alerts: texts(&table.post_alerts),
        admin: table.admin,
    };
    let role = Role::parse(&text).map_err(|error| {
        let RoleError { key, index, .. } = error;
        let list = lists.iter().find(|(name, _)| *name == key);
        let place = list.map(|(_, list)| list[index].span()).unwrap_or_default();
        (place, error.to_string())
    })?;
    Ok((table.name, role))
}

fn key(table: KeyTable) -> Result<StoredKey, Mistake> {
    let place = table.hash.span();
    let roles = table.roles.into_iter().map(|role| role.into_inner().into()).collect();
    let (id, subject) = (table.id.into_inner(), table.subject.into_inner());
    StoredKey::new(&id, table.hash.get_ref(), (&subject, roles), &table.note)
        .map_err(|error| (place, error.to_string()))
}
