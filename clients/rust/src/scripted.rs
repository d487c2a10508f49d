//! A network that plays what a test has written, in virtual time.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use crate::address::Address;
use crate::backoff::Backoff;
use crate::error::{ConnectionError, Error};
use crate::http::{Exchange, Exchanging, Failed, Http};
use crate::surroundings::Surroundings;
use crate::token::{Source, Token};

/// What one request meets.
#[derive(Clone, Debug)]
pub(crate) enum Play {
    /// Nobody is there.
    Nobody,
    /// The request is taken, and the connection breaks before an answer.
    Broken,
    /// There is never an answer.
    Mute,
    /// An answer with a status, headers and a body.
    Answer(u16, &'static [(&'static str, &'static str)], Vec<Step>),
}

/// What a body does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Bytes(String),
    Wait(Duration),
    /// Nothing more comes, and it does not end.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Since the script began.
    pub(crate) at: Duration,
    /// Method and path.
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// The network.
pub(crate) struct Scripted {
    began: Instant,
    plays: Mutex<VecDeque<Play>>,
    asked: Mutex<Vec<Asked>>,
}

impl Play {
    /// A stream that says this and then breaks off.
    pub(crate) fn stream(steps: impl IntoIterator<Item = Step>) -> Self {
        let kind: &'static [(&str, &str)] = &[("content-type", "text/event-stream")];
        Self::Answer(200, kind, steps.into_iter().collect())
    }
}

impl Step {
    /// A frame of Server-Sent Events.
    pub(crate) fn frame(json: &str) -> Self {
        Self::Bytes(format!("data: {json}\n\n"))
    }

    pub(crate) fn ready(cursor: &str, heartbeat_ms: u64) -> Self {
        Self::frame(&format!(
            "{{\"control\":\"ready\",\"cursor\":\"{cursor}\",\"heartbeat_interval_ms\":{heartbeat_ms}}}"
        ))
    }

    pub(crate) fn event(cursor: &str) -> Self {
        Self::frame(&format!("{{\"topic\":\"a\",\"cursor\":\"{cursor}\",\"data\":1}}"))
    }

    pub(crate) fn secs(secs: f64) -> Self {
        Self::Wait(Duration::from_secs_f64(secs))
    }
}

impl Scripted {
    /// Plays one after the other; behind the last of them nobody is there.
    pub(crate) fn new(plays: impl IntoIterator<Item = Play>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            plays: Mutex::new(plays.into_iter().collect()),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// When each request came, in milliseconds.
    pub(crate) fn times(&self) -> Vec<u128> {
        self.asked().iter().map(|asked| asked.at.as_millis()).collect()
    }

    /// A client's surroundings with this network, and with waits that are as long as may be.
    pub(crate) fn surroundings(self: &Arc<Self>, source: Source) -> Surroundings {
        let address = Address::parse("http://bell.example").expect("an address");
        let exchange: Arc<dyn Exchange> = Arc::<Self>::clone(self);
        Surroundings {
            http: Http::new(address, exchange),
            token: Arc::new(Token::new(source)),
            renewal: Arc::default(),
            backoff: Backoff::longest(),
        }
    }
}

/// Says nothing of what it was shown: that is for tests to look at.
impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

/// A function that gives `t0`, `t1`, …
pub(crate) fn numbered_tokens() -> Source {
    let number = std::sync::atomic::AtomicUsize::new(0);
    Source::of_function(move || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move { Ok(Some(format!("t{number}"))) }
    })
}

impl Exchange for Scripted {
    fn exchange<'a>(&'a self, request: Request<Bytes>, server: &'a str) -> Exchanging<'a> {
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            Some(value.to_str().expect("text").to_owned())
        };
        let path = request.uri().path_and_query().expect("a path");
        self.asked.lock().expect("not poisoned").push(Asked {
            at: self.began.elapsed(),
            line: format!("{} {path}", request.method()),
            token: header("authorization"),
            idempotency_key: header("idempotency-key"),
        });
        let play = self.plays.lock().expect("not poisoned").pop_front().unwrap_or(Play::Nobody);
        let server = server.to_owned();
        Box::pin(async move {
            let source = "it is so written".into();
            let (status, headers, steps) = match play {
                Play::Nobody => {
                    return Err(Failed::before(ConnectionError::Failed { server, source }));
                }
                Play::Broken => {
                    return Err(Failed::midway(ConnectionError::Unanswered { server, source }));
                }
                Play::Mute => std::future::pending().await,
                Play::Answer(status, headers, steps) => (status, headers, steps),
            };
            let mut answer = Response::builder().status(StatusCode::from_u16(status).expect("one"));
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            let body = Played { steps: steps.into(), waiting: None };
            Ok(answer.body(body.boxed_unsync()).expect("an answer"))
        })
    }
}

/// A body that is played.
struct Played {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body for Played {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Bytes(text)) => return Poll::Ready(Some(Ok(Frame::data(text.into())))),
                Some(Step::Wait(time)) => self.waiting = Some(Box::pin(sleep(time))),
                Some(Step::Hang) => {
                    self.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
            }
        }
    }
}
