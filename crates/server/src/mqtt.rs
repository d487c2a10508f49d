//! MQTT: the socket that sensors come to, who is let in and led to the listener; and brokers that are
//! gone to.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bellwire_access::{Identity, key};
use bellwire_authn::Shown;
use bellwire_ingest::mqtt::mapping::Mapping;
use bellwire_ingest::mqtt::packet::Reason;
use bellwire_model::Scope;
use bellwire_model::limits::{DRAIN_TIMEOUT, HEAD_TIMEOUT};
use bellwire_shards::TlsSession;
use bellwire_sources::mqtt::{
    Admitted, Arrival, BrokerParts, Brokers, Credential, Gate, Identified, Listener, ListenerParts,
    SecureSession,
};
use bellwire_wire::problem::{Code, Problem};
use rustls::ServerConfig;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::access::Access;
use crate::admission::{Admission, Needs};
use crate::config::MqttConfig;
use crate::front_door::Secure;
use crate::observe::Figures;
use crate::receiver::Receiver;
use crate::tls::Tls;

/// Pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a connection may be silent before the kernel asks whether the other end is there.
const KEEP_ALIVE: Duration = Duration::from_mins(5);

/// What the front door of MQTT stands on.
#[derive(Clone, Debug)]
pub(crate) struct MqttDoor {
    pub(crate) access: Arc<Access>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) receiver: Receiver,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// What runs of MQTT.
#[derive(Debug)]
pub(crate) struct Running {
    listening: Option<(Arc<Listener>, JoinHandle<()>)>,
    brokers: Brokers,
    runtime: Handle,
}

impl Running {
    /// Ends it in order: what the rules have seen is acknowledged, clients are told to come back, and
    /// brokers are left. Blocks, for a part of a drain at most.
    pub(crate) fn drain(self) {
        if let Some((listener, thread)) = self.listening {
            listener.drain();
            if thread.join().is_err() {
                tracing::error!("The listener of MQTT had failed.");
            }
        }
        let ended =
            self.runtime.block_on(async { timeout(DRAIN_TIMEOUT, self.brokers.ended()).await });
        if ended.is_err() {
            tracing::warn!("Not all brokers of MQTT were left in time.");
        }
    }
}

/// Starts to accept, where there is a socket, and goes to brokers.
pub(crate) fn start(
    config: &MqttConfig,
    socket: Option<TcpListener>,
    door: MqttDoor,
    (runtime, draining): (&Handle, watch::Receiver<bool>),
) -> io::Result<Running> {
    let mapping = Arc::new(config.mapping.clone());
    let parts = BrokerParts {
        mapping: Arc::clone(&mapping),
        intake: Arc::new(door.receiver.clone()),
        figures: Arc::clone(&door.figures.sources.mqtt_brokers),
        draining: draining.clone(),
    };
    let listening = match socket {
        Some(socket) => Some(listen(mapping, socket, door, (runtime, draining))?),
        None => None,
    };
    let brokers = Brokers::start(&config.brokers, &parts, runtime);
    Ok(Running { listening, brokers, runtime: runtime.clone() })
}

fn listen(
    mapping: Arc<Mapping>,
    socket: TcpListener,
    door: MqttDoor,
    (runtime, draining): (&Handle, watch::Receiver<bool>),
) -> io::Result<(Arc<Listener>, JoinHandle<()>)> {
    let gate =
        Arc::new(MqttGate { access: Arc::clone(&door.access), figures: Arc::clone(&door.figures) });
    let (listener, thread) = Listener::start(ListenerParts {
        mapping,
        gate,
        intake: Arc::new(door.receiver.clone()),
        runtime: runtime.clone(),
    })?;
    let listener = Arc::new(listener);
    let address = socket.local_addr()?;
    let _context = runtime.enter();
    let socket = tokio::net::TcpListener::from_std(socket)?;
    runtime.spawn(accept(socket, Arc::clone(&listener), door, draining));
    tracing::info!(%address, "Sensors may publish over MQTT.");
    Ok((listener, thread))
}

/// Accepts until the server drains.
async fn accept(
    socket: tokio::net::TcpListener,
    listener: Arc<Listener>,
    door: MqttDoor,
    mut draining: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = draining.wait_for(|draining| *draining) => return,
        };
        match accepted {
            Ok((stream, address)) => receive(stream, address, &listener, &door),
            Err(error) => {
                tracing::warn!(%error, "No connection of MQTT can be accepted now.");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Leads a connection to the listener. Who finds no room is hung up on: before a client has said its
/// version nothing can be told to it.
fn receive(
    stream: tokio::net::TcpStream,
    address: SocketAddr,
    listener: &Arc<Listener>,
    door: &MqttDoor,
) {
    let address = address.ip().to_canonical();
    let admitted = door.admission.connection(0, Needs::Socket);
    let admitted = admitted.and_then(|it| Ok((it, door.admission.address(address)?)));
    let Ok(place) = admitted else { return };
    let (listener, place) = (Arc::clone(listener), Box::new(place));
    let Some(tls) = &door.tls else {
        let Ok(socket) = stream.into_std() else { return };
        set_keep_alive(&socket);
        return listener.adopt(Arrival { socket, session: None, address, place });
    };
    let config = of_mqtt(&tls.config());
    tokio::spawn(async move {
        let Ok(Ok(secure)) = timeout(HEAD_TIMEOUT, Secure::accept(stream, config)).await else {
            return;
        };
        let (stream, session) = secure.into_parts();
        let Ok(socket) = stream.into_std() else { return };
        set_keep_alive(&socket);
        let session: Option<Box<dyn SecureSession>> = Some(Box::new(OverTls(session)));
        listener.adopt(Arrival { socket, session, address, place });
    });
}

/// The front door's, without the protocols of HTTP.
fn of_mqtt(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = Vec::new();
    Arc::new(config)
}

/// Sensors may be silent for as long as they like, and vanish without a word.
fn set_keep_alive(socket: &TcpStream) {
    let keep_alive =
        socket2::TcpKeepalive::new().with_time(KEEP_ALIVE).with_interval(KEEP_ALIVE / 10);
    let socket = socket2::SockRef::from(socket);
    let set = socket.set_tcp_keepalive(&keep_alive).and_then(|()| socket.set_tcp_nodelay(true));
    if let Err(error) = set {
        tracing::debug!(%error, "A socket takes no options.");
    }
}

/// A session of TLS.
struct OverTls(TlsSession);

impl SecureSession for OverTls {
    fn read(&mut self, mut socket: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut socket, buffer)
    }

    fn write(&mut self, mut socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_vectored(&mut socket, &[IoSlice::new(bytes)])
    }

    fn flush(&mut self, mut socket: &TcpStream) -> io::Result<()> {
        self.0.flush(&mut socket)
    }
}

/// The one door of access, for who shows a name and a password.
#[derive(Debug)]
struct MqttGate {
    access: Arc<Access>,
    figures: Arc<Figures>,
}

impl Gate for MqttGate {
    fn identify(&self, credential: Credential, address: IpAddr) -> Identified {
        let access = Arc::clone(&self.access);
        Box::pin(async move {
            let shown = shown(credential)?;
            let identified = access.authenticator.identify(&shown, Some(address)).await;
            let identity = identified.map_err(|problem| reason(&problem))?;
            if identity.rights.ingest == Scope::none() && identity.rights.publish.is_empty() {
                return Err(Reason::NotAuthorized);
            }
            let place =
                access.allowances.connect(&identity, 0).map_err(|_| Reason::QuotaExceeded)?;
            let place = place.map(|place| Box::new(place) as Box<dyn std::any::Any + Send>);
            Ok(Admitted { identity, place })
        })
    }

    fn counts(&self, identity: &Identity) -> bool {
        self.access.authenticator.is_open() || self.access.authenticator.counts(identity)
    }

    fn has_clients(&self, count: u64) {
        self.figures.sources.mqtt_clients.set(count);
    }
}

/// What a client shows: an API key or a token is known by how it looks, whatever the user is called.
fn shown(credential: Credential) -> Result<Shown, Reason> {
    let Some(password) = credential.password else { return Ok(Shown::Nothing) };
    let password = std::str::from_utf8(&password).map_err(|_| Reason::BadCredentials)?;
    // Each token begins with an object of JSON.
    let is_token = password.starts_with("eyJ") && password.matches('.').count() == 2;
    Ok(match credential.username {
        Some(name) if !is_token && !key::looks_like_one(password) => {
            Shown::Password(name, password.into())
        }
        _ => Shown::Bearer(password.into()),
    })
}

/// Why somebody does not come in, in the words of MQTT.
fn reason(problem: &Problem) -> Reason {
    match problem.code {
        Code::CredentialMissing | Code::CredentialInvalid => Reason::BadCredentials,
        Code::PrincipalExhausted => Reason::QuotaExceeded,
        _ if problem.is_transient() => Reason::Busy,
        _ => Reason::NotAuthorized,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_key_a_token_or_a_users() {
        let credential = |username: Option<&str>, password: Option<&str>| Credential {
            username: username.map(Into::into),
            password: password.map(|password| password.as_bytes().into()),
        };
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln";
        for (given, expected) in [
            (credential(None, None), Shown::Nothing),
            (credential(Some("ada"), None), Shown::Nothing),
            (credential(Some("ada"), Some("x.y.z")), Shown::Password("ada".into(), "x.y.z".into())),
            (credential(Some("ada"), Some(token)), Shown::Bearer(token.into())),
            (credential(None, Some(token)), Shown::Bearer(token.into())),
        ] {
            assert_eq!(shown(given), Ok(expected));
        }
        let wrong = Credential { username: None, password: Some([0xff].into()) };
        assert_eq!(shown(wrong), Err(Reason::BadCredentials));
    }
}
