//! What one node asks another to do for a client of its own, and what comes of it.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bellwire_access::{Identity, Mandate, Means};
use bellwire_model::AskedQuery;
use bellwire_shards::{SampleRejection, SamplesTaken};
use bellwire_wire::problem::{Code, Problem};
use serde::{Deserialize, Serialize};

/// Something that is to be done, and in whose name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mission {
    /// Nothing: of whoever has not said who they are.
    pub(crate) by: Option<Mandate>,
    pub(crate) from: Option<IpAddr>,
    pub(crate) errand: Errand,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Errand {
    /// Samples as JSON, in base64: what it says may be anything.
    Samples(String),
    Acknowledge {
        alert: Box<str>,
        by: Box<str>,
        note: Box<str>,
    },
    Unacknowledge {
        alert: Box<str>,
    },
    /// To have a query stand for a while.
    Expression(Box<str>),
    /// The same of one that is recorded under this name.
    Named(Box<str>),
}

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Done {
    Attended,
    Samples {
        accepted: usize,
        rejected: usize,
        rejections: Vec<Rejected>,
    },
    /// A query stands; its answer has so many keys.
    Stands {
        keys: usize,
    },
    Refused {
        code: Box<str>,
        detail: Box<str>,
        retry_after_s: Option<u32>,
        /// It may have been done all the same.
        #[serde(default)]
        may_be_taken: bool,
    },
}

/// Why a sample was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rejected {
    line: usize,
    code: String,
    detail: String,
}

impl Mission {
    /// `None`: nobody answers for it.
    pub(crate) fn new(identity: &Identity, from: Option<IpAddr>, errand: Errand) -> Option<Self> {
        let by = match identity.means {
            Means::Open | Means::Anonymous => None,
            _ => Some(Mandate::of(identity)?),
        };
        Some(Self { by, from, errand })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }
}

impl Errand {
    pub(crate) fn samples(json: &[u8]) -> Self {
        Self::Samples(BASE64.encode(json))
    }

    pub(crate) fn query(asked: &AskedQuery) -> Self {
        match asked {
            AskedQuery::Expression(text) => Self::Expression(text.clone()),
            AskedQuery::Named(name) => Self::Named(name.clone()),
        }
    }
}

/// The JSON of samples.
pub(crate) fn samples_json(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

impl Done {
    pub(crate) fn of_samples(taken: SamplesTaken) -> Self {
        let SamplesTaken { accepted, rejected, rejections } = taken;
        let one = |SampleRejection { line, code, detail }| {
            let code = code.into_owned();
            Rejected { line, code, detail }
        };
        let rejections = rejections.into_iter().map(one).collect();
        Self::Samples { accepted, rejected, rejections }
    }

    pub(crate) fn refused(problem: &Problem) -> Self {
        Self::Refused {
            code: problem.code.as_str().into(),
            detail: problem.detail().into(),
            retry_after_s: problem.retry_after_s(),
            may_be_taken: problem.is_maybe_taken() == Some(true),
        }
    }

    /// What has come of samples.
    pub(crate) fn into_samples(self) -> Result<SamplesTaken, Problem> {
        match self {
            Self::Samples { accepted, rejected, rejections } => {
                let one = |Rejected { line, code, detail }| {
                    let code = code.into();
                    SampleRejection { line, code, detail }
                };
                let rejections = rejections.into_iter().map(one).collect();
                Ok(SamplesTaken { accepted, rejected, rejections })
            }
            other => Err(other.into_problem()),
        }
    }

    /// Why it was not done; or an answer to something else.
    pub(crate) fn into_problem(self) -> Problem {
        let Self::Refused { code, detail, retry_after_s, may_be_taken } = self else {
            let detail = "another node has answered something else";
            return Problem::new(Code::DeskAway, detail).may_be_taken();
        };
        let problem = Problem::new(Code::named(&code).unwrap_or(Code::DeskAway), detail);
        let problem = if may_be_taken { problem.may_be_taken() } else { problem };
        match retry_after_s {
            Some(seconds) => problem.retry_after(seconds),
            None => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_answered_is_read_as_it_was() {
        let open = Identity::open();
        for errand in [
            Errand::samples(b"[{\"name\":\xff}]"),
            Errand::Acknowledge { alert: "00".into(), by: "ada".into(), note: "".into() },
            Errand::Unacknowledge { alert: "00".into() },
            Errand::query(&AskedQuery::Named("hot".into())),
        ] {
            let mission = Mission::new(&open, Some([192, 0, 2, 7].into()), errand).expect("open");
            let bytes = mission.to_bytes();
            let read: Mission = serde_json::from_slice(&bytes).expect("its own words");
            assert_eq!(read, mission);
        }
        let pending = Identity { means: Means::Pending, ..Identity::open() };
        assert_eq!(Mission::new(&pending, None, Errand::samples(b"")), None);
        let taken = SamplesTaken {
            accepted: 1,
            rejected: 2,
            rejections: vec![SampleRejection { line: 2, code: "x".into(), detail: "y".into() }],
        };
        assert_eq!(Done::of_samples(taken.clone()).into_samples(), Ok(taken));
        let busy = Problem::new(Code::PublishersBusy, "come back").retry_after(3);
        let unsure = Problem::new(Code::JournalUnavailable, "who knows").may_be_taken();
        for problem in [busy, unsure] {
            let told = serde_json::to_vec(&Done::refused(&problem)).expect("JSON");
            let refused: Done = serde_json::from_slice(&told).expect("its own words");
            assert_eq!(refused.clone().into_problem(), problem);
            assert_eq!(refused.into_samples(), Err(problem));
        }
        // One of a node that does not say it.
        let told = r#"{"refused":{"code":"desk_away","detail":"no","retry_after_s":1}}"#;
        let told: Done = serde_json::from_str(told).expect("an answer");
        assert_eq!(told.into_problem().is_maybe_taken(), Some(false));
    }
}
