//! The life of a subscription: connect, read, lose the connection, connect again.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bellwire_model::Filter;
use bellwire_model::limits::HEARTBEAT_INTERVAL;
use bellwire_wire::sse::Parser;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Request, Response, StatusCode};
use tokio::time::{sleep, timeout};
use url::form_urlencoded::Serializer;

use super::backoff::Backoff;
use super::print::Printer;
use super::stream::Said;
use crate::client::{self, Problem, Server};
use crate::output;

/// Heartbeat intervals of silence after which a connection counts as dead.
const SILENT_INTERVALS_MAX: f64 = 2.5;
/// No stream is given up sooner: a busy machine may be late.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// Why a subscription is over although nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It answered 204: there is nothing to come back for.
    ByServer,
    /// All topics have ended.
    OfTopics,
}

/// A subscription across all its connections.
#[derive(Debug)]
pub(super) struct Follow {
    server: Server,
    /// The request's path, with where to begin as long as nothing was seen.
    path: String,
    /// What is followed and has not ended: as it was named.
    open: Vec<String>,
    /// The last event id: what the next connection resumes after.
    cursor: String,
    backoff: Backoff,
    heartbeat_interval: Duration,
    met: Met,
}

/// Whether there was a server of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// What cannot be spoken with is none, and will not become one.
    NotYet,
    /// What cannot be spoken with now, as a certificate that has just expired, is looked after.
    Before,
}

/// What ends one connection.
enum Lost {
    /// The server told so; the reason for people.
    Bye(String),
    /// The network, or a server that cannot answer just now.
    Failure(anyhow::Error),
}

impl Follow {
    pub(super) fn new(server: Server, topics: &[Filter], after: &str) -> Self {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(topics.iter().map(|topic| ("topic", topic.as_str())));
        query.append_pair("after", after);
        Self {
            server,
            path: format!("/v1/events?{}", query.finish()),
            open: topics.iter().map(|topic| topic.as_str().to_owned()).collect(),
            cursor: String::new(),
            backoff: Backoff::default(),
            heartbeat_interval: HEARTBEAT_INTERVAL,
            met: Met::NotYet,
        }
    }

    /// Follows until the server ends the stream for good, or for an error that would come again.
    pub(super) async fn run(mut self, printer: Printer) -> Result<End> {
        loop {
            let lost = match self.connect().await? {
                Some(Ok(response)) => self.read(response.into_body(), printer).await?,
                Some(Err(error)) => Lost::Failure(error),
                None => return Ok(End::ByServer),
            };
            if self.open.is_empty() && !matches!(lost, Lost::Bye(_)) {
                return Ok(End::OfTopics);
            }
            let wait = self.backoff.next(random_share());
            let reason = match lost {
                Lost::Bye(reason) => format!("the server said bye ({reason})"),
                Lost::Failure(error) => format!("{error:#}"),
            };
            let seconds = wait.as_secs_f64();
            output::notice(&format!("reconnecting in {seconds:.1} s: {reason}"));
            sleep(wait).await;
        }
    }

    /// `None`: the stream is over for good. The outer error is one that would come again.
    async fn connect(&mut self) -> Result<Option<Result<Response<Incoming>>>> {
        let mut request = Request::get(&self.path).header(ACCEPT, "text/event-stream");
        if !self.cursor.is_empty() {
            request = request.header("Last-Event-ID", &self.cursor);
        }
        let answer = async {
            let mut connection = self.server.connect().await?;
            connection.send(request, Bytes::new()).await
        };
        let response = match answer.await {
            Ok(response) => response,
            Err(error) if self.met == Met::NotYet && client::is_lasting(&error) => {
                return Err(error);
            }
            Err(error) => return Ok(Some(Err(error))),
        };
        match response.status() {
            StatusCode::OK => {
                check_type(&response)?;
                self.met = Met::Before;
                Ok(Some(Ok(response)))
            }
            StatusCode::NO_CONTENT => Ok(None),
            status => {
                if let Some(wait) = client::retry_after(response.headers()) {
                    self.backoff.on_asked(wait);
                }
                let body = client::read(response.into_body()).await.unwrap_or_default();
                let problem = Problem::read(status, &body);
                if problem.is_temporary() {
                    return Ok(Some(Err(problem.into())));
                }
                Err(problem).with_context(|| format!("{} refuses", self.server.name()))
            }
        }
    }

    /// Reads one connection to its end. An error is one of the output, or of the stream's form.
    async fn read(&mut self, mut body: Incoming, printer: Printer) -> Result<Lost> {
        let mut parser = Parser::default();
        let mut items = Vec::new();
        let mut bye = None;
        loop {
            let silence_max =
                self.heartbeat_interval.mul_f64(SILENT_INTERVALS_MAX).max(SILENCE_MIN);
            let bytes = match timeout(silence_max, body.frame()).await {
                Err(_) => {
                    let silence = silence_max.as_secs_f64();
                    return Ok(Lost::Failure(anyhow!("nothing came for {silence:.1} s")));
                }
                Ok(None) => {
                    let ended = || Lost::Failure(anyhow!("the connection ended"));
                    return Ok(bye.map_or_else(ended, Lost::Bye));
                }
                Ok(Some(Err(error))) => {
                    let failed = || Lost::Failure(anyhow!(error).context("the connection broke"));
                    return Ok(bye.map_or_else(failed, Lost::Bye));
                }
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            parser.push(&bytes, &mut items).context("the stream cannot be read")?;
            let mut lines = Vec::new();
            for item in items.drain(..) {
                bye = self.take(Said::read(item), printer, &mut lines).or(bye);
            }
            // First printed, then counted as seen.
            if !lines.is_empty() {
                output::lines(&lines)?;
            }
            if !parser.last_event_id().is_empty() {
                parser.last_event_id().clone_into(&mut self.cursor);
            }
        }
    }

    /// Returns the reason if the server says bye.
    fn take(&mut self, said: Said, printer: Printer, lines: &mut Vec<u8>) -> Option<String> {
        match said {
            Said::Event(json) => {
                self.backoff.on_healthy();
                printer.event(&json, lines);
            }
            Said::Ready { heartbeat_interval } => {
                self.backoff.on_healthy();
                self.heartbeat_interval = heartbeat_interval;
                output::notice("ready");
            }
            Said::Gap(text) => output::notice(&format!("gap: {text}")),
            Said::End(topic) => {
                output::notice(&format!("`{}` has ended", output::harmless(&topic)));
                self.open.retain(|open| *open != topic);
            }
            Said::Reopened(topic) => {
                output::notice(&format!("`{}` goes on", output::harmless(&topic)));
                if !self.open.contains(&topic) {
                    self.open.push(topic);
                }
            }
            Said::Retry(delay) => self.backoff.on_retry(delay),
            Said::Bye { reason, retry } => {
                if let Some(retry) = retry {
                    self.backoff.on_asked(retry);
                }
                return Some(output::harmless(&reason));
            }
            Said::Nothing => {}
        }
        None
    }
}

/// Something else that answers 200 is no server of ours, and will not become one.
fn check_type(response: &Response<Incoming>) -> Result<()> {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("nothing");
    if !content_type.starts_with("text/event-stream") {
        bail!("the server answers with `{content_type}`, not with a stream of events");
    }
    Ok(())
}

/// A random number from 0 to 1. Without entropy it is 1, the longest wait.
fn random_share() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
