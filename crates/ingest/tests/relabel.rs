//! Relabeling: each action by a table, after the cases of Prometheus' `model/relabel/relabel_test.go`
//! (version 3.8), and what a configuration may not say.

use bellwire_ingest::relabel::{Action, Config, Error, LabelSet, Rule, Verdict, apply};
use proptest::prelude::*;

type Pairs = &'static [(&'static str, &'static str)];

fn rule(action: Action, parts: &[(&str, &str)]) -> Config {
    let mut config = Config { action, ..Config::default() };
    for (key, value) in parts {
        let text = Some((*value).to_owned());
        match *key {
            "from" => {
                config.source_labels = Some(value.split(',').map(str::to_owned).collect());
            }
            "separator" => config.separator = text,
            "regex" => config.regex = text,
            "modulus" => config.modulus = value.parse().ok(),
            "to" => config.target_label = text,
            "by" => config.replacement = text,
            _ => panic!("{key}"),
        }
    }
    config
}

fn replace(from: &str, regex: &str, to: &str, by: &str) -> Config {
    rule(Action::Replace, &[("from", from), ("regex", regex), ("to", to), ("by", by)])
}

/// The labels that are left, sorted; nothing where they are dropped.
fn applied(input: Pairs, configs: Vec<Config>) -> Option<Vec<(String, String)>> {
    let rules: Vec<Rule> = configs.into_iter().map(|c| Rule::new(c).expect("a rule")).collect();
    let mut labels = LabelSet::new(input.iter().copied());
    let verdict = apply(&rules, &mut labels);
    let mut left: Vec<_> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    left.sort();
    (verdict == Verdict::Kept).then_some(left)
}

fn check(input: Pairs, configs: Vec<Config>, expected: Option<Pairs>) {
    let words = format!("{input:?} {configs:?}");
    let expected = expected.map(|pairs| {
        let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        pairs.collect::<Vec<_>>()
    });
    assert_eq!(applied(input, configs), expected, "{words}");
}

const ABC: Pairs = &[("a", "foo"), ("b", "bar"), ("c", "baz")];
const A: Pairs = &[("a", "foo")];
const DASHED: Pairs = &[("a", "some-name-value")];
const TAGS: Pairs = &[("__meta_sd_tags", "path:/secret,job:some-job,label:foo=bar")];

#[test]
fn replace_sets_a_label_where_the_expression_matches_all_of_the_source() {
    let cases: Vec<(Pairs, Vec<Config>, Pairs)> = vec![
        (
            ABC,
            vec![replace("a", "f(.*)", "d", "ch${1}-ch${1}")],
            &[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")],
        ),
        (
            ABC,
            vec![
                replace("a,b", "f(.*);(.*)r", "a", "b${1}${2}m"),
                replace("c,a", "(b).*b(.*)ba(.*)", "d", "$1$2$2$3"),
            ],
            &[("a", "boobam"), ("b", "bar"), ("c", "baz"), ("d", "boooom")],
        ),
        (&[("a", "abc")], vec![replace("a", ".*(b).*", "d", "$1")], &[("a", "abc"), ("d", "b")]),
        (&[("a", "boo")], vec![replace("a", "f", "b", "bar")], &[("a", "boo")]),
        // Both are templates.
        (
            DASHED,
            vec![replace("a", "some-([^-]+)-([^,]+)", "${1}", "${2}")],
            &[("a", "some-name-value"), ("name", "value")],
        ),
        // An empty value takes the label away, an empty name does nothing.
        (DASHED, vec![replace("a", "some-([^-]+)-([^,]+)", "a", "${3}")], &[]),
        (DASHED, vec![replace("a", "some-([^-]+)-([^,]+)", "${3}", "${1}")], DASHED),
        (DASHED, vec![replace("a", "some-([^-]+)(-[^,]+)", "${nope}", "${1}")], DASHED),
        // Names are any UTF-8.
        (
            DASHED,
            vec![replace("a", "some-([^-]+)-([^,]+)", "-${1}.ö", "${1}")],
            &[("-name.ö", "name"), ("a", "some-name-value")],
        ),
        (
            TAGS,
            vec![
                replace("__meta_sd_tags", "(?:.+,|^)path:(/[^,]+).*", "__metrics_path__", "${1}"),
                replace("__meta_sd_tags", "(?:.+,|^)job:([^,]+).*", "job", "${1}"),
                replace("__meta_sd_tags", "(?:.+,|^)label:([^=]+)=([^,]+).*", "${1}", "${2}"),
            ],
            &[
                ("__meta_sd_tags", "path:/secret,job:some-job,label:foo=bar"),
                ("__metrics_path__", "/secret"),
                ("foo", "bar"),
                ("job", "some-job"),
            ],
        ),
        // Without a source: a label for everybody.
        (A, vec![rule(Action::Replace, &[("to", "b"), ("by", "x")])], &[("a", "foo"), ("b", "x")]),
        (
            ABC,
            vec![rule(Action::Replace, &[("to", "b"), ("by", "")])],
            &[("a", "foo"), ("c", "baz")],
        ),
        // The point is any character, a line break too.
        (
            &[("a", "foo\nbar")],
            vec![replace("a", "foo.(.*)", "b", "$1")],
            &[("a", "foo\nbar"), ("b", "bar")],
        ),
        // A label that is missing is empty.
        (
            A,
            vec![rule(Action::Replace, &[("from", "a,no,a"), ("separator", "-"), ("to", "b")])],
            &[("a", "foo"), ("b", "foo--foo")],
        ),
    ];
    for (input, configs, expected) in cases {
        check(input, configs, Some(expected));
    }
}

#[test]
fn keep_and_drop_go_by_the_expression_or_by_equality() {
    let ports: Pairs = &[("__port1", "1234"), ("__port2", "5678"), ("__tmp_port", "1234")];
    let by = |action, regex| vec![rule(action, &[("from", "a"), ("regex", regex)])];
    let equal = |action, to| vec![rule(action, &[("from", "__tmp_port"), ("to", to)])];
    let cases: Vec<(Pairs, Vec<Config>, bool)> = vec![
        (A, by(Action::Drop, ".*o.*"), false),
        (A, by(Action::Drop, "no-match"), true),
        // All of it has to match.
        (A, by(Action::Drop, "f|o"), true),
        (A, by(Action::Keep, "no-match"), false),
        (A, by(Action::Keep, "f.*"), true),
        (ports, equal(Action::KeepEqual, "__port1"), true),
        (ports, equal(Action::KeepEqual, "__port2"), false),
        (ports, equal(Action::DropEqual, "__port1"), false),
        (ports, equal(Action::DropEqual, "__port2"), true),
    ];
    for (input, configs, is_kept) in cases {
        check(input, configs, is_kept.then_some(input));
    }
    // Who is dropped is not looked at again.
    let configs = [by(Action::Drop, ".*o.*"), vec![replace("a", "f(.*)", "d", "ch$1")]].concat();
    check(A, configs, None);
}

#[test]
fn hashmod_is_the_last_half_of_md5() {
    let modulo = |modulus| {
        let parts = [("from", "c"), ("to", "d"), ("modulus", modulus)];
        vec![rule(Action::HashMod, &parts)]
    };
    let baz: Pairs = &[("c", "baz")];
    let cases: [(Pairs, &str, Pairs); 3] = [
        (baz, "1000", &[("c", "baz"), ("d", "976")]),
        (baz, "1", &[("c", "baz"), ("d", "0")]),
        (&[("c", "foo\nbar")], "1000", &[("c", "foo\nbar"), ("d", "734")]),
    ];
    for (input, modulus, expected) in cases {
        check(input, modulo(modulus), Some(expected));
    }
}

#[test]
fn labels_are_mapped_dropped_and_kept_by_their_names() {
    let numbered: Pairs = &[("a", "foo"), ("b1", "bar"), ("b2", "baz")];
    let map = |regex, by| vec![rule(Action::LabelMap, &[("regex", regex), ("by", by)])];
    let cases: Vec<(Pairs, Vec<Config>, Pairs)> = vec![
        (
            numbered,
            map("(b.*)", "bar_${1}"),
            &[("a", "foo"), ("b1", "bar"), ("b2", "baz"), ("bar_b1", "bar"), ("bar_b2", "baz")],
        ),
        (
            &[("__meta_my_bar", "aaa"), ("__meta_my_baz", "bbb"), ("__meta_other", "ccc")],
            map("__meta_(my.*)", "${1}"),
            &[
                ("__meta_my_bar", "aaa"),
                ("__meta_my_baz", "bbb"),
                ("__meta_other", "ccc"),
                ("my_bar", "aaa"),
                ("my_baz", "bbb"),
            ],
        ),
        // Of two labels with one new name the later counts.
        (numbered, map("b.", "b"), &[("a", "foo"), ("b", "baz"), ("b1", "bar"), ("b2", "baz")]),
        // What was set before comes after what was there.
        (
            numbered,
            [
                vec![rule(Action::Replace, &[("to", "b0"), ("by", "new")])],
                map("b.", "b"),
                vec![rule(Action::LabelDrop, &[("regex", "b.")])],
            ]
            .concat(),
            &[("a", "foo"), ("b", "new")],
        ),
        (
            numbered,
            vec![rule(Action::LabelKeep, &[("regex", "(b.*)")])],
            &[("b1", "bar"), ("b2", "baz")],
        ),
        (numbered, vec![rule(Action::LabelDrop, &[("regex", "(b.*)")])], A),
        (
            &[("__meta_annotation", "9091"), ("__meta_port_name", "foo")],
            vec![
                rule(Action::LabelDrop, &[("regex", "^__meta_port_name$")]),
                replace("__meta_annotation", "(.+)", "__meta_port_name", "metrics"),
                rule(Action::Keep, &[("from", "__meta_port_name"), ("regex", "^metrics$")]),
            ],
            &[("__meta_annotation", "9091"), ("__meta_port_name", "metrics")],
        ),
    ];
    for (input, configs, expected) in cases {
        check(input, configs, Some(expected));
    }
}

#[test]
fn letters_change_their_case_one_by_one() {
    let case = |action, to| rule(action, &[("from", "foo"), ("to", to)]);
    let both = || vec![case(Action::Uppercase, "up"), case(Action::Lowercase, "low")];
    let cases: [(Pairs, Pairs); 3] = [
        (
            &[("foo", "bAr123Foo")],
            &[("foo", "bAr123Foo"), ("low", "bar123foo"), ("up", "BAR123FOO")],
        ),
        (
            &[("foo", "Straße ΟΔΟΣ İ")],
            &[("foo", "Straße ΟΔΟΣ İ"), ("low", "straße οδοσ i"), ("up", "STRAßE ΟΔΟΣ İ")],
        ),
        (&[("up", "goes")], &[]),
    ];
    for (input, expected) in cases {
        check(input, both(), Some(expected));
    }
}

#[test]
fn a_configuration_says_no_more_and_no_less_than_its_action_needs() {
    let target = [("to", "b")];
    let cases: Vec<(Config, &str)> = vec![
        (Config::default(), "target_label"),
        (rule(Action::Lowercase, &[]), "target_label"),
        (rule(Action::HashMod, &[("modulus", "8")]), "target_label"),
        (rule(Action::HashMod, &target), "modulus"),
        (rule(Action::HashMod, &[("to", "b"), ("modulus", "0")]), "modulus"),
        (rule(Action::Uppercase, &[("to", "b"), ("by", "x")]), "replacement"),
        (rule(Action::KeepEqual, &[("to", "b"), ("regex", "x")]), "regex"),
        (rule(Action::DropEqual, &[("to", "b"), ("separator", "x")]), "separator"),
        (rule(Action::DropEqual, &[("to", "b"), ("modulus", "2")]), "modulus"),
        (rule(Action::LabelDrop, &[("from", "a")]), "source_labels"),
        (rule(Action::LabelKeep, &target), "target_label"),
        (rule(Action::LabelMap, &[("by", "")]), "replacement"),
        (replace("a", "(", "b", "c"), "regex"),
        (replace("a", "a)(b", "b", "c"), "regex"),
    ];
    for (config, word) in cases {
        let words = format!("{config:?}");
        let error = Rule::new(config).expect_err(&words);
        assert!(error.to_string().contains(word), "{words}: {error}");
    }
    // What is the default may be said.
    let config = [("to", "b"), ("regex", "(.*)"), ("separator", ";"), ("by", "$1")];
    assert!(Rule::new(rule(Action::KeepEqual, &config)).is_ok());
    assert_eq!(Rule::new(Config::default()).err(), Some(Error::NoTarget(Action::Replace)));
}

proptest! {
    #[test]
    fn no_rule_panics_and_all_are_repeatable(
        values in prop::collection::vec("[a-c.$ö\n]{0,4}", 3),
        action in 0_usize..11,
        regex in r"(\.\*|\(a\)|[abc]|\||\(b\.\*\)){0,4}",
        template in r"([a-c]|\$1|\$\{2\}|\$|ö){0,3}",
    ) {
        let actions = [
            Action::Replace, Action::Keep, Action::Drop, Action::KeepEqual, Action::DropEqual,
            Action::HashMod, Action::LabelMap, Action::LabelDrop, Action::LabelKeep,
            Action::Lowercase, Action::Uppercase,
        ];
        let action = actions[action];
        let all = [("from", "a,b"), ("regex", &*regex), ("to", "c"), ("by", &*template), ("modulus", "7")];
        let needed = |key: &str| match action {
            Action::KeepEqual | Action::DropEqual => matches!(key, "from" | "to"),
            Action::LabelDrop | Action::LabelKeep => key == "regex",
            Action::Lowercase | Action::Uppercase => key != "by",
            _ => true,
        };
        let parts: Vec<_> = all.into_iter().filter(|(key, _)| needed(key)).collect();
        if let Ok(rule) = Rule::new(rule(action, &parts)) {
            let input = || LabelSet::new(["a", "b", "c"].into_iter().zip(values.iter().map(String::as_str)));
            let (mut one, mut two) = (input(), input());
            prop_assert_eq!(rule.apply(&mut one), rule.apply(&mut two));
            prop_assert_eq!(&one, &two);
            prop_assert!(one.iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
        }
    }
}
