//! The same decision for traffic that was counted: does what carries it suit it, and what would change?

use serde::Serialize;

use crate::cost::{Candidate, Cost};
use crate::decide::{Choice, SENDS_OFTEN_PER_SECOND, decide};
use crate::flow::{Client, Flow, Infrastructure, Proxies, Team, WebSockets};
use crate::measured::{self, FIGURES, Figure, Transport};
use crate::reason::Reason;
use crate::say;

/// What carries events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// Streams of Server-Sent Events.
    Sse,
    /// Streams of NDJSON.
    Ndjson,
    /// WebSockets.
    Websocket,
    /// Long polls.
    LongPoll,
    /// Requests that publish.
    Post,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Connections that are open now; of polls those that wait.
    pub open: u64,
    /// Connections that were opened; of polls and `POST`, requests.
    pub opened: u64,
    /// How long they were open, all added up.
    pub connection_seconds: f64,
    /// Events to clients, once for each.
    pub events_down: u64,
    /// Bytes to clients.
    pub bytes_down: u64,
    /// Signs of life to clients.
    pub heartbeats: u64,
    /// Messages of clients; of `POST`, events.
    pub messages_up: u64,
    /// Bytes of them.
    pub bytes_up: u64,
}

/// Traffic of one kind over one carrier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kind {
    /// What carries it.
    pub carrier: Carrier,
    /// The first segments of what is followed or published.
    pub name: String,
    /// Whether messages are binary: WebSockets that speak MessagePack.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub binary: bool,
    /// What was counted.
    pub counts: Counts,
}

/// All traffic of a while.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// How long it was counted.
    pub seconds: f64,
    /// By carrier and kind.
    pub kinds: Vec<Kind>,
}

/// Whether what carries traffic suits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Fits,
    /// Another transport would do, for less.
    CouldChange,
    /// There is too little traffic to say.
    TooLittle,
}

/// Advice on traffic of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindAdvice {
    /// What was counted.
    #[serde(flatten)]
    pub kind: Kind,
    /// What share of the events and messages goes to clients, from 0 to 1; null where there are none.
    pub down_share: Option<f64>,
    /// Events to each client, and messages from each, a second.
    pub down_per_second_each: f64,
    /// See there.
    pub up_per_second_each: f64,
    /// Does it suit?
    pub verdict: Verdict,
    /// What is advised; null where nothing is.
    pub choice: Option<Choice>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What the advice would save of the costs as they are; null where nothing would change. What is
    /// below zero costs more.
    pub saves: Option<Cost>,
}

/// Advice on the traffic of a while.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObservedAdvice {
    /// How long it was counted.
    pub seconds: f64,
    /// What each carrier has carried, all kinds together.
    pub carriers: Vec<CarrierTotal>,
    /// By carrier and kind; what could change first.
    pub traffic: Vec<KindAdvice>,
    /// What costs are made of.
    pub figures: &'static [Figure],
}

/// What one carrier has carried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CarrierTotal {
    /// Which.
    pub carrier: Carrier,
    /// All of it.
    pub counts: Counts,
}

/// Less than this is no traffic to judge: a client that was there for a minute, and some events.
const CONNECTION_SECONDS_MIN: f64 = 60.0;
const EVENTS_MIN: u64 = 20;

/// A change that saves less memory of all together, and nothing else, is not worth it.
const MEMORY_BYTES_MIN: f64 = 1_048_576.0;

/// Less than this is nothing that is told.
const REQUESTS_PER_SECOND_MIN: f64 = 0.05;
const BYTES_PER_SECOND_MIN: f64 = 1.0;

/// Requests and streams pass, as everything here has.
const PASSES: Infrastructure = Infrastructure {
    http2: true,
    proxies: Proxies::Stream,
    websockets: WebSockets::Pass,
    team: Team::Websocket,
};

/// The advice on what was counted.
pub fn observe(observed: &Seen) -> ObservedAdvice {
    let mut traffic: Vec<KindAdvice> =
        observed.kinds.iter().map(|kind| of_kind(kind, observed)).collect();
    traffic.sort_by(|a, b| {
        let changes = |advice: &KindAdvice| advice.verdict != Verdict::CouldChange;
        let weight =
            |advice: &KindAdvice| advice.kind.counts.bytes_down + advice.kind.counts.bytes_up;
        changes(a).cmp(&changes(b)).then(weight(b).cmp(&weight(a)))
    });
    ObservedAdvice {
        seconds: observed.seconds,
        carriers: carriers(&observed.kinds),
        traffic,
        figures: &FIGURES,
    }
}

fn carriers(kinds: &[Kind]) -> Vec<CarrierTotal> {
    let all = [Carrier::Sse, Carrier::Ndjson, Carrier::Websocket, Carrier::LongPoll, Carrier::Post];
    let total = |carrier| {
        let of = kinds.iter().filter(|kind| kind.carrier == carrier);
        let counts = of.fold(Counts::default(), |sum, kind| sum.plus(kind.counts));
        CarrierTotal { carrier, counts }
    };
    all.into_iter().map(total).collect()
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            open: self.open + other.open,
            opened: self.opened + other.opened,
            connection_seconds: self.connection_seconds + other.connection_seconds,
            events_down: self.events_down + other.events_down,
            bytes_down: self.bytes_down + other.bytes_down,
            heartbeats: self.heartbeats + other.heartbeats,
            messages_up: self.messages_up + other.messages_up,
            bytes_up: self.bytes_up + other.bytes_up,
        }
    }
}

fn of_kind(kind: &Kind, observed: &Seen) -> KindAdvice {
    let counts = kind.counts;
    let each = |count: u64| {
        if counts.connection_seconds > 0.0 { count as f64 / counts.connection_seconds } else { 0.0 }
    };
    let all = counts.events_down + counts.messages_up;
    let mut advice = KindAdvice {
        kind: kind.clone(),
        down_share: (all > 0).then(|| counts.events_down as f64 / all as f64),
        down_per_second_each: each(counts.events_down),
        up_per_second_each: each(counts.messages_up),
        verdict: Verdict::TooLittle,
        choice: None,
        reasons: Vec::new(),
        saves: None,
    };
    if kind.carrier == Carrier::Post {
        of_posts(&mut advice, observed);
        return advice;
    }
    if counts.connection_seconds < CONNECTION_SECONDS_MIN || all < EVENTS_MIN {
        advice.reasons.push(Reason::new(2, "too_little", "There is too little of it yet to say."));
        return advice;
    }
    let flow = flow_of(&advice, observed);
    let decision = decide(&flow, PASSES);
    let now = carried_by(kind.carrier);
    advice.choice = Some(decision.choice);
    if decision.choice.transport() == now {
        advice.verdict = Verdict::Fits;
        advice.reasons = decision.reasons;
        return advice;
    }
    let cost = |transport| Candidate::of(&flow, transport).cost;
    let saves = cost(now).less(cost(decision.choice.transport()));
    if !is_worth_it(saves) {
        advice.verdict = Verdict::Fits;
        advice.choice = Some(stays(now));
        advice.reasons = vec![would_do(decision.choice, saves)];
        return advice;
    }
    advice.saves = Some(saves);
    advice.verdict = Verdict::CouldChange;
    let mut reasons = vec![change(&advice, now, decision.choice, saves)];
    reasons.extend(decision.reasons);
    if kind.carrier == Carrier::LongPoll {
        // Whoever polls may have no other way.
        let text = "Where nothing else comes through, long polls stay right: @bellwire/client tries \
                    streams first, and comes back to them.";
        reasons.push(Reason::new(3, "polls_may_be_needed", text));
    }
    advice.reasons = reasons;
    advice
}

/// The flow that this traffic would be described as. Payloads are what is left of the bytes without what
/// was measured to be around them.
fn flow_of(advice: &KindAdvice, observed: &Seen) -> Flow {
    let KindAdvice { kind, down_per_second_each, up_per_second_each, .. } = advice;
    let counts = kind.counts;
    let transport = carried_by(kind.carrier);
    let payload = |bytes: u64, count: u64, around: f64| {
        if count == 0 { 0.0 } else { (bytes as f64 / count as f64 - around).max(0.0) }
    };
    Flow {
        name: kind.name.clone(),
        down_per_second: *down_per_second_each,
        up_per_second: *up_per_second_each,
        bytes: payload(
            counts.bytes_down,
            counts.events_down,
            measured::bytes_around_delivery(transport),
        ),
        up_bytes: payload(counts.bytes_up, counts.messages_up, 0.0),
        // What may wait nobody has said: nothing is gathered.
        latency_ms: 1.0,
        client: Client::Program,
        connections: counts.connection_seconds / observed.seconds.max(1.0),
        binary: kind.binary,
        proxies: None,
        websockets: None,
    }
}

fn carried_by(carrier: Carrier) -> Transport {
    match carrier {
        Carrier::Sse | Carrier::Ndjson | Carrier::Post => Transport::Sse,
        Carrier::Websocket => Transport::Websocket,
        Carrier::LongPoll => Transport::LongPoll,
    }
}

/// Whether anything gets better by it but some bytes of memory.
fn is_worth_it(less: Cost) -> bool {
    less.requests_per_second >= REQUESTS_PER_SECOND_MIN
        || less.bytes_per_second >= BYTES_PER_SECOND_MIN
        || less.memory_bytes.is_some_and(|bytes| bytes >= MEMORY_BYTES_MIN)
}

/// What is advised where it stays as it is.
fn stays(now: Transport) -> Choice {
    match now {
        Transport::Sse => Choice::Sse,
        Transport::Websocket => Choice::Websocket,
        Transport::LongPoll => Choice::LongPoll,
    }
}

fn would_do(choice: Choice, less: Cost) -> Reason {
    let text =
        format!("{} would do, too, and save nothing that is worth the change.", choice.name());
    with_costs(Reason::new(6, "change_saves_nothing", text), less)
}

fn with_costs(reason: Reason, less: Cost) -> Reason {
    reason
        .with("requests_per_second", less.requests_per_second)
        .with("memory_bytes", less.memory_bytes)
        .with("bytes_per_second", less.bytes_per_second)
}

/// What is not little of a cost, or of what is saved, as text.
fn told(cost: Cost) -> Vec<String> {
    let mut told = Vec::new();
    if cost.requests_per_second >= REQUESTS_PER_SECOND_MIN {
        told.push(format!("{} requests a second", say::number(cost.requests_per_second)));
    }
    if let Some(bytes) = cost.memory_bytes.filter(|bytes| *bytes >= 1.0) {
        told.push(format!("{} of memory", say::bytes(bytes)));
    }
    if cost.bytes_per_second >= BYTES_PER_SECOND_MIN {
        told.push(format!("{} a second on the wire", say::bytes(cost.bytes_per_second)));
    }
    told
}

fn change(advice: &KindAdvice, now: Transport, choice: Choice, less: Cost) -> Reason {
    let share = advice.down_share.unwrap_or_default();
    let mut saved = format!("would save {}", say::list(&told(less)));
    let more = told(Cost::NOTHING.less(less));
    if !more.is_empty() {
        saved = format!("{saved}, and cost {} more", say::list(&more));
    }
    let text = format!(
        "{} % of what goes over this {} goes to clients, and each of them sends {}: {} {saved}.",
        (share * 100.0).round(),
        now.name(),
        if advice.up_per_second_each > 0.0 {
            say::rate(advice.up_per_second_each)
        } else {
            "nothing".to_owned()
        },
        choice.name()
    );
    let reason = Reason::new(6, "could_change", text)
        .with("down_share", share)
        .with("up_per_second_each", advice.up_per_second_each);
    with_costs(reason, less)
}

/// Who publishes is not known by the topic: only if it is those who follow it, they send often.
fn of_posts(advice: &mut KindAdvice, observed: &Seen) {
    let counts = advice.kind.counts;
    if counts.opened < EVENTS_MIN || observed.seconds <= 0.0 {
        advice.reasons.push(Reason::new(2, "too_little", "There is too little of it yet to say."));
        return;
    }
    advice.verdict = Verdict::Fits;
    advice.choice = Some(Choice::Post);
    let streams = observed.kinds.iter().filter(|kind| {
        kind.name == advice.kind.name && matches!(kind.carrier, Carrier::Sse | Carrier::Ndjson)
    });
    let followed: f64 = streams.map(|kind| kind.counts.connection_seconds).sum();
    let requests = counts.opened as f64 / observed.seconds;
    let text = format!("{} requests publish here.", capital(&say::rate(requests)));
    advice.reasons.push(Reason::new(1, "published", text).with("requests_per_second", requests));
    let each = counts.opened as f64 / followed.max(1.0);
    if followed > 0.0 && each > SENDS_OFTEN_PER_SECOND {
        let text = format!(
            "If it is those who follow these topics over streams that publish, each sends {}: a \
             WebSocket has {} around an event in place of {}.",
            say::rate(each),
            say::bytes(measured::bytes_around_publish(Transport::Websocket)),
            say::bytes(measured::bytes_around_publish(Transport::Sse))
        );
        advice
            .reasons
            .push(Reason::new(2, "followers_may_send_often", text).with("posts_per_second", each));
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(carrier: Carrier, name: &str, (down, up): (u64, u64)) -> Kind {
        let counts = Counts {
            open: 10,
            opened: 10,
            connection_seconds: 6_000.0,
            events_down: down,
            bytes_down: down * 300,
            heartbeats: 0,
            messages_up: up,
            bytes_up: up * 80,
        };
        Kind { carrier, name: name.into(), binary: false, counts }
    }

    fn advice(kinds: Vec<Kind>) -> Vec<KindAdvice> {
        observe(&Seen { seconds: 600.0, kinds }).traffic
    }

    fn codes(advice: &KindAdvice) -> Vec<&'static str> {
        advice.reasons.iter().map(|reason| reason.code).collect()
    }

    /// So many clients more, each as those of `kind`.
    fn times(kind: Kind, clients: u64) -> Kind {
        let counts = kind.counts;
        let counts = Counts {
            connection_seconds: counts.connection_seconds * clients as f64,
            events_down: counts.events_down * clients,
            bytes_down: counts.bytes_down * clients,
            messages_up: counts.messages_up * clients,
            bytes_up: counts.bytes_up * clients,
            ..counts
        };
        Kind { counts, ..kind }
    }

    #[test]
    fn a_websocket_that_hardly_talks_could_be_a_stream_where_that_saves_something() {
        let few = kind(Carrier::Websocket, "chat/…", (9_500, 500));
        let advice = advice(vec![few.clone(), times(few, 10_000)]);
        let [many, few] = &advice[..] else { panic!("{advice:?}") };
        assert_eq!((many.verdict, many.choice), (Verdict::CouldChange, Some(Choice::Hybrid)));
        assert_eq!(many.down_share, Some(0.95));
        assert_eq!(
            many.reasons[0].text,
            "95 % of what goes over this WebSocket goes to clients, and each of them sends 5 a \
             minute: SSE + POST would save 4.4 MB of memory, and cost 8,333 requests a second and \
             7.0 MB a second on the wire more."
        );
        assert!(many.saves.and_then(|saves| saves.memory_bytes) > Some(0.0));
        assert_eq!((few.verdict, few.choice), (Verdict::Fits, Some(Choice::Websocket)));
        assert_eq!((codes(few), few.saves), (vec!["change_saves_nothing"], None));
    }

    #[test]
    fn binary_messages_stay_where_they_are() {
        let binary = times(kind(Carrier::Websocket, "a", (9_500, 0)), 10_000);
        let advice = advice(vec![Kind { binary: true, ..binary }]);
        assert_eq!((advice[0].verdict, advice[0].choice), (Verdict::Fits, Some(Choice::Websocket)));
    }

    #[test]
    fn what_suits_is_left_as_it_is() {
        for (kind, choice) in [
            (kind(Carrier::Websocket, "a", (10_000, 12_000)), Choice::Websocket),
            (kind(Carrier::Sse, "a", (10_000, 0)), Choice::Sse),
            (kind(Carrier::Ndjson, "a", (10_000, 0)), Choice::Sse),
        ] {
            let advice = advice(vec![kind]);
            assert_eq!((advice[0].verdict, advice[0].choice), (Verdict::Fits, Some(choice)));
            assert_eq!(advice[0].saves, None);
        }
    }

    #[test]
    fn polls_are_told_what_streams_would_save() {
        let advice = advice(vec![kind(Carrier::LongPoll, "a", (6_000, 0))]);
        assert_eq!(
            (advice[0].verdict, advice[0].choice),
            (Verdict::CouldChange, Some(Choice::Sse))
        );
        let saves = advice[0].saves.expect("something");
        // One event a second to each of ten, each of which took a request.
        assert!((saves.requests_per_second - 10.0).abs() < 1e-9, "{saves:?}");
        assert!(codes(&advice[0]).contains(&"polls_may_be_needed"));
    }

    #[test]
    fn little_traffic_is_not_judged() {
        for kind in [
            kind(Carrier::Websocket, "a", (3, 0)),
            Kind {
                counts: Counts { events_down: 1_000, connection_seconds: 1.0, ..Counts::default() },
                ..kind(Carrier::Websocket, "a", (0, 0))
            },
            Kind { counts: Counts::default(), ..kind(Carrier::Post, "a", (0, 0)) },
        ] {
            let advice = advice(vec![kind]);
            assert_eq!(
                (advice[0].verdict, codes(&advice[0])),
                (Verdict::TooLittle, vec!["too_little"])
            );
        }
    }

    #[test]
    fn posts_are_held_against_those_who_follow_the_same() {
        let posts = |requests| {
            let mut posts = kind(Carrier::Post, "chat/…", (0, requests));
            posts.counts.opened = requests;
            posts.counts.connection_seconds = 0.0;
            posts
        };
        let streams = || kind(Carrier::Sse, "chat/…", (6_000, 0));
        let told = |kinds| {
            let advice = advice(kinds);
            let posts = advice.iter().find(|it| it.kind.carrier == Carrier::Post);
            codes(posts.expect("there are posts"))
        };
        assert_eq!(told(vec![posts(12_000), streams()]), ["published", "followers_may_send_often"]);
        assert_eq!(told(vec![posts(3_000), streams()]), ["published"]);
        assert_eq!(told(vec![posts(12_000)]), ["published"]);
    }

    #[test]
    fn what_could_change_comes_first() {
        let advice = advice(vec![
            kind(Carrier::Sse, "big", (100_000, 0)),
            kind(Carrier::LongPoll, "small", (1_000, 0)),
        ]);
        let names: Vec<&str> = advice.iter().map(|it| &*it.kind.name).collect();
        assert_eq!(names, ["small", "big"]);
    }
}
