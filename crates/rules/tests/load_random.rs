//! Rule files put together at random: none panics, and each fault is in its file.

use bellwire_rules::{RuleFile, load};
use proptest::prelude::*;

/// Pieces of expressions and of rule files, put together at random.
const PIECES: [&str; 60] = [
    "x",
    "up",
    "rate",
    "sum",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "bool",
    "offset",
    "and",
    "or",
    "unless",
    "atan2",
    "inf",
    "NaN",
    "start",
    "end",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "@",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    "<",
    ">=",
    "\"a\"",
    "'b'",
    "`c`",
    "\"",
    "'",
    "\\",
    "1",
    "0x",
    "1e",
    "1e999",
    "5m",
    "99999999999y",
    ".",
    "#",
    "é",
    "\u{0}",
    "$",
    "__name__",
    "\"*\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn no_expression_panics_and_each_fault_is_in_the_file(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 1..12),
        glue in prop::sample::select(&["", " ", "\n         "][..]),
        style in prop::sample::select(&["|\n         ", ">-\n         ", "'", "\""][..]),
    ) {
        let quote = style.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let text = pieces.join(glue);
        let text = match quote {
            Some('\'') => text.replace('\'', "''"),
            Some(_) => text.replace('\\', "\\\\").replace('"', "\\\""),
            None => text,
        };
        let quote = quote.map(String::from).unwrap_or_default();
        let file = format!("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {style}{text}{quote}\n");
        check_places(&file);
    }

    #[test]
    fn no_file_panics_and_each_fault_is_in_the_file(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::sample::select(&PIECES[..]),
                prop::sample::select(&[
                    "groups:", "name:", "rules:", "alert:", "expr:", "labels:", "annotations:", "for:", "\n",
                    "\n", "\n  ", "\n- ", "\n  - ", "\n    ", " ", "&a ", "*a", "!!str ", "|", ">", "---\n", "{{", "}}",
                    "? ", "\t", "\r\n", "\u{feff}", "~", "%YAML 1.2\n", "<<:",
                ][..]),
            ],
            1..25,
        ),
    ) {
        check_places(&pieces.concat());
    }
}

fn check_places(file: &str) {
    for error in load(&[RuleFile { name: "f", text: file }]).err().unwrap_or_default() {
        let line = file.split('\n').nth(error.line - 1);
        let line = line.unwrap_or_else(|| panic!("{error} is in no line of {file:?}"));
        assert!(error.column <= line.chars().count() + 1, "{error} is outside {line:?}");
    }
}
