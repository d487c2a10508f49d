//! Local users: how one is made, and what their name and password are good for.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;

use super::access::made;
use crate::harness::{Answer, Request, Server, bellwire, get, request};

const PASSWORD: &str = "correct horse battery";

/// The table that the configuration has of a user.
fn table(name: &str, password: &str) -> String {
    table_with(name, password, &[])
}

/// The same, made with more flags.
fn table_with(name: &str, password: &str, flags: &[&str]) -> String {
    let mut command = bellwire(&["user", "add", name, "--role", "team"]);
    command.args(flags);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "{password}").expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(!text.contains(password), "{text}");
    text
}

/// A server with two users, and the key of its administrator.
fn start() -> (Server, String, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let (key, key_table) = made("root", "admin");
    let role = "[[access.role]]\nname = \"team\"\ningest = ['{}']\npublish = [\"{sub}/**\"]\n";
    let users = [table("ann", PASSWORD), table("bob", PASSWORD)].concat();
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, format!("{role}{users}{key_table}")).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), key, folder)
}

fn log_in(address: SocketAddr, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password}).to_string();
    let login =
        Request { method: "POST", path: "/v1/session", headers: &[], body: body.as_bytes() };
    request(address, login)
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().expect("a code").to_owned())
}

#[test]
fn anybody_is_told_the_ways_to_log_in() {
    let ways = |server: &Server| get(server.address(), "/v1/session").json()["login"].clone();
    let (with_users, _key, folder) = start();
    assert_eq!(ways(&with_users), json!(["password", "token"]));
    let path = folder.path().join("strict.toml");
    std::fs::write(&path, "[access]\n").expect("written");
    let without = Server::start_with(&["--config", path.to_str().expect("text")]);
    assert_eq!(ways(&without), json!(["token"]));
    assert_eq!(ways(&Server::start()), json!([]), "nobody is asked there");
}

#[test]
fn a_user_logs_in_with_a_password_in_each_clients_way() {
    let (server, _key, _folder) = start();
    let login = log_in(server.address(), "Ann", PASSWORD);
    assert_eq!(login.status, 201, "{}", login.text());
    assert_eq!(login.json()["subject"], json!("ann"), "a name has one form");
    assert_eq!(login.json()["rights"]["publish"], json!(["ann/**"]));
    let cookie = login.header("set-cookie").and_then(|it| it.split(';').next()).expect("a cookie");
    // `ann:correct horse battery`
    let basic = ("Authorization", "Basic YW5uOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==");
    for (header, means) in [(basic, "password"), (("Cookie", cookie), "session")] {
        let whoami = Request { method: "GET", path: "/v1/whoami", headers: &[header], body: b"" };
        assert_eq!(request(server.address(), whoami).json()["means"], json!(means));
    }
    let path = |path: &str| format!("{path}?u=ann&p=correct%20horse%20battery&q=SHOW%20DATABASES");
    for (method, asked, status) in [
        ("POST", "/write", 204),
        ("GET", "/query", 200),
        ("POST", "/api/v2/write", 401),
        ("GET", "/v1/whoami", 401),
        ("GET", "/v1/events", 401),
    ] {
        let body: &[u8] = if method == "POST" { b"t value=1\n" } else { b"" };
        let asked = path(asked);
        let answer =
            request(server.address(), Request { method, path: &asked, headers: &[], body });
        assert_eq!(answer.status, status, "{asked}: {}", answer.text());
        assert!(!answer.text().contains("horse"), "{}", answer.text());
    }
}

#[test]
fn what_a_page_of_another_site_has_a_browser_ask_is_no_try_of_its_reader() {
    let (server, ..) = start();
    let foreign = [("Sec-Fetch-Site", "cross-site")];
    let path = "/query?u=ann&p=wrong";
    for _ in 0..30 {
        let asked = Request { method: "GET", path, headers: &foreign, body: b"" };
        let refused = code(&request(server.address(), asked));
        assert_eq!(refused, (401, "credential_missing".into()));
    }
    assert_eq!(log_in(server.address(), "ann", PASSWORD).status, 201, "she is not kept out");
}

#[test]
fn a_name_without_its_password_is_refused_alike_whoever_it_is() {
    let (server, ..) = start();
    let long = "x".repeat(300);
    let wrong = [("ann", "wrong"), ("eve", PASSWORD), ("ann", ""), ("", PASSWORD), ("ann", &long)];
    for (name, password) in wrong {
        let answer = log_in(server.address(), name, password);
        assert_eq!(code(&answer), (401, "credential_invalid".into()), "{name}");
        let detail = "the credential is not one that is valid here";
        assert_eq!(answer.json()["detail"], json!(detail));
        assert_eq!(answer.header("set-cookie"), None);
    }
    for name in ["ann\n", "ann\0", "a\u{85}b"] {
        assert_eq!(
            code(&log_in(server.address(), name, PASSWORD)),
            (401, "credential_invalid".into())
        );
    }
}

#[test]
fn whoever_tries_many_passwords_waits_and_keeps_nobody_else_out() {
    let (server, key, _folder) = start();
    let address = server.address();
    let guesses: Vec<Answer> = std::thread::scope(|scope| {
        let guess = |_| scope.spawn(move || log_in(address, "ann", "a wrong password"));
        let guesses: Vec<_> = (0..64).map(guess).collect();
        guesses.into_iter().map(|it| it.join().expect("an answer")).collect()
    });
    let refused: Vec<&Answer> = guesses.iter().filter(|guess| guess.status == 429).collect();
    assert!(!refused.is_empty());
    for answer in &guesses {
        let expected = if answer.status == 429 { "logins_exhausted" } else { "credential_invalid" };
        assert_eq!(answer.json()["code"], json!(expected));
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 429);
    }
    assert_eq!(log_in(server.address(), "bob", PASSWORD).status, 201);
    let body = json!({"token": key}).to_string();
    let login =
        Request { method: "POST", path: "/v1/session", headers: &[], body: body.as_bytes() };
    assert_eq!(request(server.address(), login).status, 201);
}

#[test]
fn claims_of_a_user_stand_in_rights() {
    let folder = TempDir::new().expect("a folder");
    let role = "[[access.role]]\nname = \"team\"\npublish = [\"teams/{claim.team}/**\"]\n";
    let one = table_with("ann", PASSWORD, &["--claim", "team=payments"]);
    let flags = ["--claim", "team=search", "--claim", "a \"b\"=c", "--claim", "team=delivery"];
    let two = table_with("bob", PASSWORD, &flags);
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, format!("{role}{one}{two}")).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let publish =
        |name| log_in(server.address(), name, PASSWORD).json()["rights"]["publish"].clone();
    assert_eq!(publish("ann"), json!(["teams/payments/**"]));
    assert_eq!(publish("bob"), json!(["teams/delivery/**", "teams/search/**"]));
}

#[test]
fn a_password_that_can_be_guessed_makes_no_user() {
    for (name, password) in [("ann", "short"), ("a b", PASSWORD), ("", PASSWORD)] {
        let mut command = bellwire(&["user", "add", name, "--role", "team"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        // It may be gone before it reads.
        let _ = child.stdin.take().expect("a pipe").write_all(password.as_bytes());
        let output = child.wait_with_output().expect("it ends");
        assert!(!output.status.success());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("has at least") || told.contains("name"), "{told}");
        assert!(!told.contains(PASSWORD), "{told}");
    }
}
