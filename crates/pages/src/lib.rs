//! The web pages, as files in memory.
//!
//! `build.rs` has them bundled from `web/` where Node and npm are at hand. Else the binary carries the
//! plain page alone: a board in one bare `EventSource`, which needs no bundling.
//!
//! ```text
//! web/src/**  ──esbuild──▶ index.html, assets/*-HASH.js ──┐
//!                                                         ├─▶ build.rs ─▶ ASSETS ─▶ server::api::web
//! examples/board.html (the plain page), examples/* ───────┘
//! ```

/// A file, as it is served.
#[derive(Debug)]
pub struct Asset {
    /// Below the page's own path, such as `assets/main-4F2A.js`; the page itself is `index.html`.
    pub path: &'static str,
    pub content_type: &'static str,
    /// An entity tag, in quotes.
    pub etag: &'static str,
    /// What a Content Security Policy has to list so that its inline scripts run, such as
    /// `'sha256-…'`; empty where it has none.
    pub inline_scripts: &'static str,
    /// The same of its inline styles.
    pub inline_styles: &'static str,
    pub bytes: &'static [u8],
    pub gzip: Option<&'static [u8]>,
    pub brotli: Option<&'static [u8]>,
    /// Whether its name changes with its content.
    pub is_immutable: bool,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at a path below the page's own; the page itself at the empty one.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    let path = if path.is_empty() { "index.html" } else { path };
    let index = ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok()?;
    ASSETS.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_its_icon_are_there() {
        let page = find("").expect("there is a page");
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(!page.is_immutable);
        assert!(find("icon.svg").is_some());
        assert!(find("no-such-file").is_none());
    }

    #[test]
    fn whatever_the_page_loads_is_embedded() {
        let page = std::str::from_utf8(find("").expect("there is a page").bytes).expect("UTF-8");
        let loaded: Vec<_> = ["src=\"", "href=\""]
            .iter()
            .flat_map(|attribute| page.split(attribute).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .filter(|path| !path.starts_with('#') && !path.contains("openapi.json"))
            .collect();
        // The plain page is whole as it is.
        let is_plain = ASSETS.iter().all(|asset| !asset.is_immutable);
        assert!(loaded.len() >= 3 || is_plain, "{loaded:?}");
        for path in loaded {
            assert!(!path.starts_with('/') && !path.contains("://"), "{path} is not relative");
            assert!(find(path).is_some(), "{path} is not there");
        }
    }

    #[test]
    fn compressed_forms_are_smaller() {
        for asset in ASSETS {
            for form in [asset.gzip, asset.brotli].into_iter().flatten() {
                assert!(form.len() < asset.bytes.len(), "{}", asset.path);
            }
        }
    }
}
