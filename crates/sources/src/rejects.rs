//! A sample of what was refused, for people who look for what a source does wrong: of each source
//! and reason the newest.
//!
//! It is read by those who may read `$sys/…`, so that what looks like a secret is taken out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_ingest::Rejection;
use bellwire_model::Timestamp;
use bellwire_process::clock;
use bellwire_wire::problem::Problem;
use serde_json::{Value, json};

use crate::intake::{ScrapedTarget, Sender};
use crate::kind::Kind;

mod secret;

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    kind: Kind,
    reason: &'static str,
    /// Where it stands in its request, from 1; 0: the request itself.
    line: usize,
    detail: String,
    excerpt: String,
    subject: Box<str>,
    address: Option<IpAddr>,
    target: Option<Arc<ScrapedTarget>>,
    time: Timestamp,
}

impl Reject {
    /// An item of a request.
    pub(crate) fn of_item(kind: Kind, rejection: &Rejection, sender: &Sender) -> Self {
        let excerpt = secret::removed(&rejection.excerpt);
        let detail = secret::removed(&rejection.detail);
        Self { line: rejection.line, excerpt, ..Self::new((kind, rejection.code), detail, sender) }
    }

    /// A request as a whole.
    pub(crate) fn of_request(kind: Kind, problem: &Problem, sender: &Sender) -> Self {
        Self::new((kind, problem.code.as_str()), secret::removed(problem.detail()), sender)
    }

    fn new((kind, reason): (Kind, &'static str), detail: String, sender: &Sender) -> Self {
        Self {
            kind,
            reason,
            line: 0,
            detail,
            excerpt: String::new(),
            subject: sender.identity.subject().into(),
            address: sender.address,
            target: sender.target.clone(),
            time: clock::now(),
        }
    }

    /// The key of its topic: source and reason.
    pub fn key(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.reason)
    }

    /// When it was refused.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// As subscribers see it.
    pub fn json(&self) -> Value {
        let mut json = json!({
            "source": self.kind.as_str(),
            "reason": self.reason,
            "detail": self.detail,
            "subject": self.subject,
        });
        if self.line > 0 {
            json["line"] = self.line.into();
        }
        if !self.excerpt.is_empty() {
            json["excerpt"] = self.excerpt.as_str().into();
        }
        if let Some(address) = self.address {
            json["address"] = address.to_canonical().to_string().into();
        }
        if let Some(target) = &self.target {
            json["job"] = target.job.as_str().into();
            json["target"] = secret::removed(&target.url).into();
        }
        json
    }
}

/// The newest of each source and reason since they were last taken.
#[derive(Debug, Default)]
pub struct Rejects(Mutex<BTreeMap<(Kind, &'static str), Reject>>);

impl Rejects {
    pub(crate) fn note(&self, reject: Reject) {
        self.all().insert((reject.kind, reject.reason), reject);
    }

    /// What was refused since this was last asked.
    pub fn take(&self) -> Vec<Reject> {
        std::mem::take(&mut *self.all()).into_values().collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(Kind, &'static str), Reject>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
