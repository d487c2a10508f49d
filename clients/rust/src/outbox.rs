//! What is sent, in order and one at a time: it waits for the network, within bounds, and what could
//! not be sent is handed back.

mod letter;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::task::{JoinSet, unconstrained};
use tokio::time::{sleep, timeout};

pub(crate) use self::letter::{Letter, Repeat, Terms, Tries};
use crate::backoff::Backoff;
use crate::error::{ConnectionError, Error, ProtocolError, UnsentError, UnsentReason};
use crate::http::{Answer, Failed, Remedy, read, refusal, remedy};
use crate::surroundings::Surroundings;

/// How many requests may wait.
const LETTERS_MAX: usize = 1_000;
/// How many bytes of bodies may wait.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long one try may take: a connection may be dead without a word.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// Of what is published, and of samples: one of them is in each answer that has a body.
const ANSWERS: [&str; 5] = ["cursor", "version", "end", "reopened", "accepted"];

/// Sends for all who share a client.
#[derive(Debug)]
pub(crate) struct Outbox {
    around: Surroundings,
    /// Whose turn it is; they come in the order in which they asked.
    turn: Arc<tokio::sync::Mutex<Backoff>>,
    load: Arc<Mutex<Load>>,
}

/// What waits.
#[derive(Debug, Default)]
struct Load {
    letters: usize,
    bytes: usize,
}

/// A share of the load, for as long as it is there.
#[derive(Debug)]
struct Share {
    bytes: usize,
    load: Arc<Mutex<Load>>,
}

/// How far it has come.
#[derive(Debug, Default)]
struct Course {
    may_be_taken: bool,
    has_refreshed: bool,
    last: Option<Error>,
}

impl Outbox {
    pub(crate) fn new(around: Surroundings) -> Self {
        let turn = Arc::new(tokio::sync::Mutex::new(around.backoff));
        Self { around, turn, load: Arc::default() }
    }

    /// Returns what the server answers, its refusal, or what was to be sent as [`UnsentError`].
    pub(crate) async fn send<T: DeserializeOwned + Send + 'static>(
        self: &Arc<Self>,
        letter: Letter,
        terms: Terms,
    ) -> Result<T, Error> {
        let Some(_share) = self.share(letter.body.len()) else {
            return Err(unsent(letter, UnsentReason::QueueFull, Course::default()));
        };
        // Asked for here, where the order of the callers is known.
        let mut turn = Box::pin(Arc::clone(&self.turn).lock_owned());
        let had = poll_fn(|context| Poll::Ready(turn.as_mut().poll(context)));
        let had = unconstrained(had).await;
        let (outbox, copy) = (Arc::clone(self), letter.clone());
        // In a task of its own: a caller that goes on with something else before this is done would
        // keep the turn, and all that wait for it. It ends with the set.
        let mut sending = JoinSet::new();
        sending.spawn(async move {
            let mut course = Course::default();
            let tries = async {
                let turn = match had {
                    Poll::Ready(turn) => turn,
                    Poll::Pending => turn.await,
                };
                outbox.tries(turn, (&copy, terms.tries), &mut course).await
            };
            let settled = timeout(terms.timeout, tries).await;
            (settled.ok().flatten(), course)
        });
        match sending.join_next().await.expect("it is there") {
            Ok((Some(settled), _)) => settled,
            Ok((None, course)) => Err(unsent(letter, UnsentReason::Unanswered, course)),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime is gone, and nobody knows how far it came.
            Err(_) => {
                let course = Course { may_be_taken: true, ..Course::default() };
                Err(unsent(letter, UnsentReason::Unanswered, course))
            }
        }
    }

    fn share(&self, bytes: usize) -> Option<Share> {
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is larger than all room goes alone: the server says what is wrong with it.
        let is_full = load.letters > 0 && load.bytes + bytes > BYTES_MAX;
        if load.letters >= LETTERS_MAX || is_full {
            return None;
        }
        load.letters += 1;
        load.bytes += bytes;
        Some(Share { bytes, load: Arc::clone(&self.load) })
    }

    /// `None`: it is not to be tried again.
    async fn tries<T: DeserializeOwned>(
        &self,
        mut backoff: OwnedMutexGuard<Backoff>,
        (letter, tries): (&Letter, Tries),
        course: &mut Course,
    ) -> Option<Result<T, Error>> {
        loop {
            let error = match self.attempt(letter, course).await {
                Ok(answer) => {
                    backoff.reset();
                    return Some(Ok(answer));
                }
                Err(error) => error,
            };
            if remedy(&error) != Remedy::Later {
                return refused(error, course);
            }
            let asked = match &error {
                Error::Problem(problem) => problem.retry_after,
                _ => None,
            };
            let is_refused = matches!(error, Error::Problem(_)) && tries == Tries::One;
            if is_refused {
                return refused(error, course);
            }
            course.last = Some(error);
            let would_do_it_twice = course.may_be_taken && letter.repeat == Repeat::Never;
            if would_do_it_twice || tries == Tries::One {
                return None;
            }
            sleep(backoff.next(asked)).await;
        }
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        letter: &Letter,
        course: &mut Course,
    ) -> Result<T, Error> {
        let token = &self.around.token;
        let mut shown = token.get().await?;
        loop {
            let error = match self.ask(letter, shown.as_deref(), course).await {
                Ok(body) => return Ok(understood(body).map_err(ProtocolError::NoAnswer)?),
                Err(error) if course.may_be_taken && letter.was_done_before(&error) => {
                    return Ok(understood(None).map_err(ProtocolError::NoAnswer)?);
                }
                Err(error) => error,
            };
            let is_worth_a_newer = remedy(&error) == Remedy::Token && token.can_refresh();
            if !is_worth_a_newer || course.has_refreshed {
                return Err(error);
            }
            course.has_refreshed = true;
            let newer = token.refresh(&shown).await?;
            if newer == shown {
                return Err(error);
            }
            shown = newer;
        }
    }

    async fn ask(
        &self,
        letter: &Letter,
        shown: Option<&str>,
        course: &mut Course,
    ) -> Result<Option<Bytes>, Error> {
        let had_been = course.may_be_taken;
        // It is until somebody says otherwise, also where this is given up midway.
        course.may_be_taken = true;
        let asking = async {
            let request = letter.request().map_err(Failed::before)?;
            let answer: Answer = self.around.http.ask(request, shown).await?;
            if answer.status() == StatusCode::NO_CONTENT {
                return Ok(None);
            }
            if answer.status().is_success() {
                return read(answer).await.map(Some).map_err(Failed::midway);
            }
            let problem = refusal(answer).await;
            Err(Failed { may_be_taken: problem.may_be_taken, error: problem.into() })
        };
        let asked = timeout(TRY_TIMEOUT, asking).await.unwrap_or_else(|_| {
            Err(Failed::midway(ConnectionError::Silent { silence: TRY_TIMEOUT }))
        });
        asked.map_err(|failed: Failed| {
            course.may_be_taken = had_been || failed.may_be_taken;
            failed.error
        })
    }
}

/// What it is refused for now an earlier try may have done all the same: the refusal says so, and what
/// has no word for it is handed back.
fn refused<T>(error: Error, course: &mut Course) -> Option<Result<T, Error>> {
    match error {
        Error::Problem(mut problem) => {
            problem.may_be_taken = course.may_be_taken;
            Some(Err(problem.into()))
        }
        error if course.may_be_taken => {
            course.last = Some(error);
            None
        }
        error => Some(Err(error)),
    }
}

/// What an answer says; `None` is one without a body, as of a key that is deleted.
fn understood<T: DeserializeOwned>(body: Option<Bytes>) -> serde_json::Result<T> {
    let Some(body) = body else { return T::deserialize(Value::Null) };
    let answer: Value = serde_json::from_slice(&body)?;
    // A login page of a network between, or somebody else's server: nothing was done.
    if !ANSWERS.iter().any(|name| answer.get(name).is_some()) {
        return Err(serde_json::Error::custom("nothing in it is Bellwire's"));
    }
    T::deserialize(answer)
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        load.letters -= 1;
        load.bytes -= self.bytes;
    }
}

fn unsent(letter: Letter, reason: UnsentReason, course: Course) -> Error {
    Box::new(UnsentError {
        request: format!("{} {}", letter.method, letter.path),
        reason,
        idempotency_key: letter.idempotency_key,
        may_be_taken: course.may_be_taken,
        body: letter.body,
        last: course.last.map(Box::new),
    })
    .into()
}
