//! The audit: who did what, on the stream topic `$sys/audit`.
//!
//! ```text
//! handler ── Deed ─▶ guard (who, whence) ─▶ Audit ─▶ journal ─▶ $sys/audit
//! ```
//!
//! Handlers say what was done, by what they add to their answer; who called and from where is known
//! to the guard before them. Nobody waits for the journal: a deed that it does not take is counted,
//! and stands in the log. What strangers can cause is bounded in rate.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::response::Response;
use bellwire_access::{Identity, Means};
use bellwire_authn::Shown;
use bellwire_journal::{Append, Error, Journal};
use bellwire_model::limits::{AUDITED_REFUSALS_MAX, REFUSALS_AUDIT_INTERVAL};
use bellwire_model::{Body, Event, Topic};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use serde_json::{Map, Value, json};

use crate::observe::AuditFigures;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Login,
    Logout,
    TicketMade,
    Refused,
    KeyMade,
    KeyRevoked,
    Revoked,
    RevocationDeleted,
    Silenced,
    SilenceEnded,
    Acknowledged,
    Unacknowledged,
    Reloaded,
}

impl Kind {
    /// As the event's type has it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Logout => "logout",
            Self::TicketMade => "ticket_made",
            Self::Refused => "refused",
            Self::KeyMade => "key_made",
            Self::KeyRevoked => "key_revoked",
            Self::Revoked => "revoked",
            Self::RevocationDeleted => "revocation_deleted",
            Self::Silenced => "silenced",
            Self::SilenceEnded => "silence_ended",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::Reloaded => "reloaded",
        }
    }
}

/// Something that was done, as the handler knows it.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    kind: Kind,
    /// To what; nothing where there is but one.
    target: Option<Box<str>>,
    /// What else is said of it: never a secret.
    more: Map<String, Value>,
    /// By whom, where that is not who called: who logs in has not been asked before.
    by: Option<Arc<Identity>>,
}

impl Deed {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, target: None, more: Map::new(), by: None }
    }

    /// What it was done to.
    pub(crate) fn to(kind: Kind, target: impl ToString) -> Self {
        Self { target: Some(target.to_string().into()), ..Self::new(kind) }
    }

    /// Says more of it.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// It was somebody else than who called.
    pub(crate) fn by(self, identity: Arc<Identity>) -> Self {
        Self { by: Some(identity), ..self }
    }

    /// Notes it with the answer that tells of it.
    pub(crate) fn told_by(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

/// Keeps who did what. Where nobody is asked who they are nothing is kept: it would say nothing.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    journal: OnceLock<Arc<dyn Journal>>,
    figures: Arc<AuditFigures>,
    /// Refusals since the interval began: those that were told, and those that were only counted.
    told: AtomicU32,
    untold: AtomicU64,
}

impl Audit {
    pub(crate) fn new(figures: Arc<AuditFigures>) -> Self {
        Self { figures, ..Self::default() }
    }

    /// Keeps it in this journal. It is said once.
    pub(crate) fn keep_in(&self, journal: Arc<dyn Journal>) {
        self.journal.set(journal).expect("a server has one journal");
    }

    /// Somebody has done something.
    pub(crate) fn record(&self, deed: &Deed, caller: Option<&Identity>, address: Option<IpAddr>) {
        let by = deed.by.as_deref().or(caller);
        let mut data = json!({});
        if let Some(identity) = by {
            data["by"] = identity.subject().into();
            data["means"] = identity.means.as_str().into();
            match &identity.means {
                Means::Key(id) => data["key"] = (**id).into(),
                Means::Token(issuer) => data["issuer"] = (**issuer).into(),
                Means::Session(id, _) => data["session"] = (**id).into(),
                _ => {}
            }
        }
        if let Some(address) = address {
            data["address"] = address.to_canonical().to_string().into();
        }
        if let Some(target) = &deed.target {
            data["target"] = (**target).into();
        }
        for (name, value) in &deed.more {
            data[name] = value.clone();
        }
        self.append(deed.kind, &data);
    }

    /// What a handler has noted with its answer.
    pub(crate) fn record_of(
        &self,
        response: &mut Response,
        (caller, address): (Option<&Identity>, Option<IpAddr>),
    ) {
        if let Some(deed) = response.extensions_mut().remove::<Deed>() {
            self.record(&deed, caller, address);
        }
    }

    /// A credential was shown that is not valid here. What it claims is not told: nobody has verified
    /// it.
    pub(crate) fn refused(
        &self,
        problem: &Problem,
        shown: &Shown,
        (target, address): (&str, Option<IpAddr>),
    ) {
        if problem.code != Code::CredentialInvalid || self.journal.get().is_none() {
            return;
        }
        let one_more = |told| (told < AUDITED_REFUSALS_MAX).then_some(told + 1);
        if self.told.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let deed = Deed::to(Kind::Refused, target).with("shown", shown.kind());
        self.record(&deed, None, address);
    }

    /// Tells of those that were only counted, again and again.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut interval = tokio::time::interval(REFUSALS_AUDIT_INTERVAL);
        loop {
            interval.tick().await;
            self.tell_of_refusals();
        }
    }

    /// Tells of those that were only counted. Called again as the server ends.
    pub(crate) fn tell_of_refusals(&self) {
        self.told.store(0, Ordering::Relaxed);
        let untold = self.untold.swap(0, Ordering::Relaxed);
        if untold > 0 {
            self.append(Kind::Refused, &json!({ "count": untold }));
        }
    }

    fn append(&self, kind: Kind, data: &Value) {
        let Some(journal) = self.journal.get() else { return };
        let event = Event {
            topic: Topic::OF_AUDIT.parse().expect("a topic"),
            key: None,
            event_type: Some(kind.as_str().into()),
            time: clock::now(),
            body: Some(Body::Json(data.to_string().into())),
        };
        let lost = {
            let (figures, data) = (Arc::clone(&self.figures), data.to_string());
            move |error: &Error| {
                figures.lost.add(1);
                let deed = kind.as_str();
                tracing::error!(%error, deed, data, "The audit does not have this.");
            }
        };
        let told = lost.clone();
        let reply = Box::new(move |result: Result<_, Error>| {
            if let Err(error) = result {
                told(&error);
            }
        });
        self.figures.events.add(1);
        if let Err(error) = journal.append(vec![Append { event, idempotency_key: None }], reply) {
            lost(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_journal::{MemoryJournal, Observer, ReadLimit, RetentionRule};
    use bellwire_model::{Entry, Epoch, Filter, FilterSet, Offset};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    fn audit() -> (Audit, Arc<dyn Journal>) {
        let rules: Vec<RetentionRule> = Vec::new();
        let journal: Arc<dyn Journal> =
            Arc::new(MemoryJournal::new(Epoch::new(1), rules, Box::new(Nobody)));
        let audit = Audit::default();
        audit.keep_in(Arc::clone(&journal));
        (audit, journal)
    }

    /// All that was told, once the journal has written it.
    fn told(journal: &Arc<dyn Journal>) -> Vec<Value> {
        journal.close().expect("closed");
        let topic: Topic = Topic::OF_AUDIT.parse().expect("a topic");
        let filters = FilterSet::from(Filter::from(&topic));
        let page = journal.read(Offset::ZERO, &filters, ReadLimit::PAGE).expect("a page");
        let data = |entry: &Entry| match &entry.event.body {
            Some(Body::Json(json)) => serde_json::from_slice(json.as_ref()).expect("JSON"),
            other => panic!("{other:?}"),
        };
        page.entries.iter().map(data).collect()
    }

    #[test]
    fn a_flood_of_refusals_is_told_by_a_few_and_a_count() {
        let (audit, journal) = audit();
        let problem = Problem::new(Code::CredentialInvalid, "");
        let shown = Shown::Nothing;
        for _ in 0..1_000 {
            audit.refused(&problem, &shown, ("/v1/events", None));
        }
        let missing = Problem::new(Code::CredentialMissing, "");
        audit.refused(&missing, &shown, ("/v1/events", None));
        audit.tell_of_refusals();
        audit.tell_of_refusals();
        audit.refused(&problem, &shown, ("/v1/events", None));
        let told = told(&journal);
        let few = AUDITED_REFUSALS_MAX as usize;
        assert_eq!(told.len(), few + 2);
        assert_eq!(told[few], json!({ "count": 1_000 - few }));
        assert_eq!(told[few + 1]["target"], json!("/v1/events"));
    }

    #[test]
    fn what_the_journal_does_not_take_is_counted() {
        let (audit, journal) = audit();
        journal.close().expect("closed");
        audit.record(&Deed::new(Kind::Reloaded), None, None);
        assert_eq!(audit.figures.lost.get(), 1);
    }
}
