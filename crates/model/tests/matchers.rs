//! Matchers in any text and of any parts.

use bellwire_model::{Labels, Matcher, Matchers, Operator};
use proptest::prelude::*;

fn operator() -> impl Strategy<Value = Operator> {
    prop_oneof![
        Just(Operator::Equal),
        Just(Operator::NotEqual),
        Just(Operator::Matches),
        Just(Operator::NotMatches),
    ]
}

/// What the syntaxes themselves use is frequent, so that most texts come near to being read.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        prop::sample::select(vec!['{', '}', '"', '\\', ',', '=', '!', '~', '\n', ' ', '\'', '`']),
        prop::sample::select(vec!['a', 'n', 'x', 't', 'u', '0', '4', 'é', '🔔']),
        any::<char>(),
    ];
    prop::collection::vec(character, 0..24).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_prints_as_what_reads_the_same(text in text()) {
        if let Ok(matchers) = text.parse::<Matchers>() {
            prop_assert_eq!(matchers.to_string().parse::<Matchers>(), Ok(matchers));
        }
        if let Ok(matcher) = text.parse::<Matcher>() {
            prop_assert_eq!(matcher.to_string().parse::<Matcher>(), Ok(matcher));
        }
    }

    #[test]
    fn a_matcher_of_any_parts_prints_as_what_reads_the_same(
        name in text(), operator in operator(), value in text(),
    ) {
        if let Ok(matcher) = Matcher::new(&name, operator, &value) {
            prop_assert_eq!(matcher.to_string().parse::<Matcher>(), Ok(matcher.clone()));
            let matchers = Matchers::new(vec![matcher.clone(), matcher]).expect("two");
            prop_assert_eq!(matchers.to_string().parse::<Matchers>(), Ok(matchers));
        }
    }

    #[test]
    fn either_an_operator_or_its_opposite_passes(value in text(), label in text()) {
        for (one, other) in [
            (Operator::Equal, Operator::NotEqual),
            (Operator::Matches, Operator::NotMatches),
        ] {
            let pair = [one, other].map(|operator| Matcher::new("a", operator, &value));
            if let [Ok(one), Ok(other)] = pair {
                prop_assert_ne!(one.passes(&label), other.passes(&label));
                prop_assert_eq!(one.matches(&Labels::empty()), one.passes(""));
            }
        }
    }
}
