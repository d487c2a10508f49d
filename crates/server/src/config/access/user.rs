//! `[[access.user]]`: what `bellwire user add` prints.

use std::collections::BTreeMap;

use bellwire_access::password::{PasswordHash, Username};
use bellwire_access::{Claim, Claims};
use bellwire_authn::config::UserConfig;
use serde::Deserialize;
use toml::Spanned;

use super::Mistake;

/// The table. It is not printed for debugging: a password may be written where its hash belongs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserTable {
    pub(super) name: Spanned<String>,
    password_hash: Spanned<String>,
    pub(super) roles: Vec<Spanned<String>>,
    claims: Option<Spanned<BTreeMap<Box<str>, Claim>>>,
    #[serde(default)]
    note: String,
}

pub(super) fn read(table: UserTable) -> Result<UserConfig, Mistake> {
    let UserTable { name, password_hash, roles, claims, note } = table;
    let place = name.span();
    let name = Username::read(name.get_ref()).map_err(|error| (place, error.to_string()))?;
    let hash = PasswordHash::read(password_hash.get_ref())
        .map_err(|error| (password_hash.span(), error.to_string()))?;
    let claims = match claims {
        Some(claims) => {
            let place = claims.span();
            Claims::new(name.as_str(), claims.into_inner(), None)
                .map_err(|error| (place, error.to_string()))?
                .values
        }
        None => BTreeMap::new(),
    };
    let roles = roles.into_iter().map(|role| role.into_inner().into()).collect();
    Ok(UserConfig { name, hash, roles, claims, note: note.into() })
}
