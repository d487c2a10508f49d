//! The web page and the API's description, embedded.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};

/// The page loads what comes from here and nothing else, in no frame, and tells nobody where it was.
/// `Strict-Transport-Security` is not among them: it would bind all ports of the name, and other
/// services on them.
const POLICIES: [(HeaderName, HeaderValue); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; \
             form-action 'none'",
        ),
    ),
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

pub(super) async fn index() -> Response {
    asset("text/html; charset=utf-8", include_str!("../../../../web/index.html"))
}

pub(super) async fn board_css() -> Response {
    asset("text/css; charset=utf-8", include_str!("../../../../web/board.css"))
}

pub(super) async fn board_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/board.js"))
}

pub(super) async fn attend_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/attend.js"))
}

pub(super) async fn history_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/history.js"))
}

pub(super) async fn timeline_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/timeline.js"))
}

pub(super) async fn query_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/query.js"))
}

pub(super) async fn presence_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/presence.js"))
}

pub(super) async fn text_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/text.js"))
}

pub(super) async fn login_js() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../../../web/login.js"))
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", include_str!("../../../../web/icon.svg"))
}

pub(super) async fn openapi() -> Response {
    asset("application/json", include_str!("../../openapi.json"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    (POLICIES, [(header::CONTENT_TYPE, content_type)], text).into_response()
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
