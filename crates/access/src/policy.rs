//! Who has which roles, and what they allow.

use std::collections::{BTreeMap, BTreeSet};

use crate::claims::Claims;
use crate::rights::Rights;
use crate::role::Role;

/// The roles that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    roles: BTreeMap<Box<str>, Role>,
    /// What those may who show no credential.
    anonymous: Option<Box<str>>,
}

impl Policy {
    /// These roles, and that of administrators. `anonymous` names that of strangers.
    pub fn new(roles: BTreeMap<Box<str>, Role>, anonymous: Option<Box<str>>) -> Self {
        let mut policy = Self { roles, anonymous };
        policy.roles.entry(Role::ADMIN.into()).or_insert_with(Role::admin);
        policy
    }

    /// Whether there is a role of this name.
    pub fn has(&self, role: &str) -> bool {
        self.roles.contains_key(role)
    }

    /// The names of all roles.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(|name| &**name)
    }

    /// The role of who shows no credential. `None`: strangers get nothing.
    pub fn anonymous(&self) -> Option<&str> {
        self.anonymous.as_deref()
    }

    /// What the roles of these names allow together. A name that is none allows nothing: those who
    /// make tokens may know of roles that this server does not have. Bounded in all; what goes beyond is
    /// not granted ([`Rights::is_cut`]).
    pub fn rights<'a>(&self, roles: impl IntoIterator<Item = &'a str>, claims: &Claims) -> Rights {
        let names: BTreeSet<&str> = roles.into_iter().collect();
        let roles = names.into_iter().filter_map(|name| self.roles.get(name));
        Role::rights(&roles.collect::<Vec<_>>(), claims)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_model::limits::{FILTERS_OF_RIGHTS_MAX, MATCHERS_OF_RIGHTS_MAX, RIGHTS_BYTES_MAX};
    use bellwire_model::{FilterSet, Labels, Scope};

    use super::*;
    use crate::claims::Claim;
    use crate::role::RoleText;

    fn claims() -> Claims {
        Claims::new("ada", BTreeMap::new(), None).expect("claims")
    }

    #[test]
    fn roles_add_up_and_unknown_ones_are_nothing() {
        let publish = |filter: &str| {
            let text = RoleText { publish: vec![filter.to_owned()], ..RoleText::default() };
            Role::parse(&text).expect("a role")
        };
        let roles = [("a".into(), publish("a")), ("b".into(), publish("b"))].into();
        let policy = Policy::new(roles, None);
        let claims = claims();
        assert_eq!(policy.rights(["a", "b", "c"], &claims).publish.to_string(), "a b");
        assert_eq!(policy.rights(["c"], &claims), Rights::none());
        assert_eq!(policy.rights([Role::ADMIN], &claims), Rights::all());
        assert_eq!(policy.names().collect::<Vec<_>>(), ["a", "admin", "b"]);
    }

    #[test]
    fn a_role_that_is_named_often_is_one() {
        let often = std::iter::repeat_n("a", 10_000);
        let text = RoleText { publish: vec!["x/{sub}".into()], ..RoleText::default() };
        let policy = Policy::new([("a".into(), Role::parse(&text).expect("a role"))].into(), None);
        let claims = claims();
        let rights = policy.rights(often, &claims);
        assert_eq!(rights, policy.rights(["a"], &claims));
        assert!(!rights.is_cut);
    }

    /// Many roles for somebody who is in very many teams.
    fn crowded(teams: usize) -> Rights {
        let role = |number: usize| {
            let filter = |what: &str| format!("{what}/{number}/{{claim.team}}/**");
            let matchers = |label: &str| format!(r#"{{{label}="{{claim.team}}",n="{number}"}}"#);
            let text = RoleText {
                subscribe: vec![filter("s"), filter("t")],
                publish: vec![filter("p")],
                alerts: vec![matchers("team"), matchers("owner")],
                query: vec![format!(r#"{{team=~"{{claim.team}}.*",n="{number}"}}"#)],
                ..RoleText::default()
            };
            (format!("role-{number:02}").into(), Role::parse(&text).expect("a role"))
        };
        let last = RoleText {
            subscribe: vec!["news".to_owned()],
            alerts: vec![r#"{shared="yes"}"#.to_owned()],
            ..RoleText::default()
        };
        let last = ("z".into(), Role::parse(&last).expect("a role"));
        let policy = Policy::new((0..20).map(role).chain([last]).collect(), None);
        let teams = (0..teams).map(|number| format!("team-{number}").into()).collect();
        let values = [("team".into(), Claim::List(teams))].into();
        let claims = Claims::new("ada", values, None).expect("claims");
        let names: Vec<String> = policy.names().map(ToOwned::to_owned).collect();
        policy.rights(names.iter().map(String::as_str).filter(|name| *name != Role::ADMIN), &claims)
    }

    #[test]
    fn rights_are_bounded_in_all_and_what_goes_beyond_is_not_granted() {
        let few = crowded(1);
        assert!(!few.is_cut);
        assert_eq!(few.subscribe.iter().count(), 41);
        let many = crowded(500);
        assert!(many.is_cut && !many.is_admin);
        for filters in [&many.subscribe, &many.publish] {
            assert_eq!(filters.iter().count(), FILTERS_OF_RIGHTS_MAX);
        }
        for scope in [&many.alerts, &many.query] {
            let sets = scope.sets().expect("not everything");
            assert!((1..=MATCHERS_OF_RIGHTS_MAX).contains(&sets.len()), "{}", sets.len());
        }
        assert!(many.ingest == Scope::none() && many.attend == Scope::none());
        assert!(many.size_bytes() <= RIGHTS_BYTES_MAX);
        // What is no claim's is there, and nothing is wider than some role has it.
        let news: bellwire_model::Topic = "news".parse().expect("a topic");
        assert!(many.subscribe.matches(&news));
        let meant = ["news", "s/*/*/**", "t/*/*/**"].map(|text| text.parse().expect("a filter"));
        assert!(FilterSet::gathered(meant.to_vec()).covers(&many.subscribe));
        let labels = |pairs: [(&str, &str); 2]| Labels::from_pairs(pairs).expect("labels");
        assert!(many.alerts.passes(&labels([("shared", "yes"), ("team", "other")])));
        assert!(!many.alerts.passes(&labels([("team", "other"), ("n", "1")])));
    }

    #[test]
    fn expressions_count_as_they_are_compiled() {
        let query = vec![r#"{team=~"{claim.team}\\pL{40}"}"#.to_owned()];
        let role = Role::parse(&RoleText { query, ..RoleText::default() }).expect("a role");
        let policy = Policy::new([("a".into(), role)].into(), None);
        let teams = (0..64).map(|number| format!("team-{number}").into()).collect();
        let values = [("team".into(), Claim::List(teams))].into();
        let claims = Claims::new("ada", values, None).expect("claims");
        let rights = policy.rights(["a"], &claims);
        let sets = rights.query.sets().expect("not everything");
        assert!(rights.is_cut && !sets.is_empty() && sets.len() < 64, "{}", sets.len());
        assert!((RIGHTS_BYTES_MAX / 2..=RIGHTS_BYTES_MAX).contains(&rights.size_bytes()));
    }

    #[test]
    fn the_role_of_administrators_can_be_another_one() {
        let roles = [(Role::ADMIN.into(), Role::parse(&RoleText::default()).expect("a role"))];
        let policy = Policy::new(roles.into(), None);
        assert_eq!(policy.rights([Role::ADMIN], &claims()), Rights::none());
    }
}
