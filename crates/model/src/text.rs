//! What decoders of text have in common.

use crate::limits::EXCERPT_BYTES_MAX;

/// U+FEFF in UTF-8: editors and exports put it before a text, where it means nothing.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The text behind its byte order mark, where it begins with one.
pub fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Whether JSON has more than `levels` arrays and objects in one another. For text that is JSON;
/// of other text it says whatever it likes.
pub fn is_nested_deeper(json: &[u8], levels: usize) -> bool {
    // Nearly every text is short, or has too few brackets: counting them takes no time.
    if json.len() / 2 <= levels || openings(json) <= levels {
        return false;
    }
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => {
                depth += 1;
                if depth > levels {
                    return true;
                }
            }
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether a name has control characters. Most names are ASCII, where they are told by their bytes:
/// all of them at once, since most have none.
pub(crate) fn has_control(name: &str) -> bool {
    let is_plain = name.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    !is_plain && name.chars().any(char::is_control)
}

fn openings(json: &[u8]) -> usize {
    json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count()
}

/// What is said of something wrong, cut in its middle where it is long: it may quote all that a
/// client has sent. Its beginning says what is wrong, its end where.
pub fn excerpt(mut text: String) -> String {
    if text.len() > EXCERPT_BYTES_MAX {
        let begin = text.floor_char_boundary(EXCERPT_BYTES_MAX / 2);
        let end = text.ceil_char_boundary(text.len() - EXCERPT_BYTES_MAX / 2);
        text.replace_range(begin..end, " … ");
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_found_wherever_they_stand() {
        for character in '\0'..='\u{ffff}' {
            let name = format!("a name of some length {character} goes on");
            assert_eq!(has_control(&name), character.is_control(), "{character:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_in_its_middle() {
        let short = "é".repeat(EXCERPT_BYTES_MAX / 2);
        assert_eq!(excerpt(short.clone()), short);
        let cut = excerpt(format!("begin{}end", "é".repeat(EXCERPT_BYTES_MAX)));
        assert!(cut.starts_with("beginé") && cut.contains("é … é") && cut.ends_with("éend"));
        assert!(cut.len() <= EXCERPT_BYTES_MAX + " … ".len() && cut.capacity() == cut.len());
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let cases: [(&[u8], &[u8]); 4] = [
            (b"\xEF\xBB\xBF{}", b"{}"),
            (b"{}\xEF\xBB\xBF", b"{}\xEF\xBB\xBF"),
            (b"\xEF\xBB", b"\xEF\xBB"),
            (b"\xEF\xBB\xBF", b""),
        ];
        for (text, expected) in cases {
            assert_eq!(without_byte_order_mark(text), expected);
        }
    }

    #[test]
    fn only_brackets_within_each_other_count() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let objects = "{\"a\":".repeat(4) + "1" + &"}".repeat(4);
        let cases = [
            (nested(3), false),
            (nested(4), true),
            (nested(500_000), true),
            (format!("[{}]", vec![nested(2); 50].join(",")), false),
            (format!("[{}]", vec![nested(3); 50].join(",")), true),
            (objects, true),
            (format!("\"{}\"", "[".repeat(50)), false),
            (format!("[\"\\\"{}\"]", "[".repeat(50)), false),
            (format!("[\"\\\\\",{}]", nested(3)), true),
        ];
        for (json, expected) in cases {
            assert_eq!(is_nested_deeper(json.as_bytes(), 3), expected, "{json:.80}");
        }
    }
}
