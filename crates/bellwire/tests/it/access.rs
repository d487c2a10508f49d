//! Who may do what, seen from outside: every path, with credentials and without.

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Answer, Raw, Request, Server, Stream, bellwire, get, request};

/// A server with two teams, and an administrator.
struct Teams {
    server: Server,
    red: String,
    blue: String,
    admin: String,
    folder: TempDir,
}

impl Teams {
    fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut text = String::from(
            r#"
            [[access.role]]
            name = "team"
            subscribe = ["teams/{sub}/**", "alerts/**", "samples/**"]
            publish = ["teams/{sub}/**"]
            ingest = ['{team="{sub}"}']
            query = ['{team="{sub}"}']
            alerts = ['{team="{sub}"}']
            attend = ['{team="{sub}"}']
            post_alerts = ['{team="{sub}"}']
            "#,
        );
        let [red, blue, admin] =
            [("red", "team"), ("blue", "team"), ("root", "admin")].map(|(subject, role)| {
                let (key, table) = made(subject, role);
                text.push_str(&table);
                key
            });
        let path = folder.path().join("bellwire.toml");
        std::fs::write(&path, text).expect("written");
        let server = Server::start_with(&["--config", path.to_str().expect("text")]);
        Self { server, red, blue, admin, folder }
    }

    fn ask(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str())];
        let (address, body) = (self.server.address(), body.as_bytes());
        request(address, Request { method, path, headers: &headers, body })
    }
}

/// A server that takes the tokens of one issuer, and where its secret is.
fn with_issuer(more: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of more than thirty-two bytes\n").expect("written");
    let text = format!(
        r#"
        [[access.role]]
        name = "device"
        publish = ["devices/{{sub}}/**", "teams/{{claim.team}}/**"]

        [[access.issuer]]
        name = "me"
        audiences = ["bellwire"]
        roles = ["device"]
        roles_claim = "roles"
        claimable_roles = ["admin"]
        {more}

        [[access.issuer.key]]
        secret_file = "{}"
        "#,
        secret.display()
    );
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

/// What `bellwire token` prints.
pub(crate) fn token(folder: &TempDir, arguments: &[&str]) -> String {
    let secret = folder.path().join("secret");
    let mut all = vec!["token", "make", "--secret-file", secret.to_str().expect("text")];
    all.extend(arguments);
    let output = bellwire(&all).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Publishes with a token.
fn publish(server: &Server, token: &str, topic: &str) -> Answer {
    let (path, authorization) = (format!("/v1/topics/{topic}"), format!("Bearer {token}"));
    let headers = [("Authorization", authorization.as_str())];
    let publish = Request { method: "POST", path: &path, headers: &headers, body: b"1" };
    request(server.address(), publish)
}

#[test]
fn a_token_is_worth_what_its_issuer_says_and_the_configuration_makes_of_it() {
    let (server, folder) = with_issuer("");
    let device = ["--issuer", "me", "--audience", "bellwire", "--subject", "d7"];
    let teams = ["--claim", "team=red", "--claim", "team=blue"];
    let text = token(&folder, &[&device[..], &teams].concat());
    for topic in ["devices/d7/a", "teams/red/a", "teams/blue/a"] {
        assert_eq!(publish(&server, &text, topic).status, 201, "{topic}");
    }
    assert_eq!(publish(&server, &text, "devices/d8/a").status, 403);
    let admin = token(&folder, &[&device[..], &["--claim", "roles=admin"]].concat());
    assert_eq!(publish(&server, &admin, "anything/at/all").status, 201);
    let config = folder.path().join("bellwire.toml");
    let config = config.to_str().expect("text");
    let explained = bellwire(&["token", "explain", "--config", config, &text]).output();
    let explained = String::from_utf8(explained.expect("it runs").stdout).expect("text");
    assert!(
        explained.contains("publish      devices/d7/** teams/blue/** teams/red/**"),
        "{explained}"
    );
}

#[test]
fn tokens_that_do_not_count_are_refused_without_a_word_of_why() {
    let (server, folder) = with_issuer("leeway = \"0s\"");
    let of = |arguments: &[&str]| token(&folder, &[&["--subject", "d7"], arguments].concat());
    let good = of(&["--issuer", "me", "--audience", "bellwire"]);
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    let (_, claims) = signed.split_once('.').expect("two parts");
    let wrong = [
        of(&["--issuer", "you", "--audience", "bellwire"]),
        of(&["--issuer", "me", "--audience", "else"]),
        of(&["--issuer", "me"]),
        of(&["--issuer", "me", "--audience", "bellwire", "--valid-for", "1ms"]),
        format!("{signed}."),
        format!("{signed}.AAAA"),
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{claims}."),
        format!("eyJhbGciOiJub25lIn0.{claims}.AAAA"),
        "x".repeat(8_000),
    ];
    for text in &wrong {
        let answer = publish(&server, text, "devices/d7/a");
        assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("credential_invalid")));
        let detail = "the credential is not one that is valid here";
        assert_eq!(answer.json()["detail"], json!(detail), "{text}");
    }
    let admin = of(&["--issuer", "me", "--audience", "bellwire", "--claim", "roles=admin"]);
    let authorization = format!("Bearer {admin}");
    let headers = [("Authorization", authorization.as_str())];
    let metrics = Request { method: "GET", path: "/metrics", headers: &headers, body: b"" };
    let metrics = request(server.address(), metrics);
    let counted = format!("\nbellwire_credentials_refused_total {}\n", wrong.len());
    assert!(metrics.text().contains(&counted), "{}", metrics.text());
    let config = folder.path().join("bellwire.toml");
    let config = config.to_str().expect("text");
    let explained = bellwire(&["token", "explain", "--config", config, &wrong[1]]).output();
    let explained = explained.expect("it runs");
    assert!(!explained.status.success());
    assert!(String::from_utf8_lossy(&explained.stdout).contains("(audience)"));
}

#[test]
fn commands_show_what_they_are_given_to_show() {
    let teams = Teams::start();
    let url = teams.server.url();
    let arguments = ["publish", "teams/red/a", "1", "--server", &url];
    let mut without = bellwire(&arguments);
    let output = without.env_remove("BELLWIRE_TOKEN").output().expect("it runs");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("asks who you are"), "{told}");
    let mut with = bellwire(&arguments);
    let output = with.env("BELLWIRE_TOKEN", &teams.red).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = teams.folder.path().join("key");
    std::fs::write(&file, format!("{}\n", teams.blue)).expect("written");
    let more = ["--token-file", file.to_str().expect("text")];
    let output = bellwire(&[&arguments[..], &more].concat()).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("may not publish"), "{told}");
}

/// Else a name could be guessed by where the pages of its topic end.
#[test]
fn neither_a_cursor_nor_a_figure_tells_of_an_alert_that_is_not_ones_own() {
    let teams = Teams::start();
    let labels = json!({ "alertname": "Secret", "team": "blue" });
    let (starts, ends) = ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let alert = json!([{ "labels": labels, "startsAt": starts, "endsAt": ends }]).to_string();
    assert_eq!(teams.ask(&teams.admin, "POST", "/api/v2/alerts", &alert).status, 200);
    for number in 0..3 {
        let own = teams.ask(&teams.red, "POST", "/v1/topics/teams/red/a", &number.to_string());
        assert_eq!(own.status, 201);
    }
    let ask = |name: &str| {
        let path = format!("/v1/topics/alerts/events/none/{name}?limit=1&after=earliest");
        teams.ask(&teams.red, "GET", &path, "").json()
    };
    assert_eq!(ask("Secret"), ask("Never"));
    let listed = teams.ask(&teams.red, "GET", "/v1/topics", "").json();
    let board = listed["topics"].as_array().expect("a list").iter();
    let mut board = board.filter(|topic| topic["topic"] == "alerts/active");
    let board = board.next().expect("its name is no secret");
    assert!(board.get("keys").is_none() && board.get("subscribers").is_none(), "{board}");

    let history = |key: &str, alert: &str| {
        let answer = teams.ask(key, "GET", &format!("/v1/alerts/{alert}"), "");
        (answer.status, answer.json()["detail"].to_string().replace(alert, ""))
    };
    let alerts = teams.ask(&teams.admin, "GET", "/v1/alerts", "").json();
    let secret = alerts["alerts"][0]["fingerprint"].as_str().expect("a text");
    assert_eq!(history(&teams.admin, secret).0, 200);
    assert_eq!(history(&teams.blue, secret).0, 200);
    assert_eq!(history(&teams.red, secret), history(&teams.red, "0123456789abcdef"));
    assert_eq!(history(&teams.red, secret).0, 404);

    let then = |key: &str| {
        let at = alerts["alerts"][0]["fired_at"].as_i64().expect("a time");
        let answer = teams.ask(key, "GET", &format!("/v1/alerts?at={at}&limit=1"), "");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut board = answer.json();
        (board["alerts"].take(), board["next"].take())
    };
    assert_eq!(then(&teams.admin).0[0]["fingerprint"], secret);
    assert_eq!(then(&teams.blue).0[0]["fingerprint"], secret);
    assert_eq!(then(&teams.red), (serde_json::json!([]), serde_json::Value::Null));
}

/// The first request of a connection goes another way than those behind it.
#[test]
fn a_websocket_is_opened_alike_whatever_was_asked_before() {
    let folder = TempDir::new().expect("a folder");
    let mut text = String::from("[[access.role]]\nname = \"sensor\"\npublish = [\"a\"]\n");
    text.push_str("[[access.role]]\nname = \"nobody\"\n");
    let [sensor, nobody] = ["sensor", "nobody"].map(|role| {
        let (key, table) = made(role, role);
        text.push_str(&table);
        key
    });
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    for (key, status) in [(&sensor, 101), (&nobody, 403)] {
        let handshake = format!(
            "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {key}\r\n\r\n"
        );
        for before in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let mut raw = Raw::connect(server.address());
            if !before.is_empty() {
                raw.send(before);
                assert_eq!(raw.answer().status, 200);
            }
            raw.send(&handshake);
            let line = raw.line().expect("an answer");
            assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{before:?}: {line}");
        }
    }
}

#[test]
fn an_open_server_listens_to_no_credential() {
    let server = Server::start();
    for value in ["Digest abc", "Negotiate x", "Basic ???", "Bearer bw_wrong"] {
        for path in ["/v1/topics", "/v1/whoami"] {
            let headers = [("Authorization", value)];
            let get = Request { method: "GET", path, headers: &headers, body: b"" };
            assert_eq!(request(server.address(), get).status, 200, "{path} {value}");
        }
        let mut stream =
            Stream::open_with(server.address(), "topic=a", &[("Authorization", value)]);
        stream.until_ready();
    }
}

#[test]
fn an_idempotency_key_is_its_publishers_own() {
    let teams = Teams::start();
    let publish = |key: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [("Authorization", authorization.as_str()), ("Idempotency-Key", "order-1")];
        let path = "/v1/topics/teams/red/a";
        let publish = Request { method: "POST", path, headers: &headers, body: b"1" };
        request(teams.server.address(), publish).json()
    };
    assert_eq!(publish(&teams.red)["duplicate"], json!(null));
    assert_eq!(publish(&teams.admin)["duplicate"], json!(null), "another's key of the same text");
    assert_eq!(publish(&teams.red)["duplicate"], json!(true));
}

#[test]
fn a_producer_is_its_publishers_own() {
    let teams = Teams::start();
    let ask = |key: &str, method, path, (epoch, sequence): (&str, &str)| {
        let authorization = format!("Bearer {key}");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Producer-Id", "orders"),
            ("Producer-Epoch", epoch),
            ("Producer-Seq", sequence),
        ];
        let headers = if method == "POST" { &headers[..] } else { &headers[..1] };
        request(teams.server.address(), Request { method, path, headers, body: b"1" })
    };
    let write = |key: &str, number| ask(key, "POST", "/v1/topics/teams/red/a", number).status;
    assert_eq!(write(&teams.red, ("5", "0")), 201);
    assert_eq!(write(&teams.admin, ("0", "0")), 201, "another's of the same name");
    assert_eq!(write(&teams.red, ("5", "0")), 204);
    assert_eq!(write(&teams.red, ("4", "1")), 403);
    assert_eq!(write(&teams.admin, ("0", "1")), 201);
    // Nor does anybody delete what is another's, however it begins.
    let forbidden = ask(&teams.red, "DELETE", "/v1/topics/teams/blue/x?prefix=", ("", ""));
    assert_eq!((forbidden.status, &forbidden.json()["code"]), (403, &json!("forbidden")));
}

#[test]
fn a_stream_lasts_for_as_long_as_its_token() {
    let (server, folder) = with_issuer("leeway = \"0s\"");
    let role =
        ["--issuer", "me", "--audience", "bellwire", "--subject", "d7", "--claim", "roles=admin"];
    // Long enough to connect with, and no more.
    let text = token(&folder, &[&role[..], &["--valid-for", "8s"]].concat());
    let authorization = format!("Bearer {text}");
    let headers = [("Authorization", authorization.as_str())];
    let mut stream = Stream::open_with(server.address(), "topic=a", &headers);
    stream.until_ready();
    let bye = stream.next_of("bye").json();
    assert_eq!(bye["reason"], json!("credential_expired"));
    assert!(stream.next().is_none(), "it has ended");
    let again = request(
        server.address(),
        Request { method: "GET", path: "/v1/events?topic=a", headers: &headers, body: b"" },
    );
    assert_eq!(again.status, 401);
}

/// A key, and the table that the configuration has of it.
pub(crate) fn made(subject: &str, role: &str) -> (String, String) {
    let output =
        bellwire(&["key", "make", "--subject", subject, "--role", role]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let key = text.lines().find(|line| line.starts_with("bw_")).expect("a key").to_owned();
    let table = text.split_once("[[access.key]]").expect("a table").1;
    (key, format!("\n[[access.key]]{table}"))
}

#[test]
fn strangers_get_nothing_but_the_page_and_signs_of_life() {
    let teams = Teams::start();
    let address = teams.server.address();
    for path in ["/", "/icon.svg", "/v1/session", "/healthz", "/readyz", "/openapi.json", "/ping"] {
        assert!(get(address, path).status < 300, "{path}");
    }
    let asking = [
        "/v1/events?topic=a",
        "/v1/topics",
        "/v1/topics/a",
        "/v1/alerts",
        "/v1/alerts/0123456789abcdef",
        "/v1/silences",
        "/v1/push",
        "/v1/push/subscriptions",
        "/v1/whoami",
        "/api/v2/status",
        "/api/v2/alerts",
        "/api/v2/silences",
        "/api/v1/rules",
        "/api/v1/query?query=up",
        "/api/v1/alerts",
        "/metrics",
        "/query",
    ];
    for path in asking {
        let answer = get(address, path);
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
    }
    let answer = teams.ask("bw_wrong", "GET", "/v1/events?topic=a", "");
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("credential_invalid")));
}

#[test]
fn everybody_publishes_and_reads_what_is_theirs() {
    let teams = Teams::start();
    let own = teams.ask(&teams.red, "POST", "/v1/topics/teams/red/a", "1");
    assert_eq!(own.status, 201, "{}", own.text());
    let others = teams.ask(&teams.red, "POST", "/v1/topics/teams/blue/a", "1");
    assert_eq!((others.status, &others.json()["code"]), (403, &json!("forbidden")));
    let both = r#"[{"topic":"teams/red/a","data":2},{"topic":"teams/blue/a","data":2}]"#;
    let both = teams.ask(&teams.red, "POST", "/v1/events", both).json();
    assert!(both["results"][0]["cursor"].is_string(), "{both}");
    assert_eq!(both["results"][1]["error"]["code"], json!("forbidden"));

    let others = teams.ask(&teams.blue, "GET", "/v1/topics/teams/red/a", "");
    assert_eq!(others.status, 403);
    let own = teams.ask(&teams.red, "GET", "/v1/topics/teams/red/a", "").json();
    assert_eq!(own["events"].as_array().map(Vec::len), Some(2), "{own}");
    for (key, listed) in [(&teams.red, vec!["teams/red/a"]), (&teams.blue, vec![])] {
        let topics = teams.ask(key, "GET", "/v1/topics", "").json();
        let names = topics["topics"].as_array().expect("a list").iter();
        let names: Vec<_> = names.map(|topic| topic["topic"].as_str().expect("text")).collect();
        assert_eq!(names, listed);
    }
}

#[test]
fn a_stream_is_narrowed_to_what_its_client_may_read() {
    let teams = Teams::start();
    let authorization = format!("Bearer {}", teams.blue);
    let headers = [("Authorization", authorization.as_str())];
    let mut stream = Stream::open_with(teams.server.address(), "topic=teams/**", &headers);
    stream.until_ready();
    teams.ask(&teams.red, "POST", "/v1/topics/teams/red/a", "1");
    teams.ask(&teams.blue, "POST", "/v1/topics/teams/blue/a", "2");
    let [event] = &stream.events(1)[..] else { panic!("one event") };
    assert_eq!(event.json()["topic"], json!("teams/blue/a"));
    let forbidden = teams.ask(&teams.blue, "GET", "/v1/events?topic=teams/red/**", "");
    assert_eq!(forbidden.status, 403);
}

#[test]
fn a_team_sees_its_own_alerts_and_series_on_every_transport() {
    let teams = Teams::start();
    let address = teams.server.address();
    let now = "2099-01-01T00:00:00Z";
    let post = |team: &str, name: &str| {
        let body = json!([{ "labels": { "alertname": name, "team": team }, "endsAt": now }]);
        let answer = teams.ask(&teams.admin, "POST", "/api/v2/alerts", &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    post("blue", "Theirs");
    post("red", "Ours");
    let authorization = format!("Bearer {}", teams.red);
    let headers = [("Authorization", authorization.as_str())];
    let mut stream = Stream::open_with(address, "topic=alerts/**&after=earliest", &headers);
    let mut seen = stream.until_ready();
    post("blue", "TheirsLater");
    post("red", "OursLater");
    while !seen.iter().any(|item| item.data.contains("OursLater")) {
        seen.push(stream.next().expect("the stream goes on"));
    }
    assert!(seen.iter().any(|item| item.data.contains("\"Ours\"")));
    assert!(!seen.iter().any(|item| item.data.contains("Theirs")), "{seen:?}");
    let asked = [
        ("/v1/topics/alerts/active", true),
        ("/v1/events?topic=alerts/active", true),
        ("/v1/events?topic=alerts/**&after=earliest", true),
        ("/v1/topics/alerts/events/none/Theirs", false),
    ];
    for (path, has_ours) in asked {
        let headers = [("Accept", "application/json"), headers[0]];
        let get = Request { method: "GET", path, headers: &headers, body: b"" };
        let answer = request(address, get);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let events = answer.json()["events"].to_string();
        assert!(!events.contains("Theirs"), "{path}: {events}");
        assert_eq!(events.contains("Ours"), has_ours, "{path}: {events}");
    }
}

#[test]
fn whoami_says_what_one_may() {
    let teams = Teams::start();
    let red = teams.ask(&teams.red, "GET", "/v1/whoami", "").json();
    assert_eq!((&red["subject"], &red["means"]), (&json!("red"), &json!("key")));
    assert_eq!(red["rights"]["publish"], json!(["teams/red/**"]));
    assert_eq!(red["rights"]["alerts"], json!([r#"{team="red"}"#]));
    let admin = teams.ask(&teams.admin, "GET", "/v1/whoami", "").json();
    assert_eq!(admin["rights"]["admin"], json!(true));
    assert_eq!(teams.ask(&teams.admin, "GET", "/metrics", "").status, 200);
    assert_eq!(teams.ask(&teams.red, "GET", "/metrics", "").status, 403);
    let open = Server::start();
    let anyone = get(open.address(), "/v1/whoami").json();
    assert_eq!((&anyone["means"], &anyone["rights"]["admin"]), (&json!("open"), &json!(true)));
}

#[test]
fn nothing_on_the_way_keeps_what_somebody_is_told_and_no_page_shows_it() {
    let teams = Teams::start();
    let read = [
        "/v1/alerts",
        "/v1/silences",
        "/v1/topics",
        "/v1/topics/alerts/active",
        "/v1/whoami",
        "/v1/session",
        "/v1/keys",
        "/api/v1/alerts",
        "/api/v1/rules",
        "/api/v1/query?query=ALERTS",
        "/api/v2/alerts",
        "/api/v2/silences",
        "/metrics",
        "/no/such/path",
    ];
    for path in read {
        for key in [&teams.admin, &teams.red, "wrong"] {
            let answer = teams.ask(key, "GET", path, "");
            for (name, expected) in [
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ] {
                let said = answer.headers.iter().filter(|(said, _)| said == name);
                let said: Vec<&str> = said.map(|(_, value)| &**value).collect();
                assert_eq!(said, [expected], "{path}: {}", answer.status);
            }
        }
    }
    let mut raw = Raw::connect(teams.server.address());
    let ask = "GET /v1/events?topic=teams/red/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ";
    raw.send(format!("{ask}{}\r\n\r\n", teams.red));
    let head = raw.until("\r\n\r\n");
    assert!(head.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{head}");
}
