//! One request to a push service, and what its answer means (RFC 8030).

use std::time::Duration;

use bellwire_alerts::dispatch::Arrival;
use bellwire_model::limits::{
    PUSH_ANSWER_BYTES_MAX, PUSH_KEPT, PUSH_REQUESTS_OF_SERVICE_MAX, PUSH_TIMEOUT,
};
use bellwire_model::{Timestamp, with_causes};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, RETRY_AFTER, USER_AGENT,
};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Response;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::payload::Payload;
use super::subscription::Subscription;
use super::vapid::VapidKey;
use crate::notifier::{OutOfReach, Reach, Resolver, Trust, out_of_reach};

const OUR_NAME: &str = concat!("Bellwire/", env!("CARGO_PKG_VERSION"));

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");
const TOPIC: HeaderName = HeaderName::from_static("topic");

/// Idle connections are closed before most services do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Speaks to all push services.
#[derive(Debug)]
pub(super) struct Services {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    reach: Reach,
    /// Whom their operators may write to.
    contact: Box<str>,
}

/// What has become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The push service has it.
    Taken,
    /// There is no such browser any more.
    Gone,
    /// The same message would be refused again.
    Refused(Reason),
    /// It is worth another try, after this time where the service says one.
    Later { reason: Reason, wait: Option<Duration>, arrival: Arrival },
    /// It was not sent: whom it is for sees something else by now.
    Stale,
}

/// Why a message is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    /// What whoever has subscribed is told: nothing of where a name leads from here.
    pub(super) word: Box<str>,
    /// What whoever runs the server is told.
    pub(super) detail: String,
}

impl Reason {
    pub(super) fn new(word: impl Into<Box<str>>, detail: impl Into<String>) -> Self {
        Self { word: word.into(), detail: detail.into() }
    }

    fn out_of_reach(refusal: &OutOfReach) -> Self {
        Self::new("out_of_reach", refusal.to_string())
    }
}

impl Services {
    /// Trusts whom the system trusts. Nothing is connected before something is sent.
    pub(super) fn new(reach: Reach, contact: &str) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver(reach.clone()));
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(PUSH_TIMEOUT));
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(Trust::of_system().into_config())
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(PUSH_REQUESTS_OF_SERVICE_MAX)
            .build(connector);
        Self { client, reach, contact: contact.into() }
    }

    /// Tells a browser something.
    pub(super) async fn send(
        &self,
        subscription: &Subscription,
        message: &Payload,
        (key, now): (&VapidKey, Timestamp),
    ) -> Answer {
        // Wherever a name leads is looked at when it has addresses. No redirect is followed.
        if let Err(error) = self.reach.check_url(&subscription.endpoint) {
            return Answer::Refused(Reason::out_of_reach(&error));
        }
        let Some(request) = self.request(subscription, message, (key, now)) else {
            let detail = "no request can be made of the message";
            return Answer::Refused(Reason::new("no_request", detail));
        };
        let sending = async {
            match self.client.request(request).await {
                Ok(answer) => judge(answer).await,
                Err(error) => match out_of_reach(&error) {
                    Some(refusal) => Answer::Refused(Reason::out_of_reach(&refusal)),
                    None => Answer::Later {
                        // Neither it nor its causes have the address, which is a secret.
                        reason: Reason::new("no_connection", with_causes(&error)),
                        wait: None,
                        arrival: if error.is_connect() {
                            Arrival::Impossible
                        } else {
                            Arrival::Possible
                        },
                    },
                },
            }
        };
        timeout(PUSH_TIMEOUT, sending).await.unwrap_or_else(|_| Answer::Later {
            reason: Reason::new(
                "no_answer",
                format!("no answer came within {} s", PUSH_TIMEOUT.as_secs()),
            ),
            wait: None,
            arrival: Arrival::Possible,
        })
    }

    fn request(
        &self,
        subscription: &Subscription,
        message: &Payload,
        (key, now): (&VapidKey, Timestamp),
    ) -> Option<Request<Full<Bytes>>> {
        let body = subscription.keys.encrypt(&message.text).ok()?;
        let origin = subscription.endpoint.origin().ascii_serialization();
        let authorization = key.authorization((&origin, &self.contact), now)?;
        Request::post(subscription.endpoint.as_str())
            .header(TTL, PUSH_KEPT.as_secs())
            .header(URGENCY, message.urgency.as_str())
            .header(TOPIC, message.topic)
            .header(CONTENT_ENCODING, "aes128gcm")
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(USER_AGENT, OUR_NAME)
            .header(AUTHORIZATION, authorization)
            .body(Full::from(body))
            .ok()
    }
}

/// What an answer means.
async fn judge(answer: Response<Incoming>) -> Answer {
    let (head, body) = answer.into_parts();
    let wait = head.headers.get(RETRY_AFTER).and_then(seconds);
    let _ = Limited::new(body, PUSH_ANSWER_BYTES_MAX).collect().await;
    let status = head.status;
    let reason = Reason::new(
        format!("status_{}", status.as_u16()),
        format!("the push service answers {status}"),
    );
    match status {
        _ if status.is_success() => Answer::Taken,
        StatusCode::NOT_FOUND | StatusCode::GONE => Answer::Gone,
        // Who does not believe the token may believe the next one: the clock of either was off.
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::REQUEST_TIMEOUT => {
            Answer::Later { reason, wait, arrival: Arrival::Impossible }
        }
        _ if status.is_server_error() => {
            // Somebody in between has waited in vain for the service itself.
            let is_unknown = status == StatusCode::GATEWAY_TIMEOUT;
            let arrival = if is_unknown { Arrival::Possible } else { Arrival::Impossible };
            Answer::Later { reason, wait, arrival }
        }
        _ => Answer::Refused(reason),
    }
}

/// `Retry-After` in seconds; a date, which hardly anybody sends, counts as none.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
