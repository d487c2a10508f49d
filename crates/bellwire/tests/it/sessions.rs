//! Sessions of browsers: how one is made, for whom its cookie counts, and how it ends.

use std::fmt::Write as _;

use rustix::io::Errno;
use serde_json::json;
use tempfile::TempDir;

use super::access::made;
use super::failing_disk::{address, until};
use crate::harness::{
    Answer, FailingDisk, Fault, Http2, Process, Raw, Request, Server, Stream, request,
};

/// A server, the key of its administrator, and where its configuration is.
struct Site {
    server: Server,
    key: String,
    /// Its configuration is read again when it starts again.
    folder: TempDir,
}

impl Site {
    fn start(more: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let (key, table) = made("root", "admin");
        let path = folder.path().join("bellwire.toml");
        std::fs::write(&path, format!("{more}\n{table}")).expect("written");
        let server = Server::start_with(&["--config", path.to_str().expect("text")]);
        Self { server, key, folder }
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let body = body.as_bytes();
        request(self.server.address(), Request { method, path, headers, body })
    }

    /// Logs in with the key, and returns the cookie.
    fn log_in(&self) -> String {
        let login = self.ask("POST", "/v1/session", &[], &json!({"token": self.key}).to_string());
        assert_eq!(login.status, 201, "{}", login.text());
        cookie(&login)
    }

    fn whoami(&self, cookie: &str) -> Answer {
        self.ask("GET", "/v1/whoami", &[("Cookie", cookie)], "")
    }

    fn own(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// What a browser shows from then on.
fn cookie(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a cookie");
    cookie.split(';').next().expect("a pair").to_owned()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["code"].as_str().expect("a code").to_owned())
}

#[test]
fn a_session_is_made_of_a_credential_and_ends_with_a_logout() {
    let site = Site::start("[access]\nsession = \"1h\"");
    let bearer = format!("Bearer {}", site.key);
    let in_head = [("Authorization", bearer.as_str())];
    let in_body = json!({"token": site.key}).to_string();
    for (headers, body) in [(&in_head[..], ""), (&[], in_body.as_str())] {
        let login = site.ask("POST", "/v1/session", headers, body);
        assert_eq!(login.status, 201, "{}", login.text());
        assert_eq!(
            (&login.json()["subject"], &login.json()["means"]),
            (&json!("root"), &json!("session"))
        );
        let attributes = login.header("set-cookie").expect("a cookie").to_owned();
        for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=3600"] {
            assert!(attributes.split("; ").any(|it| it == attribute), "{attributes}");
        }
        assert_eq!(login.header("cache-control"), Some("no-store"));
        let cookie = cookie(&login);
        assert!(cookie.starts_with("__Host-bellwire=bws_"), "{cookie}");
        assert_eq!(site.whoami(&cookie).json()["means"], json!("session"));
        let own = site.own();
        let headers = [("Cookie", cookie.as_str()), ("Origin", own.as_str())];
        let mut stream = Stream::open_with(site.server.address(), "topic=a", &headers);
        stream.until_ready();
        let logout = site.ask("DELETE", "/v1/session", &headers, "");
        assert_eq!(logout.status, 204);
        assert!(logout.header("set-cookie").expect("a cookie").ends_with("; Max-Age=0"));
        let bye = stream.next_of("bye").json();
        assert_eq!(bye["reason"], json!("credential_revoked"));
        assert_eq!(code(&site.whoami(&cookie)), (401, "credential_invalid".into()));
        assert_eq!(site.ask("DELETE", "/v1/session", &headers, "").status, 204, "it has ended");
    }
}

#[test]
fn a_program_that_names_no_page_logs_out_and_a_page_of_another_site_logs_nobody_out() {
    let site = Site::start("");
    let cookie = site.log_in();
    let log_out = |more: &[(&str, &str)]| {
        let headers = [&[("Cookie", cookie.as_str())], more].concat();
        site.ask("DELETE", "/v1/session", &headers, "").status
    };
    assert_eq!(log_out(&[("Sec-Fetch-Site", "cross-site")]), 204, "it has none");
    assert_eq!(log_out(&[("Origin", "https://evil.example")]), 403);
    assert_eq!(site.whoami(&cookie).status, 200);
    assert_eq!(log_out(&[]), 204);
    assert_eq!(site.whoami(&cookie).status, 401);
}

#[test]
fn a_session_outlives_its_server_with_the_secret_of_the_data_folder() {
    let mut site = Site::start("");
    let cookie = site.log_in();
    site.server.restart();
    assert_eq!(site.whoami(&cookie).status, 200);
    std::fs::remove_file(site.server.data().join("access.secret")).expect("it was made");
    site.server.restart();
    assert_eq!(site.whoami(&cookie).status, 401);
}

#[test]
fn a_login_that_says_two_things_or_nothing_is_refused() {
    let site = Site::start("");
    let both = json!({"token": site.key, "name": "root", "password": "p"}).to_string();
    for body in [both.as_str(), "{}", "[]", "x", r#"{"name":"root"}"#, r#"{"token":"a","b":1}"#] {
        let answer = site.ask("POST", "/v1/session", &[], body);
        assert_eq!(code(&answer), (400, "body_invalid".into()), "{body}");
    }
    let bearer = format!("Bearer {}", site.key);
    let token = json!({"token": site.key}).to_string();
    let answer = site.ask("POST", "/v1/session", &[("Authorization", &bearer)], &token);
    assert_eq!(code(&answer), (400, "body_invalid".into()));
    assert_eq!(code(&site.ask("POST", "/v1/session", &[], "")), (401, "credential_missing".into()));
    for body in [r#"{"token":"bw_wrong"}"#, r#"{"token":" "}"#, r#"{"name":"a\nb","password":"p"}"#]
    {
        let answer = site.ask("POST", "/v1/session", &[], body);
        assert_eq!(code(&answer), (401, "credential_invalid".into()), "{body}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    let open = Server::start();
    let login =
        Request { method: "POST", path: "/v1/session", headers: &[], body: token.as_bytes() };
    let answer = request(open.address(), login);
    assert_eq!(code(&answer), (409, "session_unavailable".into()));
}

/// Who plants a cookie would otherwise know the session that somebody goes on with.
#[test]
fn no_session_comes_of_another_one() {
    let site = Site::start("");
    let planted = site.log_in();
    let session = planted.strip_prefix("__Host-bellwire=").expect("the cookie's name");
    let own = site.own();
    let headers = [("Cookie", planted.as_str()), ("Origin", own.as_str())];
    let answer = site.ask("POST", "/v1/session", &headers, "");
    assert_eq!(code(&answer), (401, "credential_missing".into()));
    let bearer = format!("Bearer {session}");
    let answer = site.ask("POST", "/v1/session", &[("Authorization", &bearer)], "");
    assert_eq!(code(&answer), (401, "credential_invalid".into()));
    let token = json!({"token": session}).to_string();
    let answer = site.ask("POST", "/v1/session", &[], &token);
    assert_eq!(code(&answer), (401, "credential_invalid".into()));
    let token = json!({"token": site.key}).to_string();
    let login = site.ask("POST", "/v1/session", &headers, &token);
    assert_eq!(login.status, 201);
    assert_ne!(cookie(&login), planted, "each login is a session of its own");
    let twice = format!("{planted}; {}", cookie(&login));
    assert_eq!(code(&site.whoami(&twice)), (401, "credential_invalid".into()));
    assert_eq!(
        code(&site.whoami(&planted[..planted.len() - 1])),
        (401, "credential_invalid".into())
    );
}

#[test]
fn another_site_logs_nobody_in() {
    let site = Site::start("allowed_origins = [\"https://app.example\"]");
    let token = json!({"token": site.key}).to_string();
    for foreign in [
        ("Origin", "https://evil.example"),
        ("Origin", "https://app.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = site.ask("POST", "/v1/session", &[foreign], &token);
        assert_eq!(code(&answer), (403, "origin_forbidden".into()), "{foreign:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
}

/// The three ways in have one opinion of whose cookie counts.
#[test]
fn a_cookie_counts_for_the_servers_own_page_alone() {
    let site = Site::start("allowed_origins = [\"https://app.example\"]");
    let (cookie, own) = (site.log_in(), site.own());
    let cookie = ("Cookie", cookie.as_str());
    let own = ("Origin", own.as_str());
    let same = ("Sec-Fetch-Site", "same-origin");
    let cases: &[(Headers<'_>, bool, bool)] = &[
        (&[], true, false),
        (&[own], true, true),
        (&[same], true, true),
        (&[own, same], true, true),
        (&[("Sec-Fetch-Site", "none")], true, true),
        (&[("Sec-Fetch-Site", "same-site")], false, false),
        (&[("Sec-Fetch-Site", "cross-site")], false, false),
        (&[own, ("Sec-Fetch-Site", "cross-site")], false, false),
        (&[("Origin", "https://app.example")], false, false),
        (&[("Origin", "https://evil.example")], false, false),
        (&[("Origin", "null")], false, false),
    ];
    let status = |of: &[(&str, &str)], method: &str, path: &str| {
        let headers = [of, &[cookie]].concat();
        let body = if method == "POST" { "1" } else { "" };
        site.ask(method, path, &headers, body).status
    };
    for (headers, reads, changes) in cases {
        let asked = format!("{headers:?}");
        assert_eq!(status(headers, "GET", "/v1/whoami") == 200, *reads, "{asked}");
        assert_eq!(status(headers, "POST", "/v1/topics/a") == 201, *changes, "{asked}");
        let mut http2 = Http2::plain(site.server.address());
        let of_http2 = [*headers, &[cookie]].concat();
        let get = Request { method: "GET", path: "/v1/whoami", headers: &of_http2, body: b"" };
        assert_eq!(http2.request(get).status == 200, *reads, "{asked}");
        for before in ["", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            assert_eq!(opens(&site, before, &of_http2, ""), *reads, "{before} {asked}");
            assert_eq!(opens(&site, before, &of_http2, WEBSOCKET), *changes, "{before} {asked}");
        }
    }
}

type Headers<'a> = &'a [(&'a str, &'a str)];

const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Whether a stream is opened, be it the first request of its connection or one behind another.
fn opens(site: &Site, before: &str, headers: Headers<'_>, more: &str) -> bool {
    let address = site.server.address();
    let mut raw = Raw::connect(address);
    if !before.is_empty() {
        raw.send(before);
        assert_eq!(raw.answer().status, 200);
    }
    let mut head = format!("GET /v1/events?topic=a HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("a text grows");
    }
    raw.send(head + more + "\r\n");
    let line = raw.line().expect("an answer");
    line.starts_with("HTTP/1.1 200") || line.starts_with("HTTP/1.1 101")
}

#[test]
fn a_session_ends_with_the_key_that_it_was_made_of() {
    let mut site = Site::start("");
    let bearer = format!("Bearer {}", site.key);
    let as_root = [("Authorization", bearer.as_str())];
    let body = json!({"subject": "second", "roles": ["admin"]}).to_string();
    let key = site.ask("POST", "/v1/keys", &as_root, &body).json();
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let login = json!({"token": text("key")}).to_string();
    let second = cookie(&site.ask("POST", "/v1/session", &[], &login));
    let headers = [("Cookie", second.as_str())];
    let mut stream = Stream::open_with(site.server.address(), "topic=a", &headers);
    stream.until_ready();
    assert_eq!(site.whoami(&second).status, 200);
    let path = format!("/v1/keys/{}", text("id"));
    assert_eq!(site.ask("DELETE", &path, &as_root, "").status, 204);
    assert_eq!(site.whoami(&second).status, 401);
    assert_eq!(stream.next_of("bye").json()["reason"], json!("credential_revoked"));

    // So it does where the configuration has given the key to somebody else, or has it no more.
    let first = site.log_in();
    let path = site.folder.path().join("bellwire.toml");
    let table = std::fs::read_to_string(&path).expect("the configuration");
    let of_another = table.replace("subject = \"root\"", "subject = \"toor\"");
    assert_ne!(table, of_another);
    std::fs::write(&path, of_another).expect("written");
    site.server.kill();
    site.server.restart();
    assert_eq!(site.whoami(&first).status, 401);
    let (_, other) = made("another", "admin");
    std::fs::write(&path, other).expect("written");
    site.server.kill();
    site.server.restart();
    assert_eq!(site.whoami(&first).status, 401);
    assert_eq!(site.whoami(&second).status, 401);
}

#[test]
fn a_logout_lasts_and_takes_nothing_from_others() {
    let mut site = Site::start("");
    let own = site.own();
    let out = |site: &Site, cookie: &str| {
        let headers = [("Cookie", cookie), ("Origin", own.as_str())];
        site.ask("DELETE", "/v1/session", &headers, "").status
    };
    let (stays, ended) = (site.log_in(), site.log_in());
    assert_eq!(out(&site, &ended), 204);
    site.server.kill();
    site.server.restart();
    assert_eq!((site.whoami(&ended).status, site.whoami(&stays).status), (401, 200));
    // More than are known by name end all that were begun.
    let many: Vec<String> = (0..20).map(|_| site.log_in()).collect();
    for cookie in &many {
        assert_eq!(out(&site, cookie), 204);
        assert_eq!(site.whoami(cookie).status, 401);
    }
    site.server.kill();
    site.server.restart();
    assert!(many.iter().chain([&stays]).all(|cookie| site.whoami(cookie).status == 401));
    assert_eq!(site.whoami(&site.log_in()).status, 200);
}

#[test]
fn a_logout_that_the_journal_refuses_can_be_asked_for_again() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let folder = TempDir::new().expect("a folder");
    let (key, table) = made("root", "admin");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, table).expect("written");
    let (data, path) = (disk.data(), path.to_str().expect("text"));
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--config", path];
    let serve = || Process::spawn(disk.command(&arguments));
    let mut process = serve();
    let server = address(&process.line());
    let ask = |server, method, path, headers: &[(&str, &str)], body: &str| {
        request(server, Request { method, path, headers, body: body.as_bytes() })
    };
    let login = ask(server, "POST", "/v1/session", &[], &json!({ "token": key }).to_string());
    let cookie = cookie(&login);
    let own = format!("http://{server}");
    let headers = [("Cookie", cookie.as_str()), ("Origin", own.as_str())];
    let log_out = || ask(server, "DELETE", "/v1/session", &headers, "");
    let errno = Errno::NOSPC.raw_os_error();
    disk.fail(Fault { kind: "write", skip: 0, count: u64::from(u32::MAX), errno, sleep_ms: 0 });
    let refused = log_out();
    assert!(matches!(refused.status, 503 | 507), "{}", refused.text());
    assert!(refused.text().contains("ask once more"), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.header("set-cookie"), None, "the browser keeps it, to ask once more");
    let whoami = |server| ask(server, "GET", "/v1/whoami", &headers[..1], "").status;
    assert_eq!(whoami(server), 401, "it counts no more all the same");
    disk.heal();
    until("a logout that is kept", || {
        let answer = log_out();
        answer.status == 204 && answer.header("set-cookie").is_some()
    });
    process.kill();
    let mut process = serve();
    assert_eq!(whoami(address(&process.line())), 401);
}

#[test]
fn a_login_of_somebody_else_ends_the_session_that_the_browser_had() {
    let (other, table) = made("ada", "admin");
    let site = Site::start(&table);
    let old = site.log_in();
    let mut stream = Stream::open_with(site.server.address(), "topic=t", &[("Cookie", &old)]);
    stream.until_ready();
    let (own, token) = (site.own(), json!({ "token": other }).to_string());
    let headers = [("Cookie", &*old), ("Origin", &*own)];
    // Of the same somebody it goes on: what it has opened is yet to be renewed.
    let again = json!({ "token": site.key }).to_string();
    assert_eq!(site.ask("POST", "/v1/session", &headers, &again).status, 201);
    assert_eq!(site.whoami(&old).status, 200);
    let login = site.ask("POST", "/v1/session", &headers, &token);
    assert_eq!(login.status, 201, "{}", login.text());
    assert_eq!(code(&site.whoami(&old)).0, 401);
    assert_eq!(site.whoami(&cookie(&login)).json()["subject"], "ada");
    assert_eq!(stream.next_of("bye").json()["reason"], "credential_revoked");
}
