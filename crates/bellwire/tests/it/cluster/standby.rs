//! The hot standby of the rules: what they remember outlives the node that evaluates them.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::desk::{House, nodes, sample, story, told};
use super::{KINDS, history, try_get};
use crate::harness::{Engine, FailingDisk, Fault, Process, Server, until};

/// Longer than a take-over takes, so that what is due falls behind it.
const FOR_MS: i64 = 12_000;

const RULES: &str = "
groups:
  - name: house
    rules:
      - {alert: Hot, expr: hot == 1, for: 12s, labels: {severity: critical}}
      - {alert: Stays, expr: stays == 1, for: 1h, labels: {severity: info}}
      - {alert: Much, expr: 'sum_over_time(load[10m]) > 25', labels: {severity: info}}
";

fn on_each(of_both: &str, test: impl Fn(House)) {
    let house = |engine| House::ruled(engine, of_both, RULES);
    KINDS.into_iter().filter_map(Engine::start).map(house).for_each(test);
}

/// What the keeper says of the standby.
fn standby(keeper: SocketAddr) -> Value {
    nodes(keeper).map_or(Value::Null, |told| told["standby"].clone())
}

/// Waits until the keeper has a standby that has all; returns which node it is.
#[track_caller]
fn has_standby(keeper: SocketAddr) -> String {
    let mut node = String::new();
    until("there is a standby", || {
        let told = standby(keeper);
        told["node"].as_str().unwrap_or_default().clone_into(&mut node);
        told["state"] == "whole"
    });
    node
}

fn name(server: &Server) -> String {
    let told = nodes(server.address()).expect("it runs");
    told["node"].as_str().expect("a name").to_owned()
}

/// Since when an alert waits, as a node tells.
fn pending_since(address: SocketAddr, alert: &str) -> Option<String> {
    let answer = try_get(address, "/api/v1/alerts").filter(|it| it.status == 200)?.json();
    let alerts = answer["data"]["alerts"].as_array()?.clone();
    let its = |it: &&Value| it["labels"]["alertname"] == alert && it["state"] == "pending";
    Some(alerts.iter().find(its)?["activeAt"].as_str()?.to_owned())
}

#[track_caller]
fn pending(address: SocketAddr, alert: &str) -> String {
    let mut since = None;
    until("the alert is pending", || {
        since = pending_since(address, alert);
        since.is_some()
    });
    since.expect("it is")
}

/// A time, in milliseconds.
fn time(of: &Value) -> i64 {
    of.as_i64().expect("a time")
}

#[test]
fn an_alert_that_is_pending_when_its_node_is_killed_fires_when_it_would_have() {
    on_each("", |mut house| {
        let keeper = house.pair.addresses()[house.keeper];
        has_standby(keeper);
        sample(house.other(), "hot", 1);
        let since = pending(keeper, "Hot");
        house.keeper().kill();
        // Nobody sends anything from here on.
        house.pass_over();
        let address = house.pair.addresses()[house.keeper];
        assert_eq!(pending(address, "Hot"), since);
        until("it fires", || told(address).contains_key("Hot"));
        let fired = &history(address, "alerts/events/critical/Hot")[0]["data"];
        let waited = time(&fired["fired_at"]) - time(&fired["active_at"]);
        assert_eq!(waited, FOR_MS, "to the millisecond: {fired}");
        // The one that was killed comes back, and tells nothing of its own.
        let old = 1 - house.keeper;
        house.pair.nodes[old].restart();
        has_standby(address);
        assert_eq!(told(address), story(&[("Hot", &["firing"])]));
    });
}

#[test]
fn windows_outlive_a_take_over_and_one_that_comes_back_has_them_again() {
    on_each("", |mut house| {
        for _ in 0..2 {
            has_standby(house.pair.addresses()[house.keeper]);
            sample(house.other(), "load", 10);
            house.keeper().kill();
            house.pass_over();
            let old = 1 - house.keeper;
            house.pair.nodes[old].restart();
        }
        let address = house.pair.addresses()[house.keeper];
        assert!(!told(address).contains_key("Much"));
        sample(address, "load", 10);
        until("it fires", || told(address).contains_key("Much"));
    });
}

#[test]
fn a_node_that_sleeps_while_its_standby_takes_over_tells_nothing_when_it_wakes() {
    on_each("", |mut house| {
        let keeper = house.pair.addresses()[house.keeper];
        has_standby(keeper);
        sample(house.other(), "hot", 1);
        let since = pending(keeper, "Hot");
        let sleeping = house.keeper;
        house.keeper().process().signal("STOP");
        house.pass_over();
        let address = house.pair.addresses()[house.keeper];
        assert_eq!(pending(address, "Hot"), since);
        until("it fires", || told(address).contains_key("Hot"));
        house.pair.nodes[sleeping].process().signal("CONT");
        // It is the standby by then, of what the other knows.
        has_standby(address);
        house.pair.settle();
        let expected = story(&[("Hot", &["firing"])]);
        assert_eq!((told(keeper), told(address)), (expected.clone(), expected));
    });
}

#[test]
fn a_standby_that_is_killed_is_left_and_another_takes_its_place() {
    on_each("", |mut house| {
        let keeper = house.pair.addresses()[house.keeper];
        let first = has_standby(keeper);
        let third = house.pair.join();
        let other = 1 - house.keeper;
        assert_eq!(first, name(&house.pair.nodes[other]));
        sample(keeper, "stays", 1);
        let since = pending(keeper, "Stays");
        house.pair.nodes[other].kill();
        // Whoever sends is answered all the same.
        sample(keeper, "load", 1);
        until("the other is the standby", || has_standby(keeper) == name(&third));
        sample(third.address(), "load", 1);
        house.keeper().kill();
        until("it takes over", || {
            nodes(third.address()).is_some_and(|told| told["node"] == told["desk"])
        });
        assert_eq!(pending(third.address(), "Stays"), since);
    });
}

/// What a keeper says that has left its standby.
const LEFT: &str = "The standby of the rules does not follow";

#[test]
fn of_three_nodes_the_standby_takes_over_and_a_rolling_restart_keeps_what_is_pending() {
    on_each("", |mut house| {
        let keeper = house.pair.addresses()[house.keeper];
        has_standby(keeper);
        let third = house.pair.join();
        sample(keeper, "stays", 1);
        let since = pending(keeper, "Stays");
        let mut third = third;
        for turn in 0..3 {
            let all = [&house.pair.nodes[0], &house.pair.nodes[1], &third].map(Server::address);
            let named = has_standby(keeper_of(&all));
            let restarted = if turn < 2 { &mut house.pair.nodes[turn] } else { &mut third };
            let is_keeper = keeper_of(&all) == restarted.address();
            restarted.end();
            if is_keeper {
                // Where the machine is so busy that nothing is heard of the standby for two seconds.
                if restarted.process().errors().contains(LEFT) {
                    println!("SKIPPED: this machine is too slow for a standby to be kept");
                    return;
                }
                let successor = |it: &SocketAddr| {
                    nodes(*it)
                        .is_some_and(|told| told["desk"] == told["node"] && told["node"] == *named)
                };
                until("the standby takes over", || all.iter().any(successor));
            }
            restarted.restart();
        }
        let mut found = None;
        until("it is pending still", || {
            found = pending_since(third.address(), "Stays");
            found.is_some()
        });
        assert_eq!(found, Some(since));
    });
}

/// The node that has the desk, once one of these has.
#[track_caller]
fn keeper_of(all: &[SocketAddr]) -> SocketAddr {
    let mut keeper = None;
    let has_it = |it: &&SocketAddr| nodes(**it).is_some_and(|told| told["node"] == told["desk"]);
    until("somebody has the desk", || {
        keeper = all.iter().find(has_it).copied();
        keeper.is_some()
    });
    keeper.expect("there is one")
}

#[test]
fn a_standby_whose_disk_is_full_leaves_what_it_has_copied_and_copies_again_once_there_is_room() {
    let Some(disk) = FailingDisk::load() else {
        println!("SKIPPED: failing disks need Linux and a C compiler, `cc`");
        return;
    };
    let house = |engine| House::ruled(engine, "", RULES);
    let Some(mut house) = KINDS.into_iter().find_map(Engine::start).map(house) else { return };
    let keeper = house.pair.addresses()[house.keeper];
    house.pair.nodes[1 - house.keeper].kill();
    let (data, url) = (disk.data(), house.pair.engine.url());
    let config = house.pair.folder.path().join("bellwire.toml");
    let config = config.to_str().expect("UTF-8");
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        &data,
        "--cluster",
        &url,
        "--config",
        config,
    ];
    let _standby = Process::spawn(disk.command(&arguments));
    let copy = Path::new(&data).join("standby");
    let named = || standby(keeper)["state"] == "whole" && copy.join("mark").exists();
    until("it is the standby", named);
    let errno = rustix::io::Errno::NOSPC.raw_os_error();
    disk.fail(Fault { kind: "write", skip: 0, count: 1_000_000, errno, sleep_ms: 0 });
    // Whoever sends samples waits for it no longer than it says.
    sample(keeper, "load", 1);
    until("it gives the disk back what it has", || !copy.exists());
    until("the log names nobody", || standby(keeper).is_null());
    sample(keeper, "load", 2);
    disk.heal();
    until("it is the standby again", named);
}

#[test]
fn there_is_no_standby_where_none_is_wanted() {
    on_each("cluster_standby = \"off\"\n", |house| {
        let keeper = house.pair.addresses()[house.keeper];
        sample(house.other(), "load", 10);
        assert_eq!(standby(keeper), Value::Null);
        assert_eq!(standby(house.other()), Value::Null);
    });
}
