//! Of all that find that something is gone one raises the epoch, and the others take that.

use bellwire_model::Timestamp;
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{MemoryLog, MemoryLogs};

use super::*;
use crate::envelope::{Head, Incarnation, Part, encode};

fn append(log: &MemoryLog, number: u64) -> Tail {
    let head = Head {
        incarnation: Incarnation::new(1),
        number,
        born: Position::START,
        ends: None,
        epoch: Epoch::new(1),
        time: Timestamp::from_ms(0),
        part: Part::Void,
    };
    let entry = encode(&head, &[]);
    let checksum = envelope::checksum_of(&entry).expect("its own");
    let (sender, stored) = std::sync::mpsc::sync_channel(1);
    log.append(entry, None, Box::new(move |answer| drop(sender.send(answer))));
    let position = stored.recv().expect("answered").expect("stored");
    Tail { position, checksum }
}

fn own(epoch: u32, tail: Option<Tail>) -> Own {
    Own { epoch: Epoch::new(epoch), ordinal: 0, began: Position::START, tail, base: None }
}

fn with(verdict: Verdict, tail: Tail) -> Own {
    let (Verdict::Same(mark) | Verdict::Anew(mark)) = verdict;
    Own {
        epoch: mark.epoch,
        ordinal: mark.ordinal,
        began: Position::START,
        tail: Some(tail),
        base: None,
    }
}

#[test]
fn the_first_node_of_a_cluster_begins_its_epoch_and_the_others_take_it() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let first = attend(&*log, own(7, None)).unwrap();
    let mark = Mark::of_nothing(Epoch::new(7), 1, Position::START);
    assert_eq!(first, Verdict::Same(mark));
    assert_eq!(attend(&*log, own(8, None)).unwrap(), Verdict::Anew(mark));
    assert_eq!(attend(&*log, own(7, None)).unwrap(), Verdict::Same(mark));
    assert_eq!(current(&*log).unwrap(), Some(Epoch::new(7)));
}

#[test]
fn where_something_is_gone_the_epoch_is_raised_once_for_all() {
    for fault in [Fault::Restore, Fault::Lose] {
        let logs = MemoryLogs::immediate();
        let log = logs.handle();
        let begun = attend(&*log, own(7, None)).unwrap();
        append(&log, 1);
        logs.fail(Fault::Copy);
        let tail = append(&log, 2);
        logs.fail(fault);
        let (one, two) = (logs.handle(), logs.handle());
        let raised = attend(&*one, with(begun, tail)).unwrap();
        let Verdict::Anew(mark) = raised else { panic!("{raised:?}") };
        assert!(mark.epoch != Epoch::new(7) && mark.ordinal == 2, "{mark:?}");
        // Though the same place has something again.
        append(&one, 9);
        append(&one, 10);
        assert_eq!(attend(&*two, with(begun, tail)).unwrap(), raised);
        assert_eq!(attend(&*two, own(8, None)).unwrap(), raised);
    }
}

#[test]
fn another_entry_in_the_same_place_is_noticed() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = attend(&*log, own(7, None)).unwrap();
    logs.fail(Fault::Copy);
    let tail = append(&log, 1);
    logs.fail(Fault::Restore);
    let log = logs.handle();
    assert_eq!(append(&log, 2).position, tail.position);
    assert!(
        matches!(attend(&*log, with(begun, tail)).unwrap(), Verdict::Anew(mark) if mark.ordinal == 2)
    );
}

#[test]
fn a_register_of_an_old_copy_gets_no_second_life() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = attend(&*log, own(7, None)).unwrap();
    let tail = append(&log, 1);
    logs.fail(Fault::Copy);
    // It was raised since, for whatever reason, and is back.
    let Verdict::Same(mark) = begun else { panic!("{begun:?}") };
    logs.fail(Fault::Restore);
    let log = logs.handle();
    let later = Own {
        epoch: Epoch::new(9),
        ordinal: 2,
        began: Position::START,
        tail: Some(tail),
        base: None,
    };
    let Verdict::Anew(raised) = attend(&*log, later).unwrap() else { panic!("it is the same") };
    assert_eq!(raised.ordinal, 3);
    assert!(raised.epoch != mark.epoch && raised.epoch != later.epoch);
}

#[test]
fn what_was_trimmed_is_no_loss_where_the_log_has_had_it() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = attend(&*log, own(7, None)).unwrap();
    let tails: Vec<Tail> = (1..=4).map(|number| append(&log, number)).collect();
    let own = |index: usize| with(begun, tails[index]);
    refresh(&*log, Epoch::new(7), tails[2]).unwrap();
    // Neither back nor of another epoch.
    refresh(&*log, Epoch::new(7), tails[0]).unwrap();
    refresh(&*log, Epoch::new(8), tails[3]).unwrap();
    log.trim(tails[2].position).unwrap();
    // Who has not applied what is gone would decide otherwise than the others from then on.
    let refused = attend(&*log, own(0)).unwrap_err().to_string();
    assert!(refused.contains("cannot know what counted"), "{refused}");
    assert!(attend(&*log, Own { epoch: Epoch::new(8), ..own(0) }).is_err());
    assert!(matches!(attend(&*log, own(2)).unwrap(), Verdict::Same(_)));
    assert!(matches!(attend(&*log, own(3)).unwrap(), Verdict::Same(_)));
    // Of this one nobody says so.
    log.trim(tails[3].position).unwrap();
    let Verdict::Anew(mark) = attend(&*log, own(3)).unwrap() else { panic!("the same") };
    // All begin at the same place in the epoch that is raised then.
    assert_eq!((mark.ordinal, mark.floor), (2, tails[3].position));
    assert_eq!(attend(&*log, own(0)).unwrap(), Verdict::Anew(mark));
}

#[test]
fn what_is_no_epoch_is_refused() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    log.set_register(REGISTER, Generation::NEVER, Bytes::from_static(b"else")).unwrap();
    assert!(matches!(attend(&*log, own(7, None)), Err(Error::Register { .. })));
}
