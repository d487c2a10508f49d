//! Percent-encoding to the letter: decoders take `%zz` as it stands and replace what is no UTF-8,
//! and a client would follow, publish to or delete something else than it has named.

use percent_encoding::percent_decode_str;

use bellwire_wire::problem::{Code, Problem};

/// Refuses a query that says something else than it seems to.
pub fn check_query(query: &str) -> Result<(), Problem> {
    if let Some(wrong) = wrong_escape(query) {
        let detail = format!("`{wrong}` in the query is no percent-encoding: write `%` as `%25`");
        return Err(Problem::new(Code::ParameterInvalid, detail));
    }
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(Problem::new(Code::Utf8Invalid, "the query is not percent-encoded UTF-8"));
    }
    Ok(())
}

/// The first `%` that two hexadecimal digits do not follow, and what follows it instead.
pub fn wrong_escape(text: &str) -> Option<&str> {
    let is_wrong = |at: &usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let at = text.match_indices('%').map(|(at, _)| at).find(is_wrong)?;
    Some(&text[at..text.floor_char_boundary(at + 3)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_has_two_hexadecimal_digits() {
        let cases = [
            ("", None),
            ("a%20b%C3%A6", None),
            ("%", Some("%")),
            ("a%2", Some("%2")),
            ("%41%zz", Some("%zz")),
            ("%4g", Some("%4g")),
            ("%é", Some("%é")),
            ("%+1", Some("%+1")),
        ];
        for (text, expected) in cases {
            assert_eq!(wrong_escape(text), expected, "{text}");
        }
    }
}
