//! Proxies that say who somebody is, and everybody else who says so.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use bellwire_process::clock;
use tempfile::TempDir;

use crate::harness::{Answer, Raw, Request, Server, request};

/// A server behind proxies of these networks.
fn server(trusted: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let text = r#"
        [[access.role]]
        name = "team"
        subscribe = ["users/{sub}/**", "groups/{claim.groups}/**"]
        publish = ["users/{sub}/**"]

        [access.proxy]
        subject_header = "X-Auth-Request-User"
        groups_header = "X-Auth-Request-Groups"
        roles = ["team"]
        claimable_roles = ["admin"]
    "#;
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    let path = path.to_str().expect("text");
    let flags = ["--config", path, "--trusted-proxies", trusted];
    (Server::start_with(&flags), folder)
}

const USER: &str = "X-Auth-Request-User";
const GROUPS: &str = "x-auth-request-groups";

fn ask(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    request(address, Request { method: "GET", path, headers, body: b"" })
}

#[test]
fn a_trusted_proxy_says_who_somebody_is_and_which_of_their_groups_are_roles() {
    let (server, _folder) = server("loopback");
    let whoami = |headers: &[(&str, &str)]| ask(server.address(), "/v1/whoami", headers);
    let ada = whoami(&[(USER, "ada"), (GROUPS, "blue, red")]).json();
    assert_eq!((&ada["subject"], &ada["means"]), (&"ada".into(), &"proxy".into()));
    assert_eq!(ada["roles"], serde_json::json!(["team"]));
    let follows = ada["rights"]["subscribe"].to_string();
    assert!(follows.contains("groups/blue/**") && follows.contains("users/ada/**"), "{follows}");
    let admin = whoami(&[(USER, "eve"), (GROUPS, "admin")]).json();
    assert_eq!(admin["roles"], serde_json::json!(["team", "admin"]));
    // Without a word of the proxy's, or with one that cannot be read, nobody comes in.
    for headers in [
        &[][..],
        &[(GROUPS, "admin")],
        &[(USER, "")],
        &[(USER, "ada"), (USER, "ada")],
        &[(USER, "ada"), (GROUPS, "a"), (GROUPS, "admin")],
        &[(USER, "ada\u{202e}")],
    ] {
        assert_eq!(whoami(headers).status, 401, "{headers:?}");
    }
    // A node that passes a request on has not looked at who says so; nor has whoever claims to be one.
    let marked = [(USER, "eve"), (GROUPS, "admin"), ("Bellwire-Relayed-By", "1f0c6f2a9be4d713")];
    assert_eq!(whoami(&marked).status, 401);
    let signed = [("X-Forwarded-For", "192.0.2.1, 192.0.2.2"), ("Bellwire-Node", "a 1 b")];
    assert_eq!(whoami(&[&marked[..], &signed].concat()).status, 401);
    // Pages of other sites have the browser ask through the proxy, too.
    for foreign in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example")] {
        assert_eq!(whoami(&[(USER, "ada"), foreign]).status, 401, "{foreign:?}");
    }
    assert_eq!(whoami(&[(USER, "ada"), ("Sec-Fetch-Site", "same-origin")]).status, 200);
}

/// The first line that comes of a stream which is asked for with these headers.
fn streamed(address: SocketAddr, topic: &str, headers: &str) -> String {
    let mut raw = Raw::connect(address);
    raw.send(format!("GET /v1/events?topic={topic} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    let mut line = String::new();
    BufReader::new(raw.into_socket()).read_line(&mut line).expect("an answer");
    line.trim_end().to_owned()
}

#[test]
fn a_stream_is_the_proxys_clients_where_the_connection_is_the_proxys() {
    let header = "x-auth-request-user: ada\r\n";
    let (behind, _folder) = server("loopback");
    assert_eq!(streamed(behind.address(), "users/ada/a", header), "HTTP/1.1 200 OK");
    assert_eq!(streamed(behind.address(), "users/eve/a", header), "HTTP/1.1 403 Forbidden");
    assert_eq!(streamed(behind.address(), "users/ada/a", ""), "HTTP/1.1 401 Unauthorized");
    let twice = format!("{header}{header}");
    assert_eq!(streamed(behind.address(), "users/ada/a", &twice), "HTTP/1.1 401 Unauthorized");
    // From elsewhere it is as if nothing were said, however that is said.
    let (other, _folder) = server("192.0.2.0/24");
    for headers in [header, &twice, "x-auth-request-user:\r\n"] {
        let line = streamed(other.address(), "users/ada/a", headers);
        assert_eq!(line, "HTTP/1.1 401 Unauthorized", "{headers}");
        let answer = ask(other.address(), "/v1/whoami", &[(USER, "ada")]);
        assert_eq!(answer.json()["code"], "credential_missing");
    }
}

#[test]
fn a_session_is_made_of_what_a_proxy_says() {
    let (server, _folder) = server("127.0.0.0/8");
    let headers = [(USER, "ada"), ("Sec-Fetch-Site", "same-origin")];
    let login = Request { method: "POST", path: "/v1/session", headers: &headers, body: b"" };
    let login = request(server.address(), login);
    assert_eq!(login.status, 201, "{}", login.text());
    let cookie = login.header("set-cookie").and_then(|it| it.split(';').next()).expect("a cookie");
    let with_cookie = ask(server.address(), "/v1/whoami", &[("Cookie", cookie)]).json();
    assert_eq!(
        (&with_cookie["subject"], &with_cookie["means"]),
        (&"ada".into(), &"session".into())
    );
    // The proxy is asked again: what it said does not count for ever, nor what comes of it.
    for answer in [&login.json(), &ask(server.address(), "/v1/whoami", &headers).json()] {
        let ends_at = answer["ends_at"].as_i64().expect("an end");
        assert!((1..=3_600_000).contains(&(ends_at - clock::now().as_ms())), "{answer}");
    }
    // Who it is now goes before who it was.
    let both = ask(server.address(), "/v1/whoami", &[("Cookie", cookie), (USER, "bob")]);
    assert_eq!(both.json()["subject"], "bob");
}
