//! Disks that fail at one call after the other: for once, for a while, or by being slow.
//!
//! What was acknowledged survives, a failure is said, and the server recovers without a restart
//! when the disk does. Nothing that was refused is served while it runs.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bellwire_model::Cursor;
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::harness::{Answer, FailingDisk, Fault, Process, Random, Stream, get, post};

/// Kinds of calls, one round each. Those that each commit makes come more often.
const KINDS: [&str; 7] = ["write", "sync", "open", "write", "truncate", "sync", "read"];
/// How many calls go well at most before one fails.
const CALLS_IN_TURN: u64 = 20;
const PUBLISHED_PER_ROUND: usize = 12;
const SILENCED_PER_ROUND: usize = 2;
/// Calls of each kind that fail in turn while a server starts.
const FAILING_STARTS: u64 = 10;
/// Writes of a first start, each of which fails in turn.
const FIRST_WRITES: u64 = 12;
const UNTIL_HEALED: u64 = 1_000_000;
const SLOW_MS: u64 = 2_000;
const TRIES_MAX: usize = 5_000;

/// Looks again and again; fails after very many times.
#[track_caller]
pub(crate) fn until(what: &str, mut look: impl FnMut() -> bool) {
    for _ in 0..TRIES_MAX {
        if look() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("waited in vain for {what}");
}

struct Trial {
    disk: FailingDisk,
    random: Random,
    durability: &'static str,
    process: Process,
    address: SocketAddr,
    published: u64,
    /// Cursors and data, in order.
    acknowledged: Vec<(String, Value)>,
    /// Data that was refused in this life of the server.
    refused: Vec<Value>,
    silences: BTreeSet<String>,
}

fn serve(disk: &FailingDisk, durability: &str) -> Process {
    let data = disk.data();
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--durability", durability];
    Process::spawn(disk.command(&arguments))
}

pub(crate) fn address(line: &str) -> SocketAddr {
    let address = line.strip_prefix("listening on http://").and_then(|text| text.parse().ok());
    address.unwrap_or_else(|| panic!("no address: {line}"))
}

/// A refusal has to say what is wrong.
#[track_caller]
fn assert_says_why(answer: &Answer) {
    assert!(matches!(answer.status, 503 | 507), "{}: {}", answer.status, answer.text());
    assert!(answer.text().contains("journal"), "{}", answer.text());
}

impl Trial {
    fn start(disk: FailingDisk, durability: &'static str) -> Self {
        let mut process = serve(&disk, durability);
        let address = address(&process.line());
        let random = Random::announced();
        let (acknowledged, refused, silences) = (Vec::new(), Vec::new(), BTreeSet::new());
        let published = 0;
        Self {
            disk,
            random,
            durability,
            process,
            address,
            published,
            acknowledged,
            refused,
            silences,
        }
    }

    /// Returns whether it was acknowledged.
    fn publish(&mut self) -> bool {
        self.published += 1;
        let padding = "x".repeat(self.random.below(6_000) as usize);
        let data = json!({ "number": self.published, "padding": padding });
        let answer = post(self.address, "/v1/topics/lab/a", data.to_string());
        if answer.status == 201 {
            self.acknowledged.push((answer.cursor(), data));
            return true;
        }
        assert_says_why(&answer);
        self.refused.push(data);
        let code = answer.json()["code"].clone();
        assert!(code == "journal_unavailable" || code == "journal_full", "{}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
        false
    }

    /// Returns whether it was acknowledged.
    fn silence(&mut self) -> bool {
        let silence = json!({
            "matchers": [{ "name": "site", "value": "oslo", "isRegex": false }],
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": "2999-01-01T00:00:00Z",
            "createdBy": "ada",
            "comment": "maintenance",
        });
        let answer = post(self.address, "/api/v2/silences", silence.to_string());
        if answer.status == 200 {
            let id = answer.json()["silenceID"].as_str().expect("an id").to_owned();
            self.silences.insert(id);
            return true;
        }
        assert!(answer.status >= 500, "{}: {}", answer.status, answer.text());
        false
    }

    /// What the write-ahead file begins with, which is something else each time it begins anew.
    fn salts(&self) -> Vec<u8> {
        let file = Path::new(&self.disk.data()).join("journal.sqlite-wal");
        let bytes = std::fs::read(file).expect("it can be read");
        bytes.get(16..24).map(Into::into).unwrap_or_default()
    }

    fn fault(&mut self, kind: &'static str) -> Fault {
        let errors = [Errno::IO, Errno::NOSPC, Errno::ROFS];
        let errno = errors[self.random.below(3) as usize].raw_os_error();
        let skip = self.random.below(CALLS_IN_TURN);
        let failing = Fault { kind, skip, count: 1, errno, sleep_ms: 0 };
        match self.random.below(4) {
            0 => failing,
            1 => Fault { count: 2 + self.random.below(8), ..failing },
            2 => Fault { count: UNTIL_HEALED, ..failing },
            _ => Fault { count: 1, errno: 0, sleep_ms: SLOW_MS, ..failing },
        }
    }

    /// Publishes while the disk fails.
    fn endure(&mut self, fault: Fault) {
        self.disk.fail(fault);
        for _ in 0..SILENCED_PER_ROUND {
            self.silence();
            for _ in 0..PUBLISHED_PER_ROUND / SILENCED_PER_ROUND {
                self.publish();
            }
        }
        let is_of_each_commit = matches!(fault.kind, "write" | "sync");
        if is_of_each_commit {
            until("a call that is hit", || {
                self.publish();
                self.disk.hits() > 0
            });
        }
        // Where nothing can be written, or nothing synced, this is noticed and said.
        if is_of_each_commit && fault.count == UNTIL_HEALED {
            until("a refusal", || !self.publish());
            let ready = get(self.address, "/readyz");
            assert_eq!(ready.status, 503, "{}", ready.text());
            assert!(ready.text().contains("the journal takes no events: "), "{}", ready.text());
            assert!(!self.publish(), "the disk still fails");
        }
        assert_eq!(get(self.address, "/healthz").status, 200);
    }

    /// The disk is well again, and so is the server, without a restart.
    fn recover(&mut self) {
        self.disk.heal();
        until("an event that is taken", || self.publish());
        let address = self.address;
        until("readiness", || get(address, "/readyz").status == 200);
        self.check();
        // What was acknowledged since has taken their place.
        self.refused.clear();
    }

    /// Starts while the disk fails: it says why it does not, or serves what there is.
    fn start_enduring(&mut self, fault: Fault) {
        self.disk.fail(fault);
        self.process = serve(&self.disk, self.durability);
        if let Some(line) = self.process.line_or_end() {
            self.address = address(&line);
            for _ in 0..3 {
                self.publish();
            }
        } else {
            assert_eq!(self.process.wait().code(), Some(1));
            let errors = self.process.errors();
            assert!(errors.lines().any(|line| line.starts_with("error: ")), "{errors}");
            assert!(!errors.contains("panicked"), "{errors}");
        }
        self.process.kill();
        self.disk.heal();
    }

    fn restart(&mut self) {
        self.process.kill();
        self.process = serve(&self.disk, self.durability);
        self.address = address(&self.process.line());
    }

    /// Cursors and data of all that is served.
    #[track_caller]
    fn served(&self) -> Vec<(String, Value)> {
        let mut stream = Stream::open(self.address, "topic=lab/a&after=earliest");
        let items = stream.until_ready();
        assert!(items.iter().all(|item| item.event_type != "gap"), "nothing is lost");
        items.into_iter().map(|item| (item.id.clone(), item.payload())).collect()
    }

    /// All that was acknowledged is served in order, and nothing else.
    #[track_caller]
    fn check(&self) {
        assert_same(&self.served(), &self.acknowledged);
        self.check_silences();
    }

    /// What was refused because its commit could not be synced may be there after a kill: it was
    /// written, and nothing else came in its place.
    #[track_caller]
    fn check_after_kill(&mut self) {
        let served = self.served();
        let offset = |(id, _): &(String, Value)| id.parse::<Cursor>().expect("a cursor").offset;
        assert!(served.is_sorted_by(|one, next| offset(one) < offset(next)));
        let is_acknowledged = |event: &&(String, Value)| self.acknowledged.contains(event);
        let (known, others): (Vec<_>, Vec<_>) = served.iter().partition(is_acknowledged);
        let known: Vec<_> = known.into_iter().cloned().collect();
        assert_same(&known, &self.acknowledged);
        for (id, data) in others {
            assert!(self.refused.contains(data), "{id} is what nobody has published");
        }
        self.refused.clear();
        self.acknowledged = served;
        self.check_silences();
    }

    #[track_caller]
    fn check_silences(&self) {
        let silences = get(self.address, "/api/v2/silences").json();
        let ids = silences.as_array().expect("a list").iter();
        let ids: BTreeSet<String> =
            ids.map(|silence| silence["id"].as_str().expect("an id").to_owned()).collect();
        assert!(ids.is_superset(&self.silences), "{ids:?} of {:?}", self.silences);
    }
}

/// Compares all, and tells numbers alone.
#[track_caller]
fn assert_same(found: &[(String, Value)], expected: &[(String, Value)]) {
    let numbers = |events: &[(String, Value)]| {
        let number = |(id, data): &(String, Value)| format!("{id}: {}", data["number"]);
        events.iter().map(number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(found), numbers(expected));
    assert!(found == expected, "data is damaged");
}

#[test]
fn a_failing_disk_loses_nothing_acknowledged_and_is_recovered_from_with_durability_sync() {
    survives_faults("sync");
}

#[test]
fn a_failing_disk_loses_nothing_acknowledged_and_is_recovered_from_with_durability_interval() {
    survives_faults("interval");
}

fn survives_faults(durability: &'static str) {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let mut trial = Trial::start(disk, durability);
    assert!(trial.silence());
    for kind in KINDS {
        let mut fault = trial.fault(kind);
        if durability == "interval" && kind == "sync" {
            // One a second.
            fault.skip %= 3;
        }
        println!("serving with {fault:?}");
        trial.endure(fault);
        println!("{} calls were hit", trial.disk.hits());
        trial.recover();
        trial.process.kill();

        let fault = trial.fault(kind);
        println!("starting with {fault:?}");
        trial.start_enduring(fault);
        println!("{} calls were hit", trial.disk.hits());
        trial.restart();
        trial.check_after_kill();
    }
}

#[test]
fn behind_a_sync_that_failed_nothing_is_acknowledged_in_the_same_write_ahead_file() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let mut trial = Trial::start(disk, "interval");
    for _ in 0..3 {
        assert!(trial.publish());
        let before = trial.salts();
        // The sync of the silence, or the one of each second, after which it is tried again.
        until("a silence that is refused", || {
            let errno = Errno::IO.raw_os_error();
            trial.disk.fail(Fault { kind: "sync", skip: 0, count: 1, errno, sleep_ms: 0 });
            !trial.silence()
        });
        trial.disk.heal();
        until("an event that is taken", || trial.publish());
        assert_ne!(trial.salts(), before, "nobody knows what of it is on the disk");
        trial.check();
    }
}

#[test]
fn streams_are_told_that_the_journal_cannot_be_written_and_that_it_can_again() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let mut trial = Trial::start(disk, "sync");
    assert!(trial.publish());
    let mut stream = Stream::open(trial.address, "topic=lab/a");
    drop(stream.until_ready());
    let errno = Errno::NOSPC.raw_os_error();
    trial.disk.fail(Fault { kind: "write", skip: 0, count: UNTIL_HEALED, errno, sleep_ms: 0 });
    assert!(!trial.publish());
    let told = stream.next().expect("the stream goes on");
    assert_eq!(told.event_type, "degraded", "{told:?}");
    let told = told.json();
    assert_eq!((&told["reason"], &told["fails"]), (&json!("journal_failing"), &json!(["publish"])));
    trial.disk.heal();
    until("an event that is taken", || trial.publish());
    let (_, last) = trial.acknowledged.last().expect("it was taken").clone();
    let mut after = [stream.next(), stream.next()].map(|item| item.expect("the stream goes on"));
    // What is told has settled for a while, and events do not wait for it.
    after.sort_by_key(|item| item.event_type.clone());
    assert_eq!(after.each_ref().map(|item| item.event_type.as_str()), ["message", "restored"]);
    assert_eq!(after[0].payload(), last);
}

#[test]
fn a_start_whose_disk_fails_at_any_call_leaves_a_journal_that_the_next_one_opens() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let mut trial = Trial::start(disk, "sync");
    assert!(trial.silence());
    for kind in ["write", "sync", "open"] {
        for skip in 0..FAILING_STARTS {
            assert!(trial.publish());
            trial.process.kill();
            let errno = Errno::IO.raw_os_error();
            trial.start_enduring(Fault { kind, skip, count: 1, errno, sleep_ms: 0 });
            trial.restart();
            trial.check_after_kill();
        }
    }
}

#[test]
fn a_first_start_on_a_disk_that_is_full_leaves_nothing_in_the_way_of_the_next() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let errno = Errno::NOSPC.raw_os_error();
    for skip in 0..FIRST_WRITES {
        disk.fail(Fault { kind: "write", skip, count: UNTIL_HEALED, errno, sleep_ms: 0 });
        // It listens where it needs fewer writes than that.
        let mut process = serve(&disk, "sync");
        process.line_or_end();
        process.kill();
        disk.heal();
        let mut process = serve(&disk, "sync");
        let line = process.line_or_end();
        assert!(line.is_some(), "{skip} writes went well\n{}", process.errors());
        process.kill();
        std::fs::remove_dir_all(disk.data()).expect("removed");
    }
}
