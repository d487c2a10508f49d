//! Who may attend to which alerts: acknowledge, assign, comment on and silence them. It is asked within
//! the desk's turn, of the alert or the silence as it is then.

use std::sync::Arc;

use bellwire_access::{Identity, Means};
use bellwire_alerts::desk::{Action, AttendError, Case, Desk, Plan};
use bellwire_alerts::silence::{NewSilence, Silence, SilenceError};
use bellwire_alerts::{Matcher, Matchers};
use bellwire_model::{Fingerprint, SilenceId, Timestamp};
use bellwire_wire::problem::{Code, Problem};

/// So many sets of matchers are quoted to whoever has to choose.
const SETS_QUOTED_MAX: usize = 8;

/// Somebody who takes alerts up, or lets go of them, or silences them.
#[derive(Debug)]
pub(crate) struct Attending(Arc<Identity>);

impl Attending {
    pub(crate) fn of(identity: Arc<Identity>) -> Self {
        Self(identity)
    }

    /// In whose name it is done: the caller's own where that is known.
    fn name(&self, claimed: Box<str>) -> Box<str> {
        match self.0.means {
            Means::Open => claimed,
            _ => self.0.subject().into(),
        }
    }

    /// Does something with an alert.
    pub(crate) fn act(
        &self,
        desk: &Desk,
        now: Timestamp,
        (fingerprint, action): (Fingerprint, Action),
    ) -> Result<Plan, AttendError> {
        self.check(desk, fingerprint)?;
        desk.plan_action(now, fingerprint, &self.named(action))
    }

    /// Does the same with several alerts, each of which stands there once. A result for each.
    pub(crate) fn act_on(
        &self,
        desk: &Desk,
        now: Timestamp,
        (fingerprints, action): (&[Fingerprint], Action),
    ) -> (Plan, Vec<Result<(), AttendError>>) {
        let permitted = |fingerprint: &Fingerprint| {
            self.check(desk, *fingerprint)?;
            Ok(*fingerprint)
        };
        desk.plan_actions(now, fingerprints.iter().map(permitted), &self.named(action))
    }

    /// In the name of whoever calls.
    fn named(&self, mut action: Action) -> Action {
        let by = match &mut action {
            Action::Acknowledge(new) => &mut new.by,
            Action::Assign(new) => &mut new.by,
            Action::Comment(new) => &mut new.by,
            Action::Unacknowledge | Action::Unassign => return action,
        };
        *by = self.name(std::mem::take(by));
        action
    }

    /// An alert that one may not see, or not attend to, is not there: to say more would be to say
    /// that it is.
    fn check(&self, desk: &Desk, fingerprint: Fingerprint) -> Result<(), AttendError> {
        let scopes = [&self.0.rights.attend, &self.0.rights.alerts];
        let is_theirs = |case: &Case| scopes.iter().all(|scope| scope.passes(&case.alert().labels));
        let sees_all = scopes.iter().all(|scope| scope.is_all());
        if sees_all || desk.case(fingerprint).is_some_and(is_theirs) {
            return Ok(());
        }
        Err(AttendError::NotFound)
    }

    /// Matchers of a silence, with those that keep it to what one may silence. Which those are must
    /// be said where there are several such.
    pub(crate) fn narrowed(&self, matchers: Matchers) -> Result<Matchers, Problem> {
        let scope = &self.0.rights.attend;
        // That there are no matchers at all is for the desk to say.
        if matchers.is_empty() || scope.covers_all_of(&matchers) {
            return Ok(matchers);
        }
        let sets = scope.sets().unwrap_or_default();
        let [own] = sets else { return Err(must_choose(sets)) };
        let is_missing = |own: &&Matcher| !matchers.iter().any(|matcher| matcher == *own);
        let missing = own.iter().filter(is_missing);
        let narrowed = Matchers::new(matchers.iter().chain(missing).cloned().collect());
        narrowed.map_err(|error| {
            let detail = format!("with {own}, which your rights add: {error}");
            Problem::new(Code::BodyInvalid, detail)
        })
    }

    /// Makes a silence, or changes one. Its matchers have been [narrowed](Self::narrowed).
    pub(crate) fn silence(
        &self,
        desk: &Desk,
        now: Timestamp,
        (mut new, fresh): (NewSilence, SilenceId),
    ) -> Result<(SilenceId, Plan), SilenceError> {
        if let Some(id) = new.id {
            self.check_silence(desk, id)?;
        }
        new.created_by = self.name(new.created_by);
        desk.plan_silence(now, new, fresh)
    }

    /// Ends a silence.
    pub(crate) fn end_silence(
        &self,
        desk: &Desk,
        now: Timestamp,
        id: SilenceId,
    ) -> Result<Plan, SilenceError> {
        self.check_silence(desk, id)?;
        desk.plan_expiry(now, id)
    }

    /// A silence that may match other alerts is not there either.
    fn check_silence(&self, desk: &Desk, id: SilenceId) -> Result<(), SilenceError> {
        let scope = &self.0.rights.attend;
        let is_own = |silence: &Silence| scope.covers_all_of(&silence.matchers);
        desk.silence(id).filter(|silence| is_own(silence)).map(|_| ()).ok_or(SilenceError::NotFound)
    }
}

fn must_choose(sets: &[Matchers]) -> Problem {
    let quoted: Vec<String> = sets.iter().take(SETS_QUOTED_MAX).map(ToString::to_string).collect();
    let more = if sets.len() > SETS_QUOTED_MAX { ", …" } else { "" };
    let detail = format!(
        "you may not silence all of that: add the matchers of one of {}{more}",
        quoted.join(", ")
    );
    Problem::new(Code::Forbidden, detail)
}

#[cfg(test)]
mod tests {
    use bellwire_access::Rights;
    use bellwire_model::Scope;

    use super::*;

    fn attending(sets: &[&str]) -> Attending {
        let sets = sets.iter().map(|set| set.parse().expect("matchers")).collect();
        let rights = Rights { attend: Scope::of(sets), ..Rights::none() };
        Attending(Arc::new(Identity { rights, ..Identity::open() }))
    }

    #[test]
    fn a_silence_is_kept_to_what_one_may_silence() {
        let narrowed = |sets: &[&str], matchers: &str| {
            let narrowed = attending(sets).narrowed(matchers.parse().expect("matchers"));
            narrowed.map(|matchers| matchers.to_string()).map_err(|problem| problem.code)
        };
        let red: &[&str] = &[r#"team="red",site=~"a|b""#];
        let all_of_red = r#"{alertname="Down",site=~"a|b",team="red"}"#;
        for given in [
            r#"alertname="Down""#,
            r#"alertname="Down",site=~"a|b""#,
            r#"alertname="Down",site=~"a|b",team="red""#,
        ] {
            assert_eq!(narrowed(red, given).as_deref(), Ok(all_of_red), "{given}");
        }
        // Of another team it matches nothing.
        let of_others = narrowed(&[r#"team="red""#], r#"team="blue""#);
        assert_eq!(of_others.as_deref(), Ok(r#"{team="blue",team="red"}"#));
        assert_eq!(narrowed(&[""], r#"team="blue""#).as_deref(), Ok(r#"{team="blue"}"#));
        assert_eq!(narrowed(red, "{}").as_deref(), Ok("{}"), "the desk refuses it");
        let both: &[&str] = &[r#"team="red""#, r#"team="blue""#];
        assert_eq!(narrowed(both, r#"a="b""#), Err(Code::Forbidden));
        assert_eq!(narrowed(both, r#"team="blue""#).as_deref(), Ok(r#"{team="blue"}"#));
        assert_eq!(narrowed(&[], r#"team="blue""#), Err(Code::Forbidden));
        let many = (0..64).map(|n| format!("a{n}=\"b\"")).collect::<Vec<_>>().join(",");
        assert_eq!(narrowed(red, &many), Err(Code::BodyInvalid));
    }
}
