//! What sources send is counted by protocol and reason, and what was refused can be looked at.

use crate::harness::{Server, Stream, get, post};

#[test]
fn what_is_refused_is_counted_and_shown_without_its_secrets() {
    let server = Server::start();
    let address = server.address();
    let mut rejects = Stream::open(address, "topic=$sys/rejects");
    rejects.until_ready();
    let lines = "t,site=oslo value=1\nt,password=hunter2 value=fast\n";
    assert_eq!(post(address, "/api/v2/write", lines).status, 400);
    let reject = rejects.events(1).remove(0).json();
    assert_eq!(reject["key"], "influx/field_invalid");
    let told = &reject["data"];
    assert_eq!((&told["source"], &told["reason"]), (&"influx".into(), &"field_invalid".into()));
    assert_eq!(told["excerpt"], "t,password=[removed] value=fast");
    assert_eq!((&told["line"], &told["subject"]), (&2.into(), &"anonymous".into()));

    assert_eq!(post(address, "/v1/samples", "[").status, 400);
    let reject = rejects.events(1).remove(0).json();
    assert_eq!(reject["key"], "json/json_invalid");
    assert!(reject["data"]["excerpt"].is_null(), "{reject}");

    assert_eq!(post(address, "/write?precision=d", lines).status, 400);
    let metrics = get(address, "/metrics");
    for figure in [
        r#"bellwire_source_samples_taken_total{source="influx"} 1"#,
        r#"bellwire_source_samples_taken_total{source="json"} 0"#,
        r#"bellwire_source_samples_refused_total{source="influx",reason="field_invalid"} 1"#,
        r#"bellwire_source_requests_refused_total{source="json",reason="json_invalid"} 1"#,
        r#"bellwire_source_requests_refused_total{source="influx",reason="head_invalid"} 1"#,
    ] {
        assert!(metrics.text().contains(&format!("\n{figure}\n")), "{figure}: {}", metrics.text());
    }
}
