//! Other nodes of the cluster: what they are asked, and who of them asks.
//!
//! ```text
//! Peers::ask, Relay ── signed as a whole, once ──▶ Peers::admit ─▶ FromNode ─▶ permission::guard ─▶ handler
//! ```
//!
//! All nodes have one secret, which is in a register of the log that they share: whoever can read the
//! engine can read everything anyway, and nobody has to configure it.

pub(crate) mod address;
mod bodies;
mod client;
mod headers;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::FromRequestParts;
use bellwire_access::between_nodes::{
    ContentDigest, NODE_BODY_TRAILER, NODE_HEADER, NodeKey, NodeRefusal, NodeRequest, Nonce,
    Nonces, Shown,
};
use bellwire_cluster::NodeMark;
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use url::Url;

pub(crate) use self::bodies::NotAsSigned;
use self::bodies::{Checked, Proof, Sealed};
use self::client::Client;
pub(crate) use self::client::{Connector, PeerError};
pub(crate) use self::headers::OF_ONE_HOP;
use crate::problem::Refused;

/// Speaks to other nodes, as this one.
#[derive(Debug)]
pub(crate) struct Peers {
    node: Box<str>,
    key: NodeKey,
    /// What no request of another life of the node has in common with those of this one.
    life: u64,
    /// Of requests that were signed.
    count: AtomicU64,
    /// Those of requests that have come.
    nonces: Mutex<Nonces>,
    client: Client,
}

impl Peers {
    /// What the node of this name has, in a cluster that has this secret. The number is drawn at random.
    pub(crate) fn new(node: &str, secret: &bellwire_cluster::Secret, life: u64) -> Self {
        Self {
            node: node.into(),
            key: NodeKey::new(secret.bytes()),
            life,
            count: AtomicU64::new(0),
            nonces: Mutex::new(Nonces::new(clock::now())),
            client: Client::new(),
        }
    }

    /// What vouches for answers.
    pub(crate) fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Connects to other nodes for whoever speaks to them itself, each time within `patience`.
    pub(crate) fn connector(&self, patience: Duration) -> Connector {
        self.client.connector(patience)
    }

    /// Whether a node is this one.
    pub(crate) fn is_own(&self, peer: &NodeMark) -> bool {
        peer.id == self.node
    }

    /// Asks a node at the address that it tells; the request has a path, and a query where it has one. The
    /// head of the answer comes within `patience`, and is one of success; how much of the body is read,
    /// and for how long, is the caller's to bound.
    pub(crate) async fn ask(
        &self,
        peer: &NodeMark,
        request: Request<Bytes>,
        patience: Duration,
    ) -> Result<Answered, PeerError> {
        self.ask_at((&peer.id, &peer.address), request, patience).await
    }

    /// The same of a node of this id at this address.
    pub(crate) async fn ask_at(
        &self,
        (to, address): (&str, &str),
        request: Request<Bytes>,
        patience: Duration,
    ) -> Result<Answered, PeerError> {
        let (mut parts, body) = request.into_parts();
        let url = Url::parse(address).map_err(|_| PeerError::Address)?;
        let name = HeaderValue::from_static(concat!("Bellwire/", env!("CARGO_PKG_VERSION")));
        parts.headers.insert(header::USER_AGENT, name);
        let digest = ContentDigest::of(&body);
        let shown = self.sign(to, &mut parts, Some(&digest)).ok_or(PeerError::Address)?;
        let base = url.as_str().trim_end_matches('/');
        let target = target(&parts.uri);
        parts.uri = format!("{base}{target}").parse().map_err(|_| PeerError::Address)?;
        let request = Request::from_parts(parts, Full::from(body));
        let response = self.client.send(request, patience).await?;
        Ok(Answered { response, shown })
    }

    /// Signs somebody else's request, which is passed on to that node as it comes; nothing where it cannot be.
    /// Whoever asked has named its path, and the headers are those that it will have.
    pub(crate) fn signed(&self, to: &str, request: Request<Body>) -> Option<Request<Body>> {
        let (mut parts, body) = request.into_parts();
        if body.is_end_stream() {
            self.sign(to, &mut parts, Some(&ContentDigest::of(b"")))?;
            return Some(Request::from_parts(parts, body));
        }
        // What it has at its end has no place behind a body of a length that is said before.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::TRAILER, HeaderValue::from_static(NODE_BODY_TRAILER));
        let shown = self.sign(to, &mut parts, None)?;
        let (key, digest) = (self.key.clone(), Some(ContentDigest::default()));
        let body = Body::new(Sealed { body, key, shown, digest });
        Some(Request::from_parts(parts, body))
    }

    /// Shows who asks that node for this, with a body of this digest, or with one that is signed behind its end.
    fn sign(&self, to: &str, parts: &mut Parts, body: Option<&str>) -> Option<Box<str>> {
        let names = headers::names(&parts.headers);
        let nonce = Nonce::new(self.life, self.count.fetch_add(1, Ordering::Relaxed));
        let shown = Shown { from: &self.node, at: clock::now(), nonce, headers: &names, body };
        let values = headers::values(&parts.headers, &names);
        let shown = self.key.sign(shown, wanted(to, parts, &values));
        let value = HeaderValue::try_from(&*shown).ok()?;
        parts.headers.insert(HeaderName::from_static(NODE_HEADER), value);
        Some(shown.into())
    }

    /// What this node is called.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// A request as another node has signed it, and of which: [`FromNode`] is among its extensions. What was
    /// not signed of it is gone, and its body ends in an error where that is not what was. It counts once.
    pub(crate) fn admit(&self, request: Request<Body>) -> Result<Request<Body>, Problem> {
        let (mut parts, body) = request.into_parts();
        let text: Arc<str> = text(&parts.headers)?.into();
        let (shown, _) = self.verify(&text, &parts).map_err(invalid)?;
        headers::drop_unsigned(&mut parts.headers, shown.headers);
        let proof = match shown.body {
            Some(digest) => Proof::Digest(digest.into()),
            None => Proof::Behind { key: self.key.clone(), shown: Arc::clone(&text) },
        };
        let is_nothing = body.is_end_stream() && shown.body == Some(&*ContentDigest::of(b""));
        let body = if is_nothing {
            body
        } else {
            Body::new(Checked {
                body,
                proof,
                digest: Some(ContentDigest::default()),
                trailer: None,
            })
        };
        parts.extensions.insert(FromNode { node: shown.from.into(), shown: text });
        Ok(Request::from_parts(parts, body))
    }

    fn verify<'a>(
        &self,
        text: &'a str,
        parts: &Parts,
    ) -> Result<(Shown<'a>, &'a str), NodeRefusal> {
        let (shown, tag) = Shown::read(text)?;
        let (values, now) = (headers::values(&parts.headers, shown.headers), clock::now());
        self.key.verify((shown, tag), wanted(&self.node, parts, &values), now)?;
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.take(shown.nonce, shown.at, now)?;
        Ok((shown, tag))
    }
}

/// The one header that says who asks.
fn text(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut shown = headers.get_all(NODE_HEADER).iter();
    match (shown.next(), shown.next()) {
        (Some(shown), None) => Ok(shown.to_str().unwrap_or_default()),
        (Some(_), Some(_)) => Err(invalid("there are two of `Bellwire-Node`")),
        (None, _) => {
            let detail = "this is for other nodes of the cluster, which sign with `Bellwire-Node`";
            Err(Problem::new(Code::CredentialMissing, detail))
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::CredentialInvalid, error.to_string())
}

fn wanted<'a>(to: &'a str, parts: &'a Parts, headers: &'a [u8]) -> NodeRequest<'a> {
    NodeRequest { to, method: parts.method.as_str(), target: target(&parts.uri), headers }
}

/// Whether a request says that a node has signed it, whoever says so.
pub(crate) fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key(NODE_HEADER)
}

/// What a node has answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
    /// What it was shown: what it vouches for is of this request.
    pub(crate) shown: Box<str>,
}

/// The path, and the query where there is one.
fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

/// The node that asks. A handler that has it is reached by other nodes only: its route asks for
/// `Asks::Node`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FromNode {
    /// What it is called.
    pub(crate) node: Box<str>,
    /// What it has shown, which is another one for each request.
    pub(crate) shown: Arc<str>,
}

impl<S: Send + Sync> FromRequestParts<S> for FromNode {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let node = parts.extensions.get::<Self>().cloned();
        node.ok_or_else(|| Refused(Problem::new(Code::Forbidden, "nobody was asked who calls")))
    }
}

#[cfg(test)]
mod tests {
    use bellwire_cluster::Secret;
    use bellwire_model::limits::NODE_REQUEST_AGE_MAX;
    use bellwire_shared_log::MemoryLogs;
    use http::Method;
    use http_body_util::BodyExt as _;

    use super::*;

    fn peers(node: &str, byte: u8) -> Peers {
        let secret = Secret::of(&*MemoryLogs::immediate().handle(), [byte; 32]).expect("one");
        let peers = Peers::new(node, &secret, 7);
        // It has been there for long.
        *peers.nonces.lock().unwrap() = Nonces::new(bellwire_model::Timestamp::from_ms(0));
        peers
    }

    /// What is another on the way.
    type Change = Box<dyn Fn(&mut Sent)>;

    /// A request as it is on its way.
    struct Sent {
        head: Parts,
        body: Vec<hyper::body::Frame<Bytes>>,
    }

    impl Sent {
        /// What one node passes on to another for a client.
        async fn of(peers: &Peers, to: &str, body: &'static str) -> Self {
            let request = Request::post("/v1/samples?x=1")
                .header("X-Forwarded-For", "192.0.2.7")
                .header("Content-Length", body.len())
                .body(Body::from(body));
            let signed = peers.signed(to, request.expect("a request")).expect("it is signed");
            let (head, mut come) = signed.into_parts();
            let mut body = Vec::new();
            while let Some(frame) = come.frame().await {
                body.push(frame.expect("a frame"));
            }
            Self { head, body }
        }

        /// The head as it comes, and what a handler gets of the body.
        async fn comes(self, to: &Peers) -> Result<(Parts, Bytes), Code> {
            let body = Body::new(bodies::Frames(self.body.into()));
            let admitted = to.admit(Request::from_parts(self.head, body));
            let (head, body) = admitted.map_err(|problem| problem.code)?.into_parts();
            let body = body.collect().await.map_err(|error| {
                assert!(NotAsSigned::is_cause_of(&error), "{error:?}");
                Code::BodyInvalid
            })?;
            Ok((head, body.to_bytes()))
        }
    }

    #[tokio::test]
    async fn what_a_node_passes_on_counts_as_it_was_signed_and_once() {
        let (asking, asked) = (peers("asking", 1), peers("asked", 1));
        let sent = async || Sent::of(&asking, "asked", "[1]").await;
        let (head, body) = sent().await.comes(&asked).await.expect("it counts");
        assert_eq!(body, "[1]");
        assert_eq!(&*head.extensions.get::<FromNode>().expect("of a node").node, "asking");
        assert_eq!(head.headers["x-forwarded-for"], "192.0.2.7");

        // Recorded, and sent again.
        let (one, again) = (sent().await, sent().await);
        let again = Sent { head: one.head.clone(), ..again };
        assert!(one.comes(&asked).await.is_ok());
        assert_eq!(again.comes(&asked).await.err(), Some(Code::CredentialInvalid));

        let insert = |name: &'static str, value: &'static str| {
            move |sent: &mut Sent| {
                sent.head.headers.insert(name, HeaderValue::from_static(value));
            }
        };
        let changes: [(Change, Code); 8] = [
            (Box::new(insert("x-forwarded-for", "192.0.2.8")), Code::CredentialInvalid),
            (
                Box::new(|sent| drop(sent.head.headers.remove("x-forwarded-for"))),
                Code::CredentialInvalid,
            ),
            (
                Box::new(|sent| {
                    let other = HeaderValue::from_static("192.0.2.8");
                    sent.head.headers.append("x-forwarded-for", other);
                }),
                Code::CredentialInvalid,
            ),
            (Box::new(|sent| sent.head.method = Method::PUT), Code::CredentialInvalid),
            (
                Box::new(|sent| sent.head.uri = Uri::from_static("/v1/samples?x=2")),
                Code::CredentialInvalid,
            ),
            (
                Box::new(|sent| {
                    sent.body[0] = hyper::body::Frame::data(Bytes::from_static(b"[2]"));
                }),
                Code::BodyInvalid,
            ),
            (Box::new(|sent| sent.body.truncate(1)), Code::BodyInvalid),
            (Box::new(|sent| sent.body.clear()), Code::BodyInvalid),
        ];
        for (number, (change, expected)) in changes.into_iter().enumerate() {
            let mut sent = sent().await;
            change(&mut sent);
            assert_eq!(sent.comes(&asked).await.err(), Some(expected), "{number}");
        }
        // What is added on the way does not count.
        let mut added = sent().await;
        insert("cookie", "a=b")(&mut added);
        let (head, _) = added.comes(&asked).await.expect("it counts");
        assert!(!head.headers.contains_key("cookie"));
        // For another node, or of another cluster.
        let other = Sent::of(&asking, "another", "[1]").await.comes(&asked).await;
        let foreign = Sent::of(&peers("asking", 2), "asked", "[1]").await.comes(&asked).await;
        for refused in [other, foreign] {
            assert_eq!(refused.err(), Some(Code::CredentialInvalid));
        }
    }

    #[tokio::test]
    async fn what_no_node_has_signed_lately_is_not_taken() {
        let asked = peers("asked", 1);
        let code = |head: Parts| {
            let admitted = asked.admit(Request::from_parts(head, Body::empty()));
            admitted.err().map(|problem| problem.code)
        };
        let head = async || Sent::of(&peers("asking", 1), "asked", "").await.head;
        assert_eq!(code(head().await), None);
        let mut none = head().await;
        none.headers.remove(NODE_HEADER);
        assert_eq!(code(none), Some(Code::CredentialMissing));
        let mut two = head().await;
        let shown = two.headers[NODE_HEADER].clone();
        two.headers.append(NODE_HEADER, shown);
        assert_eq!(code(two), Some(Code::CredentialInvalid));
        // A node that has begun since does not know whether it has counted.
        let age_ms = NODE_REQUEST_AGE_MAX.as_millis() as i64;
        let later = bellwire_model::Timestamp::from_ms(clock::now().as_ms() + age_ms);
        *asked.nonces.lock().unwrap() = Nonces::new(later);
        assert_eq!(code(head().await), Some(Code::CredentialInvalid));
    }
}
