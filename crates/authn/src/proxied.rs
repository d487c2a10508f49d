//! Who somebody is, as a proxy in front of the server says it in headers: oauth2-proxy, or nginx with a
//! login of its own.
//!
//! The header is a proxy's word only where the connection is a proxy's, which is asked above: whoever
//! else sends it says nothing by it.

use std::collections::BTreeMap;

use bellwire_access::{Claim, Claims, Identity, Means, Policy};
use bellwire_model::Timestamp;
use bellwire_model::limits::{CREDENTIAL_BYTES_MAX, PROXIED_LASTS};
use bellwire_wire::problem::Problem;
use http::{HeaderMap, HeaderName};

use crate::config::ProxyConfig;
use crate::refusal::Invalid;
use crate::shown::{Shown, malformed};

/// The claim that has the groups which the proxy names.
const GROUPS: &str = "groups";

/// Proxies that say who somebody is.
#[derive(Debug)]
pub(crate) struct Proxied(ProxyConfig);

impl Proxied {
    pub(crate) fn new(config: ProxyConfig) -> Self {
        Self(config)
    }

    /// What the proxy says, whose connection this is. What stands there twice or is
    /// no name is refused: of two names one may be the client's own, which the proxy has left there.
    pub(crate) fn shown(&self, headers: &HeaderMap) -> Result<Option<Shown>, Problem> {
        let Some(subject) = single(headers, &self.0.subject_header)? else { return Ok(None) };
        if subject.is_empty() {
            return Err(malformed("the proxy names nobody"));
        }
        let groups = self.0.groups_header.as_ref();
        let groups = groups.map(|name| single(headers, name)).transpose()?.flatten();
        let groups = groups.unwrap_or_default();
        if subject.len() + groups.len() > CREDENTIAL_BYTES_MAX {
            return Err(malformed("the proxy says too much"));
        }
        Ok(Some(Shown::Proxied(subject.into(), groups.into())))
    }

    /// Whom the proxy has named, and what they may. It does not say for how long that is so: what comes
    /// of it, be it a stream or a session, lasts until it should be asked again.
    pub(crate) fn identity(
        &self,
        policy: &Policy,
        (subject, groups): (&str, &str),
        now: Timestamp,
    ) -> Result<Identity, Invalid> {
        let ProxyConfig { roles, claimable_roles, .. } = &self.0;
        let groups: Box<[Box<str>]> =
            groups.split(',').map(str::trim).filter(|it| !it.is_empty()).map(Into::into).collect();
        // Groups are of all services behind the proxy.
        let named = groups.iter().filter(|group| claimable_roles.contains(group));
        let roles: Box<[Box<str>]> = roles.iter().chain(named).cloned().collect();
        let mut values = BTreeMap::new();
        if !groups.is_empty() {
            values.insert(GROUPS.into(), Claim::List(groups));
        }
        let claims = Claims::new(subject, values, Some(now.saturating_add(PROXIED_LASTS)))
            .map_err(|error| {
                tracing::debug!(%error, "What a proxy says of somebody was refused.");
                Invalid
            })?;
        let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
        Ok(Identity { claims, means: Means::Proxy, roles, rights })
    }
}

/// The text of a header that stands once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed("a header of the proxy stands there twice"));
    }
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim);
    text.map(Some).map_err(|_| malformed("a header of the proxy is no text"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxied() -> Proxied {
        Proxied::new(ProxyConfig {
            subject_header: HeaderName::from_static("x-user"),
            groups_header: Some(HeaderName::from_static("x-groups")),
            roles: Box::new(["team".into()]),
            claimable_roles: Box::new(["admin".into()]),
        })
    }

    fn shown(headers: &[(&'static str, &str)]) -> Result<Option<Shown>, ()> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            map.append(HeaderName::from_static(name), value);
        }
        proxied().shown(&map).map_err(|_| ())
    }

    #[test]
    fn a_proxy_names_somebody_with_groups() {
        let said = Some(Shown::Proxied("ada".into(), "a,admin".into()));
        assert_eq!(shown(&[("x-user", " ada "), ("x-groups", "a,admin")]), Ok(said));
        assert_eq!(shown(&[("x-groups", "admin")]), Ok(None));
    }

    #[test]
    fn what_a_proxy_may_not_have_meant_is_refused() {
        let long = "a".repeat(CREDENTIAL_BYTES_MAX + 1);
        for headers in [
            &[("x-user", "ada"), ("x-user", "eve")][..],
            &[("x-user", "ada"), ("x-user", "ada")],
            &[("x-user", "ada"), ("x-groups", "a"), ("x-groups", "admin")],
            &[("x-user", "")],
            &[("x-user", "  ")],
            &[("x-user", &long)],
        ] {
            assert_eq!(shown(headers), Err(()), "{headers:?}");
        }
    }

    #[test]
    fn groups_are_a_claim_and_name_roles_that_they_may() {
        let policy = Policy::new(BTreeMap::new(), None);
        let now = Timestamp::from_ms(0);
        let said = |subject, groups| proxied().identity(&policy, (subject, groups), now);
        let identity = |groups| said("ada", groups).expect("somebody");
        let ada = identity(" blue, admin ,,root");
        assert_eq!(&*ada.roles, ["team".into(), "admin".into()]);
        assert!(ada.rights.is_admin);
        let groups = ada.claims.get(GROUPS).map(Claim::texts).expect("groups");
        assert_eq!(groups, ["blue".into(), "admin".into(), "root".into()]);
        assert!(!identity("").rights.is_admin);
        assert!(said("a\u{202e}b", "").is_err());
        assert_eq!(ada.ends_at(), Some(now.saturating_add(PROXIED_LASTS)));
    }
}
