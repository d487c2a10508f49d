//! Rules of relabeling and the labels they are applied to: no rule that is taken panics, and no label is
//! left without a name or a value.
//!
//! The first byte of an input is the action; the rest are the parts of its rule and the values of three
//! labels, a line each.

#![no_main]

use bellwire_ingest::relabel::{Action, Config, LabelSet, Rule};
use libfuzzer_sys::fuzz_target;

const ACTIONS: [Action; 11] = [
    Action::Replace,
    Action::Keep,
    Action::Drop,
    Action::KeepEqual,
    Action::DropEqual,
    Action::HashMod,
    Action::LabelMap,
    Action::LabelDrop,
    Action::LabelKeep,
    Action::Lowercase,
    Action::Uppercase,
];

fuzz_target!(|data: &[u8]| {
    let Some((action, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let mut lines = text.split('\n');
    let mut line = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    let config = Config {
        action: ACTIONS[usize::from(*action) % ACTIONS.len()],
        regex: line(),
        target_label: line(),
        replacement: line(),
        separator: line(),
        source_labels: line().map(|names| names.split(',').map(str::to_owned).collect()),
        modulus: line().and_then(|modulus| modulus.parse().ok()),
    };
    let values = [line(), line(), line()].map(Option::unwrap_or_default);
    let Ok(rule) = Rule::new(config) else { return };
    let pairs = ["a", "b", "__meta_c"].into_iter().zip(values.iter().map(String::as_str));
    let mut labels = LabelSet::new(pairs);
    rule.apply(&mut labels);
    for (name, value) in labels.iter() {
        assert!(!name.is_empty() && !value.is_empty());
        assert_eq!(labels.get(name), value);
    }
});
