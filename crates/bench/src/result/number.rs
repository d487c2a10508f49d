//! Numbers for people.

/// A number for people: thousands apart.
pub(crate) fn grouped(value: f64) -> String {
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.char_indices() {
        let rest = whole.len() - index;
        if index > 0 && rest.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() && fraction != "0" {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}
