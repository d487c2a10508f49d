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
    /// make tokens may know of roles that this server does not have.
    pub fn rights<'a>(&self, roles: impl IntoIterator<Item = &'a str>, claims: &Claims) -> Rights {
        let names: BTreeSet<&str> = roles.into_iter().collect();
        let roles = names.into_iter().filter_map(|name| self.roles.get(name));
        roles.map(|role| role.rights(claims)).fold(Rights::none(), |all, one| all.union(&one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn the_role_of_administrators_can_be_another_one() {
        let roles = [(Role::ADMIN.into(), Role::parse(&RoleText::default()).expect("a role"))];
        let policy = Policy::new(roles.into(), None);
        assert_eq!(policy.rights([Role::ADMIN], &claims()), Rights::none());
    }
}
