//! Variables within regular expressions.
//!
//! A value is a text there, and never more. Where a text can stand says whoever reads expressions:
//! a scanner of our own would read some of them differently.

use bellwire_model::MatcherError;

use super::{Marked, TemplateError};

/// Whether each variable of an expression is where a text of its own can be: not in a class of
/// characters, a quotation, an escape or the head of a group. None is repeated: `{sub}?` would let
/// pass whatever has no such label, and looks as if it were about a letter.
pub(super) fn check(expression: &str) -> Result<(), TemplateError> {
    let has_variable = |item: &str| item.chars().any(|it| Marked::index(it).is_some());
    let mut is_behind_variable = false;
    for item in bellwire_re2::items(expression).map_err(MatcherError::from)? {
        let is_variable = has_variable(item);
        if is_variable && item.chars().nth(1).is_some() {
            return Err(TemplateError::VariableWithinSyntax);
        }
        if is_behind_variable && is_repetition(item) {
            return Err(TemplateError::VariableRepeated);
        }
        // Flags are between a part and its repetition as if they were not there.
        is_behind_variable = is_variable || is_behind_variable && is_flags(item);
    }
    Ok(())
}

fn is_repetition(item: &str) -> bool {
    item.starts_with(['*', '+', '?']) || (item.starts_with('{') && item.len() > 1)
}

fn is_flags(item: &str) -> bool {
    item.starts_with("(?") && item.ends_with(')')
}

/// A regular expression that matches this text alone. A group, so that nothing around it takes a
/// part of it: `\0` the digits that follow, a brace a number.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + "(?:)".len());
    quoted.push_str("(?:");
    for character in text.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push(')');
    quoted
}

#[cfg(test)]
mod tests;
