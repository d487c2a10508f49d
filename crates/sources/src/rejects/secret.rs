//! Takes out of a text what looks like a secret: it is shown to others than who has sent it.

mod bare;
mod members;

/// In place of a secret.
const REMOVED: &str = "[removed]";

/// What stands in a name whose value is a secret.
const SECRET_NAMES: &[&str] = &[
    "authorization",
    "apikey",
    "api_key",
    "api-key",
    "cookie",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "pwd",
    "secret",
    "session_id",
    "sessionid",
    "signature",
    "token",
];

/// Words behind which a credential stands.
const SCHEMES: &[&str] = &["bearer", "basic"];

/// What ends a name or a value that is not quoted.
const ENDS: &[char] = &[' ', '\t', ',', ';', '&', '{', '}', '[', ']', '(', ')'];

/// The text without the values of names such as `password`, whether they stand beside their name or in
/// members of their own, without what stands behind `Bearer` or `Basic`, without the user and password
/// of a URL, and without keys, tokens and other texts that look random.
pub(super) fn removed(text: &str) -> String {
    let members = members::secrets(text, is_secret_name);
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for member in members {
        remove(&text[from..member.start], &mut shown);
        shown.push_str(REMOVED);
        from = member.end;
    }
    remove(&text[from..], &mut shown);
    shown
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|known| name.contains(known))
}

fn remove(text: &str, shown: &mut String) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((length, public)) = bare::secret(rest) {
            shown.extend([&rest[..public], REMOVED]);
            rest = &rest[length..];
            continue;
        }
        let token = token(rest);
        if token.is_empty() {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        rest = &rest[token.len()..];
        let behind = rest.trim_start_matches(['"', '\'', '\\', ' ', '`', ':', '=']);
        let gap = &rest[..rest.len() - behind.len()];
        let is_named = is_secret_name(token) && gap.contains(['=', ':']);
        let is_scheme = SCHEMES.contains(&&*token.to_ascii_lowercase());
        if is_named || is_scheme && gap.contains(' ') && !behind.is_empty() {
            shown.extend([token, gap, REMOVED]);
            rest = &behind[value_end(gap, scheme_end(behind), behind)..];
            continue;
        }
        let of_url = rest.strip_prefix("://").and_then(|url| {
            let authority = url.find(['/', ' ', '"', '\'']).map_or(url, |end| &url[..end]);
            authority.rfind('@').map(|at| &url[at..])
        });
        shown.push_str(token);
        if let Some(host) = of_url {
            shown.extend(["://", REMOVED]);
            rest = host;
        }
    }
}

/// The name that a text begins with.
fn token(text: &str) -> &str {
    let is_of_name = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.');
    &text[..text.find(|char| !is_of_name(char)).unwrap_or(text.len())]
}

/// Where the scheme ends that a value begins with, as that of `Authorization` does; 0 without one.
fn scheme_end(text: &str) -> usize {
    let scheme = token(text);
    let is_scheme = SCHEMES.contains(&&*scheme.to_ascii_lowercase());
    let credential = text[scheme.len()..].trim_start_matches(' ');
    let is_followed = credential.len() < text.len() - scheme.len();
    if is_scheme && is_followed { text.len() - credential.len() } else { 0 }
}

/// Where a value ends that stands behind this: its quote, or nothing. It has no end before `from`.
fn value_end(gap: &str, from: usize, text: &str) -> usize {
    let ends_at = |end: usize| from + end;
    let Some(quote) = gap.chars().next_back().filter(|last| matches!(last, '"' | '\'')) else {
        return text[from..].find(ENDS).map_or(text.len(), ends_at);
    };
    // A quote within a quoted text is behind a backslash, where its own has none before it.
    let is_escaped = gap[..gap.len() - 1].ends_with('\\');
    let mut before = None;
    let mut backslashes = 0;
    for (place, char) in text[from..].char_indices() {
        let closes = if is_escaped { backslashes == 1 } else { backslashes % 2 == 0 };
        if char == quote && closes {
            before = Some(ends_at(place - usize::from(is_escaped)));
            break;
        }
        backslashes = if char == '\\' { backslashes + 1 } else { 0 };
    }
    before.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_and_the_rest_stands() {
        for (text, shown) in [
            ("", ""),
            (r#"up{job="a",token_count="b"}"#, r#"up{job="a",token_count="[removed]"}"#),
            ("t,password=hunter2,host=a value=1", "t,password=[removed],host=a value=1"),
            (
                r#"{"name":"t","Api_Key":"x y","v":1}"#,
                r#"{"name":"t","Api_Key":"[removed]","v":1}"#,
            ),
            ("header Authorization: Bearer abc.def", "header Authorization: [removed]"),
            (
                r#"{"authorization":"Basic bWU6cHc=","v":1}"#,
                r#"{"authorization":"[removed]","v":1}"#,
            ),
            (r#"{"password":"it's \"mine\" \\","v":1}"#, r#"{"password":"[removed]","v":1}"#),
            (r#"a="{\"pwd\":\"x y\",\"v\":1}""#, r#"a="{\"pwd\":\"[removed]\",\"v\":1}""#),
            ("set-cookie=a,b", "set-cookie=[removed],b"),
            ("sent Bearer abc.def, so", "sent Bearer [removed], so"),
            (
                "http://me:pw@host/path?secret=1&b=2",
                "http://[removed]@host/path?secret=[removed]&b=2",
            ),
            ("höhe,ort=köln wert=1", "höhe,ort=köln wert=1"),
            ("a token is missing", "a token is missing"),
            (r#"{"secret":"never ends"#, r#"{"secret":"[removed]"#),
            (
                r#"{"key":"db.password","value":{"stringValue":"x"}},{"key":"a","value":{"stringValue":"y"}}"#,
                r#"{"key":"db.password","value":{"stringValue":"[removed]"}},{"key":"a","value":{"stringValue":"y"}}"#,
            ),
            (
                r#"{"value":{"stringValue":"x"},"key":"token"}"#,
                r#"{"value":{"stringValue":"[removed]"},"key":"token"}"#,
            ),
            ("key bw_k3v9x2ma_7fq2c4e1d0a5 is unknown", "key bw_k3v9x2ma_[removed] is unknown"),
            ("a=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln b=1", "a=[removed] b=1"),
            (
                r#"up{trace="d41d8cd98f00b204e9800998ecf8427e",job="a"}"#,
                r#"up{trace="[removed]",job="a"}"#,
            ),
            ("a: q5iD0lLx+8ZbY1n/3kQwT7eRf2GhJ6sA9vXcM4pUo= c", "a: [removed] c"),
        ] {
            assert_eq!(removed(text), shown, "{text}");
        }
    }
}
