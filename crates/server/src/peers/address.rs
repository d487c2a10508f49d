//! Where other nodes reach this one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use url::Url;

use crate::config::Config;

/// What is configured, or else where the server listens. Where that is all that the machine has, it is
/// the address that the system would reach the engine from.
pub(crate) fn own(config: &Config, listens: SocketAddr) -> String {
    if !config.cluster.address.is_empty() {
        return config.cluster.address.clone();
    }
    let scheme = if config.tls_certificate.is_some() { "https" } else { "http" };
    let mut address = listens;
    if listens.ip().is_unspecified() {
        let engine = config.cluster.engine.as_deref().unwrap_or_default();
        let from = towards(engine, listens).unwrap_or_else(|| {
            tracing::warn!(
                "Other nodes are told no address at which they reach this one: set `cluster_address`."
            );
            match listens {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            }
        });
        address.set_ip(from);
    }
    format!("{scheme}://{address}")
}

/// From which address the system would reach the first of these servers that has one now. Nothing is
/// sent.
fn towards(engine: &str, listens: SocketAddr) -> Option<IpAddr> {
    let (first, others) = engine.split_once(',').unwrap_or((engine, ""));
    // The scheme may stand before the first alone.
    let scheme = first.split_once("://").map_or("nats", |(scheme, _)| scheme);
    let others = others.split(',').filter(|server| !server.trim().is_empty()).map(|server| {
        let server = server.trim();
        if server.contains("://") { server.to_owned() } else { format!("{scheme}://{server}") }
    });
    std::iter::once(first.to_owned()).chain(others).find_map(|server| towards_one(&server, listens))
}

fn towards_one(server: &str, listens: SocketAddr) -> Option<IpAddr> {
    let url = Url::parse(server).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    // Which port it is makes no difference to the way.
    let servers = (host, url.port().unwrap_or(1)).to_socket_addrs().ok()?;
    // Who listens on all of IPv6 listens on IPv4 as well, as systems come.
    let mut servers = servers.filter(|server| listens.is_ipv6() || server.is_ipv4());
    servers.find_map(|server| {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(server).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClusterConfig;

    /// A server that is away may have no address meanwhile.
    #[test]
    fn the_first_server_that_has_an_address_says_where_from() {
        let listens = "0.0.0.0:80".parse().expect("an address");
        let from = |engine| towards(engine, listens).map(|ip| ip.to_string());
        for engine in ["nats://a.invalid:4222,127.0.0.1:4222", "nats://a.invalid, nats://127.0.0.1"]
        {
            assert_eq!(from(engine).as_deref(), Some("127.0.0.1"), "{engine}");
        }
        assert_eq!(from("nats://a.invalid:4222"), None);
    }

    #[test]
    fn others_are_told_what_is_configured_or_where_it_listens() {
        for (engine, address, listens, expected) in [
            ("", "", "10.0.0.7:80", "http://10.0.0.7:80"),
            ("", "", "[::1]:80", "http://[::1]:80"),
            ("nats://127.0.0.1:4222", "", "0.0.0.0:80", "http://127.0.0.1:80"),
            ("nats://127.0.0.1,b", "", "[::]:80", "http://127.0.0.1:80"),
            ("redis://[bad", "", "0.0.0.0:80", "http://127.0.0.1:80"),
            ("", "https://a.example:8443", "0.0.0.0:80", "https://a.example:8443"),
        ] {
            let cluster = ClusterConfig {
                engine: Some(engine.to_owned()),
                name: String::new(),
                address: address.to_owned(),
                ..ClusterConfig::default()
            };
            let config = Config { cluster, ..Config::default() };
            let listens = listens.parse().expect("an address");
            assert_eq!(own(&config, listens), expected, "{listens}");
        }
    }
}
