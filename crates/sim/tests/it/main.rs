//! Seeds that are played at every run, seeds that have failed once, and wrong worlds that have to be found.

#![allow(clippy::print_stdout, reason = "what happened is told, and how to play it again")]

mod found;
mod seeds;
mod wrong;
