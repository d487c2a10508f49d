//! Prometheus' remote write: what is taken of both versions, what is refused and why, and what no
//! bytes may do.

mod messages;

use bellwire_ingest::Decoded;
use bellwire_ingest::remote_write::{EXEMPLAR_UNSUPPORTED, HISTOGRAM_UNSUPPORTED, Version, decode};
use bellwire_model::limits::{
    LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX, REJECTIONS_REPORTED_MAX,
    SAMPLES_PER_REQUEST_BYTES_MAX, SAMPLES_PER_REQUEST_MAX,
};
use bellwire_model::{Labels, Sample, Timestamp};
use proptest::prelude::*;

use self::messages::{Series, bytes_field, series, v1, v2};

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fn both(all: &[Series], check: impl Fn(&str, Decoded)) {
    check("1.0", decode(Version::V1, &v1(all), NOW).expect("a message"));
    check("2.0", decode(Version::V2, &v2(all), NOW).expect("a message"));
}

fn bits(samples: &[Sample]) -> Vec<(String, u64, i64)> {
    let bits = |it: &Sample| (it.series.to_string(), it.value.to_bits(), it.time.as_ms());
    samples.iter().map(bits).collect()
}

#[test]
fn samples_are_taken_with_their_values_bit_by_bit() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let values = [1.5, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, stale, f64::MIN_POSITIVE];
    let of_a: Vec<_> = (0..).zip(values).map(|(ms, value)| (value, NOW.as_ms() + ms)).collect();
    let all = [
        series(&[("__name__", "up"), ("job", "a"), ("empty", "")], &of_a),
        series(&[("job", "b"), ("__name__", "höhe über.alles")], &[(2.0, NOW.as_ms() - 5)]),
        series(&[("__name__", "nothing")], &[]),
    ];
    let expected: Vec<_> = of_a
        .iter()
        .map(|(value, ms)| ("up{job=\"a\"}".to_owned(), value.to_bits(), *ms))
        .chain([("höhe über.alles{job=\"b\"}".to_owned(), 2f64.to_bits(), NOW.as_ms() - 5)])
        .collect();
    both(&all, |version, decoded| {
        assert_eq!(bits(&decoded.samples), expected, "{version}");
        assert_eq!(decoded.lines, [1, 1, 1, 1, 1, 1, 1, 2], "{version}");
        assert_eq!((decoded.rejected, decoded.rejections), (0, vec![]), "{version}");
    });
}

#[test]
fn each_wrong_series_is_refused_by_itself_and_named() {
    let now = NOW.as_ms();
    let long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
    let many: Vec<_> = (0..LABELS_PER_SERIES_MAX).map(|number| format!("l{number}")).collect();
    let many: Vec<_> =
        many.iter().map(|name| (name.as_str(), "1")).chain([("__name__", "t")]).collect();
    let wrong: [(Series, &str); 8] = [
        (series(&[("job", "a")], &[(1.0, now)]), "name_missing"),
        (series(&[], &[(1.0, now)]), "name_missing"),
        (series(&[("__name__", "")], &[(1.0, now)]), "name_invalid"),
        (series(&[("__name__", "t"), ("a", "1"), ("a", "2")], &[(1.0, now)]), "label_invalid"),
        (series(&[("__name__", "t"), ("", "1")], &[(1.0, now)]), "label_invalid"),
        (series(&[("__name__", "t"), ("a", &long)], &[(1.0, now)]), "label_invalid"),
        (series(&many, &[(1.0, now)]), "label_invalid"),
        (series(&[("__name__", "t")], &[(1.0, 1)]), "timestamp_out_of_range"),
    ];
    let right = series(&[("__name__", "up")], &[(1.0, now)]);
    for (wrong, code) in wrong {
        let twice = Series { samples: [&wrong.samples[..], &wrong.samples[..]].concat(), ..wrong };
        both(&[right.clone(), twice, right.clone()], |version, decoded| {
            let found = decoded.rejections.iter().map(|one| (one.line, one.code));
            let mut found: Vec<_> = found.collect();
            found.dedup();
            assert_eq!(found, [(2, code)], "{version}: {:?}", decoded.rejections);
            assert_eq!((decoded.rejected, decoded.count_of(code)), (2, 2), "{version}");
            assert_eq!(decoded.lines, [1, 3], "{version}");
        });
    }
}

#[test]
fn histograms_and_exemplars_are_counted_with_their_series() {
    let histogram = Series {
        histograms: 3,
        exemplars: 2,
        ..series(&[("__name__", "latency"), ("job", "a")], &[])
    };
    both(&[histogram], |version, decoded| {
        assert_eq!(decoded.samples, [], "{version}");
        let by_code = [(HISTOGRAM_UNSUPPORTED, 3), (EXEMPLAR_UNSUPPORTED, 2)];
        assert_eq!(decoded.by_code, by_code, "{version}");
        assert_eq!(decoded.rejected, 5, "{version}");
        assert_eq!(&*decoded.rejections[0].excerpt, "latency{job=\"a\"}", "{version}");
    });
}

#[test]
fn what_is_too_much_is_refused_and_no_table_of_texts_makes_it_more() {
    let now = NOW.as_ms();
    let over = 7;
    let samples = vec![(1.0, now); SAMPLES_PER_REQUEST_MAX + over];
    both(&[series(&[("__name__", "t")], &samples)], |version, decoded| {
        assert_eq!(decoded.samples.len(), SAMPLES_PER_REQUEST_MAX, "{version}");
        assert_eq!(decoded.by_code, [("too_many_samples", over)], "{version}");
    });
    // Of few bytes each, and of many once the texts are put in.
    let value = "v".repeat(LABEL_VALUE_BYTES_MAX);
    let names: Vec<_> = (0..40).map(|number| format!("l{number}")).collect();
    let labels: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let labels = [&[("__name__", "t")][..], &labels].concat();
    let all = vec![series(&labels, &[(1.0, now)]); 1_000];
    let decoded = decode(Version::V2, &v2(&all), NOW).expect("a message");
    let bytes: usize = decoded.samples.iter().map(|it| it.series.size_bytes()).sum();
    assert!(bytes <= SAMPLES_PER_REQUEST_BYTES_MAX, "{bytes}");
    assert!(decoded.samples.len() > 100 && decoded.rejected > 100, "{}", decoded.rejected);
    assert_eq!(decoded.rejections.len(), REJECTIONS_REPORTED_MAX);
}

/// Names as long as they may be, so that a series is told in few bytes and has very many.
fn long_series(labels: usize) -> Series {
    let value = "v".repeat(LABEL_VALUE_BYTES_MAX);
    let mut series = series(&[("__name__", "t")], &[]);
    series.labels.extend((0..labels).map(|number| (format!("l{number}"), value.clone())));
    series
}

#[test]
fn refused_series_count_as_much_as_those_that_are_taken() {
    let mut wrong = long_series(LABELS_PER_SERIES_MAX - 1);
    wrong.labels.push((String::new(), "v".into()));
    wrong.samples.push((1.0, NOW.as_ms()));
    let bytes = (LABELS_PER_SERIES_MAX - 1) * LABEL_VALUE_BYTES_MAX;
    let many = vec![wrong; SAMPLES_PER_REQUEST_BYTES_MAX / bytes + 2];
    let body = v2(&many);
    assert!(body.len() < SAMPLES_PER_REQUEST_BYTES_MAX / 100, "{}", body.len());
    let decoded = decode(Version::V2, &body, NOW).expect("a message");
    let codes: Vec<_> = decoded.by_code.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["label_invalid", "too_many_samples"]);
    assert_eq!(decoded.rejected, many.len());
}

/// Without an end in sight where the series is written out for each of its samples.
#[test]
fn only_the_rejections_that_are_told_are_written_out() {
    let mut late = long_series(LABELS_PER_SERIES_MAX - 1);
    late.samples = vec![(1.0, 0); SAMPLES_PER_REQUEST_MAX];
    let decoded = decode(Version::V2, &v2(&[late]), NOW).expect("a message");
    assert_eq!(decoded.by_code, [("timestamp_out_of_range", SAMPLES_PER_REQUEST_MAX)]);
    assert!(decoded.rejections.iter().all(|rejection| rejection.excerpt.starts_with("t{")));
}

#[test]
fn a_series_of_very_many_labels_is_refused_without_any_of_them() {
    let names: Vec<_> = (0..1_000).map(|number| format!("l{number}")).collect();
    let labels: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let labels = [&[("__name__", "t")][..], &labels].concat();
    let right = series(&[("__name__", "up")], &[(1.0, NOW.as_ms())]);
    let all = [series(&labels, &[(1.0, NOW.as_ms()); 2]), right];
    both(&all, |version, decoded| {
        assert_eq!(decoded.by_code, [("label_invalid", 2)], "{version}");
        assert!(decoded.rejections[0].detail.contains("at most 64 labels"), "{version}");
        assert_eq!(decoded.lines, [2], "{version}");
    });
}

#[test]
fn the_other_versions_message_is_refused_and_not_taken_for_an_empty_one() {
    let all = [series(&[("__name__", "up")], &[(1.0, NOW.as_ms())])];
    for (message, body) in [(Version::V2, v1(&all)), (Version::V1, v2(&all))] {
        let error = decode(message, &body, NOW).expect_err("the other one");
        assert!(error.to_string().contains("the fields of the other version"), "{error}");
    }
}

#[test]
fn references_to_texts_that_are_not_there_cost_their_series_alone() {
    // The texts `__name__` and `up` behind the empty one; series of odd, of far and of right places.
    let sample = bytes_field(
        2,
        &[messages::double_field(1, 1.0), messages::varint_field(2, NOW.as_ms().cast_unsigned())]
            .concat(),
    );
    let mut body = Vec::new();
    for places in [&[1_u8][..], &[1, 9], &[1, 2]] {
        let series = [bytes_field(1, places), sample.clone()].concat();
        body.extend(bytes_field(5, &series));
    }
    for text in ["", "__name__", "up"] {
        body.extend(bytes_field(4, text.as_bytes()));
    }
    let decoded = decode(Version::V2, &body, NOW).expect("a message");
    assert_eq!(decoded.by_code, [("label_invalid", 2)]);
    assert_eq!(bits(&decoded.samples), [("up".to_owned(), 1f64.to_bits(), NOW.as_ms())]);
}

#[test]
fn a_broken_message_is_refused_whole() {
    let all = [series(&[("__name__", "up"), ("a", "b")], &[(1.0, NOW.as_ms())])];
    for (message, body) in [(Version::V1, v1(&all)), (Version::V2, v2(&all))] {
        assert_eq!(decode(message, b"", NOW).expect("nothing is a message").samples, []);
        assert!(decode(message, &body[..body.len() - 1], NOW).is_err());
        let (text, broken) = (b"up", b"\xff\xff");
        let at = body.windows(2).position(|two| two == text).expect("the name");
        let mut body = body.clone();
        body[at..at + 2].copy_from_slice(broken);
        let error = decode(message, &body, NOW).expect_err("no text");
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
}

fn any_series() -> impl Strategy<Value = Series> {
    let label = (prop_oneof![Just("__name__".to_owned()), "[a-c]{0,2}"], "\\PC{0,6}");
    let sample = (any::<f64>(), -100_000_i64..100_000);
    let sample = sample.prop_map(|(value, ms)| (value, NOW.as_ms() + ms));
    (
        prop::collection::vec(label, 0..6),
        prop::collection::vec(sample, 0..4),
        0..3_usize,
        0..3_usize,
    )
        .prop_map(|(labels, samples, histograms, exemplars)| Series {
            labels,
            samples,
            histograms,
            exemplars,
        })
}

proptest! {
    #[test]
    fn both_versions_say_the_same(all in prop::collection::vec(any_series(), 0..12)) {
        let one = decode(Version::V1, &v1(&all), NOW).expect("a message");
        let two = decode(Version::V2, &v2(&all), NOW).expect("a message");
        prop_assert_eq!(bits(&one.samples), bits(&two.samples));
        prop_assert_eq!((&one.lines, &one.by_code), (&two.lines, &two.by_code));
        // Nothing is lost: each sample is taken or counted as refused.
        let sent: usize = all.iter().map(|it| it.samples.len() + it.histograms + it.exemplars).sum();
        prop_assert_eq!(one.samples.len() + one.rejected, sent);
        prop_assert!(one.rejections.iter().all(|it| (1..=all.len()).contains(&it.line)));
        // What is right is taken as it is.
        for (number, series) in (1..).zip(&all) {
            let pairs = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let names = series.labels.iter().filter(|(name, _)| name == "__name__");
            let has_name = names.clone().next().is_some_and(|(_, value)| {
                Sample::check_name(value).is_ok()
            });
            if let (Ok(labels), true) = (Labels::from_pairs(pairs), has_name) {
                let of_series = one.samples.iter().zip(&one.lines).filter(|(_, line)| **line == number);
                let taken: Vec<_> = of_series.map(|(it, _)| it.clone()).collect();
                let expected: Vec<_> = series.samples.iter().map(|(value, ms)| {
                    (labels.to_string(), value.to_bits(), *ms)
                }).collect();
                prop_assert_eq!(bits(&taken), expected);
            }
        }
    }

    #[test]
    fn no_bytes_do_harm(
        all in prop::collection::vec(any_series(), 0..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        for (message, mut body) in [(Version::V1, v1(&all)), (Version::V2, v2(&all))] {
            for (place, byte) in &changes {
                if !body.is_empty() {
                    let place = place.index(body.len());
                    body[place] = *byte;
                }
            }
            for body in [&body, &noise] {
                if let Ok(decoded) = decode(message, body, NOW) {
                    prop_assert_eq!(decoded.samples.len(), decoded.lines.len());
                }
            }
        }
    }
}
