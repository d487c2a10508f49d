//! Other nodes of the cluster: what they are asked, and who of them asks.
//!
//! ```text
//! Peers::ask ── Bellwire-Node: id, time, HMAC ──▶ permission::guard ─▶ FromNode ─▶ handler
//! ```
//!
//! All nodes have one secret, which is in a register of the log that they share: whoever can read the
//! engine can read everything anyway, and nobody has to configure it.

pub(crate) mod address;
mod client;

use std::time::Duration;

use axum::extract::FromRequestParts;
use bellwire_access::between_nodes::{NODE_HEADER, NodeKey, NodeRequest};
use bellwire_cluster::NodeMark;
use bellwire_process::clock;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use url::Url;

use self::client::Client;
pub(crate) use self::client::{Connector, PeerError};
use crate::problem::Refused;

/// Speaks to other nodes, as this one.
#[derive(Debug)]
pub(crate) struct Peers {
    node: Box<str>,
    key: NodeKey,
    client: Client,
}

impl Peers {
    /// What the node of this name has, in a cluster that has this secret.
    pub(crate) fn new(node: &str, secret: &bellwire_cluster::Secret) -> Self {
        Self { node: node.into(), key: NodeKey::new(secret.bytes()), client: Client::new() }
    }

    /// What signs requests and vouches for answers.
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
        let target = target(&parts.uri).to_owned();
        let wanted = NodeRequest { to, method: parts.method.as_str(), target: &target };
        let shown = self.key.sign(&self.node, wanted, clock::now());
        let value = HeaderValue::try_from(&*shown).map_err(|_| PeerError::Address)?;
        parts.headers.insert(HeaderName::from_static(NODE_HEADER), value);
        let name = HeaderValue::from_static(concat!("Bellwire/", env!("CARGO_PKG_VERSION")));
        parts.headers.insert(header::USER_AGENT, name);
        let base = url.as_str().trim_end_matches('/');
        parts.uri = format!("{base}{target}").parse().map_err(|_| PeerError::Address)?;
        let request = Request::from_parts(parts, Full::from(body));
        let response = self.client.send(request, patience).await?;
        Ok(Answered { response, shown: shown.into() })
    }

    /// What a node is shown that a request is passed on to, of somebody else's: by this node.
    pub(crate) fn shown(&self, to: &str, parts: &Parts) -> Option<HeaderValue> {
        let wanted = NodeRequest { to, method: parts.method.as_str(), target: target(&parts.uri) };
        HeaderValue::try_from(&*self.key.sign(&self.node, wanted, clock::now())).ok()
    }

    /// What this node is called.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Which node a request is of.
    pub(crate) fn verify(&self, parts: &Parts) -> Result<FromNode, Problem> {
        let invalid = |error: String| Problem::new(Code::CredentialInvalid, error);
        let mut shown = parts.headers.get_all(NODE_HEADER).iter();
        let shown = match (shown.next(), shown.next()) {
            (Some(shown), None) => shown.to_str().unwrap_or_default(),
            (Some(_), Some(_)) => return Err(invalid("there are two of `Bellwire-Node`".into())),
            (None, _) => {
                let detail =
                    "this is for other nodes of the cluster, which sign with `Bellwire-Node`";
                return Err(Problem::new(Code::CredentialMissing, detail));
            }
        };
        let (method, target) = (parts.method.as_str(), target(&parts.uri));
        let request = NodeRequest { to: &self.node, method, target };
        let node = self.key.verify(shown, request, clock::now());
        let node = node.map_err(|error| invalid(error.to_string()))?;
        Ok(FromNode { node, shown: shown.into() })
    }
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
    pub(crate) shown: Box<str>,
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
    use bellwire_model::Timestamp;
    use bellwire_model::limits::NODE_REQUEST_AGE_MAX;
    use bellwire_shared_log::MemoryLogs;

    use super::*;

    fn peers(node: &str, byte: u8) -> Peers {
        let secret = Secret::of(&*MemoryLogs::immediate().handle(), [byte; 32]).expect("one");
        Peers::new(node, &secret)
    }

    fn verify(shown: &[&str]) -> Result<Box<str>, Code> {
        let mut request = Request::get("/v1/nodes/snapshot?x=1");
        for shown in shown {
            request = request.header(NODE_HEADER, *shown);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let verified = peers("asked", 1).verify(&parts);
        verified.map(|from| from.node).map_err(|problem| problem.code)
    }

    #[test]
    fn only_what_a_node_signed_for_this_one_is_taken() {
        let wanted = NodeRequest { to: "asked", method: "GET", target: "/v1/nodes/snapshot?x=1" };
        let sign = |peers: &Peers, wanted, now| peers.key.sign(&peers.node, wanted, now);
        let (now, asking) = (clock::now(), peers("asking", 1));
        let shown = sign(&asking, wanted, now);
        assert_eq!(verify(&[&shown]), Ok("asking".into()));
        assert_eq!(verify(&[]), Err(Code::CredentialMissing));
        let old = now.as_ms() - 2 * NODE_REQUEST_AGE_MAX.as_millis() as i64;
        for refused in [
            &[&*shown, &*shown][..],
            &[&sign(&peers("asking", 2), wanted, now)],
            &[&sign(&asking, NodeRequest { to: "another", ..wanted }, now)],
            &[&sign(&asking, NodeRequest { method: "POST", ..wanted }, now)],
            &[&sign(&asking, wanted, Timestamp::from_ms(old))],
            &["asking"],
        ] {
            assert_eq!(verify(refused), Err(Code::CredentialInvalid), "{refused:?}");
        }
    }
}
