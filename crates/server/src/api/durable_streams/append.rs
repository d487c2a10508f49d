//! What is appended to a stream, and that it is closed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bellwire_journal::{Append, Appended, Error, Fenced, Found, Unmet};
use bellwire_model::{Closure, Cursor, Fence, Offset, Topic};
use bellwire_process::clock;
use bellwire_shards::{check_topic, fenced_refusal};
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};

use super::super::body::{header as text_of, read_batch, work_through};
use super::super::permission::Caller;
use super::super::posted;
use super::super::publish::TopicPath;
use super::answer::Told;
use super::asked::{content_type, invalid, is_closed, is_same_type};
use super::content::{appends, bodies};
use super::create::told;
use super::{App, found};
use crate::access::permit_publishing;
use crate::allowances::Sent;
use crate::durable_streams::Stream;
use crate::problem::Refused;

const SEQUENCE: HeaderName = HeaderName::from_static("stream-seq");

/// `POST /v1/ds/{topic}`: appends the body, closes the stream, or both at once.
pub(super) async fn append(
    State(app): State<Arc<App>>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    permit_publishing(caller.rights(), &topic)?;
    check_topic(&topic)?;
    app.admission.publication()?;
    let closes = is_closed(&headers)?;
    let sequence = text_of(&headers, SEQUENCE)?;
    if let Some(sequence) = sequence {
        bellwire_wire::publish::check_key(sequence)
            .map_err(|error| invalid(format!("`Stream-Seq`, as a key: {error}")))?;
    }
    let fence = posted::fence(&headers)?;
    let held = read_batch(&app.admission, &headers, body).await?;
    app.access.allowances.spend(&caller.0, Sent::Bytes(held.bytes.len()))?;
    app.access.allowances.name_topic(&caller.0, &topic)?;
    // Who says in which order they write has the stream alone meanwhile.
    let streams = &app.streams.streams;
    let (_alone, _shared) = match sequence {
        Some(_) => (Some(streams.alone(&topic).await?), None),
        None => (None, Some(streams.shared(&topic).await?)),
    };
    let stream = found(&app, &topic)?;
    let fence = fence.map(|fence| Box::new(own(*fence, (&caller, stream.begin))));
    streams.note_use(&topic);
    let posted = Posted { topic: &topic, stream: &stream, fence, closes };
    if held.bytes.is_empty() {
        app.access.allowances.spend(&caller.0, Sent::Events(1))?;
        return if closes { posted.close(&app).await } else { Err(empty().into()) };
    }
    let asked = content_type(&headers)?.ok_or_else(|| {
        Problem::new(Code::ContentTypeInvalid, "say of which `Content-Type` the body is")
    })?;
    let bytes = held.bytes.len();
    let read = || posted.read(asked, held.bytes);
    let bodies = work_through(&app.admission, bytes, read).await?;
    app.access.allowances.spend(&caller.0, Sent::Events(bodies.len()))?;
    match sequence {
        None => posted.append(&app, appends(&topic, bodies, (None, closes))).await,
        Some(sequence) => {
            let batch = appends(&topic, bodies, (Some(sequence.into()), closes));
            posted.append_in_order(&app, (sequence, batch)).await
        }
    }
}

/// A producer's fence, told apart from that of others, and from its own on a stream that was deleted.
fn own(mut fence: Fence, (caller, begin): (&Caller, Offset)) -> Fence {
    let name = format!("ds {begin} {}", fence.producer);
    fence.producer = caller.0.own_name(&name);
    fence
}

/// By which an append counts once of which it is said which of its stream's it is, though the answer was lost.
/// No client can say so: it has a line's end.
fn once(stream: &Stream, sequence: &str) -> Box<str> {
    format!("\n\nds {} {sequence}", stream.begin).into()
}

fn empty() -> Problem {
    let detail = "there is nothing to append: send a body, or `Stream-Closed: true` to close it";
    Problem::new(Code::BodyEmpty, detail)
}

/// What somebody has posted to a stream that is there.
struct Posted<'a> {
    topic: &'a Topic,
    stream: &'a Stream,
    fence: Option<Box<Fence>>,
    /// Whether the stream is closed with it.
    closes: bool,
}

impl Posted<'_> {
    /// The events of a body that is of the stream's type.
    fn read(&self, content_type: &str, bytes: Bytes) -> Result<Vec<bellwire_model::Body>, Problem> {
        if !is_same_type(content_type, &self.stream.content_type) {
            let own = &self.stream.content_type;
            let detail =
                format!("the stream `{}` is of `{own}`, not of `{content_type}`", self.topic);
            return Err(Problem::new(Code::StreamMismatch, detail));
        }
        let bodies = bodies(&self.stream.content_type, bytes)?;
        if bodies.is_empty() {
            let detail = "an empty array has nothing to append: send at least one message";
            return Err(Problem::new(Code::BodyEmpty, detail));
        }
        Ok(bodies)
    }

    /// Closes the stream; to do it twice is to do it once, but for a producer.
    async fn close(self, app: &App) -> Result<Response, Refused> {
        let end = Closure::End.event(self.topic.clone(), clock::now());
        self.append(app, vec![Append::new(end, None)]).await
    }

    /// The same where it is said which of the writer's appends it is.
    async fn append_in_order(
        self,
        app: &App,
        (sequence, mut batch): (&str, Vec<Append>),
    ) -> Result<Response, Refused> {
        let (topic, stream) = (self.topic, self.stream);
        let sequences = &app.streams.sequences;
        let known = sequences.of(&app.publisher.journal, topic, stream).await?;
        if known.is_beyond(sequence) {
            if let Some(fence) = self.fence.as_ref().filter(|fence| known.has(fence)) {
                return Ok(self.known(app, (fence.epoch, known.newest(fence))));
            }
            let detail = format!(
                "`Stream-Seq` is `{sequence}`, and `{}` has been appended: say what sorts behind it",
                known.last()
            );
            return Err(Problem::new(Code::SequenceStale, detail).into());
        }
        let fence = self.fence.clone();
        if fence.is_none() {
            batch[0].idempotency_key = Some(once(stream, sequence));
        }
        // Nobody knows what there is until it is answered, and whoever waits for that may have left.
        sequences.forget(topic);
        let response = self.append(app, batch).await;
        match &response {
            Ok(answer) if answer.status().is_success() => {
                sequences.note(topic, known.followed_by(sequence, fence));
            }
            Err(refused) if refused.0.is_maybe_taken() == Some(true) => {}
            Ok(_) | Err(_) => sequences.note(topic, known),
        }
        response
    }

    async fn append(mut self, app: &App, mut batch: Vec<Append>) -> Result<Response, Refused> {
        let fence = self.fence.take();
        let said = fence.as_ref().map(|fence| (fence.epoch, fence.sequence));
        batch[0].fence = fence;
        let is_end_alone = batch[0].event.closure().is_some();
        match app.publisher.append_whole(batch).await {
            Ok(appended) => Ok(self.appended(app, &appended, (said, is_end_alone))),
            Err(Error::Condition(Unmet { found: Found::Ended(_), .. })) => Ok(self.refused(app)),
            Err(Error::Condition(Unmet { found: Found::Fenced(fenced), .. })) => {
                Err(fenced_refusal(fenced).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// It is in the journal, or was.
    fn appended(
        &self,
        app: &App,
        appended: &[Appended],
        (said, is_end_alone): (Option<(u64, u64)>, bool),
    ) -> Response {
        let (first, last) = (appended[0], appended[appended.len() - 1]);
        match (first.fenced, said) {
            (Some(Fenced::Known { epoch, sequence }), _) => {
                return self.known(app, (epoch, sequence));
            }
            // Somebody else has closed it: this producer has not.
            (None, Some(_)) if is_end_alone && first.duplicate => return self.refused(app),
            _ => {}
        }
        let next = Cursor::new(app.publisher.journal.epoch(), last.offset);
        let told = Told { is_closed: self.closes, ..Told::of_stream(next) };
        match said {
            None => told.with(StatusCode::NO_CONTENT),
            Some(said) if is_end_alone => {
                told.with((StatusCode::NO_CONTENT, posted::of_producer(said)))
            }
            Some(said) => told.with((StatusCode::OK, posted::of_producer(said))),
        }
    }

    /// Its producer has sent it before: it is there once.
    fn known(&self, app: &App, newest: (u64, u64)) -> Response {
        let answer = (StatusCode::NO_CONTENT, posted::of_producer(newest));
        told(app, self.topic, self.stream).with(answer)
    }

    /// The stream is closed.
    fn refused(&self, app: &App) -> Response {
        let detail = format!("the stream `{}` is closed, and takes nothing more", self.topic);
        let refused = Refused(Problem::new(Code::TopicEnded, detail)).into_response();
        told(app, self.topic, self.stream).with(refused)
    }
}

#[cfg(test)]
mod tests {
    use bellwire_journal::{Journal, MemoryJournal, Observer};
    use bellwire_model::{Body, Entry, Epoch};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    #[test]
    fn an_append_of_which_it_is_said_which_it_is_counts_once() {
        let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
        let topic = "a".parse().expect("a topic");
        let append = |begin, sequence: &str| {
            let stream = Stream::of_json(Offset::new(begin));
            let bodies = ["1", "2"].map(|it| Body::text(it.into()).expect("text")).into();
            let mut batch = appends(&topic, bodies, (Some(sequence.into()), false));
            batch[0].idempotency_key = Some(once(&stream, sequence));
            let (sender, answered) = std::sync::mpsc::sync_channel(1);
            let reply = Box::new(move |answer| drop(sender.send(answer)));
            let batch = batch.into_iter().map(|it| Append { must_be_made: true, ..it }).collect();
            journal.append(batch, reply).expect("queued");
            let appended = answered.recv().expect("answered").expect("appended");
            appended.iter().map(|it| it.duplicate).collect::<Vec<bool>>()
        };
        assert_eq!(append(0, "05"), [false, false]);
        assert_eq!(append(0, "05"), [true, true], "its answer was lost");
        assert_eq!(append(0, "06"), [false, false]);
        assert_eq!(append(7, "05"), [false, false], "that is another stream of the topic");
        assert_eq!(journal.bounds().tail, Offset::new(6));
    }
}
