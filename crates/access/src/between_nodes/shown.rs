//! What the header of a request of a node says.

use bellwire_model::Timestamp;

use super::{NodeRefusal, Nonce};

/// The form of what is said. Another one is another number, so that a node that does not know it refuses it.
pub(super) const VERSION: &str = "2";

/// What a node shows with a request, but for the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The id of the node that asks.
    pub from: &'a str,
    /// When it asks.
    pub at: Timestamp,
    /// Another one each time.
    pub nonce: Nonce,
    /// The names of the headers that are signed, with commas between them.
    pub headers: &'a str,
    /// The digest of the body, as text; nothing where it is signed behind its end.
    pub body: Option<&'a str>,
}

impl<'a> Shown<'a> {
    /// What a header says, and its tag.
    pub fn read(text: &'a str) -> Result<(Self, &'a str), NodeRefusal> {
        let read = || {
            let mut parts = text.split(' ');
            let mut next = || parts.next();
            if next()? != VERSION {
                return None;
            }
            let from = next()?;
            let at = Timestamp::from_ms(next()?.parse().ok()?);
            let nonce = Nonce::read(next()?)?;
            let headers = next()?.strip_prefix("h=")?;
            let body = Some(next()?.strip_prefix("b=")?).filter(|body| !body.is_empty());
            let tag = next()?;
            let shown = Self { from, at, nonce, headers, body };
            next().is_none().then_some((shown, tag))
        };
        read().ok_or(NodeRefusal::Malformed)
    }

    /// What stands before the tag.
    pub(super) fn text(&self) -> String {
        let Self { from, at, nonce, headers, body } = self;
        let (at, body) = (at.as_ms(), body.unwrap_or_default());
        format!("{VERSION} {from} {at} {nonce} h={headers} b={body}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_as_it_was() {
        for (headers, body) in [("", None), ("accept,host", Some("abc"))] {
            let nonce = Nonce::new(u64::MAX, 3);
            let shown = Shown { from: "a", at: Timestamp::from_ms(-1), nonce, headers, body };
            let text = format!("{} t", shown.text());
            assert_eq!(Shown::read(&text), Ok((shown, "t")));
        }
    }
}
