//! Names that strangers choose, as logs show them.

/// Characters of one that are shown.
const CHARS_MAX: usize = 64;

/// The beginning of a name, with all that cannot be seen, or would begin another line, written out.
pub(crate) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    if name.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_in_one_short_line() {
        for (name, expected) in [
            ("https://id.example", "https://id.example"),
            ("a\nERROR b", "a\\nERROR b"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{202e}a", "\\u{202e}a"),
            ("", ""),
        ] {
            assert_eq!(shown(name), expected);
        }
        assert_eq!(shown(&"é".repeat(8_000)), format!("{}…", "é".repeat(CHARS_MAX)));
    }
}
