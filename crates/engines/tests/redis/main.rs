//! The log on real servers: the contract, and what is particular to Redis and Valkey.
//!
//! The servers are those that `REDIS_SERVER_BIN` and `VALKEY_SERVER_BIN` name.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod proxy;
mod server;
#[path = "../shared/standstill.rs"]
mod standstill;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use bellwire_engines::{Options, connect};
use bellwire_shared_log::contract::{CLAUSES, Engine, Fault};
use bellwire_shared_log::{Ended, Error, Following, Generation, Position, SharedLog};
use bytes::Bytes;

use self::server::{LOG, META, REGISTERS, Server, of, programs, until};

/// How many clauses are checked at once, each on a server of its own: most of them wait.
const AT_ONCE: usize = 4;

/// How long what follows is asked for, at once.
const PATIENCE: Duration = Duration::from_millis(200);

/// Each server that is there, or a loud word where none is.
fn on_each(test: impl Fn(&Path)) {
    let programs: Vec<PathBuf> = programs();
    if programs.is_empty() {
        let skipped = "SKIPPED: REDIS_SERVER_BIN names no server; `cargo xtask test` brings one";
        let _ = writeln!(std::io::stderr(), "{skipped}");
    }
    for program in &programs {
        test(program);
    }
}

/// Appends, and waits for the answer.
fn store(log: &Arc<dyn SharedLog>, batch: &str) -> Result<Position, Error> {
    let (sender, answer) = sync_channel(1);
    let stored = Box::new(move |result| drop(sender.send(result)));
    log.append(Bytes::copy_from_slice(batch.as_bytes()), None, stored);
    answer.recv().unwrap()
}

/// Why it ends.
fn end(following: &mut Box<dyn Following>) -> Ended {
    let mut ended = None;
    until("the following ends", || {
        ended = following.next(PATIENCE).err();
        ended.is_some()
    });
    ended.unwrap()
}

#[test]
fn the_contract_is_kept() {
    on_each(|program| {
        let next = AtomicUsize::new(0);
        let check = || {
            while let Some(clause) = CLAUSES.get(next.fetch_add(1, Ordering::Relaxed)) {
                clause.run(&mut || Box::new(Server::start(program)));
            }
        };
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(check);
            }
        });
    });
}

#[test]
fn a_server_that_would_evict_the_log_is_refused() {
    on_each(|program| {
        let server = Server::start_with(program, &["--maxmemory-policy", "allkeys-lru"]);
        let error = server.handle().unwrap_err();
        assert!(matches!(error, Error::Unfit(_)), "{error:?}");
        assert!(error.to_string().contains("`maxmemory-policy` is `allkeys-lru`"), "{error}");
        server.does::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
        server.handle().unwrap();
    });
}

#[test]
fn a_server_of_a_cluster_is_refused() {
    on_each(|program| {
        let server = Server::start_with(program, &["--cluster-enabled", "yes"]);
        let error = server.handle().unwrap_err();
        assert!(matches!(error, Error::Unfit(_)), "{error:?}");
        assert!(error.to_string().contains("Redis Cluster"), "{error}");
    });
}

#[test]
fn who_has_no_right_is_refused() {
    on_each(|program| {
        let server = Server::start(program);
        let allow = |name: &str, rules: &[&str]| {
            let user = ["ACL", "SETUSER", name, "on", ">secret"];
            server.does::<()>(&[&user, rules].concat());
        };
        allow("good", &["~{bellwire:*", "+@all", "-@admin"]);
        allow("keyless", &["~other:*", "+@all"]);
        allow("scriptless", &["~*", "+@all", "-@scripting"]);
        allow("silent", &["~*", "+@all", "-info"]);
        allow("unseeing", &["~*", "+@all", "-xinfo"]);
        let with = |user: &str| {
            let address = server.address().replace("redis://", &format!("redis://{user}@"));
            connect(&address, &Options::default())
        };
        // That CONFIG may not be asked is said, and no reason to refuse.
        let good = with("good:secret").unwrap();
        store(&good, "batch").unwrap();
        let doubts = good.assurance().unwrap().doubts;
        assert!(doubts[0].contains("which CONFIG GET may not tell"), "{doubts:?}");
        let users = ["good:wrong", "nobody:secret", "keyless:secret", "scriptless:secret"];
        for user in users.into_iter().chain(["silent:secret", "unseeing:secret"]) {
            let error = with(user).unwrap_err();
            assert!(matches!(error, Error::Refused(_)), "{user}: {error:?}");
            assert!(!error.to_string().contains("secret"), "{user}: {error}");
        }
        server.does::<()>(&["CONFIG", "SET", "requirepass", "long"]);
        let error = server.handle().unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error:?}");
        with(":long").unwrap();
    });
}

#[test]
fn a_key_that_belongs_to_something_else_is_refused() {
    on_each(|program| {
        for (command, expected) in [
            (&["SET", LOG, "x"][..], "belongs to something else"),
            (&["SET", REGISTERS, "x"], "belongs to something else"),
            (&["SET", META, "x"], "belongs to something else"),
            (&["HSET", META, "is", "x"], "belongs to something else"),
            (&["HSET", META, "is", "bellwire", "format", "2"], "is of a newer Bellwire"),
            (&["XADD", LOG, "*", "field", "x"], "belongs to something else"),
            (&["HSET", REGISTERS, "epoch", "x"], "belongs to something else"),
        ] {
            let server = Server::start(program);
            server.does::<redis::Value>(command);
            let error = server.handle().unwrap_err();
            assert!(matches!(error, Error::Unfit(_)), "{command:?}: {error:?}");
            assert!(error.to_string().contains(expected), "{command:?}: {error}");
        }
    });
}

#[test]
fn clusters_of_other_names_and_databases_have_logs_of_their_own() {
    on_each(|program| {
        let server = Server::start(program);
        let other = Options { cluster: "other".to_owned(), ..Options::default() };
        let logs = [
            server.handle().unwrap(),
            connect(&server.address(), &other).unwrap(),
            connect(&format!("{}/7", server.address()), &Options::default()).unwrap(),
        ];
        for log in &logs {
            assert_eq!(store(log, "batch"), Ok(Position::new(1)));
        }
    });
}

#[test]
fn entries_of_others_in_the_stream_are_told() {
    on_each(|program| {
        let server = Server::start(program);
        let log = server.handle().unwrap();
        let first = store(&log, "first").unwrap();
        let mut following = log.follow(first).unwrap();
        server.does::<String>(&["XADD", LOG, "*", "field", "value"]);
        let ended = end(&mut following);
        assert!(matches!(&ended, Ended::Lost(why) if why.contains("something else")), "{ended:?}");
        let told = [store(&log, "second").err(), log.span().err(), server.handle().err()];
        for error in told {
            assert!(matches!(error, Some(Error::Unfit(_))), "{error:?}");
        }
        assert_eq!(&log.entry(first).unwrap().unwrap().batch[..], b"first");
    });
}

#[test]
fn a_deleted_stream_is_a_trimmed_log() {
    on_each(|program| {
        let server = Server::start(program);
        let log = server.handle().unwrap();
        let generation = log.set_register("epoch", Generation::NEVER, "value".into()).unwrap();
        let last = ["a", "b", "c"].map(|batch| store(&log, batch).unwrap())[2];
        let mut following = log.follow(Position::START).unwrap();
        server.does::<()>(&["DEL", LOG]);
        let span = log.span().unwrap();
        assert_eq!((span.trimmed, span.tail), (last, last));
        let mut stored = None;
        until("the log is appended to again", || {
            stored = store(&log, "d").ok();
            stored.is_some()
        });
        assert_eq!(stored, Some(Position::new(last.get() + 1)));
        assert_eq!(log.span().unwrap().trimmed, last);
        assert_eq!(log.register("epoch").unwrap().generation, generation);
        // It has read what was there, or not.
        let mut after = Position::START;
        until("it is followed to the end, or ends", || match following.next(PATIENCE) {
            Ok(entries) => {
                after = entries.last().map_or(after, |entry| entry.position);
                Some(after) == stored
            }
            Err(ended) => {
                assert_eq!(ended, Ended::Trimmed(last));
                true
            }
        });
    });
}

#[test]
fn generations_go_on_where_a_copy_was_restored() {
    on_each(|program| {
        let server = Server::start(program);
        let log = server.handle().unwrap();
        let old = log.set_register("lease", Generation::NEVER, "old".into()).unwrap();
        let copy: Vec<u8> = server.does(&["DUMP", REGISTERS]);
        let counted: String = server.does(&["HGET", META, "generation"]);
        let lost = log.set_register("lease", old, "lost".into()).unwrap();
        let mut restore = of(&["RESTORE", REGISTERS, "0"]);
        let restore = restore.arg(copy).arg("REPLACE");
        restore.query::<()>(&mut server.connection()).unwrap();
        server.does::<()>(&["HSET", META, "generation", &counted]);
        let new = log.set_register("lease", old, "new".into()).unwrap();
        assert!(new > lost, "{new:?} after {lost:?}");
    });
}

#[test]
fn a_server_that_becomes_a_replica_is_told() {
    on_each(|program| {
        let (server, leader) = (Server::start(program), Server::start(program));
        let log = server.handle().unwrap();
        let first = store(&log, "first").unwrap();
        let mut following = log.follow(first).unwrap();
        let port = leader.port.to_string();
        server.does::<()>(&["REPLICAOF", "127.0.0.1", &port]);
        let ended = end(&mut following);
        assert!(matches!(ended, Ended::Lost(_)), "{ended:?}");
        let calls = [
            store(&log, "second").err(),
            log.span().err(),
            log.entry(first).err(),
            log.register("epoch").err(),
            log.set_register("epoch", Generation::NEVER, Bytes::new()).err(),
            log.trim(first).err(),
            log.follow(first).err(),
            server.handle().err(),
        ];
        for (call, error) in calls.into_iter().enumerate() {
            assert!(matches!(error, Some(Error::Away(_))), "call {call}: {error:?}");
        }
        until("it says who leads", || {
            let error = server.handle().unwrap_err().to_string();
            error.contains(&format!("this server is a replica; 127.0.0.1:{port} leads"))
        });
        server.does::<()>(&["REPLICAOF", "NO", "ONE"]);
        // It has what the other one had: nothing.
        until("it leads again", || log.span().is_ok_and(|span| span.tail == Position::START));
        assert_eq!(log.entry(first), Ok(None));
    });
}

/// A server that led goes on as if it did, for who is connected to it.
#[test]
fn all_connections_are_to_the_server_that_is_followed() {
    on_each(|program| {
        let (server, next) = (Server::start(program), Server::start(program));
        let log = server.handle().unwrap();
        let first = store(&log, "first").unwrap();
        next.does::<()>(&["REPLICAOF", "127.0.0.1", &server.port.to_string()]);
        until("the replica has it", || next.does::<usize>(&["XLEN", LOG]) == 1);
        next.does::<()>(&["REPLICAOF", "NO", "ONE"]);
        let second = store(&log, "of the old one").unwrap();
        assert_eq!(store(&next.handle().unwrap(), "of the new one"), Ok(second));

        server.lead_to(&next);
        let mut following = log.follow(first).unwrap();
        assert_eq!(&log.entry(second).unwrap().unwrap().batch[..], b"of the new one");
        let third = store(&log, "third").unwrap();
        let mut batches = Vec::new();
        until("all is followed", || {
            batches.extend(following.next(PATIENCE).unwrap());
            batches.last().is_some_and(|last| last.position >= third)
        });
        let batches: Vec<&[u8]> = batches.iter().map(|entry| &entry.batch[..]).collect();
        assert_eq!(batches, [&b"of the new one"[..], b"third"]);
    });
}

#[test]
fn replicas_that_have_to_have_it_are_waited_for() {
    on_each(|program| {
        let server = Server::start(program);
        let replica = Server::start(program);
        let port = server.port.to_string();
        replica.does::<()>(&["REPLICAOF", "127.0.0.1", &port]);
        let has_replica =
            || server.does::<String>(&["INFO", "replication"]).contains("state=online");
        until("the replica is there", has_replica);
        let log = server.handle().unwrap();
        store(&log, "waits for nobody").unwrap();
        let losses = log.assurance().unwrap().losses;
        assert!(
            losses.iter().any(|loss| loss.contains("the replica that takes over")),
            "{losses:?}"
        );

        server.does::<()>(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        let log = server.handle().unwrap();
        let losses = log.assurance().unwrap().losses;
        assert!(!losses.iter().any(|loss| loss.contains("takes over")), "{losses:?}");
        let stored = store(&log, "waits").unwrap();
        assert_eq!(replica.does::<usize>(&["XLEN", LOG]) as u64, stored.get());
        replica.does::<()>(&["REPLICAOF", "NO", "ONE"]);
        let error = store(&log, "waits in vain").unwrap_err();
        assert!(matches!(error, Error::Away(_)), "{error:?}");
        // What nobody has to have written for is read as before.
        assert_eq!(&log.entry(stored).unwrap().unwrap().batch[..], b"waits");
    });
}

#[test]
fn a_server_says_what_it_may_lose() {
    on_each(|program| {
        for (arguments, expected) in [
            (&["--appendonly", "yes", "--appendfsync", "always"][..], None),
            (&["--appendonly", "yes"], Some("the last two seconds")),
            (&["--appendonly", "yes", "--appendfsync", "no"], Some("half a minute")),
            (&[], Some("since the last snapshot")),
        ] {
            let server = Server::start_with(program, arguments);
            let assurance = server.handle().unwrap().assurance().unwrap();
            assert!(assurance.engine.contains("-server "), "{assurance:?}");
            assert!(assurance.engine.contains(" at 127.0.0.1:"), "{assurance:?}");
            assert_eq!(assurance.losses.len(), usize::from(expected.is_some()), "{assurance:?}");
            if let Some(expected) = expected {
                assert!(assurance.losses[0].contains(expected), "{assurance:?}");
            }
        }
    });
}

#[test]
fn scripts_that_were_flushed_are_loaded_again() {
    on_each(|program| {
        let server = Server::start(program);
        let log = server.handle().unwrap();
        store(&log, "first").unwrap();
        server.does::<()>(&["SCRIPT", "FLUSH"]);
        log.span().unwrap();
        server.does::<()>(&["SCRIPT", "FLUSH"]);
        until("it is appended again", || store(&log, "second").is_ok());
        assert_eq!(log.span().unwrap().tail, Position::new(2));
    });
}

#[test]
fn many_batches_are_trimmed_in_steps() {
    on_each(|program| {
        let server = Server::start(program);
        let log = server.handle().unwrap();
        let (sender, answers) = sync_channel(10_000);
        for _ in 0..10_000 {
            let sender = sender.clone();
            let stored = Box::new(move |result| sender.send(result).unwrap());
            log.append(Bytes::from_static(b"batch"), None, stored);
        }
        let last = answers.iter().take(10_000).last().unwrap().unwrap();
        assert_eq!(last, Position::new(10_000));
        log.trim(Position::new(9_999)).unwrap();
        assert_eq!(log.span().unwrap().trimmed, Position::new(9_999));
        assert_eq!(server.does::<usize>(&["XLEN", LOG]), 1);
    });
}

#[test]
fn there_is_a_bound_to_what_waits() {
    on_each(|program| {
        let mut server = Server::start(program);
        let log = server.handle().unwrap();
        server.fault(Fault::Pause);
        let batch = Bytes::from(vec![0; 512 * 1024]);
        let (sender, answers) = sync_channel(200);
        for _ in 0..200 {
            let sender = sender.clone();
            log.append(batch.clone(), None, Box::new(move |result| sender.send(result).unwrap()));
        }
        drop(sender);
        let answers: Vec<_> = answers.iter().collect();
        let full = answers.iter().filter(|answer| matches!(answer, Err(Error::Full(_)))).count();
        let away = answers.iter().filter(|answer| matches!(answer, Err(Error::Away(_)))).count();
        assert_eq!((answers.len(), full + away), (200, 200));
        assert!((70..=80).contains(&full), "{full}");
        server.fault(Fault::Resume);
    });
}
