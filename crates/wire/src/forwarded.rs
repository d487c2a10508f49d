//! Whom proxies name as the client: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! ```text
//! client ──▶ proxy a ──▶ proxy b ──▶ here        X-Forwarded-For: client, a
//! ```
//!
//! Each proxy adds at the right whom it has the request from. A client may have sent such headers
//! itself, so they are read from the right, for as long as whoever says it is trusted: what a client
//! made up stands left of its own address, and is never come to.

use std::borrow::Cow;
// Addresses alone: there is nothing to do I/O with in `core`.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bellwire_model::Networks;
use bellwire_model::limits::FORWARDERS_MAX;
use thiserror::Error;

/// What a head says of who has passed it on: all headers of each name, in their order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Forwarding<'a> {
    /// `Forwarded`.
    pub forwarded: &'a [&'a [u8]],
    /// `X-Forwarded-For`.
    pub forwarded_for: &'a [&'a [u8]],
}

/// Nobody can tell whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ForwardedError {
    /// It is not what the RFC, or custom, has there.
    #[error("a proxy's header `{0}` cannot be read")]
    Malformed(&'static str),
    /// More proxies than there can be.
    #[error("a proxy's header names more than {FORWARDERS_MAX} proxies")]
    TooMany,
    /// One of the two is the client's own.
    #[error(
        "`Forwarded` and `X-Forwarded-For` name different clients: have the proxy remove the one \
         that it does not set (nginx: `proxy_set_header Forwarded \"\";`)"
    )]
    Differ,
}

/// Whom a proxy has a request from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Address(IpAddr),
    /// It does not say, or says so in a word of its own.
    Hidden,
}

/// Who has sent a request that came from `peer`: the nearest address that is no trusted proxy, or
/// the farthest that the trusted ones name. What an untrusted peer says does not count.
pub fn client(
    peer: IpAddr,
    trusted: &Networks,
    said: Forwarding<'_>,
) -> Result<IpAddr, ForwardedError> {
    let peer = peer.to_canonical();
    if !trusted.contain(peer) {
        return Ok(peer);
    }
    let forwarded = (!said.forwarded.is_empty()).then(|| {
        let nodes = elements(said.forwarded).ok_or(FORWARDED)?;
        walk(peer, trusted, nodes.into_iter().rev())
    });
    let forwarded_for = (!said.forwarded_for.is_empty()).then(|| {
        let lists = said.forwarded_for.iter().rev();
        let nodes =
            lists.flat_map(|list| list.rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let nodes = nodes.filter(|node| !node.is_empty());
        let read = |node| std::str::from_utf8(node).ok().and_then(read_node);
        walk(peer, trusted, nodes.map(|node| read(node).ok_or(FORWARDED_FOR)))
    });
    match (forwarded.transpose()?, forwarded_for.transpose()?) {
        (Some(one), Some(other)) if one != other => Err(ForwardedError::Differ),
        (one, other) => Ok(one.or(other).unwrap_or(peer)),
    }
}

const FORWARDED: ForwardedError = ForwardedError::Malformed("Forwarded");
const FORWARDED_FOR: ForwardedError = ForwardedError::Malformed("X-Forwarded-For");

/// Goes from one to the next whom it names, the nearest first.
fn walk(
    peer: IpAddr,
    trusted: &Networks,
    nodes: impl Iterator<Item = Result<Node, ForwardedError>>,
) -> Result<IpAddr, ForwardedError> {
    let mut client = peer;
    for (passed, node) in nodes.enumerate() {
        if !trusted.contain(client) {
            break;
        }
        if passed == FORWARDERS_MAX {
            return Err(ForwardedError::TooMany);
        }
        match node? {
            Node::Address(address) => client = address,
            Node::Hidden => break,
        }
    }
    Ok(client)
}

/// Whom each element of `Forwarded` names, or an error for one whose node cannot be read. `None`:
/// they cannot be told apart, and none of them is anybody's.
fn elements(values: &[&[u8]]) -> Option<Vec<Result<Node, ForwardedError>>> {
    let mut elements = Vec::new();
    for value in values {
        let mut rest = std::str::from_utf8(value).ok()?;
        loop {
            let element = Element::read(&mut rest)?;
            if let Some(node) = element.node {
                elements.push(node);
            } else if element.has_pairs {
                elements.push(Ok(Node::Hidden));
            }
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix(',')?;
        }
    }
    Some(elements)
}

/// One element: `for=192.0.2.1;proto=https`.
#[derive(Debug, Default)]
struct Element {
    /// What `for` names, where it is there.
    node: Option<Result<Node, ForwardedError>>,
    has_pairs: bool,
}

impl Element {
    /// Reads up to the comma behind it, or the end.
    fn read(rest: &mut &str) -> Option<Self> {
        let mut element = Self::default();
        loop {
            *rest = bare_start(rest);
            if !rest.is_empty() && !rest.starts_with([',', ';']) {
                let name = take_while(rest, is_of_token);
                *rest = rest.strip_prefix('=')?;
                let value = read_value(rest)?;
                element.has_pairs = true;
                if name.is_empty() {
                    return None;
                }
                // Of two nobody could say which counts.
                if name.eq_ignore_ascii_case("for")
                    && element.node.replace(read_node(&value).ok_or(FORWARDED)).is_some()
                {
                    return None;
                }
                *rest = bare_start(rest);
            }
            match rest.strip_prefix(';') {
                Some(more) => *rest = more,
                None if rest.is_empty() || rest.starts_with(',') => return Some(element),
                None => return None,
            }
        }
    }
}

/// A token, or a quoted string without its quotes. What proxies write without them although they
/// must not, such as a port's colon, separates nothing.
fn read_value<'a>(rest: &mut &'a str) -> Option<Cow<'a, str>> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let value = take_while(rest, |c| is_of_token(c) || matches!(c, ':' | '[' | ']'));
        return (!value.is_empty()).then_some(Cow::Borrowed(value));
    };
    let (mut value, mut is_escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if is_escaped => {
                value.push(c);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => {
                *rest = &quoted[at + 1..];
                return Some(Cow::Owned(value));
            }
            _ => value.push(c),
        }
    }
    None
}

/// An address with a port or without, or a word for one that is not told.
fn read_node(text: &str) -> Option<Node> {
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return is_port(port).then_some(Node::Address(IpAddr::V6(address).to_canonical()));
    }
    // Without brackets all of it is an address, as `X-Forwarded-For` has it.
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Node::Address(IpAddr::V6(address).to_canonical()));
    }
    let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
    if !is_port(port) {
        return None;
    }
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return Some(Node::Address(address.into()));
    }
    let is_word = name.strip_prefix('_').is_some_and(is_obfuscated);
    (is_word || name.eq_ignore_ascii_case("unknown")).then_some(Node::Hidden)
}

/// Nothing, or a colon with a number or a word of the proxy's own behind it.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    match port.strip_prefix('_') {
        Some(word) => is_obfuscated(word),
        None => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
    }
}

fn is_obfuscated(word: &str) -> bool {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !word.is_empty() && word.chars().all(is_of_word)
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn bare_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// Takes what is at the beginning.
fn take_while<'a>(rest: &mut &'a str, is_taken: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !is_taken(c)).unwrap_or(rest.len());
    let (taken, left) = rest.split_at(end);
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> Networks {
        Networks::read(["10.0.0.0/8", "fd00::/8"]).expect("networks")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    /// As one who is trusted says it.
    fn by_standard(values: &[&str]) -> Result<IpAddr, ForwardedError> {
        let forwarded: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let said = Forwarding { forwarded: &forwarded, forwarded_for: &[] };
        client(address("10.0.0.1"), &trusted(), said)
    }

    fn by_custom(values: &[&str]) -> Result<IpAddr, ForwardedError> {
        let forwarded_for: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let said = Forwarding { forwarded: &[], forwarded_for: &forwarded_for };
        client(address("10.0.0.1"), &trusted(), said)
    }

    #[test]
    fn the_nearest_who_is_no_proxy_is_the_client() {
        for (values, expected) in [
            (&["for=192.0.2.60;proto=http;by=203.0.113.43"][..], "192.0.2.60"),
            (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
            (&["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
            (&["for=192.0.2.43, for=10.0.0.2"], "192.0.2.43"),
            (&["for=192.0.2.43", "for=\"10.0.0.2:80\" ; proto=https"], "192.0.2.43"),
            (&["for=192.0.2.43,for=\"[fd00::1]:_x\", ,"], "192.0.2.43"),
            (&["for=\"\\192.0.2.43:47011\""], "192.0.2.43"),
            (&["for=\"[::ffff:192.0.2.43]\""], "192.0.2.43"),
            (&["for=192.0.2.43:80"], "192.0.2.43"),
            // Who is hidden is the one who hides him.
            (&["for=192.0.2.43, for=unknown"], "10.0.0.1"),
            (&["for=_hidden, for=10.0.0.2"], "10.0.0.2"),
            (&["for=192.0.2.43, proto=https"], "10.0.0.1"),
            // All of them are proxies: the farthest is the client.
            (&["for=10.0.0.3, for=10.0.0.2"], "10.0.0.3"),
            (&[""], "10.0.0.1"),
            (&["for=x, for=192.0.2.43"], "192.0.2.43"),
        ] {
            assert_eq!(by_standard(values), Ok(address(expected)), "{values:?}");
        }
        for (values, expected) in [
            (&["192.0.2.43"][..], "192.0.2.43"),
            (&["192.0.2.43, 198.51.100.17"], "198.51.100.17"),
            (&["192.0.2.43", "10.0.0.2"], "192.0.2.43"),
            (&["\u{e9}, 192.0.2.43:80 ,10.0.0.2"], "192.0.2.43"),
            (&["2001:db8::1, fd00::7"], "2001:db8::1"),
            (&["[2001:db8::1]:443"], "2001:db8::1"),
            (&["unknown"], "10.0.0.1"),
            (&["::ffff:192.0.2.43"], "192.0.2.43"),
            (&[",", ""], "10.0.0.1"),
        ] {
            assert_eq!(by_custom(values), Ok(address(expected)), "{values:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_nobodys() {
        for value in [
            "for=\"192.0.2.43",
            "for=\"192.0.2.43\"x",
            "for=192.0.2.43;for=192.0.2.44",
            "for = 192.0.2.43",
            "for=",
            "=192.0.2.43",
            "192.0.2.43",
            "for=192.0.2.430",
            "for=[192.0.2.43]",
            "for=192.0.2.43:123456",
            "for=\"192.0.2.43:\"",
            "for=\u{e9}",
        ] {
            assert_eq!(by_standard(&[value]), Err(FORWARDED), "{value}");
        }
        for value in
            ["x", "192.0.2.43 192.0.2.44", "192.0.2.43:x", "[::1", "for=192.0.2.43", "1.2.3"]
        {
            assert_eq!(by_custom(&[value]), Err(FORWARDED_FOR), "{value}");
        }
    }

    #[test]
    fn two_headers_say_the_same_or_nothing() {
        let said = |one: &str, other: &str| {
            let (one, other) = ([one.as_bytes()], [other.as_bytes()]);
            let said = Forwarding { forwarded: &one, forwarded_for: &other };
            client(address("10.0.0.1"), &trusted(), said)
        };
        assert_eq!(said("for=192.0.2.43", "192.0.2.43"), Ok(address("192.0.2.43")));
        assert_eq!(said("for=192.0.2.43", "192.0.2.44"), Err(ForwardedError::Differ));
        let proxies = "10.0.0.2,".repeat(FORWARDERS_MAX);
        assert_eq!(by_custom(&[&proxies]), Ok(address("10.0.0.2")));
        assert_eq!(by_custom(&[&format!("192.0.2.1,{proxies}")]), Err(ForwardedError::TooMany));
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_changes_nothing(forwarded: Vec<u8>, forwarded_for: Vec<u8>, bits: u32) {
            let peer = IpAddr::V4(Ipv4Addr::from_bits(bits | 0x8000_0000));
            let said = Forwarding { forwarded: &[&forwarded], forwarded_for: &[&forwarded_for] };
            prop_assert_eq!(client(peer, &trusted(), said), Ok(peer));
        }

        #[test]
        fn what_a_client_has_made_up_is_never_come_to(
            made_up in "[ -~]{0,40}",
            quoted in any::<bool>(),
            proxies in 0..3_usize,
        ) {
            let real = address("192.0.2.43");
            let proxy = if quoted { ", for=\"10.0.0.2:80\"" } else { ", for=10.0.0.2" };
            let own = if quoted { "for=\"192.0.2.43:80\"" } else { "for=192.0.2.43" };
            let value = format!("{made_up}, {own}{}", proxy.repeat(proxies));
            let said = by_standard(&[&value]);
            prop_assert!(said == Ok(real) || said == Err(FORWARDED), "{value}: {said:?}");
            let value = format!("{made_up}, 192.0.2.43{}", ", 10.0.0.2".repeat(proxies));
            prop_assert_eq!(by_custom(&[&value]), Ok(real));
        }
    }
}
