//! Keys that a server keeps, over its API.

use anyhow::{Context, Result};
use bellwire_model::Timestamp;
use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use http::request::Builder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;

use super::super::token::gathered;
use super::{List, Make, Revoke};
use crate::client::{ServerFlag, advised};
use crate::output;

/// A key that was made.
#[derive(Deserialize)]
struct Made {
    id: String,
    key: String,
}

/// The server's list.
#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    subject: String,
    roles: Vec<String>,
    source: String,
    #[serde(default)]
    note: String,
    last_used_at: Option<i64>,
    ends_at: Option<i64>,
    revoked_at: Option<i64>,
}

/// Has the server make a key: standard output has the key alone, so that scripts can take it.
pub(super) fn make(make: Make) -> Result<()> {
    let Make { subject, roles, note, claims, valid_for, server } = make;
    let mut order = json!({ "subject": subject, "roles": roles, "note": note });
    if !claims.is_empty() {
        order["claims"] = gathered(&claims).into();
    }
    if let Some(valid_for) = valid_for {
        order["ends_at"] = bellwire_process::clock::now().saturating_add(valid_for).as_ms().into();
    }
    let request = Request::post("/v1/keys").header(CONTENT_TYPE, "application/json");
    let answer = ask(server, request, order.to_string().into())?;
    let Made { id, key } =
        serde_json::from_slice(&answer).context("the server's answer is not understood")?;
    output::notice(&format!("The server keeps the key {id}. It is shown here and never again:"));
    output::line(&key)
}

/// Prints a table of all keys.
pub(super) fn list(list: List) -> Result<()> {
    let answer = ask(list.server, Request::get("/v1/keys"), Bytes::new())?;
    let Keys { keys } =
        serde_json::from_slice(&answer).context("the server's answer is not understood")?;
    let head = ["ID", "SUBJECT", "ROLES", "SOURCE", "LAST USED", "ENDS", "NOTE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(keys.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        output::line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn row(key: &Key) -> [String; 7] {
    let time = |at: Option<i64>| at.map(|at| Timestamp::from_ms(at).rfc3339().to_string());
    let ends = match (key.revoked_at, key.ends_at) {
        (Some(at), _) => format!("revoked {}", Timestamp::from_ms(at).rfc3339()),
        (None, ends_at) => time(ends_at).unwrap_or_else(|| "never".to_owned()),
    };
    [
        key.id.clone(),
        key.subject.clone(),
        key.roles.join(","),
        key.source.clone(),
        time(key.last_used_at).unwrap_or_else(|| "-".to_owned()),
        ends,
        key.note.clone(),
    ]
    .map(|cell| output::harmless(&cell))
}

/// Takes a key back.
pub(super) fn revoke(revoke: Revoke) -> Result<()> {
    let id = utf8_percent_encode(&revoke.id, NON_ALPHANUMERIC);
    ask(revoke.server, Request::delete(format!("/v1/keys/{id}")), Bytes::new())?;
    output::notice(&format!("The key {} counts no more.", revoke.id));
    Ok(())
}

fn ask(server: ServerFlag, request: Builder, body: Bytes) -> Result<Bytes> {
    let (client, request) = (server.client()?, request.body(body)?);
    let asked = async { client.request(request).await?.bytes().await };
    super::super::runtime()?.block_on(asked).map_err(advised)
}
