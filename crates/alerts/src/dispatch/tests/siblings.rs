//! Routes with the same matchers and the same receiver: each tells for itself.

use super::*;

const TIMES: &str = "  group_wait: 1s\n  group_interval: 2s\n  repeat_interval: 1h";

/// What each of two such routes says.
const SITES: &str = "group_by: [site]";
const NAMES: &str = "group_by: [site, alertname], repeat_interval: 30m";
const SLOW: &str = "group_by: [site], group_interval: 3s";

fn config(routes: &[&str]) -> Arc<Config> {
    let sibling =
        |says: &&str| format!("  - {{matchers: [site=o], receiver: a, continue: true, {says}}}\n");
    let text = format!(
        "route:\n  receiver: c\n{TIMES}\n  routes:\n{}\
         receivers: [{{name: c}}, {{name: a, webhook_configs: [{{url: 'http://localhost'}}]}}]\n",
        routes.iter().map(sibling).collect::<String>(),
    );
    Arc::new(Config::parse(&text).unwrap_or_else(|errors| panic!("{errors:?}: {text}")))
}

/// Comes back with such routes, whose alert still fires; says who is told what.
fn told_after(story: &mut Story, routes: &[&str]) -> usize {
    story.told.clear();
    story.restarts_with(config(routes));
    story.update("one", None, Sound::Audible);
    assert_eq!(story.settles(), Vec::<String>::new());
    // Before anything is repeated.
    let now = story.now.as_ms() as f64 / 1e3;
    story.until(now + 2.0);
    story.told.lines().count()
}

fn story(routes: &[&str]) -> Story {
    let mut story = Story::new(QUICK, 1);
    story.restarts_with(config(routes));
    story.update("one", None, Sound::Audible);
    story
}

#[test]
fn each_of_two_routes_tells_its_group_and_no_look_waits_for_the_other() {
    let mut story = story(&[SITES, SLOW, SITES]);
    story.until(1.0);
    assert_eq!(story.told, "1s a0 first notification: +one\n".repeat(3));
    assert_eq!(story.stored.len(), 3);
    story.resolves("one");
    story.until(4.0);
    let ends = story.told.lines().filter(|line| line.contains("all alerts resolved"));
    assert_eq!(ends.count(), 3);
}

#[test]
fn what_each_has_told_is_found_wherever_it_stands_and_whatever_times_it_has() {
    let faster = "group_by: [site], repeat_interval: 60s";
    let orders: [&[&str]; 4] =
        [&[NAMES, SITES], &[SITES, NAMES], &["group_by: [x]", NAMES, SITES], &[faster, NAMES]];
    for order in orders {
        let mut story = story(&[SITES, NAMES]);
        story.until(1.0);
        story.told.clear();
        let expected = order.len() - 2;
        assert_eq!(told_after(&mut story, order), expected, "{order:?}");
    }
    // Two that differ in times alone, in the other order.
    let mut story = story(&[SITES, SLOW]);
    story.until(1.0);
    assert_eq!(told_after(&mut story, &[SLOW, SITES]), 0);
}

#[test]
fn what_was_told_by_one_route_alone_is_found_once_others_come_and_go() {
    let mut story = story(&[SITES]);
    story.until(1.0);
    assert!(story.stored.keys().all(|key| key.starts_with("notified/0/")));
    assert_eq!(told_after(&mut story, &[SITES, SLOW]), 1, "the new one knows nothing");
    assert_eq!(story.stored.len(), 2);
    assert_eq!(told_after(&mut story, &[SITES, SLOW]), 0);
    assert_eq!(told_after(&mut story, &[SLOW]), 0);
    assert_eq!(told_after(&mut story, &[SLOW]), 0);
}
