//! Three servers that keep the log together, of which one that leads is killed.

use std::fmt;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bellwire_engines::{Options, connect};
use bellwire_process::clock::pause;
use bellwire_shared_log::contract::{CLAUSES, Clause, Engine, Fault};
use bellwire_shared_log::{Ended, Error, Fence, Generation, Position, SharedLog};

use crate::following::{store, to_the_end};
use crate::nats::{by_hand, trim_by_hand};
use crate::server::{JETSTREAM, Server, program};

/// How long something may take, in pauses.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSES_MAX: usize = 600;

/// How many batches are appended while the leader is killed.
const BATCHES: usize = 400;

/// What may be otherwise where several servers keep a log.
const ON_SEVERAL: [&str; 12] = [
    "batches_appended_without_waiting_are_stored_in_order",
    "appends_of_many_handles_are_in_one_order",
    "many_large_batches_are_stored_in_order",
    "of_two_that_set_a_register_at_once_one_wins",
    "a_fenced_append_is_stored_while_its_register_is_so",
    "what_is_fenced_is_kept_out_by_itself",
    "a_set_register_keeps_out_what_is_under_way",
    "a_set_register_keeps_out_what_a_fault_has_held_up",
    "trimmed_batches_are_gone_and_said_to_be",
    "trimming_leaves_registers",
    "what_was_answered_survives_a_kill",
    "a_following_ends_when_the_engine_is_away",
];

struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    fn start(program: &Path) -> Self {
        let servers = until("three servers start", || Self::servers(program));
        Self { servers }
    }

    /// Servers find each other by ports that are known before: somebody else may have taken one.
    fn servers(program: &Path) -> Result<Vec<Server>, String> {
        let ports: Vec<u16> = (0..6).map(|_| free_port()).collect();
        let routes: Vec<String> =
            ports[..3].iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let routes = routes.join(", ");
        let start = |number: usize| {
            let (route, port) = (ports[number], ports[3 + number]);
            let settings = format!(
                "server_name: n{number}\nport: {port}\n{JETSTREAM}\n\
                 cluster {{ name: c, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n"
            );
            Server::try_start(program, &settings)
        };
        (0..3).map(start).collect()
    }

    fn address(&self) -> String {
        let addresses: Vec<String> = self.servers.iter().map(Server::address).collect();
        addresses.join(",")
    }

    /// A handle, as soon as the servers have found each other.
    fn open(&self) -> Arc<dyn SharedLog> {
        until("a handle is opened", || {
            connect(&self.address(), &Options::default()).map_err(|error| error.to_string())
        })
    }

    /// Which server leads the stream.
    fn leader(&self) -> usize {
        let leader = by_hand(&self.servers[0].address(), async |stream, _| {
            stream.get_info().await.unwrap().cluster.unwrap().leader.unwrap()
        });
        leader.trim_start_matches('n').parse().unwrap()
    }
}

/// A port that is free now, and that nobody is given who asks for any.
fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(16_000..32_000)).find(is_free).unwrap()
}

fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let mut why = String::new();
    for _ in 0..PAUSES_MAX {
        match attempt() {
            Ok(value) => return value,
            Err(error) => why = error,
        }
        pause(PAUSE);
    }
    panic!("waited in vain: {what}, but {why}")
}

/// Appends many batches without waiting; returns what waits for their answers.
fn pipeline(
    log: &Arc<dyn SharedLog>,
    fence: Option<&Fence>,
) -> Vec<std::sync::mpsc::Receiver<Result<Position, Error>>> {
    let append = |number: usize| {
        let (sender, answer) = sync_channel(1);
        let stored = Box::new(move |result| drop(sender.send(result)));
        log.append(format!("a-{number}").into(), fence.cloned(), stored);
        answer
    };
    (0..BATCHES).map(append).collect()
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("three nats-servers")
    }
}

impl Engine for Cluster {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        connect(&self.address(), &Options::default())
    }

    fn fault(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Kill => self.servers.iter_mut().for_each(Server::kill),
            Fault::Start => self.servers.iter_mut().for_each(Server::start_again),
            Fault::Pause => self.servers.iter().for_each(|server| server.signal("STOP")),
            Fault::Resume => self.servers.iter().for_each(|server| server.signal("CONT")),
            Fault::TrimByHand(position) => trim_by_hand(&self.servers[0].address(), position),
            _ => return false,
        }
        true
    }
}

#[test]
fn three_servers_keep_what_may_be_otherwise_there() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let clauses = CLAUSES.iter().filter(|clause| ON_SEVERAL.contains(&clause.name));
    let clauses: Vec<Clause> = clauses.copied().collect();
    assert_eq!(clauses.len(), ON_SEVERAL.len(), "all of them are clauses");
    crate::check(&clauses, &|| Box::new(Cluster::start(&program)));
}

#[test]
fn fences_hold_back_nothing_that_is_allowed_on_several_servers() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let cluster = Cluster::start(&program);
    let (log, other) = (cluster.open(), cluster.open());
    let generation = log.set_register("lease", Generation::NEVER, "holder".into()).unwrap();
    let fence = Fence { register: "lease".to_owned(), generation };
    // Servers refuse what is fenced by the same register while one is under way, of either handle.
    let answers = [pipeline(&log, Some(&fence)), pipeline(&other, Some(&fence))];
    for answers in answers {
        let positions: Vec<Position> =
            answers.into_iter().map(|answer| answer.recv().unwrap().unwrap()).collect();
        assert!(positions.is_sorted_by(|a, b| a < b), "{positions:?}");
    }
    let new = until("the lease is taken", || {
        let set = other.set_register("lease", generation, "another".into());
        set.map_err(|error| error.to_string())
    });
    for answer in pipeline(&log, Some(&fence)) {
        assert_eq!(answer.recv().unwrap(), Err(Error::Fenced("lease".to_owned())));
    }
    assert_eq!(log.register("lease").unwrap().generation, new);
    assert!(log.assurance().unwrap().doubts[0].contains("3 servers"));
}

#[test]
fn a_leader_killed_while_batches_are_appended_loses_none_that_was_answered() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let mut cluster = Cluster::start(&program);
    let (log, other) = (cluster.open(), cluster.open());
    let first = store(&log, "first");
    let mut followings = [&log, &other].map(|log| log.follow(Position::START).unwrap());
    for following in &mut followings {
        assert_eq!(crate::following::read(following, 1)[0].position, first);
    }
    let mut answers = pipeline(&log, None);
    let leader = cluster.leader();
    answers.extend(pipeline(&other, None));
    cluster.servers[leader].kill();
    let answered: Vec<Position> = answers
        .into_iter()
        .filter_map(|answer| match answer.recv().unwrap() {
            Ok(position) => Some(position),
            Err(Error::Away(_)) => None,
            Err(other) => panic!("{other:?}"),
        })
        .collect();
    for following in &mut followings {
        let (_, ended) = to_the_end(following);
        assert!(matches!(ended, Ended::Lost(_)), "{ended:?}");
    }
    for log in [&log, &other] {
        until("another server leads", || log.span().map_err(|error| error.to_string()));
        for &position in &answered {
            let entry = until("what was answered is read", || {
                log.entry(position).map_err(|error| error.to_string())
            });
            assert!(entry.is_some(), "{position} was answered");
        }
    }
    let set = until("registers are set again", || {
        let set = log.set_register("epoch", Generation::NEVER, "value".into());
        match set {
            Err(Error::Changed(found)) => Ok(found.generation),
            other => other.map_err(|error| error.to_string()),
        }
    });
    cluster.servers[leader].start_again();
    let register =
        until("a register is read", || other.register("epoch").map_err(|error| error.to_string()));
    assert_eq!(register.generation, set);
}

#[test]
fn a_following_ends_when_another_server_leads() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let cluster = Cluster::start(&program);
    let log = cluster.open();
    let first = store(&log, "first");
    let mut following = log.follow(first).unwrap();
    assert_eq!(following.next(Duration::ZERO), Ok(Vec::new()));
    // Nobody is killed, and no connection is lost.
    by_hand(&cluster.servers[0].address(), async |_, context| {
        let subject = "$JS.API.STREAM.LEADER.STEPDOWN.BELLWIRE-bellwire";
        context.client().request(subject, "".into()).await.unwrap();
    });
    let (seen, ended) = to_the_end(&mut following);
    assert!(seen.is_empty() && matches!(ended, Ended::Lost(_)), "{seen:?} {ended:?}");
    let again = until("it is followed again", || {
        log.follow(Position::START).map_err(|error| error.to_string())
    });
    let mut again = again;
    assert_eq!(crate::following::read(&mut again, 1)[0].position, first);
}
