//! The HTTP API, by resource.

mod advice;
mod alert_history;
mod alertmanager;
mod alerts;
mod attending;
mod board;
mod body;
mod cloud_events;
mod connections;
mod cors;
mod dialect;
mod durable_streams;
mod errands;
mod events;
mod hosts;
mod influxdb;
mod keys;
mod large;
mod login;
mod nodes;
mod page_tag;
mod permission;
mod pieces;
mod posted;
mod present;
mod prometheus;
mod publish;
mod push;
mod queries;
mod record;
mod revocations;
mod rules;
mod samples;
mod session;
mod shown;
mod signed;
mod silences;
mod snapshot;
mod standby;
mod status;
mod system;
mod tickets;
mod time;
mod told_rules;
mod topics;
mod visitors;
mod watched;
mod web;
mod webhooks;
mod whoami;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use bellwire_alerting::{Alerting, History, LiveQueries, Push, Reload, SampleIntake};
use bellwire_model::FilterSet;
use bellwire_shards::{
    Presence, Publisher, Reconsidering, Requests, Spread, Subscriptions, TopicRates,
};
use bellwire_sources::http::{Influx, Json, Otlp, RemoteWrite};
use bellwire_sources::scrape::Scraper;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderValue, Uri, header};

pub(crate) use self::durable_streams::StreamsApi;
pub(crate) use self::errands::keep_standing;
pub(crate) use self::large::LargeReads;
pub(crate) use self::permission::Asks;
pub(crate) use self::record::Records;
use crate::access::Access;
use crate::admission::Admission;
use crate::config::{IngestConfig, Webhook};
use crate::envoy::{Envoy, Followings};
use crate::live::QueryPasts;
use crate::membership::Membership;
use crate::mirror::Mirror;
use crate::observe::Figures;
use crate::page::Callers;
use crate::problem::Refused;
use crate::queries::Queries;
use crate::receiver::Receiver;
use crate::traffic::TrafficWatch;

/// What handlers reach. Of a node that takes the desk over, or gives it up, there is another one from then on: a
/// request has the one that it began with.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) publisher: Arc<Publisher>,
    /// Topics as Durable Streams.
    pub(crate) streams: StreamsApi,
    pub(crate) admission: Arc<Admission>,
    pub(crate) access: Arc<Access>,
    /// Where long polls are collected.
    pub(crate) spread: Arc<Spread>,
    pub(crate) intake: Arc<SampleIntake>,
    /// Queries that are followed.
    pub(crate) live: Arc<LiveQueries>,
    /// What they were before.
    pub(crate) pasts: Arc<QueryPasts>,
    pub(crate) receiver: Receiver,
    /// How what sources send is taken.
    pub(crate) ingest: IngestConfig,
    pub(crate) alerting: Arc<Alerting>,
    /// Browsers that are told of alerts though no page is open.
    pub(crate) push: Arc<Push>,
    /// What has become of alerts.
    pub(crate) history: Arc<History>,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) reload: Arc<Reload>,
    /// What Prometheus' queries may take.
    pub(crate) queries: Arc<Queries>,
    /// The rules' log, to be read.
    pub(crate) records: Records,
    /// Places for reads whose work grows with the data.
    pub(crate) large_reads: LargeReads,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) rates: Arc<TopicRates>,
    pub(crate) figures: Arc<Figures>,
    /// What goes over which transport.
    pub(crate) traffic: Arc<TrafficWatch>,
    pub(crate) callers: Callers,
    pub(crate) webhooks: Vec<Webhook>,
    /// Topics whose followers may show themselves.
    pub(crate) presence: FilterSet,
    /// Who they are.
    pub(crate) present: Option<Arc<Presence>>,
    /// Whether the pages of the examples are there.
    pub(crate) shows_examples: bool,
    /// The nodes that it stands among, if it does.
    pub(crate) cluster: Option<Arc<Membership>>,
    /// What is done for clients of WebSockets, and for those of other nodes.
    pub(crate) errands: Arc<dyn Requests>,
    /// Has another node do what it alone does.
    pub(crate) envoy: Option<Arc<Envoy>>,
    /// What the one of them shows that has the samples and alerts.
    pub(crate) mirror: Option<Arc<Mirror>>,
    /// The queries that are followed here, whichever that is.
    pub(crate) followings: Option<Arc<Followings>>,
}

impl App {
    /// Ends the streams of whoever has shown what counts no more.
    fn end_revoked(&self, subject: Option<&str>) -> Reconsidering {
        self.access.end_revoked(&self.spread, subject)
    }
}

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (otlp, remote_write) = configured(&app.ingest);
    let routes = Router::new()
        .route("/v1/events", get(events::events).connect(events::events).post(publish::many))
        .route("/v1/topics", get(topics::list))
        .route(
            "/v1/topics/{*topic}",
            get(topics::history).post(publish::one).delete(publish::delete).patch(publish::touch),
        )
        .route("/v1/webhooks/{name}", post(webhooks::post))
        .route("/v1/samples", samples::post(Json))
        // What SDKs and collectors of OpenTelemetry send.
        .route("/v1/metrics", samples::post(otlp))
        .route("/v1/logs", post(samples::no_signal))
        .route("/v1/traces", post(samples::no_signal))
        .route("/v1/silences", get(silences::list))
        .route("/v1/silences/preview", post(silences::preview))
        .route("/v1/connections", get(connections::list))
        .route("/v1/record", get(record::record))
        .route("/v1/rules", get(rules::list))
        .route("/v1/status", get(status::status))
        .route("/v1/advice", get(advice::of_traffic).post(advice::of_flows))
        .route("/v1/whoami", get(whoami::whoami))
        .route("/v1/tickets", post(tickets::make))
        .route("/v1/session/token", post(session::renew))
        .route("/v1/session", get(session::ways).post(session::log_in).delete(session::log_out))
        .route("/v1/session/login", get(login::depart))
        .route("/v1/session/callback", get(login::arrive))
        .route("/v1/keys", get(keys::list).post(keys::make))
        .route("/v1/keys/{id}", delete(keys::revoke))
        .route("/v1/revocations", get(revocations::list).post(revocations::revoke))
        .route("/v1/revocations/{id}", delete(revocations::forget))
        .route("/v1/queries", get(queries::list).post(queries::record))
        .route(
            "/v1/queries/{name}",
            get(queries::get).put(queries::replace).delete(queries::forget),
        )
        // Alertmanager's API.
        .route("/api/v2/status", get(alertmanager::status))
        .route("/api/v2/receivers", get(alertmanager::receivers))
        .route("/api/v2/alerts", get(alertmanager::alerts).post(alertmanager::post_alerts))
        .route("/api/v2/alerts/groups", get(alertmanager::groups))
        .route("/api/v2/silences", get(alertmanager::silences).post(alertmanager::post_silence))
        .route(
            "/api/v2/silence/{id}",
            get(alertmanager::silence).delete(alertmanager::delete_silence),
        )
        // Telegraf and other clients of InfluxDB, under their own paths.
        .route("/api/v2/write", samples::post(Influx))
        .route("/write", samples::post(Influx))
        .route("/ping", get(influxdb::ping))
        .route("/health", get(influxdb::health))
        .route("/ready", get(influxdb::ready))
        .route("/query", get(influxdb::query).post(influxdb::query))
        // What Prometheus sends.
        .route("/api/v1/write", samples::post(remote_write))
        .route("/-/reload", post(prometheus::reload))
        .route("/metrics", get(system::metrics))
        .route("/healthz", get(system::healthz))
        .route("/readyz", get(system::readyz))
        .route("/openapi.json", get(web::openapi))
        .merge(nodes_api())
        .merge(durable_streams::routes())
        .merge(push_messages())
        .merge(alerts_api())
        .merge(prometheus_api())
        .merge(page())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&app), permission::guard))
        .fallback(nothing_there);
    guarded(routes, app)
}

/// The nodes of a cluster, and what they ask of each other.
fn nodes_api() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/nodes", get(nodes::list))
        .route("/v1/nodes/{node}", delete(nodes::forget))
        .route("/v1/nodes/snapshot", get(snapshot::snapshot))
        .route("/v1/nodes/standby", post(standby::standby))
        .route("/v1/nodes/shown", get(shown::shown))
        .route("/v1/nodes/errands", post(errands::errand))
        .route("/v1/nodes/present", get(present::present))
}

/// The protocols that are configured.
fn configured(ingest: &IngestConfig) -> (Otlp, RemoteWrite) {
    (Otlp::new(ingest.otlp.clone()), RemoteWrite::new(ingest.replicas.clone()))
}

/// With what goes before every handler and behind it, the innermost first.
fn guarded(routes: Router<Arc<App>>, app: Arc<App>) -> Router {
    routes
        .layer(axum::middleware::from_fn(check_query))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), nodes::guard))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), visitors::guard))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), cors::guard))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), hosts::guard))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), signed::guard))
        .layer(axum::middleware::map_response(keep_and_show_nowhere))
        .with_state(app)
}

/// Browsers that are told of alerts though no page is open.
fn push_messages() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/push", get(push::terms))
        .route("/v1/push/subscriptions", get(push::list).post(push::subscribe))
        .route("/v1/push/subscriptions/{id}", delete(push::unsubscribe))
        .route("/v1/push/subscriptions/{id}/test", post(push::test))
}

/// Alerts, and what people do with them.
fn alerts_api() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/alerts", get(board::list))
        .route("/v1/alerts/actions", post(attending::many))
        .route("/v1/alerts/{fingerprint}", get(alert_history::history))
        .route(
            "/v1/alerts/{fingerprint}/ack",
            post(attending::acknowledge).delete(attending::unacknowledge),
        )
        .route(
            "/v1/alerts/{fingerprint}/assignment",
            put(attending::assign).delete(attending::unassign),
        )
        .route("/v1/alerts/{fingerprint}/comments", post(attending::comment))
}

/// Prometheus' own API over what rules remember.
fn prometheus_api() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/query", get(prometheus::instant).post(prometheus::instant))
        .route("/api/v1/query_range", get(prometheus::range).post(prometheus::range))
        .route("/api/v1/series", get(prometheus::series).post(prometheus::series))
        .route("/api/v1/labels", get(prometheus::labels).post(prometheus::labels))
        .route("/api/v1/label/{name}/values", get(prometheus::values))
        .route("/api/v1/metadata", get(prometheus::metadata))
        .route("/api/v1/parse_query", get(prometheus::parse_query).post(prometheus::parse_query))
        .route("/api/v1/rules", get(prometheus::rules))
        .route("/api/v1/alerts", get(prometheus::alerts))
        .route("/api/v1/targets", get(prometheus::targets))
        .route("/api/v1/status/buildinfo", get(prometheus::build_information))
}

/// The page, and what it loads.
fn page() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(web::index))
        .route("/assets/{file}", get(web::asset))
        .route("/client.js", get(web::named))
        .route("/examples", get(web::examples))
        .route("/examples/{file}", get(web::example))
        .route("/icon.svg", get(web::named))
        .route("/push-worker.js", get(web::named))
}

/// What somebody is told may be for nobody else: nothing on the way keeps it, and no page shows it as
/// anything but what it is, in a frame or as a script; unless it says itself how that may be.
async fn keep_and_show_nowhere(mut response: Response) -> Response {
    let guards = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in guards {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Answers for a path that is none.
async fn nothing_there(uri: Uri) -> Refused {
    let detail = if uri.path().ends_with('/') {
        "no path ends in `/` here: leave it out, and see /openapi.json for what there is"
    } else {
        "see /openapi.json for what there is"
    };
    Refused(Problem::new(Code::NotFound, detail))
}

/// Refuses a query that would be taken for another one, whoever is asked.
async fn check_query(request: Request, next: Next) -> Response {
    match bellwire_shards::check_query(request.uri().query().unwrap_or_default()) {
        Ok(()) => next.run(request).await,
        Err(problem) => Refused(problem).into_response(),
    }
}
