//! The decision: one flow and what is on its way, to a transport and the reasons for it.
//!
//! Server-Sent Events unless something speaks against them: a client that sends often, binary payloads,
//! a proxy that holds answers back.

use serde::Serialize;

use crate::flow::{Client, Direction, Flow, Infrastructure, Proxies, Team, WebSockets};
use crate::measured::{self, Transport};
use crate::reason::Reason;
use crate::say;

/// Requests a second of one client above which a WebSocket is cheaper to have than to do without.
pub const SENDS_OFTEN_PER_SECOND: f64 = 1.0;

/// Nobody reads faster, events a second.
const READABLE_PER_SECOND: f64 = 10.0;

/// Who may be told this late need not be connected meanwhile.
const UNHURRIED_MS: f64 = 60_000.0;

/// A poll is a round trip late, which this may not have room for.
const HURRIED_MS: f64 = 100.0;

/// Events of this size are compressed on the way.
const COMPRESSED_BYTES: f64 = 1_024.0;

/// What is advised for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// A stream of Server-Sent Events.
    Sse,
    /// The same, and `POST` for what the client sends.
    Hybrid,
    /// A WebSocket.
    Websocket,
    /// Long polls, and `POST` for what the client sends.
    LongPoll,
    /// `POST` alone.
    Post,
}

impl Choice {
    /// How it is called among people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "SSE",
            Self::Hybrid => "SSE + POST",
            Self::Websocket => "WebSocket",
            Self::LongPoll => "long poll",
            Self::Post => "POST",
        }
    }

    /// Whose costs are those of this choice.
    pub fn transport(self) -> Transport {
        match self {
            Self::Sse | Self::Hybrid | Self::Post => Transport::Sse,
            Self::Websocket => Transport::Websocket,
            Self::LongPoll => Transport::LongPoll,
        }
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) choice: Choice,
    /// Why.
    pub(crate) reasons: Vec<Reason>,
    /// What to look out for.
    pub(crate) warnings: Vec<Reason>,
}

/// Decides for one flow.
pub(crate) fn decide(flow: &Flow, infrastructure: Infrastructure) -> Decision {
    let way = Way {
        flow,
        proxies: flow.proxies.unwrap_or(infrastructure.proxies),
        websockets: flow.websockets.unwrap_or(infrastructure.websockets),
        infrastructure,
    };
    let (choice, reasons) = way.choose();
    let warnings = way.warnings(choice);
    Decision { choice, reasons, warnings }
}

/// A flow, and what is on its way.
struct Way<'a> {
    flow: &'a Flow,
    proxies: Proxies,
    websockets: WebSockets,
    infrastructure: Infrastructure,
}

impl Way<'_> {
    fn choose(&self) -> (Choice, Vec<Reason>) {
        let mut reasons = vec![self.direction()];
        if self.flow.up_per_second > 0.0 {
            reasons.push(self.sending());
        }
        let binary_down = self.flow.binary && self.flow.down_per_second > 0.0;
        if binary_down {
            reasons.push(self.binary());
        }
        let has_stream = self.flow.down_per_second > 0.0;
        let is_held_back = has_stream && self.proxies == Proxies::Buffer;
        if is_held_back {
            reasons.push(held_back());
        }
        let wants_socket = self.sends_often() || binary_down;
        let is_blocked = self.websockets == WebSockets::Blocked;
        if is_blocked && (wants_socket || is_held_back) {
            reasons.push(Reason::new(
                3,
                "websockets_blocked",
                "WebSockets do not come through, so something else has to do.",
            ));
        }
        let choice = match (has_stream, is_held_back) {
            _ if wants_socket && !is_blocked => Choice::Websocket,
            (false, _) => Choice::Post,
            // An upgraded connection is passed on as it is.
            (true, true) if self.websockets == WebSockets::Pass => Choice::Websocket,
            (true, true) => Choice::LongPoll,
            (true, false) if self.flow.up_per_second > 0.0 => Choice::Hybrid,
            (true, false) => Choice::Sse,
        };
        if choice != Choice::Websocket || !wants_socket {
            reasons.push(of_choice(choice));
        }
        (choice, reasons)
    }

    fn sends_often(&self) -> bool {
        self.flow.posts_per_second() > SENDS_OFTEN_PER_SECOND
    }

    fn direction(&self) -> Reason {
        let Flow { down_per_second: down, up_per_second: up, .. } = *self.flow;
        let text = match self.flow.direction() {
            Direction::Down => format!("All of it goes to clients: {} to each.", say::rate(down)),
            Direction::Up => format!("All of it comes from clients: {} from each.", say::rate(up)),
            Direction::Both => {
                format!(
                    "{} % goes to clients: {} to each, {} from each.",
                    (self.flow.down_share() * 1_000.0).round() / 10.0,
                    say::rate(down),
                    say::rate(up)
                )
            }
        };
        let code = match self.flow.direction() {
            Direction::Down => "goes_down",
            Direction::Up => "goes_up",
            Direction::Both => "goes_both_ways",
        };
        Reason::new(1, code, text)
            .with("down_per_second", down)
            .with("up_per_second", up)
            .with("down_share", self.flow.down_share())
    }

    fn sending(&self) -> Reason {
        let posts = self.flow.posts_per_second();
        let around = |transport| measured::bytes_around_publish(transport);
        let (post, frame) = (around(Transport::Sse), around(Transport::Websocket));
        let is_gathered = posts < self.flow.up_per_second;
        let (code, text) = if self.sends_often() {
            let text = format!(
                "Each client sends {}, more than about once a second: a POST has {} around it, and \
                 browsers' heads more; a frame of a WebSocket and its reply {}.",
                say::rate(posts),
                say::bytes(post),
                say::bytes(frame)
            );
            ("sends_often", text)
        } else if is_gathered {
            let text = format!(
                "What a client sends may wait {}, so one POST takes along what came meanwhile: {}.",
                say::duration(self.flow.latency_ms),
                say::rate(posts)
            );
            ("sends_gathered", text)
        } else {
            let text = format!(
                "A client sends {}: that is what requests are for, and the connection of the page \
                 is used again.",
                say::rate(posts)
            );
            ("sends_seldom", text)
        };
        Reason::new(2, code, text)
            .with("posts_per_second", posts)
            .with("bytes_around_post", post)
            .with("bytes_around_frame", frame)
    }

    fn binary(&self) -> Reason {
        let more = self.flow.down_per_second * self.flow.bytes / 3.0;
        let text = format!(
            "Payloads are binary: as text they are base64, {} a second more for each client. A \
             WebSocket has them as they are.",
            say::bytes(more)
        );
        Reason::new(2, "binary", text).with("bytes_per_second_more", more)
    }

    fn warnings(&self, choice: Choice) -> Vec<Reason> {
        let mut warnings = Vec::new();
        warnings.extend(self.of_infrastructure(choice));
        warnings.extend(self.of_client(choice));
        warnings.extend(self.of_rate(choice));
        warnings
    }

    fn of_infrastructure(&self, choice: Choice) -> Vec<Reason> {
        let mut warnings = Vec::new();
        let is_streamed = matches!(choice, Choice::Sse | Choice::Hybrid);
        if is_streamed && self.proxies == Proxies::Unknown {
            warnings.push(Reason::new(
                3,
                "proxies_unknown",
                "Nobody has said what proxies do: docs/proxies.md sets up those there are, and \
                 @bellwire/client moves to WebSocket or long poll where a stream stays mute.",
            ));
        }
        if choice == Choice::Websocket && self.websockets == WebSockets::Unknown {
            warnings.push(Reason::new(
                3,
                "websockets_unknown",
                "Nobody has said whether WebSockets come through: some company networks end them. \
                 The same cursor goes on over SSE.",
            ));
        }
        if choice == Choice::Websocket && self.infrastructure.team == Team::Http {
            warnings.push(Reason::new(
                3,
                "new_to_team",
                "A WebSocket is one request in the access log, whatever it says: count its messages, \
                 lags and closes at the server, as `/metrics` and `$sys/connections` do.",
            ));
        }
        warnings
    }

    fn of_client(&self, choice: Choice) -> Vec<Reason> {
        let mut warnings = Vec::new();
        let is_streamed = matches!(choice, Choice::Sse | Choice::Hybrid | Choice::LongPoll);
        let is_browser = self.flow.client == Client::Browser;
        if is_browser && is_streamed && !self.infrastructure.http2 {
            warnings.push(Reason::new(
                4,
                "six_connections",
                "Without HTTP/2 a browser has six connections to a host, for all tabs together, and a \
                 stream takes one: use TLS, or `tabs` of @bellwire/client, which shares one.",
            ));
        }
        if is_browser && choice == Choice::Websocket {
            warnings.push(Reason::new(
                4,
                "no_back_cache",
                "A page with an open WebSocket is not kept for the back button: close it in \
                 `pagehide`, as @bellwire/client does.",
            ));
        }
        if self.flow.client == Client::Device && self.flow.up_per_second > 0.0 {
            warnings.push(Reason::new(
                4,
                "samples",
                "Measured values are samples rather than events: docs/ingest has MQTT, the line \
                 protocol and JSON for them.",
            ));
        }
        warnings
    }

    fn of_rate(&self, choice: Choice) -> Vec<Reason> {
        let mut warnings = Vec::new();
        let down = self.flow.down_per_second;
        if self.flow.client == Client::Browser && down > READABLE_PER_SECOND {
            let text = format!(
                "Nobody reads {}: if only the newest value counts, a state topic with `max_rate=5` \
                 sends each key five times a second at most.",
                say::rate(down)
            );
            let warning = Reason::new(2, "faster_than_read", text);
            warnings.push(warning.with("down_per_second", down));
        }
        if choice == Choice::LongPoll && self.flow.latency_ms < HURRIED_MS {
            let text = format!(
                "An event that comes while a poll is asked again is a round trip late, and {} may \
                 not leave room for that.",
                say::duration(self.flow.latency_ms)
            );
            warnings.push(
                Reason::new(2, "poll_is_late", text).with("latency_ms", self.flow.latency_ms),
            );
        }
        if down > 0.0
            && down * UNHURRIED_MS / 1_000.0 <= 1.0
            && self.flow.latency_ms >= UNHURRIED_MS
        {
            let latency = say::duration(self.flow.latency_ms);
            let text = format!(
                "An event may be {latency} late: a GET with the last cursor each {latency} brings \
                 the same, and holds no connection."
            );
            warnings.push(
                Reason::new(2, "ask_now_and_then", text).with("latency_ms", self.flow.latency_ms),
            );
        }
        if down > 0.0 && !self.flow.binary && self.flow.bytes >= COMPRESSED_BYTES {
            let text = format!(
                "Events of {} are compressed on the way where the client says it takes that, as \
                 browsers do: text shrinks to a fraction of the bytes below.",
                say::bytes(self.flow.bytes)
            );
            warnings.push(Reason::new(2, "compressed", text).with("bytes", self.flow.bytes));
        }
        warnings
    }
}

fn of_choice(choice: Choice) -> Reason {
    let (step, code, text) = match choice {
        Choice::Sse => (
            3,
            "plain_http",
            "SSE is plain HTTP: any client reads it, `curl` shows it, it resumes by itself with its \
             cursor, and proxies, logs and rights are those of every request.",
        ),
        Choice::Hybrid => (
            6,
            "hybrid",
            "Down over SSE, up over POST: each way in what suits it, and an event that was sent comes \
             back in the same order as all others.",
        ),
        Choice::Websocket => (
            3,
            "websocket_passes",
            "A WebSocket comes through, since an upgraded connection is passed on as it is.",
        ),
        Choice::LongPoll => (
            3,
            "poll_passes",
            "A long poll is an answer that ends, so nothing holds it back: the last resort, and with \
             the same cursor.",
        ),
        Choice::Post => {
            (1, "nothing_comes_back", "Nothing comes back but the answer, so no stream is needed.")
        }
    };
    Reason::new(step, code, text)
}

fn held_back() -> Reason {
    Reason::new(
        3,
        "held_back",
        "A proxy on the way holds an answer back until it ends, which a stream never does. If it is \
         yours, docs/proxies.md says how it lets streams through.",
    )
}

#[cfg(test)]
mod tests;
