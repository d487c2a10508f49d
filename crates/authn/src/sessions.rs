//! Sessions of browsers: made of a credential, and shown as a cookie.

use std::time::Duration;

use bellwire_access::{Claims, Identity, Means, Policy, SealError, Session};
use bellwire_wire::problem::{Code, Problem};

use crate::issued::Moment;
use crate::refusal::Invalid;
use crate::secret::{self, Seal};
use crate::shown::SESSION_COOKIE;

/// What a session is sealed with, and how long one lasts.
#[derive(Debug)]
pub(crate) struct Sessions {
    secret: Seal,
    lasts: Duration,
}

/// Somebody who has just logged in.
#[derive(Debug)]
pub struct Login {
    /// Who they are from now on: the session's holder.
    pub identity: Identity,
    /// What `Set-Cookie` says.
    pub cookie: String,
}

/// Somebody who has just logged out.
#[derive(Debug)]
pub struct Logout {
    /// Who they were: the session's holder.
    pub identity: Identity,
    /// Whether that lasts. An error says that the session counts no more, but would after a restart; or
    /// that it goes on, where there is no room for another subject.
    pub kept: Result<(), Problem>,
}

impl Sessions {
    pub(crate) fn new(secret: Seal, lasts: Duration) -> Self {
        Self { secret, lasts }
    }

    /// The session that a cookie has. It may be over, or have ended.
    pub(crate) fn open(&self, text: &str) -> Result<Session, Invalid> {
        Session::open(text, self.secret.get()).ok_or_else(|| {
            tracing::debug!("A session was refused: this server has not made it.");
            Invalid
        })
    }

    /// Begins a session of whoever has shown a credential now. Nothing that its browser has brought
    /// along is a part of it.
    pub(crate) fn begin(
        &self,
        policy: &Policy,
        identity: &Identity,
        Moment { at, now }: Moment,
    ) -> Result<Login, Problem> {
        if !makes_sessions(&identity.means) {
            let detail = "a session is made of a token, a key, or a name with its password";
            return Err(Problem::new(Code::SessionUnavailable, detail));
        }
        let random = secret::name(Code::SessionUnavailable)?;
        let behind = identity.behind();
        let ends_at = now.saturating_add(self.lasts);
        let ends_at = identity.claims.ends_at.map_or(ends_at, |end| end.min(ends_at));
        let claims = Claims { ends_at: Some(ends_at), ..identity.claims.clone() };
        let session = Session::begin(random, (claims, behind), &identity.roles, (at, self.lasts));
        let sealed = session.seal(self.secret.get()).map_err(|error: SealError| {
            let detail = format!("what the credential says does not fit into a cookie: {error}");
            Problem::new(Code::SessionUnavailable, detail)
        })?;
        let ends_at = session.claims.ends_at.unwrap_or(now);
        let lasts_s = ends_at.saturating_since(now).as_secs();
        let cookie = format!("{SESSION_COOKIE}={sealed}{COOKIE_ATTRIBUTES}; Max-Age={lasts_s}");
        Ok(Login { identity: held(policy, session), cookie })
    }
}

/// Only the page of this host gets the cookie, over TLS alone, and no script reads it.
const COOKIE_ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";

/// Has the browser forget the session.
pub fn cleared_cookie() -> String {
    format!("{SESSION_COOKIE}={COOKIE_ATTRIBUTES}; Max-Age=0")
}

/// Who was not asked, or came with what was made of another credential, is not somebody anew.
fn makes_sessions(means: &Means) -> bool {
    use Means::{Anonymous, Open, Pending, Session, Ticket};

    !matches!(means, Open | Anonymous | Pending | Session(..) | Ticket(_))
}

/// Whose session it is, and what they may: what their roles allow today.
pub(crate) fn held(policy: &Policy, session: Session) -> Identity {
    let Session { id, claims, roles, behind, .. } = session;
    let rights = policy.rights(roles.iter().map(|role| &**role), &claims);
    Identity { claims, means: Means::Session(id, behind), roles, rights }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwire_access::{Behind, ServerSecret};
    use bellwire_model::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);
    const MOMENT: Moment = Moment { at: NOW, now: NOW };

    fn sessions() -> Sessions {
        let secret = ServerSecret::new(b"the secret of a server in a test").expect("long enough");
        Sessions::new(Seal::of(secret), HOUR)
    }

    fn policy() -> Policy {
        Policy::new(BTreeMap::new(), None)
    }

    fn ada(means: Means) -> Identity {
        let claims = Claims::new("ada", BTreeMap::new(), None).expect("claims");
        Identity { claims, means, roles: ["admin".into()].into(), ..Identity::open() }
    }

    fn sealed(login: &Login) -> &str {
        let cookie = login.cookie.strip_prefix("__Host-bellwire=").expect("the cookie's name");
        cookie.split(';').next().expect("a value")
    }

    #[test]
    fn a_session_counts_until_it_ends_and_says_what_it_was_made_of() {
        let (sessions, key) = (sessions(), Means::Key("01234567".into()));
        let login = sessions.begin(&policy(), &ada(key), MOMENT).expect("a session");
        assert!(login.cookie.ends_with("; Secure; HttpOnly; SameSite=Lax; Max-Age=3600"));
        let session = sessions.open(sealed(&login)).expect("it counts");
        assert!(!session.is_over(NOW) && session.is_over(NOW.saturating_add(HOUR)));
        let identity = held(&policy(), session);
        assert_eq!(identity, login.identity);
        assert!(identity.rights.is_admin);
        let Means::Session(_, behind) = identity.means else { panic!("it is a session's") };
        assert_eq!(behind, Behind::Key("01234567".into()));
    }

    #[test]
    fn a_session_ends_by_the_clock_however_late_it_says_to_be_issued() {
        let moment = Moment { at: NOW.saturating_add(24 * 365 * HOUR), now: NOW };
        let login = sessions().begin(&policy(), &ada(Means::Password), moment).expect("a session");
        assert!(login.cookie.ends_with("; Max-Age=3600"), "{}", login.cookie);
        let claims = &login.identity.claims;
        assert_eq!(claims.issued_at, Some(moment.at));
        assert_eq!(claims.ends_at, Some(NOW.saturating_add(HOUR)));
    }

    #[test]
    fn a_session_comes_of_no_other_session() {
        let begin = |means| sessions().begin(&policy(), &ada(means), MOMENT);
        for means in [Means::Open, Means::Anonymous, Means::Session("s".into(), Behind::Other)] {
            let refused = begin(means).expect_err("no session");
            assert_eq!(refused.code, Code::SessionUnavailable);
        }
        let names = [Means::Password, Means::Password].map(|it| begin(it).map(|it| it.identity));
        let [Ok(one), Ok(other)] = names else { panic!("two sessions") };
        assert_ne!(one.means, other.means, "each login is one of its own");
    }
}
