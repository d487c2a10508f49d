//! What a subscription makes of faults, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use crate::Client;
use crate::error::Error;
use crate::item::{Item, Status};
use crate::scripted::{Play, Scripted, Step, numbered_tokens};
use crate::subscription::Items;
use crate::token::Source;

fn follow(script: &Arc<Scripted>, filter: &str) -> Items {
    Client::with(script.surroundings(Source::Fixed(None))).subscribe([filter]).items()
}

/// Takes all until it is over or the script is: in words.
async fn told(mut items: Items) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(item) = items.next().await {
        told.push(match item {
            Ok(Item::Event(event)) => event.cursor().unwrap_or("no cursor").to_owned(),
            Ok(Item::Control(control)) => {
                let json: serde_json::Value = control.json().parse().expect("JSON");
                json["control"].as_str().expect("a name").to_owned()
            }
            Ok(Item::Status(Status::Waiting { error, retry_in })) => {
                format!("{} {} ms", error.code(), retry_in.as_millis())
            }
            Ok(Item::Status(status)) => format!("{status:?}"),
            Err(error) => format!("closed: {}", error.code()),
        });
    }
    told
}

const OVER: Play = Play::Answer(204, &[], Vec::new());

#[tokio::test(start_paused = true)]
async fn waits_double_while_nobody_is_there() {
    let script = Scripted::new(vec![Play::Nobody; 7].into_iter().chain([OVER]));
    told(follow(&script, "a")).await;
    let seconds: Vec<_> = script.times().iter().map(|ms| ms / 1_000).collect();
    assert_eq!(seconds, [0, 1, 3, 7, 15, 31, 61, 91]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_goes_on_at_its_cursor_and_is_over_where_the_server_says_so() {
    let first = [Step::ready("e1-1", 0), Step::event("e1-2"), Step::event("e1-3")];
    let script = Scripted::new([Play::stream(first), OVER]);
    let told = told(follow(&script, "a/**")).await;
    let expected =
        ["Connecting", "ready", "Live", "e1-2", "e1-3", "connection_lost 1000 ms", "Connecting"];
    assert_eq!(told, expected);
    let asked = script.asked();
    assert_eq!(asked[0].line, "GET /v1/events?topic=a%2F**&refusals=status");
    assert_eq!(asked[1].line, "GET /v1/events?topic=a%2F**&refusals=status&after=e1-3");
}

#[tokio::test(start_paused = true)]
async fn a_fault_after_a_healthy_spell_is_a_first_one() {
    let live = |secs| Play::stream([Step::ready("e1-1", 0), Step::secs(secs)]);
    let script = Scripted::new([live(9.9), live(9.9), live(10.0), OVER]);
    let waits: Vec<_> = told(follow(&script, "a")).await;
    let waits: Vec<_> = waits.iter().filter(|told| told.ends_with("ms")).collect();
    let expected =
        ["connection_lost 1000 ms", "connection_lost 2000 ms", "connection_lost 1000 ms"];
    assert_eq!(waits, expected);
}

#[tokio::test(start_paused = true)]
async fn silence_is_measured_by_what_the_server_has_announced() {
    let heartbeats = (0..10).flat_map(|_| [Step::secs(4.9), Step::Bytes(":\n".into())]);
    let live = [Step::ready("e1-1", 2_000)].into_iter().chain(heartbeats).chain([Step::Hang]);
    let unannounced = [Step::event("e1-2"), Step::Hang];
    let script = Scripted::new([Play::stream(live), Play::Mute, Play::stream(unannounced), OVER]);
    let told = told(follow(&script, "a")).await;
    let silences = told.iter().filter(|told| told.starts_with("connection_silent")).count();
    assert_eq!(silences, 3, "{told:?}");
    // 49 s of heartbeats, 5 s of silence, and the first wait; 15 s until a first byte; 62.5 s by the
    // usual interval.
    assert_eq!(script.times(), [0, 55_000, 72_000, 138_500]);
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_stay_away() {
    let busy = Play::Answer(503, &[("retry-after", "7")], Vec::new());
    let bye = r#"{"control":"bye","reason":"drain","retry_ms":9000}"#;
    let refused = r#"{"control":"bye","reason":"address_exhausted","status":429,"retry_ms":8000}"#;
    let script = Scripted::new([
        busy,
        Play::stream([Step::frame(bye), Step::Hang]),
        Play::stream([Step::frame(refused), Step::Hang]),
        OVER,
    ]);
    let told = told(follow(&script, "a")).await;
    let waits: Vec<_> = told.iter().filter(|told| told.ends_with("ms")).collect();
    let expected =
        ["unexpected_status 7000 ms", "connection_lost 9000 ms", "address_exhausted 8000 ms"];
    assert_eq!(waits, expected);
}

#[tokio::test(start_paused = true)]
async fn what_would_be_refused_again_ends_it() {
    let problem: &'static [(&str, &str)] = &[("content-type", "application/problem+json")];
    let body = |code: &str| vec![Step::Bytes(format!("{{\"code\":\"{code}\",\"detail\":\"no\"}}"))];
    let html: &'static [(&str, &str)] = &[("content-type", "text/html")];
    let displaced = r#"{"control":"bye","reason":"displaced"}"#;
    for (play, expected) in [
        (Play::Answer(400, problem, body("topic_invalid")), "closed: topic_invalid"),
        (Play::Answer(401, problem, body("credential_invalid")), "closed: credential_invalid"),
        (Play::Answer(302, &[], Vec::new()), "closed: unexpected_status"),
        (Play::Answer(200, html, Vec::new()), "closed: not_bellwire"),
        (Play::stream([Step::frame("{\"price\":1}")]), "closed: not_bellwire"),
        (Play::stream([Step::frame(displaced), Step::Hang]), "closed: displaced"),
    ] {
        let script = Scripted::new([play]);
        let told = told(follow(&script, "a")).await;
        assert_eq!(told.last().map(String::as_str), Some(expected), "{told:?}");
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_a_bellwire_may_be_one_again() {
    let html: &'static [(&str, &str)] = &[("content-type", "text/html")];
    let live = Play::stream([Step::ready("e1-1", 0)]);
    let script = Scripted::new([live, Play::Answer(200, html, Vec::new()), OVER]);
    let told = told(follow(&script, "a")).await;
    assert!(told.contains(&"not_bellwire 2000 ms".to_owned()), "{told:?}");
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_broken_frame_opens_it_anew_behind_what_was_whole() {
    let broken = [Step::event("e1-2"), Step::frame("{\"topic\":"), Step::event("e1-9")];
    let script = Scripted::new([Play::stream(broken), OVER]);
    let told = told(follow(&script, "a")).await;
    assert_eq!(told[1..3], ["e1-2", "frame_malformed 1000 ms"]);
    assert!(script.asked()[1].line.ends_with("&after=e1-2"), "{:?}", script.asked());
}

#[tokio::test(start_paused = true)]
async fn it_is_over_when_all_that_is_named_has_ended() {
    let end = |topic: &str| {
        Step::frame(&format!("{{\"control\":\"end\",\"topic\":\"{topic}\",\"cursor\":\"e1-5\"}}"))
    };
    let reopened = r#"{"control":"reopened","topic":"a","cursor":"e1-6"}"#;
    let steps = [
        Step::ready("e1-1", 0),
        end("a"),
        Step::frame(reopened),
        end("b"),
        Step::event("e1-7"),
        end("a"),
        Step::Hang,
    ];
    let script = Scripted::new([Play::stream(steps)]);
    let client = Client::with(script.surroundings(Source::Fixed(None)));
    let told = told(client.subscribe(["a", "b"]).items()).await;
    assert_eq!(told[told.len() - 2..], ["e1-7", "end"], "{told:?}");

    // A wildcard may always match another one.
    let script = Scripted::new([Play::stream([Step::ready("e1-1", 0), end("a")]), OVER]);
    self::told(follow(&script, "*")).await;
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let refused = || Play::Answer(401, &[], Vec::new());
    let live = Play::stream([Step::ready("e1-1", 0)]);
    let script = Scripted::new([refused(), live, refused(), refused()]);
    let client = Client::with(script.surroundings(numbered_tokens()));
    let told = told(client.subscribe(["a"]).items()).await;
    assert_eq!(told.last().map(String::as_str), Some("closed: unexpected_status"));
    let shown: Vec<_> = script.asked().into_iter().filter_map(|asked| asked.token).collect();
    assert_eq!(shown, ["Bearer t0", "Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_fails_is_asked_again() {
    let script = Scripted::new([OVER]);
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let source = Source::of_function(move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { if call < 2 { Err("busy".into()) } else { Ok(Some("t".to_owned())) } }
    });
    let told = told(Client::with(script.surroundings(source)).subscribe(["a"]).items()).await;
    let waits: Vec<_> = told.iter().filter(|told| told.ends_with("ms")).collect();
    assert_eq!(waits, ["token_unavailable 1000 ms", "token_unavailable 2000 ms"]);
    assert_eq!(script.times(), [3_000]);
}

#[tokio::test(start_paused = true)]
async fn all_streams_of_a_token_are_renewed_once_and_go_on() {
    let renew = r#"{"control":"renew","expires_in_ms":60000,"renews":"bwr_1"}"#;
    let live = || {
        let later = [Step::secs(30.0), Step::event("e1-2"), Step::Hang];
        let first = [Step::ready("e1-1", 0), Step::secs(1.0), Step::frame(renew)];
        Play::stream(first.into_iter().chain(later))
    };
    let failing = Play::Answer(503, &[], Vec::new());
    let taken = Play::Answer(200, &[], vec![Step::Bytes("{}".to_owned())]);
    let script = Scripted::new([live(), live(), failing, taken]);
    // It has no newer one at first.
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let source = Source::of_function(move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { Ok(Some(format!("t{}", call / 2))) }
    });
    let client = Client::with(script.surroundings(source));
    let mut streams = [client.subscribe(["a"]).events(), client.subscribe(["b"]).events()];
    for stream in &mut streams {
        let event = stream.next().await.expect("it goes on").expect("an event");
        assert_eq!(event.cursor(), Some("e1-2"));
    }
    let asked = script.asked();
    let lines: Vec<_> = asked.iter().skip(2).map(|asked| asked.line.as_str()).collect();
    assert_eq!(lines, ["POST /v1/session/token"; 2]);
    let shown: Vec<_> = asked.iter().filter_map(|asked| asked.token.as_deref()).collect();
    // The one that could not be shown because of the server is not shown again.
    assert_eq!(shown, ["Bearer t0", "Bearer t0", "Bearer t1", "Bearer t1"]);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_holds_the_server_back_and_is_not_cut_off_for_it() {
    let events = (0..3_000).map(|number| Step::event(&format!("e1-{number}")));
    let live = [Step::ready("e1-0", 1_000)].into_iter().chain(events).chain([Step::Hang]);
    let script = Scripted::new([Play::stream(live)]);
    let mut items = follow(&script, "a/**");
    sleep(Duration::from_mins(10)).await;
    assert_eq!(script.asked().len(), 1);
    let mut events = 0;
    while events < 3_000 {
        if let Item::Event(event) = items.next().await.expect("more").expect("no error") {
            assert_eq!(event.cursor(), Some(format!("e1-{events}").as_str()));
            events += 1;
        }
    }
    assert_eq!(script.asked().len(), 1);
    // Now it is the server that is silent.
    let status = items.next().await.expect("more").expect("no error");
    assert!(
        matches!(&status, Item::Status(Status::Waiting { error: Error::Connection(_), .. })),
        "{status:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_or_closed_ends_at_once() {
    for close in [false, true] {
        let script = Scripted::new([Play::stream([Step::ready("e1-1", 0), Step::secs(5.0)])]);
        let items = follow(&script, "a");
        assert!(items.ready().await);
        if close {
            items.close().await;
        } else {
            drop(items);
        }
        sleep(Duration::from_mins(10)).await;
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_tells_a_token() {
    let renew = r#"{"control":"renew","expires_in_ms":60000,"renews":"bwr_1"}"#;
    let steps = [Step::ready("e1-1", 0), Step::frame(renew), Step::secs(1.0), Step::event("e1-2")];
    let taken = Play::Answer(200, &[], vec![Step::Bytes("{}".to_owned())]);
    let script = Scripted::new([Play::stream(steps), taken]);
    let calls = std::sync::atomic::AtomicUsize::new(0);
    let source = Source::of_function(move || {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { Ok(Some(format!("secret{call}"))) }
    });
    let client = Client::with(script.surroundings(source));
    let mut events = client.subscribe(["a"]).events();
    events.next().await.expect("it goes on").expect("an event");
    assert_eq!(script.asked().len(), 2);
    let told = format!("{client:?} {events:?} {:?}", client.publish("a", 1));
    assert!(!told.contains("secret"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_line_break_of_a_file_is_no_part_of_a_token() {
    let script = Scripted::new([OVER]);
    let source = Source::of_function(|| async { Ok(Some("bw_1\r\n".to_owned())) });
    told(Client::with(script.surroundings(source)).subscribe(["a"]).items()).await;
    assert_eq!(script.asked()[0].token.as_deref(), Some("Bearer bw_1"));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "no token today")]
async fn a_function_that_panics_is_no_end() {
    let script = Scripted::new([]);
    let source = Source::of_function(|| async { panic!("no token today") });
    told(Client::with(script.surroundings(source)).subscribe(["a"]).items()).await;
}

#[test]
fn a_runtime_that_is_gone_is_no_end() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (first, second) = (runtime().expect("one"), runtime().expect("another"));
    let items = first.block_on(async {
        let script = Scripted::new([Play::stream([Step::ready("e1-1", 0), Step::Hang])]);
        let items = follow(&script, "a");
        assert!(items.ready().await);
        items
    });
    drop(first);
    let told = second.block_on(told(items));
    assert_eq!(told.last().map(String::as_str), Some("closed: connection_lost"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_named_as_a_parameter_goes_on_too() {
    let end = r#"{"control":"end","topic":"a","cursor":"e1-5"}"#;
    for (topics, name) in [(vec![], "topic"), (vec!["a"], "topic"), (vec!["a"], "query")] {
        let steps = [Step::ready("e1-1", 0), Step::frame(end), Step::event("e1-7")];
        let script = Scripted::new([Play::stream(steps), OVER]);
        let client = Client::with(script.surroundings(Source::Fixed(None)));
        let told = told(client.subscribe(topics).parameter(name, "b").items()).await;
        assert!(told.contains(&"e1-7".to_owned()), "{name}: {told:?}");
    }
}
