//! Values in JSON whose name is a member of its own, as OpenTelemetry has them:
//! `{"key":"password","value":{"stringValue":"x"}}`.
//!
//! The text may be cut, or be no JSON at all: it is looked through for quotes and brackets alone.

use std::ops::Range;

/// Objects and arrays in one another that are told apart.
const NESTING_MAX: usize = 64;

/// An object or an array that is not closed yet.
#[derive(Default)]
struct Open {
    /// The member whose value comes: nothing in an array and before the first name.
    member: Option<Range<usize>>,
    /// Whether it belongs to the value of the object around it.
    is_value: bool,
    /// Whether one of its members names a secret.
    is_secret: bool,
    /// What is a secret then.
    values: Vec<Range<usize>>,
}

/// Where in a text the values are whose names are secret ones, without their quotes, in order.
pub(super) fn secrets(text: &str, is_secret_name: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open = vec![Open::default()];
    let mut place = 0;
    while place < text.len() {
        let depth = open.len();
        let top = open.last_mut().expect("the text itself is never closed");
        match text.as_bytes()[place] {
            b'"' => {
                let content = content(text, place + 1);
                place = content.end + 1;
                let is_name = text[place.min(text.len())..].trim_start().starts_with(':');
                if is_name {
                    top.member = Some(content);
                } else {
                    let is_value = is_value_name(text, top.member.as_ref());
                    if !is_value && is_secret_name(&text[content.clone()]) {
                        top.is_secret = true;
                    } else if top.is_value || is_value {
                        top.values.push(content);
                    }
                }
                continue;
            }
            b'{' | b'[' if depth < NESTING_MAX => {
                let is_value = top.is_value || is_value_name(text, top.member.as_ref());
                open.push(Open { is_value, ..Open::default() });
            }
            b'}' | b']' if depth > 1 => close(&mut open, &mut found),
            b',' => top.member = None,
            _ => {}
        }
        place += 1;
    }
    while open.len() > 1 {
        close(&mut open, &mut found);
    }
    found.sort_by_key(|range| range.start);
    found
}

/// Closes the innermost: what belongs to the value of the one around it is that one's.
fn close(open: &mut Vec<Open>, found: &mut Vec<Range<usize>>) {
    let Some(closed) = open.pop() else { return };
    match open.last_mut() {
        _ if closed.is_secret => found.extend(closed.values),
        Some(around) if closed.is_value => around.values.extend(closed.values),
        _ => {}
    }
}

fn is_value_name(text: &str, member: Option<&Range<usize>>) -> bool {
    let name = member.map(|range| text[range.clone()].to_ascii_lowercase());
    name.is_some_and(|name| name.ends_with("value") || matches!(&*name, "v" | "val"))
}

/// What is between the quote before this place and the next that closes it.
fn content(text: &str, begin: usize) -> Range<usize> {
    let mut is_escaped = false;
    let end = text[begin..].bytes().position(|byte| {
        let closes = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        closes
    });
    begin..end.map_or(text.len(), |end| begin + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_the_member_that_names_them() {
        for (text, expected) in [
            (r#"{"key":"password","value":{"stringValue":"x y"}}"#, &["x y"][..]),
            (r#"{ "value" : { "stringValue" : "x" } , "key" : "password" }"#, &["x"]),
            (r#"[{"key":"a","value":"1"},{"key":"password","value":"2"}]"#, &["2"]),
            (
                r#"{"key":"password","value":{"arrayValue":{"values":[{"stringValue":"a"},{"stringValue":"b"}]}}}"#,
                &["a", "b"],
            ),
            (
                r#"{"key":"m","value":{"kvlistValue":{"values":[{"key":"password","value":{"stringValue":"a"}}]}}}"#,
                &["a"],
            ),
            (r#"{"name":"password","labels":{"a":"b"},"value":"5"}"#, &["5"]),
            (r#"{"key":"password","value":{"stringValue":"cut"#, &["cut"]),
            (r#"{"key":"password","value":{"stringValue":"a\"b\\"}}"#, &[r#"a\"b\\"#]),
            (r#""key":"password","value":"x"#, &[]),
            (r#"{"key":"a","value":{"stringValue":"password"}}"#, &[]),
            (r#"{"key":"password","value":7}]}"#, &[]),
            (r#"up{password="x"} ""#, &[]),
            (r#"{"{"}"#, &[]),
            ("höhe\"", &[]),
        ] {
            let found = secrets(text, |name| name == "password");
            let found: Vec<&str> = found.into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
