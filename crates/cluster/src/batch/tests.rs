//! Decoding undoes encoding, and takes any bytes.

use proptest::prelude::*;

use super::*;

const UPTIME: Duration = Duration::from_secs(1_000);
const TIME: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const MADE: ClockReading = ClockReading { wall: TIME, uptime: UPTIME };

fn texts() -> impl Strategy<Value = Option<Box<str>>> {
    prop::option::of("[a-zß]{0,6}".prop_map(String::into_boxed_str))
}

fn bodies() -> impl Strategy<Value = Option<Body>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    let text = "[ -~ß]{0,12}".prop_map(|text| Bytes::from(text.into_bytes()));
    prop_oneof![
        Just(None),
        Just(Some(Body::Json(Bytes::from_static(b"{\"a\":1}")))),
        text.prop_map(|text| Some(Body::Text(text))),
        ("[a-z/]{0,9}", bytes()).prop_map(|(content_type, bytes)| {
            Some(Body::Binary { content_type: content_type.into(), bytes })
        }),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    let at = |is_table: bool, life: u32, number: u64| {
        if is_table {
            KeyVersion::Table { life: Life::new(life), version: Version::new(number) }
        } else {
            KeyVersion::Journal { epoch: Epoch::new(life), offset: Offset::new(number) }
        }
    };
    prop_oneof![
        Just(Condition::Always),
        Just(Condition::Absent),
        (any::<bool>(), 1..u32::MAX, any::<u64>())
            .prop_map(move |(is_table, life, number)| Condition::At(at(is_table, life, number))),
    ]
}

prop_compose! {
    fn appends()(
        topic in prop_oneof![Just("a"), Just("alerts/events/w/A"), Just("$sys/audit"), Just("ort/straße")],
        (key, event_type, idempotency_key) in (texts(), texts(), texts()),
        ms in prop_oneof![any::<i64>(), 1_699_999_999_000..1_700_000_001_000_i64],
        body in bodies(),
        condition in conditions(),
        fence in prop::option::of(("[a-z\n]{0,5}", any::<u64>(), any::<u64>())),
        (is_newest, must_be_made, rides) in any::<(bool, bool, bool)>(),
        left_ms in prop::option::of(0..10_000_000_u64),
        timed_at in any::<u64>(),
    ) -> Append {
        let topic = topic.parse().expect("a topic");
        let fence = fence.map(|(producer, epoch, sequence)| {
            Box::new(Fence { producer: producer.into(), epoch, sequence })
        });
        Append {
            event: Event { topic, key, event_type, time: Timestamp::from_ms(ms), body },
            idempotency_key,
            keep: if is_newest { Keep::Newest } else { Keep::Every },
            condition,
            expires_at: left_ms.map(|ms| UPTIME + Duration::from_millis(ms)),
            timed_at: Offset::new(timed_at),
            fence,
            must_be_made,
            rides,
        }
    }
}

fn changes() -> impl Strategy<Value = RecordChange> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from));
    ("[a-z/]{0,9}", value).prop_map(|(key, value)| RecordChange { key: key.into(), value })
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = prop_oneof![
        prop::collection::vec(appends(), 0..5).prop_map(Item::Appends),
        prop::collection::vec(changes(), 0..5).prop_map(Item::Records),
    ];
    prop::collection::vec(item, 0..5)
}

fn encoded(items: &[Item]) -> Bytes {
    let mut draft = Draft::at(MADE, 0);
    for item in items {
        match item {
            Item::Appends(appends) => draft.put_appends(appends),
            Item::Records(changes) => draft.put_records(changes),
        }
    }
    draft.finish()
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(items in items()) {
        let decoded = decode(&encoded(&items), TIME).expect("it was encoded just now");
        let mut items = items;
        for item in &mut items {
            let Item::Appends(appends) = item else { continue };
            for append in appends {
                append.expires_at = append.expires_at.map(|at| at.saturating_sub(UPTIME));
            }
        }
        // Neither of them has an order of its own, and both show all that they have.
        prop_assert_eq!(format!("{decoded:?}"), format!("{items:?}"));
    }

    #[test]
    fn bytes_that_were_changed_are_read_or_refused(items in items(), at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let mut bytes = encoded(&items).to_vec();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= by;
        }
        let _ = decode(&bytes, TIME);
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..4_u8) {
        bytes.insert(0, kind);
        let _ = decode(&bytes, TIME);
    }

    #[test]
    fn what_ends_too_early_is_refused_or_is_fewer_items(items in items(), at in any::<prop::sample::Index>()) {
        let bytes = encoded(&items);
        if !bytes.is_empty() {
            let cut = decode(&bytes[..at.index(bytes.len())], TIME);
            prop_assert!(cut.is_err() || cut.is_ok_and(|cut| cut.len() < items.len()));
        }
    }
}

#[test]
fn a_keys_time_is_told_from_when_its_batch_was_made() {
    let event = Event {
        topic: "a".parse().expect("a topic"),
        key: Some("k".into()),
        event_type: None,
        time: TIME,
        body: Some(Body::Json(Bytes::from_static(b"1"))),
    };
    for (expires_at_s, expected_s) in [(1_060, 60), (1_000, 0), (10, 0)] {
        let expires_at = Some(Duration::from_secs(expires_at_s));
        let append = Append { expires_at, ..Append::of_state(event.clone(), None) };
        let decoded = decode(&encoded(&[Item::Appends(vec![append])]), TIME);
        let Ok([Item::Appends(appends)]) = decoded.as_deref() else { panic!("{decoded:?}") };
        assert_eq!(appends[0].expires_at, Some(Duration::from_secs(expected_s)));
    }
}

#[test]
fn what_is_not_known_here_is_refused_loudly() {
    let mut flags = vec![KIND_APPENDS, 1];
    put_number(&mut flags, flag::KNOWN + 1);
    flags.extend_from_slice(b"\x01a\x00\x00");
    let mut many = vec![KIND_APPENDS];
    put_number(&mut many, EVENTS_PER_COMMIT_MAX as u64 + 1);
    for (bytes, expected) in [
        (vec![9, 0], "of a kind that is not known"),
        (flags, "with what is not known"),
        (vec![KIND_APPENDS, 1, 0, 1, b'*', 0], "a topic's name"),
        (vec![KIND_RECORDS, 1, 1, b'a', 2], "of another kind"),
        (many, "more events than"),
    ] {
        let error = decode(&bytes, TIME).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
