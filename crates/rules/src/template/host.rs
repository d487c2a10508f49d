//! Hosts with ports, as Go's package `net` reads them.

use core::net::IpAddr;

/// The host and the port, where there are both.
fn parted(text: &str) -> Option<(&str, &str)> {
    let colon = text.rfind(':')?;
    let port = &text[colon + 1..];
    if let Some(bracketed) = text.strip_prefix('[') {
        let end = bracketed.find(']')?;
        let host = &bracketed[..end];
        let is_parted = end + 2 == colon && !bracketed.contains('[') && !port.contains(']');
        return is_parted.then_some((host, port));
    }
    let host = &text[..colon];
    (!host.contains(':') && !text.contains(['[', ']'])).then_some((host, port))
}

pub(super) fn without_port(text: &str) -> &str {
    parted(text).map_or(text, |(host, _)| host)
}

/// The first name of a host, with its port; an address stays as it is.
pub(super) fn without_domain(text: &str) -> String {
    let (host, port) = parted(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let first = host.split('.').next().unwrap_or_default();
    match port {
        "" => first.to_owned(),
        // A colon within a host asks for brackets.
        port if first.contains([':', '%']) => format!("[{first}]:{port}"),
        port => format!("{first}:{port}"),
    }
}
