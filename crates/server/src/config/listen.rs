//! Where to listen, as people write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An address with its port. A port alone, and `localhost`, are of this machine: whoever wants to
/// be reached by others has to say so.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
    if let Some(port) = parse_port(port) {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    Err(match text.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => format!("`{text}` has no port: write `{address}:8080`"),
        Ok(IpAddr::V6(address)) => format!("`{text}` has no port: write `[{address}]:8080`"),
        Err(_) => format!(
            "expected a port such as 8080, or an address such as 127.0.0.1:8080 or 0.0.0.0:8080, \
             not `{text}`"
        ),
    })
}

/// Digits alone: `parse` would take a sign, too.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_addresses_are_places_to_listen_on() {
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            (" 127.0.0.1:0 ", "127.0.0.1:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:80", "[::]:80"),
            ("0", "127.0.0.1:0"),
        ] {
            assert_eq!(parse_listen(text).map(|address| address.to_string()), Ok(expected.into()));
        }
    }

    #[test]
    fn what_is_no_place_to_listen_on_says_what_is() {
        for (text, expected) in [
            ("127.0.0.1", "write `127.0.0.1:8080`"),
            ("::1", "write `[::1]:8080`"),
            ("[::1]", "write `[::1]:8080`"),
            ("", "expected a port"),
            (":", "expected a port"),
            ("+80", "expected a port"),
            ("65536", "expected a port"),
            ("example.org:80", "expected a port"),
            ("http://127.0.0.1:80", "expected a port"),
        ] {
            let error = parse_listen(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
