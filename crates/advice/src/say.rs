//! Numbers as people read them.

/// Two digits that say something: `0.25`, `5`, `1,200`.
pub(crate) fn number(value: f64) -> String {
    if value >= 1_000.0 {
        return grouped(value.round() as u64);
    }
    // What is whole has no digits behind the point.
    if value >= 10.0 || value.fract().abs() < 1e-9 {
        return format!("{}", value.round());
    }
    let text = if value >= 0.1 { format!("{value:.2}") } else { format!("{value:.1e}") };
    if text.contains('e') { text } else { text.trim_end_matches('0').to_owned() }
}

/// With a comma between thousands.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `5 a second`, `2 a minute`, `1 an hour`.
pub(crate) fn rate(per_second: f64) -> String {
    let units = [(1.0, "a second"), (60.0, "a minute"), (3_600.0, "an hour")];
    let found = units.iter().find(|(seconds, _)| per_second * seconds >= 0.95);
    let (seconds, unit) = found.unwrap_or(&(86_400.0, "a day"));
    format!("{} {unit}", number(per_second * seconds))
}

/// `350 B`, `4.2 kB`, `1.5 MB`.
pub(crate) fn bytes(value: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(unit, _)| value >= 0.9995 * unit) {
        Some((unit, name)) if value / unit < 10.0 => format!("{:.1} {name}", value / unit),
        Some((unit, name)) => format!("{:.0} {name}", value / unit),
        None => format!("{} B", number(value)),
    }
}

/// `250 ms`, `1 s`, `5 min`.
pub(crate) fn duration(ms: f64) -> String {
    let units = [(3_600_000.0, "h"), (60_000.0, "min"), (1_000.0, "s")];
    match units.iter().find(|(unit, _)| ms >= *unit) {
        Some((unit, name)) => format!("{} {name}", number(ms / unit)),
        None => format!("{} ms", number(ms)),
    }
}

/// `1 flow`, `2 flows`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    format!("{} {thing}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

/// `a, b and c`.
pub(crate) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (value, text) in
            [(0.25, "0.25"), (0.1, "0.1"), (5.0, "5"), (12.6, "13"), (1234.4, "1,234")]
        {
            assert_eq!(number(value), text);
        }
        for (value, text) in [
            (5.0, "5 a second"),
            (1.0 / 30.0, "2 a minute"),
            (1.0 / 3600.0, "1 an hour"),
            (1.0 / 86_400.0, "1 a day"),
        ] {
            assert_eq!(rate(value), text);
        }
        for (value, text) in
            [(350.0, "350 B"), (4_200.0, "4.2 kB"), (999_900.0, "1.0 MB"), (15e6, "15 MB")]
        {
            assert_eq!(bytes(value), text);
        }
        for (value, text) in [(250.0, "250 ms"), (1_000.0, "1 s"), (300_000.0, "5 min")] {
            assert_eq!(duration(value), text);
        }
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
