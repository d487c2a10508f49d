//! Integration tests of the real binary over real sockets, one file for each behaviour.
#![allow(clippy::print_stdout, reason = "seeds and skipped tests are told")]

mod access;
mod alerts;
mod attending;
mod bad_input;
mod check;
mod compression;
mod crash;
mod demo;
mod disk;
mod failing_disk;
mod greedy;
mod harness;
mod heads;
mod hosts;
mod http2;
mod isolation;
mod letter;
mod listing;
mod notifications;
mod overload;
mod polls;
mod prometheus;
mod publish;
mod resume;
mod rule_crash;
mod rule_state;
mod serve;
mod sessions;
mod start;
mod state;
mod streams;
mod subscribe;
mod tls;
mod vanished;
mod websocket;
