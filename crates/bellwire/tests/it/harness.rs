//! The real binary as a child process, and plain sockets to talk to it.
//!
//! Every wait has an end and fails loudly at it: nothing is measured against [`PATIENCE`], it
//! only bounds how long a broken build can hang.
#![allow(dead_code, unused_imports, reason = "what tests share is not used by each of them")]

pub(crate) mod engine;
mod failing_disk;
pub(crate) mod frames;
mod http;
mod http2;
mod issuer;
mod ndjson;
mod over;
mod port;
mod process;
mod random;
mod raw;
mod sse;
mod tls;
mod webhook;
mod websocket;

use std::time::Duration;

pub(crate) use self::engine::Engine;
pub(crate) use self::failing_disk::{FailingDisk, Fault};
pub(crate) use self::frames::Frames;
pub(crate) use self::http::{Answer, Request, delete, get, post, request};
pub(crate) use self::http2::{Http2, Http2Stream, Http2WebSocket};
pub(crate) use self::issuer::{Issuer, Reply, SignerKey};
pub(crate) use self::ndjson::Lines;
pub(crate) use self::over::Over;
pub(crate) use self::port::Port;
pub(crate) use self::process::{
    Process, Server, bellwire, closely, looks, raise_open_files, until,
};
pub(crate) use self::random::Random;
pub(crate) use self::raw::Raw;
pub(crate) use self::sse::{Stream, StreamItem, of_item};
pub(crate) use self::tls::{Authority, Pair, TlsStream, connect, server_name, shake_hands};
pub(crate) use self::webhook::Webhook;
pub(crate) use self::websocket::{End, Spoken, WebSocket};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);
