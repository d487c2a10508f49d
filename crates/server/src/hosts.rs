//! By which names this server may be asked.
//!
//! A page of another site can point its own name at this server (DNS rebinding). To the browser the
//! two are one origin then, so that neither CORS nor the same-origin policy keeps the page out:
//! but it asks by its own name, which `Host` tells.
//!
//! An address needs no name server, so that nobody can point one elsewhere: all of them are known.
//! The same goes for `localhost`. Other names are those of the certificate, of the machine, of
//! `external_url` and `cluster_address`, and what is configured.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::RwLock;

use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, Uri, header};

use crate::config::{Config, Hosts};

/// The names that are known.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    configured: Hosts,
    own: Hosts,
    /// Those of the certificate, which may be replaced while the server runs.
    certified: RwLock<Hosts>,
}

impl KnownHosts {
    pub(crate) fn new(config: &Config) -> Self {
        let machine = rustix::system::uname();
        let machine = machine.nodename().to_str().ok();
        let told = [&config.external_url, &config.cluster.address];
        let told = told.map(|url| url::Url::parse(url).ok());
        let told = told.iter().flatten().filter_map(url::Url::host_str);
        let own = Hosts::of_names(machine.into_iter().chain(told));
        Self { configured: config.hosts.clone(), own, certified: RwLock::default() }
    }

    /// Takes note of the names of a new certificate.
    pub(crate) fn certify(&self, names: Hosts) {
        *self.certified.write().expect("not poisoned") = names;
    }

    /// Whether a request for this host, as `Host` has it, is for this server.
    pub(crate) fn know(&self, host: &str) -> bool {
        match name_of(host) {
            None => false,
            Some(Name::Address) => true,
            Some(Name::Text(name)) => {
                is_localhost(name)
                    || self.configured.have(name)
                    || self.own.have(name)
                    || self.certified.read().expect("not poisoned").have(name)
            }
        }
    }

    /// Refuses a request for an unknown host. One that names none is of no browser.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let named = headers.get_all(header::HOST).iter();
        let named = named.map(|host| host.to_str().unwrap_or_default());
        let authority = uri.authority().map(http::uri::Authority::as_str);
        match named.chain(authority).find(|host| !self.know(host)) {
            None => Ok(()),
            Some(host) => Err(refusal(host)),
        }
    }
}

fn refusal(host: &str) -> Problem {
    let name = match name_of(host) {
        Some(Name::Text(name)) => name,
        Some(Name::Address) | None => host,
    };
    let detail = format!(
        "`{name}` is not known as a name of this server, and a page may have pointed its own name \
         here (DNS rebinding). If it is this server's, start it with `--hosts {name}` (`hosts` in \
         the file, `BELLWIRE_HOSTS` in the environment)"
    );
    Problem::new(Code::HostUnknown, detail)
}

/// Whom a request is for, without the port.
enum Name<'a> {
    Address,
    Text(&'a str),
}

/// `None`: it is neither a name nor an address.
fn name_of(host: &str) -> Option<Name<'_>> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        let address = address.parse::<Ipv6Addr>().is_ok() && is_port;
        return address.then_some(Name::Address);
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || !is_port(port) {
        return None;
    }
    Some(if name.parse::<Ipv4Addr>().is_ok() { Name::Address } else { Name::Text(name) })
}

/// Browsers ask no name server for it, nor for what is below it (RFC 6761).
fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(hosts: &[&str], external_url: &str) -> KnownHosts {
        let hosts = hosts.iter().map(ToString::to_string).collect();
        let flags = vec![("hosts", hosts), ("external_url", vec![external_url.to_owned()])];
        KnownHosts::new(&Config::load(None, |_| None, &flags).expect("valid"))
    }

    #[test]
    fn addresses_and_this_machine_need_no_configuration() {
        let known = known(&[], "https://Outside.example:8443/below");
        let machine = rustix::system::uname().nodename().to_str().expect("UTF-8").to_owned();
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.0.2.7:80",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1]:1",
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "app.localhost:5173",
            "outside.example",
            "outside.example:8443",
            &machine,
        ] {
            assert!(known.know(host), "{host}");
        }
    }

    #[test]
    fn a_name_that_nobody_has_named_is_a_strangers() {
        let known = known(&["bellwire.example"], "");
        assert!(known.know("bellwire.example:8080") && known.know("Bellwire.Example."));
        for host in [
            "",
            ":",
            ":80",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "bellwire.example.evil",
            "notlocalhost",
            "127.0.0.1:80:80",
            "[::1",
            "[::1]x",
            "[evil]",
            "::1",
            "bellwire.example:80a",
            "evil.example:",
            "127.1",
            "2130706433",
            "*",
        ] {
            assert!(!known.know(host), "{host}");
        }
        known.certify(Hosts::of_names(["evil.example", "*.wild.example", "not a name"]));
        assert!(known.know("evil.example") && known.know("a.wild.example"));
        known.certify(Hosts::default());
        assert!(!known.know("evil.example"), "the names of a certificate go with it");
    }

    #[test]
    fn a_request_is_for_each_host_that_it_names() {
        let known = known(&[], "");
        let check = |uri: &str, host: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(host.map(|host| (header::HOST, host.parse().expect("a header"))));
            known.check(&uri.parse().expect("a URI"), &headers).map_err(|problem| problem.code)
        };
        assert_eq!(check("/", None), Ok(()), "who names none is no browser");
        assert_eq!(check("/", Some("localhost:1")), Ok(()));
        assert_eq!(check("http://localhost/", Some("localhost")), Ok(()));
        let unknown = Err(Code::HostUnknown);
        assert_eq!(check("/", Some("evil.example")), unknown);
        assert_eq!(check("http://evil.example/", Some("localhost")), unknown);
        assert_eq!(check("http://localhost/", Some("evil.example")), unknown);
        assert_eq!(check("http://evil.example/", None), unknown);
        assert_eq!(check("/", Some("")), unknown);
        let told = refusal("evil.example:8080");
        assert!(told.detail().contains("`--hosts evil.example`"), "{}", told.detail());
    }
}
