//! The suite on the engine in memory, and on engines that are wrong: each of them is found.

mod wrong;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use self::wrong::{How, Wrong};
use super::*;
use crate::MemoryLogs;

#[test]
fn the_engine_in_memory_keeps_the_contract() {
    run_all(&mut || Box::new(MemoryLogs::immediate()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, max_shrink_iters: 0, ..Default::default() })]

    #[test]
    fn the_engine_in_memory_keeps_the_contract_in_whatever_order_things_happen(seed: u64) {
        let mut seeds = seed..;
        run_all(&mut || Box::new(Driven::new(seeds.next().unwrap_or_default())));
    }
}

#[test]
fn what_an_engine_cannot_fail_in_is_skipped() {
    // It is said aloud, so that two clauses are enough.
    for clause in [what_was_answered_survives_a_kill, an_old_copy_can_be_told] {
        clause(&mut || Box::new(Faultless(MemoryLogs::immediate())));
    }
}

#[test]
fn an_engine_that_breaks_the_contract_is_found() {
    type Case = (How, fn(Make<'_>), &'static str);
    let cases: [Case; 10] = [
        (How::Repeats, a_following_does_not_outlive_the_server, "is handed on behind"),
        (How::GoesOn, a_following_does_not_outlive_the_server, "it has gone on"),
        (How::GoesOn, a_lost_log_can_be_told, "it has gone on"),
        (How::IgnoresFences, who_sets_a_register_keeps_out_what_was_fenced_before, "Fenced"),
        (How::IgnoresFences, a_set_register_keeps_out_what_a_fault_has_held_up, "Fenced"),
        (How::SkipsWhatIsTrimmed, a_following_ends_where_batches_are_gone, "nothing is skipped"),
        (How::DoesNotCompare, a_register_is_set_where_it_is_as_expected, "Changed"),
        (How::DoesNotCompare, of_two_that_set_a_register_at_once_one_wins, "won once"),
        (How::Swaps, batches_appended_without_waiting_are_stored_in_order, "in their order"),
        (How::DoesNotAnswer, batches_appended_without_waiting_are_stored_in_order, "not called"),
    ];
    for (how, clause, complaint) in cases {
        let mut make = || -> Box<dyn Engine> { Box::new(Wrong::new(how)) };
        let panic = catch_unwind(AssertUnwindSafe(|| clause(&mut make)));
        let panic = panic.expect_err(&format!("{how:?} is found"));
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref().map(|said: &&str| (*said).to_owned()));
        let said = said.unwrap_or_default();
        assert!(said.contains(complaint), "{how:?}: {said}");
    }
}

/// A stepped engine in memory with a thread that lets things happen.
#[derive(Debug)]
struct Driven {
    logs: MemoryLogs,
    /// Its end stops the thread.
    _running: SyncSender<()>,
}

impl Driven {
    fn new(seed: u64) -> Self {
        let logs = MemoryLogs::stepped(seed);
        let (running, stopped) = sync_channel(0);
        let driven = logs.clone();
        thread::spawn(move || {
            let idle = Duration::from_micros(100);
            while stopped.recv_timeout(idle) == Err(RecvTimeoutError::Timeout) {
                driven.run_until_idle();
            }
        });
        Self { logs, _running: running }
    }
}

impl Engine for Driven {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        self.logs.open()
    }

    fn fault(&mut self, fault: Fault) -> bool {
        self.logs.fault(fault)
    }
}

/// One that cannot be made to fail.
#[derive(Debug)]
struct Faultless(MemoryLogs);

impl Engine for Faultless {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        self.0.open()
    }

    fn fault(&mut self, _fault: Fault) -> bool {
        false
    }
}
