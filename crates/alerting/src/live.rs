//! Standing queries: `PromQL` expressions whose answers are state topics, for as long as somebody
//! follows them.
//!
//! ```text
//! follow ─▶ Register: how many follow each ─▶ evaluator: begin ─▶ query/<id> (state) ─▶ Followed
//!                       │ nobody for a minute ─▶ end
//! ```
//!
//! Equal expressions of those who see the same are one query, however many follow it. So is what is
//! recorded under a name, whatever it comes to say.

mod answers;
mod cost;
mod named;
mod past;
mod register;

use std::sync::Arc;

use bellwire_model::limits::{LIVE_EXPRESSION_BYTES_MAX, LIVE_TABLES_BYTES_MAX};
use bellwire_model::{AskedQuery, QueryId, Sight};
use bellwire_rules::{Plan, QueryRefusal, StandingQuery};
use bellwire_wire::problem::{Code, Problem};

pub(crate) use self::answers::Answers;
pub use self::cost::{CostReport, PartsReport};
pub(crate) use self::named::{NamedQueries, NamedRecord, PREFIX as NAMED_PREFIX, forgotten};
pub use self::named::{NamedQuery, NewNamedQuery};
pub(crate) use self::past::QueryPast;
pub use self::register::Register;
pub(crate) use self::register::{Change, Entering, Standing};

/// When somebody may find room whom there is none for now.
const FULL_RETRY_SECONDS: u32 = 30;

/// Who follows queries, for the bound of how many: a subject, or an address.
pub type Follower = Box<str>;

/// A query that somebody wants to follow.
#[derive(Clone, Debug)]
pub struct LiveQuery {
    id: QueryId,
    /// The expression as it was written.
    text: Arc<str>,
    /// What is the same for expressions that are.
    canonical: Arc<str>,
    plan: Plan,
    sight: Sight,
    /// What it is recorded under, and which of the expressions that have been.
    named: Option<(Arc<str>, u64)>,
}

impl LiveQuery {
    /// Reads an expression, for somebody who sees this.
    pub fn read(text: &str, sight: &Sight) -> Result<Self, Problem> {
        if text.len() > LIVE_EXPRESSION_BYTES_MAX {
            let detail = format!("a query has at most {LIVE_EXPRESSION_BYTES_MAX} bytes");
            return Err(Problem::new(Code::QueryInvalid, detail));
        }
        let invalid = |error: bellwire_rules::ExpressionError| {
            let before = &text[..error.offset.min(text.len())];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Problem::new(Code::QueryInvalid, format!("{line}:{column}: {error}"))
        };
        let (plan, canonical) = Plan::standing(text).map_err(invalid)?;
        let check = plan.check_followed();
        check.map_err(|detail| Problem::new(Code::QueryTooCostly, detail))?;
        let id = QueryId::of(&canonical, sight);
        let (text, canonical, sight) = (text.into(), canonical.into(), sight.clone());
        Ok(Self { id, text, canonical, plan, sight, named: None })
    }

    /// The same of an expression that is recorded under a name, as the `number`th of all.
    pub(crate) fn read_named(
        name: &str,
        (text, number): (&str, u64),
        sight: &Sight,
    ) -> Result<Self, Problem> {
        let id = QueryId::named(name, sight);
        Ok(Self { id, named: Some((name.into(), number)), ..Self::read(text, sight)? })
    }

    /// Bytes of its texts and of what they are compiled to.
    fn bytes(&self) -> usize {
        let regex_bytes = self.plan.regex_bytes();
        let table_bytes = if regex_bytes > 0 { LIVE_TABLES_BYTES_MAX } else { 0 };
        self.text.len() + self.canonical.len() + regex_bytes + table_bytes
    }

    /// The name that it was read by, and as somebody sees it who sees this.
    pub(crate) fn name(&self) -> Option<(&Arc<str>, &Sight)> {
        self.named.as_ref().map(|(name, _)| (name, &self.sight))
    }

    /// Of a query that was read by its name, which of all expressions it is.
    pub(crate) fn number(&self) -> Option<u64> {
        self.named.as_ref().map(|(_, number)| *number)
    }

    /// What tells it from others, and where its answer is.
    pub fn id(&self) -> QueryId {
        self.id
    }

    /// What was asked for.
    pub fn to_asked(&self) -> AskedQuery {
        match &self.named {
            Some((name, _)) => AskedQuery::Named((&**name).into()),
            None => AskedQuery::Expression((&*self.text).into()),
        }
    }

    /// The expression, and what those see who follow it.
    pub fn asked(&self) -> (&Plan, &Sight) {
        (&self.plan, &self.sight)
    }

    /// For the engine.
    pub(crate) fn into_standing(self) -> StandingQuery {
        let Self { id, plan, sight, .. } = self;
        StandingQuery { id, plan, sight }
    }
}

/// Why a query does not stand, for whoever wants to follow it; `selects` are the series that it would
/// look at, as far as they were counted.
pub(crate) fn refusal(refusal: QueryRefusal, selects: Option<usize>) -> Problem {
    let selects = selects.map(|selects| format!(" (it selects {selects})")).unwrap_or_default();
    match refusal {
        QueryRefusal::TooManySeries | QueryRefusal::PartTooLarge | QueryRefusal::TooMuchEffort => {
            let detail =
                format!("{refusal}{selects}: select fewer, or record what you follow by a rule");
            Problem::new(Code::QueryTooCostly, detail)
        }
        QueryRefusal::TooManyScanned
        | QueryRefusal::NoWindow
        | QueryRefusal::TooManyJoins
        | QueryRefusal::NoRoom
        | QueryRefusal::Ended => exhausted(format!("{refusal}{selects}")),
    }
}

/// There is no room for a query for now.
pub(crate) fn exhausted(detail: String) -> Problem {
    Problem::new(Code::QueriesExhausted, detail).retry_after(FULL_RETRY_SECONDS)
}
