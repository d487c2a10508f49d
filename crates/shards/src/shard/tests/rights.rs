//! Rights that change while events come, against a plain model: whatever the interleaving of
//! publishing, renewing, turning and slow reading, nothing is delivered that was excluded before it was
//! published, and of what stays allowed all is delivered once and in order.

use std::collections::BTreeSet;

use bellwire_hub::Start;
use bellwire_model::{Principal, Sight};
use proptest::prelude::*;

use super::super::Reconsidering;
use super::rig::{Client, NDJSON, PLAIN_WEBSOCKET, Rig, SSE};
use crate::form::Form;

const TOPICS: [&str; 4] = ["a", "b/1", "b/2", "c/1"];
const FOLLOWED: [&str; 3] = ["a", "b/*", "c/**"];
/// What rights may be: wildcards meet wildcards.
const ALLOWED: [&[&str]; 7] =
    [&["**"], &["a", "b/1"], &["*/1", "a"], &["b/**", "c/**"], &["a"], &["b/2", "x"], &["x"]];
const ADA: Principal = Principal(1);
const BOB: Principal = Principal(2);

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<usize>),
    Renew(usize),
    Revoke,
    Turn,
    Take(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0..TOPICS.len(), 1..4).prop_map(Step::Publish),
        3 => (0..ALLOWED.len()).prop_map(Step::Renew),
        1 => Just(Step::Revoke),
        5 => Just(Step::Turn),
        2 => (1..60_000usize).prop_map(Step::Take),
    ]
}

/// Somebody, and what they are known to be allowed.
struct Somebody {
    client: Client,
    /// Topics that they follow still, as far as the shard has said.
    left: BTreeSet<usize>,
    /// For each topic the first event that must not come any more.
    excluded_from: [usize; TOPICS.len()],
    is_over: bool,
}

/// An event: its number says which it is. Some are large, so that sockets are full.
fn body(number: usize) -> String {
    let filler = if number.is_multiple_of(3) { 40_000 } else { 10 };
    format!("\"#{number}# {}\"", "x".repeat(filler))
}

fn is_allowed(topic: usize, allowed: usize) -> bool {
    let topic = TOPICS[topic].parse().expect("a topic");
    ALLOWED[allowed].iter().any(|it| {
        let filter: bellwire_model::Filter = it.parse().expect("a filter");
        filter.matches(&topic)
    })
}

impl Somebody {
    fn come(rig: &mut Rig, principal: Principal, form: Form) -> Self {
        rig.come_as(principal);
        let client = rig.connect(&FOLLOWED, Start::Latest, form);
        let left = (0..TOPICS.len()).collect();
        Self { client, left, excluded_from: [usize::MAX; TOPICS.len()], is_over: false }
    }

    /// The shard has said that all of its connections have these rights.
    fn on_renewed(&mut self, allowed: usize, published: usize) {
        if self.is_over {
            return;
        }
        self.left.retain(|topic| is_allowed(*topic, allowed));
        for (topic, excluded_from) in self.excluded_from.iter_mut().enumerate() {
            if !self.left.contains(&topic) {
                *excluded_from = published.min(*excluded_from);
            }
        }
        self.is_over = self.left.is_empty();
    }

    fn on_revoked(&mut self, published: usize) {
        self.left.clear();
        self.excluded_from = self.excluded_from.map(|from| from.min(published));
        self.is_over = true;
    }

    fn judge(&mut self, published: &[usize]) {
        let all = self.client.take();
        let bodies = all.split("\"#").skip(1);
        let numbers: Vec<usize> =
            bodies.filter_map(|body| body.split('#').next()?.parse().ok()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "in order, and once: {numbers:?}");
        for number in &numbers {
            let topic = published[*number];
            assert!(*number < self.excluded_from[topic], "{number} on {} came", TOPICS[topic]);
        }
        let seen: BTreeSet<usize> = numbers.into_iter().collect();
        for (number, topic) in published.iter().enumerate() {
            let is_due = !self.is_over && self.left.contains(topic);
            assert!(!is_due || seen.contains(&number), "{number} on {} is lost", TOPICS[*topic]);
        }
        let ends = all.matches("\"control\":\"bye\"").count();
        assert!(ends <= usize::from(self.is_over), "nobody else is told good-bye");
    }
}

fn run(steps: &[Step], form: Form) {
    let mut rig = Rig::new();
    let mut ada = Somebody::come(&mut rig, ADA, form);
    let mut bob = Somebody::come(&mut rig, BOB, form);
    rig.settle();
    let mut published = Vec::new();
    // What was asked of the shard, the newest of it last, and is yet to be through.
    let mut pending: Vec<Reconsidering> = Vec::new();
    let (mut allowed, mut is_revoked) = (0, false);
    for step in steps.iter().chain([&Step::Turn]) {
        match step {
            Step::Publish(topics) => {
                for topic in topics {
                    rig.publish(TOPICS[*topic], &body(published.len()));
                    published.push(*topic);
                }
            }
            Step::Renew(index) => {
                allowed = *index;
                pending.push(rig.renew(ADA, (ALLOWED[allowed], Sight::all())));
            }
            Step::Revoke => {
                is_revoked = true;
                pending.push(rig.revoke(&[ADA]));
            }
            Step::Turn => {
                rig.turn();
                if !pending.is_empty() && !rig.shard.reconsideration.is_under_way() {
                    pending.clear();
                    if is_revoked {
                        ada.on_revoked(published.len());
                    } else {
                        ada.on_renewed(allowed, published.len());
                    }
                }
            }
            Step::Take(bytes) => {
                ada.client.take_some(*bytes);
                bob.client.take_some(*bytes);
            }
        }
    }
    // What is on its way comes, and whoever was full has room.
    for _ in 0..3 * published.len() + 10 {
        ada.client.take();
        bob.client.take();
        rig.settle();
    }
    ada.judge(&published);
    bob.judge(&published);
    assert_eq!(bob.left.len(), TOPICS.len(), "of bob nothing has changed");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn nothing_excluded_comes_and_nothing_allowed_is_lost(
        steps in prop::collection::vec(step(), 1..60),
        form in prop::sample::select(vec![SSE, NDJSON, PLAIN_WEBSOCKET]),
    ) {
        run(&steps, form);
    }
}
