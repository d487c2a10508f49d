//! The contract as an executable suite: every engine passes it, each clause a function.
//!
//! A suite runs on an [`Engine`], which the tests of each engine provide: it opens handles as nodes
//! would, and makes the engine fail on command.
//!
//! ```no_run
//! # use bellwire_shared_log::{MemoryLogs, contract};
//! contract::run_all(&mut || Box::new(MemoryLogs::immediate()));
//! ```
//!
//! Everything is waited for as a condition, with a bound of a minute, behind which a clause panics and
//! says what it has waited for. An engine that answers at once is not waited for at all.

mod appending;
mod away;
mod fences;
mod following;
mod reader;
mod registers;
mod restoring;
mod rig;
#[cfg(test)]
mod tests;
mod trimming;
mod waiting;

use std::fmt;
use std::sync::Arc;

use crate::{Error, Position, SharedLog};

pub use appending::*;
pub use away::*;
pub use fences::*;
pub use following::*;
pub use registers::*;
pub use restoring::*;
pub use trimming::*;

/// Makes another engine, with an empty log.
pub type Make<'a> = &'a mut dyn FnMut() -> Box<dyn Engine>;

/// One sentence of the contract: panics where the engine breaks it.
#[derive(Clone, Copy, Debug)]
pub struct Clause {
    /// What it says.
    pub name: &'static str,
    /// Whether it is so.
    pub check: fn(Make<'_>),
}

/// Runs every clause.
pub fn run_all(make: &mut dyn FnMut() -> Box<dyn Engine>) {
    for clause in CLAUSES {
        clause.run(make);
    }
}

impl Clause {
    /// Checks it, and says which one it was where it panics.
    pub fn run(&self, make: Make<'_>) {
        let _running = Running(self.name);
        (self.check)(make);
    }
}

struct Running(&'static str);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            waiting::say(&format!("FAILED: the clause {}", self.0));
        }
    }
}

macro_rules! clauses {
    ($($name:ident,)*) => {
        &[$(Clause { name: stringify!($name), check: $name }),*]
    };
}

/// The whole contract.
pub const CLAUSES: &[Clause] = clauses![
    positions_increase_in_the_order_of_appends,
    batches_appended_without_waiting_are_stored_in_order,
    appends_of_many_handles_are_in_one_order,
    what_is_answered_is_there_for_every_handle,
    a_batch_is_stored_whole,
    many_large_batches_are_stored_in_order,
    a_batch_too_large_is_refused,
    a_dropped_handle_answers_what_is_queued,
    a_register_never_set_is_empty,
    a_register_is_set_where_it_is_as_expected,
    a_register_holds_its_largest_value_and_no_more,
    of_two_that_set_a_register_at_once_one_wins,
    generations_are_never_used_again,
    bad_names_of_registers_are_refused,
    registers_are_listed_by_prefix,
    registers_are_no_batches,
    a_fenced_append_is_stored_while_its_register_is_so,
    who_sets_a_register_keeps_out_what_was_fenced_before,
    a_fence_may_expect_that_a_register_was_never_set,
    what_is_fenced_is_kept_out_by_itself,
    a_set_register_keeps_out_what_is_under_way,
    a_set_register_keeps_out_what_a_fault_has_held_up,
    a_following_hands_on_everything_behind_its_start,
    followings_at_once_are_handed_the_same,
    a_following_at_the_tail_waits,
    who_is_slow_to_follow_misses_nothing,
    a_following_from_beyond_the_tail_hands_on_nothing_before_it,
    trimmed_batches_are_gone_and_said_to_be,
    a_log_that_is_trimmed_empty_goes_on_where_it_was,
    trimming_beyond_the_tail_removes_what_is_there,
    trimming_leaves_registers,
    trimming_does_not_disturb_who_is_further,
    a_following_ends_where_batches_are_gone,
    what_was_answered_survives_a_kill,
    calls_are_answered_while_the_engine_is_away,
    an_append_that_was_away_is_there_once_at_most,
    a_kill_in_the_middle_of_a_pipeline_loses_nothing_answered,
    a_following_ends_when_the_engine_is_away,
    a_following_does_not_outlive_the_server,
    a_short_absence_leaves_no_following_silent,
    a_handle_may_be_dropped_while_the_engine_is_away,
    a_full_engine_says_so,
    an_old_copy_can_be_told,
    a_lost_log_can_be_told,
    an_engine_says_what_it_is,
];

/// For people, while it is there.
pub fn an_engine_says_what_it_is(make: Make<'_>) {
    let mut rig = rig::Rig::new(make);
    let assurance = rig.open().ask("the engine says what it is", SharedLog::assurance);
    let assurance = assurance.unwrap_or_else(|error| panic!("not said: {error:?}"));
    assert!(!assurance.engine.is_empty(), "it has a name");
    let mut losses = assurance.losses.iter().chain(&assurance.doubts);
    assert!(losses.all(|loss| !loss.is_empty()), "{assurance:?}");
}

/// An engine under test, with an empty log of its own.
pub trait Engine: fmt::Debug {
    /// Another handle of the same log, as another node would have it. Handles notice that the engine
    /// is away within a few seconds.
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error>;

    /// Makes it fail, or ends that. Returns whether this engine can fail so; where it cannot the
    /// clause is not tested, and the suite says so.
    fn fault(&mut self, fault: Fault) -> bool;
}

/// How an engine fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server is killed (SIGKILL). What it acknowledged stays, as far as [`Assurance`] says.
    ///
    /// [`Assurance`]: crate::Assurance
    Kill,
    /// It is started again, after [`Fault::Kill`], with what it had.
    Start,
    /// It is stopped in the middle of what it does (SIGSTOP): sockets stay open, nothing is answered.
    Pause,
    /// It goes on.
    Resume,
    /// Nothing passes between all handles and the server, in neither direction, nor does anything say so.
    Cut,
    /// The network is mended: new connections come through.
    Mend,
    /// It has no room for more.
    Fill,
    /// It has room again.
    Relieve,
    /// Somebody else removes batches up to and with this one.
    TrimByHand(Position),
    /// A copy is made of all that it has, for [`Fault::Restore`].
    Copy,
    /// It is stopped, gets what it had at [`Fault::Copy`], and is started: acknowledged batches are gone.
    Restore,
    /// The log is lost and begins anew, empty, as one that somebody has deleted and made again.
    Lose,
}
