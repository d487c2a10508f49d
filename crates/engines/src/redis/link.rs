//! A connection to the server, made only to one that will do, and the log's keys there.
//!
//! A connection never mends itself: whoever has it lets go of it at the first doubt and makes another.
//! The client's multiplexed connection sends nothing twice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Pipeline, ProtocolVersion, PushInfo,
    PushKind, RedisError, TlsCertificates, Value, cmd,
};
use bellwire_shared_log::Error;
use tracing::info;
use url::Url;

use super::refusal;
use super::script::Script;
use super::server::{SETTINGS, Server};
use crate::Options;

/// How long a connection may take to be there.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long an answer may take. Longer than anything that blocks on purpose.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(4);

/// Where the log is.
#[derive(Debug)]
pub(super) struct Place {
    client: Client,
    /// The address, for people: without user and password.
    pub(super) name: String,
    /// The keys, in the order in which scripts have them: the stream, the registers, `meta`.
    pub(super) keys: [String; 3],
    /// Whose data the newest connection has seen, see [`Server::replication`].
    newest: Mutex<String>,
}

impl Place {
    /// What the address and the options say.
    pub(super) fn new(url: &Url, options: &Options) -> Result<Self, Error> {
        let told = |error| refusal::error(&error);
        let connection = url.clone().into_connection_info().map_err(told)?;
        let redis = connection.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let tcp = connection.tcp_settings().clone().set_nodelay(true);
        let connection = connection.set_redis_settings(redis).set_tcp_settings(tcp);
        let name = connection.addr().to_string();
        let client = match &options.authorities {
            Some(path) if url.scheme() == "rediss" => {
                let read = std::fs::read(path).map_err(|error| {
                    Error::Unfit(format!("cannot read {}: {error}", path.display()))
                })?;
                let trusted = TlsCertificates { client_tls: None, root_cert: Some(read) };
                Client::build_with_tls(connection, trusted).map_err(told)?
            }
            _ => Client::open(connection).map_err(told)?,
        };
        let key = |what| format!("{{bellwire:{}}}:{what}", options.cluster);
        let keys = ["log", "registers", "meta"].map(key);
        Ok(Self { client, name, keys, newest: Mutex::default() })
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, String> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection.
#[derive(Clone, Debug)]
pub(super) struct Link {
    place: Arc<Place>,
    connection: MultiplexedConnection,
    /// Set as soon as the connection is lost, also when nothing is asked.
    is_gone: Arc<AtomicBool>,
    /// What the server said of itself.
    pub(super) server: Arc<Server>,
    /// When the log was made that is there, by which scripts know that it still is that one.
    pub(super) made: Arc<Vec<u8>>,
    hashes: Arc<Vec<Vec<u8>>>,
}

impl Link {
    /// Connects, and looks whether server and keys will do. Keys that are not there are made.
    pub(super) async fn dial(place: &Arc<Place>) -> Result<Self, Error> {
        let told = |error: RedisError| refusal::error(&error);
        let is_gone = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&is_gone);
        let pushed = move |push: PushInfo| {
            gone.fetch_or(push.kind == PushKind::Disconnection, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_PATIENCE))
            .set_response_timeout(Some(ANSWER_PATIENCE))
            .set_push_sender(pushed);
        let connect = place.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connect.await.map_err(told)?;
        let server = read_server(&mut connection).await.map_err(told)?;
        server.check()?;

        let mut commands = Pipeline::new();
        commands.add_command(with_keys("EVAL", Script::prepare().as_bytes(), &place.keys));
        for script in Script::ALL {
            commands.cmd("SCRIPT").arg("LOAD").arg(script.text());
        }
        let answers = connection.send_packed_commands(&commands, 0, commands.len()).await;
        let answers = answers.and_then(|answers| answers.into_iter().map(bytes).collect());
        let mut hashes: Vec<Vec<u8>> = answers.map_err(told)?;
        let made = Arc::new(hashes.remove(0));
        let mut newest = place.newest();
        if *newest != server.replication() {
            info!(server = server.name(), at = place.name, "connected to the cluster's engine");
            server.replication().clone_into(&mut newest);
        }
        drop(newest);
        let (place, server, hashes) = (Arc::clone(place), Arc::new(server), Arc::new(hashes));
        Ok(Self { place, connection, is_gone, server, made, hashes })
    }

    /// The call of a script.
    pub(super) fn call(&self, script: Script) -> Cmd {
        let hash = self.hashes.get(script as usize).map_or(&[][..], Vec::as_slice);
        let mut call = with_keys("EVALSHA", hash, &self.place.keys);
        call.arg(self.made.as_slice());
        call
    }

    /// Sends commands at once, and returns their answers, of which each may be an error.
    pub(super) async fn send(mut self, commands: Pipeline) -> Result<Vec<Value>, RedisError> {
        self.connection.send_packed_commands(&commands, 0, commands.len()).await
    }

    /// Runs a script.
    pub(super) async fn run(
        &mut self,
        script: Script,
        arguments: &[Vec<u8>],
    ) -> Result<Value, Error> {
        let mut call = self.call(script);
        for argument in arguments {
            call.arg(argument.as_slice());
        }
        let answer = self.connection.send_packed_command(&call).await;
        answer.and_then(Value::extract_error).map_err(|error| refusal::error(&error))
    }

    /// What the server says of itself now.
    pub(super) async fn read_server(&mut self) -> Result<Server, Error> {
        let read = read_server(&mut self.connection).await;
        read.map_err(|error| refusal::error(&error))
    }

    /// Whether the connection is not known to be lost, and no newer one is to other data.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_gone.load(Ordering::Relaxed) && self.is_of_newest()
    }

    /// Has nobody use it again.
    pub(super) fn let_go(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// Whether the newest connection is to a server of the same data.
    pub(super) fn is_of_newest(&self) -> bool {
        *self.place.newest() == self.server.replication()
    }

    /// The key of the stream, and that of `meta`.
    pub(super) fn keys(&self) -> (&str, &str) {
        (&self.place.keys[0], &self.place.keys[2])
    }
}

/// A command whose first argument is a script or its hash, on all keys.
fn with_keys(name: &str, script: &[u8], keys: &[String; 3]) -> Cmd {
    let mut command = cmd(name);
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

async fn read_server(connection: &mut MultiplexedConnection) -> Result<Server, RedisError> {
    let mut commands = Pipeline::new();
    commands.cmd("INFO").cmd("CONFIG").arg("GET").arg(SETTINGS.as_slice());
    let mut answers = connection.send_packed_commands(&commands, 0, 2).await?.into_iter();
    let info = bytes(answers.next().unwrap_or_default())?;
    // Many who run Redis for others do not let CONFIG be used.
    let settings = answers.next().and_then(|value| ::redis::from_redis_value(value).ok());
    Ok(Server::new(String::from_utf8_lossy(&info).into_owned(), settings.unwrap_or_default()))
}

/// The bytes that were answered; none where the answer is something else.
pub(super) fn bytes(value: Value) -> Result<Vec<u8>, RedisError> {
    Ok(match value.extract_error()? {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.into_bytes(),
        Value::Int(number) => number.to_string().into_bytes(),
        _ => Vec::new(),
    })
}

/// The number that was answered.
pub(super) fn number(value: Value) -> Result<u64, Error> {
    let answered = bytes(value).map_err(|error| refusal::error(&error))?;
    let text = String::from_utf8_lossy(&answered);
    text.parse().map_err(|_| Error::Away(format!("it has answered `{text}`, which is no number")))
}
