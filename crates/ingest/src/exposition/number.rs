//! Numbers as targets write them.

/// A number as Go reads it, but for those with `_` and in hexadecimal.
pub(super) fn number(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    if value.is_finite() {
        return Some(value);
    }
    if value.is_nan() {
        // It has no sign, and bits that mean nothing else.
        return text.starts_with(['n', 'N']).then_some(f64::NAN);
    }
    // A number that is too large is no infinity.
    text.trim_start_matches(['+', '-']).starts_with(['i', 'I']).then_some(value)
}
