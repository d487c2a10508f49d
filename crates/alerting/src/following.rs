//! Following queries: who does is in the register, and the evaluator has them stand.

mod naming;

use std::sync::{Arc, Mutex};

use bellwire_journal::{Error, Journal};
use bellwire_model::{AskedQuery, QueryId, Sample, Sight};
use bellwire_rules::{Excerpt, Reading};
use bellwire_wire::problem::{Code, Problem};

use self::naming::aside;
pub use self::naming::{Editor, Recorded, Recording};
use crate::evaluator::SampleIntake;
use crate::live::{
    Entering, Follower, LiveQuery, NAMED_PREFIX, NamedQueries, QueryPast, Register, Standing,
};

/// The queries that stand, and those that are recorded under names.
#[derive(Debug)]
pub struct LiveQueries {
    register: Arc<Register>,
    intake: Arc<SampleIntake>,
    journal: Arc<dyn Journal>,
    names: Mutex<NamedQueries>,
    /// Held by who changes names until the journal has answered: changes are made one after the other.
    turn: tokio::sync::Mutex<()>,
}

/// Somebody follows a query, until this is dropped.
#[derive(Debug)]
pub struct Followed {
    register: Arc<Register>,
    id: QueryId,
    /// Which of the queries of this id, one after the other.
    number: u64,
    follower: Follower,
    past: Arc<QueryPast>,
}

impl Followed {
    /// Has what was before the query began remembered, once for all who follow it.
    pub async fn fill(&self, fill: impl Future<Output = ()>) {
        self.past.find(fill).await;
    }

    /// Tells whether what was read still stands, so that its past is wanted.
    pub fn still_stands(&self) -> impl Fn() -> bool + Send + use<> {
        let past = Arc::clone(&self.past);
        move || !past.is_over()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.register.leave((self.id, self.number), &self.follower);
    }
}

impl LiveQueries {
    /// Those that are in this register, which is the evaluator's, too, and those that this journal has
    /// under names. Blocks on the disk.
    pub fn open(
        register: Arc<Register>,
        intake: Arc<SampleIntake>,
        journal: Arc<dyn Journal>,
    ) -> Result<Self, Error> {
        let names = NamedQueries::of_records(journal.records(NAMED_PREFIX)?);
        let (names, turn) = (Mutex::new(names), tokio::sync::Mutex::default());
        Ok(Self { register, intake, journal, names, turn })
    }

    /// Reads what somebody wants to follow who sees this. To read an expression that is full of patterns
    /// takes long.
    pub fn read(&self, asked: &AskedQuery, sight: &Sight) -> Result<LiveQuery, Problem> {
        match asked {
            AskedQuery::Expression(text) => LiveQuery::read(text, sight),
            AskedQuery::Named(name) => self.read_named(name, sight),
        }
    }

    /// Follows a query: returns once its answer is complete on its topic.
    pub async fn follow(
        self: &Arc<Self>,
        mut query: LiveQuery,
        follower: Follower,
    ) -> Result<Followed, Problem> {
        let Entering { number, is_new, mut standing, past } = loop {
            if let Some(entering) = self.enter(&query, &follower)? {
                break entering;
            }
            // The name has come to stand for something else meanwhile.
            let live = Arc::clone(self);
            query = aside(move || live.read_again(&query)).await?;
        };
        let id = query.id();
        let held = Followed { register: Arc::clone(&self.register), id, number, follower, past };
        if is_new {
            let begun = self.intake.begin_query(query.into_standing());
            begun.inspect_err(|problem| self.register.refuse(id, problem))?;
        }
        let standing = standing.wait_for(|standing| !matches!(standing, Standing::Begins)).await;
        match standing.as_deref() {
            Ok(Standing::Stands) => Ok(held),
            Ok(Standing::Refused(problem)) => Err(problem.clone()),
            Ok(Standing::Begins) | Err(_) => {
                Err(Problem::new(Code::Draining, "the evaluator has ended"))
            }
        }
    }

    /// Has queries look at samples that came before they began, as far as nobody has looked at their
    /// series. Returns once what they come to is on their topics.
    pub async fn seed(&self, samples: Vec<Sample>) -> Result<(), Problem> {
        self.intake.seed(samples).await
    }

    /// Copies what a question looks at.
    pub async fn excerpt(&self, excerpt: Excerpt) -> Result<Reading, Problem> {
        self.intake.excerpt(excerpt).await
    }

    /// One more follows a query; nothing where its name stands for something else than what was read.
    /// The names are held meanwhile: who changes one finds all who follow it.
    fn enter(&self, query: &LiveQuery, follower: &str) -> Result<Option<Entering>, Problem> {
        let Some(number) = query.number() else {
            return self.register.enter(query, follower).map(Some);
        };
        let names = self.names();
        if names.number(query.id()) != Some(number) {
            return Ok(None);
        }
        self.register.enter(query, follower).map(Some)
    }
}
