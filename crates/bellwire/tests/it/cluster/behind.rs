//! A node that is far behind says so, and lets nobody in who would be shown what is old.

use std::net::SocketAddr;

use super::{KINDS, Pair};
use crate::failing_disk::address;
use crate::harness::{
    Answer, FailingDisk, Fault, Process, Request, Stream, get, post, request, until,
};

/// How long its disk takes to sync: for longer than a node may be behind.
const SYNC_MS: u64 = 20_000;
const UNTIL_HEALED: u64 = 1_000_000;

/// What somebody is answered who wants to know what there is, and would wait for more.
fn poll(address: SocketAddr) -> Answer {
    let headers = [("Accept", "application/json")];
    let path = "/v1/events?topic=lab/a&after=earliest";
    request(address, Request { method: "GET", path, headers: &headers, body: b"" })
}

#[test]
fn a_node_that_is_far_behind_lets_nobody_in_until_it_has_caught_up() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let Some(pair) = KINDS.into_iter().find_map(Pair::start) else { return };
    let (data, url) = (disk.data(), pair.engine.url());
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data, "--cluster", &url];
    let mut process = Process::spawn(disk.command(&arguments));
    let slow = address(&process.line());
    let mut early = Stream::open(slow, "topic=lab/a");
    drop(early.until_ready());

    disk.fail(Fault { kind: "sync", skip: 0, count: UNTIL_HEALED, errno: 0, sleep_ms: SYNC_MS });
    post(pair.addresses()[0], "/v1/topics/lab/a", "1").cursor();
    until("it is behind", || get(slow, "/readyz").status == 503);
    let said = get(slow, "/readyz");
    assert!(said.text().contains("the node is behind its cluster"), "{}", said.text());
    // The keeper is well, and says so; what this node shows of it is old.
    let status = get(slow, "/v1/status").json();
    assert_eq!(
        (&status["ready"], &status["unready"]),
        (&false.into(), &"the node is behind its cluster".into()),
        "{status}"
    );
    assert_eq!(get(pair.addresses()[1], "/v1/status").json()["ready"], true);
    let refused = poll(slow);
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"node_behind".into()));
    assert!(refused.header("retry-after").is_some(), "{:?}", refused.headers);
    let refused = get(slow, "/v1/events?topic=lab/a");
    assert_eq!((refused.status, &refused.json()["code"]), (503, &"node_behind".into()));
    assert_eq!(get(pair.addresses()[1], "/readyz").status, 200, "the others are not");

    disk.heal();
    until("it has caught up", || get(slow, "/readyz").status == 200);
    assert_eq!(early.events(1)[0].payload(), 1, "who was there stays served");
    assert_eq!(poll(slow).json()["events"][0]["data"], 1);
    process.signal("TERM");
    assert!(process.wait().success());
}
