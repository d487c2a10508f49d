//! A connection to a broker: its socket, and TLS where that is configured.

use std::io;
use std::sync::Arc;

use bellwire_model::limits::{
    MQTT_BROKER_ANSWER_TIMEOUT, MQTT_BROKER_SECRET_BYTES_MAX, MQTT_VISIT_BYTES_MAX,
};
use bellwire_model::with_causes;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::{BrokerConfig, BrokerLogin};
use super::session::Failure;

trait Socket: AsyncRead + AsyncWrite + Send {}

impl<S: AsyncRead + AsyncWrite + Send> Socket for S {}

type Boxed = std::pin::Pin<Box<dyn Socket>>;

/// A connection. Its sides are apart, since either waits for itself.
pub(super) struct Link {
    pub(super) input: Input,
    pub(super) output: Output,
}

/// What the broker says.
pub(super) struct Input {
    socket: ReadHalf<Boxed>,
    /// What has come and is not looked at yet.
    pub(super) bytes: Vec<u8>,
}

/// What it is told.
pub(super) struct Output {
    socket: WriteHalf<Boxed>,
    /// What its socket has not taken.
    pub(super) bytes: Vec<u8>,
    is_flushed: bool,
}

impl Link {
    /// Connects, before a deadline.
    pub(super) async fn connect(config: &BrokerConfig) -> Result<Self, Failure> {
        let connected = timeout(MQTT_BROKER_ANSWER_TIMEOUT, connect(config)).await;
        let socket = connected.map_err(|_| {
            Failure::other("unreachable", "it cannot be reached: no answer in time")
        })??;
        let (reading, writing) = split(socket);
        Ok(Self {
            input: Input { socket: reading, bytes: Vec::new() },
            output: Output { socket: writing, bytes: Vec::new(), is_flushed: true },
        })
    }
}

impl Input {
    /// Waits for more. Nothing of it is lost where that is given up.
    pub(super) async fn read(&mut self) -> io::Result<usize> {
        self.bytes.reserve(MQTT_VISIT_BYTES_MAX / 4);
        let mut most = (&mut self.socket).take(MQTT_VISIT_BYTES_MAX as u64);
        most.read_buf(&mut self.bytes).await
    }
}

impl Output {
    /// Whether there is something that the socket has not taken.
    pub(super) fn is_waiting(&self) -> bool {
        !self.bytes.is_empty() || !self.is_flushed
    }

    /// Sends it. Nothing of it is lost, or sent twice, where that is given up.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        while !self.bytes.is_empty() {
            self.is_flushed = false;
            let count = self.socket.write(&self.bytes).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.bytes.drain(..count);
        }
        self.socket.flush().await?;
        self.is_flushed = true;
        Ok(())
    }

    /// Sends what the socket takes in a short time, and ends the connection.
    pub(super) async fn end(&mut self) {
        let last = async {
            self.send().await?;
            self.socket.shutdown().await
        };
        // Whoever is not there any more hears nothing.
        let _ = timeout(MQTT_BROKER_ANSWER_TIMEOUT / 10, last).await;
    }
}

async fn connect(config: &BrokerConfig) -> Result<Boxed, Failure> {
    let address = &config.address;
    let unreachable =
        |error: io::Error| Failure::other("unreachable", format!("it cannot be reached: {error}"));
    let secure = if address.is_secure { Some(tls(config)?) } else { None };
    let socket = TcpStream::connect((&*address.host, address.port)).await.map_err(unreachable)?;
    socket.set_nodelay(true).map_err(unreachable)?;
    let Some((connector, name)) = secure else { return Ok(Box::pin(socket)) };
    let secure = connector.connect(name, socket).await;
    let secure = secure.map_err(|error| {
        Failure::other("tls", format!("no TLS with it: {}", with_causes(&error)))
    })?;
    Ok(Box::pin(secure))
}

/// Reads certificates and keys: they may have been renewed.
fn tls(config: &BrokerConfig) -> Result<(TlsConnector, ServerName<'static>), Failure> {
    let wrong = |error: &dyn std::error::Error| Failure::other("files", with_causes(error));
    let name = config.tls.server_name().map_err(|error| wrong(&error))?;
    let name = match name {
        Some(name) => name,
        None => {
            ServerName::try_from(config.address.host.to_string()).map_err(|error| wrong(&error))?
        }
    };
    let config = config.tls.config().map_err(|error| wrong(&error))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// Reads the password, without the end of its line.
pub(super) fn password(login: &BrokerLogin) -> Result<Option<Vec<u8>>, Failure> {
    let Some(path) = &login.password_file else { return Ok(None) };
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::other("files", format!("cannot read {}: {error}", path.display()))
    };
    let read = std::fs::File::open(path).and_then(|file| {
        let mut secret = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(file, MQTT_BROKER_SECRET_BYTES_MAX + 1),
            &mut secret,
        )?;
        Ok(secret)
    });
    let mut secret = read.map_err(|error| wrong(&error))?;
    if secret.len() as u64 > MQTT_BROKER_SECRET_BYTES_MAX {
        return Err(wrong(&"it is too large for a password"));
    }
    while secret.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        secret.pop();
    }
    Ok(Some(secret))
}
