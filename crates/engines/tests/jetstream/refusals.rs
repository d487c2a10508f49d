//! Servers and streams that cannot be used: each is refused at once, and the reason says what to do.
#![allow(clippy::print_stdout, reason = "skipped tests are told")]

use bellwire_engines::{Options, connect};
use bellwire_shared_log::{Error, Generation, Position};

use crate::nats::by_hand;
use crate::server::{JETSTREAM, Server, program};

/// Why nobody connects to this address.
fn refusal(address: &str) -> Error {
    connect(address, &Options::default()).expect_err("it is refused")
}

#[test]
fn a_server_that_is_too_old_is_refused() {
    let Some(program) = program("NATS_SERVER_OLD_BIN") else { return };
    let said = std::process::Command::new(&program).arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    if !["v2.9.", "v2.10."].iter().any(|old| said.contains(old)) {
        println!("SKIPPED: {} is {said}, which is not too old", program.display());
        return;
    }
    let server = Server::with_jetstream(&program);
    let error = refusal(&server.address());
    let Error::Unfit(why) = error else { panic!("{error:?}") };
    assert!(why.starts_with("nats-server 2.") && why.contains("too old: 2.11.8 or newer"), "{why}");
}

#[test]
fn nobody_at_the_address_is_away() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = refusal(&address);
    assert!(matches!(error, Error::Away(_)), "{error:?}");
}

#[test]
fn a_server_without_jetstream_or_for_small_messages_is_refused() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    for (settings, expected) in [
        ("", "JetStream is not there"),
        ("max_payload: 500000\njetstream { store_dir: \"STORE\" }\n", "`max_payload`"),
    ] {
        let server = Server::start(&program, settings);
        let error = refusal(&server.address());
        assert!(matches!(&error, Error::Unfit(why) if why.contains(expected)), "{error:?}");
    }
}

#[test]
fn credentials_are_those_of_the_address() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    for (settings, good, bad) in [
        (
            "authorization { user: \"a\", password: \"s@c/ret\" }",
            "a:s%40c%2Fret@",
            ["", "a:secret@", "b:s%40c%2Fret@"],
        ),
        ("authorization { token: \"t0ken\" }", "t0ken@", ["", "token@", "a:t0ken@"]),
    ] {
        let server = Server::start(&program, &format!("{JETSTREAM}\n{settings}\n"));
        let address = |user: &str| format!("nats://{user}127.0.0.1:{}", server.port);
        let log = connect(&address(good), &Options::default()).unwrap();
        assert_eq!(log.span().unwrap().tail, Position::START);
        for bad in bad {
            let error = refusal(&address(bad));
            assert!(matches!(error, Error::Refused(_)), "{bad}: {error:?}");
        }
    }
}

#[test]
fn what_a_user_may_not_do_is_refused_at_once() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let settings = format!(
        "{JETSTREAM}\nauthorization {{ users: [\n\
         {{ user: nothing, password: p, permissions: {{ publish: \"a\", subscribe: \"_INBOX.>\" }} }}\n\
         {{ user: reader, password: p, permissions: {{ publish: {{ deny: [\"bellwire.>\", \
         \"$JS.API.STREAM.PURGE.>\"] }} }} }}\n] }}\n"
    );
    let server = Server::start(&program, &settings);
    let address = |user: &str| format!("nats://{user}:p@127.0.0.1:{}", server.port);
    let error = refusal(&address("nothing"));
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    let log = connect(&address("reader"), &Options::default()).unwrap();
    assert!(log.span().is_ok());
    let set = log.set_register("epoch", Generation::NEVER, "value".into());
    assert!(matches!(set, Err(Error::Refused(_))), "{set:?}");
    let (sender, answer) = std::sync::mpsc::sync_channel(1);
    log.append("batch".into(), None, Box::new(move |result| sender.send(result).unwrap()));
    let answer = answer.recv().unwrap();
    assert!(matches!(answer, Err(Error::Refused(_))), "{answer:?}");
}

#[test]
fn a_stream_that_is_not_ours_or_loses_batches_is_refused() {
    use async_nats::jetstream::stream::{Config, DiscardPolicy};
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let address = server.address();
    let other = Config {
        name: "BELLWIRE-bellwire".to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Config::default()
    };
    by_hand(&address, async |_, context| context.create_stream(other).await.map(drop)).unwrap();
    let error = refusal(&address);
    assert!(matches!(&error, Error::Unfit(why) if why.contains("something else")), "{error:?}");

    let overlapping = Config {
        name: "ALL".to_owned(),
        subjects: vec!["bellwire.>".to_owned()],
        ..Config::default()
    };
    by_hand(&address, async |_, context| {
        context.delete_stream("BELLWIRE-bellwire").await.unwrap();
        context.create_stream(overlapping).await.map(drop)
    })
    .unwrap();
    let error = refusal(&address);
    assert!(matches!(&error, Error::Unfit(why) if why.contains("our subjects")), "{error:?}");

    by_hand(&address, async |_, context| context.delete_stream("ALL").await.map(drop)).unwrap();
    drop(connect(&address, &Options::default()).unwrap());
    by_hand(&address, async |stream, context| {
        let config = stream.get_info().await.unwrap().config;
        let config = Config { discard: DiscardPolicy::Old, max_messages: 1000, ..config };
        context.update_stream(config).await.map(drop)
    })
    .unwrap();
    let error = refusal(&address);
    assert!(matches!(&error, Error::Unfit(why) if why.contains("`discard`")), "{error:?}");
}

#[test]
fn replicas_that_there_are_no_servers_for_are_refused() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let options = Options { replicas: Some(3), ..Options::default() };
    let error = connect(&server.address(), &options).unwrap_err();
    assert!(matches!(&error, Error::Unfit(why) if why.contains("fewer replicas")), "{error:?}");
}

#[test]
fn clusters_of_different_names_share_a_server() {
    let Some(program) = program("NATS_SERVER_BIN") else { return };
    let server = Server::with_jetstream(&program);
    let open = |cluster: &str| {
        let options = Options { cluster: cluster.to_owned(), ..Options::default() };
        connect(&server.address(), &options).unwrap()
    };
    let (one, two) = (open("one"), open("two"));
    one.set_register("epoch", Generation::NEVER, "one".into()).unwrap();
    assert_eq!(two.registers("").unwrap(), Vec::<String>::new());
    assert_eq!(two.span().unwrap().tail, Position::START);
    let said = one.assurance().unwrap();
    assert!(said.engine.starts_with("nats-server 2."), "{}", said.engine);
    assert_eq!(said.losses, Vec::<String>::new());
    assert!(said.doubts[0].contains("sync_interval"), "{:?}", said.doubts);
}
