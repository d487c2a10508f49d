//! Whoever follows asks for what comes next, page by page, and looks at every number on the way.
//!
//! The server keeps a consumer for it, in memory and on one server, that hands on every message behind
//! the start, registers as well: so the sequence of each is that of the one before and one more, unless
//! something was removed. The client's own consumers that keep order are not used: they begin anew in
//! silence, and not always where they were.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::{Message, StatusCode, Subscriber};
use bellwire_shared_log::{Ended, Entry, Error, Position};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::Listener;
use super::failure::Failure;
use super::log::Log;
use crate::runtime::Runtime;

/// How many bytes and messages are asked for at once.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const PAGE_MESSAGES_MAX: usize = 2000;

/// How long the server waits for messages before it is asked again.
const PULL_PATIENCE: Duration = Duration::from_secs(30);

/// How often the server says that it is there while it has nothing, and how long it may say nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// How long until it is asked again where nobody took the request.
const UNHEARD_PAUSE: Duration = Duration::from_millis(20);

/// How often it is looked whether another server leads, where there are several.
const LEADER_CHECK: Duration = Duration::from_secs(2);

/// How long the server keeps a consumer that nobody asks for anything.
const IDLE_MAX: Duration = Duration::from_mins(1);

/// How long may be taken to say that a consumer is not needed any longer.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);

/// A following, until its end.
#[derive(Debug)]
pub(super) struct Following {
    runtime: Runtime,
    walk: Option<Box<Walk>>,
}

/// Where a following is.
#[derive(Debug)]
struct Walk {
    log: Arc<Log>,
    consumer: String,
    inbox: String,
    messages: Subscriber,
    /// The connection that this is for.
    connection: u64,
    listener: Listener,
    /// Who led at the beginning, where there are several servers.
    leader: Option<String>,
    checked: Instant,
    /// The sequence of the last message, in the stream and for the consumer.
    at: u64,
    count: u64,
    pull: Pull,
    /// When something was heard of the server.
    heard: Instant,
    /// Why it ends when it is asked for more.
    end: Option<Ended>,
}

/// What the server has been asked for.
#[derive(Debug, Default)]
struct Pull {
    number: u64,
    /// How many messages may come yet; none where it is to be asked again.
    left: usize,
    /// Whether nobody took the request: other servers know of a consumer a moment later.
    is_unheard: bool,
}

impl Following {
    /// Begins behind this place.
    pub(super) async fn begin(
        log: Arc<Log>,
        runtime: Runtime,
        after: Position,
    ) -> Result<Self, Failure> {
        let after = after.get();
        let connection = log.connection.number();
        let listener = log.connection.listen();
        let leader = leader(&log).await?;
        let span = log.span().await?;
        if let Some(gone) = log.gone_behind(after, span).await? {
            return Err(Error::Trimmed(Position::new(gone)).into());
        }
        let client = &log.connection.client;
        let inbox = client.new_inbox();
        let away = |error: String| Failure::Other(Error::Away(error));
        let messages = client.subscribe(format!("{inbox}.*")).await;
        let messages = messages.map_err(|error| away(error.to_string()))?;
        let consumer = log.stream.create_consumer(pull::Config {
            description: Some("A node of Bellwire follows".to_owned()),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: IDLE_MAX,
            ..pull::Config::default()
        });
        let consumer = consumer.await?.cached_info().name.clone();
        // Who has more than there is has it of a log that is no longer.
        let is_beyond = after > span.tail.get();
        let end = is_beyond.then(|| Ended::Lost(format!("the log ends at {}", span.tail)));
        let now = Instant::now();
        let walk = Walk {
            log,
            consumer,
            inbox,
            messages,
            connection,
            listener,
            leader,
            checked: now,
            at: after,
            count: 0,
            pull: Pull::default(),
            heard: now,
            end,
        };
        Ok(Self { runtime, walk: Some(Box::new(walk)) })
    }
}

impl bellwire_shared_log::Following for Following {
    fn next(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended> {
        let Some(mut walk) = self.walk.take() else {
            return Err(Ended::Lost("it has ended".to_owned()));
        };
        let (walk, page) = self
            .runtime
            .wait(async move {
                let page = walk.page(patience).await;
                Ok((walk, page))
            })
            .map_err(|error| Ended::Lost(error.to_string()))?;
        self.walk = Some(walk);
        if page.is_err() {
            self.part();
        }
        page
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.part();
    }
}

impl Following {
    /// Tells the server that the consumer is not needed any longer. It would notice by itself, later.
    fn part(&mut self) {
        let Some(walk) = self.walk.take() else { return };
        if walk.log.connection.is_there() {
            self.runtime.spawn(async move {
                let forgotten = walk.log.stream.delete_consumer(&walk.consumer);
                let _ = timeout(FAREWELL_PATIENCE, forgotten).await;
            });
        }
    }
}

impl Walk {
    /// What is here, or what comes first.
    async fn page(&mut self, patience: Duration) -> Result<Vec<Entry>, Ended> {
        let until = Instant::now() + patience;
        let mut page = Page::default();
        while page.bytes < PAGE_BYTES_MAX && self.end.is_none() {
            let message = match self.messages.next().now_or_never() {
                Some(message) => message,
                None if !page.entries.is_empty() => break,
                None => match self.wait(until).await? {
                    Some(message) => message,
                    None => break,
                },
            };
            let taken = message.ok_or_else(|| lost("the connection has ended"));
            if let Err(ended) = taken.and_then(|message| self.take(message, &mut page)) {
                self.end = Some(ended);
            }
        }
        // What another connection has brought may be of another life of the server.
        self.check_connection()?;
        match self.end.take() {
            Some(ended) if page.entries.is_empty() => Err(ended),
            end => {
                self.end = end;
                Ok(page.entries)
            }
        }
    }

    /// The next message, which may be none as the subscription has ended; nothing where none came.
    async fn wait(&mut self, until: Instant) -> Result<Option<Option<Message>>, Ended> {
        self.check_connection()?;
        self.check_leader().await?;
        self.ask().await?;
        let quiet = self.heard + SILENCE_MAX;
        tokio::select! {
            message = self.messages.next() => Ok(Some(message)),
            why = self.listener.interruption(&self.log.names.stream) => Err(lost(why)),
            () = sleep_until(until.min(quiet)) => {
                if Instant::now() < quiet { Ok(None) } else { Err(lost("the server is silent")) }
            }
        }
    }

    /// Asks for more, where nothing is asked for yet.
    async fn ask(&mut self) -> Result<(), Ended> {
        if self.pull.left > 0 {
            return Ok(());
        }
        let subject =
            format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.log.names.stream, self.consumer);
        let (expires, heartbeat) = (PULL_PATIENCE.as_nanos(), HEARTBEAT.as_nanos());
        let request = format!(
            r#"{{"batch":{PAGE_MESSAGES_MAX},"max_bytes":{PAGE_BYTES_MAX},"expires":{expires},"idle_heartbeat":{heartbeat}}}"#
        );
        let heard = if self.pull.is_unheard {
            sleep(UNHEARD_PAUSE).await;
            self.heard
        } else {
            Instant::now()
        };
        let number = self.pull.number + 1;
        self.pull = Pull { number, left: PAGE_MESSAGES_MAX, is_unheard: false };
        let client = &self.log.connection.client;
        let asked = client.publish_with_reply(subject, self.reply(), Bytes::from(request));
        match timeout(SILENCE_MAX, asked).await {
            Ok(Ok(())) => {
                self.heard = heard;
                Ok(())
            }
            Ok(Err(error)) => Err(lost(error)),
            Err(_) => Err(lost("the server takes no more")),
        }
    }

    /// Where what is said of the present request goes.
    fn reply(&self) -> String {
        format!("{}.{}", self.inbox, self.pull.number)
    }

    /// Takes a message, which has to be the next one.
    fn take(&mut self, message: Message, page: &mut Page) -> Result<(), Ended> {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            self.pull.left = 0;
            self.pull.is_unheard = true;
            return Ok(());
        }
        self.heard = Instant::now();
        if let Some(status) = message.status {
            return self.take_status(status, &message);
        }
        let message = jetstream::Message { message, context: self.log.context.clone() };
        let info = message.info().map_err(lost)?;
        if info.consumer_sequence != self.count + 1 || info.stream_sequence <= self.at {
            return Err(lost(format!(
                "message {} came as number {} behind {}, which was number {}",
                info.stream_sequence, info.consumer_sequence, self.at, self.count
            )));
        }
        if info.stream_sequence != self.at + 1 {
            return Err(Ended::Trimmed(Position::new(info.stream_sequence - 1)));
        }
        self.at += 1;
        self.count += 1;
        self.pull.left = self.pull.left.saturating_sub(1);
        if message.subject.as_str() == self.log.names.log {
            let batch = message.message.payload;
            page.bytes += batch.len();
            page.entries.push(Entry { position: Position::new(self.at), batch });
        }
        Ok(())
    }

    fn take_status(&mut self, status: StatusCode, message: &Message) -> Result<(), Ended> {
        let said = message.description.as_deref().unwrap_or_default();
        let is_over = match status {
            StatusCode::IDLE_HEARTBEAT => return Ok(()),
            StatusCode::NOT_FOUND | StatusCode::TIMEOUT => true,
            StatusCode::REQUEST_TERMINATED => {
                ["Batch Completed", "Exceeds MaxBytes"].iter().any(|reason| said.contains(reason))
            }
            _ => false,
        };
        if !is_over {
            return Err(lost(format!("the server says {status} {said}")));
        }
        if message.subject.as_str() == self.reply() {
            self.pull.left = 0;
        }
        Ok(())
    }

    fn check_connection(&self) -> Result<(), Ended> {
        let connection = &self.log.connection;
        if connection.number() == self.connection && connection.is_there() {
            return Ok(());
        }
        Err(lost("the connection was lost"))
    }

    /// Another leader may not have what the one before it had.
    async fn check_leader(&mut self) -> Result<(), Ended> {
        if self.leader.is_none() || self.checked.elapsed() < LEADER_CHECK {
            return Ok(());
        }
        let found = timeout(SILENCE_MAX, leader(&self.log)).await;
        let found = found.map_err(|_| lost("nobody says who leads"))?;
        if found.map_err(|failure| lost(failure.into_error()))? != self.leader {
            return Err(lost("another server leads"));
        }
        self.checked = Instant::now();
        Ok(())
    }
}

/// Batches that are handed on together.
#[derive(Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    bytes: usize,
}

/// Who leads, and since when, where there are several servers.
async fn leader(log: &Log) -> Result<Option<String>, Failure> {
    let cluster = log.info().await?.cluster;
    Ok(cluster.map(|cluster| format!("{:?} {:?}", cluster.leader, cluster.leader_since)))
}

fn lost(why: impl ToString) -> Ended {
    Ended::Lost(why.to_string())
}
