//! The shared log on NATS JetStream: one stream for a cluster, of servers from 2.11.8 on.
//!
//! A place is a sequence of the stream. Registers are messages of the same stream, each of its own
//! subject, and their generation is the sequence of the newest: so the server itself compares, when a
//! register is set and when an append is fenced by it. Registers and batches are read from the server
//! that leads, never from another one.

mod appender;
mod connection;
mod failure;
mod following;
mod log;
mod stream;

use std::sync::Arc;

use bellwire_shared_log::{
    Assurance, Entry, Error, Fence, Following, Generation, Position, Register, SharedLog, Span,
    Stored, check_register_name, check_set,
};
use bytes::Bytes;
use url::Url;

use self::appender::Appender;
use self::failure::Failure;
use self::log::Log;
use crate::Options;
use crate::runtime::Runtime;

/// The log of a cluster on one of these servers.
pub(crate) fn connect(urls: &[Url], options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    let runtime = Runtime::start()?;
    let (urls, options) = (urls.to_vec(), options.clone());
    let log = runtime.wait(Log::open(urls, options))?;
    let appender = Appender::start(&runtime, Arc::clone(&log));
    Ok(Arc::new(JetStream { appender, log, runtime }))
}

/// A handle of a log.
#[derive(Debug)]
struct JetStream {
    appender: Appender,
    log: Arc<Log>,
    runtime: Runtime,
}

impl JetStream {
    /// Asks the server, by requests whose subjects have `subject` in them.
    fn ask<T: Send + 'static, W>(
        &self,
        subject: &'static str,
        work: impl Fn(Arc<Log>) -> W + Send + Sync + 'static,
    ) -> Result<T, Error>
    where
        W: Future<Output = Result<T, Failure>> + Send,
    {
        let log = Arc::clone(&self.log);
        self.runtime.wait(async move { log.answered(subject, work).await })
    }
}

impl SharedLog for JetStream {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        if let Err((answer, error)) = self.appender.append(batch, fence, stored) {
            // Not on the thread of whoever calls: he may hold what the answer needs.
            self.runtime.spawn(async move { answer.give(Err(error)) });
        }
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error> {
        let runtime = self.runtime.clone();
        let following = self
            .ask("CONSUMER", move |log| following::Following::begin(log, runtime.clone(), after))?;
        Ok(Box::new(following))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, Error> {
        self.ask("MSG.GET", move |log| async move { log.entry(at).await })
    }

    fn span(&self) -> Result<Span, Error> {
        self.ask("STREAM", |log| async move { log.span().await })
    }

    fn trim(&self, until: Position) -> Result<(), Error> {
        self.ask("STREAM.PURGE", move |log| async move { log.trim(until).await })
    }

    fn register(&self, name: &str) -> Result<Register, Error> {
        check_register_name(name)?;
        let name = name.to_owned();
        self.ask("MSG.GET", move |log| {
            let name = name.clone();
            async move { log.register(&name).await }
        })
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        check_set(name, &value)?;
        let name = name.to_owned();
        self.ask("register", move |log| {
            let (name, value) = (name.clone(), value.clone());
            async move { log.set_register(&name, expected, value).await }
        })
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let prefix = prefix.to_owned();
        self.ask("STREAM.INFO", move |log| {
            let prefix = prefix.clone();
            async move { log.registers(&prefix).await }
        })
    }

    fn assurance(&self) -> Result<Assurance, Error> {
        self.ask("STREAM.INFO", |log| async move {
            let config = log.info().await?.config;
            let (losses, doubts) = (stream::losses(&config), stream::doubts(&config));
            Ok(Assurance { engine: log.connection.server(), losses, doubts })
        })
    }
}
