//! Which topics there are: pages of them, however many there are.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::harness::{Server, Stream, get, post};

/// Pages of a listing, as names.
fn pages(address: SocketAddr, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let answer = get(address, &format!("/v1/topics?{query}&after={after}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json();
        let names = page["topics"].as_array().expect("topics").iter();
        pages.push(names.map(|it| it["topic"].as_str().expect("a name").to_owned()).collect());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return pages,
        }
    }
}

#[test]
fn a_listing_comes_in_pages_that_have_each_topic_once() {
    let server = Server::start();
    let address = server.address();
    let events: String = (0..2_345)
        .map(|n| format!("{{\"topic\":\"users/{n:04}\",\"data\":1}}\n"))
        .chain(["{\"topic\":\"alone\",\"data\":1}\n".to_owned()])
        .collect();
    assert_eq!(post(address, "/v1/events", events).status, 200);
    let samples = "{\"name\":\"cpu\",\"value\":1}\n{\"name\":\"zeta\",\"value\":1}\n";
    let mut values = Stream::open(address, "topic=samples/**");
    values.until_ready();
    assert_eq!(post(address, "/v1/samples", samples).status, 200);
    values.events(2);

    let all = pages(address, "");
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 1_000, 348]);
    let names: Vec<String> = all.concat();
    let set: BTreeSet<&String> = names.iter().collect();
    assert_eq!(set.len(), names.len(), "each of them once");
    assert!(names.is_sorted(), "by name");
    for name in ["alone", "users/0000", "users/2344", "samples/cpu", "samples/zeta"] {
        assert!(set.contains(&name.to_owned()), "{name}");
    }
    assert_eq!(pages(address, "limit=2000").iter().map(Vec::len).collect::<Vec<_>>(), [2_000, 348]);
    let users = pages(address, "prefix=users/01&limit=30");
    assert_eq!(users.iter().map(Vec::len).collect::<Vec<_>>(), [30, 30, 30, 10]);
    assert_eq!(pages(address, "prefix=samples/"), [["samples/cpu", "samples/zeta"]]);
    assert_eq!(pages(address, "prefix=nothing"), [Vec::<String>::new()]);
    let own = pages(address, "prefix=$sys").concat();
    assert!(own.iter().all(|name| name.starts_with("$sys/")), "{own:?}");
    for wrong in ["limit=0", "limit=10001", "limit=x", "prefx=a"] {
        assert_eq!(get(address, &format!("/v1/topics?{wrong}")).status, 400, "{wrong}");
    }
}
