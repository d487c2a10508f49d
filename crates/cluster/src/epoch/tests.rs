//! Of all that find that something is gone one raises the epoch, and the others take that.

use std::sync::{Arc, Mutex};

use bellwire_model::Timestamp;
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{
    Assurance, Entry, Fence, Following, MemoryLog, MemoryLogs, Register, Stored,
};
use bytes::Bytes;

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

fn tell(log: &MemoryLog, own: Own) -> Result<Verdict, Error> {
    attend(log, own, Raise::No)
}

fn raise(log: &MemoryLog, own: Own) -> Verdict {
    assert_eq!(tell(log, own).unwrap(), Verdict::Lost);
    attend(log, own, Raise::Yes).unwrap()
}

/// One that has nothing.
fn empty(epoch: u32) -> Own {
    let (ordinal, place) = (0, Position::START);
    Own {
        epoch: Epoch::new(epoch),
        ordinal,
        kept_ordinal: ordinal,
        place,
        began: place,
        tail: None,
        fingerprint: None,
        cluster: None,
    }
}

/// What says nothing more.
fn first_of(epoch: Epoch, floor: Position) -> Mark {
    let (base, cluster, past) = (None, None, Past::default());
    Mark { epoch, ordinal: 1, tail: None, floor, base, shift: 0, cluster, past }
}

fn mark_of_verdict(verdict: Verdict) -> Mark {
    match verdict {
        Verdict::Same(mark) | Verdict::Anew(mark) | Verdict::GoesOn(mark) => mark,
        Verdict::Lost => panic!("it is lost"),
    }
}

/// One that has applied this last, in the epoch that it was told.
fn with(verdict: Verdict, tail: Tail) -> Own {
    let Mark { epoch, ordinal, shift, .. } = mark_of_verdict(verdict);
    let place = Position::new(tail.position.get() + shift);
    let (fingerprint, tail) = (Some(tail.checksum.into()), Some(tail));
    Own { ordinal, kept_ordinal: ordinal, place, tail, fingerprint, ..empty(epoch.get()) }
}

/// One that goes on with what it had.
fn gone_on(own: Own, mark: Mark) -> Own {
    let (epoch, ordinal, place) = (mark.epoch, mark.ordinal, mark.began(0).place);
    Own { epoch, ordinal, kept_ordinal: ordinal, place, began: mark.floor, tail: None, ..own }
}

fn lacks_base(verdict: Result<Verdict, Error>) -> bool {
    matches!(verdict, Err(Error::LacksBase { .. }))
}

#[test]
fn the_first_node_of_a_cluster_begins_its_epoch_and_the_others_take_it() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let first = tell(&log, empty(7)).unwrap();
    let (epoch, floor) = (Epoch::new(7), Position::START);
    let mark = Mark { ordinal: 1, ..first_of(epoch, floor) };
    assert_eq!(first, Verdict::Same(mark));
    assert_eq!(tell(&log, empty(8)).unwrap(), Verdict::Anew(mark));
    assert_eq!(tell(&log, empty(7)).unwrap(), Verdict::Same(mark));
    assert_eq!(current_epoch(&*log).unwrap(), Some(epoch));
}

#[test]
fn where_something_is_gone_the_epoch_is_raised_once_for_all_on_what_the_raiser_has() {
    for fault in [Fault::Restore, Fault::Lose] {
        let logs = MemoryLogs::immediate();
        let log = logs.handle();
        let begun = tell(&log, empty(7)).unwrap();
        append(&log, 1);
        logs.fail(Fault::Copy);
        let tail = append(&log, 2);
        logs.fail(fault);
        let (one, two) = (logs.handle(), logs.handle());
        let own = with(begun, tail);
        let raised = raise(&one, own);
        let Verdict::GoesOn(mark) = raised else { panic!("{raised:?}") };
        assert!(mark.epoch != Epoch::new(7) && mark.ordinal == 2, "{mark:?}");
        assert_eq!((mark.base, mark.began(0).place), (own.base(), own.place));
        // Though the same place has something again.
        append(&one, 9);
        append(&one, 10);
        assert_eq!(tell(&two, own).unwrap(), raised);
        // Who has less, or other, or nothing does not have the base.
        let other = Own { fingerprint: Some(1), ..own };
        let less = Own { place: Position::START, ..own };
        for lacking in [empty(8), other, less, Own { epoch: Epoch::new(9), ..own }] {
            assert!(lacks_base(tell(&two, lacking)), "{lacking:?}");
        }
        let after = gone_on(own, mark);
        assert_eq!(tell(&one, after).unwrap(), Verdict::Same(mark));
        // And who would begin later could not know what counted.
        one.trim(one.span().unwrap().tail).unwrap();
        for late in [own, after] {
            assert!(matches!(tell(&one, late), Err(Error::Behind { .. })));
        }
    }
}

/// Somebody trims the log once its register was set.
#[derive(Debug)]
struct Trimmed {
    log: Arc<MemoryLog>,
    until: Mutex<Option<Position>>,
}

impl SharedLog for Trimmed {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        self.log.append(batch, fence, stored);
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, LogError> {
        self.log.follow(after)
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, LogError> {
        self.log.entry(at)
    }

    fn span(&self) -> Result<Span, LogError> {
        self.log.span()
    }

    fn trim(&self, until: Position) -> Result<(), LogError> {
        self.log.trim(until)
    }

    fn register(&self, name: &str) -> Result<Register, LogError> {
        self.log.register(name)
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, LogError> {
        let set = self.log.set_register(name, expected, value)?;
        let until = self.until.lock().expect("held for a moment").take();
        until.map_or(Ok(()), |until| self.log.trim(until))?;
        Ok(set)
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, LogError> {
        self.log.registers(prefix)
    }

    fn assurance(&self) -> Result<Assurance, LogError> {
        self.log.assurance()
    }
}

#[test]
fn a_trim_while_the_epoch_is_raised_leaves_one_that_can_be_entered() {
    let logs = MemoryLogs::immediate();
    let begun = tell(&logs.handle(), empty(7)).unwrap();
    logs.fail(Fault::Copy);
    let own = with(begun, append(&logs.handle(), 1));
    logs.fail(Fault::Restore);
    let log = logs.handle();
    let gone = append(&log, 2).position;
    append(&log, 3);
    let log = Trimmed { log, until: Mutex::new(Some(gone)) };
    let raised = attend(&log, own, Raise::Yes).unwrap();
    let Verdict::GoesOn(mark) = raised else { panic!("{raised:?}") };
    assert_eq!((mark.floor, mark.base, mark.ordinal), (gone, own.base(), 3));
    assert_eq!(attend(&log, own, Raise::No).unwrap(), raised);
}

#[test]
fn a_second_loss_finds_its_base_in_what_has_gone_on() {
    let logs = MemoryLogs::immediate();
    let begun = tell(&logs.handle(), empty(7)).unwrap();
    for number in 1..5 {
        append(&logs.handle(), number);
    }
    let own = with(begun, append(&logs.handle(), 5));
    logs.fail(Fault::Lose);
    let first = mark_of_verdict(raise(&logs.handle(), own));
    let mut own = gone_on(own, first);
    let mut place = own.place;
    for loss in 0..3 {
        if loss > 0 {
            let tail = append(&logs.handle(), loss);
            own = with(Verdict::Same(mark_of_verdict(tell(&logs.handle(), own).unwrap())), tail);
            assert!(own.place > place);
            place = own.place;
        }
        logs.fail(Fault::Lose);
        let raised = mark_of_verdict(raise(&logs.handle(), own));
        assert_eq!((raised.ordinal, raised.base), (3 + loss, own.base()));
        // What is appended is beyond all that was.
        assert!(raised.began(0).place >= place);
        own = gone_on(own, raised);
    }
}

#[test]
fn another_entry_in_the_same_place_is_noticed() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = tell(&log, empty(7)).unwrap();
    logs.fail(Fault::Copy);
    let tail = append(&log, 1);
    logs.fail(Fault::Restore);
    let log = logs.handle();
    assert_eq!(append(&log, 2).position, tail.position);
    assert_eq!(mark_of_verdict(raise(&log, with(begun, tail))).ordinal, 2);
}

#[test]
fn a_register_of_an_old_copy_gets_no_second_life() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = tell(&log, empty(7)).unwrap();
    let tail = append(&log, 1);
    let Verdict::Same(mark) = begun else { panic!("{begun:?}") };
    // It was raised since, for whatever reason, and is back.
    let later = Own { epoch: Epoch::new(9), ordinal: 2, kept_ordinal: 2, ..with(begun, tail) };
    let raised = mark_of_verdict(raise(&log, later));
    assert_eq!((raised.ordinal, raised.base), (3, later.base()));
    assert!(raised.epoch != mark.epoch && raised.epoch != later.epoch);
}

/// Who joins while the engine has lost everything is first to say which epoch it is.
#[test]
fn who_has_nothing_takes_nothing_from_those_who_have() {
    let logs = MemoryLogs::immediate();
    let begun = tell(&logs.handle(), empty(7)).unwrap();
    let own = with(begun, append(&logs.handle(), 1));
    logs.fail(Fault::Lose);
    let log = logs.handle();
    // Though it has seen later ones.
    let fresh = Own { ordinal: 5, ..empty(8) };
    let Verdict::Anew(mark) = tell(&log, fresh).unwrap() else { panic!("it begins") };
    let tail = append(&log, 2);
    let raised = raise(&log, own);
    assert_eq!(mark_of_verdict(raised).base, own.base());
    assert!(lacks_base(tell(&log, with(Verdict::Same(mark), tail))));
}

#[test]
fn a_base_that_nobody_has_any_more_is_given_up() {
    let logs = MemoryLogs::immediate();
    let begun = tell(&logs.handle(), empty(7)).unwrap();
    let less = with(begun, append(&logs.handle(), 1));
    let own = with(begun, append(&logs.handle(), 2));
    logs.fail(Fault::Lose);
    let log = logs.handle();
    let gone = mark_of_verdict(raise(&log, own));
    assert!(lacks_base(attend(&*log, less, Raise::Yes)));
    let raised = attend(&*log, less, Raise::InPlaceOf(gone.epoch)).unwrap();
    assert_eq!(mark_of_verdict(raised).base, less.base());
    // Once: who wanted the same finds that one.
    assert!(lacks_base(attend(&*log, own, Raise::InPlaceOf(gone.epoch))));
    assert!(lacks_base(tell(&log, gone_on(own, gone))), "it comes back");
    assert_eq!(attend(&*log, less, Raise::InPlaceOf(gone.epoch)).unwrap(), raised);
}

#[test]
fn what_was_trimmed_is_no_loss_where_the_log_has_had_it() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = tell(&log, empty(7)).unwrap();
    let tails: Vec<Tail> = (1..=4).map(|number| append(&log, number)).collect();
    let own = |index: usize| with(begun, tails[index]);
    refresh(&*log, Epoch::new(7), tails[2]).unwrap();
    // Neither back nor of another epoch.
    refresh(&*log, Epoch::new(7), tails[0]).unwrap();
    refresh(&*log, Epoch::new(8), tails[3]).unwrap();
    log.trim(tails[2].position).unwrap();
    // Who has not applied what is gone would decide otherwise than the others from then on.
    let refused = tell(&log, own(0)).unwrap_err().to_string();
    assert!(refused.contains("cannot know what counted"), "{refused}");
    assert!(tell(&log, empty(8)).is_err());
    assert!(matches!(tell(&log, own(2)).unwrap(), Verdict::Same(_)));
    assert!(matches!(tell(&log, own(3)).unwrap(), Verdict::Same(_)));
    // Of this one nobody says so.
    log.trim(tails[3].position).unwrap();
    let Verdict::GoesOn(mark) = raise(&log, own(3)) else { panic!("the same") };
    // What there was is still there, and all begin at the same place of the log behind it.
    assert_eq!((mark.ordinal, mark.floor, mark.base), (2, tails[3].position, own(3).base()));
    assert_eq!(mark.began(0).place, tails[3].position);
    assert!(lacks_base(tell(&log, own(0))));
    // Also once the register says more.
    let after = gone_on(own(3), mark);
    refresh(&*log, mark.epoch, append(&log, 5)).unwrap();
    assert_eq!(mark_of_verdict(tell(&log, after).unwrap()).base, mark.base);
}

#[test]
fn what_is_no_epoch_is_refused() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    log.set_register(REGISTER, Generation::NEVER, Bytes::from_static(b"else")).unwrap();
    assert!(matches!(tell(&log, empty(7)), Err(Error::Register { .. })));
}

/// They know the first version alone, and refuse every other one.
#[test]
fn only_who_knows_of_bases_reads_an_epoch_with_one() {
    let (epoch, floor) = (Epoch::new(7), Position::new(5));
    let tail = Some(Tail { position: Position::new(9), checksum: u32::MAX });
    let mark = Mark { ordinal: 3, tail, ..first_of(epoch, floor) };
    assert_eq!((mark.encode()[0], Mark::decode(&mark.encode()).unwrap()), (1, mark));
    let base = Some(Base { epoch, place: Position::new(1 << 40), fingerprint: u64::MAX });
    let mark = Mark { base, shift: 77, ..mark };
    assert_eq!((mark.encode()[0], Mark::decode(&mark.encode()).unwrap()), (2, mark));
    for cut in 0..mark.encode().len() {
        assert!(Mark::decode(&mark.encode()[..cut]).is_err());
    }
}

/// They read what comes before, and a register that they set says nothing of it.
#[test]
fn a_mark_says_which_cluster_it_is_behind_all_that_older_builds_read() {
    let plain = first_of(Epoch::new(7), Position::new(5));
    let base = Some(Base { epoch: Epoch::new(9), place: Position::new(1), fingerprint: 2 });
    for plain in [plain, Mark { base, ..plain }] {
        let before = plain.encode();
        let cluster = ClusterId::new(u64::MAX);
        let past = (1..20).map(Epoch::new).fold(Past::default(), Past::with);
        let marks = [
            Mark { cluster, ..plain },
            Mark { past: Past::of([Epoch::new(3)]), ..plain },
            Mark { cluster, past, ..plain },
        ];
        for mark in marks {
            let value = mark.encode();
            assert!(value.starts_with(&before) && value.len() > before.len());
            assert_eq!(Mark::decode(&value).unwrap(), mark);
        }
        assert_eq!(Mark::decode(&before).unwrap(), plain);
    }
}

#[test]
fn only_who_is_of_the_logs_cluster_or_has_nothing_goes_on_in_it() {
    let logs = MemoryLogs::immediate();
    let log = logs.handle();
    let begun = tell(&log, empty(7)).unwrap();
    let own = with(begun, append(&log, 1));
    let [one, other] = [1, 2].map(ClusterId::new);
    assert!(settle(&*log, Epoch::new(7), one.expect("not zero")).unwrap());
    assert!(!settle(&*log, Epoch::new(7), other.expect("not zero")).unwrap(), "it is settled");
    let is_other = |own: Own, raise| {
        let before = log.register(REGISTER).unwrap();
        let attended = attend(&*log, own, raise);
        let is_other = matches!(attended, Err(Error::OtherCluster { .. }));
        assert!(!is_other || log.register(REGISTER).unwrap() == before, "it was set");
        is_other
    };
    // Whether or not it seems to be of the epoch, or to be newer.
    let newer = Own { epoch: Epoch::new(9), ordinal: 5, kept_ordinal: 5, ..own };
    for raise in [Raise::No, Raise::Yes, Raise::InPlaceOf(Epoch::new(7))] {
        for stranger in [own, newer] {
            assert!(is_other(Own { cluster: other, ..stranger }, raise), "{raise:?}");
        }
        assert!(is_other(newer, raise), "of none, and not of an epoch of this one: {raise:?}");
    }
    for friend in [own, Own { cluster: one, ..own }, empty(8)] {
        assert!(!is_other(friend, Raise::No), "{friend:?}");
    }
    // It stays what it is in another epoch, and who comes back from before is known.
    logs.fail(Fault::Lose);
    let log = logs.handle();
    let raised = mark_of_verdict(raise(&log, Own { cluster: one, ..own }));
    assert_eq!((raised.cluster, raised.past.epochs().collect::<Vec<_>>()), (one, vec![own.epoch]));
    assert!(lacks_base(tell(&log, Own { fingerprint: Some(1), ..own })));
    assert!(matches!(tell(&log, newer), Err(Error::OtherCluster { .. })));
}
