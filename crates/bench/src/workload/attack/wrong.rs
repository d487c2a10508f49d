//! Requests that no server should take, one after the other without end.

use crate::load::request;
use crate::system::bad_credential;

/// Bytes of a head that is none.
const NOISE_BYTES_MAX: u64 = 512;

/// Kinds of requests that are wrong by themselves.
const KINDS: u64 = 3;

/// Heads that are none, bodies that are no JSON, from somebody who may publish, and paths that lead
/// nowhere.
pub(super) fn requests(topic: &str, token: Option<&str>) -> impl Iterator<Item = Vec<u8>> + use<> {
    let path = format!("/v1/topics/{topic}");
    let token = token.map(ToOwned::to_owned);
    (0..).map(move |number: u64| match number % KINDS {
        0 => noise(number),
        1 => {
            let body = format!("{{\"number\":{number},\"data\":[1,2,{{\"a\":tru");
            let post = request::post(&path, "application/json", body.as_bytes());
            match &token {
                Some(token) => request::authorized(post, token),
                None => post,
            }
        }
        _ => request::get(&format!("/v1/nothing/{number}")),
    })
}

/// Streams that are asked for with credentials that count for nothing.
pub(super) fn tokens(topic: &str) -> impl Iterator<Item = Vec<u8>> + use<> {
    let stream = request::get(&format!("/v1/events?topic={topic}"));
    (0..).map(move |number| {
        request::with_header(stream.clone(), "Authorization", &bad_credential(number))
    })
}

/// Bytes that follow from a number, and look as if nothing had followed from anything; then an end.
fn noise(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        // The steps of xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let bytes = 16 + next() % NOISE_BYTES_MAX;
    let mut noise: Vec<u8> = (0..bytes).map(|_| (next() >> 32) as u8).collect();
    noise.extend_from_slice(b"\r\n\r\n");
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_wrong_in_turn() {
        let all: Vec<Vec<u8>> = requests("bench/a", Some("bw_key")).take(300).collect();
        let text = |number: usize| String::from_utf8_lossy(&all[number]).into_owned();
        for number in (0..300).step_by(KINDS as usize) {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let parsed = httparse::Request::new(&mut headers).parse(&all[number]);
            assert!(parsed.is_err(), "{}", text(number));
        }
        assert!(text(1).starts_with("POST /v1/topics/bench/a HTTP/1.1\r\n"));
        assert!(text(1).contains("\r\nAuthorization: Bearer bw_key\r\n"));
        assert!(text(2).starts_with("GET /v1/nothing/2 HTTP/1.1\r\n"));
    }
}
