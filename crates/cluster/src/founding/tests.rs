//! Of all that would begin a log one does, and nobody forgets what it has for that.

use bellwire_journal::Record;
use bellwire_shared_log::MemoryLogs;

use super::*;
use crate::epoch::{Own, Raise, Verdict, attend};
use crate::order::Order;

const EPOCH: Epoch = Epoch::new(7);
const TAIL: Offset = Offset::new(40_000);

fn foundation() -> Foundation {
    Foundation::new(EPOCH, TAIL)
}

/// A replica that was made of the journal.
fn made_of(foundation: Foundation) -> Own {
    let Base { epoch, place, fingerprint } = foundation.base;
    let (began, fingerprint, cluster) =
        (Position::START, Some(fingerprint), Some(foundation.cluster));
    Own { epoch, ordinal: 0, kept_ordinal: 0, place, began, tail: None, fingerprint, cluster }
}

fn empty(epoch: u32) -> Own {
    let (epoch, place) = (Epoch::new(epoch), Position::START);
    Own { epoch, place, fingerprint: None, ..made_of(foundation()) }
}

/// What the log says that has begun with it.
fn mark_of(foundation: Foundation) -> Mark {
    Mark { cluster: Some(foundation.cluster), ..mark(foundation.base) }
}

fn tell(log: &dyn SharedLog, own: Own) -> Result<Verdict, Error> {
    attend(log, own, Raise::No)
}

fn append(log: &dyn SharedLog) {
    let (sender, stored) = std::sync::mpsc::sync_channel(1);
    log.append("x".into(), None, Box::new(move |answer| drop(sender.send(answer))));
    stored.recv().unwrap().unwrap();
}

#[test]
fn who_has_the_base_goes_on_with_it_and_the_others_need_a_snapshot() {
    let log = MemoryLogs::immediate().handle();
    let foundation = foundation();
    assert_eq!(Founding::of(&*log, EPOCH).unwrap(), Founding::Open);
    foundation.found(&*log).unwrap();
    assert_eq!(Founding::of(&*log, EPOCH).unwrap(), Founding::Begun);
    let mark = mark_of(foundation);
    assert_eq!((mark.epoch, mark.shift), (EPOCH, 2));
    let own = made_of(foundation);
    assert_eq!(tell(&*log, own).unwrap(), Verdict::Same(mark));
    let lacking = tell(&*log, empty(8));
    assert!(matches!(lacking, Err(Error::LacksBase { epoch: EPOCH })), "{lacking:?}");
    // Once it is a node's it is so like any other, and so is a copy of it.
    let admitted = Own { ordinal: 1, kept_ordinal: 1, ..own };
    assert_eq!(tell(&*log, admitted).unwrap(), Verdict::Same(mark));
    assert_eq!((own.foundation(), admitted.foundation()), (Some(foundation.base), None));
}

#[test]
fn who_has_begun_begins_again_until_the_log_has_something() {
    let log = MemoryLogs::immediate().handle();
    foundation().found(&*log).unwrap();
    // The server went on meanwhile.
    let later = Foundation::new(EPOCH, Offset::new(3 * TAIL.get()));
    later.found(&*log).unwrap();
    assert_eq!(tell(&*log, made_of(later)).unwrap(), Verdict::Same(mark_of(later)));
    append(&*log);
    assert_eq!(Founding::of(&*log, EPOCH).unwrap(), Founding::Taken);
    assert!(matches!(foundation().found(&*log), Err(Error::Taken)));
}

#[test]
fn a_log_that_has_begun_with_something_else_is_left_alone_and_so_is_the_base() {
    // With another server's, with another copy of this one's, and with nothing.
    let others = [Some(Foundation::new(Epoch::new(8), TAIL)), Some(foundation()), None];
    for other in others {
        let log = MemoryLogs::immediate().handle();
        match other {
            Some(other) => other.found(&*log).unwrap(),
            None => drop(tell(&*log, empty(8)).unwrap()),
        }
        let refused = tell(&*log, made_of(foundation()));
        assert!(matches!(refused, Err(Error::Taken)), "{refused:?}");
        if other.is_none_or(|other| other.base.epoch != EPOCH) {
            assert_eq!(Founding::of(&*log, EPOCH).unwrap(), Founding::Taken);
            assert!(matches!(foundation().found(&*log), Err(Error::Taken)));
        }
    }
    // Such as one whose registers are gone.
    let log = MemoryLogs::immediate().handle();
    append(&*log);
    assert_eq!(Founding::of(&*log, EPOCH).unwrap(), Founding::Taken);
    assert!(matches!(foundation().found(&*log), Err(Error::Taken)));
    assert!(matches!(tell(&*log, made_of(foundation())), Err(Error::Taken)));
}

#[test]
fn a_log_that_has_lost_its_beginning_before_anything_came_is_begun_once_more() {
    let log = MemoryLogs::immediate().handle();
    let foundation = foundation();
    assert_eq!(tell(&*log, made_of(foundation)).unwrap(), Verdict::Same(mark_of(foundation)));
    let lacking = tell(&*log, empty(8));
    assert!(matches!(lacking, Err(Error::LacksBase { epoch: EPOCH })), "{lacking:?}");
}

#[test]
fn an_epoch_that_goes_on_with_what_a_disk_had_is_of_no_foundation() {
    let log = MemoryLogs::immediate().handle();
    let foundation = foundation();
    foundation.found(&*log).unwrap();
    let lost = Own { ordinal: 2, kept_ordinal: 2, ..made_of(foundation) };
    assert_eq!(tell(&*log, lost).unwrap(), Verdict::Lost);
    let raised = attend(&*log, lost, Raise::Yes).unwrap();
    let Verdict::GoesOn(raised) = raised else { panic!("{raised:?}") };
    assert_eq!(raised.base, Some(foundation.base));
    assert_eq!(raised.cluster, Some(foundation.cluster));
    for epoch in [EPOCH, raised.epoch] {
        assert_eq!(Founding::of(&*log, epoch).unwrap(), Founding::Taken);
    }
    assert!(matches!(foundation.found(&*log), Err(Error::Taken)));
}

#[test]
fn records_of_another_life_go_and_what_is_left_is_the_base() {
    let foundation = foundation();
    let changes = foundation.records(["cluster/ordinal", "cluster/incarnation/1"]);
    let is_kept: Vec<_> = changes.iter().map(|it| (&*it.key, it.value.is_some())).collect();
    let expected = [
        ("cluster/ordinal", false),
        ("cluster/incarnation/1", false),
        ("cluster/began", true),
        ("cluster/id", true),
    ];
    assert_eq!(is_kept, expected);
    let record = |it: RecordChange| Some(Record { key: it.key, value: it.value? });
    let records: Vec<Record> = changes.into_iter().filter_map(record).collect();
    let kept = Order::load(&records, place_of(TAIL)).unwrap();
    assert_eq!(kept.fingerprint, Some(foundation.base.fingerprint));
    assert_eq!((kept.tail, kept.began), (None, Some(foundation.began)));
    assert_eq!(ClusterId::of(&records).unwrap(), Some(foundation.cluster));
    assert_ne!(self::foundation().base.fingerprint, foundation.base.fingerprint);
}
