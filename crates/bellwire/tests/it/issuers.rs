//! Issuers that publish their keys, and do so badly: down, slow, wrong, elsewhere.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};

use bellwire_process::clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{
    Answer, Authority, Issuer, Port, Reply, Request, Server, SignerKey, bellwire, get, request,
    until,
};

const NAME: &str = "https://id.example";
const KEYS: &str = "/keys";

/// A server whose configuration has these issuers. Strangers run it, so that its figures can be read.
fn server(issuers: &str) -> (Server, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let text = format!("[access]\nanonymous = \"admin\"\n{issuers}");
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    (Server::start_with(&["--config", path.to_str().expect("text")]), folder)
}

fn published(name: &str, keys: &str) -> String {
    format!("[[access.issuer]]\nname = \"{name}\"\nroles = [\"admin\"]\n{keys}\n")
}

fn claims(issuer: &str, subject: &str) -> Value {
    json!({ "iss": issuer, "sub": subject, "exp": clock::now().as_ms() / 1000 + 3600 })
}

fn whoami(server: &Server, token: &str) -> Answer {
    whoami_at(server.address(), token)
}

fn whoami_at(address: SocketAddr, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str())];
    let whoami = Request { method: "GET", path: "/v1/whoami", headers: &headers, body: b"" };
    request(address, whoami)
}

/// Until a key that is not known may be asked for again.
fn wait_until_keys_may_be_asked_for(server: &Server) {
    let age = || server.figure("bellwire_issuer_keys_age_seconds");
    until("keys that were fetched just now are told of", || age() < 11);
    until("keys are some seconds old", || age() >= 11);
}

#[test]
fn a_key_that_was_exchanged_counts_at_the_first_try_under_a_new_name_and_the_old_one() {
    let authority = Authority::new();
    let issuer = Issuer::start_with_tls(&authority);
    let [first, second] = ["a", "b"].map(SignerKey::new);
    issuer.reply(KEYS, Reply::keys(&[&first]));
    let ca_file = authority.path("authority.pem");
    let keys = format!("keys_url = \"{}\"\nca_file = \"{ca_file}\"", issuer.url(KEYS));
    let (server, folder) = server(&published(NAME, &keys));
    let ada = first.token(&claims(NAME, "ada"));
    assert_eq!(whoami(&server, &ada).json()["subject"], "ada");
    // Whoever has no server at hand fetches them, too.
    let config = folder.path().join("bellwire.toml");
    let config = config.to_str().expect("text");
    let explained = bellwire(&["token", "explain", "--config", config, &ada]).output();
    let explained = String::from_utf8(explained.expect("it runs").stdout).expect("text");
    assert!(explained.contains("subject      ada"), "{explained}");

    issuer.reply(KEYS, Reply::keys(&[&second]));
    wait_until_keys_may_be_asked_for(&server);
    let asked = issuer.asked(KEYS);
    let bob = whoami(&server, &second.token(&claims(NAME, "bob")));
    assert_eq!(bob.json()["subject"], "bob");
    assert_eq!(issuer.asked(KEYS), asked + 1);

    let other = SignerKey::new("b");
    issuer.reply(KEYS, Reply::keys(&[&other]));
    wait_until_keys_may_be_asked_for(&server);
    let cleo = whoami(&server, &other.token(&claims(NAME, "cleo")));
    assert_eq!(cleo.json()["subject"], "cleo");
    // Keys are swapped as a whole: what is not published any more counts no more.
    for gone in [&first, &second] {
        assert_eq!(whoami(&server, &gone.token(&claims(NAME, "eve"))).status, 401);
    }
}

#[test]
fn names_of_keys_that_nobody_has_do_not_make_an_issuer_be_asked_for_each() {
    let issuer = Issuer::start();
    let key = SignerKey::new("a");
    issuer.reply(KEYS, Reply::keys(&[&key]));
    let began = clock::steady();
    let (server, _folder) =
        server(&published(NAME, &format!("keys_url = \"{}\"", issuer.url(KEYS))));
    assert_eq!(whoami(&server, &key.token(&claims(NAME, "ada"))).status, 200);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let address = server.address();
            scope.spawn(move || {
                for number in 0..100 {
                    let stranger = SignerKey::new(&format!("{thread}-{number}"));
                    let token = stranger.token(&claims(NAME, "eve"));
                    assert_eq!(whoami_at(address, &token).status, 401);
                    // Forged under a name that there is.
                    let token = SignerKey::new("a").token(&claims(NAME, "eve"));
                    assert_eq!(whoami_at(address, &token).status, 401);
                }
            });
        }
    });
    let most = 2 + clock::steady().saturating_since(began).as_secs() / 10;
    let asked = issuer.asked(KEYS) as u64;
    assert!((1..=most).contains(&asked), "{asked} of {most}");
    assert_eq!(whoami(&server, &key.token(&claims(NAME, "ada"))).status, 200);
}

#[test]
fn a_server_starts_without_its_issuer_and_takes_its_tokens_when_it_is_there() {
    let port = Port::new();
    let key = SignerKey::new("a");
    let url = format!("http://{}{KEYS}", port.address());
    let (server, _folder) = server(&published(NAME, &format!("keys_url = \"{url}\"")));
    let token = key.token(&claims(NAME, "ada"));
    let answer = whoami(&server, &token);
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("issuer_unavailable")));
    assert_eq!(answer.header("retry-after"), Some("10"));
    server.wait_for_figure("bellwire_issuers_without_keys", 1);
    let ready = get(server.address(), "/readyz");
    assert_eq!(ready.status, 200);
    let told = format!("the keys of the issuer {NAME} are missing: {url}: ");
    until("it is told why the keys are missing", || {
        get(server.address(), "/readyz").text().contains(&told)
    });

    let issuer = Issuer::at(TcpListener::bind(port.address()).expect("a free port"), None);
    issuer.reply(KEYS, Reply::keys(&[&key]));
    until("the token counts", || whoami(&server, &token).status == 200);
    assert_eq!(get(server.address(), "/readyz").text(), "ready\n");
    server.wait_for_figure("bellwire_issuers_without_keys", 0);
}

#[test]
fn whatever_an_issuer_does_its_tokens_are_not_taken_and_whoever_runs_the_server_is_told_why() {
    let (issuer, elsewhere) = (Issuer::start(), Issuer::start());
    let secure = Issuer::start_with_tls(&Authority::new());
    let key = SignerKey::new("a");
    for issuer in [&issuer, &elsewhere, &secure] {
        issuer.reply(KEYS, Reply::keys(&[&key]));
    }
    let whole = |status, body: &str| Reply::Whole(status, String::new(), body.to_owned());
    let replies = [
        ("/down", whole("503 Service Unavailable", ""), "it answers 503"),
        ("/html", whole("200 OK", "<html>maintenance</html>"), "this is no JSON Web Key Set"),
        ("/twice", whole("200 OK", r#"{"keys":[],"keys":[]}"#), "this is no JSON Web Key Set"),
        ("/empty", whole("200 OK", r#"{"keys":[]}"#), "publishes no key that can be used"),
        ("/huge", whole("200 OK", &" ".repeat(300 * 1024)), "has more than 262144 bytes"),
        ("/slow", Reply::Silence, "no whole answer came within 10 s"),
        ("/loop", Reply::redirect("/loop"), "redirects more than 3 times"),
        ("/nowhere", whole("302 Found", ""), "redirects without saying where to"),
        ("/elsewhere", Reply::redirect(&elsewhere.url(KEYS)), "no redirect is followed"),
        ("/file", Reply::redirect("file:///etc/passwd"), "no redirect is followed"),
    ];
    let mut text = String::new();
    for (path, reply, _) in &replies {
        issuer.reply(path, reply.clone());
        let keys = format!("keys_url = \"{}\"", issuer.url(path));
        text.push_str(&published(&format!("https://{}", &path[1..]), &keys));
    }
    text.push_str(&published("https://untrusted", &format!("keys_url = \"{}\"", secure.url(KEYS))));
    // One that calls itself otherwise than it is called.
    let discovery = "/.well-known/openid-configuration";
    let other = json!({ "issuer": "https://other", "jwks_uri": issuer.url(KEYS) });
    elsewhere.reply(discovery, Reply::ok(&other));
    text.push_str(&published(&elsewhere.url(""), "discover = true"));
    // Redirects within one origin are followed.
    issuer.reply("/moved", Reply::redirect(KEYS));
    text.push_str(&published("https://moved", &format!("keys_url = \"{}\"", issuer.url("/moved"))));
    let (server, _folder) = server(&text);

    assert_eq!(whoami(&server, &key.token(&claims("https://moved", "ada"))).status, 200);
    for (path, ..) in &replies {
        let name = format!("https://{}", &path[1..]);
        let status = whoami(&server, &key.token(&claims(&name, "ada"))).status;
        assert_eq!(status, if *path == "/empty" { 401 } else { 503 }, "{path}");
    }
    let mut reasons: Vec<String> = Vec::new();
    reasons.extend(replies.iter().map(|(path, _, why)| format!("https://{} … {why}", &path[1..])));
    reasons.push("https://untrusted … invalid peer certificate: UnknownIssuer".to_owned());
    reasons.push(format!("{} … the issuer calls itself `https://other`", elsewhere.url("")));
    for reason in reasons {
        let (name, why) = reason.split_once(" … ").expect("two parts");
        until(&reason, || {
            let ready = get(server.address(), "/readyz");
            let name = format!("the issuer {name} ");
            ready.text().lines().any(|line| line.contains(&name) && line.contains(why))
        });
    }
    assert_eq!(elsewhere.asked(KEYS), 0, "nobody was sent there");
}

#[test]
fn an_issuer_says_itself_where_its_keys_are() {
    let issuer = Issuer::start();
    let key = SignerKey::new("a");
    let name = issuer.url("/realms/a");
    issuer.reply(KEYS, Reply::keys(&[&key]));
    let discovered = json!({ "issuer": name, "jwks_uri": issuer.url(KEYS) });
    issuer.reply("/realms/a/.well-known/openid-configuration", Reply::ok(&discovered));
    let (server, _folder) = server(&published(&name, "discover = true"));
    assert_eq!(whoami(&server, &key.token(&claims(&name, "ada"))).json()["subject"], "ada");
    // Whose keys they are is a matter of the name, wherever they are.
    assert_eq!(whoami(&server, &key.token(&claims(NAME, "ada"))).status, 401);
    server.wait_for_figure("bellwire_issuers_without_keys", 0);
    let mut figures = String::new();
    for name in ["bellwire_issuer_keys_fetches_total", "bellwire_issuer_keys_failures_total"] {
        write!(figures, "{} ", server.figure(name)).expect("a text grows");
    }
    assert_eq!(figures, "1 0 ");
}

#[test]
fn strangers_are_told_that_keys_are_missing_and_not_whose() {
    let folder = TempDir::new().expect("a folder");
    let text = format!("[access]\n{}", published(NAME, "keys_url = \"http://127.0.0.1:9/keys\""));
    let path = folder.path().join("bellwire.toml");
    std::fs::write(&path, text).expect("written");
    let server = Server::start_with(&["--config", path.to_str().expect("text")]);
    let ready = get(server.address(), "/readyz");
    let told = "ready\nthe keys of an issuer of tokens are missing\n";
    assert_eq!((ready.status, ready.text()), (200, told));
}
