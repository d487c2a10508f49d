//! What the fuzz targets need of the parts that read the bytes of strangers and are private.

use std::net::Ipv4Addr;
use std::sync::{Arc, LazyLock};

use crate::config::Config;
use crate::front_door;
use crate::hosts::KnownHosts;
use crate::page::Callers;

/// Whoever asks, by whatever name: no part of a head is passed over for that.
static CALLERS: LazyLock<Callers> = LazyLock::new(|| {
    let flags = vec![("hosts", vec!["*".to_owned()])];
    let config = Config::load(None, |_| None, &flags).expect("valid");
    let hosts = Arc::new(KnownHosts::new(&config));
    Callers { origins: config.allowed_origins, hosts, ..Callers::default() }
});

/// What the front door makes of the first bytes of a connection, in words. `None`: it would read
/// on.
pub fn request_head(head: &[u8]) -> Option<String> {
    match front_door::decide(head, &CALLERS, Ipv4Addr::LOCALHOST.into()) {
        Ok(None) => None,
        Ok(Some(decision)) => Some(format!("{decision:?}")),
        Err(problem) => Some(format!("{problem:?}")),
    }
}
