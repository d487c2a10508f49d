//! API keys, by their public part.

use std::collections::HashMap;

use bellwire_access::key::PresentedKey;
use bellwire_access::{Claims, Identity, Means, Policy, StoredKey};
use bellwire_model::Timestamp;

use crate::refusal::Invalid;

/// The keys that there are.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<Box<str>, StoredKey>);

impl Keys {
    /// Those that are configured.
    pub(crate) fn new(configured: &[StoredKey]) -> Self {
        Self(configured.iter().map(|key| (key.id.clone(), key.clone())).collect())
    }

    /// Whose key it is, and what they may.
    pub(crate) fn identity(
        &self,
        policy: &Policy,
        text: &str,
        now: Timestamp,
    ) -> Result<Identity, Invalid> {
        let presented = PresentedKey::parse(text).map_err(|error| {
            tracing::debug!(%error, "An API key was refused.");
            Invalid
        })?;
        let stored = self.0.get(presented.id()).ok_or(Invalid)?;
        stored.check(&presented, now).map_err(|error| {
            tracing::debug!(%error, key = presented.id(), "An API key was refused.");
            Invalid
        })?;
        let StoredKey { id, subject, roles, claims, ends_at, .. } = stored;
        let claims = Claims { subject: subject.clone(), values: claims.clone(), ends_at: *ends_at };
        let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
        Ok(Identity { claims, means: Means::Key(id.clone()), roles: roles.clone(), rights })
    }
}
