//! Queries that come to stand, with topics that nobody follows.

use bellwire_model::Sight;
use bellwire_rules::RuleSet;

use super::*;
use crate::tests::fixture::Board;

struct Rig {
    answers: Answers,
    engine: Engine,
    register: Register,
    topics: Board,
}

impl Rig {
    fn settle(&mut self) {
        while !self.answers.is_empty() {
            self.answers.turn(&mut self.engine, (&self.register, &self.topics), || Duration::ZERO);
        }
    }

    /// One follows a query until it stands; its number.
    fn follow(&mut self, query: &LiveQuery) -> u64 {
        let entering = self.register.enter(query, "ada").expect("there is room");
        if entering.is_new {
            self.answers.begin(Box::new(QueryBeginning::new(query.clone().into_standing())));
        }
        self.settle();
        assert!(self.register.standing(query.id()).0);
        entering.number
    }

    /// Nobody follows it any more, and it ends.
    fn end(&mut self, query: &LiveQuery, number: u64) {
        let id = query.id();
        self.register.leave((id, number), "ada");
        self.register.refuse(id, &super::super::exhausted("it ends".into()));
        self.answers.end(id);
        self.settle();
    }
}

#[test]
fn a_name_that_comes_to_stand_for_something_else_while_nobody_follows_it_has_none_of_its_past() {
    let engine = Engine::new(RuleSet::default());
    let (answers, register, topics) = (Answers::default(), Register::default(), Board::default());
    let mut rig = Rig { answers, engine, register, topics };
    let sight = Sight::all();
    let named = |text: &str, number| {
        LiveQuery::read_named("hot", (text, number), &sight).expect("an expression")
    };
    let (old, new) = (named("sum(x)", 1), named("max(x)", 2));
    let number = rig.follow(&old);
    rig.end(&old, number);
    rig.topics.take_forgotten();
    rig.follow(&new);
    assert_eq!(rig.topics.take_forgotten(), [new.id().topic()]);
    // Where it stands there is one expression, whoever else comes to follow it.
    rig.follow(&new);
    assert!(rig.topics.take_forgotten().is_empty());
    // While it is followed, too.
    rig.register.change(new.id(), Change::Replaced(Box::new(named("min(x)", 3))));
    let now = Timestamp::from_ms(5);
    rig.answers.look_after(&mut rig.engine, (&rig.register, &rig.topics), now);
    rig.settle();
    assert_eq!(rig.topics.take_forgotten(), [new.id().topic()]);

    // What has no name is the same expression whenever it is followed.
    let plain = LiveQuery::read("sum(x)", &sight).expect("an expression");
    let number = rig.follow(&plain);
    rig.end(&plain, number);
    rig.follow(&plain);
    assert!(rig.topics.take_forgotten().is_empty());
}
