//! Integration tests of the real binary over real sockets, one file for each behaviour.

mod check;
mod demo;
mod harness;
mod publish;
mod serve;
mod subscribe;
