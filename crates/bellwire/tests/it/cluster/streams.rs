//! Durable Streams of a cluster: created, appended to and deleted at any node, and read at each.

use std::net::SocketAddr;

use super::on_each;
use crate::harness::{Answer, Request, get, request, until};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn ask(address: SocketAddr, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let path = "/v1/ds/runs/42";
    request(address, Request { method, path, headers, body: body.as_bytes() })
}

fn read(address: SocketAddr) -> Answer {
    get(address, "/v1/ds/runs/42?offset=-1")
}

#[test]
fn a_stream_is_the_same_at_all_nodes_from_its_creation_to_its_end() {
    on_each(|mut pair| {
        let [one, other] = pair.addresses();
        assert_eq!(read(one).status, 404);
        let created = ask(one, "PUT", &[("Content-Type", "text/plain")], "a");
        assert_eq!(created.status, 201, "{}", created.text());
        // Whoever has written finds it where it has, and soon everywhere.
        assert_eq!(read(one).text(), "a");
        until("the other has it", || read(other).text() == "a");
        assert_eq!(read(other).header("content-type"), Some("text/plain"));
        let again = ask(other, "PUT", &[JSON], "");
        assert_eq!(again.json()["code"], "stream_mismatch", "{}", again.text());
        for (number, address) in [other, one, other].into_iter().enumerate() {
            let sequence = number.to_string();
            let headers = [("Content-Type", "text/plain"), ("Stream-Seq", sequence.as_str())];
            let appended = ask(address, "POST", &headers, &sequence);
            assert!(appended.status < 300, "{}", appended.text());
            assert!(read(address).text().ends_with(&sequence));
            // One of before is refused, at whichever node it is asked for.
            let stale = ask(address, "POST", &headers, "x");
            assert_eq!(stale.json()["code"], "sequence_stale", "{}", stale.text());
        }
        for node in &mut pair.nodes {
            node.kill();
            node.restart();
            assert_eq!(read(node.address()).text(), "a012");
        }
        until("somebody keeps the desk", || {
            let deleted = ask(other, "DELETE", &[], "");
            assert!(matches!(deleted.status, 204 | 404 | 503), "{}", deleted.text());
            deleted.status != 503
        });
        assert_eq!(read(other).status, 404);
        until("it is gone everywhere", || read(one).status == 404);
        let created = ask(one, "PUT", &[JSON], "[1]");
        assert_eq!(created.status, 201, "{}", created.text());
        for address in [one, other] {
            until("there is another one", || read(address).text() == "[1]");
        }
    });
}
