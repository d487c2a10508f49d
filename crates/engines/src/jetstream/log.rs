//! What is asked of a stream, and how that is told of a log.
//!
//! Batches, registers and the mark of trimming are messages of one stream, and its sequence is their
//! place. Nothing but [`Log::trim`] removes any, not even what a register was before: so behind what was
//! trimmed the stream has no holes, and whoever follows sees in a hole that something was removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{Info, LastRawMessageError, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{Context, ContextBuilder};
use bellwire_shared_log::{
    BATCH_BYTES_MAX, Entry, Error, Fence, Generation, Position, Register, Span,
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use tokio::time::{sleep, timeout};
use url::Url;

use super::connection::Connection;
use super::failure::{self, Failure};
use super::stream::{self, HEADERS_BYTES_MAX, Names};
use crate::Options;

/// How long the server may take to answer one request.
const REQUEST_PATIENCE: Duration = Duration::from_secs(4);

/// How long a call may take, which may be several requests.
const CALL_PATIENCE: Duration = Duration::from_secs(8);

/// How long something is tried again that the servers take but one at a time, and how often.
pub(super) const BUSY_PAUSE: Duration = Duration::from_millis(5);
pub(super) const BUSY_ATTEMPTS_MAX: usize = 400;

/// How many appends may be under way to the server, which queues 10,000 of all its clients.
const APPENDS_MAX: usize = 1024;

/// The oldest server whose fences hold: older ones of 2.11 take [`EXPECTED_SUBJECT`], where it comes
/// first, for a header whose name it begins with, and compare nothing then.
const VERSION_MIN: (i64, i64, i64) = (2, 11, 8);

/// The header that says of which subject the last sequence is expected.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// A log on a stream.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) connection: Connection,
    pub(super) names: Names,
    /// For everything but appends.
    pub(super) context: Context,
    /// For appends alone, so that they keep nothing else waiting.
    appends: Context,
    pub(super) stream: Stream<()>,
    /// For how many servers a stream is made.
    replicas: Option<usize>,
    /// How many servers have the stream.
    servers: AtomicUsize,
}

impl Log {
    /// Connects, and finds or makes the stream.
    pub(super) async fn open(urls: Vec<Url>, options: Options) -> Result<Arc<Self>, Error> {
        let connection = Connection::open(urls, &options).await?;
        let client = &connection.client;
        let (major, minor, patch) = VERSION_MIN;
        if !client.is_server_compatible(major, minor, patch) {
            return Err(Error::Unfit(format!(
                "{} is too old: {major}.{minor}.{patch} or newer is needed; packages of systems are often \
                 older, so take it from https://nats.io",
                connection.server()
            )));
        }
        let needed = BATCH_BYTES_MAX + HEADERS_BYTES_MAX;
        let allowed = client.max_payload();
        if allowed < needed {
            return Err(Error::Unfit(format!(
                "{} takes messages of up to {allowed} bytes: set its `max_payload` to {needed} or more",
                connection.server()
            )));
        }
        let context = ContextBuilder::new().timeout(REQUEST_PATIENCE).build(client.clone());
        let appends = ContextBuilder::new()
            .timeout(REQUEST_PATIENCE)
            .ack_timeout(REQUEST_PATIENCE)
            .max_ack_inflight(APPENDS_MAX)
            .build(client.clone());
        let names = Names::new(&options.cluster);
        let stream = context.get_stream_no_info(&names.stream).await;
        let stream = stream.map_err(|error| Failure::from(error).into_error())?;
        let replicas = options.replicas;
        let servers = AtomicUsize::new(0);
        let log = Self { connection, names, context, appends, stream, replicas, servers };
        let log = Arc::new(log);
        let prepared = |log: Arc<Self>| async move {
            failure::enabled(log.context.query_account().await)?;
            log.ensure().await
        };
        log.answered("$JS.API", prepared).await?;
        Ok(log)
    }

    /// What comes of some requests, or why nobody waits for it any longer. The server may say that it
    /// does not allow one, by its subject, which has this in it. A stream that is gone is made again:
    /// whoever looks into it sees that it is another one.
    pub(super) async fn answered<T, W: Future<Output = Result<T, Failure>>>(
        self: &Arc<Self>,
        subject: &str,
        work: impl Fn(Arc<Self>) -> W,
    ) -> Result<T, Error> {
        self.connection.present()?;
        let mut listener = self.connection.listen();
        let twice = async {
            match work(Arc::clone(self)).await {
                Err(Failure::Missing) => {
                    self.ensure().await?;
                    work(Arc::clone(self)).await
                }
                other => other,
            }
        };
        tokio::select! {
            done = timeout(CALL_PATIENCE, twice) => match done {
                Ok(done) => done.map_err(Failure::into_error),
                Err(_) => Err(Error::Away("the server does not answer".to_owned())),
            },
            why = listener.interruption(subject) => Err(why),
        }
    }

    async fn ensure(&self) -> Result<(), Failure> {
        let info = stream::ensure(&self.context, &self.names, self.replicas).await?;
        self.note(&info);
        Ok(())
    }

    pub(super) async fn info(&self) -> Result<Info, Failure> {
        let info = self.stream.get_info().await?;
        self.note(&info);
        Ok(info)
    }

    fn note(&self, info: &Info) {
        self.servers.store(info.config.num_replicas, Ordering::Relaxed);
    }

    /// Whether several servers have the stream: they judge but one append at a time by a register.
    pub(super) fn is_replicated(&self) -> bool {
        self.servers.load(Ordering::Relaxed) > 1
    }

    /// Sends a batch, behind all that were sent before.
    pub(super) async fn send(
        &self,
        batch: Bytes,
        fence: Option<&Fence>,
    ) -> Result<PublishAckFuture, Failure> {
        let mut message = PublishMessage::build().payload(batch);
        if let Some(Fence { register, generation }) = fence {
            message = message
                .expected_last_subject_sequence(generation.get())
                .header(EXPECTED_SUBJECT, self.names.register(register).as_str());
        }
        Ok(self.appends.send_publish(self.names.log.clone(), message).await?)
    }

    /// The batch at this place.
    pub(super) async fn entry(&self, at: Position) -> Result<Option<Entry>, Failure> {
        let message = self.message(at.get()).await?;
        let batch = message.filter(|message| message.subject.as_str() == self.names.log);
        Ok(batch.map(|message| Entry { position: at, batch: message.payload }))
    }

    /// The message with this sequence, as the leader has it.
    pub(super) async fn message(&self, sequence: u64) -> Result<Option<StreamMessage>, Failure> {
        if sequence == 0 {
            // Whoever asks for it is told whether the server is there all the same.
            return self.info().await.map(|_| None);
        }
        found(self.stream.raw_message_builder().sequence(sequence).send().await)
    }

    async fn newest(&self, subject: &str) -> Result<Option<StreamMessage>, Failure> {
        found(self.stream.raw_message_builder().last_by_subject(subject).send().await)
    }

    /// Where the first batch from there on is.
    async fn next_batch(&self, from: u64) -> Result<Option<u64>, Failure> {
        let request = self.stream.raw_message_builder().sequence(from);
        let message = found(request.next_by_subject(self.names.log.as_str()).send().await)?;
        Ok(message.map(|message| message.sequence))
    }

    /// What a register is.
    pub(super) async fn register(&self, name: &str) -> Result<Register, Failure> {
        let message = self.newest(&self.names.register(name)).await?;
        Ok(message.map_or_else(Register::default, |message| Register {
            generation: Generation::new(message.sequence),
            value: message.payload,
        }))
    }

    /// Sets what is of this subject, where it is of this generation.
    async fn set(
        &self,
        subject: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Failure> {
        for _ in 0..BUSY_ATTEMPTS_MAX {
            let message = PublishMessage::build().payload(value.clone());
            let message = message.expected_last_subject_sequence(expected.get());
            let set = self.context.send_publish(subject.to_owned(), message).await?.await;
            match set.map_err(Failure::from) {
                Err(Failure::Busy) => sleep(BUSY_PAUSE).await,
                other => return Ok(Generation::new(other?.sequence)),
            }
        }
        Err(Failure::Busy)
    }

    pub(super) async fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Failure> {
        match self.set(&self.names.register(name), expected, value).await {
            Err(Failure::Generation) => {
                Err(Failure::Other(Error::Changed(self.register(name).await?)))
            }
            other => other,
        }
    }

    /// The names of registers that begin so.
    pub(super) async fn registers(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let registers = self.counted(&self.names.every_register()).await?;
        let names = registers.iter().filter_map(|(subject, _)| self.names.of_register(subject));
        let names = names.filter(|name| name.starts_with(prefix)).map(ToOwned::to_owned);
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Subjects, and how many messages there are of each.
    async fn counted(&self, filter: &str) -> Result<Vec<(String, usize)>, Failure> {
        Ok(self.stream.info_with_subjects(filter).await?.try_collect().await?)
    }

    /// Where the log begins and ends.
    pub(super) async fn span(&self) -> Result<Span, Failure> {
        let state = self.info().await?.state;
        let tail = state.last_sequence;
        let before_all =
            if state.messages == 0 { tail } else { state.first_sequence.saturating_sub(1) };
        let has_holes = state.messages != tail - before_all;
        let trimmed = if has_holes { self.last_hole(before_all, tail).await? } else { before_all };
        Ok(Span { trimmed: Position::new(trimmed), tail: Position::new(tail) })
    }

    /// Where the holes end that trimming has left between registers: at the mark, or where somebody
    /// has removed batches by hand, before the first of them that is left.
    async fn last_hole(&self, before_all: u64, tail: u64) -> Result<u64, Failure> {
        let marked = self.marked().await?.1.clamp(before_all, tail);
        let first = self.next_batch(marked + 1).await?.unwrap_or(tail + 1);
        if first == marked + 1 {
            return Ok(marked);
        }
        let is_hole =
            self.message(first - 1).await?.is_none() || self.message(marked + 1).await?.is_none();
        Ok(if is_hole { first - 1 } else { marked })
    }

    /// The mark of trimming: its generation, and up to where it says that batches may be gone.
    async fn marked(&self) -> Result<(Generation, u64), Failure> {
        let mark = self.newest(&self.names.trimmed).await?;
        Ok(mark.map_or((Generation::NEVER, 0), |mark| {
            let number = std::str::from_utf8(&mark.payload).ok().and_then(|text| text.parse().ok());
            (Generation::new(mark.sequence), number.unwrap_or(0))
        }))
    }

    /// Whether batches behind this place may be gone: then up to where.
    pub(super) async fn gone_behind(&self, after: u64, span: Span) -> Result<Option<u64>, Failure> {
        if after < span.trimmed.get() {
            return Ok(Some(span.trimmed.get()));
        }
        let tail = span.tail.get();
        if after >= tail || self.message(after + 1).await?.is_some() {
            return Ok(None);
        }
        Ok(Some(self.next_batch(after + 1).await?.map_or(tail, |next| next - 1)))
    }

    /// Removes batches up to and with this place, and what registers were before it.
    pub(super) async fn trim(&self, until: Position) -> Result<(), Failure> {
        let until = until.get().min(self.info().await?.state.last_sequence);
        if until == 0 {
            return Ok(());
        }
        // The mark is no condition: a log that is full takes none, and is to be trimmed then.
        let is_marked = self.mark(until).await?;
        self.purge(&self.names.log, until + 1).await?;
        let mut subjects = self.counted(&self.names.every_register()).await?;
        subjects.extend(self.counted(&self.names.trimmed).await?);
        for (subject, _) in subjects.into_iter().filter(|(_, count)| *count > 1) {
            if let Some(newest) = self.newest(&subject).await? {
                self.purge(&subject, newest.sequence.min(until + 1)).await?;
            }
        }
        if !is_marked {
            self.mark(until).await?;
        }
        Ok(())
    }

    async fn mark(&self, until: u64) -> Result<bool, Failure> {
        let (generation, marked) = self.marked().await?;
        if until <= marked {
            return Ok(true);
        }
        match self.set(&self.names.trimmed, generation, until.to_string().into()).await {
            Ok(_) => Ok(true),
            // Somebody else trims as well, and marks that.
            Err(Failure::Generation | Failure::Busy | Failure::Other(Error::Full(_))) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Removes what is of this subject and before this sequence.
    async fn purge(&self, subject: &str, before: u64) -> Result<(), Failure> {
        self.stream.purge().filter(subject).sequence(before).await?;
        Ok(())
    }
}

fn found(
    result: Result<StreamMessage, LastRawMessageError>,
) -> Result<Option<StreamMessage>, Failure> {
    match result {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
