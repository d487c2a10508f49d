//! The web pages and the API's description, embedded.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use bellwire_pages::Asset;
use bellwire_shards::takes_coding;
use bellwire_wire::problem::{Code, Problem};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};

use super::App;
use crate::problem::Refused;

/// Of what has its content's hash in its name.
const KEPT_FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// What comes from here and nothing else.
const POLICY: &str = "default-src 'self'; object-src 'none'; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'none'";

/// The page loads what comes from here and nothing else, in no frame, and tells nobody where it was.
/// `Strict-Transport-Security` is not among them: it would bind all ports of the name, and other
/// services on them.
const POLICIES: [(HeaderName, HeaderValue); 8] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // For browsers that do not know `frame-ancestors`.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), \
             publickey-credentials-get=(), usb=()",
        ),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

pub(super) async fn index(headers: HeaderMap) -> Response {
    file("", &headers)
}

/// What the page loads by a name that changes with its content.
pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&format!("assets/{name}"), &headers)
}

/// What is loaded by a name that stays: the address is the file's.
pub(super) async fn named(uri: Uri, headers: HeaderMap) -> Response {
    file(uri.path().trim_start_matches('/'), &headers)
}

/// A page of the examples, where this server shows them.
pub(super) async fn example(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !app.shows_examples {
        return no_examples();
    }
    file(&format!("examples/{name}"), &headers)
}

/// Their list: its links are below the path with a slash behind it.
pub(super) async fn examples(State(app): State<Arc<App>>) -> Response {
    if !app.shows_examples {
        return no_examples();
    }
    // Not for good: browsers would keep it for a server at this address that shows none.
    Redirect::temporary("examples/index.html").into_response()
}

fn no_examples() -> Response {
    let detail = "the examples are pages of `bellwire demo`: this server shows none";
    Refused(Problem::new(Code::NotFound, detail)).into_response()
}

pub(super) async fn openapi() -> Response {
    let text = include_str!("../../openapi.json");
    (POLICIES, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A file of the pages, in the smallest form that the client takes.
fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = bellwire_pages::find(path) else {
        let detail = "there is no such file in this version of the pages: load the page again";
        return Refused(Problem::new(Code::NotFound, detail)).into_response();
    };
    let mut response = if has(asset, headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let (coding, bytes) = smallest(asset, headers);
        let mut response = bytes.into_response();
        if let Some(coding) = coding {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        response
    };
    let answer = response.headers_mut();
    answer.extend(POLICIES);
    if asset.is_immutable {
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(KEPT_FOR_GOOD));
    }
    answer.insert(header::CONTENT_SECURITY_POLICY, policy(asset));
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    answer.insert(header::ETAG, HeaderValue::from_static(asset.etag));
    answer.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// What stands in the page itself may run, and nothing else that does not come from here.
fn policy(asset: &Asset) -> HeaderValue {
    let Asset { inline_scripts, inline_styles, .. } = asset;
    if inline_scripts.is_empty() && inline_styles.is_empty() {
        return HeaderValue::from_static(POLICY);
    }
    let policy =
        format!("{POLICY}; script-src 'self' {inline_scripts}; style-src 'self' {inline_styles}");
    HeaderValue::try_from(policy).expect("words of a policy")
}

/// Whether the client says that it has this file.
fn has(asset: &Asset, headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    // Something on the way may have made it a weak one, by compressing the answer.
    tags.any(|tag| tag.trim().trim_start_matches("W/") == asset.etag)
}

fn smallest(asset: &Asset, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|list| list.to_str().ok());
    let forms = [("br", asset.brotli), ("gzip", asset.gzip)];
    let mut taken = forms.into_iter().filter(|(coding, _)| takes_coding(accepted, coding));
    let found = taken.find_map(|(coding, bytes)| Some((Some(coding), bytes?)));
    found.unwrap_or((None, asset.bytes))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::fmt;

    use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer};
    use serde_json::Value;

    use bellwire_wire::problem::Code;

    fn description() -> Value {
        let text = include_str!("../../openapi.json");
        serde_json::from_str(text).expect("the description is JSON")
    }

    /// Every path with each of its methods, as the source of the routers has them: whatever is called
    /// there is a method, so that `any` and `nest` are, too, and are nowhere else.
    pub(in crate::api) fn routed() -> BTreeSet<(String, String)> {
        let mut routed = BTreeSet::new();
        let routers = [include_str!("../api.rs"), include_str!("durable_streams.rs")];
        for text in routers.iter().flat_map(|text| text.split("Router::new()").skip(1)) {
            let (text, _) = text.split_once("\n}").expect("a function ends");
            let end = [".merge(", ".route_layer("].iter().filter_map(|end| text.find(end)).min();
            let (text, rest) = text.split_at(end.unwrap_or(text.len()));
            assert!(!rest.contains(".route("), "a route behind what ends the routes: {rest}");
            routed.extend(routes_of(text));
        }
        routed
    }

    fn routes_of(text: &str) -> BTreeSet<(String, String)> {
        let text: String = text.lines().filter(|line| !line.trim().starts_with("//")).collect();
        let mut routed = BTreeSet::new();
        for route in text.split(".route(").skip(1) {
            let path = route.split('"').nth(1).expect("a route begins with its path");
            for before in route.split('(').collect::<Vec<_>>().split_last().expect("a call").1 {
                let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let name = before.rsplit(|c| !is_of_name(c)).next().expect("there is one at least");
                routed.insert((path.replace("{*", "{"), name.to_owned()));
            }
        }
        routed
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description = description();
        let paths = description["paths"].as_object().expect("the description has paths");
        let mut described = BTreeSet::new();
        for (path, methods) in paths {
            let methods = methods.as_object().expect("a path has methods").keys();
            let methods = methods.filter(|method| *method != "parameters" && *method != "summary");
            described.extend(methods.map(|method| (path.clone(), method.clone())));
        }
        let routed = routed().into_iter();
        // OpenAPI 3.1 knows no `CONNECT`.
        assert_eq!(described, routed.filter(|(_, method)| method != "connect").collect());
    }

    /// JSON in which no object names a member twice, of which each reader would take another one.
    struct Distinct;

    impl<'de> Deserialize<'de> for Distinct {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Self)
        }
    }

    impl<'de> Visitor<'de> for Distinct {
        type Value = Self;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("JSON")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
            let mut names = BTreeSet::new();
            while let Some((name, Self)) = map.next_entry::<String, Self>()? {
                if let Some(name) = names.replace(name) {
                    return Err(A::Error::custom(format!("`{name}` stands there twice")));
                }
            }
            Ok(self)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
            while items.next_element::<Self>()?.is_some() {}
            Ok(self)
        }

        fn visit_str<E>(self, _: &str) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
            Ok(self)
        }

        fn visit_unit<E>(self) -> Result<Self, E> {
            Ok(self)
        }
    }

    #[test]
    fn the_description_says_nothing_twice() {
        let read = serde_json::from_str::<Distinct>(include_str!("../../openapi.json"));
        assert_eq!(read.err().map(|error| error.to_string()), None);
        assert!(serde_json::from_str::<Distinct>(r#"{"a":[{"b":1,"b":true}]}"#).is_err());
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let description = description();
        let text = description.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().expect("a reference ends");
            assert!(description.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn the_description_has_every_code_of_a_problem() {
        let description = description();
        let pointer = "/components/schemas/Problem/properties/code/enum";
        let described = description.pointer(pointer).expect("problems have a code");
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(*described, serde_json::json!(codes));
    }
}
