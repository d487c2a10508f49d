//! What becomes of what is sent, in virtual time.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{BYTES_MAX, LETTERS_MAX};
use crate::Client;
use crate::error::{Error, UnsentError, UnsentReason};
use crate::samples::Sample;
use crate::scripted::{Play, Scripted, Step, numbered_tokens};
use crate::token::Source;

fn taken() -> Play {
    Play::Answer(201, &[], vec![Step::Bytes("{\"cursor\":\"e1-7\"}".to_owned())])
}

fn handed_back(error: Error) -> UnsentError {
    match error {
        Error::Unsent(unsent) => *unsent,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_is_sent_again_under_its_key_until_it_is_taken() {
    let busy = Play::Answer(429, &[("retry-after", "5")], Vec::new());
    let script = Scripted::new([Play::Nobody, Play::Broken, Play::Mute, busy, taken()]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let published = client.publish("lab/a", 1).send().await.expect("it is taken");
    assert_eq!(published.cursor.as_deref(), Some("e1-7"));
    // 1 s, 2 s, 15 s and 4 s, then 8 s, for those are more than what was asked for.
    assert_eq!(script.times(), [0, 1_000, 3_000, 22_000, 30_000]);
    let keys: Vec<_> = script.asked().into_iter().filter_map(|it| it.idempotency_key).collect();
    assert!(keys.len() == 5 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_in_time_is_handed_back() {
    let script = Scripted::new([Play::Nobody, Play::Mute, Play::Nobody]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let publish = client.publish("lab/a", "x").idempotency_key("k");
    let error = publish.timeout(Duration::from_secs(10)).send().await.expect_err("nobody");
    assert_eq!(error.code(), "unanswered");
    let unsent = handed_back(error);
    assert_eq!(unsent.idempotency_key.as_deref(), Some("k"));
    assert!(unsent.may_be_taken);
    assert_eq!(&unsent.body[..], b"\"x\"");

    let script = Scripted::new([]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let unsent = handed_back(client.publish("lab/a", 1).send().await.expect_err("nobody"));
    assert!(!unsent.may_be_taken);
    assert_eq!(unsent.last.expect("the last try").code(), "connection_failed");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_do_the_same_twice_is_not_sent_again_once_it_may_be_there() {
    let client_of = |plays: Vec<Play>| {
        let script = Scripted::new(plays);
        (Client::with(script.surroundings(Source::Fixed(None))), script)
    };
    let (client, script) = client_of(vec![Play::Nobody, Play::Broken]);
    let conditional = client.publish("s/a", 1).key("k").if_absent().send().await;
    assert!(handed_back(conditional.expect_err("cut")).may_be_taken);
    assert_eq!(script.asked().len(), 2);

    let (client, script) = client_of(vec![Play::Broken]);
    let timeless = client.samples([Sample::new("t", 1.0)]).send().await;
    assert!(handed_back(timeless.expect_err("cut")).may_be_taken);
    assert_eq!(script.asked().len(), 1);

    let accepted = Play::Answer(200, &[], vec![Step::Bytes("{\"accepted\":1}".to_owned())]);
    let (client, _) = client_of(vec![Play::Broken, accepted]);
    let timed = client.samples([Sample::new("t", 1.0).at_ms(1_000)]).send().await;
    assert_eq!(timed.expect("taken").accepted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_have_been_taken_is_as_uncertain_as_a_cut() {
    const KIND: &[(&str, &str)] = &[("content-type", "application/problem+json")];
    let refused = |said: &str| {
        let body = format!("{{\"code\":\"journal_unavailable\"{said}}}");
        Play::Answer(503, KIND, vec![Step::Bytes(body)])
    };
    for (said, expected) in
        [(",\"may_be_taken\":true", true), ("", true), (",\"may_be_taken\":false", false)]
    {
        let script = Scripted::new(vec![refused(said); 9]);
        let client = Client::with(script.surroundings(Source::Fixed(None)));
        let publish = client.publish("lab/a", 1).timeout(Duration::from_secs(13));
        let unsent = handed_back(publish.send().await.expect_err("refused"));
        assert_eq!(unsent.may_be_taken, expected, "{said}");

        let script = Scripted::new(vec![refused(said); 9]);
        let client = Client::with(script.surroundings(Source::Fixed(None)));
        let samples = client.samples([Sample::new("t", 1.0)]).timeout(Duration::from_secs(13));
        let unsent = handed_back(samples.send().await.expect_err("refused"));
        assert_eq!((unsent.may_be_taken, script.asked().len() == 1), (expected, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_at_once_and_a_token_replaced_once() {
    let refused = Play::Answer(400, &[("content-type", "application/problem+json")], Vec::new());
    let script = Scripted::new([refused]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let error = client.publish("lab/a", 1).send().await.expect_err("refused");
    assert!(matches!(error, Error::Problem(_)), "{error:?}");

    let stale = || Play::Answer(403, &[], Vec::new());
    let script = Scripted::new([stale(), taken(), stale(), stale()]);
    let client = Client::with(script.surroundings(numbered_tokens()));
    client.publish("lab/a", 1).send().await.expect("taken");
    assert!(client.publish("lab/a", 1).send().await.is_err());
    let shown: Vec<_> = script.asked().into_iter().filter_map(|asked| asked.token).collect();
    assert_eq!(shown, ["Bearer t0", "Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_says_what_an_earlier_try_may_have_done() {
    const KIND: &[(&str, &str)] = &[("content-type", "application/problem+json")];
    let problem = |status, code| {
        Play::Answer(status, KIND, vec![Step::Bytes(format!("{{\"code\":\"{code}\"}}"))])
    };
    let forbidden = || problem(403, "forbidden");
    for (plays, expected) in [
        (vec![Play::Broken, forbidden()], true),
        (vec![problem(503, "journal_unavailable"), forbidden()], true),
        (vec![Play::Answer(404, &[], Vec::new())], true),
        (vec![Play::Nobody, problem(429, "publishers_busy"), forbidden()], false),
        (vec![forbidden()], false),
    ] {
        let described = format!("{plays:?}");
        let script = Scripted::new(plays);
        let client = Client::with(script.surroundings(Source::Fixed(None)));
        match client.publish("lab/a", 1).send().await.expect_err("refused") {
            Error::Problem(problem) => assert_eq!(problem.may_be_taken, expected, "{described}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_try_is_one_try() {
    let script = Scripted::new([Play::Nobody, taken()]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let unsent = handed_back(client.publish("lab/a", 1).once().send().await.expect_err("nobody"));
    assert_eq!((unsent.reason, unsent.may_be_taken), (UnsentReason::Unanswered, false));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_go_out_in_order_and_no_more_wait_than_may() {
    let script = Scripted::new([Play::Mute]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..LETTERS_MAX {
        let publish = client.publish("lab/a", number);
        waiting.spawn(async move { publish.send().await });
    }
    sleep(Duration::from_millis(1)).await;
    let error = client.publish("lab/a", "one more").send().await.expect_err("no room");
    assert_eq!(handed_back(error).reason, UnsentReason::QueueFull);
    assert_eq!(script.asked().len(), 1);
    // Those that are given up make room.
    waiting.shutdown().await;
    let large = "x".repeat(9 * 1024 * 1024);
    let first = client.publish("lab/a", &large);
    let first = tokio::spawn(async move { timeout(Duration::from_secs(1), first.send()).await });
    sleep(Duration::from_millis(1)).await;
    let error = client.publish("lab/a", &large).send().await.expect_err("no room");
    assert_eq!(handed_back(error).reason, UnsentReason::QueueFull);
    assert!(first.await.expect("no panic").is_err());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_told_before_anything_is() {
    let script = Scripted::new([taken()]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let error = client.publish("lab/a", 1).key("a\nb").send().await.expect_err("a line break");
    assert_eq!(error.code(), "argument_invalid");
    assert!(script.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_too_long_is_told() {
    let script = Scripted::new([]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let error = client.delete("s/a", &"k".repeat(70_000)).send().await.expect_err("too long");
    assert_eq!(error.code(), "argument_invalid");
    assert!(script.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_success_that_says_nothing_of_bellwire_does_not_count() {
    let ok = |text: &str| Play::Answer(200, &[], vec![Step::Bytes(text.to_owned())]);
    let strangers = ["", "{}", "{\"ok\":true}", "[]", "null", "<p>Sign in</p>"].map(ok);
    let script = Scripted::new(strangers.into_iter().chain([taken()]));
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let published = client.publish("lab/a", 1).timeout(Duration::from_mins(9)).send().await;
    assert_eq!(published.expect("taken").cursor.as_deref(), Some("e1-7"));
    assert_eq!(script.asked().len(), 7);

    let nothing = Play::Answer(204, &[], Vec::new());
    let script = Scripted::new([ok("{}"), nothing]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let unsent = handed_back(client.samples([Sample::new("t", 1.0)]).send().await.expect_err("no"));
    assert!(unsent.may_be_taken && unsent.last.expect("the last").code() == "not_bellwire");
    client.delete("s/a", "k").send().await.expect("the key is gone");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_is_sent_again_finds_the_key_gone() {
    let problem: &'static [(&str, &str)] = &[("content-type", "application/problem+json")];
    let text = "{\"code\":\"key_not_found\",\"detail\":\"no such key\"}";
    let gone = || Play::Answer(404, problem, vec![Step::Bytes(text.to_owned())]);
    let script = Scripted::new([Play::Broken, gone(), gone()]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    client.delete("s/a", "k").send().await.expect("it was the first try");
    let error = client.delete("s/a", "k").send().await.expect_err("there is none");
    assert_eq!(error.code(), "key_not_found");
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_all_room_goes_alone() {
    let refused = Play::Answer(413, &[], Vec::new());
    let script = Scripted::new([refused]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let large = "x".repeat(BYTES_MAX);
    let error = client.publish("lab/a", large).send().await.expect_err("the server refuses");
    assert_eq!(error.code(), "unexpected_status");
}

#[tokio::test(start_paused = true)]
async fn one_that_nobody_polls_holds_nobody_up() {
    let script = Scripted::new([Play::Nobody, taken(), taken()]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let mut first = pin!(client.publish("lab/first", 1).send());
    assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
    client.publish("lab/second", 2).send().await.expect("taken");
    let lines: Vec<_> = script.asked().into_iter().map(|asked| asked.line).collect();
    let [first_line, second_line] = ["POST /v1/topics/lab/first", "POST /v1/topics/lab/second"];
    assert_eq!(lines, [first_line, first_line, second_line]);
    first.await.expect("taken");
}
