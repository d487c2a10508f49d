//! Descriptions as people write them, right and wrong.

use super::*;

const LEAST: &str = "[[flow]]\nname = \"a\"\ndown = 1\n";

fn error(text: &str) -> String {
    read_toml(text).expect_err(text).to_string()
}

#[test]
fn a_description_has_defaults_for_what_it_leaves_out() {
    let Description { infrastructure, flows } = read_toml(LEAST).expect("it is enough");
    assert_eq!(infrastructure, Infrastructure::default());
    let flow = Flow {
        name: "a".into(),
        down_per_second: 1.0,
        up_per_second: 0.0,
        bytes: 200.0,
        up_bytes: 200.0,
        latency_ms: 1_000.0,
        client: Client::Browser,
        connections: 1.0,
        binary: false,
        proxies: None,
        websockets: None,
    };
    assert_eq!(flows, [flow]);
}

#[test]
fn rates_are_numbers_or_texts() {
    for (written, per_second) in [
        ("5", 5.0),
        ("0.5", 0.5),
        ("1_000", 1_000.0),
        ("0x10", 16.0),
        ("\"5/s\"", 5.0),
        ("\"3/min\"", 0.05),
        ("\"3 / m\"", 0.05),
        ("\"36/h\"", 0.01),
    ] {
        let text = format!("[[flow]]\nname = \"a\"\nup = {written}\n");
        let read = read_toml(&text).expect(written).flows[0].up_per_second;
        assert!((read - per_second).abs() < 1e-12, "{written}: {read}");
    }
}

/// What is written, and how the error begins.
const WRONG: &[(&str, &str)] = &[
    (
        "",
        "1:1: there is no flow: describe one, as `[[flow]]` with a `name` and the rates `down` and `up`",
    ),
    ("flow = []", "1:8: there is no flow"),
    (
        "[flow]\nname = \"a\"",
        "1:1: `flow` is a list of tables: write `[[flow]]`, with two brackets",
    ),
    ("[[flow]]\ndown = 1", "1:1: flow 1 has no `name`"),
    ("[[flow]]\nname = 1", "2:8: flow 1: `name` is a text"),
    (
        "[[flow]]\nname = \"\\u001b[2J\"",
        "2:8: flow 1: `name` has 1 to 100 bytes, and nothing that steers a terminal",
    ),
    ("[[flow]]\nname = \"a\"", "1:1: flow `a`: nothing flows"),
    ("[[flow]]\nname = \"a\"\ndown = 0", "1:1: flow `a`: nothing flows"),
    (
        "[[flow]]\nname = \"a\"\ndown = \"fast\"",
        "3:8: flow `a`: `down` is a rate: a number of events a second, or a text such as `5/s`, `2/min`, `1/h`; not `fast`",
    ),
    ("[[flow]]\nname = \"a\"\ndown = \"5/day\"", "3:8: flow `a`: `down` is a rate"),
    (
        "[[flow]]\nname = \"a\"\ndown = nan",
        "3:8: flow `a`: `down` is from 0 to 1000000 events a second; not NaN",
    ),
    (
        "[[flow]]\nname = \"a\"\ndown = -1",
        "3:8: flow `a`: `down` is from 0 to 1000000 events a second; not -1",
    ),
    (
        "[[flow]]\nname = \"a\"\ndown = \"inf/s\"",
        "3:8: flow `a`: `down` is from 0 to 1000000 events a second",
    ),
    (
        "[[flow]]\nname = \"a\"\ndown = 1\nlatency = 5",
        "4:11: flow `a`: `latency` is how late an event may be, such as `100ms`, `1s` or `5m`; a day at most; not 5",
    ),
    ("[[flow]]\nname = \"a\"\ndown = 1\nlatency = \"2d\"", "4:11: flow `a`: `latency` is how late"),
    ("[[flow]]\nname = \"a\"\ndown = 1\nlatency = \"0s\"", "4:11: flow `a`: `latency` is how late"),
    (
        "[[flow]]\nname = \"a\"\ndown = 1\nclient = \"fridge\"",
        "4:10: flow `a`: `client` is `browser`, `app`, `program` or `device`; not `fridge`",
    ),
    (
        "[[flow]]\nname = \"a\"\ndown = 1\nconnections = 0",
        "4:15: flow `a`: `connections` is a number from 1 to 1000000000; not 0",
    ),
    (
        "[[flow]]\nname = \"a\"\ndown = 1\nbinary = \"yes\"",
        "4:10: flow `a`: `binary` is true or false; not `yes`",
    ),
    (
        "[[flow]]\nname = \"a\"\nrate = 1\nup = 1",
        "3:1: flow 1: `rate` is no key; there are `name`, `down`",
    ),
    (
        "[[flow]]\nname = \"a\"\nup-bytes = 1\nup = 1",
        "3:1: flow 1: `up-bytes` is no key; did you mean `up_bytes`?",
    ),
    ("flows = 1", "1:1: the description: `flows` is no key; did you mean `flow`?"),
    ("infrastructure = 1", "1:18: `[infrastructure]` is a table"),
    (
        "[infrastructure]\nproxies = \"nginx\"",
        "2:11: `[infrastructure]`: `proxies` is `none`, `stream`, `buffer` or `unknown`; not `nginx`",
    ),
    (
        "[[flow]]\nname = \"a\"\ndown = 1\n[[flow]]\nname = \"a\"\ndown = 1",
        "4:1: two flows are called `a`: give each a name of its own",
    ),
    ("[[flow]\n", "1:"),
];

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_would_be_right() {
    for (text, expected) in WRONG {
        let error = error(text);
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}

#[test]
fn a_description_has_an_end() {
    let long = format!("{LEAST}# {}", "x".repeat(ADVICE_BYTES_MAX));
    assert!(error(&long).contains("at most 65536 bytes"));
    let flow = |number| format!("[[flow]]\nname = \"{number}\"\ndown = 1\n");
    let many: String = (0..=ADVICE_FLOWS_MAX).map(flow).collect();
    assert!(error(&many).contains(": there are at most 64 flows"), "{}", error(&many));
    let most: String = (0..ADVICE_FLOWS_MAX).map(flow).collect();
    assert_eq!(read_toml(&most).expect("so many").flows.len(), ADVICE_FLOWS_MAX);
    let nested = format!("a = {}", "[".repeat(10_000));
    assert!(error(&nested).starts_with("1:"));
}

#[test]
fn json_says_the_same_with_the_same_keys() {
    let json = br#"{"infrastructure":{"http2":true,"websockets":"pass"},
        "flow":[{"name":"a","down":"2/min","up":0.5,"client":"app","latency":"250ms"}]}"#;
    let toml = "[infrastructure]\nhttp2 = true\nwebsockets = \"pass\"\n[[flow]]\nname = \"a\"\n\
                down = \"2/min\"\nup = 0.5\nclient = \"app\"\nlatency = \"250ms\"\n";
    assert_eq!(read_json(json), read_toml(toml));
    for (json, expected) in [
        ("", "1:0: this is no JSON"),
        ("{\"flow\":", "1:8: this is no JSON"),
        ("[]", "the description is a table"),
        ("{\"flow\":[{\"name\":\"a\",\"down\":null}]}", "flow `a`: `down` is a rate"),
        ("{\"flow\":[7]}", "flow 1 is a table"),
    ] {
        let error = read_json(json.as_bytes()).expect_err(json).to_string();
        assert!(error.starts_with(expected), "{json}: {error}");
    }
}
