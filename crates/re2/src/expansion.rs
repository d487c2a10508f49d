//! What a match is replaced with: `$1`, `${name}`, `$$`, as Go's `Expand` reads them.

/// Appends a template to `out`, with what each group has matched: by number, and by name.
pub(crate) fn expand<'t>(
    template: &str,
    out: &mut String,
    numbered: impl Fn(usize) -> Option<&'t str>,
    named: impl Fn(&str) -> Option<&'t str>,
) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(rest) else {
            // It refers to nothing, so it stays.
            out.push('$');
            continue;
        };
        rest = after;
        let matched = match number(name) {
            Some(number) => numbered(number),
            None => named(name),
        };
        out.push_str(matched.unwrap_or_default());
    }
    out.push_str(rest);
}

/// The name or number behind a `$`, and what follows it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (inner, is_braced) = match text.strip_prefix('{') {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let is_name = |c: char| c == '_' || c.is_alphanumeric();
    let end = inner.find(|c| !is_name(c)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let rest = if is_braced { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// The number of a group. With leading zeros it is a name.
fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || (name.len() > 1 && name.starts_with('0')) {
        return None;
    }
    name.parse().ok().filter(|number| *number < 1_000_000_000)
}
