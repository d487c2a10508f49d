//! A node on threads of its own.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bellwire_cluster::{Clock, ClusterJournal, LeaseTiming, Node, NodeOptions, Standing};
use bellwire_journal::{Append, Appended, Error, Journal};
use bellwire_model::{Body, Event, Timestamp};
use bellwire_shared_log::{
    Assurance, Ended, Entry, Error as LogError, Fence, Following, Generation, MemoryLog,
    MemoryLogs, Position, Register, SharedLog, Span, Stored,
};
use bytes::Bytes;
use tempfile::TempDir;

use crate::rig::{Seen, open};

/// The log in memory, whose followings wait.
#[derive(Debug)]
struct Waiting(Arc<MemoryLog>);

struct WaitingFollowing(Box<dyn Following>);

impl Following for WaitingFollowing {
    fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended> {
        let (_keep, never) = sync_channel::<()>(0);
        for _ in 0..patience.as_millis() {
            let entries = self.0.next(Duration::ZERO)?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            let _ = never.recv_timeout(Duration::from_millis(1));
        }
        Ok(Vec::new())
    }
}

impl SharedLog for Waiting {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        self.0.append(batch, fence, stored);
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, LogError> {
        Ok(Box::new(WaitingFollowing(self.0.follow(after)?)))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, LogError> {
        self.0.entry(at)
    }

    fn span(&self) -> Result<Span, LogError> {
        self.0.span()
    }

    fn trim(&self, until: Position) -> Result<(), LogError> {
        self.0.trim(until)
    }

    fn register(&self, name: &str) -> Result<Register, LogError> {
        self.0.register(name)
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, LogError> {
        self.0.set_register(name, expected, value)
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, LogError> {
        self.0.registers(prefix)
    }

    fn assurance(&self) -> Result<Assurance, LogError> {
        self.0.assurance()
    }
}

fn node(logs: &MemoryLogs, id: &str) -> (Node, Receiver<Standing>, TempDir) {
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
    };
    let node = Node::new(Arc::new(Waiting(logs.handle())), replica, options).expect("a node");
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
