//! Roles: named sets of rights, as the configuration has them.

use bellwire_model::limits::FILTERS_OF_RIGHTS_MAX;
use thiserror::Error;

use crate::allowance::Limits;
use crate::claims::{Claims, check_subject};
use crate::gathering::Gathering;
use crate::rights::Rights;
use crate::template::{FilterTemplate, MatchersTemplate, TemplateError};

/// A role as it is written: each text may have variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleText {
    /// Filters of topics that may be followed and read.
    pub subscribe: Vec<String>,
    /// Filters of topics that may be published to.
    pub publish: Vec<String>,
    /// Matchers of samples that may be sent.
    pub ingest: Vec<String>,
    /// Matchers of series that are shown.
    pub query: Vec<String>,
    /// Matchers of alerts that are shown.
    pub alerts: Vec<String>,
    /// Matchers of alerts that may be acknowledged and silenced.
    pub attend: Vec<String>,
    /// Matchers of alerts that may be posted.
    pub post_alerts: Vec<String>,
    /// Whether it is for those who run the server.
    pub admin: bool,
    /// How much each subject that has it may do. Of several roles the most generous counts.
    pub limits: Limits,
}

/// Rights with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    subscribe: Vec<FilterTemplate>,
    publish: Vec<FilterTemplate>,
    ingest: Vec<MatchersTemplate>,
    query: Vec<MatchersTemplate>,
    alerts: Vec<MatchersTemplate>,
    attend: Vec<MatchersTemplate>,
    post_alerts: Vec<MatchersTemplate>,
    is_admin: bool,
    limits: Limits,
}

impl Role {
    /// The name of the role that is always there, with all rights.
    pub const ADMIN: &'static str = "admin";

    /// Reads a role.
    pub fn parse(text: &RoleText) -> Result<Self, RoleError> {
        let filters = |key, texts| all(key, texts, FilterTemplate::parse);
        let matchers = |key, texts| all(key, texts, MatchersTemplate::parse);
        Ok(Self {
            subscribe: filters("subscribe", &text.subscribe)?,
            publish: filters("publish", &text.publish)?,
            ingest: matchers("ingest", &text.ingest)?,
            query: matchers("query", &text.query)?,
            alerts: matchers("alerts", &text.alerts)?,
            attend: matchers("attend", &text.attend)?,
            post_alerts: matchers("post_alerts", &text.post_alerts)?,
            is_admin: text.admin,
            limits: text.limits,
        })
    }

    /// All rights, whoever asks.
    pub fn admin() -> Self {
        let filters = ["**", "$sys/**"].map(ToOwned::to_owned).to_vec();
        let everything = || vec!["{}".to_owned()];
        let text = RoleText {
            subscribe: filters.clone(),
            publish: filters,
            ingest: everything(),
            query: everything(),
            alerts: everything(),
            attend: everything(),
            post_alerts: everything(),
            admin: true,
            limits: Limits::NONE,
        };
        Self::parse(&text).expect("its own words are valid")
    }

    /// Whether a role can be called so. Its name stands in logs, and in what callers are told, as those
    /// of subjects do.
    pub fn is_name(name: &str) -> bool {
        check_subject(name).is_ok()
    }

    /// What these allow together to the subject of these claims.
    pub(crate) fn rights(roles: &[&Self], claims: &Claims) -> Rights {
        let mut gathering = Gathering::new(claims);
        let rights = Rights {
            subscribe: gathering.filters(roles.iter().flat_map(|role| &role.subscribe)),
            publish: gathering.filters(roles.iter().flat_map(|role| &role.publish)),
            ingest: gathering.scope(roles.iter().flat_map(|role| &role.ingest)),
            query: gathering.scope(roles.iter().flat_map(|role| &role.query)),
            alerts: gathering.scope(roles.iter().flat_map(|role| &role.alerts)),
            attend: gathering.scope(roles.iter().flat_map(|role| &role.attend)),
            post_alerts: gathering.scope(roles.iter().flat_map(|role| &role.post_alerts)),
            is_admin: roles.iter().any(|role| role.is_admin),
            limits: roles.iter().map(|role| role.limits).reduce(Limits::or).unwrap_or_default(),
            is_cut: false,
        };
        Rights { is_cut: gathering.is_cut(), ..rights }
    }
}

fn all<T>(
    key: &'static str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, TemplateError>,
) -> Result<Vec<T>, RoleError> {
    if texts.len() > FILTERS_OF_RIGHTS_MAX {
        let index = FILTERS_OF_RIGHTS_MAX;
        return Err(RoleError { key, index, error: TemplateError::TooManyEntries });
    }
    let parse = |(index, text): (usize, &String)| {
        parse(text).map_err(|error| RoleError { key, index, error })
    };
    texts.iter().enumerate().map(parse).collect()
}

/// What is wrong with a role.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("`{key}`: {error}")]
pub struct RoleError {
    /// Which of its lists.
    pub key: &'static str,
    /// Which of the list's texts.
    pub index: usize,
    /// What is wrong with it.
    pub error: TemplateError,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwire_model::Scope;

    use super::*;

    fn role(text: &RoleText) -> Role {
        Role::parse(text).expect("a role")
    }

    fn rights(roles: &[&RoleText]) -> Rights {
        let roles: Vec<Role> = roles.iter().map(|text| role(text)).collect();
        Role::rights(&roles.iter().collect::<Vec<_>>(), &claims())
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn claims() -> Claims {
        Claims::new("ada", BTreeMap::new(), None).expect("claims")
    }

    #[test]
    fn what_nobody_names_nobody_may() {
        assert_eq!(rights(&[&RoleText::default()]), Rights::none());
        assert_eq!(Role::rights(&[&Role::admin()], &claims()), Rights::all());
        assert!(Rights::all().read_everything() && !Rights::none().read_everything());
    }

    #[test]
    fn each_list_has_its_own_right() {
        let text = RoleText {
            subscribe: texts(&["devices/{sub}/**", "news"]),
            alerts: texts(&[r#"{team="a"}"#]),
            attend: texts(&["{}"]),
            ..RoleText::default()
        };
        let rights = rights(&[&text]);
        assert_eq!(rights.subscribe.to_string(), "devices/ada/** news");
        assert!(rights.attend.is_all() && !rights.alerts.is_all());
        assert_eq!(rights.publish.iter().count(), 0);
        assert_eq!(rights.query, Scope::none());
    }

    #[test]
    fn rights_of_two_roles_are_what_either_allows() {
        let one = RoleText { publish: texts(&["a/**"]), admin: true, ..RoleText::default() };
        let other = RoleText { publish: texts(&["a/b", "c"]), ..RoleText::default() };
        let both = rights(&[&one, &other]);
        assert_eq!(both.publish.to_string(), "a/** c");
        assert!(both.is_admin);
        let all = Role::rights(&[&Role::admin(), &role(&one), &role(&other)], &claims());
        assert_eq!(all, Rights::all());
    }

    #[test]
    fn a_mistake_has_its_place() {
        let text = RoleText { query: texts(&["{}", "a=~\"(\""]), ..RoleText::default() };
        let error = Role::parse(&text).expect_err("no expression");
        assert_eq!((error.key, error.index), ("query", 1));
        let many = vec!["a".to_owned(); FILTERS_OF_RIGHTS_MAX + 1];
        let error = Role::parse(&RoleText { publish: many, ..RoleText::default() });
        let error = error.expect_err("too many");
        assert_eq!((error.key, error.index), ("publish", FILTERS_OF_RIGHTS_MAX));
        assert_eq!(error.error, TemplateError::TooManyEntries);
    }

    #[test]
    fn a_role_is_called_what_a_subject_may_be() {
        for (name, expected) in [
            ("team", true),
            ("", false),
            ("a\nb", false),
            ("\u{202e}nimda", false),
            ("ad\u{200b}min", false),
        ] {
            assert_eq!(Role::is_name(name), expected, "{name:?}");
        }
    }
}
