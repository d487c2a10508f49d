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
    let chosen = |name| Some((name, std::env::var(name).ok().filter(|text| !text.is_empty())?));
    let chosen = VARIABLES.into_iter().find_map(chosen);
    let parsed = chosen.as_ref().map(|(_, text)| EnvFilter::try_new(text));
    // What is half understood would hide what nobody meant to.
    let (filter, wrong) = match parsed {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(DEFAULT), Some(error)),
        None => (EnvFilter::new(DEFAULT), None),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // It would be told on standard error, where nothing can be told, and that panics.
        .log_internal_errors(false)
        .init();
    if let (Some((name, text)), Some(error)) = (chosen, wrong) {
        tracing::warn!(%error, "{name} is passed over: `{text}` is not of the form `info,h2=error`.");
    }
}
