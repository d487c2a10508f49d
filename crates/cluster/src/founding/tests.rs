//! Of all that would begin a log one does, and nobody forgets what it has for that.

use bellwire_model::Epoch;
use bellwire_shared_log::MemoryLogs;

use super::*;
use crate::epoch::{Own, Verdict, attend};

const EPOCH: Epoch = Epoch::new(7);
const TAIL: Offset = Offset::new(40_000);

/// A replica that was made of the journal.
fn base() -> Own {
    let base = Some(Shift::behind(TAIL));
    Own { epoch: EPOCH, ordinal: 0, began: Position::START, tail: None, base }
}

fn empty(epoch: u32) -> Own {
    Own { epoch: Epoch::new(epoch), base: None, ..base() }
}

fn append(log: &dyn SharedLog) {
    let (sender, stored) = std::sync::mpsc::sync_channel(1);
    log.append("x".into(), None, Box::new(move |answer| drop(sender.send(answer))));
    stored.recv().unwrap().unwrap();
}

#[test]
fn who_has_the_base_goes_on_with_it_and_the_others_need_a_snapshot() {
    let log = MemoryLogs::immediate().handle();
    assert_eq!(founding(&*log, EPOCH).unwrap(), Founding::Open);
    found(&*log, (EPOCH, TAIL)).unwrap();
    assert_eq!(founding(&*log, EPOCH).unwrap(), Founding::Begun);
    let mark = mark(EPOCH, Shift::new(2));
    assert_eq!(attend(&*log, base()).unwrap(), Verdict::Same(mark));
    let lacking = attend(&*log, empty(8));
    assert!(matches!(lacking, Err(Error::Lacking { epoch: EPOCH })), "{lacking:?}");
    // Whoever has applied something since is in the same epoch, and no base any more.
    let later = Own { ordinal: 1, ..base() };
    assert_eq!(attend(&*log, later).unwrap(), Verdict::Same(mark));
}

#[test]
fn who_has_begun_begins_again_until_the_log_has_something() {
    let log = MemoryLogs::immediate().handle();
    found(&*log, (EPOCH, TAIL)).unwrap();
    // The server went on meanwhile.
    let later = Offset::new(3 * TAIL.get());
    found(&*log, (EPOCH, later)).unwrap();
    let grown = Own { base: Some(Shift::behind(later)), ..base() };
    assert_eq!(attend(&*log, grown).unwrap(), Verdict::Same(mark(EPOCH, Shift::behind(later))));
    append(&*log);
    assert_eq!(founding(&*log, EPOCH).unwrap(), Founding::Taken);
    assert!(matches!(found(&*log, (EPOCH, TAIL)), Err(Error::Taken)));
}

#[test]
fn a_log_that_has_begun_with_something_else_is_left_alone_and_so_is_the_base() {
    for is_begun_with_a_base in [false, true] {
        let log = MemoryLogs::immediate().handle();
        if is_begun_with_a_base {
            found(&*log, (Epoch::new(8), TAIL)).unwrap();
        } else {
            attend(&*log, empty(8)).unwrap();
        }
        assert_eq!(founding(&*log, EPOCH).unwrap(), Founding::Taken);
        assert!(matches!(found(&*log, (EPOCH, TAIL)), Err(Error::Taken)));
        let refused = attend(&*log, base());
        assert!(matches!(refused, Err(Error::Taken)), "{refused:?}");
    }
    // Such as one whose registers are gone.
    let log = MemoryLogs::immediate().handle();
    append(&*log);
    assert_eq!(founding(&*log, EPOCH).unwrap(), Founding::Taken);
    assert!(matches!(found(&*log, (EPOCH, TAIL)), Err(Error::Taken)));
    assert!(matches!(attend(&*log, base()), Err(Error::Taken)));
}

#[test]
fn a_log_that_has_lost_its_beginning_before_anything_came_is_begun_once_more() {
    let log = MemoryLogs::immediate().handle();
    let mark = mark(EPOCH, Shift::behind(TAIL));
    assert_eq!(attend(&*log, base()).unwrap(), Verdict::Same(mark));
    let lacking = attend(&*log, empty(8));
    assert!(matches!(lacking, Err(Error::Lacking { epoch: EPOCH })), "{lacking:?}");
}

#[test]
fn what_a_register_says_of_a_base_is_read_as_it_was() {
    for shift in [0, 1, 1 << 40] {
        let mark = mark(EPOCH, Shift::new(shift));
        assert_eq!(Mark::decode(&mark.encode()).unwrap(), mark);
    }
    // What has none is as it always was, for nodes of before.
    let plain = Mark::of_nothing(EPOCH, 3, Position::new(5)).encode();
    assert_eq!(&plain[..], [1, 7, 3, 0, 0, 5]);
}

#[test]
fn records_of_another_life_go() {
    let changes = records_of_base(TAIL, ["cluster/ordinal", "cluster/incarnation/1"]);
    let values: Vec<_> = changes.iter().map(|it| (&*it.key, it.value.as_deref())).collect();
    let expected = [
        ("cluster/ordinal", None),
        ("cluster/incarnation/1", None),
        ("cluster/base", Some(&[2][..])),
    ];
    assert_eq!(values, expected);
    assert_eq!(base_of(&changes), Shift::new(2));
}

fn base_of(changes: &[RecordChange]) -> Shift {
    super::base(changes.last().unwrap().value.as_ref().unwrap()).unwrap()
}
