//! The PROXY protocol, versions 1 and 2: what a proxy that moves bytes and reads none of them says
//! ahead of them of whose they are.
//!
//! ```text
//! 1: PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n
//! 2: signature (12) │ version, command │ family │ length (2) │ addresses │ more, which is skipped
//! ```

// Addresses alone: there is nothing to do I/O with in `core`.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bellwire_model::limits::PROXY_HEADER_BYTES_MAX;
use thiserror::Error;

/// What version 2 begins with: no other protocol does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";

/// Bytes of version 1 with its line's end, at most.
const LINE_BYTES_MAX: usize = 107;

/// Bytes of the shortest header of either version: `PROXY UNKNOWN`, and the end of its line.
const BYTES_MIN: usize = 15;

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes more belong to it at least.
    More(usize),
    /// It is whole, with so many bytes.
    Whole(Sender, usize),
}

/// Whose the bytes behind the header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Of whom the proxy has them.
    Client(IpAddr),
    /// The proxy's own, to see whether anybody is here; or it does not know.
    Proxy,
}

/// It is no header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProxyHeaderError {
    /// It begins with something else.
    #[error("the connection does not begin with the PROXY protocol")]
    Missing,
    /// It begins like one.
    #[error("the header of the PROXY protocol cannot be read")]
    Malformed,
    /// It has more than a proxy has to say.
    #[error("a header of the PROXY protocol has at most {PROXY_HEADER_BYTES_MAX} bytes")]
    TooLarge,
}

/// Reads the header at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Result<Step, ProxyHeaderError> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    if begins(SIGNATURE) {
        return read_binary(bytes);
    }
    if begins(WORD) {
        return read_line(bytes);
    }
    Err(ProxyHeaderError::Missing)
}

fn read_line(bytes: &[u8]) -> Result<Step, ProxyHeaderError> {
    let line = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = line.windows(2).position(|two| two == b"\r\n") else {
        if bytes.len() >= LINE_BYTES_MAX {
            return Err(ProxyHeaderError::Malformed);
        }
        let end = if bytes.ends_with(b"\r") { 1 } else { 2 };
        return Ok(Step::More(BYTES_MIN.saturating_sub(bytes.len()).max(end)));
    };
    let line = std::str::from_utf8(&line[WORD.len().min(end)..end]);
    let line = line.map_err(|_| ProxyHeaderError::Malformed)?;
    let sender = read_words(line).ok_or(ProxyHeaderError::Malformed)?;
    Ok(Step::Whole(sender, end + 2))
}

/// What stands behind `PROXY `.
fn read_words(line: &str) -> Option<Sender> {
    let (family, rest) = line.split_once(' ').unwrap_or((line, ""));
    if family == "UNKNOWN" {
        // What follows is to be skipped.
        return Some(Sender::Proxy);
    }
    let mut words = rest.split(' ');
    let (from, to) = (words.next()?, words.next()?);
    let from: IpAddr = match family {
        "TCP4" => (from.parse::<Ipv4Addr>().ok()?, to.parse::<Ipv4Addr>().ok()?).0.into(),
        "TCP6" => (from.parse::<Ipv6Addr>().ok()?, to.parse::<Ipv6Addr>().ok()?).0.into(),
        _ => return None,
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let are_ports = is_port(words.next()?) && is_port(words.next()?);
    (are_ports && words.next().is_none()).then_some(Sender::Client(from.to_canonical()))
}

fn read_binary(bytes: &[u8]) -> Result<Step, ProxyHeaderError> {
    /// Signature, version and command, family, length.
    const HEAD_BYTES: usize = 16;
    /// Two addresses and two ports.
    const IPV4_BYTES: usize = 12;
    const IPV6_BYTES: usize = 36;
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Ok(Step::More(BYTES_MIN.saturating_sub(bytes.len()).max(1)));
    };
    let whole = HEAD_BYTES + usize::from(u16::from_be_bytes([head[14], head[15]]));
    if whole > PROXY_HEADER_BYTES_MAX {
        return Err(ProxyHeaderError::TooLarge);
    }
    let Some(said) = bytes.get(HEAD_BYTES..whole) else {
        return Ok(Step::More(whole - bytes.len()));
    };
    let sender = match (head[12], head[13]) {
        (0x20, _) | (0x21, 0x00) => Sender::Proxy,
        (0x21, 0x11) if said.len() >= IPV4_BYTES => {
            let from = said.first_chunk::<4>().expect("there are more");
            Sender::Client(Ipv4Addr::from_octets(*from).into())
        }
        (0x21, 0x21) if said.len() >= IPV6_BYTES => {
            let from = said.first_chunk::<16>().expect("there are more");
            Sender::Client(IpAddr::V6(Ipv6Addr::from_octets(*from)).to_canonical())
        }
        _ => return Err(ProxyHeaderError::Malformed),
    };
    Ok(Step::Whole(sender, whole))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(text: &str) -> Sender {
        Sender::Client(text.parse().expect(text))
    }

    /// Version 2, with what stands behind its head.
    fn binary(command: u8, family: u8, said: &[u8]) -> Vec<u8> {
        let length = u16::try_from(said.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, said].concat()
    }

    fn headers() -> Vec<(Vec<u8>, Sender)> {
        let v4 = [&[192, 0, 2, 1, 198, 51, 100, 1][..], &[0, 80, 1, 187]].concat();
        let v6: Ipv6Addr = "2001:db8::1".parse().expect("an address");
        let v6 = [&v6.octets()[..], &[0; 20]].concat();
        let line = |text: &str| format!("PROXY {text}\r\n").into_bytes();
        vec![
            (line("TCP4 192.0.2.1 198.51.100.1 56324 443"), client("192.0.2.1")),
            (line("TCP6 2001:db8::1 ::1 1 65535"), client("2001:db8::1")),
            (line("TCP6 ::ffff:192.0.2.1 ::1 1 2"), client("192.0.2.1")),
            (line("UNKNOWN"), Sender::Proxy),
            (line("UNKNOWN ffff::1 and more"), Sender::Proxy),
            (binary(0x21, 0x11, &v4), client("192.0.2.1")),
            (binary(0x21, 0x11, &[&v4[..], &[3, 0, 4, 1, 2, 3, 4]].concat()), client("192.0.2.1")),
            (binary(0x21, 0x21, &v6), client("2001:db8::1")),
            (binary(0x20, 0x00, &[]), Sender::Proxy),
            (binary(0x20, 0x11, &v4), Sender::Proxy),
            (binary(0x21, 0x00, &[]), Sender::Proxy),
        ]
    }

    #[test]
    fn a_header_is_read_wherever_it_is_cut_and_not_a_byte_beyond() {
        for (header, sender) in headers() {
            let with_more = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(read(&with_more), Ok(Step::Whole(sender, header.len())), "{header:?}");
            for end in 0..header.len() {
                let Ok(Step::More(more)) = read(&header[..end]) else {
                    panic!("{end}: {header:?}")
                };
                assert!(more > 0 && end + more <= header.len(), "{end} and {more} of {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_told_at_once() {
        let missing = Err(ProxyHeaderError::Missing);
        assert_eq!(read(b"GET / HTTP/1.1\r\n"), missing);
        assert_eq!(read(b"PROXX"), missing);
        assert_eq!(read(b"\x16\x03\x01"), missing);
        assert_eq!(read(b"PRI * HTTP/2.0\r\n"), missing);
        for line in [
            "TCP4 192.0.2.1 198.51.100.1 56324",
            "TCP4 192.0.2.1 198.51.100.1 56324 443 1",
            "TCP4 192.0.2.1 198.51.100.1 56324 65536",
            "TCP4 192.0.2.1 198.51.100.1 +1 2",
            "TCP4 192.0.2.1  198.51.100.1 1 2",
            "TCP4 ::1 ::1 1 2",
            "TCP4 192.0.2.1 ::1 1 2",
            "TCP6 192.0.2.1 198.51.100.1 1 2",
            "UDP4 192.0.2.1 198.51.100.1 1 2",
            "unknown",
            "",
        ] {
            let line = format!("PROXY {line}\r\n");
            assert!(!matches!(read(line.as_bytes()), Ok(Step::Whole(..))), "{line}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(read(long.as_bytes()), Err(ProxyHeaderError::Malformed));
        for (command, family, said) in [
            (0x21, 0x11, 11),
            (0x21, 0x21, 35),
            (0x21, 0x12, 12),
            (0x21, 0x31, 216),
            (0x11, 0x11, 12),
            (0x22, 0, 0),
        ] {
            let header = binary(command, family, &vec![0; said]);
            assert_eq!(read(&header), Err(ProxyHeaderError::Malformed), "{command} {family}");
        }
        let large = binary(0x20, 0, &[0; PROXY_HEADER_BYTES_MAX]);
        assert_eq!(read(&large[..16]), Err(ProxyHeaderError::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_are_read_beyond_the_bound(bytes: Vec<u8>, which in 0..3_usize) {
            let begin: [&[u8]; 3] = [b"", WORD, SIGNATURE];
            let bytes = [begin[which], &bytes].concat();
            match read(&bytes) {
                Ok(Step::Whole(_, length)) => prop_assert!(length <= bytes.len()),
                Ok(Step::More(more)) => {
                    prop_assert!(more > 0 && bytes.len() + more <= PROXY_HEADER_BYTES_MAX);
                }
                Err(_) => {}
            }
        }
    }
}
