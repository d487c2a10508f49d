//! Pages of history that a client may keep, and how it learns that what it has still holds.
//!
//! Events at their offsets never change, but retention removes them from the front. So what a page
//! has is told by where it begins and ends and by what is gone: whether a copy of it holds is found
//! without reading it again.

use std::fmt;
use std::str::FromStr;

use axum::response::{IntoResponse, Response};
use bellwire_journal::Journal;
use bellwire_model::limits::PAGE_MAX_AGE;
use bellwire_model::{Cursor, FilterSet, Offset};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Of how pages are written; another one when that changes, so that no copy from before holds.
const VERSION: u32 = 1;

/// Where a page begins, and how many events it has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PagePlace {
    pub(super) after: Cursor,
    pub(super) limit: usize,
}

/// What tells a page from all others of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageTag {
    pub(super) place: PagePlace,
    pub(super) end: Offset,
    /// The newest event of the topic that was gone.
    pub(super) trimmed: Offset,
    /// No event that is still to come belongs to it.
    pub(super) is_full: bool,
}

impl fmt::Display for PageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place: PagePlace { after, limit }, end, trimmed, is_full } = self;
        let is_full = u8::from(*is_full);
        write!(f, "\"{VERSION}.{after}.{limit}.{end}.{trimmed}.{is_full}\"")
    }
}

impl FromStr for PageTag {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        // Something on the way may have made it a weak one, by compressing the page.
        let text = text.strip_prefix("W/").unwrap_or(text);
        let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or(())?;
        let parts: Vec<&str> = text.split('.').collect();
        let [version, after, limit, end, trimmed, is_full] = parts[..] else { return Err(()) };
        if version.parse() != Ok(VERSION) {
            return Err(());
        }
        let offset = |text: &str| text.parse().map(Offset::new).map_err(drop);
        let place =
            PagePlace { after: after.parse().map_err(drop)?, limit: limit.parse().map_err(drop)? };
        let is_full = match is_full {
            "0" => false,
            "1" => true,
            _ => return Err(()),
        };
        Ok(Self { place, end: offset(end)?, trimmed: offset(trimmed)?, is_full })
    }
}

impl PageTag {
    /// The tags of pages that a client has.
    pub(super) fn all_of(headers: &HeaderMap) -> Vec<Self> {
        let lists = headers.get_all(header::IF_NONE_MATCH).iter();
        let texts = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        texts.filter_map(|text| text.parse().ok()).collect()
    }

    /// Whether a page that is read now would be this one.
    pub(super) fn holds(
        &self,
        (journal, filters): (&dyn Journal, &FilterSet),
        place: PagePlace,
    ) -> bool {
        let is_here = || {
            let trimmed = journal.trimmed(filters);
            let before = self.place.after.offset;
            // What is gone before it is none of its own.
            trimmed == self.trimmed || trimmed.max(self.trimmed) <= before
        };
        self.place == place && (self.is_full || journal.bounds().tail == self.end) && is_here()
    }

    /// The answer that it still holds.
    pub(super) fn not_modified(&self, keeping: Keeping) -> Response {
        self.marked(StatusCode::NOT_MODIFIED.into_response(), keeping)
    }

    /// The answer with what a client needs to keep it.
    pub(super) fn marked(&self, mut response: Response, keeping: Keeping) -> Response {
        let headers = response.headers_mut();
        let tag = HeaderValue::try_from(self.to_string()).expect("digits, dots and dashes");
        headers.insert(header::ETAG, tag);
        let control = match keeping {
            Keeping::AsItIs if self.is_full => {
                format!("private, max-age={}, immutable", PAGE_MAX_AGE.as_secs())
            }
            Keeping::AsItIs | Keeping::Asking => "private, no-cache".to_owned(),
        };
        let control = HeaderValue::try_from(control).expect("words and digits");
        headers.insert(header::CACHE_CONTROL, control);
        headers.append(header::VARY, HeaderValue::from_static("Authorization, Cookie"));
        response
    }
}

/// How a client may keep a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// For a while, without asking again, where it is full.
    AsItIs,
    /// It has to ask whether it still holds: what somebody may read can change, and what is the first
    /// page can, too.
    Asking,
}

#[cfg(test)]
mod tests {
    use bellwire_model::Epoch;

    use super::*;

    fn tag() -> PageTag {
        let after = Cursor::new(Epoch::new(7), Offset::new(1041));
        let place = PagePlace { after, limit: 100 };
        PageTag { place, end: Offset::new(1_200), trimmed: Offset::new(9), is_full: true }
    }

    #[test]
    fn a_tag_is_read_as_it_was_written() {
        assert_eq!(tag().to_string(), "\"1.e7-1041.100.1200.9.1\"");
        assert_eq!(tag().to_string().parse(), Ok(tag()));
        assert_eq!(format!(" W/{}", tag()).parse(), Ok(tag()));
        for wrong in [
            "",
            "*",
            "\"\"",
            "1.e7-1041.100.1200.9.1",
            "\"2.e7-1041.100.1200.9.1\"",
            "\"1.e7-1041.100.1200.9.2\"",
            "\"1.e7-1041.100.1200.9\"",
            "\"1.x.100.1200.9.1\"",
        ] {
            assert_eq!(wrong.parse::<PageTag>(), Err(()), "{wrong}");
        }
        let mut headers = HeaderMap::new();
        let list = format!("\"other\", {}", tag());
        headers.append(header::IF_NONE_MATCH, HeaderValue::try_from(list).expect("a header"));
        headers.append(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        assert_eq!(PageTag::all_of(&headers), [tag()]);
    }
}
