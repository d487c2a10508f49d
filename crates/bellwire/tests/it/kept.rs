//! Pages of history that a client may keep, and how it learns that they still hold.

use crate::harness::{Answer, Request, Server, get, post, request};

/// Asks for a page that the client may have.
fn ask(server: &Server, path: &str, tag: &str) -> Answer {
    let headers = [("If-None-Match", tag)];
    request(server.address(), Request { method: "GET", path, headers: &headers, body: b"" })
}

fn publish(server: &Server, topic: &str, number: usize) -> String {
    let answer = post(server.address(), &format!("/v1/topics/{topic}"), number.to_string());
    assert_eq!(answer.status, 201);
    answer.json()["cursor"].as_str().expect("a cursor").to_owned()
}

#[track_caller]
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.header(name).unwrap_or_default()
}

#[test]
fn a_page_is_not_sent_again_while_it_would_be_the_same_and_no_longer() {
    let mut server = Server::start();
    let cursors: Vec<String> = (0..5).map(|number| publish(&server, "a", number)).collect();
    let full = format!("/v1/topics/a?after={}&limit=2", cursors[0]);
    let page = get(server.address(), &full);
    let (tag, text) = (header(&page, "etag").to_owned(), page.text().to_owned());
    assert_eq!(header(&page, "cache-control"), "private, max-age=3600, immutable");
    assert_eq!(header(&page, "vary"), "Authorization, Cookie");

    let rest = format!("/v1/topics/a?after={}", cursors[3]);
    let first = "/v1/topics/a?limit=2";
    let tag_of = |server: &Server, path: &str| {
        let page = get(server.address(), path);
        assert_eq!(header(&page, "cache-control"), "private, no-cache", "{path}");
        header(&page, "etag").to_owned()
    };
    let (rest_tag, first_tag) = (tag_of(&server, &rest), tag_of(&server, first));
    for (path, tag) in [(&*full, &tag), (&rest, &rest_tag), (first, &first_tag)] {
        let same = ask(&server, path, tag);
        assert_eq!((same.status, same.text()), (304, ""), "{path}");
        assert_eq!(header(&same, "etag"), tag, "{path}");
        assert_eq!(ask(&server, path, &format!("\"x\", W/{tag}")).status, 304, "{path}");
        assert_eq!(ask(&server, path, "\"x\"").status, 200, "{path}");
    }
    // The tag of one page says nothing of another one.
    assert_eq!(ask(&server, &full.replace("limit=2", "limit=3"), &tag).status, 200);
    assert_eq!(ask(&server, &rest, &tag).status, 200);

    // What comes later belongs to the last page alone.
    publish(&server, "a", 5);
    assert_eq!(ask(&server, &full, &tag).status, 304);
    assert_eq!(ask(&server, first, &first_tag).status, 304);
    let more = ask(&server, &rest, &rest_tag);
    assert_eq!((more.status, more.json()["events"].as_array().map(Vec::len)), (200, Some(2)));

    server.kill();
    server.restart();
    assert_eq!(ask(&server, &full, &tag).status, 304);
    assert_eq!(get(server.address(), &full).text(), text, "the same bytes");
}

#[test]
fn a_page_of_which_something_is_gone_is_told_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("bellwire.toml");
    let rule = "[[topic]]\nmatch = \"short\"\nretention_events_max = 10\n";
    std::fs::write(&config, rule).expect("written");
    let mut server = Server::start_with(&["--config", config.to_str().expect("UTF-8")]);
    let cursors: Vec<String> = (0..3).map(|number| publish(&server, "short", number)).collect();
    let path = format!("/v1/topics/short?after={}&limit=2", cursors[0]);
    let first = "/v1/topics/short?limit=2";
    let tag = |path: &str| header(&get(server.address(), path), "etag").to_owned();
    let (tag, first_tag) = (tag(&path), tag(first));
    let batch: String = (0..500).map(|_| "{\"topic\":\"short\",\"data\":1}\n").collect();
    assert_eq!(post(server.address(), "/v1/events", batch).status, 200);
    // Retention is applied at the start, too.
    server.restart();
    let anew = (0..3_000).find_map(|_| {
        let answer = ask(&server, &path, &tag);
        if answer.status == 304 {
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        (answer.status != 304).then_some(answer)
    });
    let anew = anew.expect("retention is applied");
    assert_eq!(anew.json()["gap"]["reason"], "expired");
    assert_eq!((header(&anew, "etag"), header(&anew, "cache-control")), ("", "no-store"));
    assert_eq!(ask(&server, first, &first_tag).status, 200);
    let latest = get(server.address(), "/v1/topics/short?after=latest");
    assert_eq!((header(&latest, "etag"), header(&latest, "cache-control")), ("", "no-store"));
}
