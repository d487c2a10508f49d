//! Passes on to the keeper of the desk what another node is asked for and cannot answer.
//!
//! ```text
//! client ─▶ node ── the same request, with X-Forwarded-For and a mark ─▶ keeper: asks who it is, answers
//!                ◀────────────────── the answer as it comes ──────────────
//! ```
//!
//! One hop alone: what carries the mark and comes to a node that is not the keeper is refused. Nothing is
//! tried twice, since it may have been done: whoever asks is told to ask again.

mod until;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bellwire_access::between_nodes::NODE_HEADER;
use bellwire_authn::Cookies;
use bellwire_cluster::{Other, Seat};
use bellwire_model::limits::{RELAY_CONNECT_TIMEOUT, RELAY_TIMEOUT, RELAYED_MAX};
use bellwire_model::{network_of, with_causes};
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::front_door::Peer;
use crate::page::{FETCH_SITE, Page};
use crate::peers::{Connector, FromNode, OF_ONE_HOP, Peers};
use crate::proxies::FORWARDED_FOR;
use crate::shares::Shares;

pub(crate) use self::until::Until;

/// The mark of what was passed on, with the name of the node that did.
const RELAYED_BY: HeaderName = HeaderName::from_static("bellwire-relayed-by");

/// What this node has answered for already, and is not passed on: where a request comes from, and whether its
/// page may ask.
const ANSWERED_FOR: [HeaderName; 4] =
    [header::FORWARDED, header::ORIGIN, FETCH_SITE, HeaderName::from_static(NODE_HEADER)];

/// Idle connections are closed before the keeper does.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// When to ask again while nobody keeps the desk, in seconds.
const AWAY_S: u32 = 1;

/// See the module.
#[derive(Debug)]
pub(crate) struct Relay {
    client: Client<Connector, Body>,
    /// Places for requests under way.
    places: Arc<Shares<Option<IpAddr>>>,
    peers: Arc<Peers>,
}

impl Relay {
    /// Of this node, which connects as its peers do. Nothing is connected before something is passed on.
    pub(crate) fn new(peers: Arc<Peers>) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .set_host(false)
            .build(peers.connector(RELAY_CONNECT_TIMEOUT));
        Self { client, places: Shares::new(RELAYED_MAX), peers }
    }

    /// Passes a request on to the keeper, and its answer back.
    pub(crate) async fn pass_on(&self, seat: Seat, request: Request) -> Result<Response, Problem> {
        let Some(Other { node, address: Some(address), .. }) = seat.other else {
            return Err(nobody_keeps("no node has the samples and alerts now"));
        };
        if is_marked(request.headers()) {
            return Err(nobody_keeps("this was passed on by a node that knew another keeper"));
        }
        // Of IPv6 one has all addresses of a network.
        let client = request.extensions().get().map(|Peer(client)| network_of(*client));
        let place = self.places.take(client, 1).ok_or_else(|| {
            let detail = "as many requests as may be are on their way to the node that has the alerts, of \
                          this client or of all";
            Problem::new(Code::ReadersBusy, detail).retry_after(AWAY_S)
        })?;
        let request = self.readdressed((&node, &address), request)?;
        let effect = Effect::of(request.method());
        let answer = tokio::time::timeout(RELAY_TIMEOUT, self.client.request(request)).await;
        let Ok(answer) = answer else {
            return Err(in_doubt("the node that has the alerts does not answer", effect));
        };
        let answer = answer.map_err(|error| {
            let was_sent = !error.is_connect();
            let error = with_causes(&error);
            tracing::debug!(%error, %address, "The keeper of the desk was not reached.");
            in_doubt(
                "the node that has the alerts is not reached",
                if was_sent { effect } else { Effect::None },
            )
        })?;
        let (mut head, body) = answer.into_parts();
        drop_headers(&mut head.headers);
        head.version = Version::HTTP_11;
        // The place is held until the last byte has come.
        let body = http_body_util::BodyExt::map_frame(body, move |frame| {
            let _held = &place;
            frame
        });
        Ok(Response::from_parts(head, Body::new(body)))
    }

    /// The same for the keeper.
    fn readdressed(
        &self,
        (node, address): (&str, &str),
        request: Request,
    ) -> Result<Request, Problem> {
        let (mut head, body) = request.into_parts();
        // Before anything of it is another: host and origin are compared.
        let site = judge_cookies(&mut head);
        let base = address.trim_end_matches('/');
        let asked = head.uri.path_and_query().map_or("/", |asked| asked.as_str());
        let host = head.uri.authority().map(|host| HeaderValue::from_str(host.as_str()));
        let uri = format!("{base}{asked}").parse::<Uri>();
        let uri = uri.map_err(|_| nobody_keeps("the node that has the alerts has no address"))?;
        // As the client has named it: it is known under the same names.
        if let Some(Ok(host)) = host {
            head.headers.entry(header::HOST).or_insert(host);
        }
        drop_headers(&mut head.headers);
        if let Some(site) = site {
            head.headers.insert(FETCH_SITE, site);
        }
        if let Some(Peer(client)) = head.extensions.get() {
            let client =
                HeaderValue::from_str(&client.to_string()).expect("an address is of ASCII");
            head.headers.insert(FORWARDED_FOR, client);
        }
        let by = HeaderValue::from_str(self.peers.node()).expect("letters and digits");
        head.headers.insert(RELAYED_BY, by);
        head.version = Version::HTTP_11;
        // What this server notes of a request is no part of it.
        head.extensions = http::Extensions::new();
        // So that it counts whose it is, and not who has passed it on; and as it is.
        let signed = self.peers.signed(node, Request::from_parts(head, body));
        let mut signed = signed.ok_or_else(|| nobody_keeps("the request cannot be signed"))?;
        *signed.uri_mut() = uri;
        Ok(signed)
    }
}

/// Decides here whether cookies count, since the keeper does not see of which origin the page is. What it is
/// to know of where the page is: of what changes something this node has refused what it had to; all else is
/// answered by whose page asks.
fn judge_cookies(head: &mut Parts) -> Option<HeaderValue> {
    let page = Page::of(&head.uri, &head.headers, &head.extensions);
    let (says_origin, cookies) = (page.origin.is_some(), page.cookies(&head.method, &head.headers));
    let is_safe = head.method.is_safe();
    let site = head.headers.get(FETCH_SITE).cloned().filter(|_| is_safe);
    match cookies {
        Cookies::Count if !is_safe || says_origin => Some(HeaderValue::from_static("same-origin")),
        Cookies::Count => site,
        Cookies::AreNone => {
            head.headers.remove(header::COOKIE);
            site
        }
    }
}

/// Whether a request says that another node has passed it on, whoever says so.
pub(crate) fn is_marked(headers: &HeaderMap) -> bool {
    headers.contains_key(RELAYED_BY)
}

/// Whose a request is that another node has passed on; nothing where none has, or it cannot say that.
pub(crate) fn client_of(request: &Request) -> Option<IpAddr> {
    let headers = request.headers();
    let is_relayed = is_marked(headers) && request.extensions().get::<FromNode>().is_some();
    let client = headers.get(FORWARDED_FOR).filter(|_| is_relayed)?;
    client.to_str().ok()?.parse().ok()
}

/// Drops what is of one hop alone, also what `Connection` names.
fn drop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in OF_ONE_HOP.iter().chain(&ANSWERED_FOR).chain(&named) {
        headers.remove(name);
    }
}

/// What comes of a request that has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// It may have done what it was to do.
    Maybe,
}

impl Effect {
    pub(crate) fn of(method: &Method) -> Self {
        if method.is_safe() { Self::None } else { Self::Maybe }
    }
}

/// The node that was asked is the keeper no more, and says nothing.
pub(crate) fn taken_over(effect: Effect) -> Problem {
    in_doubt("the node that had the alerts is taken over from", effect)
}

/// What was asked for was on its way there, or not.
pub(crate) fn in_doubt(detail: &str, effect: Effect) -> Problem {
    match effect {
        Effect::None => nobody_keeps(detail),
        Effect::Maybe => nobody_keeps(&format!("{detail}; it may have done this")).may_be_taken(),
    }
}

/// It is not as the node that it was passed on by has signed it; nothing was done.
pub(crate) fn not_as_passed_on(detail: &str) -> Problem {
    nobody_keeps(&format!("a request did not come as another node has passed it on: {detail}"))
}

/// Nobody does what is asked for now; another time somebody will.
pub(crate) fn nobody_keeps(detail: &str) -> Problem {
    Problem::new(Code::DeskAway, format!("{detail}: ask again")).retry_after(AWAY_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(node: &str) -> Relay {
        let logs = bellwire_shared_log::MemoryLogs::immediate();
        let secret = bellwire_cluster::Secret::of(&*logs.handle(), [7; 32]).expect("one");
        Relay::new(Arc::new(Peers::new(node, &secret, 7)))
    }

    #[test]
    fn what_is_of_one_hop_goes_no_further_and_all_else_does() {
        let sender = relay("n1");
        let request = Request::get("http://bell.example/v1/alerts?state=firing")
            .header("Connection", "close, X-Private")
            .header("X-Private", "1")
            .header("X-Forwarded-For", "192.0.2.9")
            .header("Transfer-Encoding", "chunked")
            .header("Authorization", "Bearer k")
            .extension(Peer("192.0.2.7".parse().expect("an address")))
            .body(Body::empty())
            .expect("a request");
        let to = ("n2", "http://[::1]:9/");
        let request = sender.readdressed(to, request).expect("an address");
        assert_eq!(request.uri(), "http://[::1]:9/v1/alerts?state=firing");
        let (head, _) = request.into_parts();
        // The one that it is for believes it, and nobody else.
        let whose = |node: &str| {
            let request = Request::from_parts(head.clone(), Body::empty());
            let admitted = relay(node).peers.admit(request).ok();
            admitted.and_then(|request| client_of(&request))
        };
        assert_eq!((whose("n2"), whose("n3")), ("192.0.2.7".parse().ok(), None));
        let mut headers: Vec<(&str, &str)> = head
            .headers
            .iter()
            .filter(|(name, _)| *name != NODE_HEADER)
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")))
            .collect();
        headers.sort_unstable();
        let expected = [
            ("authorization", "Bearer k"),
            ("bellwire-relayed-by", "n1"),
            ("host", "bell.example"),
            ("x-forwarded-for", "192.0.2.7"),
        ];
        assert_eq!(headers, expected);
        // What changes something was refused where a foreign page has asked for it.
        for (method, passes) in [("GET", true), ("POST", false)] {
            let request = Request::builder().method(method).uri("/query?u=a&p=b");
            let request = request.header("Sec-Fetch-Site", "cross-site").body(Body::empty());
            let request = sender.readdressed(to, request.expect("a request")).expect("an address");
            assert_eq!(request.headers().contains_key(FETCH_SITE), passes, "{method}");
        }
    }

    #[test]
    fn a_cookie_is_passed_on_with_what_has_it_count_or_not_at_all() {
        let (own, foreign) = (("Origin", "http://bell.example"), ("Origin", "http://evil.example"));
        let site = |value| ("Sec-Fetch-Site", value);
        let same = Some("same-origin");
        for (method, headers, expected) in [
            ("POST", vec![own], Some(same)),
            ("POST", vec![own, site("same-origin")], Some(same)),
            ("DELETE", vec![site("same-origin")], Some(same)),
            ("POST", vec![], None),
            ("POST", vec![foreign], None),
            ("POST", vec![own, site("cross-site")], None),
            ("POST", vec![site("same-site")], None),
            ("GET", vec![], Some(None)),
            ("GET", vec![own], Some(same)),
            ("GET", vec![site("none")], Some(Some("none"))),
            ("GET", vec![foreign], None),
            ("GET", vec![site("cross-site")], None),
        ] {
            let mut request =
                Request::builder().method(method).uri("http://bell.example/v1/alerts");
            for (name, value) in [("Cookie", "a=b")].iter().chain(&headers) {
                request = request.header(*name, *value);
            }
            let request = request.body(Body::empty()).expect("a request");
            let passed = relay("n1").readdressed(("n2", "http://[::1]:9/"), request);
            let (mut head, _) = passed.expect("an address").into_parts();
            let cookie = head.headers.get(header::COOKIE).is_some();
            assert_eq!(cookie, expected.is_some(), "{method} {headers:?}");
            let said =
                head.headers.get(FETCH_SITE).map(|it| it.to_str().expect("ASCII").to_owned());
            if let Some(expected) = expected {
                assert_eq!(said.as_deref(), expected, "{method} {headers:?}");
                // The keeper comes to the same.
                head.uri = Uri::from_static("/v1/alerts");
                let page = Page::of(&head.uri, &head.headers, &head.extensions);
                assert_eq!(page.cookies(&head.method, &head.headers), Cookies::Count);
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_passed_on_twice_or_to_nobody() {
        let sender = relay("n1");
        let other = |address: &str| Seat {
            other: Some(Other { node: "n2".into(), address: Some(address.into()), is_alive: true }),
            ..Seat::default()
        };
        let request = |mark: &str| {
            let request = Request::post("/v1/samples").header(RELAYED_BY, mark);
            request.body(Body::from("[]")).expect("a request")
        };
        for (seat, request) in [
            (Seat::default(), Request::new(Body::empty())),
            (other("http://127.0.0.1:1"), request("n3")),
            (other("no address"), Request::new(Body::empty())),
        ] {
            let problem = sender.pass_on(seat, request).await.expect_err("nobody is asked");
            assert_eq!(problem.code, Code::DeskAway, "{problem:?}");
            assert_eq!(problem.is_maybe_taken(), Some(false), "{problem:?}");
        }
    }

    #[tokio::test]
    async fn what_was_sent_and_not_answered_may_be_taken() {
        use tokio::io::AsyncReadExt;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let taking = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                // It reads the request, and dies.
                let _ = stream.read(&mut [0; 1]).await;
            }
        });
        for (method, expected) in [("POST", true), ("DELETE", true), ("GET", false)] {
            let other =
                Other { node: "n2".into(), address: Some(address.as_str().into()), is_alive: true };
            let seat = Seat { other: Some(other), ..Seat::default() };
            let request = Request::builder().method(method).uri("/v1/samples");
            let request = request.body(Body::from("[]")).expect("a request");
            let problem = relay("n1").pass_on(seat, request).await.expect_err("no answer");
            assert_eq!(problem.is_maybe_taken(), Some(expected), "{method}: {problem:?}");
        }
        taking.abort();
    }
}
