//! The offer and the answer of permessage-deflate.

/// How the messages of a connection are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    Off,
    /// permessage-deflate: a message may be, each by itself.
    Deflate,
}

const EXTENSION: &str = "permessage-deflate";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";
const PARAMETERS: [&str; 4] =
    ["server_no_context_takeover", "client_no_context_takeover", SERVER_WINDOW, CLIENT_WINDOW];
/// The only window that we compress with, as a power of two. What is compressed is shared by
/// all connections, so it cannot depend on one.
const WINDOW_BITS: u8 = 15;

/// What `Sec-WebSocket-Extensions` answers to the values of that header in the request. `None`:
/// no header is sent and nothing is compressed.
///
/// The first offer that can be served is taken. One that is malformed, or that wants a smaller
/// window of the server, is passed over, as RFC 7692 has it.
pub fn answer_offers<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<&'static str> {
    values.into_iter().flat_map(|value| split(value, ',')).find_map(answer)
}

fn answer(offer: &str) -> Option<&'static str> {
    let mut parts = split(offer, ';');
    if parts.next()?.trim() != EXTENSION {
        return None;
    }
    let mut seen = [false; PARAMETERS.len()];
    let mut names_window = false;
    for parameter in parts {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim(), Some(unquoted(value.trim())?)),
            None => (parameter.trim(), None),
        };
        let index = PARAMETERS.iter().position(|known| *known == name)?;
        if std::mem::replace(&mut seen[index], true) {
            return None;
        }
        match (name, value) {
            (SERVER_WINDOW, Some(bits)) if window_bits(bits)? == WINDOW_BITS => names_window = true,
            (CLIENT_WINDOW, Some(bits)) => {
                // We inflate with the largest window, so any will do.
                window_bits(bits)?;
            }
            (SERVER_WINDOW, _) | (_, Some(_)) => return None,
            _ => {}
        }
    }
    // An offer that names a window is accepted by naming it too.
    Some(if names_window {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
         server_max_window_bits=15"
    } else {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    })
}

/// Splits outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |character| {
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    })
}

fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// From 8 to 15, without a leading zero.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| (8..=WINDOW_BITS).contains(bits))?;
    text.starts_with(|first: char| matches!(first, '1'..='9')).then_some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Option<&str> =
        Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover");

    #[test]
    fn the_first_offer_that_can_be_served_is_taken() {
        let windowed = answer_offers(["permessage-deflate; server_max_window_bits=15"]);
        assert_eq!(
            windowed,
            PLAIN.map(|plain| plain.to_owned() + "; server_max_window_bits=15").as_deref()
        );
        let cases: [(&[&str], Option<&str>); 27] = [
            (&[], None),
            (&[""], None),
            (&["x-webkit-deflate-frame"], None),
            (&["permessage-deflate"], PLAIN),
            // Chromium and Firefox.
            (&["permessage-deflate; client_max_window_bits"], PLAIN),
            (&["permessage-deflate; server_no_context_takeover"], PLAIN),
            (
                &[" permessage-deflate ;client_no_context_takeover ; server_no_context_takeover "],
                PLAIN,
            ),
            (&["permessage-deflate; client_max_window_bits=8"], PLAIN),
            (&["permessage-deflate; client_max_window_bits=\"10\""], PLAIN),
            (&["permessage-deflate; server_max_window_bits=\"15\""], windowed),
            (&["bbf-usp-protocol; a=\"x,permessage-deflate\", permessage-deflate"], PLAIN),
            (&["permessage-bzip2", "permessage-deflate"], PLAIN),
            (&["permessage-deflate; server_max_window_bits=10, permessage-deflate"], PLAIN),
            (&["permessage-deflate; new, permessage-deflate; server_max_window_bits=15"], windowed),
            // Declined.
            (&["permessage-deflate; server_max_window_bits=8"], None),
            (&["permessage-deflate; server_max_window_bits"], None),
            (&["permessage-deflate; server_max_window_bits=16"], None),
            (&["permessage-deflate; server_max_window_bits=015"], None),
            (&["permessage-deflate; server_max_window_bits=+15"], None),
            (&["permessage-deflate; client_max_window_bits=7"], None),
            (&["permessage-deflate; client_max_window_bits="], None),
            (&["permessage-deflate; client_max_window_bits=\"10"], None),
            (&["permessage-deflate; server_no_context_takeover=1"], None),
            (&["permessage-deflate; client_no_context_takeover; client_no_context_takeover"], None),
            (&["permessage-deflate; unknown"], None),
            (&["permessage-deflate;"], None),
            (&["\"permessage-deflate\""], None),
        ];
        for (values, expected) in cases {
            assert_eq!(answer_offers(values.iter().copied()), expected, "{values:?}");
        }
    }
}
