//! Logins at a provider: a browser is sent there, and comes back.

use std::net::IpAddr;
use std::sync::Arc;

use bellwire_access::Identity;
use bellwire_access::discovery::Discovered;
use bellwire_access::login::LocalPath;
use bellwire_model::with_causes;
use bellwire_process::clock;

use super::Authenticator;
use crate::issuers::published::Published;
use crate::oidc::{Departure, Failure, Provider, Return, Unarrived};
use crate::refusal;
use crate::sessions::Login;

impl Authenticator {
    /// Sends a browser to the provider that people log in at.
    pub async fn depart(&self, path: Option<LocalPath>) -> Result<Departure, Unarrived> {
        let Some(provider) = &self.provider else { return Err(refusal::no_provider().into()) };
        let departing = async {
            let (published, discovered) = self.discovered(provider).await?;
            let address = discovered.authorization_url.as_deref().ok_or(Failure::NoAddress)?;
            provider.depart((published.address(address)?, path), clock::now())
        };
        departing.await.map_err(|error: Failure| self.failed(&error))
    }

    /// Begins a session of whoever comes back from the provider, from an address where one is known;
    /// and says where they wanted to.
    pub async fn arrive(
        &self,
        back: Return<'_>,
        from: Option<IpAddr>,
    ) -> Result<(Login, Box<str>), Unarrived> {
        let (Some(provider), Some(policy), Some(sessions)) =
            (&self.provider, &self.policy, &self.sessions)
        else {
            return Err(refusal::no_provider().into());
        };
        let arriving = self.arriving(provider, (back, from));
        let (identity, path) = arriving.await.map_err(|error| self.failed(&error))?;
        let moment = self.issue(&identity).ok_or_else(|| self.failed(&Failure::TakenBack))?;
        let login = sessions.begin(policy, &identity, moment)?;
        tracing::debug!(subject = identity.subject(), "Somebody has logged in at the provider.");
        Ok((login, path))
    }

    /// Who comes back, and where they wanted to.
    async fn arriving(
        &self,
        provider: &Provider,
        (back, from): (Return<'_>, Option<IpAddr>),
    ) -> Result<(Identity, Box<str>), Failure> {
        let (login, code) = provider.arrived(back, clock::now())?;
        let _place = provider.place(from)?;
        let (published, discovered) = self.discovered(provider).await?;
        let address = discovered.token_url.as_deref().ok_or(Failure::NoAddress)?;
        let address = published.address(address)?;
        let asked = (published.client(), &address);
        let tokens = provider.exchange(asked, &discovered, (&login, code)).await?;
        let policy = self.policy.as_ref().ok_or(Failure::Unknown)?;
        let identity = self.issuers.logged_in(policy, provider, (&login, &tokens)).await?;
        Ok((identity, login.path))
    }

    /// What the provider says of itself.
    async fn discovered(
        &self,
        provider: &Provider,
    ) -> Result<(&Arc<Published>, Arc<Discovered>), Failure> {
        let published = self.issuers.publisher(provider.issuer()).ok_or(Failure::Unknown)?;
        let discovered = published.discovered().await.ok_or(Failure::Unknown)?;
        Ok((published, discovered))
    }

    fn failed(&self, error: &Failure) -> Unarrived {
        self.figures.logins_failed.add(1);
        tracing::debug!(error = %with_causes(error), "A login at the provider has failed.");
        error.told()
    }
}
