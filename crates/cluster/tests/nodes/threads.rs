//! A node on threads of its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_cluster::{Clock, ClusterJournal, LeaseTiming, Node, NodeOptions, Standing, Vigil};
use bellwire_journal::{Append, Appended, Error, Journal};
use bellwire_model::{Body, Event, Timestamp};
use bellwire_process::clock;
use bellwire_shared_log::contract::Fault;
use bellwire_shared_log::{
    Assurance, Ended, Entry, Error as LogError, Fence, Following, Generation, MemoryLog,
    MemoryLogs, Position, Register, SharedLog, Span, Stored,
};
use bytes::Bytes;
use tempfile::TempDir;

use crate::rig::{Seen, open};

/// The log in memory, whose followings wait.
struct Waiting {
    log: Arc<MemoryLog>,
    before: Arc<Before>,
}

/// What happens once, right before a call is made.
#[derive(Default)]
struct Before {
    follow: Mutex<Option<Happening>>,
    entry: Mutex<Option<Happening>>,
    /// Nothing is read meanwhile.
    holds: AtomicBool,
}

type Happening = Box<dyn FnOnce() + Send>;

fn happen(happening: &Mutex<Option<Happening>>) {
    if let Some(happening) = happening.lock().expect("held for a moment").take() {
        happening();
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)
    }
}

struct WaitingFollowing {
    following: Box<dyn Following>,
    before: Arc<Before>,
}

impl Following for WaitingFollowing {
    fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended> {
        let (_keep, never) = sync_channel::<()>(0);
        for _ in 0..patience.as_millis() {
            if !self.before.holds.load(Ordering::Acquire) {
                let entries = self.following.next(Duration::ZERO)?;
                if !entries.is_empty() {
                    return Ok(entries);
                }
            }
            let _ = never.recv_timeout(Duration::from_millis(1));
        }
        Ok(Vec::new())
    }
}

impl SharedLog for Waiting {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        self.log.append(batch, fence, stored);
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, LogError> {
        happen(&self.before.follow);
        let (following, before) = (self.log.follow(after)?, Arc::clone(&self.before));
        Ok(Box::new(WaitingFollowing { following, before }))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, LogError> {
        happen(&self.before.entry);
        self.log.entry(at)
    }

    fn span(&self) -> Result<Span, LogError> {
        self.log.span()
    }

    fn trim(&self, until: Position) -> Result<(), LogError> {
        self.log.trim(until)
    }

    fn register(&self, name: &str) -> Result<Register, LogError> {
        self.log.register(name)
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, LogError> {
        self.log.set_register(name, expected, value)
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, LogError> {
        self.log.registers(prefix)
    }

    fn assurance(&self) -> Result<Assurance, LogError> {
        self.log.assurance()
    }
}

fn node(logs: &MemoryLogs, id: &str) -> (Node, Receiver<Standing>, TempDir) {
    node_before(logs, id, &Arc::default())
}

fn node_before(
    logs: &MemoryLogs,
    id: &str,
    before: &Arc<Before>,
) -> (Node, Receiver<Standing>, TempDir) {
    let (folder, seen) = (TempDir::new().expect("a folder"), Arc::<Mutex<Seen>>::default());
    let replica = open(folder.path(), &seen);
    let (sender, standings) = sync_channel(100);
    let options = NodeOptions {
        id: id.into(),
        version: "1".into(),
        address: "here".into(),
        clock: Clock::of_process(),
        lease: LeaseTiming::default(),
        watcher: Box::new(move |standing| drop(sender.try_send(standing.clone()))),
        vigil: Vigil::default(),
    };
    let log = Waiting { log: logs.handle(), before: Arc::clone(before) };
    let node = Node::new(Arc::new(log), replica, options).expect("a node");
    (node, standings, folder)
}

fn start(logs: &MemoryLogs, id: &str) -> (Arc<ClusterJournal>, Receiver<Standing>, TempDir) {
    let (node, standings, folder) = node(logs, id);
    (node.spawn().expect("threads"), standings, folder)
}

fn append(journal: &ClusterJournal, text: String) -> Receiver<Result<Vec<Appended>, Error>> {
    let body = Some(Body::Json(Bytes::from(text.into_bytes())));
    let topic = "a".parse().expect("a topic");
    let event = Event { topic, key: None, event_type: None, time: Timestamp::from_ms(1), body };
    let (sender, answer) = sync_channel(1);
    let reply = Box::new(move |result| drop(sender.send(result)));
    journal.append(vec![Append::new(event, None)], reply).expect("taken");
    answer
}

#[test]
fn two_nodes_on_threads_append_and_follow_and_end_in_order() {
    let logs = MemoryLogs::immediate();
    let nodes = ["one", "two"].map(|id| start(&logs, id));
    for (_, standings, _) in &nodes {
        assert!(standings.recv().expect("it follows").is_well());
    }
    let mut answers = Vec::new();
    for number in 0..1_000 {
        answers.push(append(&nodes[number % 2].0, format!("{number}")));
    }
    let mut offsets: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.recv().expect("answered").expect("appended")[0].offset)
        .collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), 1_000);
    // What is taken is answered before a node ends.
    let last = append(&nodes[0].0, "last".into());
    nodes[0].0.close().expect("closed");
    let last = last.recv().expect("answered").expect("appended")[0].offset;
    let topics = |node: &ClusterJournal| node.list_topics("", "", 9);
    while topics(&nodes[1].0).first().is_none_or(|topic| topic.last < last) {
        std::thread::yield_now();
    }
    nodes[1].0.close().expect("closed");
    assert_eq!(topics(&nodes[1].0)[0].events, 1_001);
    let mut known: Vec<_> =
        nodes[1].0.nodes().expect("read").into_iter().map(|node| node.id).collect();
    known.sort();
    assert_eq!(known, ["one".into(), "two".into()]);
}

/// Who appends is woken only where there is something to do: one time too few and all wait until it looks
/// by itself, a second later.
#[test]
fn what_waits_to_become_more_goes_as_soon_as_something_was_met() {
    const ROUNDS: u32 = 20;
    let logs = MemoryLogs::immediate();
    let before = Arc::<Before>::default();
    let (node, standings, _folder) = node_before(&logs, "one", &before);
    let node = node.spawn().expect("threads");
    assert!(standings.recv().expect("it follows").is_well());
    let tail = || logs.handle().span().expect("it is there").tail.get();
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        before.holds.store(true, Ordering::Release);
        let mut answers = Vec::new();
        for alone in 0..4 {
            let before = tail();
            answers.push(append(&node, format!("{round} {alone}")));
            while tail() == before {
                std::thread::yield_now();
            }
        }
        answers.extend((0..9).map(|more| append(&node, format!("{round} {more}"))));
        let (before_more, begun) = (tail(), clock::uptime());
        before.holds.store(false, Ordering::Release);
        for answer in answers {
            answer.recv().expect("answered").expect("appended");
        }
        took += clock::uptime().saturating_sub(begun);
        let more = tail() - before_more;
        assert!(more < 9, "what has waited goes together: {more}");
    }
    assert!(took < ROUNDS / 2 * Duration::from_secs(1), "{took:?}");
    node.close().expect("closed");
}

#[test]
fn who_has_caught_up_has_all_that_was_there() {
    let logs = MemoryLogs::immediate();
    let (one, _standings, _folder) = start(&logs, "one");
    let answers: Vec<_> = (0..300).map(|number| append(&one, format!("{number}"))).collect();
    for answer in answers {
        answer.recv().expect("answered").expect("appended");
    }
    let (mut two, _standings, _folder) = node(&logs, "two");
    assert!(!two.catch_up(Duration::from_millis(1), || false));
    assert!(two.catch_up(Duration::from_millis(100), || true));
    let topics = two.journal().list_topics("", "", 9);
    assert_eq!(topics[0].events, 300);
    assert!(matches!(two.journal().standing(), Standing::Following { .. }));
    one.close().expect("closed");
    two.journal().close().expect("closed");
}

/// Takes turns until it is so.
fn turn_until(node: &mut Node, mut is_so: impl FnMut(&ClusterJournal) -> bool) {
    let (_keep, never) = sync_channel::<()>(0);
    for _ in 0..2_000 {
        let wait = node.follow(Duration::from_millis(1));
        let _ = never.recv_timeout(wait.min(Duration::from_millis(10)));
        node.append();
        node.settle();
        if is_so(node.journal()) {
            return;
        }
    }
    panic!("in vain: {:?}", node.journal().standing());
}

/// The look whether a log is the same and its being followed are two calls.
#[test]
fn a_log_that_is_replaced_right_before_it_is_followed_is_found_to_be_another() {
    let logs = MemoryLogs::immediate();
    let before = Arc::<Before>::default();
    let (mut one, _standings, _folder) = node_before(&logs, "one", &before);
    turn_until(&mut one, |journal| journal.standing().is_well());
    let epoch = one.journal().epoch();
    let events = |journal: &ClusterJournal| {
        journal.list_topics("", "", 9).first().map_or(0, |topic| topic.events)
    };
    let _first = append(one.journal(), "first".into());
    turn_until(&mut one, |journal| events(journal) == 1);
    logs.fail(Fault::Copy);
    let _lost = append(one.journal(), "lost".into());
    turn_until(&mut one, |journal| events(journal) == 2);
    let (replaced, other) = (logs.clone(), logs.handle());
    *before.follow.lock().expect("held for a moment") = Some(Box::new(move || {
        replaced.fail(Fault::Restore);
        // By somebody else, so that it is as long as it was.
        for _ in 0..9 {
            other.append(Bytes::from_static(b"other"), None, Box::new(drop));
        }
    }));
    // Its following ends, and it follows again.
    logs.fail(Fault::Kill);
    logs.fail(Fault::Start);
    turn_until(&mut one, |journal| journal.epoch() != epoch && journal.standing().is_well());
    assert_eq!(events(one.journal()), 2, "what it has is still there");
    one.journal().close().expect("closed");
}

/// What is left out has to be left out by all: who could not read it does not know what it was.
#[test]
fn what_could_not_be_read_and_is_gone_is_not_left_out() {
    let logs = MemoryLogs::immediate();
    let before = Arc::<Before>::default();
    let (mut one, _standings, _folder) = node_before(&logs, "one", &before);
    turn_until(&mut one, |journal| journal.standing().is_well());
    let trimmed = logs.clone();
    *before.entry.lock().expect("held for a moment") =
        Some(Box::new(move || trimmed.fail(Fault::TrimByHand(Position::new(u64::MAX)))));
    logs.handle().append(Bytes::from_static(b"damaged on the way"), None, Box::new(drop));
    turn_until(&mut one, |journal| matches!(journal.standing(), Standing::Unfit { .. }));
    one.journal().close().expect("closed");
}
