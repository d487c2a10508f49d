//! Those who show themselves at different nodes.

use super::{KINDS, Pair};
use crate::harness::{Engine, Stream};
use crate::presence::{Board, shown};

const CONFIG: &str = "presence = [\"rooms/**\"]\npresence_grace = \"300ms\"\n";

#[test]
fn those_at_all_nodes_are_there_together_and_gone_with_their_node() {
    let on = |engine| Pair::configured(engine, CONFIG, &[]);
    KINDS.into_iter().filter_map(Engine::start).map(on).for_each(|mut pair| {
        let [one, other] = pair.addresses();
        let query = |name: &str| format!("topic=rooms/a&present=%22{name}%22&present_id={name}");
        let ada = Stream::open(one, &query("ada"));
        let mut boards = [one, other].map(|address| Board::open(address, "rooms/a"));
        for board in &mut boards {
            assert_eq!(shown(&board.until_named(1)), ["ada"]);
        }
        let bob = Stream::open(other, &query("bob"));
        let nobody = [one, other].map(|address| Stream::open(address, "topic=rooms/a&present=%22x%22"));
        // Whoever is at both is one.
        let ada_there = Stream::open(other, &query("ada"));
        for board in &mut boards {
            let there = board.until_named(4);
            assert_eq!(shown(&there), ["ada", "bob", "x", "x"]);
        }
        drop((ada, nobody));
        for board in &mut boards {
            assert_eq!(shown(&board.until_named(2)), ["ada", "bob"]);
        }
        // They come back where they were not.
        drop(bob);
        let _bob = Stream::open(one, &query("bob"));
        let eve = Stream::open(one, &query("eve"));
        for board in &mut boards {
            assert_eq!(shown(&board.until_named(3)), ["ada", "bob", "eve"]);
        }
        drop(eve);
        for board in &mut boards {
            assert_eq!(shown(&board.until_named(2)), ["ada", "bob"]);
        }
        let [board, _] = &mut boards;
        pair.nodes[1].kill();
        assert_eq!(shown(&board.until_named(1)), ["bob"]);
        drop(ada_there);
        pair.nodes[1].restart();
        let _back = Stream::open(pair.nodes[1].address(), &query("ada"));
        assert_eq!(shown(&board.until_named(2)), ["ada", "bob"]);
    });
}
