//! Names of other systems as names that Prometheus knows.

use std::borrow::Cow;

/// Appends a part of a metric name. A digit may not come first.
pub(crate) fn push_metric_name(out: &mut String, part: &str) {
    if out.is_empty() && starts_with_digit(part) {
        out.push('_');
    }
    if part.bytes().all(|byte| IS_METRIC[usize::from(byte)]) {
        return out.push_str(part);
    }
    out.extend(part.chars().map(|c| if c.is_ascii() && is_metric_byte(c as u8) { c } else { '_' }));
}

/// A label name; borrowed where nothing has to change.
pub(crate) fn label_name(tag: Cow<'_, str>) -> Cow<'_, str> {
    if tag.bytes().all(|byte| IS_LABEL[usize::from(byte)]) && !starts_with_digit(&tag) {
        return tag;
    }
    let digit = if starts_with_digit(&tag) { "_" } else { "" };
    let replaced =
        tag.chars().map(|c| if c.is_ascii() && is_label_byte(c as u8) { c } else { '_' });
    Cow::Owned(digit.chars().chain(replaced).collect())
}

fn starts_with_digit(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit)
}

/// Bytes that may stand in the name of a metric, and of a label: looked up rather than compared.
const IS_METRIC: [bool; 256] = {
    let mut table = IS_LABEL;
    table[b':' as usize] = true;
    table
};
const IS_LABEL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_label_byte(byte);
        byte += 1;
    }
    table
};

const fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn is_metric_byte(byte: u8) -> bool {
    is_label_byte(byte) || byte == b':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_does_not_know_becomes_an_underscore() {
        let cases = [
            ("temp", "temp", "temp"),
            ("temp.max-°C", "temp_max__C", "temp_max__C"),
            ("a:b", "a:b", "a_b"),
            ("9lives", "_9lives", "_9lives"),
            ("°", "_", "_"),
            ("a b", "a_b", "a_b"),
        ];
        for (given, metric, label) in cases {
            let mut name = String::new();
            push_metric_name(&mut name, given);
            assert_eq!(name, metric, "{given}");
            assert_eq!(label_name(given.into()), label, "{given}");
        }
    }
}
