//! Letters in upper and lower case, as Go has them: one letter stays one letter.

/// A letter in upper case.
pub(super) fn upper(c: char) -> char {
    let mut all = c.to_uppercase();
    match (all.next(), all.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

/// A letter in lower case.
pub(super) fn lower(c: char) -> char {
    let mut all = c.to_lowercase();
    all.next().unwrap_or(c)
}

/// The first letter of each word in upper case, the others as they are.
pub(super) fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut is_within = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphabetic() && !is_within {
            // Of one letter that becomes several only the first is one in upper case.
            let mut upper = c.to_uppercase();
            titled.extend(upper.next());
            titled.extend(upper.flat_map(char::to_lowercase));
        } else {
            titled.push(c);
        }
        // A point, a colon or an apostrophe between letters does not end their word.
        let joins = matches!(c, '\'' | '.' | ':' | '’' | '·')
            && is_within
            && rest.peek().is_some_and(|next| next.is_alphabetic());
        let stays = c.is_numeric() || c == '_';
        is_within = joins || c.is_alphabetic() || (stays && is_within);
    }
    titled
}
