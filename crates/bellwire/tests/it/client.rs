//! The Rust client against the real server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bellwire_client::{
    Client, ControlKind, Error, Events, FileStore, Item, Items, Sample, Status, TlsFault,
};
use bytes::Bytes;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::access::token;
use crate::harness::{Authority, PATIENCE, Process, Server};

/// Runs a test whose server may be killed meanwhile, which blocks: so one thread more runs the client.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime
        .expect("a runtime")
        .block_on(async { timeout(PATIENCE, test).await.expect("it does not hang") })
}

async fn numbers(events: &mut Events, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let event = events.next().await.expect("it goes on").expect("an event");
        numbers.push(event.data().expect("a number"));
    }
    numbers
}

async fn next_control(items: &mut Items) -> ControlKind {
    loop {
        if let Item::Control(control) = items.next().await.expect("it goes on").expect("no error") {
            return control.kind().clone();
        }
    }
}

#[test]
fn everything_arrives_once_and_in_order_over_tls_however_often_the_server_is_killed() {
    const KILLS: u64 = 3;
    const EACH: u64 = 50;
    let authority = Authority::new();
    let mut server = Server::start_with_tls(&authority, &[]);
    let builder = Client::builder(&server.url()).expect("an address");
    let client = builder.ca_file(authority.path("authority.pem")).build().expect("a client");
    run(async {
        let mut events = client.subscribe(["lab/**"]).events();
        assert!(events.ready().await);
        for kill in 0..KILLS {
            let publisher = client.clone();
            let publishing = tokio::spawn(async move {
                for number in kill * EACH..(kill + 1) * EACH {
                    let publish = publisher.publish("lab/a", number).timeout(PATIENCE);
                    publish.send().await.expect("it is taken in the end");
                }
            });
            // Somewhere in the midst of it.
            let first = numbers(&mut events, 10).await;
            assert_eq!(first, (kill * EACH..kill * EACH + 10).collect::<Vec<_>>());
            server.kill();
            server.restart();
            let rest = numbers(&mut events, EACH as usize - 10).await;
            assert_eq!(rest, (kill * EACH + 10..(kill + 1) * EACH).collect::<Vec<_>>());
            publishing.await.expect("no panic");
        }
        let last = client.publish("lab/a", u64::MAX).send().await.expect("taken");
        assert_eq!(numbers(&mut events, 1).await, [u64::MAX]);
        assert_eq!(events.cursor(), last.cursor.as_deref());
    });
}

#[test]
fn a_store_keeps_where_an_application_was() {
    let server = Server::start();
    let client = Client::new(&server.url()).expect("a client");
    let folder = TempDir::new().expect("a folder");
    let follow = || {
        let store = FileStore::new(folder.path().join("cursor"));
        client.subscribe(["lab/a"]).after("earliest").store(store).events()
    };
    run(async {
        for number in 0..5_u64 {
            client.publish("lab/a", number).send().await.expect("taken");
        }
        let mut events = follow();
        assert_eq!(numbers(&mut events, 3).await, [0, 1, 2]);
        events.close().await;
        // What an application does not come back from, it is given again.
        let mut events = follow();
        assert_eq!(numbers(&mut events, 1).await, [3]);
        drop(events);
        assert_eq!(numbers(&mut follow(), 2).await, [3, 4]);
    });
}

#[test]
fn what_is_published_is_what_arrives() {
    let server = Server::start();
    let client = Client::new(&server.url()).expect("a client");
    run(async {
        let mut items = client.subscribe(["lab/**", "samples/**"]).items();
        assert!(matches!(next_control(&mut items).await, ControlKind::Ready { .. }));
        let publish = client.publish("lab/höhe", json!({ "n": 1 })).key("ö").event_type("count");
        let published = publish.send().await.expect("taken");
        let binary = Bytes::from_static(&[0, 255]);
        client.publish_bytes("lab/b", binary.clone()).send().await.expect("taken");
        let sample = Sample::new("t", 1.5).label("site", "oslo");
        let wrong = Sample::new("", 1.0);
        let taken = client.samples([sample, wrong]).send().await.expect("taken");
        assert_eq!((taken.accepted, taken.rejected, taken.errors.len()), (1, 1, 1));

        let mut events = Vec::new();
        while events.len() < 3 {
            if let Item::Event(event) = items.next().await.expect("more").expect("no error") {
                events.push(event);
            }
        }
        let of = |topic: &str| events.iter().find(|event| event.topic() == topic).expect("it");
        let event = of("lab/höhe");
        assert_eq!((event.key(), event.event_type()), (Some("ö"), Some("count")));
        assert_eq!((event.data_json(), event.cursor()), ("{\"n\":1}", published.cursor.as_deref()));
        assert_eq!(of("lab/b").bytes().expect("base64"), Some(binary.to_vec()));
        assert!(of("samples/t").data_json().contains("1.5"));
    });
}

#[test]
fn a_state_topic_is_written_as_it_was_seen() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, "[[topic]]\nmatch = \"state/**\"\nkind = \"state\"\n").expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let client = Client::new(&server.url()).expect("a client");
    run(async {
        let first = client.publish("state/a", 1).key("k").if_absent().send().await.expect("new");
        let version = first.version.expect("a version");
        let again = client.publish("state/a", 2).key("k").if_absent().send().await;
        let Err(Error::Problem(problem)) = again else { panic!("{again:?}") };
        assert_eq!(
            (problem.code(), problem.version.as_ref()),
            ("condition_failed", Some(&version))
        );
        let second = client.publish("state/a", 2).key("k").if_version(&version);
        second.send().await.expect("as it was seen");
        let mut events = client.subscribe(["state/a"]).events();
        let value = events.next().await.expect("a value").expect("no error");
        assert_eq!((value.key(), value.data::<u8>().expect("a number")), (Some("k"), 2));
        client.delete("state/a", "k").if_version(&version).send().await.expect_err("another");
        client.delete("state/a", "k").send().await.expect("deleted");
        assert!(events.next().await.expect("its end").expect("no error").is_deleted());
    });
}

#[test]
fn a_topic_that_ends_ends_who_follows_it() {
    let server = Server::start();
    let client = Client::new(&server.url()).expect("a client");
    run(async {
        let mut events = client.subscribe(["jobs/7"]).events();
        assert!(events.ready().await);
        client.publish("jobs/7", 100).end().send().await.expect("taken");
        assert_eq!(numbers(&mut events, 1).await, [100]);
        assert!(events.next().await.is_none());
        assert_eq!(
            client.publish("jobs/7", 1).send().await.expect_err("over").code(),
            "topic_ended"
        );
        // Who comes back behind its end is told so at once.
        let cursor = events.cursor().expect("that of the end").to_owned();
        assert!(client.subscribe(["jobs/7"]).after(cursor).events().next().await.is_none());
        client.reopen("jobs/7").send().await.expect("reopened");
        client.publish("jobs/7", 1).send().await.expect("taken");
        client.end("jobs/7").send().await.expect("ended");
    });
}

#[test]
fn a_refusal_is_an_error_with_a_code() {
    let server = Server::start();
    let url = server.url();
    let client = Client::new(&url).expect("a client");
    run(async {
        for (filter, after, code) in
            [("a//b", "latest", "topic_invalid"), ("a", "yesterday", "cursor_invalid")]
        {
            let refused = client.subscribe([filter]).after(after).events().next().await;
            let error = refused.expect("a refusal").expect_err("it is one");
            assert_eq!(error.code(), code, "{error}");
        }
        let error = client.publish("alerts/x", 1).send().await.expect_err("the server's");
        assert_eq!(error.code(), "topic_reserved");
        let request = http::Request::get("/v1/nowhere").body(Bytes::new()).expect("a request");
        assert_eq!(client.request(request).await.expect_err("nothing").code(), "not_found");
        let request = http::Request::get("/v1/topics").body(Bytes::new()).expect("a request");
        let answer = client.request(request).await.expect("a list");
        assert!(answer.json::<serde_json::Value>().await.expect("JSON")["topics"].is_array());
        let plain = Client::new(&url.replace("http:", "https:")).expect("a client");
        let refused = plain.subscribe(["a"]).events().next().await.expect("a refusal");
        let Err(Error::Tls(tls)) = refused else { panic!("{refused:?}") };
        assert_eq!(tls.fault, TlsFault::Missing);
    });
}

/// A server that takes the tokens of one issuer, and where its secret is.
fn with_issuer() -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of more than thirty-two bytes\n").expect("written");
    let text = format!(
        "[[access.role]]\nname = \"reader\"\nsubscribe = [\"lab/**\"]\npublish = [\"lab/**\"]\n\
         [[access.issuer]]\nname = \"me\"\naudiences = [\"bellwire\"]\nroles = [\"reader\"]\n\
         [[access.issuer.key]]\nsecret_file = \"{}\"\n",
        secret.display()
    );
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

#[test]
fn the_command_reads_its_token_again_when_that_ends() {
    let (server, folder) = with_issuer();
    let file = folder.path().join("token");
    let write = |valid_for: &str| {
        let of = ["--issuer", "me", "--audience", "bellwire", "--subject", "ada"];
        let text = token(&folder, &[&of[..], &["--valid-for", valid_for]].concat());
        std::fs::write(&file, &text).expect("written");
        text
    };
    let short = write("20s");
    let (url, file) = (server.url(), file.to_str().expect("text"));
    let arguments = ["subscribe", "lab/a", "--server", &url, "--token-file", file, "--data-only"];
    let mut subscriber = Process::start(&arguments);
    subscriber.wait_for_error("ready");
    let newer = write("1h");
    let client = |token| {
        let builder = Client::builder(&url).expect("an address");
        builder.token(token).build().expect("a client")
    };
    let (short, client) = (client(short), client(newer));
    // Until what it was opened with counts no more.
    run(async {
        while short.publish("lab/b", 1).send().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    run(async { client.publish("lab/a", 7).send().await.expect("taken") });
    assert_eq!(subscriber.line(), "7");
    assert!(!subscriber.errors().contains("reconnecting"), "{}", subscriber.errors());
}

#[test]
fn streams_go_on_under_a_newer_token_that_is_asked_for_once() {
    let (server, folder) = with_issuer();
    let asked = Arc::new(AtomicUsize::new(0));
    let (counted, folder) = (Arc::clone(&asked), Arc::new(folder));
    let source = move || {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        let folder = Arc::clone(&folder);
        async move {
            // Of the first, which is nobody's, the server says nothing else than that it is refused.
            // The second ends soon, so that the server asks for a newer one.
            let Some(valid_for) = [None, Some("20s"), Some("1h")][number.min(2)] else {
                return Ok(Some("e30.e30.e30".to_owned()));
            };
            let of = ["--issuer", "me", "--audience", "bellwire", "--subject", "ada"];
            Ok(Some(token(&folder, &[&of[..], &["--valid-for", valid_for]].concat())))
        }
    };
    let builder = Client::builder(&server.url()).expect("an address");
    let client = builder.token_source(source).build().expect("a client");
    run(async {
        let mut streams: Vec<_> =
            ["lab/a", "lab/*"].map(|filter| client.subscribe([filter]).items()).into();
        for items in &mut streams {
            while !matches!(next_control(items).await, ControlKind::Renew { .. }) {}
        }
        // Both are told before one of them shows the newer one, which whatever is sent shows, too.
        while asked.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        client.publish("lab/a", 7).send().await.expect("taken");
        for items in &mut streams {
            let event = loop {
                match items.next().await.expect("it goes on").expect("no error") {
                    Item::Event(event) => break event,
                    Item::Status(Status::Waiting { error, .. }) => panic!("cut off: {error}"),
                    _ => {}
                }
            };
            assert_eq!(event.data::<u8>().expect("a number"), 7);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    });
}
