//! Starting and ending the server.

use std::net::TcpListener;

use crate::harness::{Process, Raw, Server, bellwire, get};

#[test]
fn prints_one_line_when_it_listens_and_ends_gracefully_at_a_signal() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        assert_eq!(get(server.address(), "/healthz").status, 200);
        server.process().signal(signal);
        let status = server.process().wait();
        assert!(status.success(), "{signal}: {status}\n{}", server.process().errors());
    }
}

#[test]
fn a_body_that_is_not_complete_when_the_server_ends_is_answered() {
    let mut server = Server::start();
    let ask = "HTTP/1.1\r\nHost: x\r\nExpect: 100-continue";
    let requests = [
        (format!("POST /v1/topics/a {ask}\r\nContent-Length: 9\r\n\r\n"), "\"half"),
        (format!("POST /v1/events {ask}\r\nTransfer-Encoding: chunked\r\n\r\n"), "1\r\n[\r\n"),
    ];
    let mut clients = requests.map(|(head, part)| {
        let mut raw = Raw::connect(server.address());
        raw.send(head);
        raw.until("HTTP/1.1 100 Continue\r\n\r\n");
        raw.send(part);
        raw
    });
    server.process().signal("TERM");
    for raw in &mut clients {
        let answer = raw.answer();
        assert_eq!((answer.status, &answer.json()["code"]), (503, &"draining".into()));
        assert!(answer.header("retry-after").is_some());
    }
    drop(clients);
    assert!(server.process().wait().success());
}

/// More than are accepted in one turn.
#[test]
fn who_has_asked_before_the_server_ends_is_answered() {
    const CALLERS: usize = 200;
    let mut server = Server::start();
    let address = server.address();
    // So that all of them wait before the door when the signal comes.
    server.process().signal("STOP");
    let ask = |number: usize| {
        let mut raw = Raw::connect(address);
        let (body, length) = (number.to_string(), number.to_string().len());
        let head = format!("POST /v1/topics/a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}");
        raw.send(format!("{head}\r\n\r\n{body}"));
        raw
    };
    let callers: Vec<Raw> = (0..CALLERS).map(ask).collect();
    server.process().signal("TERM");
    server.process().signal("CONT");
    for mut raw in callers {
        assert_eq!(raw.answer().status, 201);
    }
    assert!(server.process().wait().success());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    let process = Process::start(&["serve", "--listen", &address, "--data", data]);
    let (code, output, errors) = process.finish();
    assert_eq!((code, output.as_str()), (Some(1), ""));
    let expected = format!("error: cannot start: cannot listen on {address}: ");
    assert!(errors.contains(&expected), "{errors}");
    for text in ["another program listens there", "`--listen`", "Address already in use"] {
        assert!(errors.contains(text), "{text}\n{errors}");
    }
}

#[test]
fn it_says_what_it_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let rules =
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: x > 1}\n  - {record: r, expr: x}\n";
    std::fs::write(path("good.yml"), rules).expect("written");
    let config = "[[topic]]\nmatch = \"tickers/**\"\nkind = \"state\"\n";
    std::fs::write(path("bellwire.toml"), config).expect("written");
    let (good, nothing) = (path("good.yml"), path("nothing-*.yml"));
    let flags = ["--config", &path("bellwire.toml"), "--rules", &good, "--rules", &nothing];
    let mut server = Server::start_with(&flags);
    let data = server.data().display().to_string();
    server.end();
    let errors = server.process().errors();
    for text in [
        "Rules are loaded. files=1 groups=1 alerting=1 recording=1".to_owned(),
        format!("No rule file matches this pattern. pattern=\"{nothing}\""),
        format!("The journal is open. data={data} "),
        "streams=0 states=1".to_owned(),
        "Nobody is notified".to_owned(),
    ] {
        assert!(errors.contains(&text), "{text}\n{errors}");
    }
}

#[test]
fn a_port_alone_is_one_of_this_machine() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    for listen in ["0", ":0", "localhost:0"] {
        let mut server = Process::start(&["serve", "--listen", listen, "--data", data]);
        let line = server.line();
        assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
        server.signal("TERM");
        server.wait();
    }
}

#[test]
fn every_mistake_of_the_configuration_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bellwire.toml");
    std::fs::write(&file, "listn = \"x\"\ndurability = \"maybe\"\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let mut command = bellwire(&["serve", "--config", file, "--retention-age", "long"]);
    command.env("BELLWIRE_HEARTBEAT_INTERVAL", "never");
    command.env("BELLWIRE_RULE", "rules.yml").env("BELLWIRE_SERVICE_HOST", "10.0.0.1");
    let (code, _, errors) = Process::spawn(command).finish();
    assert_eq!(code, Some(1));
    let expected = [
        "error: the configuration is not valid:".to_owned(),
        format!("{file}:1:1: `listn` is no setting; did you mean `listen`?"),
        "BELLWIRE_RULE: there is no such variable; did you mean `BELLWIRE_RULES`?".to_owned(),
        format!("{file}:2:14: `durability`: expected"),
        "BELLWIRE_HEARTBEAT_INTERVAL: expected a duration".to_owned(),
        "--retention-age: expected a duration".to_owned(),
    ];
    for text in expected {
        assert!(errors.contains(&text), "{text}\n{errors}");
    }
    assert!(!errors.contains("SERVICE_HOST"), "{errors}");
}

#[test]
fn variables_of_others_are_passed_over_and_told() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("UTF-8");
    let mut command = bellwire(&["serve", "--listen", "0", "--data", data]);
    command.env("BELLWIRE_SERVICE_HOST", "10.0.0.1");
    let mut server = Process::spawn(command);
    server.line();
    server.wait_for_error("there is no variable BELLWIRE_SERVICE_HOST among ours");
}

#[test]
fn rules_that_are_refused_stop_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("wrong.yml");
    std::fs::write(&rules, "groups:\n- name: g\n  rules:\n  - expr: up == 0\n").expect("written");
    let rules = rules.to_str().expect("UTF-8");
    let data = folder.path().join("data");
    let data = data.to_str().expect("UTF-8");
    let process =
        Process::start(&["serve", "--listen", "127.0.0.1:0", "--data", data, "--rules", rules]);
    let (code, output, errors) = process.finish();
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains(&format!("{rules}:4:5: ")), "{errors}");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let cases: [&[&str]; 4] =
        [&["serve", "--no-such-flag"], &["publish"], &["subscribe", "a//b"], &["sing"]];
    for arguments in cases {
        let (code, _, errors) = Process::start(arguments).finish();
        assert_eq!(code, Some(2), "{arguments:?}\n{errors}");
    }
}

#[test]
fn help_names_every_setting_with_default_and_variable() {
    let (code, help, _) = Process::start(&["serve", "--help"]).finish();
    assert_eq!(code, Some(0));
    let words: Vec<_> = help.split_whitespace().collect();
    let help = words.join(" ");
    for text in [
        "--listen <ADDR>",
        "[default: 127.0.0.1:8080] [env: BELLWIRE_LISTEN]",
        "--rules <GLOB>",
        "[default: none] [env: BELLWIRE_RULES]",
        "--heartbeat-interval <DURATION>",
        "[default: 25s] [env: BELLWIRE_HEARTBEAT_INTERVAL]",
        "Listening: --listen",
        "Limits: --shards",
        "Examples: bellwire serve",
    ] {
        assert!(help.contains(text), "{text}\n{help}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"\xff");
    for (name, arguments) in [
        ("BELLWIRE_LISTEN", &["serve", "--journal", "memory"][..]),
        ("BELLWIRE_RULES", &["check"]),
        ("BELLWIRE_SERVER", &["publish", "a", "1"]),
    ] {
        let mut command = bellwire(arguments);
        command.env(name, odd);
        let (code, output, errors) = Process::spawn(command).finish();
        assert_eq!(code, Some(1), "{name}: {output}{errors}");
        assert!(format!("{output}{errors}").contains(name), "{output}{errors}");
    }
}

#[test]
fn the_page_is_in_no_frame_and_tells_nobody_where_it_was() {
    let server = Server::start();
    for path in ["/", "/icon.svg", "/openapi.json"] {
        let answer = get(server.address(), path);
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").expect("a policy");
        for part in ["default-src 'self'", "object-src 'none'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(answer.header("permissions-policy").is_some(), "{path}");
        assert_eq!(answer.header("strict-transport-security"), None, "{path}");
    }
}
