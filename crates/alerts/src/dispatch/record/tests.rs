//! What is stored, and what a webhook is told given what it knows.

use super::*;

fn record(time_ms: i64, firing: &[u64], resolved: &[u64]) -> Record {
    let set = |numbers: &[u64]| numbers.iter().map(|n| Fingerprint::from_u64(*n)).collect();
    Record::new(Timestamp::from_ms(time_ms), Duration::from_mins(10), [set(firing), set(resolved)])
}

fn bytes(record: &Record) -> Vec<u8> {
    record.to_pieces(0).concat()
}

#[test]
fn a_record_is_read_as_it_was_stored() {
    let doubtful = Record::while_sent(Some(&record(5, &[1], &[2])), &record(6, &[3, 4], &[1]));
    for stored in [record(5, &[1, 2], &[3]), record(-5, &[], &[]), doubtful] {
        let bytes = bytes(&stored);
        assert_eq!(Record::from_bytes(&bytes), Some(stored));
        for length in 0..bytes.len() {
            let cut = Record::from_bytes(&bytes[..length]);
            assert!(cut.is_none_or(|cut| cut.len() == length), "{length}");
        }
    }
    let mut lies = bytes(&record(5, &[1], &[]));
    lies[17..25].fill(0xFF);
    assert_eq!(Record::from_bytes(&lies), None);
    assert_eq!(Record::from_bytes(&[4; 49]), None, "another version");
}

#[test]
fn a_record_with_fingerprints_of_another_kind_is_none() {
    let mut bytes = bytes(&record(5, &[1, 2], &[3]));
    for version in [1, 2] {
        bytes[0] = version;
        assert_eq!(Record::from_bytes(&bytes), None, "{version}");
    }
}

#[test]
fn a_record_of_any_group_is_kept_whole_and_its_pieces_fit_into_the_journal() {
    let room = (PIECE_BYTES_MAX - 49) / 8;
    for (count, pieces) in [(room, 1), (room + 1, 2), (114_689, 1), (400_000, 4)] {
        let many: Vec<u64> = (0..count as u64).collect();
        let (firing, rest) = many.split_at(count / 2);
        let (resolved, doubtful) = rest.split_at(rest.len() / 2);
        let known = record(5, firing, resolved);
        let stored = Record::while_sent(Some(&known), &record(6, doubtful, &[]));
        let kept = stored.to_pieces(0);
        assert_eq!((kept.len(), stored.len()), (pieces, 49 + 8 * count), "{count}");
        assert!(kept.iter().all(|piece| piece.len() + RECORD_KEY_BYTES_MAX <= RECORD_BYTES_MAX));
        assert!(Record::from_bytes(&kept.concat()) == Some(stored), "{count}");
        let cut = kept[..pieces - 1].concat();
        assert!(Record::from_bytes(&cut).is_none(), "a piece is missing");
    }
}

#[test]
fn times_are_stored_as_the_wall_clock_has_them() {
    let hour = 3_600_000;
    let kept = record(5, &[1], &[]).to_pieces(-hour).concat();
    let read = Record::from_bytes(&kept).expect("a record");
    assert_eq!(read.time.as_ms(), 5 - hour);
    assert_eq!(read.expires_at.saturating_since(read.time), Duration::from_mins(20));
}

#[test]
fn that_alerts_have_resolved_is_doubtful_where_they_were_told_to_fire() {
    let known = record(0, &[1, 2], &[]);
    let many: Vec<u64> = (2..1_000).collect();
    let doubtful = Record::while_sent(Some(&known), &record(1, &[1], &many));
    assert_eq!(doubtful.owed(), [1, 2].map(Fingerprint::from_u64).into_iter().collect());
    let gone = [1].map(Fingerprint::from_u64).into_iter().collect();
    let left = doubtful.without(&gone);
    assert_eq!(left.owed(), [2].map(Fingerprint::from_u64).into_iter().collect());
    assert!(left.may_fire(Fingerprint::from_u64(2)) && !left.may_fire(Fingerprint::from_u64(1)));
}

#[test]
fn what_may_or_may_not_have_arrived_is_told() {
    use NotificationReason::{AllResolved, First, MoreFiring, SomeResolved};
    let wishes = Wishes { wants_resolved: true, repeat_interval: Duration::from_mins(10) };
    let known = record(0, &[1], &[]);
    let table = [
        (None, record(1, &[1], &[]), record(2, &[1], &[]), Some(First)),
        (None, record(1, &[1], &[]), record(2, &[], &[1]), Some(AllResolved)),
        (None, record(1, &[1], &[]), record(2, &[], &[2]), None),
        (Some(&known), record(1, &[1, 2], &[]), record(2, &[1], &[2]), Some(SomeResolved)),
        (Some(&known), record(1, &[], &[1]), record(2, &[1], &[]), Some(MoreFiring)),
        (Some(&known), record(1, &[1, 2], &[]), record(2, &[1], &[]), None),
    ];
    for (known, sent, current, expected) in table {
        let doubtful = Record::while_sent(known, &sent);
        let reason = Record::reason(Some(&doubtful), &current, wishes);
        assert_eq!(reason, expected, "{doubtful:?} {current:?}");
    }
}

#[test]
fn a_webhook_is_told_what_it_does_not_know() {
    use NotificationReason::{AllResolved, First, MoreFiring, Repeated, SomeResolved};
    let none = || record(0, &[], &[]);
    let known = || Some(record(0, &[1, 2], &[3]));
    let ended = || Some(record(0, &[], &[1, 2]));
    let table = [
        (None, record(1, &[1], &[]), Some(First)),
        (None, record(1, &[], &[1]), None),
        (known(), record(1, &[1, 2], &[3]), None),
        (known(), record(1, &[1, 2, 4], &[]), Some(MoreFiring)),
        (known(), record(1, &[1], &[2]), Some(SomeResolved)),
        (known(), record(1, &[1], &[]), None),
        (known(), record(1, &[], &[1, 2]), Some(AllResolved)),
        (known(), none(), Some(AllResolved)),
        (ended(), record(1, &[1], &[]), Some(First)),
        (ended(), record(1, &[], &[4]), None),
        (known(), record(599_999, &[1, 2], &[]), None),
        (known(), record(600_000, &[1, 2], &[]), Some(Repeated)),
    ];
    let wishes = Wishes { wants_resolved: true, repeat_interval: Duration::from_mins(10) };
    for (known, current, expected) in table {
        let reason = Record::reason(known.as_ref(), &current, wishes);
        assert_eq!(reason, expected, "{known:?} {current:?}");
    }
    let wishes = Wishes { wants_resolved: false, ..wishes };
    let resolved = record(1, &[1], &[2]);
    assert_eq!(Record::reason(known().as_ref(), &resolved, wishes), None);
}
