//! Regular expressions as Go and RE2 read them.
//!
//! Prometheus and Alertmanager are written in Go, so what people wrote for them follows RE2: `\w`
//! is ASCII, `{id}` is a text, `[a&&b]` a class of two letters, `\Q…\E` quotes. Rust's own syntax
//! differs in all of these, and in silence. So an expression is read here by RE2's rules, and only
//! what was read is handed to Rust's automata, which match by the same rules as RE2's.

mod automaton;
mod class;
mod error;
mod escape;
mod expansion;
mod items;
mod limits;
mod parse;
mod pattern;
mod regex;
mod tables;

pub use self::error::{Error, ErrorCode};
pub use self::items::items;
pub use self::limits::REGEX_BYTES_MAX;
pub use self::pattern::{Dot, Pattern};
pub use self::regex::Regex;
pub use self::tables::Tables;
