//! Logging in at a provider: there and back again, and every way in which one does not come back.

use std::collections::BTreeMap;

use bellwire_process::clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::harness::{Answer, Issuer, Reply, Request, Server, SignerKey, Stream, request};

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A server, and the provider that people log in at.
struct Provided {
    server: Server,
    provider: Issuer,
    key: SignerKey,
    _folder: TempDir,
}

/// A browser that was sent to the provider.
struct Departed {
    cookie: String,
    /// What the provider was told.
    told: BTreeMap<String, String>,
}

impl Provided {
    fn start() -> Self {
        let (provider, key) = (Issuer::start(), SignerKey::new("a"));
        let name = provider.url("");
        provider.reply("/keys", Reply::keys(&[&key]));
        let discovered = json!({
            "issuer": name,
            "jwks_uri": provider.url("/keys"),
            "authorization_endpoint": provider.url("/authorize?tenant=1"),
            "token_endpoint": provider.url("/token"),
        });
        provider.reply(DISCOVERY, Reply::ok(&discovered));
        let folder = TempDir::new().expect("a folder");
        let secret = folder.path().join("client.secret");
        std::fs::write(&secret, "s3cret/+\n").expect("written");
        let text = format!(
            r#"
            external_url = "http://localhost/bell"

            [access]
            session = "1h"

            [[access.issuer]]
            name = "{name}"
            discover = true
            roles_claim = "groups"
            claimable_roles = ["admin"]

            [access.login]
            issuer = "{name}"
            client_id = "bell wire"
            client_secret_file = "{}"
            scopes = ["openid", "groups"]
            "#,
            secret.display()
        );
        let path = folder.path().join("bellwire.toml");
        std::fs::write(&path, text).expect("written");
        let server = Server::start_with(&["--config", path.to_str().expect("text")]);
        Self { server, provider, key, _folder: folder }
    }

    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        request(self.server.address(), Request { method: "GET", path, headers, body: b"" })
    }

    /// A browser leaves for the provider.
    fn depart(&self, query: &str) -> Departed {
        let answer = self.get(&format!("/v1/session/login{query}"), &[]);
        assert_eq!(answer.status, 302, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let cookie = answer.header("set-cookie").expect("a cookie");
        let (cookie, attributes) = cookie.split_once("; ").expect("attributes");
        assert!(cookie.starts_with("__Host-bellwire-login=bwl_"), "{cookie}");
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600");
        let location = answer.header("location").expect("somewhere to go");
        let location = Url::parse(location).expect("a URL");
        assert_eq!(location.path(), "/authorize");
        let told = location.query_pairs().into_owned().collect();
        Departed { cookie: cookie.to_owned(), told }
    }

    fn claims(&self, departed: &Departed) -> Value {
        json!({
            "iss": self.provider.url(""),
            "sub": "ada",
            "aud": "bell wire",
            "exp": clock::now().as_ms() / 1000 + 300,
            "nonce": departed.told["nonce"],
            "groups": ["admin", "blue"],
        })
    }

    /// What the provider gives for any code from now on.
    fn grant(&self, claims: &Value) {
        let id_token = self.key.token(claims);
        self.provider
            .reply("/token", Reply::ok(&json!({ "id_token": id_token, "token_type": "Bearer" })));
    }

    /// A browser comes back.
    fn arrive(&self, query: &str, cookie: &str) -> Answer {
        let headers = [("Cookie", cookie)];
        let headers = if cookie.is_empty() { &headers[..0] } else { &headers[..] };
        self.get(&format!("/v1/session/callback?{query}"), headers)
    }

    #[track_caller]
    fn assert_refused(&self, query: &str, cookie: &str, why: &str) {
        let answer = self.arrive(query, cookie);
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("login_failed")), "{why}");
        assert_eq!(cookies(&answer), ["__Host-bellwire-login="], "{why}: no session");
    }

    /// What comes is of no login of this browser, which keeps the one that it has.
    #[track_caller]
    fn assert_strange(&self, query: &str, cookie: &str, why: &str) {
        let answer = self.arrive(query, cookie);
        assert_eq!((answer.status, &answer.json()["code"]), (403, &json!("login_failed")), "{why}");
        assert!(cookies(&answer).is_empty(), "{why}");
    }
}

/// The cookies of an answer, without their attributes.
fn cookies(answer: &Answer) -> Vec<&str> {
    let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    set.filter_map(|(_, value)| value.split(';').next()).collect()
}

#[test]
fn whoever_logs_in_at_the_provider_has_a_session_here() {
    let provided = Provided::start();
    let ways = provided.get("/v1/session", &[]).json();
    assert!(ways["login"].as_array().is_some_and(|ways| ways.contains(&"oidc".into())), "{ways}");
    let departed = provided.depart("?return=/bell/%3Fteam%3Dblue");
    let told = |name: &str| departed.told.get(name).map(String::as_str);
    assert_eq!(told("tenant"), Some("1"));
    assert_eq!(told("response_type"), Some("code"));
    assert_eq!(told("client_id"), Some("bell wire"));
    assert_eq!(told("redirect_uri"), Some("http://localhost/bell/v1/session/callback"));
    assert_eq!(told("scope"), Some("openid groups"));
    assert_eq!(told("code_challenge_method"), Some("S256"));
    provided.grant(&provided.claims(&departed));
    let query = format!("code=c0de&state={}", departed.told["state"]);
    let answer = provided.arrive(&query, &departed.cookie);
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("location"), Some("/bell/?team=blue"));
    let posted = provided.provider.posted("/token").expect("the code was shown");
    let posted: BTreeMap<String, String> =
        url::form_urlencoded::parse(posted.as_bytes()).into_owned().collect();
    assert_eq!(posted["grant_type"], "authorization_code");
    assert_eq!(posted["code"], "c0de");
    assert_eq!(posted["redirect_uri"], "http://localhost/bell/v1/session/callback");
    assert_eq!(posted["code_verifier"].len(), 43);
    assert!(!posted.contains_key("client_secret"), "it is in a header");

    let set = cookies(&answer);
    let session = set.iter().find(|cookie| cookie.starts_with("__Host-bellwire=bws_"));
    let session = *session.unwrap_or_else(|| panic!("no session: {set:?}"));
    assert!(set.contains(&"__Host-bellwire-login="), "{set:?}");
    let whoami = provided.get("/v1/whoami", &[("Cookie", session)]).json();
    assert_eq!((&whoami["subject"], &whoami["means"]), (&json!("ada"), &json!("session")));
    assert_eq!(whoami["roles"], json!(["admin"]));
    let query = "topic=$sys/audit&after=earliest";
    let mut audit = Stream::open_with(provided.server.address(), query, &[("Cookie", session)]);
    let login = audit.next_of("login").payload();
    assert_eq!((&login["by"], &login["shown"]), (&json!("ada"), &json!("oidc")));
    // It lasts as long as sessions do, not as long as the token that it began with.
    let left_ms = whoami["ends_at"].as_i64().expect("an end") - clock::now().as_ms();
    assert!((600_000..=3_600_000).contains(&left_ms), "{left_ms}");
}

#[test]
fn a_login_is_of_the_browser_that_began_it_and_of_no_other() {
    let provided = Provided::start();
    let (ada, eve) = (provided.depart(""), provided.depart(""));
    assert_ne!(ada.told["state"], eve.told["state"]);
    provided.grant(&provided.claims(&ada));
    let state = |departed: &Departed| format!("code=c0de&state={}", departed.told["state"]);
    provided.assert_strange(&state(&ada), "", "without the browser's cookie");
    provided.assert_strange(&state(&ada), &eve.cookie, "in another browser");
    provided.assert_strange("code=c0de&state=x", &ada.cookie, "with another state");
    provided.assert_strange("code=c0de", &ada.cookie, "without a state");
    let twice = format!("{}&state={}", state(&ada), ada.told["state"]);
    provided.assert_strange(&twice, &ada.cookie, "with two states");
    let both = format!("{}; {}", ada.cookie, eve.cookie);
    provided.assert_strange(&state(&ada), &both, "with two cookies");
    let session = ada.cookie.replace("-login=bwl_", "-login=bws_");
    provided.assert_strange(&state(&ada), &session, "with something else that is sealed");
    let other = format!("{}&iss=https://other", state(&ada));
    provided.assert_refused(&other, &ada.cookie, "from another provider");
    assert_eq!(provided.provider.asked("/token"), 0, "the provider was not asked");
    let refused = format!("error=access_denied&state={}", ada.told["state"]);
    provided.assert_refused(&refused, &ada.cookie, "with a refusal");
    // To people it is a page, which quotes nothing.
    let query = format!("error=%3Cscript%3E&error_description=x&state={}", ada.told["state"]);
    let headers = [("Cookie", ada.cookie.as_str()), ("Accept", "text/html,*/*")];
    let page = provided.get(&format!("/v1/session/callback?{query}"), &headers);
    assert!(page.text().contains("You are not logged in") && !page.text().contains("script"));
}

#[test]
fn a_token_of_another_login_or_for_somebody_else_logs_nobody_in() {
    let provided = Provided::start();
    let departed = provided.depart("");
    let query = format!("code=c0de&state={}", departed.told["state"]);
    let good = provided.claims(&departed);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    for wrong in [
        with("nonce", json!("other")),
        with("nonce", Value::Null),
        with("aud", json!("other")),
        with("iss", json!("https://other")),
        with("azp", json!("other")),
        with("exp", json!(1)),
        with("exp", Value::Null),
        with("sub", json!("")),
    ] {
        provided.grant(&wrong);
        provided.assert_refused(&query, &departed.cookie, &wrong.to_string());
    }
    let forged = SignerKey::new("a").token(&good);
    let whole = |status, body: &str| Reply::Whole(status, String::new(), body.to_owned());
    for reply in [
        Reply::ok(&json!({ "id_token": forged })),
        Reply::ok(&json!({ "access_token": "a" })),
        whole("400 Bad Request", r#"{"error":"invalid_grant"}"#),
        whole("200 OK", "<html>"),
        whole("200 OK", &" ".repeat(100_000)),
        Reply::redirect("/elsewhere"),
    ] {
        provided.provider.reply("/token", reply.clone());
        provided.assert_refused(&query, &departed.cookie, &format!("{reply:?}"));
    }
    provided.grant(&good);
    assert_eq!(provided.arrive(&query, &departed.cookie).status, 303);
}

#[test]
fn a_login_leads_nowhere_but_to_this_server() {
    let provided = Provided::start();
    for bad in
        ["https://evil.example", "//evil.example", "/%5Cevil.example", "/%09/evil.example", ""]
    {
        let answer = provided.get(&format!("/v1/session/login?return={bad}"), &[]);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (400, &json!("parameter_invalid")),
            "{bad}"
        );
    }
    let departed = provided.depart("");
    provided.grant(&provided.claims(&departed));
    let query = format!("code=c0de&state={}", departed.told["state"]);
    let answer = provided.arrive(&query, &departed.cookie);
    assert_eq!(answer.header("location"), Some("/bell/"));
}
