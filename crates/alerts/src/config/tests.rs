//! Files as people have them, and every mistake in its place.

use bellwire_model::{Labels, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::route::{GroupBy, GroupTiming};

const FULL: &str = r#"
global:
  resolve_timeout: 2m
  http_config: {authorization: {credentials: s3cret}}
route:
  receiver: everyone
  group_by: [alertname, site]
  group_wait: 10s
  routes:
  - matchers: [severity="critical", 'site=~"oslo|bergen"']
    receiver: pager
    continue: true
    repeat_interval: 1h
    mute_time_intervals: [night]
  - match: {team: db}
    match_re: {site: o.*}
    group_by: ['...']
    group_interval: 1m
    routes:
    - matchers: [env!=prod]
      receiver: pager
      active_time_intervals: [office]
inhibit_rules:
- name: node down
  source_matchers: [alertname=NodeDown]
  target_match_re: {alertname: .+}
  equal: [node]
receivers:
- name: everyone
  webhook_configs:
  - url: http://localhost:9000/hook
- name: pager
  labels: {team: sre}
  webhook_configs:
  - url_file: pager.url
    send_resolved: false
    max_alerts: 10
    timeout: 5s
    http_config: {basic_auth: {username: ada, password_file: /run/pw}, follow_redirects: false}
mute_time_intervals:
- name: night
  time_intervals:
  - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]
time_intervals:
- name: office
  time_intervals:
  - weekdays: ["Monday:Friday"]
    months: [1, "march:december"]
    days_of_month: ["1:15", "-5:-1"]
    years: [2024]
    location: UTC
"#;

fn full() -> Config {
    Config::parse(FULL).expect("valid")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("labels")
}

#[test]
fn a_route_has_of_its_parent_what_it_does_not_say() {
    let routes = full().routes;
    let root = routes.get(Routes::ROOT);
    let minutes = Duration::from_mins;
    let timing = GroupTiming {
        wait: Duration::from_secs(10),
        interval: minutes(5),
        repeat_interval: minutes(240),
    };
    assert_eq!(root.timing, timing);
    let critical = labels(&[("severity", "critical"), ("site", "oslo"), ("alertname", "Hot")]);
    let [pager] = routes.matching(&critical)[..] else { panic!("one route") };
    let pager = routes.get(pager);
    assert_eq!(&*pager.receiver, "pager");
    assert_eq!(pager.timing, GroupTiming { repeat_interval: minutes(60), ..timing });
    assert_eq!(pager.group_by, root.group_by);

    let database = labels(&[("team", "db"), ("site", "oslo"), ("env", "prod")]);
    let [database_route] = routes.matching(&database)[..] else { panic!("one route") };
    let route = routes.get(database_route);
    assert_eq!((&*route.receiver, &route.group_by), ("everyone", &GroupBy::All));
    assert_eq!(route.timing.interval, minutes(1));
}

#[test]
fn alerts_go_down_the_tree_to_where_no_child_takes_them() {
    let routes = full().routes;
    let table = [
        (vec![], "everyone"),
        (vec![("severity", "critical")], "everyone"),
        (vec![("severity", "critical"), ("site", "oslo")], "pager"),
        (vec![("team", "db"), ("site", "paris")], "everyone"),
        (vec![("team", "db"), ("site", "oslo"), ("env", "prod")], "everyone"),
        (vec![("team", "db"), ("site", "oslo"), ("env", "test")], "pager"),
        (vec![("team", "db"), ("site", "oslo"), ("severity", "critical")], "pager pager"),
    ];
    for (pairs, expected) in table {
        assert_eq!(routes.receivers_of(&labels(&pairs)).join(" "), expected, "{pairs:?}");
    }
}

#[test]
fn a_group_is_known_by_its_routes_and_its_labels() {
    let routes = full().routes;
    let alert = labels(&[("alertname", "Hot"), ("site", "os\"lo"), ("sensor", "7")]);
    let root = routes.get(Routes::ROOT);
    let group = root.group_labels(&alert);
    assert_eq!(root.group_key(&group), r#"{}:{alertname="Hot", site="os\"lo"}"#);
    let alert = labels(&[("team", "db"), ("site", "oslo"), ("env", "test")]);
    let [id] = routes.matching(&alert)[..] else { panic!("one route") };
    let key = routes.get(id).group_key(&routes.get(id).group_labels(&alert));
    let expected = r#"{}/{site=~"o.*",team="db"}/{env!="prod"}"#;
    assert_eq!(key, format!(r#"{expected}:{{env="test", site="oslo", team="db"}}"#));
}

#[test]
fn a_route_is_silent_within_its_mute_intervals_and_outside_its_active_ones() {
    let routes = full().routes;
    let critical = labels(&[("severity", "critical"), ("site", "oslo")]);
    let database = labels(&[("team", "db"), ("site", "oslo"), ("env", "test")]);
    let table = [
        (&critical, "2024-01-01T23:00:00Z", ["night"].as_slice()),
        (&critical, "2024-01-01T05:59:59Z", &["night"]),
        (&critical, "2024-01-01T06:00:00Z", &[]),
        (&database, "2024-01-01T12:00:00Z", &[]),
        (&database, "2024-02-01T12:00:00Z", &["office"]),
        (&database, "2024-01-06T12:00:00Z", &["office"]),
        (&database, "2024-03-19T12:00:00Z", &["office"]),
        (&database, "2024-03-28T12:00:00Z", &[]),
        (&database, "2025-01-01T12:00:00Z", &["office"]),
    ];
    for (alert, time, expected) in table {
        let at = Timestamp::from_rfc3339(time).expect("a time");
        let route = routes.get(routes.matching(alert)[0]);
        assert_eq!(route.muted_by(at), expected, "{time}");
    }
}

#[test]
fn receivers_are_read_with_all_that_they_say() {
    let config = full().in_folder(Path::new("/etc/bellwire"));
    let everyone = &config.receiver("everyone").expect("there").webhooks[0];
    assert_eq!(everyone.resolved, Resolved::Sent);
    assert_eq!(everyone.url, Secret::Text("http://localhost:9000/hook".into()));
    let bearer = Authorization::Scheme {
        scheme: "Bearer".into(),
        credentials: Secret::Text("s3cret".into()),
    };
    assert_eq!(everyone.http.authorization, Some(bearer), "the one of `global`");
    assert!(!format!("{config:?}").replace(FULL, "").contains("s3cret: "), "secrets are not shown");

    let pager = config.receiver("pager").expect("there");
    assert_eq!(pager.labels, labels(&[("name", "pager"), ("team", "sre")]));
    let pager = &pager.webhooks[0];
    assert_eq!(pager.url, Secret::File("/etc/bellwire/pager.url".into()));
    assert_eq!((pager.resolved, pager.alerts_max), (Resolved::LeftOut, Some(10)));
    assert_eq!(pager.timeout, Some(Duration::from_secs(5)));
    assert_eq!(pager.http.redirects, Redirects::Refused);
    let basic = Authorization::Basic {
        username: "ada".into(),
        password: Some(Secret::File("/run/pw".into())),
    };
    assert_eq!(pager.http.authorization, Some(basic));
}

#[test]
fn without_a_file_there_is_one_receiver_that_goes_nowhere() {
    let config = Config::default();
    assert_eq!(config.resolve_timeout, Duration::from_mins(5));
    assert_eq!(config.receivers.len(), 1);
    assert!(config.receiver("default").expect("there").webhooks.is_empty());
    assert_eq!(Config::parse(config.original()), Ok(config));
}

/// `receivers: [{name: a}]` follows each of these.
#[test]
fn every_mistake_is_told_with_its_place() {
    let table = [
        ("", "1:1: the file has a `route`"),
        ("route: {}", "1:8: the topmost route has a `receiver`"),
        ("route: [", "1:8: expected mapping start"),
        (
            "route: {receiver: a, match: {b: null}}",
            "1:8: the topmost route takes every alert: it has no `match`",
        ),
        ("route: {receiver: b}", "1:19: there is no receiver `b`"),
        (
            "route: {receiver: a, continue: true}",
            "1:8: the topmost route takes every alert: it has no `continue`",
        ),
        (
            "route: {receiver: a, matchers: [a=b]}",
            "1:8: the topmost route takes every alert: it has no `matchers`",
        ),
        (
            "route: {receiver: a, group_by: [a, '...']}",
            "1:36: `...` groups by all labels: name no others beside it",
        ),
        ("route: {receiver: a, group_by: [b, b]}", "1:36: the label `b` stands twice"),
        ("route: {receiver: a, group_interval: 0s}", "1:38: `group_interval` is more than zero"),
        (
            "route: {receiver: a, group_wait: soon}",
            "1:34: `soon` is no duration; write it as `5m`, `1h30m` or `250ms`",
        ),
        ("route: {receiver: a, routes: [{matchers: ['a~b']}]}", "1:43: bad matcher format: a~b"),
        (
            "route: {receiver: a, routes: [{mute_time_intervals: [x]}]}",
            "1:54: there is no time interval `x`",
        ),
        (
            "route: {receiver: a, labels: {a: b}}",
            "1:22: `labels` is not supported here; these are: `receiver`, `group_by`, `match`, \
             `match_re`, `matchers`, `mute_time_intervals`, `active_time_intervals`, `continue`, \
             `routes`, `group_wait`, `group_interval`, `repeat_interval`",
        ),
        (
            "route: {receiver: a}\ntracing: {}",
            "2:1: `tracing` is not supported here; these are: `global`, `route`, `inhibit_rules`, \
             `receivers`, `mute_time_intervals`, `time_intervals`",
        ),
        (
            "route: {receiver: a}\nglobal: {smtp_from: a@b}",
            "2:10: `smtp_from`: notifications go out as webhooks only, so write `webhook_configs`",
        ),
        (
            "route: {receiver: a}\ntemplates: [x.tmpl]",
            "2:13: webhooks have no templates: take the `templates` out",
        ),
        (
            "route: {receiver: a}\ntime_intervals: [{name: n, time_intervals: [{weekdays: [mon]}]}]",
            "2:57: `mon` is not a weekday such as `monday`, or a range such as `monday:friday`",
        ),
        (
            "route: {receiver: a}\ntime_intervals: [{name: n, time_intervals: [{location: Oslo}]}]",
            "2:56: there is no time zone `Oslo`; write one such as `Europe/Oslo`, or `UTC`",
        ),
    ];
    for (text, expected) in table {
        let text = format!("{text}\nreceivers: [{{name: a}}]\n");
        let errors = Config::parse(&text).expect_err(expected);
        assert_eq!(errors[0].to_string(), expected, "{text}");
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    }
}

#[test]
fn mistakes_are_told_in_the_order_of_the_file() {
    let text = "route: {receiver: b, group_wait: soon}\nreceivers: [{name: ''}]\ntemplates: [x]\n";
    let errors = Config::parse(text).expect_err("three mistakes and more");
    assert!(errors.len() >= 3, "{errors:?}");
    assert!(errors.is_sorted_by_key(|error| (error.line, error.column)), "{errors:?}");
}

/// `route: {receiver: a}` stands before each of these.
#[test]
fn mistakes_of_receivers_are_told_with_their_place() {
    let table = [
        ("[{name: ''}, {name: a}]", "2:20: this name is empty"),
        ("[{name: a}, {name: a}]", "2:31: the receiver `a` stands twice"),
        (
            "[{name: a, slack_configs: []}]",
            "2:23: `slack_configs`: notifications go out as webhooks only, so write \
             `webhook_configs`",
        ),
        ("[{name: a, webhook_configs: [{}]}]", "2:41: write one of `url` and `url_file`"),
        (
            "[{name: a, webhook_configs: [{url: 'ftp://a'}]}]",
            "2:47: this is no `http://` or `https://` URL",
        ),
        (
            "[{name: a, webhook_configs: [{url: 'http://{{ .X }}'}]}]",
            "2:47: `{{` begins a template, and templates are not supported: write the text itself",
        ),
        (
            "[{name: a, webhook_configs: [{url: 'http://a', http_config: {proxy_url: x}}]}]",
            "2:73: `proxy_url` is not supported here; these are: `basic_auth`, `authorization`, \
             `bearer_token`, `bearer_token_file`, `follow_redirects`, `enable_http2`, `tls_config`",
        ),
        (
            "[{name: a, webhook_configs: [{url: 'http://a', http_config: \
             {bearer_token: x, basic_auth: {}}}]}]",
            "2:87: write one of `basic_auth`, `authorization`, `bearer_token` and \
             `bearer_token_file`",
        ),
        ("[{name: a, labels: {name: b}}]", "2:38: the label `name` is the receiver's name"),
    ];
    for (receivers, expected) in table {
        let text = format!("route: {{receiver: a}}\nreceivers: {receivers}\n");
        let errors = Config::parse(&text).expect_err(expected);
        assert_eq!(errors[0].to_string(), expected, "{text}");
    }
}

/// A file with some of its characters replaced, left out, or more put in.
fn damaged(edits: &[(prop::sample::Index, Option<char>, bool)]) -> String {
    let mut characters: Vec<char> = FULL.chars().collect();
    for (place, character, replaces) in edits {
        let place = place.index(characters.len());
        let taken = place..place + usize::from(*replaces || character.is_none());
        characters.splice(taken, *character);
    }
    characters.into_iter().collect()
}

proptest! {
    #[test]
    fn no_file_panics_and_each_mistake_is_in_it(
        edits in prop::collection::vec(any::<(prop::sample::Index, Option<char>, bool)>(), 1..12)
    ) {
        let text = damaged(&edits);
        if let Err(errors) = Config::parse(&text) {
            prop_assert!(!errors.is_empty());
            let lines = text.chars().filter(|c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')).count() + 1;
            for error in errors {
                prop_assert!((1..=lines + 1).contains(&error.line), "{error} of {lines}");
                prop_assert!(error.column >= 1, "{error}");
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
