//! Following queries: who does is in the register, and the evaluator has them stand.

use std::sync::Arc;

use bellwire_model::QueryId;
use bellwire_wire::problem::{Code, Problem};

use crate::evaluator::SampleIntake;
use crate::live::{Entering, Follower, LiveQuery, Register, Standing};

/// The queries that stand.
#[derive(Debug)]
pub struct LiveQueries {
    register: Arc<Register>,
    intake: Arc<SampleIntake>,
}

/// Somebody follows a query, until this is dropped.
#[derive(Debug)]
pub struct Followed {
    register: Arc<Register>,
    id: QueryId,
    /// Which of the queries of this id, one after the other.
    number: u64,
    follower: Follower,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.register.leave((self.id, self.number), &self.follower);
    }
}

impl LiveQueries {
    /// Those that are in this register, which is the evaluator's, too.
    pub fn new(register: Arc<Register>, intake: Arc<SampleIntake>) -> Self {
        Self { register, intake }
    }

    /// Follows a query: returns once its answer is complete on its topic.
    pub async fn follow(&self, query: LiveQuery, follower: Follower) -> Result<Followed, Problem> {
        let id = query.id();
        let Entering { number, is_new, mut standing } = self.register.enter(&query, &follower)?;
        let held = Followed { register: Arc::clone(&self.register), id, number, follower };
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
}
