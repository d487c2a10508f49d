//! Local users: names with passwords, each of which takes its work to check.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwire_access::password::{LocalUsers, Username};
use bellwire_access::{Claims, Identity, Means, Policy};
use bellwire_model::Timestamp;
use bellwire_model::limits::{
    LOGINS_WAITING_MAX, LOGINS_WAITING_OF_NETWORK_MAX, PASSWORD_CHECKS_MAX,
};
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::Semaphore;

use crate::attempts::Attempts;
use crate::config::UserConfig;
use crate::places::Places;

/// The users that there are.
#[derive(Debug)]
pub(crate) struct Users {
    /// Shared with those threads that check passwords.
    passwords: Arc<LocalUsers>,
    by_name: BTreeMap<Username, UserConfig>,
    attempts: Attempts,
    /// Places of those who wait for a check, or for their turn.
    waiting: Places,
    checks: Arc<Semaphore>,
}

/// Why nobody is told who they are.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no such user, or that is not the password.
    Invalid,
    /// It cannot be looked at now.
    Problem(Problem),
}

impl Users {
    /// Those that are configured.
    pub(crate) fn new(configured: &[UserConfig]) -> Self {
        let hashes = configured.iter().map(|user| (user.name.clone(), user.hash.clone()));
        Self {
            passwords: Arc::new(LocalUsers::new(hashes)),
            by_name: configured.iter().map(|user| (user.name.clone(), user.clone())).collect(),
            attempts: Attempts::default(),
            waiting: Places::new(LOGINS_WAITING_MAX, LOGINS_WAITING_OF_NETWORK_MAX),
            checks: Arc::new(Semaphore::new(PASSWORD_CHECKS_MAX)),
        }
    }

    /// The user of this name, where there is one.
    pub(crate) fn get(&self, name: &str) -> Option<&UserConfig> {
        self.by_name.get(&Username::read(name).ok()?)
    }

    /// Whether there is anybody.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whose name and password these are, and what they may. It costs the same whether there is such
    /// a name or not.
    pub(crate) async fn identity(
        &self,
        policy: &Policy,
        (name, password): (&str, &str),
        (address, now): (Option<IpAddr>, Timestamp),
    ) -> Result<Identity, Refusal> {
        if self.is_empty() {
            return Err(Refusal::Invalid);
        }
        // First: who finds no place has tried nothing.
        let _place = self.waiting.take(address).ok_or_else(|| exhausted(Duration::ZERO))?;
        let attempt = self.attempts.take(address, name, now).map_err(exhausted)?;
        let Some(found) = self.check(name, password).await else {
            tracing::debug!("A name and its password were refused.");
            return Err(Refusal::Invalid);
        };
        self.attempts.give_back(&attempt, now);
        let user = self.by_name.get(&found).ok_or(Refusal::Invalid)?;
        let subject = found.as_str().into();
        let values = user.claims.clone();
        let claims = Claims { subject, values, issued_at: None, first: None, ends_at: None };
        let rights = policy.rights(user.roles.iter().map(|role| &**role), &claims);
        Ok(Identity { claims, means: Means::Password, roles: user.roles.clone(), rights })
    }

    /// Does the work where nobody else is kept waiting by it.
    async fn check(&self, name: &str, password: &str) -> Option<Username> {
        let turn = Arc::clone(&self.checks).acquire_owned().await.expect("it is never closed");
        let (passwords, name, password) =
            (Arc::clone(&self.passwords), Box::<str>::from(name), Box::<str>::from(password));
        // The turn is over with the work, even where whoever asked has gone.
        let verify = move || {
            let _turn = turn;
            passwords.verify(&name, &password).cloned()
        };
        tokio::task::spawn_blocking(verify).await.unwrap_or_else(|error| {
            tracing::error!(%error, "A password could not be checked.");
            None
        })
    }
}

fn exhausted(wait: Duration) -> Refusal {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let detail = "too many passwords were tried: wait, or show a token or an API key";
    Refusal::Problem(Problem::new(Code::LoginsExhausted, detail).retry_after(seconds))
}
