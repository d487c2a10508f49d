//! The audit: who did what, on the stream topic `$sys/audit`.
//!
//! ```text
//! handler ── Deed ─▶ guard (who, whence) ─▶ Audit ─▶ journal ─▶ $sys/audit
//! ```
//!
//! Handlers say what was done, by what they add to their answer; who called and from where is known
//! to the guard before them. Nobody waits for the journal: a deed that it does not take is counted,
//! and stands in the log. What one somebody does again and again is [thinned out](thinning): whoever
//! may do something, be it to show a wrong credential, must not push out what is older.

mod kind;
mod thinning;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::response::Response;
use bellwire_access::{Identity, Means};
use bellwire_journal::{Append, Error, Journal};
use bellwire_model::limits::{AUDIT_COUNTS_INTERVAL, EXCERPT_BYTES_MAX};
use bellwire_model::{Body, Event, Topic, excerpt};
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use serde_json::{Map, Value, json};

use self::thinning::{Doer, Thinning, Untold};
use crate::lately;
use crate::observe::AuditFigures;
use crate::problem::Forbidden;

pub(crate) use self::kind::Kind;

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

    /// Files were read again, or not, since something is wrong with them: the log says what.
    pub(crate) fn of_reload(reloaded: &Result<(), Problem>) -> Self {
        match reloaded {
            Ok(()) => Self::new(Kind::Reloaded),
            Err(problem) => Self::new(Kind::ReloadFailed).with("code", problem.code.as_str()),
        }
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
    thinning: Mutex<Thinning>,
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
        self.record_of_doer(deed, (Doer::of(by, address), by), address);
    }

    /// The process was asked to do something by a signal.
    pub(crate) fn record_of_owner(&self, deed: &Deed) {
        self.record_of_doer(deed, (Doer::Owner, None), None);
    }

    fn record_of_doer(
        &self,
        deed: &Deed,
        (doer, by): (Doer, Option<&Identity>),
        address: Option<IpAddr>,
    ) {
        if self.journal.get().is_none() || !self.thinning().admit(deed.kind, doer, lately::now()) {
            return;
        }
        let mut data = Map::new();
        let mut say = |name: &str, value: Value| data.insert(name.to_owned(), cut(value));
        if let Some(identity) = by {
            say("by", identity.subject().into());
            say("means", identity.means.as_str().into());
            match &identity.means {
                Means::Key(id) => say("key", (**id).into()),
                Means::Token(issuer) => say("issuer", (**issuer).into()),
                Means::Session(id, _) => say("session", (**id).into()),
                _ => None,
            };
        }
        if let Some(address) = address {
            say("address", address.to_canonical().to_string().into());
        }
        if let Some(target) = &deed.target {
            say("target", (**target).into());
        }
        for (name, value) in &deed.more {
            say(name, value.clone());
        }
        self.append(deed.kind, &data.into());
    }

    /// What a handler has noted with its answer to a request for this path.
    pub(crate) fn record_of(
        &self,
        response: &mut Response,
        caller: Option<&Identity>,
        (path, address): (&str, Option<IpAddr>),
    ) {
        if let Some(Forbidden(problem)) = response.extensions_mut().remove() {
            self.forbidden(&problem, caller, (path, address));
        }
        if let Some(deed) = response.extensions_mut().remove::<Deed>() {
            self.record(&deed, caller, address);
        }
    }

    /// A credential was shown that does not count. What it claims is not told: nobody has verified
    /// it. `before`: who showed it, as far as they had said so by another one.
    pub(crate) fn refused(
        &self,
        problem: &Problem,
        (shown, before): (&str, Option<&Identity>),
        (target, address): (&str, Option<IpAddr>),
    ) {
        // That there is no room, or that nothing was shown, is no word on a credential.
        if matches!(
            problem.code,
            Code::CredentialInvalid | Code::LoginsExhausted | Code::SubjectDiffers
        ) {
            let deed = Deed::to(Kind::Refused, target).with("shown", shown);
            let before = before.filter(|identity| identity.means != Means::Pending);
            self.record(&deed.with("code", problem.code.as_str()), before, address);
        }
    }

    /// Somebody may not do what they asked for.
    pub(crate) fn forbidden(
        &self,
        problem: &Problem,
        caller: Option<&Identity>,
        (target, address): (&str, Option<IpAddr>),
    ) {
        if problem.code == Code::Forbidden {
            self.figures.forbidden.add(1);
            let deed = Deed::to(Kind::Forbidden, target).with("detail", problem.detail());
            self.record(&deed, caller, address);
        }
    }

    /// Tells how many were not told one by one, again and again.
    pub(crate) async fn keep_current(self: Arc<Self>) {
        let mut interval = tokio::time::interval(AUDIT_COUNTS_INTERVAL);
        loop {
            interval.tick().await;
            self.tell_counts();
        }
    }

    /// Tells how many were not told one by one. Called again as the server ends.
    pub(crate) fn tell_counts(&self) {
        let untold = self.thinning().take_untold();
        for Untold { kind, doer, count } in untold {
            let mut data = json!({ "count": count });
            if let Some(Doer::Somebody { issuer, subject }) = doer {
                data["by"] = cut((*subject).into());
                if let Some(issuer) = issuer {
                    data["issuer"] = cut((*issuer).into());
                }
            }
            self.append(kind, &data);
        }
    }

    fn thinning(&self) -> MutexGuard<'_, Thinning> {
        self.thinning.lock().unwrap_or_else(PoisonError::into_inner)
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
        if let Err(error) = journal.append(vec![Append::new(event, None)], reply) {
            lost(&error);
        }
    }
}

/// What is said of a deed, cut where it is long: clients choose how long.
fn cut(value: Value) -> Value {
    match value {
        Value::String(text) => excerpt(text).into(),
        value => {
            let json = value.to_string();
            if json.len() > EXCERPT_BYTES_MAX { excerpt(json).into() } else { value }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwire_access::Claims;
    use bellwire_journal::{MemoryJournal, Observer, ReadLimit, RetentionRule};
    use bellwire_model::limits::AUDITED_REFUSALS_MAX;
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

    fn identity(subject: &str) -> Identity {
        let claims = Claims { subject: subject.into(), ..Claims::anonymous() };
        let means = Means::Token("https://issuer.example".into());
        Identity { claims, means, ..Identity::open() }
    }

    #[test]
    fn a_flood_of_refusals_is_told_by_a_few_and_a_count() {
        let (audit, journal) = audit();
        let refuse = |code: Code| {
            let problem = Problem::new(code, "");
            audit.refused(&problem, ("token", None), ("/v1/events", None));
        };
        (0..1_000).for_each(|_| refuse(Code::CredentialInvalid));
        refuse(Code::CredentialMissing);
        audit.tell_counts();
        audit.tell_counts();
        refuse(Code::LoginsExhausted);
        audit.tell_counts();
        let told = told(&journal);
        let few = AUDITED_REFUSALS_MAX as usize;
        assert_eq!(told.len(), few + 2);
        assert_eq!(
            (&told[0]["target"], &told[0]["shown"], &told[0]["code"]),
            (&json!("/v1/events"), &json!("token"), &json!("credential_invalid"))
        );
        assert_eq!(told[few..], [json!({ "count": 1_000 - few }), json!({ "count": 1 })]);
    }

    /// Whoever may do something must not hide by it what somebody else has done.
    #[test]
    fn a_flood_by_one_hides_nothing_of_another_and_is_counted_by_name() {
        let (audit, journal) = audit();
        let (mallory, root) = (identity("mallory"), identity("root"));
        let flood = [Kind::Login, Kind::TicketMade, Kind::Acknowledged, Kind::Silenced];
        for kind in flood {
            for _ in 0..1_000 {
                audit.record(&Deed::to(kind, "x"), Some(&mallory), None);
            }
        }
        let acts = [Kind::KeyMade, Kind::Revoked, Kind::Reloaded, Kind::Silenced];
        for _ in 0..10 {
            for kind in acts {
                audit.record(&Deed::to(kind, "y"), Some(&root), None);
            }
        }
        audit.record_of_owner(&Deed::new(Kind::Reloaded).with("signal", "SIGHUP"));
        audit.tell_counts();
        let told = told(&journal);
        let of = |target: &str| told.iter().filter(|it| it["target"] == target).count();
        assert_eq!((of("y"), of("x")), (10 * acts.len(), 2 * 20 + 2 * 100));
        assert_eq!(told.iter().filter(|it| it["signal"] == "SIGHUP").count(), 1);
        let counts: Vec<&Value> = told.iter().filter(|it| it.get("count").is_some()).collect();
        let count = |count: u64| json!({ "by": "mallory", "issuer": "https://issuer.example", "count": count });
        assert_eq!(counts, [&count(980), &count(980), &count(900), &count(900)]);
    }

    #[test]
    fn what_is_said_is_cut_where_it_is_long() {
        let (audit, journal) = audit();
        let long = "é".repeat(100_000);
        let deed = Deed::to(Kind::Silenced, &long).with("matchers", long.as_str());
        let deed = deed.with("roles", vec![long.as_str(); 3]).with("ends_at", 7);
        audit.record(&deed, Some(&identity(&long)), None);
        let told = told(&journal);
        assert_eq!(told[0]["ends_at"], json!(7));
        assert!(told[0]["target"].as_str().expect("a text").contains("é … é"));
        let bytes = told[0].to_string().len();
        assert!(bytes < 5 * EXCERPT_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn what_the_journal_does_not_take_is_counted() {
        let (audit, journal) = audit();
        journal.close().expect("closed");
        audit.record(&Deed::new(Kind::Reloaded), None, None);
        assert_eq!(audit.figures.lost.get(), 1);
    }
}
