//! One scrape after the other: what a target's series become, what is stale, and what spoils a scrape.

use std::time::Duration;

use bellwire_ingest::Decoded;
use bellwire_ingest::exposition::Format;
use bellwire_ingest::relabel::{Action, Config, Rule};
use bellwire_ingest::scrape::{
    Conflict, Memory, Report, STALE_MARKER, Scraped, SeriesLimits, Times, Treatment, stale,
};
use bellwire_model::limits::{LABEL_VALUE_BYTES_MAX, SCRAPE_SAMPLES_BYTES_MAX, SCRAPE_SAMPLES_MAX};
use bellwire_model::{Labels, Timestamp};

const NOW_MS: i64 = 1_700_000_000_000;

fn treatment() -> Treatment {
    let target = [("instance", "h:9100"), ("job", "node")];
    Treatment {
        target: Labels::from_pairs(target).expect("labels"),
        conflict: Conflict::TargetWins,
        times: Times::Honored,
        relabel: [].into(),
        limits: SeriesLimits::default(),
    }
}

/// Without labels, so that the cases are short.
fn bare() -> Treatment {
    Treatment { target: Labels::empty(), ..treatment() }
}

/// The samples as `series value@time`, sorted; the time from [`NOW_MS`] on, `stale` for the marker.
fn words(decoded: &Decoded) -> Vec<String> {
    assert_eq!(decoded.lines.len(), decoded.samples.len());
    let word = |sample: &bellwire_model::Sample| {
        let is_stale = sample.value.to_bits() == STALE_MARKER.to_bits();
        let value = if is_stale { "stale".to_owned() } else { sample.value.to_string() };
        format!("{} {value}@{}", sample.series, sample.time.as_ms() - NOW_MS)
    };
    let mut words: Vec<_> = decoded.samples.iter().map(word).collect();
    words.sort();
    words
}

fn take(
    memory: &mut Memory,
    treatment: &Treatment,
    body: &str,
    ms: i64,
) -> Result<Scraped, String> {
    let time = Timestamp::from_ms(NOW_MS + ms);
    let taken = memory.take((body.as_bytes(), Format::Text), treatment, time);
    taken.map_err(|failed| {
        format!("{}: {} {:?}", failed.why.code(), failed.why, words(&failed.scraped.decoded))
    })
}

/// What single scrapes of new targets come to.
fn once(treatment: &Treatment, body: &str) -> Result<Vec<String>, String> {
    take(&mut Memory::default(), treatment, body, 0).map(|scraped| words(&scraped.decoded))
}

#[test]
fn labels_of_the_target_and_of_what_it_exposes_are_put_together() {
    let honoring = Treatment { conflict: Conflict::ExposedWins, ..treatment() };
    let cases = [
        (treatment(), "m 1", r#"m{instance="h:9100",job="node"} 1@0"#),
        (treatment(), "m{job=\"x\"} 1", r#"m{exported_job="x",instance="h:9100",job="node"} 1@0"#),
        (
            treatment(),
            "m{job=\"x\",exported_job=\"y\"} 1",
            r#"m{exported_exported_job="x",exported_job="y",instance="h:9100",job="node"} 1@0"#,
        ),
        (treatment(), "m{job=\"\"} 1", r#"m{instance="h:9100",job="node"} 1@0"#),
        (honoring.clone(), "m{job=\"x\"} 1", r#"m{instance="h:9100",job="x"} 1@0"#),
        // Exposed without a value: there is to be none.
        (honoring, "m{job=\"\"} 1", r#"m{instance="h:9100"} 1@0"#),
    ];
    for (treatment, body, expected) in cases {
        assert_eq!(once(&treatment, body), Ok(vec![expected.to_owned()]), "{body}");
    }
    // As Prometheus' `TestScrapeLoopAppend…LabelsCollision` has it.
    let target = [("foo", "1"), ("exported_foo", "2")];
    let target = Labels::from_pairs(target).expect("labels");
    let both = Treatment { target, ..treatment() };
    let expected = r#"m{exported_exported_exported_foo="3",exported_exported_foo="4",exported_foo="2",foo="1"} 1@0"#;
    let found = once(&both, "m{foo=\"4\",exported_foo=\"3\"} 1");
    assert_eq!(found, Ok(vec![expected.to_owned()]));
}

#[test]
fn a_series_that_is_gone_is_stale_once() {
    let (mut memory, treatment) = (Memory::default(), bare());
    let steps: [(&str, &[&str]); 7] = [
        ("a 1\nb 1\nc 1 1700000000000\n", &["a 1@0", "b 1@0", "c 1@0"]),
        // What has a time of its own is not ended by its absence.
        ("b 2\n", &["a stale@1", "b 2@1"]),
        ("b 3\n", &["b 3@2"]),
        // The same series, written in another way.
        ("b{} 4\n", &["b 4@3"]),
        ("{\"b\"} 5\nb 6\n", &["b 5@4", "b 6@4"]),
        ("b 7\n", &["b 7@5"]),
        ("", &["b stale@6"]),
    ];
    for (step, (body, expected)) in steps.into_iter().enumerate() {
        let scraped = take(&mut memory, &treatment, body, step as i64).expect(body);
        assert_eq!(words(&scraped.decoded), expected, "{step}");
    }
    let tracking = Treatment { times: Times::Tracked, ..bare() };
    let mut memory = Memory::default();
    take(&mut memory, &tracking, "c 1 1700000000000\n", 0).expect("a scrape");
    let scraped = take(&mut memory, &tracking, "", 1).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["c stale@1"]);
    let ignoring = Treatment { times: Times::Ignored, ..bare() };
    assert_eq!(once(&ignoring, "c 1 17\n"), Ok(vec!["c 1@0".to_owned()]));
}

#[test]
fn a_scrape_that_fails_ends_everything_and_a_later_one_begins_anew() {
    let (mut memory, treatment) = (Memory::default(), bare());
    let mut step = |body, ms| take(&mut memory, &treatment, body, ms);
    step("a 1\nb 1\n", 0).expect("a scrape");
    let told = step("a 2\nnew 1\nb one\n", 1).expect_err("no number");
    let expected = "exposition_invalid: line 3: the value is no number: \"b one\" \
                    [\"a stale@1\", \"b stale@1\"]";
    assert_eq!(told, expected);
    // Neither are they stale twice, nor is what was never taken.
    assert!(step("new 1\nb one\n", 2).expect_err("no number").ends_with("[]"));
    let scraped = step("a 3\nnew 1\n", 3).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["a 3@3", "new 1@3"]);
    let scraped = step("a 4\n", 4).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["a 4@4", "new stale@4"]);
    let lost = memory.lose(Timestamp::from_ms(NOW_MS + 5));
    assert_eq!(words(&lost), ["a stale@5"]);
    assert_eq!(words(&memory.lose(Timestamp::from_ms(NOW_MS + 6))), [""; 0]);
}

#[test]
fn what_was_written_by_other_rules_is_stale_where_the_new_ones_do_not_write_it() {
    let mut memory = Memory::default();
    take(&mut memory, &bare(), "a 1\nb 1\n", 0).expect("a scrape");
    memory.forget_texts();
    let drop = Config {
        action: Action::Drop,
        source_labels: Some(vec!["__name__".into()]),
        regex: Some("a".into()),
        ..Config::default()
    };
    let dropping = Treatment { relabel: [Rule::new(drop).expect("a rule")].into(), ..bare() };
    let scraped = take(&mut memory, &dropping, "a 2\nb 2\n", 1).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["a stale@1", "b 2@1"]);
    assert_eq!((scraped.exposed, scraped.kept, scraped.new_series), (2, 1, 1));
    let scraped = take(&mut memory, &dropping, "a 2\nb 2\n", 2).expect("a scrape");
    assert_eq!((scraped.exposed, scraped.kept, scraped.new_series), (2, 1, 0));
}

#[test]
fn markers_that_nobody_took_are_told_again() {
    let mut memory = Memory::default();
    take(&mut memory, &bare(), "a 1\nb 1\n", 0).expect("a scrape");
    let scraped = take(&mut memory, &bare(), "b 2\n", 1).expect("a scrape");
    memory.end_again(Memory::ends_of(&scraped.decoded));
    let scraped = take(&mut memory, &bare(), "b 3\n", 2).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["a stale@2", "b 3@2"]);
    let scraped = take(&mut memory, &bare(), "b 4\n", 3).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["b 4@3"]);
}

#[test]
fn samples_that_cannot_be_taken_are_refused_one_by_one() {
    let long = "x".repeat(LABEL_VALUE_BYTES_MAX + 1);
    let body = format!(
        "a 1\na 2\nb 1 1600000000000\nc 1 1800000000000\nd{{l=\"{long}\"}} 1\nd{{l=\"{long}\"}} 1\ne 1\n"
    );
    let mut memory = Memory::default();
    let scraped = take(&mut memory, &bare(), &body, 0).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["a 1@0", "e 1@0"]);
    let told = scraped.decoded.rejections.iter().map(|told| (told.line, told.code));
    let expected = [
        (2, "sample_duplicate"),
        (3, "timestamp_out_of_range"),
        (4, "timestamp_out_of_range"),
        (5, "label_invalid"),
        (6, "label_invalid"),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert_eq!((scraped.exposed, scraped.kept), (7, 7));
}

#[test]
fn limits_and_labels_that_cannot_be_spoil_a_scrape() {
    let limited = |limits| Treatment { limits, ..bare() };
    let none = SeriesLimits::default();
    let no_name = Config {
        target_label: Some("__name__".into()),
        replacement: Some(String::new()),
        ..Config::default()
    };
    let nameless = Treatment { relabel: [Rule::new(no_name).expect("a rule")].into(), ..bare() };
    let cases = [
        (limited(SeriesLimits { samples: 1, ..none }), "a 1\nb 1\n", "sample_limit: sample_limit"),
        (
            limited(SeriesLimits { labels: 2, ..none }),
            "a{b=\"1\",c=\"1\"} 1",
            "label_limit: line 1",
        ),
        (
            limited(SeriesLimits { label_name_bytes: 9, ..none }),
            "a{bbbbbbbbbb=\"1\"} 1",
            "label_limit",
        ),
        (limited(SeriesLimits { label_value_bytes: 3, ..none }), "a{b=\"1234\"} 1", "label_limit"),
        (bare(), "a{b=\"1\",b=\"2\"} 1", "label_invalid: line 1: the label `b` stands twice"),
        (bare(), "a{__name__=\"x\"} 1", "label_invalid"),
        (nameless, "a{b=\"1\"} 1", "label_invalid: line 1: relabeling leaves no metric name"),
    ];
    for (treatment, body, expected) in cases {
        let told = once(&treatment, body).expect_err(body);
        assert!(told.starts_with(expected), "{told}");
    }
    let enough = limited(SeriesLimits { samples: 2, labels: 3, ..none });
    assert!(once(&enough, "a{b=\"1\",c=\"1\"} 1\nb 1\n").is_ok());
}

#[test]
fn a_scrape_is_reported_in_five_series() {
    let (target, time) = (treatment().target, Timestamp::from_ms(NOW_MS));
    let report = Report {
        is_up: true,
        duration: Duration::from_millis(250),
        exposed: 3,
        kept: 2,
        new_series: 1,
    };
    let values = |samples: Vec<bellwire_model::Sample>| {
        let word = |sample: &bellwire_model::Sample| format!("{} {}", sample.series, sample.value);
        samples.iter().map(word).collect::<Vec<_>>()
    };
    let labels = r#"{instance="h:9100",job="node"}"#;
    let expected = [
        format!("up{labels} 1"),
        format!("scrape_duration_seconds{labels} 0.25"),
        format!("scrape_samples_scraped{labels} 3"),
        format!("scrape_samples_post_metric_relabeling{labels} 2"),
        format!("scrape_series_added{labels} 1"),
    ];
    assert_eq!(values(report.samples(&target, time).expect("labels")), expected);
    let ended = stale(&target, time).expect("labels");
    assert!(ended.iter().all(|sample| sample.value.to_bits() == STALE_MARKER.to_bits()));
    assert_eq!(ended.len(), expected.len());
}

/// Without an end in sight where each label is looked for among all others.
#[test]
fn a_series_of_very_many_labels_is_refused_and_costs_no_other() {
    let labels: Vec<_> = (0..300_000).map(|number| format!("l{number}=\"1\"")).collect();
    let line = format!("many{{{}}} 1\nup 1\n", labels.join(","));
    let scraped = take(&mut Memory::default(), &bare(), &line, 0).expect("a scrape");
    assert_eq!(words(&scraped.decoded), ["up 1@0"]);
    assert_eq!(scraped.decoded.by_code, [("label_invalid", 1)]);
}

#[test]
fn a_scrape_is_bounded_by_what_becomes_of_it() {
    let mut memory = Memory::default();
    assert_eq!(take(&mut memory, &bare(), "a 1", 0).expect("little").kept, 1);
    let many = "a 1\n".repeat(SCRAPE_SAMPLES_MAX + 1);
    let error = take(&mut memory, &bare(), &many, 1).expect_err("too many");
    assert!(
        error.starts_with("too_many_samples: ") && error.ends_with("[\"a stale@1\"]"),
        "{error}"
    );
    assert!(take(&mut memory, &bare(), &many[4..], 2).is_ok());

    // The labels of the target are those of each of its series.
    let value = "x".repeat(LABEL_VALUE_BYTES_MAX);
    let names: Vec<String> = (0..60).map(|n| format!("l{n}")).collect();
    let target = Labels::from_pairs(names.iter().map(|name| (&**name, &*value))).expect("labels");
    let series = SCRAPE_SAMPLES_BYTES_MAX / target.size_bytes() + 2;
    let lines: Vec<String> = (0..series).map(|n| format!("m{n} 1\n")).collect();
    let body = lines.concat();
    let error = take(&mut memory, &Treatment { target, ..bare() }, &body, 3).expect_err("too much");
    assert!(error.starts_with("too_many_samples: "), "{error}");
}
