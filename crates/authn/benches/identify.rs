//! What it costs a request to say who sends it: with a token that was verified a moment ago, as most
//! do, with one that is new, and with one that counts for nothing.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bellwire_access::jwt::{Expiry, signed};
use bellwire_authn::config::{AccessConfig, IssuerConfig, IssuerKey, IssuerKeys, KeySource};
use bellwire_authn::{Authenticator, Figures, Places, SecretPlace, Shown};
use bellwire_process::clock;
use divan::{Bencher, black_box};
use serde_json::json;
use tempfile::TempDir;

const SECRET: &[u8; 32] = &[b'7'; 32];
const OTHER_SECRET: &[u8; 32] = &[b'8'; 32];

/// In 2096, in seconds since the Unix epoch.
const ENDS_AT_S: u64 = 4_000_000_000;

fn main() {
    divan::main();
}

/// A server that takes the tokens of one issuer, and where its secret is.
fn authenticator() -> (Authenticator, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let issuer = IssuerConfig {
        name: "me".into(),
        audiences: Vec::new(),
        expiry: Expiry::Required,
        leeway: Duration::ZERO,
        subject_claim: "sub".into(),
        roles: Box::default(),
        roles_claim: None,
        claimable_roles: Box::default(),
        keys: IssuerKeys::Configured(vec![IssuerKey {
            id: Some("a".into()),
            source: KeySource::SecretFile(secret),
        }]),
    };
    let config = AccessConfig { issuers: vec![issuer], ..AccessConfig::default() };
    let authenticator =
        Authenticator::new(Some(&config), SecretPlace::Process, Arc::new(Figures::default()));
    (authenticator.expect("a configuration"), folder)
}

/// What is in a head.
fn authorization(number: u64, secret: &[u8]) -> Vec<u8> {
    let claims = json!({ "iss": "me", "sub": format!("ada-{number}"), "exp": ENDS_AT_S });
    let token = signed(Some("a"), claims.as_object().expect("an object"), secret);
    format!("Bearer {token}").into_bytes()
}

/// Whether what is in a head counts.
fn identify(authenticator: &Authenticator, authorization: &[u8]) -> bool {
    let places = Places { authorization: Some(authorization), ..Places::default() };
    let Ok(shown) = Shown::at(places) else { return false };
    if authenticator.known(&shown, clock::now()).is_some() {
        return true;
    }
    // A token waits for nobody.
    match pin!(authenticator.identify(&shown, None)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(identity) => identity.is_ok(),
        Poll::Pending => false,
    }
}

#[divan::bench]
fn a_token_that_is_known(bencher: Bencher<'_, '_>) {
    let ((authenticator, _folder), known) = (authenticator(), authorization(0, SECRET));
    assert!(identify(&authenticator, &known));
    bencher.bench_local(|| identify(&authenticator, black_box(&known)));
}

#[divan::bench]
fn a_token_that_is_new(bencher: Bencher<'_, '_>) {
    let (authenticator, _folder) = authenticator();
    let mut number = 0;
    let next = || {
        number += 1;
        authorization(number, SECRET)
    };
    bencher.with_inputs(next).bench_local_refs(|new| assert!(identify(&authenticator, new)));
}

#[divan::bench]
fn a_token_that_counts_for_nothing(bencher: Bencher<'_, '_>) {
    let (authenticator, _folder) = authenticator();
    let wrong = authorization(0, OTHER_SECRET);
    bencher.bench_local(|| assert!(!identify(&authenticator, black_box(&wrong))));
}
