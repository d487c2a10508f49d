//! What has happened, as a record: the rules' log, a piece at a time.
//!
//! A task reads a frame on a thread that serves nobody, and waits until its client has taken it. So a
//! client that reads slowly holds no thread and no more than a few frames; one that is slower than
//! there may be is cut off, since its files take room on the disk though the server has removed them.
//! What is cut never looks whole: the connection breaks in the midst of the answer, and the record
//! lacks its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use bellwire_alerting::{RecordError, RecordWriter};
use bellwire_model::limits::{
    LARGE_READ_PATIENCE, RECORD_BYTES_PER_SECOND_MIN, RECORD_PATIENCE, RECORD_PIECE_BYTES,
    RECORDS_SENT_MAX,
};
use bellwire_model::{Timestamp, excerpt, with_causes};
use bellwire_rules::replay::Stretch;
use bellwire_wire::problem::{Code, Problem};
use bytes::Bytes;
use http::{Method, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

use super::App;
use super::pieces::{Piece, Pieces};
use super::time::parse_time;
use crate::audit::{Deed, Kind};
use crate::problem::Refused;

/// Where the rules' log is, and who may read it at a time.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// None where nothing is on the disk.
    folder: Option<PathBuf>,
    places: Arc<Semaphore>,
}

impl Records {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, places: Arc::new(Semaphore::new(RECORDS_SENT_MAX)) }
    }

    fn folder(&self) -> Result<&Path, Problem> {
        self.folder.as_deref().ok_or_else(|| {
            let detail =
                "this server keeps nothing on the disk (`journal`), so nothing is recorded";
            Problem::new(Code::NothingRecorded, detail)
        })
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = tokio::time::timeout(LARGE_READ_PATIENCE, place).await.map_err(|_| {
            let detail = format!("{RECORDS_SENT_MAX} records are read already: come back later");
            Problem::new(Code::ReadersBusy, detail).retry_after(10)
        })?;
        Ok(place.expect("the semaphore is never closed"))
    }
}

/// `GET /v1/record?from=…&to=…`: a record, as `bellwire record` writes it.
pub(super) async fn record(
    State(app): State<Arc<App>>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let stretch = stretch(query.as_deref().unwrap_or_default())?;
    let folder = app.records.folder()?.to_owned();
    let place = app.records.place().await?;
    let mut record = aside(move || RecordWriter::open(&folder, stretch)).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"bellwire.record\""),
    ];
    let (sender, pieces) = mpsc::channel(1);
    let response = (headers, Body::new(Pieces::new(pieces))).into_response();
    // Its head is that of the answer with a record, of which no length is known.
    if method == Method::HEAD {
        return Ok(response);
    }
    tokio::spawn(send(move |bytes| record.write_next(bytes), sender, place));
    Ok(Deed::new(Kind::Recorded).told_by(response))
}

fn stretch(query: &str) -> Result<Stretch, Problem> {
    let mut stretch = Stretch::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "from" => stretch.from = time_of((&name, &value))?,
            "to" => stretch.to = time_of((&name, &value))?,
            other => {
                let detail = format!("`{other}` is no parameter: there are from and to");
                return Err(Problem::new(Code::ParameterInvalid, detail));
            }
        }
    }
    if stretch.from > stretch.to {
        return Err(Problem::new(Code::ParameterInvalid, "`from` is later than `to`"));
    }
    Ok(stretch)
}

fn time_of((name, text): (&str, &str)) -> Result<Timestamp, Problem> {
    parse_time(text).ok_or_else(|| {
        let detail =
            format!("`{name}` is a time in milliseconds since 1970 or as RFC 3339, not `{text}`");
        Problem::new(Code::ParameterInvalid, excerpt(detail))
    })
}

/// Reads on a thread that serves nobody.
async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, RecordError> + Send + 'static,
) -> Result<T, Problem> {
    let read = tokio::task::spawn_blocking(read).await;
    let read = read.map_err(|error| Problem::new(Code::JournalUnavailable, error))?;
    read.map_err(|error| match error {
        RecordError::Nothing => Problem::new(
            Code::NothingRecorded,
            "nothing is recorded: no rule has seen anything yet",
        ),
        RecordError::BeginsLater(_) | RecordError::EndsEarlier(_) => {
            Problem::new(Code::NothingRecorded, error)
        }
        other => {
            let detail = format!("the rules' log cannot be read: {}", with_causes(&other));
            Problem::new(Code::JournalUnavailable, detail)
        }
    })
}

/// Reads a record for as long as somebody takes it, and fast enough. `next` appends what comes next, and
/// says whether anything does.
async fn send<N>(mut next: N, pieces: mpsc::Sender<Piece>, _place: OwnedSemaphorePermit)
where
    N: FnMut(&mut Vec<u8>) -> Result<bool, RecordError> + Send + 'static,
{
    let began = Instant::now();
    let mut sent = 0;
    loop {
        let read = aside(move || {
            let mut bytes = Vec::new();
            while bytes.len() < RECORD_PIECE_BYTES && next(&mut bytes)? {}
            Ok((next, Bytes::from(bytes)))
        });
        let mut bytes = match read.await {
            Ok((back, bytes)) => {
                next = back;
                bytes
            }
            Err(problem) => {
                tracing::warn!(error = %problem.detail(), "A record that is read is cut off.");
                return;
            }
        };
        let is_over = bytes.is_empty();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(RECORD_PIECE_BYTES));
            sent += piece.len() as u64;
            let until = began + RECORD_PATIENCE + slowest(sent);
            match timeout_at(until, pieces.send(Piece::Bytes(piece))).await {
                Ok(Ok(())) => {}
                // The client has left.
                Ok(Err(_)) => return,
                Err(_) => {
                    tracing::warn!(bytes = sent, "A record is read too slowly, and is cut off.");
                    return;
                }
            }
        }
        if is_over {
            let _ = pieces.send(Piece::End).await;
            return;
        }
    }
}

/// How long so many bytes may take.
fn slowest(bytes: u64) -> Duration {
    Duration::from_secs(bytes / RECORD_BYTES_PER_SECOND_MIN)
}

#[cfg(test)]
mod tests;
