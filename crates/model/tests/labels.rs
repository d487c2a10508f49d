//! Label sets against what they are: a map from names to values.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use bellwire_model::limits::{LABEL_NAME_BYTES_MAX, LABELS_PER_SERIES_MAX};
use bellwire_model::{Labels, LabelsBuilder, LabelsError, NameHasher};
use proptest::prelude::*;

type Pairs = Vec<(String, String)>;

/// Few names, so that some stand twice; as many as are kept without a list, and more.
fn pairs() -> impl Strategy<Value = Pairs> {
    let name = prop_oneof![
        "[a-c]{0,3}",
        "[a-z_]{1,12}",
        "__name__",
        "\\PC{1,6}",
        "a\u{85}",
        "a{250,260}",
        "b\t"
    ];
    let value = prop_oneof!["[a-z]{0,4}", "\\PC{0,40}", "x{200,300}"];
    prop_oneof![
        5 => prop::collection::vec((name, value), 0..12),
        // Sorted, and often too many.
        1 => (0..LABELS_PER_SERIES_MAX + 3).prop_map(|count| {
            (0..count).map(|n| (format!("n{n:03}"), n.to_string())).collect()
        }),
    ]
}

/// What there is to say of pairs, by the words of the rules.
fn expected(pairs: &Pairs) -> Result<BTreeMap<&str, &str>, LabelsError> {
    for (name, _) in pairs {
        if name.is_empty() {
            return Err(LabelsError::EmptyName);
        }
        if name.len() > LABEL_NAME_BYTES_MAX {
            return Err(LabelsError::NameTooLong { bytes: name.len() });
        }
        if name.chars().any(char::is_control) {
            return Err(LabelsError::ControlCharacter);
        }
    }
    let kept: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    if kept.len() > LABELS_PER_SERIES_MAX {
        return Err(LabelsError::TooMany { labels: kept.len() });
    }
    let mut all = BTreeMap::new();
    let mut twice = None;
    for (name, value) in kept {
        if all.insert(&**name, &**value).is_some() {
            // The first in the order of the names is told.
            twice = twice.min(Some(&**name)).or(Some(&**name));
        }
    }
    match twice {
        Some(name) => Err(LabelsError::Duplicate { name: name.into() }),
        None => Ok(all),
    }
}

proptest! {
    #[test]
    fn a_set_is_a_map(pairs in pairs()) {
        let texts = || pairs.iter().map(|(name, value)| (&**name, &**value));
        let made = Labels::from_pairs(texts());
        let mut builder = LabelsBuilder::default();
        let built = texts().try_for_each(|(name, value)| builder.push(name, value));
        prop_assert_eq!(&built.and_then(|()| builder.build()), &made);
        let expected = expected(&pairs);
        let labels = match (made, expected) {
            (Ok(labels), Ok(expected)) => {
                prop_assert!(labels.iter().eq(expected.iter().map(|(name, value)| (*name, *value))));
                prop_assert_eq!(labels.len(), expected.len());
                labels
            }
            (made, expected) => {
                prop_assert_eq!(made.err(), expected.err());
                return Ok(());
            }
        };
        let joined = labels.joined().map(|(pair, name_bytes)| pair.split_at(name_bytes));
        prop_assert!(joined.eq(labels.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))));
        // Whatever the order, it is the same set.
        let turned = Labels::from_pairs(texts().rev()).expect("the same");
        prop_assert_eq!(&turned, &labels);
        let hash = |labels: &Labels| NameHasher::default().hash_one(labels);
        prop_assert_eq!(hash(&turned), hash(&labels));
        for (name, value) in &labels.iter().collect::<Vec<_>>() {
            prop_assert_eq!(labels.get(name), Some(*value));
        }
    }
}
