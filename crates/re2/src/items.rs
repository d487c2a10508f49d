//! What an expression is written of.

use crate::error::Error;
use crate::parse::{self, Flags};

/// The items of an expression: characters, escapes, classes (`[^a-z]`), quotations (`\Q…\E`), the
/// heads and ends of groups (`(?i:`), operators (`{2,}?`). All of its text, in order.
///
/// Whoever puts a text into an expression learns here, from the one who reads it, where a character
/// is an item of its own.
pub fn items(expression: &str) -> Result<Vec<&str>, Error> {
    let mut items = Vec::new();
    parse::parse_each(expression, Flags::NONE, |item| items.push(item))?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_item_is_what_is_read_at_once() {
        let cases: [(&str, &[&str]); 12] = [
            ("", &[]),
            ("aß|^.$", &["a", "ß", "|", "^", ".", "$"]),
            ("a*?b{2,}c{2", &["a", "*?", "b", "{2,}", "c", "{", "2"]),
            (
                "(a)(?i)(?s:b)(?P<n>c)",
                &["(", "a", ")", "(?i)", "(?s:", "b", ")", "(?P<n>", "c", ")"],
            ),
            ("[]a]b", &["[]a]", "b"]),
            ("[^]a]b", &["[^]a]", "b"]),
            ("[[:digit:]a]b", &["[[:digit:]a]", "b"]),
            ("[!-[:digit:][]b]", &["[!-[:digit:]", "[]b]"]),
            (r"[\]a]b", &[r"[\]a]", "b"]),
            (r"\Qa[\Eb\Qc", &[r"\Qa[\E", "b", r"\Qc"]),
            (r"\pL\p{Greek}\d\.", &[r"\pL", r"\p{Greek}", r"\d", r"\."]),
            (r"\x{41}1\0127\x412", &[r"\x{41}", "1", r"\012", "7", r"\x41", "2"]),
        ];
        for (expression, expected) in cases {
            assert_eq!(items(expression).expect(expression), expected, "{expression}");
        }
        assert!(items("(").is_err());
    }

    proptest! {
        #[test]
        fn items_are_all_of_the_text(expression in r"[a\[\]\\QE(){}2,:?i*|^-]{0,12}") {
            if let Ok(items) = items(&expression) {
                prop_assert_eq!(items.concat(), expression);
            }
        }
    }
}
