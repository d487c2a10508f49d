//! Clauses about a log that is no longer what it was: it can be told, and nobody follows on as if.

use super::reader::Reader;
use super::rig::{Handle, Rig, fence, numbered};
use super::{Fault, Make};
use crate::{Entry, Generation, Position, Register};

/// Restored from an old copy: what was stored since is not there, whatever comes in its place.
pub fn an_old_copy_can_be_told(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let kept = log.store_all(&numbered("kept", 5));
    let generation = log.set("epoch", Generation::NEVER, "old");
    if !rig.fault(Fault::Copy) {
        return;
    }
    let lost = log.store_all(&numbered("lost", 5));
    log.set("epoch", generation, "new");
    log.set("lease", Generation::NEVER, "lost");
    let mut followed = Followed::begin(&[&log, &other], lost[4]);
    let tail = log.span().tail;
    rig.cure(Fault::Restore);
    for log in [&log, &other] {
        assert!(log.reached().tail < tail, "the tail tells");
        for (&position, text) in kept.iter().zip(numbered("kept", 5)) {
            let batch = text.into();
            assert_eq!(log.entry(position), Some(Entry { position, batch }));
        }
        for &position in &lost {
            assert_eq!(log.entry(position), None, "{position} was stored behind the copy");
        }
        assert_eq!(log.register("epoch"), Register { generation, value: "old".into() });
        assert_eq!(log.registers(""), ["epoch"]);
    }
    goes_on_as_another(&log, &lost, "lost");
    followed.have_ended();
    let mut again = other.follow(kept[4]);
    let end = other.store_end();
    again.read_to(end);
    assert!(again.texts().iter().all(|text| text == "end" || text.starts_with("else")));
}

/// Lost, and begun anew by somebody: nothing of it is there.
pub fn a_lost_log_can_be_told(make: Make<'_>) {
    let mut rig = Rig::new(make);
    let (log, other) = (rig.open(), rig.open());
    let lost = log.store_all(&numbered("lost", 10));
    log.set("epoch", Generation::NEVER, "lost");
    let mut followed = Followed::begin(&[&log, &other], lost[9]);
    if !rig.fault(Fault::Lose) {
        return;
    }
    for log in [&log, &other] {
        assert!(log.reached().tail < lost[9], "the tail tells");
        for &position in &lost {
            assert_eq!(log.entry(position), None, "{position} was stored before");
        }
        assert_eq!(log.register("epoch"), Register::default());
        assert_eq!(log.registers(""), Vec::<String>::new());
    }
    goes_on_as_another(&log, &lost, "lost");
    followed.have_ended();
    let end = other.store_end();
    let texts = other.texts_up_to(end);
    assert!(texts.iter().all(|text| text == "end" || text.starts_with("else")), "{texts:?}");
}

/// Nobody takes what is stored now, perhaps in the same places, for what was there.
#[track_caller]
fn goes_on_as_another(log: &Handle, lost: &[Position], name: &str) {
    log.works_again();
    log.store_all(&numbered("else", 15));
    for (&position, text) in lost.iter().zip(numbered(name, lost.len())) {
        let entry = log.entry(position);
        assert!(entry.as_ref().is_none_or(|entry| entry.batch != text), "{entry:?}");
    }
    let generation = log.take("lease", "holder");
    log.append("else", Some(&fence("lease", generation))).stored();
}

/// Followings of what is lost then: some have handed on all of it, some nothing.
struct Followed {
    readers: Vec<Reader>,
    before: Vec<String>,
}

impl Followed {
    #[track_caller]
    fn begin(logs: &[&Handle], last: Position) -> Self {
        let mut readers = Vec::new();
        for log in logs {
            let mut reader = log.follow(Position::START);
            reader.read_to(last);
            readers.extend([reader, log.follow(Position::START), log.follow(last)]);
        }
        let before = readers[0].texts();
        Self { readers, before }
    }

    /// None has handed on anything of what came instead.
    #[track_caller]
    fn have_ended(&mut self) {
        for (index, reader) in self.readers.iter_mut().enumerate() {
            reader.end_without("else");
            // The third of each handle began behind everything.
            let before = if index % 3 == 2 { &[] } else { self.before.as_slice() };
            assert!(before.starts_with(&reader.texts()), "{:?}", reader.texts());
        }
    }
}
