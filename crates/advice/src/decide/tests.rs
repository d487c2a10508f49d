//! Each flow gets what suits it, and what is to be looked out for is told.

use super::*;

fn flow(down: f64, up: f64) -> Flow {
    Flow {
        name: "a".into(),
        down_per_second: down,
        up_per_second: up,
        bytes: 200.0,
        up_bytes: 50.0,
        latency_ms: 250.0,
        client: Client::Browser,
        connections: 10.0,
        binary: false,
        proxies: None,
        websockets: None,
    }
}

const OPEN: Infrastructure = Infrastructure {
    http2: true,
    proxies: Proxies::Stream,
    websockets: WebSockets::Pass,
    team: Team::Websocket,
};

fn codes(reasons: &[Reason]) -> Vec<&'static str> {
    reasons.iter().map(|reason| reason.code).collect()
}

#[test]
fn each_flow_gets_what_suits_it() {
    let (buffer, blocked) = (Proxies::Buffer, WebSockets::Blocked);
    let behind = |proxies, websockets| Infrastructure { proxies, websockets, ..OPEN };
    let binary = Flow { binary: true, ..flow(5.0, 0.0) };
    let patient = Flow { latency_ms: 5_000.0, ..flow(1.0, 10.0) };
    let own = Flow { proxies: Some(buffer), ..flow(5.0, 0.0) };
    for (flow, infrastructure, choice, why) in [
        (flow(5.0, 0.0), OPEN, Choice::Sse, "plain_http"),
        (flow(5.0, 0.1), OPEN, Choice::Hybrid, "hybrid"),
        // About once a second is the bound, and it belongs to `POST`.
        (flow(5.0, 1.0), OPEN, Choice::Hybrid, "sends_seldom"),
        (flow(5.0, 1.5), OPEN, Choice::Websocket, "sends_often"),
        // What may wait goes together.
        (patient.clone(), OPEN, Choice::Hybrid, "sends_gathered"),
        (binary.clone(), OPEN, Choice::Websocket, "binary"),
        (flow(0.0, 0.5), OPEN, Choice::Post, "nothing_comes_back"),
        (flow(0.0, 3.0), OPEN, Choice::Websocket, "sends_often"),
        // A proxy that holds back.
        (flow(5.0, 0.0), behind(buffer, WebSockets::Pass), Choice::Websocket, "websocket_passes"),
        (flow(5.0, 0.0), behind(buffer, WebSockets::Unknown), Choice::LongPoll, "poll_passes"),
        (flow(5.0, 3.0), behind(buffer, blocked), Choice::LongPoll, "websockets_blocked"),
        (flow(0.0, 0.5), behind(buffer, blocked), Choice::Post, "nothing_comes_back"),
        (own, behind(Proxies::None, WebSockets::Unknown), Choice::LongPoll, "held_back"),
        // WebSockets that do not come through.
        (flow(5.0, 3.0), behind(Proxies::None, blocked), Choice::Hybrid, "websockets_blocked"),
        (flow(0.0, 3.0), behind(Proxies::None, blocked), Choice::Post, "websockets_blocked"),
        (binary, behind(Proxies::None, blocked), Choice::Sse, "websockets_blocked"),
        // Nobody knows: the default holds.
        (flow(5.0, 0.0), Infrastructure::default(), Choice::Sse, "plain_http"),
        (flow(5.0, 3.0), Infrastructure::default(), Choice::Websocket, "sends_often"),
    ] {
        let decision = decide(&flow, infrastructure);
        let told = codes(&decision.reasons);
        assert_eq!(decision.choice, choice, "{flow:?} {told:?}");
        assert!(told.contains(&why), "{flow:?} {told:?}");
        let steps: Vec<u8> = decision.reasons.iter().map(|reason| reason.step).collect();
        assert!(steps.iter().all(|step| (1..=6).contains(step)), "{steps:?}");
    }
}

#[test]
fn what_is_to_be_looked_out_for_is_told() {
    let unknown = Infrastructure::default();
    let fast = flow(50.0, 0.0);
    let rare = Flow { latency_ms: 300_000.0, ..flow(0.001, 0.0) };
    let device = Flow { client: Client::Device, ..flow(0.0, 0.1) };
    let program = Flow { client: Client::Program, ..flow(5.0, 0.0) };
    let hurried = Flow { latency_ms: 50.0, proxies: Some(Proxies::Buffer), ..flow(5.0, 0.0) };
    let large = Flow { bytes: 5_000.0, ..flow(5.0, 0.0) };
    for (flow, infrastructure, warning, is_told) in [
        (flow(5.0, 0.0), unknown, "proxies_unknown", true),
        (flow(5.0, 0.0), OPEN, "proxies_unknown", false),
        (flow(5.0, 0.0), unknown, "six_connections", true),
        (flow(5.0, 0.0), OPEN, "six_connections", false),
        (program, unknown, "six_connections", false),
        (flow(5.0, 3.0), unknown, "websockets_unknown", true),
        (flow(5.0, 3.0), unknown, "new_to_team", true),
        (flow(5.0, 3.0), OPEN, "new_to_team", false),
        (flow(5.0, 3.0), OPEN, "no_back_cache", true),
        (fast, OPEN, "faster_than_read", true),
        (rare, OPEN, "ask_now_and_then", true),
        (flow(0.001, 0.0), OPEN, "ask_now_and_then", false),
        (device, OPEN, "samples", true),
        (hurried, unknown, "poll_is_late", true),
        (large, OPEN, "compressed", true),
    ] {
        let told = codes(&decide(&flow, infrastructure).warnings);
        assert_eq!(told.contains(&warning), is_told, "{warning}: {flow:?} {told:?}");
    }
}
