//! What each route asks of who calls it. The particular, such as the topic, is asked by handlers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bellwire_access::{Identity, Means, Rights};
use bellwire_authn::{Cookies, Query, Shown};
use bellwire_model::Scope;
use bellwire_wire::problem::{Code, Problem};
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, StatusCode, header};

use super::visitors::OfProxy;
use super::watched::watched;
use super::{App, dialect};
use crate::access;
use crate::front_door::Peer;
use crate::page::Page;
use crate::peers::FromNode;
use crate::problem::Refused;
use crate::relay;
use crate::turns::Asker;

/// What a route asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Nothing: it tells no more than that there is a server.
    Nothing,
    /// A credential that its handler reads itself.
    Login,
    /// To be somebody here, whatever they may.
    Caller,
    /// To read topics.
    Subscribe,
    /// To read topics, or over a WebSocket to send or attend to something.
    Converse,
    /// To publish to topics.
    Publish,
    /// To send samples.
    Ingest,
    /// To query series.
    Query,
    /// To see alerts.
    Alerts,
    /// To acknowledge alerts.
    Attend,
    /// To silence alerts.
    Silence,
    /// To post alerts.
    PostAlerts,
    /// To run the server.
    Admin,
    /// To be another node of the cluster.
    Node,
}

impl Asks {
    /// Whether rights allow some of it.
    fn is_granted(self, rights: &Rights) -> bool {
        let some = |scope: &Scope| *scope != Scope::none();
        match self {
            Self::Nothing | Self::Login | Self::Caller => true,
            // No rights of anybody make a node of them.
            Self::Node => false,
            Self::Subscribe => !rights.subscribe.is_empty(),
            Self::Converse => access::may_converse(rights),
            Self::Publish => !rights.publish.is_empty(),
            Self::Ingest => some(&rights.ingest),
            Self::Query => some(&rights.query),
            Self::Alerts => some(&rights.alerts),
            Self::Attend | Self::Silence => some(&rights.attend),
            Self::PostAlerts => some(&rights.post_alerts),
            Self::Admin => rights.is_admin,
        }
    }

    /// What is refused, for whoever is refused it.
    const fn deed(self) -> &'static str {
        match self {
            Self::Nothing | Self::Login | Self::Caller => "ask",
            Self::Subscribe | Self::Converse => "read topics",
            Self::Publish => "publish",
            Self::Ingest => "send samples",
            Self::Query => "query series",
            Self::Alerts => "see alerts",
            Self::Attend => "acknowledge alerts",
            Self::Silence => "silence alerts",
            Self::PostAlerts => "post alerts",
            Self::Admin => "run this server",
            Self::Node => "ask what only nodes ask each other",
        }
    }

    /// Whether somebody may do it at all. Whoever has yet to say who they are may converse: what they
    /// may is asked of each message.
    fn check_of(self, identity: &Identity) -> Result<(), Problem> {
        match (self, &identity.means) {
            (Self::Converse, Means::Pending) => Ok(()),
            _ => self.check(&identity.rights),
        }
    }

    /// Whether these rights allow it at all.
    pub(crate) fn check(self, rights: &Rights) -> Result<(), Problem> {
        if self.is_granted(rights) {
            return Ok(());
        }
        let detail = format!("you may not {}: `GET /v1/whoami` says what you may", self.deed());
        Err(Problem::new(Code::Forbidden, detail))
    }
}

/// What each route asks, by its path and method. A route that is not here is nobody's, and a method
/// that is not here is none of its route's.
const ROUTES: &[(&str, Method, Asks)] = &[
    ("/v1/events", Method::GET, Asks::Converse),
    ("/v1/events", Method::CONNECT, Asks::Converse),
    ("/v1/events", Method::POST, Asks::Publish),
    ("/v1/topics", Method::GET, Asks::Subscribe),
    ("/v1/topics/{*topic}", Method::GET, Asks::Subscribe),
    ("/v1/topics/{*topic}", Method::POST, Asks::Publish),
    ("/v1/topics/{*topic}", Method::DELETE, Asks::Publish),
    ("/v1/topics/{*topic}", Method::PATCH, Asks::Publish),
    ("/v1/ds/{*topic}", Method::GET, Asks::Subscribe),
    ("/v1/ds/{*topic}", Method::PUT, Asks::Publish),
    ("/v1/ds/{*topic}", Method::POST, Asks::Publish),
    ("/v1/ds/{*topic}", Method::DELETE, Asks::Publish),
    ("/v1/webhooks/{name}", Method::POST, Asks::Publish),
    ("/v1/samples", Method::POST, Asks::Ingest),
    ("/v1/metrics", Method::POST, Asks::Ingest),
    ("/v1/logs", Method::POST, Asks::Nothing),
    ("/v1/traces", Method::POST, Asks::Nothing),
    ("/v1/alerts", Method::GET, Asks::Alerts),
    ("/v1/alerts/{fingerprint}", Method::GET, Asks::Alerts),
    ("/v1/alerts/{fingerprint}/ack", Method::POST, Asks::Attend),
    ("/v1/alerts/{fingerprint}/ack", Method::DELETE, Asks::Attend),
    ("/v1/alerts/{fingerprint}/assignment", Method::PUT, Asks::Attend),
    ("/v1/alerts/{fingerprint}/assignment", Method::DELETE, Asks::Attend),
    ("/v1/alerts/{fingerprint}/comments", Method::POST, Asks::Attend),
    ("/v1/alerts/actions", Method::POST, Asks::Attend),
    ("/v1/silences", Method::GET, Asks::Alerts),
    ("/v1/silences/preview", Method::POST, Asks::Alerts),
    ("/v1/connections", Method::GET, Asks::Subscribe),
    ("/v1/record", Method::GET, Asks::Admin),
    ("/v1/rules", Method::GET, Asks::Alerts),
    ("/v1/status", Method::GET, Asks::Caller),
    ("/v1/nodes", Method::GET, Asks::Admin),
    ("/v1/nodes/{node}", Method::DELETE, Asks::Admin),
    ("/v1/nodes/snapshot", Method::GET, Asks::Node),
    ("/v1/nodes/standby", Method::POST, Asks::Node),
    ("/v1/nodes/shown", Method::GET, Asks::Node),
    ("/v1/nodes/errands", Method::POST, Asks::Node),
    ("/v1/nodes/present", Method::GET, Asks::Node),
    ("/v1/advice", Method::GET, Asks::Subscribe),
    ("/v1/advice", Method::POST, Asks::Caller),
    ("/v1/whoami", Method::GET, Asks::Caller),
    ("/v1/tickets", Method::POST, Asks::Subscribe),
    ("/v1/session/token", Method::POST, Asks::Caller),
    ("/v1/session", Method::GET, Asks::Nothing),
    ("/v1/session", Method::POST, Asks::Login),
    ("/v1/session", Method::DELETE, Asks::Nothing),
    ("/v1/session/login", Method::GET, Asks::Nothing),
    ("/v1/session/callback", Method::GET, Asks::Nothing),
    ("/v1/queries", Method::GET, Asks::Query),
    ("/v1/queries", Method::POST, Asks::Query),
    ("/v1/queries/{name}", Method::GET, Asks::Query),
    ("/v1/queries/{name}", Method::PUT, Asks::Query),
    ("/v1/queries/{name}", Method::DELETE, Asks::Query),
    ("/v1/keys", Method::GET, Asks::Admin),
    ("/v1/keys", Method::POST, Asks::Admin),
    ("/v1/keys/{id}", Method::DELETE, Asks::Admin),
    ("/v1/revocations", Method::GET, Asks::Admin),
    ("/v1/revocations", Method::POST, Asks::Admin),
    ("/v1/revocations/{id}", Method::DELETE, Asks::Admin),
    ("/v1/push", Method::GET, Asks::Alerts),
    ("/v1/push/subscriptions", Method::GET, Asks::Alerts),
    ("/v1/push/subscriptions", Method::POST, Asks::Alerts),
    ("/v1/push/subscriptions/{id}", Method::DELETE, Asks::Caller),
    ("/v1/push/subscriptions/{id}/test", Method::POST, Asks::Alerts),
    ("/api/v2/status", Method::GET, Asks::Alerts),
    ("/api/v2/receivers", Method::GET, Asks::Alerts),
    ("/api/v2/alerts", Method::GET, Asks::Alerts),
    ("/api/v2/alerts", Method::POST, Asks::PostAlerts),
    ("/api/v2/alerts/groups", Method::GET, Asks::Alerts),
    ("/api/v2/silences", Method::GET, Asks::Alerts),
    ("/api/v2/silences", Method::POST, Asks::Silence),
    ("/api/v2/silence/{id}", Method::GET, Asks::Alerts),
    ("/api/v2/silence/{id}", Method::DELETE, Asks::Silence),
    ("/api/v2/write", Method::POST, Asks::Ingest),
    ("/write", Method::POST, Asks::Ingest),
    ("/ping", Method::GET, Asks::Nothing),
    ("/health", Method::GET, Asks::Nothing),
    ("/ready", Method::GET, Asks::Nothing),
    ("/query", Method::GET, Asks::Caller),
    ("/query", Method::POST, Asks::Caller),
    ("/api/v1/write", Method::POST, Asks::Ingest),
    ("/api/v1/query", Method::GET, Asks::Query),
    ("/api/v1/query", Method::POST, Asks::Query),
    ("/api/v1/query_range", Method::GET, Asks::Query),
    ("/api/v1/query_range", Method::POST, Asks::Query),
    ("/api/v1/series", Method::GET, Asks::Query),
    ("/api/v1/series", Method::POST, Asks::Query),
    ("/api/v1/labels", Method::GET, Asks::Query),
    ("/api/v1/labels", Method::POST, Asks::Query),
    ("/api/v1/label/{name}/values", Method::GET, Asks::Query),
    ("/api/v1/metadata", Method::GET, Asks::Query),
    ("/api/v1/parse_query", Method::GET, Asks::Query),
    ("/api/v1/parse_query", Method::POST, Asks::Query),
    ("/api/v1/rules", Method::GET, Asks::Alerts),
    ("/api/v1/alerts", Method::GET, Asks::Alerts),
    ("/api/v1/status/buildinfo", Method::GET, Asks::Caller),
    ("/api/v1/targets", Method::GET, Asks::Admin),
    ("/-/reload", Method::POST, Asks::Admin),
    ("/metrics", Method::GET, Asks::Admin),
    ("/healthz", Method::GET, Asks::Nothing),
    ("/readyz", Method::GET, Asks::Nothing),
    ("/openapi.json", Method::GET, Asks::Nothing),
    ("/", Method::GET, Asks::Nothing),
    ("/assets/{file}", Method::GET, Asks::Nothing),
    ("/client.js", Method::GET, Asks::Nothing),
    ("/examples", Method::GET, Asks::Nothing),
    ("/examples/{file}", Method::GET, Asks::Nothing),
    ("/icon.svg", Method::GET, Asks::Nothing),
    ("/push-worker.js", Method::GET, Asks::Nothing),
];

/// What a route asks. `None`: there is no such route, or it does not take this method. `HEAD` is a
/// `GET` of which only the head is told.
fn asked(path: &str, method: &Method) -> Option<Asks> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let is_it = |route: &&(&str, Method, Asks)| route.0 == path && route.1 == *method;
    ROUTES.iter().find(is_it).map(|(_, _, asks)| *asks)
}

/// What a request shows of who sends it. A proxy's word goes before a session, and behind all that is
/// shown on purpose. It counts for the server's own page alone: a browser sends along what lets it
/// through the proxy, whoever has it ask.
pub(super) fn shown(
    app: &App,
    parts: &Parts,
    (query, cookies): (Query<'_>, Cookies),
) -> Result<Shown, Problem> {
    // Who is not asked is not listened to either.
    if app.access.authenticator.is_open() {
        return Ok(Shown::Nothing);
    }
    let is_own = Page::of(&parts.uri, &parts.headers, &parts.extensions).is_own();
    let proxied = match parts.extensions.get() {
        Some(OfProxy) if is_own => app.access.authenticator.proxied(&parts.headers)?,
        _ => None,
    };
    match (Shown::of(&parts.headers, query, cookies)?, proxied) {
        (Shown::Nothing | Shown::Session(_), Some(proxied)) => Ok(proxied),
        (shown, _) => Ok(shown),
    }
}

/// Finds out who calls, and whether they may.
pub(super) async fn guard(
    State(app): State<Arc<App>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let asks = match asked(path.as_str(), request.method()) {
        Some(Asks::Nothing | Asks::Login) => {
            return run(&app, (request, next), None).await;
        }
        Some(Asks::Node) => return run_for_node(&app, request, next).await,
        // The router is not asked: what it might do with the method nobody has permitted.
        None => return other_method(path.as_str(), request.method()),
        Some(asks) => asks,
    };
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let page = Page::of(&parts.uri, &parts.headers, &parts.extensions);
    // Pages of other sites have their readers' browsers ask for any address: what passwords they put
    // there is not to count as tries of those readers.
    let is_meant = || page.is_own() || page.allowed_origin(&app.callers.origins).is_some();
    let query = match path.as_str() {
        "/write" | "/query" if is_meant() => Query::OfInfluxdb(query),
        _ if asks == Asks::Converse && is_get(&parts.method) => Query::OfStream(query),
        _ => Query::Nothing,
    };
    let cookies = page.cookies(&parts.method, &parts.headers);
    let (shown, from) = (shown(&app, &parts, (query, cookies)), peer(&parts.extensions));
    let mut request = Request::from_parts(parts, body);
    let identified = match shown {
        Ok(shown) => {
            let identified = app.access.authenticator.identify(&shown, from).await;
            if let Err(problem) = &identified {
                let showed = (shown.kind(), None);
                app.access.audit.refused(problem, showed, (path.as_str(), from));
            }
            identified
        }
        Err(problem) => {
            app.access.on_unreadable(&problem, (path.as_str(), from));
            Err(problem)
        }
    };
    let permitted = identified.and_then(|identity| match asks.check_of(&identity) {
        Ok(()) => Ok(identity),
        Err(problem) => {
            app.access.audit.forbidden(&problem, Some(&identity), (path.as_str(), from));
            Err(problem)
        }
    });
    match permitted {
        Ok(identity) => {
            if !app.access.authenticator.is_open() {
                request = watched(request, &app.access.authenticator, &identity);
            }
            request.extensions_mut().insert(Caller(Arc::clone(&identity)));
            run(&app, (request, next), Some(identity)).await
        }
        Err(problem) => dialect::refuse(path.as_str(), request.headers(), problem),
    }
}

/// Has the handler do it for another node.
async fn run_for_node(app: &Arc<App>, request: Request, next: Next) -> Response {
    if app.cluster.is_none() {
        return Refused(Problem::new(Code::NotFound, "this server stands alone")).into_response();
    }
    // What a node passes on is somebody else's, and no word of the node.
    let is_of_node = request.extensions().get::<FromNode>().is_some();
    if is_of_node && !relay::is_marked(request.headers()) {
        return run(app, (request, next), None).await;
    }
    let detail = "this is for other nodes of the cluster, which sign with `Bellwire-Node`";
    let problem = Problem::new(Code::CredentialMissing, detail);
    Refused(problem).into_response()
}

/// Has the handler do it, and the audit know of it. A client that hangs up must not keep what it has
/// done out of the audit: what changes something runs to its end, whoever waits for it.
async fn run(
    app: &Arc<App>,
    (request, next): (Request, Next),
    caller: Option<Arc<Identity>>,
) -> Response {
    let (app, address) = (Arc::clone(app), peer(request.extensions()));
    let path = request.extensions().get::<MatchedPath>().cloned();
    let is_safe = request.method().is_safe();
    let running = async move {
        let mut response = next.run(request).await;
        let from = (path.as_ref().map_or("", MatchedPath::as_str), address);
        app.access.audit.record_of(&mut response, caller.as_deref(), from);
        response
    };
    if is_safe {
        return running.await;
    }
    match tokio::spawn(running).await.map_err(tokio::task::JoinError::try_into_panic) {
        Ok(response) => response,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => Refused(Problem::new(Code::Draining, "the server ends")).into_response(),
    }
}

/// Where a request comes from.
pub(super) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get().map(|Peer(address)| *address)
}

/// A ticket opens streams and nothing else. (`CONNECT` is how HTTP/2 asks for a WebSocket.)
fn is_get(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::CONNECT)
}

/// Answers for a method that a path does not take, and says which it takes.
fn other_method(path: &str, method: &Method) -> Response {
    let methods = ROUTES.iter().filter(|(known, ..)| *known == path).map(|(_, method, _)| method);
    let mut allowed = Vec::new();
    for known in methods.filter(|method| *method != Method::CONNECT) {
        allowed.push(known.as_str());
        if known == Method::GET {
            allowed.push(Method::HEAD.as_str());
        }
    }
    if allowed.is_empty() {
        let problem = Problem::new(Code::Forbidden, "nobody has said who may ask this");
        return Refused(problem).into_response();
    }
    let allow = HeaderValue::try_from(allowed.join(", ")).expect("names of methods");
    let answer = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let problem = Problem::new(Code::MethodNotAllowed, "see /openapi.json for what there is");
        Refused(problem).into_response()
    };
    ([(header::ALLOW, allow)], answer).into_response()
}

/// Who calls. A handler of a route that asks for nothing cannot have it.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Arc<Identity>);

impl Caller {
    pub(crate) fn rights(&self) -> &Rights {
        &self.0.rights
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Refused(Problem::new(Code::Forbidden, "nobody was asked who calls")))
    }
}

/// Whose turns a request takes.
impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let Caller(identity) = Caller::from_request_parts(parts, state).await?;
        Ok(Self::of(&identity, peer(&parts.extensions)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::golden;

    /// What needs nobody to say who they are: a change here is a change of what strangers see.
    const OPEN: &[&str] = &[
        "/",
        "/assets/{file}",
        "/client.js",
        "/examples",
        "/examples/{file}",
        "/health",
        "/healthz",
        "/icon.svg",
        "/openapi.json",
        "/ping",
        "/push-worker.js",
        "/ready",
        "/readyz",
        "/v1/logs",
        "/v1/session",
        "/v1/session/callback",
        "/v1/session/login",
        "/v1/traces",
    ];

    #[test]
    fn every_route_asks_and_only_these_ask_for_nothing() {
        let routed = crate::api::web::tests::routed();
        let route = |(path, method, _): &(&str, Method, Asks)| {
            (path.replace("{*", "{"), method.as_str().to_ascii_lowercase())
        };
        let asked: BTreeSet<(String, String)> = ROUTES.iter().map(route).collect();
        assert_eq!(asked, routed);
        let open = ROUTES.iter().filter(|(_, _, asks)| *asks == Asks::Nothing);
        assert_eq!(
            open.map(|(path, ..)| *path).collect::<BTreeSet<_>>(),
            OPEN.iter().copied().collect()
        );
    }

    #[test]
    fn the_documentation_says_what_each_route_asks() {
        let row = |(path, method, asks): &(&str, Method, Asks)| {
            let method =
                if method == Method::CONNECT { "CONNECT (HTTP/2)" } else { method.as_str() };
            let right = match asks {
                Asks::Nothing => "nothing",
                Asks::Login => "the credential that it makes a session of",
                Asks::Caller => "a credential",
                Asks::Subscribe => "`subscribe`",
                Asks::Converse => "`subscribe`; a WebSocket one of what it may do",
                Asks::Publish => "`publish`",
                Asks::Ingest => "`ingest`",
                Asks::Query => "`query`",
                Asks::Alerts => "`alerts`",
                Asks::Attend | Asks::Silence => "`attend`",
                Asks::PostAlerts => "`post_alerts`",
                Asks::Admin => "`admin`",
                Asks::Node => "another node's signature",
            };
            [format!("`{}`", path.replace("{*", "{")), method.to_owned(), right.to_owned()]
        };
        let table = golden::table(["route", "method", "asks"], ROUTES.iter().map(row));
        golden::check("docs/security.md", "routes", &table);
    }

    #[test]
    fn the_description_says_where_a_credential_and_a_right_are_asked() {
        let text = include_str!("../../openapi.json");
        let description: serde_json::Value = serde_json::from_str(text).expect("JSON");
        for (path, method, asks) in ROUTES {
            if method == Method::CONNECT {
                continue;
            }
            let path = path.replace("{*", "{");
            let method = method.as_str().to_ascii_lowercase();
            let responses = &description["paths"][&path][&method]["responses"];
            // What is renewed is to be the caller's own.
            let is_right = !matches!(asks, Asks::Nothing | Asks::Login | Asks::Caller | Asks::Node)
                || path == "/v1/session/token";
            assert_eq!(responses["401"].is_object(), *asks != Asks::Nothing, "{method} {path}");
            assert_eq!(responses["403"].is_object(), is_right, "{method} {path}");
        }
    }

    #[test]
    fn no_rights_allow_nothing_and_all_rights_everything() {
        for (path, _, asks) in ROUTES {
            assert_eq!(asks.check(&Rights::all()).is_ok(), *asks != Asks::Node, "{path}");
            let is_for_all = matches!(asks, Asks::Nothing | Asks::Login | Asks::Caller);
            assert_eq!(asks.check(&Rights::none()).is_ok(), is_for_all, "{path}");
        }
    }
}
