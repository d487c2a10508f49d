//! Line protocol: what is taken, what is refused and why, and what no input may do.

use bellwire_ingest::line_protocol::{Precision, decode};
use bellwire_model::limits::{
    LABEL_VALUE_BYTES_MAX, LABELS_PER_SERIES_MAX, REJECTIONS_REPORTED_MAX, SAMPLES_PER_REQUEST_MAX,
};
use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
    let pairs = [(METRIC_NAME, name)].into_iter().chain(labels.iter().copied());
    Sample { series: Labels::from_pairs(pairs).expect("labels"), value, time: NOW }
}

#[test]
fn a_line_becomes_a_sample_for_each_field_that_is_a_number() {
    let oslo = [("site", "oslo")];
    let cases: [(&str, Vec<Sample>); 29] = [
        ("temp value=21.5", vec![sample("temp", &[], 21.5)]),
        ("\u{FEFF}temp value=21.5", vec![sample("temp", &[], 21.5)]),
        ("temp,site=oslo value=21.5", vec![sample("temp", &oslo, 21.5)]),
        (
            "weather,site=oslo temp=1,wind=2",
            vec![sample("weather_temp", &oslo, 1.0), sample("weather_wind", &oslo, 2.0)],
        ),
        ("m,b=2,a=1 value=1", vec![sample("m", &[("a", "1"), ("b", "2")], 1.0)]),
        ("m value=-12i", vec![sample("m", &[], -12.0)]),
        ("m value=18446744073709551615u", vec![sample("m", &[], 18_446_744_073_709_551_615.0)]),
        ("m value=-1.234456e+78", vec![sample("m", &[], -1.234_456e78)]),
        ("m value=1.E+2", vec![sample("m", &[], 100.0)]),
        ("m value=.5", vec![sample("m", &[], 0.5)]),
        (
            "m a=t,b=T,c=true,d=True,e=TRUE",
            ["a", "b", "c", "d", "e"].map(|field| sample(&format!("m_{field}"), &[], 1.0)).to_vec(),
        ),
        (
            "m a=f,b=F,c=false,d=False,e=FALSE",
            ["a", "b", "c", "d", "e"].map(|field| sample(&format!("m_{field}"), &[], 0.0)).to_vec(),
        ),
        ("m text=\"a\"", vec![]),
        ("m text=\"\",value=1", vec![sample("m", &[], 1.0)]),
        ("m text=\"a,b=1 \\\"c\\\" \\\\\",value=1", vec![sample("m", &[], 1.0)]),
        ("m text=\"two\nlines\",value=1", vec![sample("m", &[], 1.0)]),
        ("m text=\"a\" 1700000000000000000", vec![]),
        (r"m,a\,b=c\ d\=e\,f value=1", vec![sample("m", &[("a_b", "c d=e,f")], 1.0)]),
        (r"m\ n\,o fi\=eld=1", vec![sample("m_n_o_fi_eld", &[], 1.0)]),
        (r"m,path=C:\dir\x value=1", vec![sample("m", &[("path", r"C:\dir\x")], 1.0)]),
        ("m,k=höhe° value=1", vec![sample("m", &[("k", "höhe°")], 1.0)]),
        ("höhe,größe=1 value=1", vec![sample("h_he", &[("gr__e", "1")], 1.0)]),
        ("9.m,1a=x 2f=1", vec![sample("_9_m_2f", &[("_1a", "x")], 1.0)]),
        ("a:b value=1", vec![sample("a:b", &[], 1.0)]),
        ("m,a=\"quoted\" value=1", vec![sample("m", &[("a", "\"quoted\"")], 1.0)]),
        ("\n# m value=1\n  m value=1  \r\n\n", vec![sample("m", &[], 1.0)]),
        ("m value=1\r\nm value=2\r\n", vec![sample("m", &[], 1.0), sample("m", &[], 2.0)]),
        ("m  value=1   1700000000000000000  ", vec![sample("m", &[], 1.0)]),
        ("", vec![]),
    ];
    for (body, expected) in cases {
        let decoded = decode(body.as_bytes(), Precision::default(), NOW);
        assert_eq!(decoded.rejections, [], "{body}");
        assert_eq!(decoded.samples, expected, "{body}");
    }
}

#[test]
fn each_wrong_line_is_one_rejection_and_its_neighbours_stand() {
    let cases: [(&[u8], &str); 38] = [
        (b"m", "line_invalid"),
        (b"m ", "line_invalid"),
        (b"m,a=1", "line_invalid"),
        (b"m,a=1 ", "line_invalid"),
        (b",a=1 value=1", "line_invalid"),
        (b"m, value=1", "line_invalid"),
        (b"m,a value=1", "line_invalid"),
        (b"m,a= value=1", "line_invalid"),
        (b"m,=1 value=1", "line_invalid"),
        (b"m,a=b=c value=1", "line_invalid"),
        (b"m,a=1,,b=2 value=1", "line_invalid"),
        // A backslash and an escaped space: the tag goes on, and there are no fields.
        (b"m,a=\\\\ value=1", "line_invalid"),
        (b"m value", "line_invalid"),
        (b"m =1", "line_invalid"),
        (b"m value=1,", "line_invalid"),
        (b"m value=1,,x=2", "line_invalid"),
        (b"m value=1, x=2", "line_invalid"),
        (b"m value=\"a\"b", "line_invalid"),
        (b"m a=1 b=2 3", "line_invalid"),
        (b"m value=1 1700000000000000000 x", "line_invalid"),
        (b"m value=", "field_invalid"),
        (b"m value=one", "field_invalid"),
        (b"m value=1.5i", "field_invalid"),
        (b"m value=-1u", "field_invalid"),
        (b"m value=9223372036854775808i", "field_invalid"),
        (b"m value=tRUE", "field_invalid"),
        (b"m value=0x10", "field_invalid"),
        (b"m value=NaN", "value_not_finite"),
        (b"m value=-inf", "value_not_finite"),
        (b"m value=1e999", "value_not_finite"),
        (b"m good=1,value=1e999", "value_not_finite"),
        (b"m value=1 now", "timestamp_invalid"),
        (b"m value=1 1.5", "timestamp_invalid"),
        (b"m value=1 1700000000000", "timestamp_out_of_range"),
        (b"m value=1 9223372036854775807", "timestamp_out_of_range"),
        (b"m,a.b=1,a-b=2 value=1", "label_invalid"),
        (b"m,__name__=x value=1", "label_invalid"),
        (b"m,a=\xFF value=1", "utf8_invalid"),
    ];
    for (line, code) in cases {
        let body = [b"good value=1\n\n", line, b"\ngood value=2"].concat();
        let decoded = decode(&body, Precision::default(), NOW);
        let found = decoded.rejections.iter().map(|r| (r.line, r.code)).collect::<Vec<_>>();
        let line = String::from_utf8_lossy(line);
        assert_eq!(found, [(3, code)], "{line}: {:?}", decoded.rejections);
        assert_eq!(decoded.samples.len(), 2, "{line}");
    }
}

#[test]
fn a_string_without_an_end_costs_its_line() {
    let decoded = decode(b"m text=\"open\nm value=1\n", Precision::default(), NOW);
    assert_eq!((decoded.rejections[0].line, decoded.samples.len()), (1, 1));
}

#[test]
fn what_lies_in_a_string_is_never_a_line() {
    let lines: [&[u8]; 9] = [
        b"m text=\"a\nforged value=1\n\",x=one",
        b"m x=one,text=\"a\nforged value=1\n\"",
        b"m x=1e999,text=\"a\nforged value=1\n\"",
        b"m,a text=\"a\nforged value=1\n\"",
        b"m,a=b=c text=\"a\nforged value=1\n\"",
        b"m x,text=\"a\nforged value=1\n\"",
        b"m x=1 17 text=\"a \\\"b\\\"\nforged value=1\n\"",
        b"m text=\"a\nforged value=1\n\xFF\"",
        b"m,a=\xFF text=\"a\nforged value=1\n\"",
    ];
    for line in lines {
        let decoded = decode(&[line, b"\ngood value=1"].concat(), Precision::default(), NOW);
        let line = String::from_utf8_lossy(line);
        assert_eq!(decoded.samples, [sample("good", &[], 1.0)], "{line}");
        assert_eq!((decoded.rejected, decoded.rejections[0].line), (1, 1), "{line}");
    }
}

#[test]
fn tags_count_for_each_field_in_what_a_body_may_come_to() {
    let value = "v".repeat(LABEL_VALUE_BYTES_MAX);
    let tags: Vec<String> =
        (1..LABELS_PER_SERIES_MAX).map(|tag| format!("t{tag}={value}")).collect();
    let tags = tags.join(",");
    let line = |fields: usize| {
        let fields: Vec<String> = (0..fields).map(|field| format!("f{field}=1")).collect();
        format!("m,{tags} {}\n", fields.join(","))
    };
    let body = line(10) + &line(300) + "m value=1\n";
    let decoded = decode(body.as_bytes(), Precision::default(), NOW);
    assert_eq!(decoded.samples.len(), 11);
    let rejections = decoded.rejections.iter().map(|rejection| (rejection.line, rejection.code));
    assert_eq!(rejections.collect::<Vec<_>>(), [(2, "too_many_samples")]);
}

#[test]
fn lines_are_counted_across_strings_and_wrong_bytes() {
    let body = b"m text=\"a\nb\"\n\xFF\nm value=1\nx\n\xFE";
    let decoded = decode(body, Precision::default(), NOW);
    let lines = decoded.rejections.iter().map(|r| (r.line, r.code)).collect::<Vec<_>>();
    assert_eq!(lines, [(3, "utf8_invalid"), (5, "line_invalid"), (6, "utf8_invalid")]);
    assert_eq!(decoded.samples.len(), 1);
}

#[test]
fn the_precision_is_the_unit_of_timestamps() {
    let cases = [
        ("ns", "1699999999999999999", 1_699_999_999_999),
        ("n", "1700000000000000000", 1_700_000_000_000),
        ("us", "1699999999999001", 1_699_999_999_999),
        ("u", "1700000000000000", 1_700_000_000_000),
        ("ms", "1700000000001", 1_700_000_000_001),
        ("s", "1700000001", 1_700_000_001_000),
        ("m", "28333333", 1_699_999_980_000),
        ("h", "472222", 1_699_999_200_000),
    ];
    for (precision, timestamp, ms) in cases {
        let body = format!("m value=1 {timestamp}");
        let decoded = decode(body.as_bytes(), precision.parse().expect(precision), NOW);
        assert_eq!(decoded.samples[0].time.as_ms(), ms, "{precision}");
    }
    for text in ["", "NS", "d", "sec"] {
        assert!(text.parse::<Precision>().is_err(), "{text}");
    }
    let decoded = decode(b"m value=1 9223372036854775807", Precision::Hours, NOW);
    assert_eq!(decoded.rejections[0].code, "timestamp_out_of_range");
}

#[test]
fn lines_beyond_the_bound_are_rejected_and_counted() {
    let over = REJECTIONS_REPORTED_MAX + 5;
    let body = "m value=1\n".repeat(SAMPLES_PER_REQUEST_MAX + over);
    let decoded = decode(body.as_bytes(), Precision::default(), NOW);
    assert_eq!(decoded.samples.len(), SAMPLES_PER_REQUEST_MAX);
    assert_eq!((decoded.rejected, decoded.rejections.len()), (over, REJECTIONS_REPORTED_MAX));
    assert_eq!(decoded.rejections[0].code, "too_many_samples");
    assert_eq!(decoded.rejections[0].line, SAMPLES_PER_REQUEST_MAX + 1);
}

/// As clients write it.
fn escaped(text: &str) -> String {
    text.replace(',', "\\,").replace('=', "\\=").replace(' ', "\\ ")
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        measurement in "[a-zA-Z_:][a-zA-Z0-9_:]{0,12}",
        tags in proptest::collection::btree_map("[a-zA-Z][a-zA-Z0-9]{0,8}", "[\\PC&&[^\\\\]]{1,8}", 0..5),
        fields in proptest::collection::btree_map("[a-z]{1,8}", proptest::num::f64::NORMAL, 1..5),
        text in "[\\PC\n]{0,12}",
        age_ms in 0_i64..80_000_000,
    ) {
        let time = NOW.as_ms() - age_ms;
        let tag_list = tags.iter().map(|(name, value)| format!(",{name}={}", escaped(value)));
        let tag_list = tag_list.collect::<Vec<_>>().concat();
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        let field_list = fields.iter().map(|(name, value)| format!(",{name}={value:e}"));
        let field_list = field_list.collect::<Vec<_>>().concat();
        let nanoseconds = time * 1_000_000 + 999_999;
        let line =
            format!("{measurement}{tag_list} text1=\"{text}\"{field_list} {nanoseconds}");
        let tags: Vec<_> = tags.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected: Vec<_> = fields.iter().map(|(field, value)| {
            let name = if field == "value" { measurement.clone() } else { format!("{measurement}_{field}") };
            Sample { time: Timestamp::from_ms(time), ..sample(&name, &tags, *value) }
        }).collect();
        let decoded = decode(line.as_bytes(), Precision::default(), NOW);
        prop_assert_eq!(decoded.rejections, [], "{}", line);
        prop_assert_eq!(decoded.samples, expected);
    }

    /// Whoever writes into a string of a sensor's must not be able to write samples, whatever else
    /// the line says.
    #[test]
    fn no_line_that_is_wrong_shows_what_lies_in_its_strings(
        before in "[ma,=1e. ]{0,20}",
        text in "[a\n,= #]{0,12}",
        after in "[a,=1 ]{0,12}",
        wrong_byte in proptest::sample::select(vec!["", "head", "text"]),
    ) {
        let wrong = |place| if place == wrong_byte { &b"\xFF"[..] } else { b"" };
        let (head, forged) = (format!("m{before}"), format!("\n{text}\nforged value=1\n"));
        let line = [head.as_bytes(), wrong("head"), b" f=1,s=\"", forged.as_bytes(), wrong("text")];
        let line = [&line.concat()[..], b"\"", after.as_bytes()].concat();
        let decoded = decode(&[&line[..], b"\ngood value=1"].concat(), Precision::default(), NOW);
        let names: Vec<_> = decoded.samples.iter().map(|it| it.series.metric_name()).collect();
        let line = String::from_utf8_lossy(&line);
        prop_assert!(!names.contains(&Some("forged")), "{line}");
        prop_assert_eq!(names.last(), Some(&Some("good")), "{}", line);
    }

    #[test]
    fn no_bytes_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[mt=,\\\\\" #\r\n1.5iue°\\-]{0,120}",
    ) {
        decode(&bytes, Precision::default(), NOW);
        let decoded = decode(text.as_bytes(), Precision::Seconds, NOW);
        let lines = text.matches('\n').count() + 1;
        prop_assert!(decoded.rejections.iter().all(|rejection| rejection.line <= lines));
        prop_assert!(decoded.rejected <= lines);
    }
}
