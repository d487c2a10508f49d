//! The exposition formats: what is read, what is refused and why, and what no input may do. The cases
//! follow Prometheus 3.8; what it makes of them was asked of its own parsers.

use std::fmt::Write;

use bellwire_ingest::exposition::{Error, Fault, Format, Parser};
use bellwire_model::Timestamp;
use proptest::prelude::*;

/// What a body exposes, each sample as `name{label="value"} value @time`.
fn read(format: Format, body: &[u8]) -> Result<Vec<String>, Error> {
    let mut parser = Parser::new(body, format)?;
    let mut samples = Vec::new();
    while let Some(exposed) = parser.read()? {
        let labels: Vec<String> = parser.labels().map(|(n, v)| format!("{n}={v:?}")).collect();
        let time = exposed.time.map(|time| format!(" @{}", time.as_ms())).unwrap_or_default();
        samples.push(format!("{} {}{time}", labels.join(","), exposed.value));
    }
    Ok(samples)
}

fn fault(format: Format, body: &[u8]) -> Option<Fault> {
    read(format, body).err().map(|error| error.fault)
}

#[test]
fn text_is_read_as_prometheus_reads_it() {
    let cases: [(&str, &[&str]); 40] = [
        ("", &[]),
        ("\n \n\t\n", &[]),
        ("m 1", &["__name__=\"m\" 1"]),
        ("m 1\n", &["__name__=\"m\" 1"]),
        ("m 1 1395066363000\n", &["__name__=\"m\" 1 @1395066363000"]),
        ("m 1\t1 \t\n", &["__name__=\"m\" 1 @1"]),
        (" \t m\t1 ", &["__name__=\"m\" 1"]),
        ("a:b_9 1", &["__name__=\"a:b_9\" 1"]),
        ("m{} 1", &["__name__=\"m\" 1"]),
        ("m{a=\"1\"} 1", &["__name__=\"m\",a=\"1\" 1"]),
        ("m{a=\"1\",b=\"2\",} 1", &["__name__=\"m\",a=\"1\",b=\"2\" 1"]),
        ("m { a = \"1\" , b\t=\"2\" } 1", &["__name__=\"m\",a=\"1\",b=\"2\" 1"]),
        ("m{a=\"1\" b=\"2\"} 1", &["__name__=\"m\",a=\"1\",b=\"2\" 1"]),
        ("m{a=\"1\"}1", &["__name__=\"m\",a=\"1\" 1"]),
        ("m-1", &["__name__=\"m\" -1"]),
        ("m{a=\"\"} 1", &["__name__=\"m\",a=\"\" 1"]),
        ("m{a=\"2\",a=\"1\"} 1", &["__name__=\"m\",a=\"2\",a=\"1\" 1"]),
        (r#"m{a="q\"b\\c\nd\te"} 1"#, &[r#"__name__="m",a="q\"b\\c\nd\\te" 1"#]),
        ("m{a=\"two\nlines\"} 1", &["__name__=\"m\",a=\"two\\nlines\" 1"]),
        ("m{a=\"höhe},{\"} 1", &["__name__=\"m\",a=\"höhe},{\" 1"]),
        ("{\"my.name\"} 1", &["__name__=\"my.name\" 1"]),
        ("{\"my.name\",a=\"1\"} 1", &["__name__=\"my.name\",a=\"1\" 1"]),
        ("{a=\"1\", \"my name\"} 1", &["__name__=\"my name\",a=\"1\" 1"]),
        ("{\"m\\\"ö\",\"label.ö\"=\"1\"} 1", &["__name__=\"m\\\"ö\",label.ö=\"1\" 1"]),
        ("m{\"label.a\"=\"1\"} 1", &["__name__=\"m\",label.a=\"1\" 1"]),
        (
            "m +Inf\nm -inf\nm infinity",
            &["__name__=\"m\" inf", "__name__=\"m\" -inf", "__name__=\"m\" inf"],
        ),
        ("m NaN\nm nan", &["__name__=\"m\" NaN", "__name__=\"m\" NaN"]),
        (
            "m 1.\nm .5\nm +1e3\nm -1E-3",
            &[
                "__name__=\"m\" 1",
                "__name__=\"m\" 0.5",
                "__name__=\"m\" 1000",
                "__name__=\"m\" -0.001",
            ],
        ),
        ("# any thing\n#\n#m 1\n# \nm 1", &["__name__=\"m\" 1"]),
        ("# HELP m some text\n# TYPE m counter\nm 1", &["__name__=\"m\" 1"]),
        ("# HELP m\n#  TYPE\tm gauge\n# HELP\nm 1", &["__name__=\"m\" 1"]),
        ("# HELPm\n# TYPE_ x\n#TYPE m nothing\n# EOF\nm 1", &["__name__=\"m\" 1"]),
        ("# TYPE \"my.name\" untyped\n{\"my.name\"} 1", &["__name__=\"my.name\" 1"]),
        ("# UNIT m seconds\n m 1", &["__name__=\"m\" 1"]),
        // One series twice, and times that go back: who takes them decides.
        ("m 1\nm 2", &["__name__=\"m\" 1", "__name__=\"m\" 2"]),
        ("m 1 2\nm 2 1", &["__name__=\"m\" 1 @2", "__name__=\"m\" 2 @1"]),
        // Bounds are written alike.
        (
            "# TYPE m histogram\nm_bucket{le=\"1\"} 1\nm_bucket{le=\"+Inf\"} 1",
            &["__name__=\"m_bucket\",le=\"1.0\" 1", "__name__=\"m_bucket\",le=\"+Inf\" 1"],
        ),
        (
            "# TYPE m summary\nm{quantile=\"1\",le=\"1\"} 1",
            &["__name__=\"m\",quantile=\"1.0\",le=\"1\" 1"],
        ),
        ("# TYPE m gauge\nm{le=\"1\"} 1", &["__name__=\"m\",le=\"1\" 1"]),
        ("m_created 1e9", &["__name__=\"m_created\" 1000000000"]),
    ];
    for (body, expected) in cases {
        assert_eq!(
            read(Format::Text, body.as_bytes()).as_deref(),
            Ok(&to_owned(expected)[..]),
            "{body}"
        );
    }
    // Exemplars are no part of it.
    assert_eq!(fault(Format::Text, b"m{a=\"1\"} 1 # {x=\"y\"} 1"), Some(Fault::Time));
}

fn to_owned(samples: &[&str]) -> Vec<String> {
    samples.iter().map(|sample| (*sample).to_owned()).collect()
}

#[test]
fn open_metrics_is_read_as_prometheus_reads_it() {
    let cases: [(&str, &[&str]); 21] = [
        ("# EOF", &[]),
        ("# EOF\n", &[]),
        ("m 1\n# EOF\n", &["__name__=\"m\" 1"]),
        ("m 1 1395066363.5\n# EOF\n", &["__name__=\"m\" 1 @1395066363500"]),
        ("m 1 1.0009\n# EOF\n", &["__name__=\"m\" 1 @1000"]),
        ("m 1 -1.5\n# EOF\n", &["__name__=\"m\" 1 @-1500"]),
        ("m{a=\"1\",b=\"2\",} 1\n# EOF\n", &["__name__=\"m\",a=\"1\",b=\"2\" 1"]),
        ("{\"my.name\",a=\"1\"} 1\n# EOF\n", &["__name__=\"my.name\",a=\"1\" 1"]),
        ("m_total 1 # {trace=\"x\"} 0.5\n# EOF\n", &["__name__=\"m_total\" 1"]),
        ("m_total 1 # {} 0.5 1.5\n# EOF\n", &["__name__=\"m_total\" 1"]),
        (
            "m{a=\"1\"} 1 2 # {trace=\"x\",\"b.c\"=\"d\"} 0.5 1\n# EOF\n",
            &["__name__=\"m\",a=\"1\" 1 @2000"],
        ),
        ("m{a=\"# {\"} 1\n# EOF\n", &["__name__=\"m\",a=\"# {\" 1"]),
        ("# HELP m \n# TYPE m counter\nm_total 1\n# EOF\n", &["__name__=\"m_total\" 1"]),
        (
            "# TYPE m counter\nm_total 1\nm_created 1e9\n# EOF\n",
            &["__name__=\"m_total\" 1", "__name__=\"m_created\" 1000000000"],
        ),
        (
            "# TYPE m_seconds gauge\n# UNIT m_seconds seconds\nm_seconds 1\n# EOF\n",
            &["__name__=\"m_seconds\" 1"],
        ),
        ("# UNIT m \nm 1\n# EOF\n", &["__name__=\"m\" 1"]),
        ("# TYPE m unknown\n# TYPE n stateset\n# TYPE o info\n# EOF\n", &[]),
        (
            "# TYPE m gaugehistogram\nm_bucket{le=\"1\"} 1\n# EOF\n",
            &["__name__=\"m_bucket\",le=\"1\" 1"],
        ),
        (
            "# TYPE m histogram\nm_bucket{le=\"1e6\"} 1\n# EOF\n",
            &["__name__=\"m_bucket\",le=\"1e+06\" 1"],
        ),
        ("m NaN\n# EOF\n", &["__name__=\"m\" NaN"]),
        ("m -Inf\n# EOF\n", &["__name__=\"m\" -inf"]),
    ];
    for (body, expected) in cases {
        let read = read(Format::OpenMetrics, body.as_bytes());
        assert_eq!(read.as_deref(), Ok(&to_owned(expected)[..]), "{body}");
    }
}

#[test]
fn one_wrong_line_spoils_the_text() {
    let cases: [(&[u8], Fault); 40] = [
        (b"m", Fault::Value),
        (b"m ", Fault::Value),
        (b"m\n1", Fault::Value),
        (b"m one", Fault::Value),
        (b"m 1_000", Fault::Value),
        (b"m 0x1F", Fault::Value),
        (b"m 1e999", Fault::Value),
        (b"m +nan", Fault::Value),
        (b"m 1\r\n", Fault::Value),
        (b"m{a=\"1\"}{ 1", Fault::Value),
        (b"m 1 1.5", Fault::LineEnd),
        (b"m 1 -1", Fault::Time),
        (b"m 1 x", Fault::Time),
        (b"m 1 99999999999999999999", Fault::Time),
        (b"m 1 1 1", Fault::LineEnd),
        (b"9m 1", Fault::Start),
        (b"-m 1", Fault::Start),
        (b"=", Fault::Start),
        (b"\0", Fault::Start),
        ("ö 1".as_bytes(), Fault::Start),
        (b"{} 1", Fault::NoName),
        (b"{a=\"1\"} 1", Fault::NoName),
        (b"{\"\"} 1", Fault::NoName),
        (b"m{\"n\"} 1", Fault::NameTwice),
        (b"{\"m\",\"n\"} 1", Fault::NameTwice),
        (b"m{", Fault::LabelName),
        (b"m{,} 1", Fault::LabelName),
        (b"m{a=\"1\",,} 1", Fault::LabelName),
        (b"m{9=\"1\"} 1", Fault::LabelName),
        (b"m{a:b=\"1\"} 1", Fault::LabelEquals),
        (b"m{a} 1", Fault::LabelEquals),
        (b"m{a=1} 1", Fault::LabelValue),
        (b"m{a=\"1} 1", Fault::LabelValue),
        (b"m{a=\"1\\", Fault::LabelValue),
        (b"m{a=\"\\\n\"} 1", Fault::LabelValue),
        (b"# HELP 9 text", Fault::MetadataName),
        (b"# TYPE m", Fault::Type),
        (b"# TYPE m unknown", Fault::Type),
        (b"# TYPE m counter ", Fault::Type),
        (b"# \xFF\nm 1", Fault::Utf8),
    ];
    for (body, expected) in cases {
        let words = String::from_utf8_lossy(body);
        assert_eq!(fault(Format::Text, body), Some(expected), "{words}");
        // What stands before it does not count either, whoever looks.
        let behind = [b"good 1\n", body].concat();
        assert_eq!(fault(Format::Text, &behind), Some(expected), "{words}");
    }
    let error =
        read(Format::Text, b"a 1\nb{x=\"two\nlines\"} 1\n  c one\nd 1").expect_err("no value");
    assert_eq!(error.to_string(), "line 4: the value is no number: \"  c one\"");
}

#[test]
fn one_wrong_line_spoils_open_metrics() {
    let cases: [(&str, Fault); 36] = [
        ("", Fault::NoEnd),
        ("m 1\n", Fault::NoEnd),
        ("m 1", Fault::NoEnd),
        ("m 1 2", Fault::NoEnd),
        ("m 1 # {} 1", Fault::NoEnd),
        ("# HELP m text", Fault::NoEnd),
        ("# EOF\n\n", Fault::AfterEnd),
        ("# EOF\nm 1\n", Fault::AfterEnd),
        ("# EOFm", Fault::AfterEnd),
        ("\n# EOF\n", Fault::Start),
        (" m 1\n# EOF\n", Fault::Start),
        ("m  1\n# EOF\n", Fault::Value),
        ("m\t1\n# EOF\n", Fault::Value),
        ("m {a=\"1\"} 1\n# EOF\n", Fault::Value),
        ("m 1 \n# EOF\n", Fault::Time),
        ("m 1 NaN\n# EOF\n", Fault::Time),
        ("m 1 1e999\n# EOF\n", Fault::Time),
        ("m 1 1 1\n# EOF\n", Fault::LineEnd),
        ("m{ a=\"1\"} 1\n# EOF\n", Fault::LabelName),
        ("m{a =\"1\"} 1\n# EOF\n", Fault::LabelEquals),
        ("m{a= \"1\"} 1\n# EOF\n", Fault::LabelValue),
        ("m{a=\"1\"b=\"2\"} 1\n# EOF\n", Fault::Comma),
        ("m{a=\"two\nlines\"} 1\n# EOF\n", Fault::LabelValue),
        ("# a comment\n# EOF\n", Fault::Comment),
        ("#\n# EOF\n", Fault::Comment),
        ("# HELP m\n# EOF\n", Fault::MetadataText),
        ("# TYPE m untyped\n# EOF\n", Fault::Type),
        ("# TYPE m\tcounter\n# EOF\n", Fault::MetadataText),
        ("# TYPE - counter\n# EOF\n", Fault::MetadataName),
        ("# UNIT m seconds\n# EOF\n", Fault::Unit),
        ("# UNIT mseconds seconds\n# EOF\n", Fault::Unit),
        ("m 1 # {\"x\"} 1\n# EOF\n", Fault::NameTwice),
        ("m 1 # {a=\"1\"}\n# EOF\n", Fault::Value),
        ("m 1 # {a=\"1\"} 1 x\n# EOF\n", Fault::Time),
        ("m 1 # {a=\"1\"} 1 1 1\n# EOF\n", Fault::LineEnd),
        ("m 1 # {a=\"1\"} 1 # {a=\"1\"} 1\n# EOF\n", Fault::Time),
    ];
    for (body, expected) in cases {
        assert_eq!(fault(Format::OpenMetrics, body.as_bytes()), Some(expected), "{body}");
    }
}

#[test]
fn the_content_type_says_how_a_body_is_written() {
    let cases = [
        ("text/plain", Some(Format::Text)),
        ("text/plain; version=0.0.4; charset=utf-8", Some(Format::Text)),
        ("Text/PLAIN;version=1.0.0", Some(Format::Text)),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Some(Format::OpenMetrics)),
        ("application/vnd.google.protobuf", None),
        ("text/html", None),
        ("", None),
    ];
    for (content_type, expected) in cases {
        assert_eq!(Format::from_content_type(content_type), expected, "{content_type}");
    }
}

#[test]
fn one_text_is_one_series() {
    let body = b"m{a=\"1\"} 1\nm{a=\"1\"}  2\n m 3\n{\"m\"} 4";
    let mut parser = Parser::new(body, Format::Text).expect("a text");
    let mut texts = Vec::new();
    while let Some(exposed) = parser.read().expect("samples") {
        texts.push((exposed.series, parser.line()));
    }
    assert_eq!(texts, [("m{a=\"1\"}", 1), ("m{a=\"1\"}", 2), ("m", 3), ("{\"m\"}", 4)]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        samples in prop::collection::vec(
            ("[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", "[^\u{0}]{0,8}", any::<f64>(), prop::option::of(0_i64..1 << 40)),
            0..8,
        ),
    ) {
        let escaped = |text: &str| text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        for format in [Format::Text, Format::OpenMetrics] {
            let mut body = String::new();
            for (name, label, value, time) in &samples {
                let time = time.map(|ms| match format {
                    Format::Text => format!(" {ms}"),
                    Format::OpenMetrics => format!(" {}", ms / 1000),
                });
                let value = value.to_string().replace("inf", "Inf");
                let time = time.unwrap_or_default();
                let _ = writeln!(body, "{name}{{a=\"{}\"}} {value}{time}", escaped(label));
            }
            body += "# EOF\n";
            let mut parser = Parser::new(body.as_bytes(), format).expect("UTF-8");
            for (name, label, value, time) in &samples {
                let exposed = parser.read().expect("a sample").expect("as many as were written");
                let labels: Vec<_> = parser.labels().collect();
                prop_assert_eq!(&labels[0].1, name);
                prop_assert_eq!(&labels[1].1, label);
                prop_assert_eq!(exposed.value.is_nan(), value.is_nan());
                prop_assert!(value.is_nan() || exposed.value.to_bits() == value.to_bits());
                let time = time.map(|ms| if format == Format::Text { ms } else { ms / 1000 * 1000 });
                prop_assert_eq!(exposed.time.map(Timestamp::as_ms), time);
            }
            prop_assert_eq!(parser.read(), Ok(None));
            prop_assert_eq!(parser.read(), Ok(None));
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(
        prop::sample::select(b"m{}=\",\\ \n#1.e- HELPTYEOF\xC3\xB6".to_vec()), 0..40,
    )) {
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = read(format, &body);
        }
    }
}
