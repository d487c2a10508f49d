//! What a node of a cluster does not do, and with what it does not start.

use std::net::TcpStream;

use serde_json::json;

use super::{CONFIG, KINDS, Pair};
use crate::harness::{Engine, Port, Process, Server, bellwire, get, post};

const PASSWORD: &str = "Tr0ub4dor";

/// How a server ends that does not start: code, and what it says.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    let arguments = [&["serve", "--listen", "127.0.0.1:0", "--data", data], arguments].concat();
    let (code, output, errors) = Process::start(&arguments).finish();
    assert_eq!(output, "", "it never listens: {errors}");
    (code, errors)
}

#[track_caller]
fn says(errors: &str, expected: &str) {
    assert!(errors.contains(expected), "{errors}");
    assert!(!errors.contains(PASSWORD), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn a_server_that_stands_alone_has_no_nodes() {
    let server = crate::harness::Server::start();
    assert_eq!(get(server.address(), "/v1/nodes").json(), json!({ "nodes": [] }));
}

#[test]
fn what_only_a_server_does_that_stands_alone_is_refused_beside_a_cluster() {
    for kind in KINDS {
        let url = format!("{}://u:{PASSWORD}@{}", kind.scheme(), Port::new().address());
        let (code, errors) = refused(&["--cluster", &url, "--journal", "memory"]);
        assert_eq!(code, Some(1), "{errors}");
        says(&errors, "`journal = \"memory\"` is for a server that stands alone");
        let proxied = ["--trusted-proxies", "10.0.0.0/8", "--proxy-protocol"];
        let (code, errors) = refused(&[&["--cluster", &url], &proxied[..]].concat());
        assert_eq!(code, Some(1), "{errors}");
        says(&errors, "`proxy_protocol` is for a server that stands alone");
    }
}

#[test]
fn an_address_that_is_none_is_refused_and_its_password_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for url in ["kafka://u:Tr0ub4dor@127.0.0.1:9", "u:Tr0ub4dor@127.0.0.1:9", "nats://u:Tr0ub4dor@"]
    {
        let (code, errors) = refused(&["--cluster", url]);
        assert!(matches!(code, Some(1 | 2)), "{code:?} {errors}");
        says(&errors, "nats://");

        let config = folder.path().join("bellwire.toml");
        std::fs::write(&config, format!("cluster = \"{url}\"\n")).expect("written");
        let config = config.to_str().expect("UTF-8");
        let (_, errors) = refused(&["--config", config]);
        says(&errors, "nats://");
        let (code, output, errors) = Process::start(&["check", "--config", config]).finish();
        let said = output + &errors;
        assert_ne!(code, Some(0), "{said}");
        says(&said, "nats://");

        let mut command = bellwire(&["check", "--config", config]);
        command.env("BELLWIRE_CLUSTER", url);
        let (_, output, errors) = Process::spawn(command).finish();
        says(&(output + &errors), "nats://");
    }
}

#[test]
fn an_engine_that_is_not_there_is_told_at_the_start() {
    for kind in KINDS {
        let port = Port::new();
        let url = format!("{}://u:{PASSWORD}@{}", kind.scheme(), port.address());
        let (code, errors) = refused(&["--cluster", &url]);
        assert_eq!(code, Some(1), "{errors}");
        says(&errors, "the engine of the cluster");
    }
}

/// A proxy passes over whoever refuses a connection, and would wait for whoever takes it.
#[test]
fn a_node_that_has_not_started_yet_refuses_connections() {
    let (engine, node, data) = (Port::new(), Port::new(), tempfile::tempdir().expect("a folder"));
    let (url, listen) = (format!("nats://{}", engine.address()), node.address().to_string());
    let data = data.path().to_str().expect("UTF-8");
    let arguments = ["serve", "--listen", &listen, "--data", data, "--cluster", &url];
    let mut process = Process::start(&arguments);
    process.wait_for_error("The engine of the cluster is waited for");
    TcpStream::connect(node.address()).expect_err("it does not listen yet");
}

/// What is acknowledged is to survive a loss of power, and would not.
#[test]
fn an_engine_that_says_that_it_loses_events_is_refused_unless_that_is_said_too() {
    let Some(engine) = Engine::start_careless() else { return };
    let url = engine.url();
    let (code, errors) = refused(&["--cluster", &url]);
    assert_eq!(code, Some(1), "{errors}");
    says(&errors, "`durability = \"sync\"` would be untrue");
    says(&errors, "`appendfsync always` keeps it");

    let node = Server::start_with(&["--cluster", &url, "--durability", "interval"]);
    post(node.address(), "/v1/topics/lab/a", "1").cursor();
    let said = get(node.address(), "/readyz");
    assert_eq!(said.status, 200, "{}", said.text());
    let loss = "the engine of the cluster may lose what the system has not written by itself";
    assert!(said.text().contains(loss), "{}", said.text());
}

#[test]
fn a_wrong_password_is_refused_and_a_right_one_is_told_nowhere() {
    for kind in KINDS {
        let Some(engine) = Engine::start_guarded(kind, PASSWORD) else { continue };
        for wrong in ["", "wr0ng-0ne"] {
            let (code, errors) = refused(&["--cluster", &engine.url_with(wrong)]);
            assert_eq!(code, Some(1), "{errors}");
            says(&errors, "the engine of the cluster");
            assert!(!errors.contains("wr0ng-0ne"), "{errors}");
        }
        let config = tempfile::tempdir().expect("a folder");
        let file = config.path().join("bellwire.toml");
        std::fs::write(&file, format!("cluster = \"{}\"\n{CONFIG}", engine.url()))
            .expect("written");
        let file = file.to_str().expect("UTF-8");
        let (code, output, errors) = Process::start(&["check", "--config", file]).finish();
        assert_eq!(code, Some(0), "{output}{errors}");
        assert!(!(output + &errors).contains(PASSWORD));

        let mut pair = Pair::on(engine);
        let addresses = pair.addresses();
        post(addresses[0], "/v1/topics/lab/a", "1").cursor();
        pair.settle();
        pair.engine.kill();
        for address in addresses {
            assert_eq!(post(address, "/v1/topics/lab/a", "1").status, 503);
            for path in ["/readyz", "/v1/nodes", "/v1/status", "/metrics"] {
                let answer = get(address, path);
                assert!(!answer.text().contains(PASSWORD), "{path}: {}", answer.text());
            }
        }
        for node in &mut pair.nodes {
            node.end();
            let errors = node.process().errors();
            assert!(!errors.contains(PASSWORD), "{errors}");
        }
    }
}
