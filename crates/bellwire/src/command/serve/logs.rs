//! Logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Variables that choose what is logged, the first that is set.
const VARIABLES: [&str; 2] = ["BELLWIRE_LOG", "RUST_LOG"];

/// What is logged where the environment says nothing. Of what peers do wrong the libraries would
/// tell a line each.
const DEFAULT: &str = "info,h2=error,hyper=error";

/// Logs from now on: what the environment says, or the default.
pub(in crate::command) fn start() {
    let directives = VARIABLES.iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::new(directives.as_deref().unwrap_or(DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would be told on standard error, where nothing can be told, and that panics.
        .log_internal_errors(false)
        .init();
}
