//! A stream that goes on: opened again at its cursor whenever it is cut, until it is over for good.
//!
//! ```text
//!            ┌──────────── again (newer token) ─────────────┐
//!            ▼                                              │
//! connecting ──▶ reading ──▶ cut ──▶ what next? ──▶ waiting ┘
//!                                        └────────▶ over
//! ```

mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::{sleep, timeout_at};

use self::stream::{Opened, Stream};
use crate::backoff::Backoff;
use crate::error::{ConnectionError, Error};
use crate::http::{self, Remedy, remedy};
use crate::item::{Control, ControlKind, Item, Status};
use crate::link::Link;
use crate::problem::{Problem, believed};
use crate::queue::{Gone, Sink};
use crate::surroundings::Surroundings;
use crate::token::Shown;

/// What is followed.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    /// The stream's path, with all parameters but the cursor.
    pub(crate) path: String,
    /// Where to begin: a cursor, `earliest` or `latest`.
    pub(crate) after: Option<String>,
    /// The topics, where all of them are named: then it is over when these have ended.
    pub(crate) topics: Option<Vec<String>>,
}

/// Follows across all connections.
#[derive(Debug)]
pub(crate) struct Session {
    around: Surroundings,
    followed: Followed,
    sink: Sink,
    /// Behind which everything is still to come.
    cursor: Option<String>,
    backoff: Backoff,
    /// A token that counts no more.
    stale: Option<Shown>,
    has_refreshed: bool,
    was_ready: bool,
    /// Of the topics that are named.
    ended: Vec<String>,
}

/// What ends one connection.
#[derive(Debug)]
enum Cut {
    /// There is nothing to come back for.
    Ended,
    /// The server ends it.
    Bye { reason: String, status: Option<u16>, detail: Option<String>, retry: Option<Duration> },
    /// Anything else.
    Failed(Error),
}

/// What to do next.
#[derive(Debug)]
enum Next {
    /// Nothing any more, for the reason that is given.
    Over(Option<Error>),
    /// To come back at once, with a newer token.
    Again,
    /// To come back, but not before a time that the server has asked for.
    Later { error: Error, asked: Option<Duration> },
}

impl Session {
    pub(crate) fn new(around: Surroundings, followed: Followed, sink: Sink) -> Self {
        let backoff = around.backoff;
        Self {
            around,
            followed,
            sink,
            cursor: None,
            backoff,
            stale: None,
            has_refreshed: false,
            was_ready: false,
            ended: Vec::new(),
        }
    }

    /// Goes on until it is over for good, or nobody takes anything any more.
    pub(crate) async fn run(mut self) {
        if let Ok(Some(error)) = self.follow().await {
            // Who is gone needs to know nothing.
            let _ = self.sink.fail(error).await;
        }
    }

    async fn follow(&mut self) -> Result<Option<Error>, Gone> {
        loop {
            self.say(Status::Connecting).await?;
            let mut link = Link::new();
            let cut = self.connection(&mut link).await?;
            // It was a good one where it was live for a while.
            if link.was_healthy() {
                self.backoff.reset();
            }
            match self.next(cut, &link) {
                Next::Over(error) => return Ok(error),
                Next::Again => {}
                Next::Later { error, asked } => {
                    drop(link);
                    let retry_in = self.backoff.next(asked);
                    self.say(Status::Waiting { error, retry_in }).await?;
                    sleep(retry_in).await;
                }
            }
        }
    }

    async fn say(&self, status: Status) -> Result<(), Gone> {
        self.sink.give(Item::Status(status)).await
    }

    async fn connection(&mut self, link: &mut Link) -> Result<Cut, Gone> {
        let due = link.due();
        let opened = match timeout_at(due, self.open(link)).await {
            Ok(opened) => opened,
            Err(_) => Err(link.silent().into()),
        };
        match opened {
            Ok(Opened::Stream(stream)) => self.read(stream, link).await,
            Ok(Opened::Over) => Ok(Cut::Ended),
            Err(error) => Ok(Cut::Failed(error)),
        }
    }

    async fn open(&mut self, link: &mut Link) -> Result<Opened, Error> {
        let token = &self.around.token;
        let shown = match self.stale.take() {
            Some(stale) => token.refresh(&stale).await?,
            None => token.get().await?,
        };
        link.set_token(shown.clone());
        stream::open(&self.around.http, &self.followed, self.cursor.as_deref(), shown).await
    }

    async fn read(&mut self, mut stream: Stream, link: &mut Link) -> Result<Cut, Gone> {
        loop {
            let piece = match timeout_at(link.due(), stream.piece()).await {
                Ok(Ok(piece)) => piece,
                Ok(Err(error)) => return Ok(Cut::Failed(error)),
                Err(_) => return Ok(Cut::Failed(link.silent().into())),
            };
            link.sign();
            // What came before a fault came whole.
            let (frames, fault) = stream.frames(&piece);
            for json in frames {
                let item = match Item::read(json) {
                    Ok(item) => item,
                    Err(error) => return Ok(Cut::Failed(error.into())),
                };
                if let Some(cut) = self.take(item, link).await? {
                    return Ok(cut);
                }
            }
            if let Some(error) = fault {
                return Ok(Cut::Failed(error));
            }
        }
    }

    /// Hands an item on; returns how the connection ends if it says so.
    async fn take(&mut self, item: Item, link: &mut Link) -> Result<Option<Cut>, Gone> {
        let told = match &item {
            Item::Control(control) => {
                self.on_control(control, link);
                Some(control.kind().clone())
            }
            _ => None,
        };
        if let Some(cursor) = item.cursor() {
            self.cursor = Some(cursor.to_owned());
        }
        self.sink.give(item).await?;
        link.sign();
        let Some(told) = told else { return Ok(None) };
        if link.is_ready() && self.have_all_ended() {
            return Ok(Some(Cut::Ended));
        }
        match told {
            ControlKind::Ready { .. } => {
                self.say(Status::Live).await?;
                Ok(None)
            }
            ControlKind::Bye { reason, status, detail, retry_ms } => {
                Ok(Some(Cut::Bye { reason, status, detail, retry: believed(retry_ms) }))
            }
            _ => Ok(None),
        }
    }

    fn on_control(&mut self, control: &Control, link: &mut Link) {
        match control.kind() {
            ControlKind::Ready { heartbeat_interval_ms } => {
                link.ready(heartbeat_interval_ms.map(Duration::from_millis));
                self.was_ready = true;
                self.has_refreshed = false;
            }
            ControlKind::End { topic } if self.is_named(topic) => self.ended.push(topic.clone()),
            ControlKind::Reopened { topic } => self.ended.retain(|ended| ended != topic),
            ControlKind::Renew { expires_in_ms, renews } => {
                let expires_in = Duration::from_millis(*expires_in_ms);
                link.renew(renews.clone(), expires_in, &self.around);
            }
            _ => {}
        }
    }

    fn is_named(&self, topic: &String) -> bool {
        let topics = self.followed.topics.as_ref();
        topics.is_some_and(|topics| topics.contains(topic)) && !self.ended.contains(topic)
    }

    fn have_all_ended(&self) -> bool {
        let topics = self.followed.topics.as_ref();
        topics.is_some_and(|topics| topics.iter().all(|topic| self.ended.contains(topic)))
    }

    fn next(&mut self, cut: Cut, link: &Link) -> Next {
        match cut {
            Cut::Ended => Next::Over(None),
            Cut::Failed(error) => self.after_failure(error, link),
            Cut::Bye { reason, status: Some(status), detail, retry } => {
                let told = (reason, detail);
                let problem = Problem::of_bye(http::status(status), told, retry);
                self.after_failure(Box::new(problem).into(), link)
            }
            Cut::Bye { reason, .. } if reason == "displaced" => Next::Over(Some(Error::Displaced)),
            Cut::Bye { reason, retry, .. } => {
                if reason.starts_with("credential") && self.around.token.can_refresh() {
                    self.stale = Some(link.token());
                }
                let error = ConnectionError::Bye { reason }.into();
                Next::Later { error, asked: retry }
            }
        }
    }

    fn after_failure(&mut self, error: Error, link: &Link) -> Next {
        let code = error.code();
        if code == "connection_lost" && self.have_all_ended() {
            return Next::Over(None);
        }
        // What was a Bellwire may be one again.
        if code == "not_bellwire" && !self.was_ready {
            return Next::Over(Some(error));
        }
        if self.was_ready && matches!(error, Error::Tls(_)) {
            return Next::Later { error, asked: None };
        }
        match remedy(&error) {
            Remedy::None => Next::Over(Some(error)),
            Remedy::Later => {
                let asked = match &error {
                    Error::Problem(problem) => problem.retry_after,
                    _ => None,
                };
                Next::Later { error, asked }
            }
            Remedy::Token if self.has_refreshed || !self.around.token.can_refresh() => {
                Next::Over(Some(error))
            }
            Remedy::Token => {
                self.has_refreshed = true;
                self.stale = Some(link.token());
                Next::Again
            }
        }
    }
}
