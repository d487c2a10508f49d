//! Parts that are made of the configuration, and of what there is already.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwire_authn::config::{AccessConfig, Wider};
use bellwire_authn::{AccessError, Authenticator, NOBODY_COMES_IN, SecretPlace};
use bellwire_journal::Journal;
use bellwire_shards::{Presence, Publisher, States, TopicRules};
use tokio::sync::watch;

use super::StartError;
use super::cluster::Succession;
use super::listening::Entrance;
use crate::access::{Access, AccessRules};
use crate::admission::{self, Admission, AdmissionLimits};
use crate::config::{Config, Engine};
use crate::hosts::KnownHosts;
use crate::live::QueryPasts;
use crate::membership::Membership;
use crate::mirror::Mirror;
use crate::observe::Figures;
use crate::open_files;
use crate::page::{Callers, Elsewhere};
use crate::proxies::Proxies;
use crate::queries::Queries;
use crate::sys::SysTopics;
use crate::tls::{self, Tls, TlsError};

/// Where clients come to.
pub(super) fn entrance(config: &Config, succession: &Succession) -> Result<Entrance, StartError> {
    match config.cluster.engine {
        Some(_) => Entrance::shut(config, &succession.door),
        None => Entrance::ajar(config),
    }
}

/// Who may come in, with the keys that the configuration names.
pub(super) fn access(config: &Config, figures: &Arc<Figures>) -> Result<Arc<Access>, AccessError> {
    if config.access.as_ref().is_some_and(AccessConfig::lets_in_nobody) {
        tracing::warn!("{NOBODY_COMES_IN}.");
    }
    let place = match (&config.cluster.engine, config.journal) {
        (Some(_), _) => SecretPlace::Nodes,
        (None, Engine::Disk) => SecretPlace::Data(&config.data),
        (None, Engine::Memory) => SecretPlace::Process,
    };
    let told = Arc::clone(&figures.authn);
    let authenticator = Authenticator::new(config.access.as_ref(), place, told)?;
    let access = config.access.as_ref();
    let rules = AccessRules {
        wider: access.map_or(Wider::default(), |access| access.wider),
        expiry_grace: access.map_or(Duration::ZERO, |access| access.expiry_grace),
    };
    Ok(Arc::new(Access::new(authenticator, figures, rules)))
}

/// Who may ask, as far as a head tells.
pub(super) fn callers(
    config: &Config,
    hosts: Arc<KnownHosts>,
    (publisher, mirror): (Arc<Publisher>, Option<Arc<Mirror>>),
) -> Callers {
    let proxies = Arc::new(Proxies::new(config));
    let proxy = config.access.as_ref().and_then(|access| access.proxy.as_ref());
    let named_in = proxy.map(|proxy| proxy.subject_header.clone());
    let (origins, speaks_tls) = (config.allowed_origins.clone(), config.tls_certificate.is_some());
    let (publisher, elsewhere) = (Some(publisher), mirror.map(|it| it as Arc<dyn Elsewhere>));
    Callers { origins, hosts, proxies, named_in, speaks_tls, publisher, elsewhere }
}

/// Who shows themselves, where any topic has presence.
pub(super) fn presence(config: &Config, cluster: Option<&Membership>) -> Option<Arc<Presence>> {
    match cluster {
        Some(cluster) => Presence::among_others(config.presence.clone(), &cluster.node),
        None => Presence::new(config.presence.clone()),
    }
}

/// Reads certificate and key, where they are configured.
pub(super) fn start_tls(
    config: &Config,
    figures: &Arc<Figures>,
    hosts: &Arc<KnownHosts>,
) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = tls::Files::of(config)? else { return Ok(None) };
    Ok(Some(Arc::new(Tls::load(files, Arc::clone(figures), Arc::clone(hosts))?)))
}

pub(super) fn sys_topics(figures: &Arc<Figures>, states: &Arc<States>) -> SysTopics {
    SysTopics::new(Arc::clone(figures), Arc::clone(states))
}

/// What queries may take, and what makes their pasts of it.
pub(super) fn query_pasts(config: &Config, states: &Arc<States>) -> Arc<QueryPasts> {
    let queries = Arc::new(Queries::new(config, memory_bytes(config)));
    Arc::new(QueryPasts { queries, states: Arc::clone(states) })
}

pub(super) fn publisher(
    journal: &Arc<dyn Journal>,
    (states, topics): (Arc<States>, TopicRules),
    figures: &Figures,
) -> Arc<Publisher> {
    let (journal, figures) = (Arc::clone(journal), Arc::clone(&figures.shards));
    Arc::new(Publisher { journal, states, topics, figures })
}

/// The budget of memory.
pub(super) fn memory_bytes(config: &Config) -> u64 {
    match config.memory_bytes_max {
        0 => admission::default_memory_bytes_max(),
        configured => configured,
    }
}

pub(super) fn admission(
    config: &Config,
    figures: &Arc<Figures>,
    draining: watch::Receiver<bool>,
) -> Arc<Admission> {
    let limits = AdmissionLimits {
        connections: open_files::raise(config.connections_max),
        connections_per_address: config.connections_per_address_max,
        connects_per_second_per_address: config.connects_per_second_per_address_max,
        memory_bytes: memory_bytes(config),
    };
    Arc::new(Admission::new(limits, Arc::clone(figures), draining))
}

/// Says so where whoever comes may do everything.
pub(super) fn warn_of_exposure(config: &Config, address: SocketAddr) {
    if config.is_exposed() {
        tracing::warn!(%address, "Whoever reaches this address may read and publish everything.");
    }
}
