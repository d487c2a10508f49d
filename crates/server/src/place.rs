//! Where a byte stands in a text that a person wrote.

/// Line and column, both from 1; the column counts characters. What lies behind the text is at its
/// end.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
