//! The shared log on Redis 7 or newer, and on Valkey: a stream, and a hash of registers.
//!
//! - [`script`]: what is done on the server, as a whole each;
//! - [`link`]: a connection, to a server of which [`server`] says that it will do;
//! - [`appender`]: appends, in their order, in groups;
//! - [`following`]: reads as they come, until a doubt;
//! - [`refusal`]: what was refused, as an error.
//!
//! A handle has one connection for appends, one for all else, and one for each that follows. Sentinels
//! are not asked, and Redis Cluster is refused: the address leads to the server that leads, by a name
//! or a proxy, and each new connection looks whether it does. Where it has led to other data, nothing more
//! is asked of the connections before: a server that led may go on for a while as if it did.

mod appender;
mod following;
mod link;
mod refusal;
mod script;
mod server;

use std::sync::Arc;
use std::time::Duration;

use ::redis::Value;
use bellwire_shared_log::{
    Assurance, Entry, Error, Fence, Following, Generation, Position, Register, SharedLog, Span,
    Stored, check_append, check_register_name, check_set,
};
use bytes::Bytes;
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use self::appender::Append;
use self::link::{Link, Place, bytes, number};
use self::script::Script;
use crate::Options;
use crate::answer::Answer;
use crate::runtime::Runtime;

/// How many bytes may wait to be appended or to be answered; each batch takes some more than it has.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
const APPEND_BYTES: usize = 1024;

/// How long a call waits for the server, with all that it takes.
const CALL_PATIENCE: Duration = Duration::from_secs(5);

/// The log of a cluster there.
pub(crate) fn connect(url: &Url, options: &Options) -> Result<Arc<dyn SharedLog>, Error> {
    let place = Arc::new(Place::new(url, options)?);
    let runtime = Runtime::start()?;
    let control = Arc::new(Control { place: Arc::clone(&place), link: Mutex::new(None) });
    let first = Arc::clone(&control);
    runtime.wait(in_time(async move { first.link().await.map(|_| ()) }))?;
    let (appends, queue) = channel(WAITING_BYTES_MAX / APPEND_BYTES);
    runtime.spawn(appender::run(Arc::clone(&place), queue));
    let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
    Ok(Arc::new(Log { runtime, control, appends, room }))
}

/// A handle of the log.
#[derive(Debug)]
struct Log {
    runtime: Runtime,
    control: Arc<Control>,
    appends: Sender<Append>,
    /// A permit for each byte that may wait.
    room: Arc<Semaphore>,
}

/// The connection for all but appends and followings.
#[derive(Debug)]
struct Control {
    place: Arc<Place>,
    link: Mutex<Option<Link>>,
}

impl Control {
    /// The connection that is there, or a new one.
    async fn link(&self) -> Result<Link, Error> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| link.is_usable()) {
            return Ok(link.clone());
        }
        *link = None;
        Ok(link.insert(Link::dial(&self.place).await?).clone())
    }

    /// Runs a script. One that reads is run once more where the connection was lost.
    async fn run(&self, script: Script, arguments: &[Vec<u8>]) -> Result<Value, Error> {
        let mut is_again = !script.reads();
        loop {
            let mut link = self.link().await?;
            let answer = link.run(script, arguments).await;
            if !matches!(answer, Err(Error::Away(_))) {
                return answer;
            }
            link.let_go();
            if is_again {
                return answer;
            }
            is_again = true;
        }
    }
}

impl Log {
    fn run(&self, script: Script, arguments: Vec<Vec<u8>>) -> Result<Value, Error> {
        let control = Arc::clone(&self.control);
        self.runtime.wait(in_time(async move { control.run(script, &arguments).await }))
    }

    /// What an append takes of what may wait, or why it cannot be.
    fn room(&self, batch: &Bytes, fence: Option<&Fence>) -> Result<OwnedSemaphorePermit, Error> {
        check_append(batch, fence)?;
        let taken = (batch.len() + APPEND_BYTES) as u32;
        Arc::clone(&self.room).try_acquire_many_owned(taken).map_err(|_| {
            Error::Full(format!("{WAITING_BYTES_MAX} bytes wait to be appended already"))
        })
    }
}

impl SharedLog for Log {
    fn append(&self, batch: Bytes, fence: Option<Fence>, stored: Stored) {
        let answer = Answer::new(stored);
        match self.room(&batch, fence.as_ref()) {
            Ok(room) => {
                // There is room in the queue for all that may wait. Where its task has ended the
                // answer is given by letting go of it.
                let _ = self.appends.try_send(Append { batch, fence, answer, room });
            }
            // On the engine's thread, as every answer.
            Err(error) => self.runtime.spawn(async move { answer.give(Err(error)) }),
        }
    }

    fn follow(&self, after: Position) -> Result<Box<dyn Following>, Error> {
        Ok(Box::new(following::follow(&self.runtime, &self.control.place, after)?))
    }

    fn entry(&self, at: Position) -> Result<Option<Entry>, Error> {
        let found = self.run(Script::Entry, vec![decimal(at.get())])?;
        Ok(match found {
            Value::BulkString(batch) => Some(Entry { position: at, batch: batch.into() }),
            _ => None,
        })
    }

    fn span(&self) -> Result<Span, Error> {
        following::to_span(self.run(Script::Span, Vec::new())?)
    }

    fn trim(&self, until: Position) -> Result<(), Error> {
        while number(self.run(Script::Trim, vec![decimal(until.get())])?)? > 0 {}
        Ok(())
    }

    fn register(&self, name: &str) -> Result<Register, Error> {
        check_register_name(name)?;
        let is = self.run(Script::Register, vec![name.into()])?;
        register(is.into_sequence().unwrap_or_default())
    }

    fn set_register(
        &self,
        name: &str,
        expected: Generation,
        value: Bytes,
    ) -> Result<Generation, Error> {
        check_set(name, &value)?;
        let arguments = vec![name.into(), decimal(expected.get()), value.to_vec()];
        let mut answer = self.run(Script::Set, arguments)?.into_sequence().unwrap_or_default();
        let is = answer.split_off(answer.len().min(1));
        let is_set = answer.pop() == Some(Value::Int(1));
        let is = register(is)?;
        if is_set { Ok(is.generation) } else { Err(Error::Changed(is)) }
    }

    fn registers(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let names = self.run(Script::Names, vec![prefix.as_bytes().to_vec()])?;
        let names = names.into_sequence().unwrap_or_default().into_iter();
        let text = |name| String::from_utf8(bytes(name).ok()?).ok();
        let mut names: Vec<String> = names.filter_map(text).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn assurance(&self) -> Result<Assurance, Error> {
        let control = Arc::clone(&self.control);
        self.runtime.wait(in_time(async move {
            let mut link = control.link().await?;
            let server = link.read_server().await.inspect_err(|_| link.let_go())?;
            Ok(server.assurance(&control.place.name))
        }))
    }
}

/// What is done within the patience of a call, or else is away.
async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::Away(format!("no answer within {} s", CALL_PATIENCE.as_secs())));
    timeout(CALL_PATIENCE, work).await.unwrap_or_else(late)
}

/// A register as a script has it: its generation and its value, or nothing where it was never set.
fn register(answer: Vec<Value>) -> Result<Register, Error> {
    let mut answer = answer.into_iter();
    let (generation, value) = (answer.next().unwrap_or_default(), answer.next());
    if generation == Value::Nil {
        return Ok(Register::default());
    }
    let value = bytes(value.unwrap_or_default()).unwrap_or_default().into();
    Ok(Register { generation: Generation::new(number(generation)?), value })
}

fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}
