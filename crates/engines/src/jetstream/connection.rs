//! The connection to NATS: how it is made, how it comes back, and what it says while it is there.
//!
//! The client connects again by itself. Whatever was under way then is answered at once, as nobody
//! can know what has become of it, and what is asked while there is no connection is not kept for later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{
    Client, ClientError, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr,
    ServerError,
};
use bellwire_shared_log::Error;
use tokio::sync::watch;
use url::Url;

use crate::Options;

/// How long a server may take to accept us.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How often the server is asked whether it is there: at the third time without an answer the
/// connection is given up.
const PING_INTERVAL: Duration = Duration::from_millis(1500);

/// The shortest and the longest wait before the next attempt to connect again.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// A connection that comes back.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    signals: watch::Receiver<Signals>,
}

/// What has happened to a connection.
#[derive(Clone, Debug, Default)]
struct Signals {
    /// How often it was lost.
    losses: u64,
    /// How often something was not allowed, and what was said the last time.
    refusals: u64,
    refusal: String,
    /// What was said the last time that it could not be made again.
    trouble: String,
}

impl Connection {
    /// Connects to one of these servers.
    pub(super) async fn open(urls: Vec<Url>, options: &Options) -> Result<Self, Error> {
        let (sender, signals) = watch::channel(Signals::default());
        let sender = Arc::new(sender);
        let mut settings = ConnectOptions::new()
            .name("bellwire")
            .connection_timeout(CONNECT_PATIENCE)
            .ping_interval(PING_INTERVAL)
            .max_reconnects(None)
            .reconnect_delay_callback(backoff)
            .event_callback(move |event| {
                sender.send_if_modified(|signals| signals.note(event));
                std::future::ready(())
            });
        // The client itself does not look into the addresses for them.
        settings = match (urls[0].username(), urls[0].password()) {
            ("", _) => settings,
            (token, None) => settings.token(decoded(token)),
            (user, Some(password)) => settings.user_and_password(decoded(user), decoded(password)),
        };
        if let Some(file) = &options.credentials {
            settings = settings.credentials_file(file).await.map_err(|error| {
                Error::Refused(format!("no credentials in {}: {error}", file.display()))
            })?;
        }
        if let Some(file) = &options.authorities {
            settings = settings.add_root_certificates(file.clone());
        }
        let servers: Result<Vec<ServerAddr>, _> = urls.into_iter().map(server).collect();
        let servers = servers.map_err(|error| Error::Unfit(error.to_string()))?;
        let client = settings.connect(servers).await.map_err(|error| refusal(&error))?;
        Ok(Self { client, signals })
    }

    /// The version and the place of the server, for people.
    pub(super) fn server(&self) -> String {
        let info = self.client.server_info();
        format!("nats-server {} at {}:{}", info.version, info.host, info.port)
    }

    /// Which connection this is: another one has another number before anything comes through it.
    pub(super) fn number(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Acquire)
    }

    /// Whether there is a connection now.
    pub(super) fn is_there(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Fails where there is no connection now.
    pub(super) fn present(&self) -> Result<(), Error> {
        if self.is_there() {
            return Ok(());
        }
        let trouble = self.signals.borrow().trouble.clone();
        if trouble.contains("authorization") {
            return Err(Error::Refused(trouble));
        }
        Err(Error::Away(format!("there is no connection {trouble}").trim_end().to_owned()))
    }

    /// What is heard of it from now on.
    pub(super) fn listen(&self) -> Listener {
        let mut signals = self.signals.clone();
        let before = signals.borrow_and_update().clone();
        Listener { signals, before }
    }
}

/// Waits for what makes waiting for an answer useless.
#[derive(Debug)]
pub(super) struct Listener {
    signals: watch::Receiver<Signals>,
    before: Signals,
}

impl Listener {
    /// Comes back when the connection is lost, or when the server does not allow something whose
    /// subject has this in it.
    pub(super) async fn interruption(&mut self, subject: &str) -> Error {
        loop {
            if self.signals.changed().await.is_err() {
                return Error::Away("the connection has ended".to_owned());
            }
            let now = self.signals.borrow_and_update();
            if now.losses != self.before.losses {
                return Error::Away("the connection was lost".to_owned());
            }
            if now.refusals != self.before.refusals && now.refusal.contains(subject) {
                return Error::Refused(now.refusal.clone());
            }
        }
    }
}

impl Signals {
    /// Takes note of an event, and says whether anybody has to know.
    fn note(&mut self, event: Event) -> bool {
        match event {
            Event::Disconnected | Event::Closed => self.losses += 1,
            Event::Connected => self.trouble.clear(),
            Event::ClientError(ClientError::Other(said)) => {
                self.trouble = format!("({said})");
                return false;
            }
            Event::ServerError(ServerError::Other(said)) if said.contains("Permissions") => {
                self.refusals += 1;
                self.refusal = said;
            }
            _ => return false,
        }
        true
    }
}

/// The address without what nobody is to read in the client's own logs.
fn server(mut url: Url) -> std::io::Result<ServerAddr> {
    // An address that has a host can be without a user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    ServerAddr::from_url(url)
}

fn refusal(error: &ConnectError) -> Error {
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Error::Refused(format!("{error}: look at the user, the password or the credentials"))
        }
        ConnectErrorKind::Tls => Error::Unfit(format!("no connection by TLS: {error}")),
        _ => Error::Away(error.to_string()),
    }
}

fn backoff(attempts: usize) -> Duration {
    match attempts {
        0 | 1 => Duration::ZERO,
        attempts => {
            let longest = BACKOFF_MIN * 2_u32.pow(attempts.min(8) as u32 - 2);
            let half = longest.min(BACKOFF_MAX) / 2;
            half + bellwire_process::jittered(half)
        }
    }
}

/// What is written with `%` in addresses.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let hex = behind.get(..2).filter(|_| first == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = &behind[if byte.is_some() { 2 } else { 0 }..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_decoded() {
        for (text, expected) in [
            ("a+b", "a+b"),
            ("a%40b%2F", "a@b/"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%C3%A4", "ä"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }

    #[test]
    fn the_client_is_told_no_password() {
        let url = Url::parse("nats://user:secret@host:4222").unwrap();
        assert_eq!(server(url).unwrap().as_url_str(), "nats://host:4222");
    }

    #[test]
    fn the_wait_before_connecting_again_is_bounded() {
        assert_eq!(backoff(1), Duration::ZERO);
        for attempts in [2, 3, 7, 8, 1000, usize::MAX] {
            let wait = backoff(attempts);
            assert!((BACKOFF_MIN / 2..=BACKOFF_MAX).contains(&wait), "{attempts}: {wait:?}");
        }
    }
}
