//! `[access]`: who may come in, and what they may. Its secrets are hashes, or files that hold them.

mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bellwire_access::jwt::Expiry;
use bellwire_access::{Role, RoleError, RoleText, StoredKey};
use bellwire_authn::config::{
    AccessConfig, IssuerConfig, IssuerKey, IssuerKeys, KeySource, KeysPlace, LoginConfig, Plain,
    ProxyConfig, Publishing, UserConfig, Wider,
};
use bellwire_authn::{CALLBACK_PATH, issuer_address};
use bellwire_model::duration;
use bellwire_model::limits::{
    EXPIRY_GRACE_MAX, ISSUERS_MAX, KEYS_CONFIGURED_MAX, KEYS_OF_ISSUER_MAX, ROLES_MAX,
    SESSION_DEFAULT, SESSION_MAX, SESSION_MIN, SUBJECT_BYTES_MAX, TOKEN_LEEWAY_MAX, USERS_MAX,
};
use http::{HeaderName, header};
use serde::Deserialize;
use toml::Spanned;
use url::Url;

use super::limits::LimitsTable;

use self::user::UserTable;

/// `[access]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessTable {
    anonymous: Option<Spanned<String>>,
    secret_file: Option<PathBuf>,
    previous_secret_file: Option<PathBuf>,
    session: Option<Spanned<String>>,
    wider: Option<Spanned<String>>,
    expiry_grace: Option<Spanned<String>>,
    #[serde(default)]
    role: Vec<Spanned<RoleTable>>,
    #[serde(default)]
    key: Vec<Spanned<KeyTable>>,
    #[serde(default)]
    issuer: Vec<Spanned<IssuerTable>>,
    #[serde(default)]
    user: Vec<Spanned<UserTable>>,
    proxy: Option<ProxyTable>,
    login: Option<Spanned<LoginTable>>,
}

/// `[access.login]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginTable {
    issuer: Spanned<String>,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    scopes: Option<Vec<String>>,
    redirect_url: Option<Spanned<String>>,
}

/// `[access.proxy]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxyTable {
    subject_header: Spanned<String>,
    groups_header: Option<Spanned<String>>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
    #[serde(default)]
    claimable_roles: Vec<Spanned<String>>,
}

/// `[[access.issuer]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerTable {
    name: Spanned<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
    roles_claim: Option<Spanned<String>>,
    #[serde(default)]
    claimable_roles: Vec<Spanned<String>>,
    subject_claim: Option<String>,
    leeway: Option<Spanned<String>>,
    expiry: Option<Spanned<String>>,
    keys_url: Option<Spanned<String>>,
    #[serde(default)]
    discover: bool,
    #[serde(default)]
    plain_http: bool,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    key: Vec<Spanned<IssuerKeyTable>>,
}

/// `[[access.issuer.key]]`. None of these are printed for debugging: a secret may be among them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerKeyTable {
    id: Option<String>,
    secret_file: Option<PathBuf>,
    secret_variable: Option<String>,
    public_key_file: Option<PathBuf>,
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
    #[serde(default)]
    limits: LimitsTable,
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
    check_numbers(&table).map_err(|reason| (span, reason))?;
    let roles = roles(table.role)?;
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
        let place = table.id.span();
        Ok((key(table)?, place))
    });
    let keys: Vec<(StoredKey, Range<usize>)> = keys.collect::<Result<_, _>>()?;
    refuse_twice(keys.iter().map(|(key, place)| (&*key.id, place)), "keys")?;
    let keys = keys.into_iter().map(|(key, _)| key).collect();
    let issuers = table.issuer.into_iter().map(|table| {
        let place = table.span();
        let table = table.into_inner();
        table.roles.iter().chain(&table.claimable_roles).try_for_each(&has_role)?;
        let named = table.name.span();
        Ok((issuer(table, place)?, named))
    });
    let issuers: Vec<(IssuerConfig, Range<usize>)> = issuers.collect::<Result<_, _>>()?;
    refuse_twice(issuers.iter().map(|(issuer, place)| (&*issuer.name, place)), "issuers")?;
    let issuers: Vec<IssuerConfig> = issuers.into_iter().map(|(issuer, _)| issuer).collect();
    let users = table.user.into_iter().map(|table| {
        let table = table.into_inner();
        table.roles.iter().try_for_each(&has_role)?;
        let place = table.name.span();
        Ok((user::read(table)?, place))
    });
    let users: Vec<(UserConfig, Range<usize>)> = users.collect::<Result<_, _>>()?;
    refuse_twice(users.iter().map(|(user, place)| (user.name.as_str(), place)), "users")?;
    let users = users.into_iter().map(|(user, _)| user).collect();
    let proxy = table.proxy.map(|table| {
        table.roles.iter().chain(&table.claimable_roles).try_for_each(&has_role)?;
        proxy(table)
    });
    let login = table.login.map(|table| login(table, &issuers)).transpose()?;
    let anonymous = table.anonymous.map(|name| name.into_inner().into());
    let session = table.session.map(|session| lasts(&session)).transpose()?;
    let wider = table.wider.map_or(Ok(Wider::default()), |text| wider(&text))?;
    let expiry_grace = table.expiry_grace.as_ref().map_or(Ok(Duration::ZERO), grace)?;
    Ok(AccessConfig {
        anonymous,
        wider,
        expiry_grace,
        roles,
        keys,
        issuers,
        users,
        login,
        proxy: proxy.transpose()?,
        secret_file: table.secret_file,
        previous_secret_file: table.previous_secret_file,
        session: session.unwrap_or(SESSION_DEFAULT),
    })
}

/// Whether there are no more tables than there may be.
fn check_numbers(table: &AccessTable) -> Result<(), String> {
    let AccessTable { role, key, issuer, user, .. } = table;
    let numbers = [
        ("role", role.len(), ROLES_MAX),
        ("key", key.len(), KEYS_CONFIGURED_MAX),
        ("issuer", issuer.len(), ISSUERS_MAX),
        ("user", user.len(), USERS_MAX),
    ];
    match numbers.into_iter().find(|(_, number, most)| number > most) {
        Some((name, _, most)) => Err(format!("there are at most {most} `[[access.{name}]]`")),
        None => Ok(()),
    }
}

fn roles(tables: Vec<Spanned<RoleTable>>) -> Result<BTreeMap<Box<str>, Role>, Mistake> {
    let mut roles = BTreeMap::new();
    for table in tables {
        let (name, role) = role(table.into_inner())?;
        let place = name.span();
        if !Role::is_name(name.get_ref()) {
            let reason = format!(
                "a role has a name of {SUBJECT_BYTES_MAX} bytes at most, all of which can be seen"
            );
            return Err((place, reason));
        }
        if roles.insert(Box::from(name.get_ref().as_str()), role).is_some() {
            return Err((place, format!("there are two roles `{}`", name.get_ref())));
        }
    }
    Ok(roles)
}

/// How long a session lasts.
fn lasts(session: &Spanned<String>) -> Result<Duration, Mistake> {
    let parsed = duration::parse(session.get_ref());
    let is_fit = |lasts: &Duration| (SESSION_MIN..=SESSION_MAX).contains(lasts);
    parsed.filter(is_fit).ok_or_else(|| {
        let days = SESSION_MAX.as_secs() / 86_400;
        let reason = format!("`session` is a duration such as `12h`, from `1m` to `{days}d`");
        (session.span(), reason)
    })
}

fn grace(text: &Spanned<String>) -> Result<Duration, Mistake> {
    let parsed = duration::parse(text.get_ref()).filter(|it| *it <= EXPIRY_GRACE_MAX);
    parsed.ok_or_else(|| {
        let most = EXPIRY_GRACE_MAX.as_secs();
        (text.span(), format!("`expiry_grace` is a duration such as `10s`, {most}s at most"))
    })
}

fn wider(text: &Spanned<String>) -> Result<Wider, Mistake> {
    match text.get_ref().as_str() {
        "narrow" => Ok(Wider::Narrow),
        "refuse" => Ok(Wider::Refuse),
        other => Err((text.span(), format!("`wider` is `narrow` or `refuse`, not `{other}`"))),
    }
}

/// Where proxies are is said by a setting of its own, which counts for all that they say.
fn proxy(table: ProxyTable) -> Result<ProxyConfig, Mistake> {
    let header = |name: &Spanned<String>| {
        let read = HeaderName::from_bytes(name.get_ref().as_bytes()).ok();
        // What says more than who somebody is, or that every client sends, is no proxy's.
        let taken = [header::AUTHORIZATION, header::COOKIE, header::HOST, header::ORIGIN];
        read.filter(|name| !taken.contains(name)).ok_or_else(|| {
            let reason = "a header of the proxy's own, such as `X-Auth-Request-User`";
            (name.span(), reason.to_owned())
        })
    };
    let names = |roles: Vec<Spanned<String>>| -> Box<[Box<str>]> {
        roles.into_iter().map(|role| role.into_inner().into()).collect()
    };
    if let Some(role) = table.claimable_roles.first()
        && table.groups_header.is_none()
    {
        let reason = "`groups_header` says which header names these roles: there is none";
        return Err((role.span(), reason.to_owned()));
    }
    Ok(ProxyConfig {
        subject_header: header(&table.subject_header)?,
        groups_header: table.groups_header.as_ref().map(header).transpose()?,
        roles: names(table.roles),
        claimable_roles: names(table.claimable_roles),
    })
}

/// Where the provider sends browsers back to is said here, or made of where people reach the server.
fn login(table: Spanned<LoginTable>, issuers: &[IssuerConfig]) -> Result<LoginConfig, Mistake> {
    let place = table.span();
    let LoginTable { issuer, client_id, client_secret_file, scopes, redirect_url } =
        table.into_inner();
    let named = issuers.iter().find(|known| *known.name == **issuer.get_ref());
    let discovers = named.is_some_and(|named| match &named.keys {
        IssuerKeys::Published(published) => matches!(published.place, KeysPlace::Discovered(_)),
        IssuerKeys::Configured(_) => false,
    });
    if !discovers {
        let reason = "`issuer` is the name of an `[[access.issuer]]` with `discover = true`";
        return Err((issuer.span(), reason.to_owned()));
    }
    let scopes = scopes.unwrap_or_else(|| vec!["openid".to_owned()]);
    if !scopes.iter().any(|scope| scope == "openid") {
        return Err((place, "`scopes` has `openid` among it".to_owned()));
    }
    let redirect_url = redirect_url.map(|url| {
        let read = Url::parse(url.get_ref()).ok();
        read.filter(|url| url.path().ends_with(CALLBACK_PATH)).ok_or_else(|| {
            let reason = format!(
                "`redirect_url` is where browsers reach this server, with `{CALLBACK_PATH}` at its end"
            );
            (url.span(), reason)
        })
    });
    Ok(LoginConfig {
        issuer: issuer.into_inner().into(),
        client_id: client_id.into(),
        client_secret_file,
        scopes: scopes.into_iter().map(Into::into).collect(),
        redirect_url: redirect_url.transpose()?,
    })
}

/// Of two with one name only one could count.
fn refuse_twice<'a>(
    names: impl Iterator<Item = (&'a str, &'a Range<usize>)>,
    what: &str,
) -> Result<(), Mistake> {
    let mut seen = BTreeSet::new();
    for (name, place) in names {
        if !seen.insert(name) {
            return Err((place.clone(), format!("there are two {what} `{name}`")));
        }
    }
    Ok(())
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
        limits: (&table.limits).into(),
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

fn issuer(mut table: IssuerTable, place: Range<usize>) -> Result<IssuerConfig, Mistake> {
    let texts = |texts: Vec<String>| texts.into_iter().map(Into::into).collect::<Vec<Box<str>>>();
    if table.name.get_ref().is_empty() || table.name.get_ref().chars().any(char::is_control) {
        let reason = "an issuer has a name, as its tokens have it, without control characters";
        return Err((table.name.span(), reason.to_owned()));
    }
    let keys = issuer_keys(&mut table, place)?;
    let expiry =
        match table.expiry.as_ref().map(|expiry| (expiry.get_ref().as_str(), expiry.span())) {
            None | Some(("required", _)) => Expiry::Required,
            Some(("optional", _)) => Expiry::Optional,
            Some((other, span)) => {
                let reason = format!("`expiry` is `required` or `optional`, not `{other}`");
                return Err((span, reason));
            }
        };
    let leeway = table.leeway.as_ref().map(|leeway| {
        let parsed = duration::parse(leeway.get_ref()).filter(|it| *it <= TOKEN_LEEWAY_MAX);
        parsed.ok_or_else(|| {
            let most = TOKEN_LEEWAY_MAX.as_secs();
            let reason = format!("`leeway` is a duration such as `30s`, {most}s at most");
            (leeway.span(), reason)
        })
    });
    if let Some(claim) = &table.roles_claim
        && table.claimable_roles.is_empty()
    {
        let reason = "`claimable_roles` says which roles the claim may name: there are none";
        return Err((claim.span(), reason.to_owned()));
    }
    let names = |roles: Vec<Spanned<String>>| -> Vec<Box<str>> {
        roles.into_iter().map(|role| role.into_inner().into()).collect()
    };
    let (roles, claimable_roles) = (names(table.roles).into(), names(table.claimable_roles));
    Ok(IssuerConfig {
        name: table.name.into_inner().into(),
        audiences: texts(table.audiences),
        expiry,
        leeway: leeway.transpose()?.unwrap_or(LEEWAY_DEFAULT),
        subject_claim: table.subject_claim.map_or("sub".into(), Into::into),
        roles,
        roles_claim: table.roles_claim.map(|name| name.into_inner().into()),
        claimable_roles: claimable_roles.into(),
        keys,
    })
}

/// What its tokens are signed with, which is said in one of three ways.
fn issuer_keys(table: &mut IssuerTable, place: Range<usize>) -> Result<IssuerKeys, Mistake> {
    let IssuerTable { keys_url, discover, plain_http, ca_file, key, name, .. } = table;
    let is_published = match (keys_url.is_some(), *discover, key.len()) {
        (false, false, 1..=KEYS_OF_ISSUER_MAX) => false,
        (true, false, 0) | (false, true, 0) => true,
        _ => {
            let reason = format!(
                "an issuer has one of `keys_url`, `discover = true` and 1 to {KEYS_OF_ISSUER_MAX} \
                 `[[access.issuer.key]]`"
            );
            return Err((place, reason));
        }
    };
    if !is_published {
        if *plain_http || ca_file.is_some() {
            let reason = "`plain_http` and `ca_file` are for keys that an issuer publishes";
            return Err((place, reason.to_owned()));
        }
        let keys = std::mem::take(key).into_iter().map(issuer_key);
        return keys.collect::<Result<_, _>>().map(IssuerKeys::Configured);
    }
    let plain_http = if *plain_http { Plain::Allowed } else { Plain::Refused };
    let address = keys_url.as_ref().unwrap_or(name);
    let url = issuer_address(address.get_ref(), plain_http).map_err(|error| {
        let key = if keys_url.is_some() { "`keys_url`" } else { "`discover` asks at `name`" };
        (address.span(), format!("{key}: {error}"))
    })?;
    let place = match keys_url {
        Some(_) => KeysPlace::At(url),
        None => KeysPlace::Discovered(url),
    };
    Ok(IssuerKeys::Published(Publishing { place, plain_http, ca_file: ca_file.take() }))
}

/// How far clocks may be apart where nothing is said.
const LEEWAY_DEFAULT: Duration = Duration::from_secs(30);

fn issuer_key(table: Spanned<IssuerKeyTable>) -> Result<IssuerKey, Mistake> {
    let place = table.span();
    let IssuerKeyTable { id, secret_file, secret_variable, public_key_file } = table.into_inner();
    let sources = [
        secret_file.map(KeySource::SecretFile),
        secret_variable.map(KeySource::SecretVariable),
        public_key_file.map(KeySource::PublicKeyFile),
    ];
    let mut sources = sources.into_iter().flatten();
    if let (Some(source), None) = (sources.next(), sources.next()) {
        return Ok(IssuerKey { id, source });
    }
    let reason = "a key has one of `secret_file`, `secret_variable`, `public_key_file`";
    Err((place, reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<AccessConfig, String> {
        let table = toml::de::DeTable::parse(text).expect("TOML").into_inner();
        let (_, value) = table.into_iter().next().expect("a table");
        read(value).map_err(|(_, reason)| reason)
    }

    #[test]
    fn who_takes_everybody_for_an_administrator_is_open() {
        let is_open = |text: &str| read_text(text).expect(text).lets_in_everybody();
        let role = "[[access.role]]\nname = \"r\"\n";
        assert!(is_open("[access]\nanonymous = \"admin\""));
        assert!(is_open(&format!("{role}publish = [\"**\"]\n[access]\nanonymous = \"r\"")));
        assert!(!is_open(&format!("{role}publish = [\"a\"]\n[access]\nanonymous = \"r\"")));
        assert!(!is_open("[access]"));
    }

    #[test]
    fn who_has_nothing_to_show_cannot_come_in() {
        let is_closed = |text: &str| read_text(text).expect(text).lets_in_nobody();
        assert!(is_closed("[access]"));
        assert!(is_closed("[[access.role]]\nname = \"r\""));
        assert!(!is_closed("[access]\nanonymous = \"admin\""));
        let issuer = "[[access.issuer]]\nname = \"i\"\n[[access.issuer.key]]\nsecret_file = \"s\"";
        assert!(!is_closed(issuer));
    }

    #[test]
    fn what_is_wrong_with_access_is_told() {
        let role = "[[access.role]]\nname = \"r\"\n";
        let issuer = "[[access.issuer]]\nname = \"i\"\n";
        let hash = "0".repeat(64);
        let stored = format!(
            "[[access.key]]\nid = \"01234567\"\nhash = \"{hash}\"\nsubject = \"a\"\nroles = []\n"
        );
        let user = "[[access.user]]\nname = \"ann\"\nroles = []\npassword_hash = \"$argon2id$v=19$\
                    m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\"\n";
        let key = "[[access.issuer.key]]\nsecret_file = \"s\"\n";
        let cases = [
            ("[access]\nanonymous = \"r\"".to_owned(), "there is no role `r`"),
            ("[access]\nsession = \"1s\"".to_owned(), "`session` is a duration such as"),
            ("[access]\nsession = \"1y\"".to_owned(), "`session` is a duration such as"),
            ("[access]\nexpiry_grace = \"6m\"".to_owned(), "`expiry_grace` is a duration"),
            ("[access]\nwider = \"no\"".to_owned(), "`wider` is `narrow` or `refuse`"),
            (format!("{role}{role}"), "there are two roles `r`"),
            ("[[access.role]]\nname = \"\"".to_owned(), "a role has a name"),
            ("[[access.role]]\nname = \"a\\nb\"".to_owned(), "a role has a name"),
            ("[[access.role]]\nname = \"a\\u200bb\"".to_owned(), "a role has a name"),
            (format!("{role}publish = [{}]", "\"a\",".repeat(257)), "at most 256 of them"),
            (format!("{role}colour = 1"), "unknown field `colour`"),
            (format!("{role}alerts = [\"a=~\\\"(\\\"\"]"), "`alerts`"),
            (format!("{role}publish = [\"a/{{who}}\"]"), "`{who}` is no variable"),
            ("[access.proxy]\nsubject_header = \"a b\"".to_owned(), "a header of the proxy's own"),
            (
                "[access.proxy]\nsubject_header = \"Cookie\"".to_owned(),
                "a header of the proxy's own",
            ),
            (
                "[access.proxy]\nsubject_header = \"x\"\nclaimable_roles = [\"admin\"]".to_owned(),
                "`groups_header` says which",
            ),
            (issuer.to_owned(), "an issuer has one of `keys_url`, `discover = true` and 1 to"),
            (format!("{issuer}discover = true\n{key}"), "an issuer has one of"),
            (format!("{issuer}discover = true\nkeys_url = \"https://i\""), "an issuer has one of"),
            (format!("{issuer}discover = true"), "`discover` asks at `name`: this is no URL"),
            (format!("{issuer}keys_url = \"http://i.example\""), "`keys_url`: over `http://`"),
            (format!("{issuer}plain_http = true\n{key}"), "are for keys that an issuer publishes"),
            ("[[access.issuer]]\nname = \"a\\nb\"".to_owned(), "an issuer has a name"),
            (format!("{issuer}leeway = \"1h\"\n{key}"), "`leeway` is a duration"),
            (format!("{issuer}expiry = \"never\"\n{key}"), "`expiry` is `required` or"),
            (format!("{issuer}roles_claim = \"r\"\n{key}"), "`claimable_roles` says which"),
            (format!("{issuer}roles = [\"r\"]\n{key}"), "there is no role `r`"),
            (format!("{issuer}{key}{issuer}{key}"), "there are two issuers `i`"),
            (format!("{stored}{stored}"), "there are two keys `01234567`"),
            (format!("{user}{user}"), "there are two users `ann`"),
            (user.replace("\"ann\"", "\"a\\nb\""), "the name of a user has letters and"),
            (user.replace("argon2id", "argon2i"), "passwords are hashed with `argon2id`"),
            (format!("{user}roles = [\"r\"]").replacen("roles = []\n", "", 1), "there is no role"),
            (format!("{issuer}{key}public_key_file = \"p\""), "a key has one of"),
        ];
        for (text, reason) in cases {
            let told = read_text(&text).expect_err(&text);
            assert!(told.contains(reason), "{text}: {told}");
        }
        let good = format!("{role}{issuer}roles = [\"admin\"]\n{key}");
        let config = read_text(&good).expect("valid");
        assert_eq!(config.issuers[0].leeway, LEEWAY_DEFAULT);
        assert_eq!(config.wider, Wider::Narrow);
        assert_eq!(config.expiry_grace, Duration::ZERO);
        let strict = "[access]\nwider = \"refuse\"\nexpiry_grace = \"5m\"";
        let strict = read_text(strict).expect("valid");
        assert_eq!(strict.expiry_grace, EXPIRY_GRACE_MAX);
        assert_eq!(strict.wider, Wider::Refuse);
    }
}
