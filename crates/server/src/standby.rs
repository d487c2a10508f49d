//! The hot standby of the rules, between nodes: one copies what the keeper of the desk writes down, and
//! takes over with that.
//!
//! ```text
//! standby ── POST /v1/nodes/standby?stream=…&log=7&bytes=812&wait=1 ─▶ keeper
//!         ◀── Bellwire-Standby: 0 7 <digest>, vouched for; the next bytes of log 7 ──
//! ```
//!
//! Each request says what its sender has, and each answer is as much of what comes next as there is. The
//! record `alerting/standby` in the log names the standby, under the fence of the keeper's term: whoever
//! takes over goes by that.

mod follow;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bellwire_alerting::{
    Begun, Named, Noted, Notice, Piece, Place, Standby, StandbyReport, StandbyStage, Want,
};
use bellwire_journal::{Journal, RecordChange};
use bellwire_model::limits::STANDBY_FIRST;
use bellwire_wire::problem::{Code, Problem};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Interval;

use crate::membership::Membership;

/// Where the keeper is asked.
pub(crate) const PATH: &str = "/v1/nodes/standby";

/// What an answer says of its content.
pub(crate) const TOLD: HeaderName = HeaderName::from_static("bellwire-standby");

/// Who the standby is, in the log.
pub(crate) const RECORD: &str = "alerting/standby";

/// How often it is looked what is to be noted of the standby.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The pause before what the log did not take is offered again.
const AGAIN: Duration = Duration::from_millis(200);

/// Where a node has its copy, in its data directory.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("standby")
}

/// A standby, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InLog {
    pub(crate) node: Box<str>,
    /// By what the keeper knows its copy.
    pub(crate) stream: u64,
    /// Whose rules it has.
    pub(crate) evaluation: Box<str>,
}

impl InLog {
    /// Who is named; nobody where that is of a newer version.
    pub(crate) fn read(journal: &dyn Journal) -> Result<Option<Self>, bellwire_journal::Error> {
        let records = journal.records(RECORD)?;
        Ok(records.first().and_then(|record| serde_json::from_slice(&record.value).ok()))
    }

    /// How long a node leaves the desk to the standby that is named: not at all where it is that itself.
    pub(crate) fn deference(named: Option<&Self>, node: &str) -> Duration {
        let is_another = named.is_some_and(|named| &*named.node != node);
        if is_another { STANDBY_FIRST } else { Duration::ZERO }
    }

    /// The same without whose rules they are.
    pub(crate) fn named(&self) -> Named {
        Named { node: self.node.clone(), stream: self.stream }
    }

    /// The change that names it.
    fn change(&self) -> RecordChange {
        let value = serde_json::to_vec(self).expect("texts and a number");
        RecordChange { key: RECORD.into(), value: Some(value.into()) }
    }

    /// The change after which nobody is named.
    pub(crate) fn none() -> RecordChange {
        RecordChange { key: RECORD.into(), value: None }
    }
}

/// What a node does of this that is not the keeper: it copies, until it is something else. Then nothing is written to
/// the copy any more.
pub(crate) async fn copy(cluster: Arc<Membership>, data: &Path) {
    follow::follow(cluster, folder(data)).await;
}

/// What the keeper does of this: it has the log name whoever is the standby.
pub(crate) async fn keep_note(standby: Arc<Standby>, journal: Arc<dyn Journal>) {
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Some(notice) = standby.due() else { continue };
        let change = match (&notice, standby.evaluation()) {
            (Notice::Name(Named { node, stream }), Some(evaluation)) => {
                InLog { node: node.clone(), stream: *stream, evaluation }.change()
            }
            _ => InLog::none(),
        };
        let written = write(&*journal, change);
        let written = attended(written, &mut interval, || standby.answer_late()).await;
        match (&notice, &written) {
            (Notice::Name(named), Ok(())) => {
                tracing::info!(node = %named.node, "The rules have a hot standby.");
            }
            (_, Ok(())) => tracing::warn!("The rules have no hot standby."),
            (_, Err(error)) => {
                tracing::warn!(%error, "The log does not take who the standby of the rules is.");
            }
        }
        let noted = if written.is_ok() { Noted::Written } else { Noted::Unsure };
        standby.noted(&notice, noted);
        if written.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Waits for what is being written, which takes long where the engine is away. Meanwhile who waits for the
/// standby is answered.
async fn attended<T>(
    written: impl Future<Output = T>,
    interval: &mut Interval,
    mut answer_late: impl FnMut(),
) -> T {
    let mut written = pin!(written);
    loop {
        tokio::select! {
            written = &mut written => return written,
            _ = interval.tick() => answer_late(),
        }
    }
}

async fn write(journal: &dyn Journal, change: RecordChange) -> Result<(), bellwire_journal::Error> {
    let (reply, replied) = tokio::sync::oneshot::channel();
    let reply = Box::new(move |answer: Result<_, bellwire_journal::Error>| {
        let _ = reply.send(answer.map(drop));
    });
    journal.write_records(vec![change], reply)?;
    replied.await.unwrap_or(Err(bellwire_journal::Error::Closed))
}

/// How it stands with the standby, as this node knows.
pub(crate) fn told(cluster: &Membership) -> Value {
    if cluster.is_in_charge() {
        let report = cluster.standby.as_ref().and_then(|standby| standby.report());
        let Some(StandbyReport { node, stage, behind_bytes }) = report else { return Value::Null };
        let state = match stage {
            StandbyStage::Copies | StandbyStage::Joins => "copying",
            StandbyStage::Whole => "whole",
            StandbyStage::Lost => "lost",
        };
        return json!({ "node": node, "state": state, "behind_bytes": behind_bytes });
    }
    match InLog::read(&*cluster.journal) {
        Ok(Some(named)) => json!({ "node": named.node, "state": "whole" }),
        _ => Value::Null,
    }
}

/// What is asked for, behind the path; nothing to begin.
fn query(asked: Asked) -> String {
    let want = match asked {
        Asked::Begin => return String::new(),
        Asked::Leave(stream) => return format!("leave={stream:016x}"),
        Asked::More(want) => want,
    };
    match want {
        Want::Checkpoint { stream, has, number, from } => {
            let has = has.map(|Place { log, bytes }| format!("&log={log}&bytes={bytes}"));
            format!(
                "stream={stream:016x}&checkpoint={number}&from={from}{}",
                has.unwrap_or_default()
            )
        }
        Want::Log { stream, place: Place { log, bytes }, waits } => {
            format!("stream={stream:016x}&log={log}&bytes={bytes}&wait={}", u8::from(waits))
        }
    }
}

/// What a node asks the keeper for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To be the standby.
    Begin,
    /// More of what the rules know.
    More(Want),
    /// To have the log name its copy no more.
    Leave(u64),
}

/// The same, as it came.
pub(crate) fn read_query(query: &str) -> Result<Asked, Problem> {
    if query.is_empty() {
        return Ok(Asked::Begin);
    }
    let wrong = || Problem::new(Code::ParameterInvalid, "this is not what a standby asks for");
    let field = |name: &str| {
        let fields = query.split('&').filter_map(|field| field.split_once('='));
        fields.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
    };
    let number = |name: &str| -> Result<Option<u64>, Problem> {
        field(name).map(|value| value.parse().map_err(|_| wrong())).transpose()
    };
    let stream = |name| field(name).and_then(|text| u64::from_str_radix(text, 16).ok());
    if let Some(stream) = stream("leave") {
        return Ok(Asked::Leave(stream));
    }
    let stream = stream("stream").ok_or_else(wrong)?;
    let has = match (number("log")?, number("bytes")?) {
        (Some(log), Some(bytes)) => Some(Place { log, bytes }),
        (None, None) => None,
        _ => return Err(wrong()),
    };
    match (number("checkpoint")?, number("from")?, has) {
        (Some(number), Some(from), has) => {
            Ok(Asked::More(Want::Checkpoint { stream, has, number, from }))
        }
        (None, None, Some(place)) => {
            Ok(Asked::More(Want::Log { stream, place, waits: field("wait") == Some("1") }))
        }
        _ => Err(wrong()),
    }
}

/// What is told of a beginning.
pub(crate) fn begun_text(begun: &Begun) -> String {
    format!("{:016x} {} {}", begun.stream, begun.checkpoint, begun.evaluation)
}

fn read_begun(text: &str) -> Option<Begun> {
    let mut parts = text.splitn(3, ' ');
    let stream = u64::from_str_radix(parts.next()?, 16).ok()?;
    let checkpoint = parts.next()?.parse().ok()?;
    Some(Begun { stream, evaluation: parts.next()?.into(), checkpoint })
}

/// What is told of a piece, of which this is the digest.
pub(crate) fn piece_text(piece: &Piece, digest: &str) -> String {
    format!("{} {} {digest}", u8::from(piece.is_end), piece.checkpoint)
}

/// The piece of which that is told, and the digest that its bytes are to have.
fn read_piece(text: &str, bytes: Vec<u8>) -> Option<(Piece, Box<str>)> {
    let parts: Vec<&str> = text.split(' ').collect();
    let [is_end, checkpoint, digest] = parts[..] else { return None };
    let is_end = match is_end {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    Some((Piece { bytes, is_end, checkpoint: checkpoint.parse().ok()? }, digest.into()))
}

#[cfg(test)]
mod tests {
    use bellwire_journal::{MemoryJournal, Observer};
    use bellwire_model::{Entry, Epoch};

    use super::*;

    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_answered_while_the_log_takes_nothing() {
        let (write, written) = tokio::sync::oneshot::channel();
        let (mut write, mut answered) = (Some(write), 0);
        let mut interval = tokio::time::interval(LOOK_INTERVAL);
        let answer_late = || {
            answered += 1;
            if answered == 3 {
                let _ = write.take().map(|write| write.send(7));
            }
        };
        assert_eq!(attended(written, &mut interval, answer_late).await, Ok(7));
        assert_eq!(answered, 3);
    }

    #[tokio::test]
    async fn the_desk_is_left_to_another_node_that_the_log_names() {
        let journal = MemoryJournal::new(Epoch::new(1), Vec::new(), Box::new(Nobody));
        let deference = |node| {
            let named = InLog::read(&journal).expect("records");
            InLog::deference(named.as_ref(), node)
        };
        assert_eq!(deference("t"), Duration::ZERO);
        let named = InLog { node: "s".into(), stream: 7, evaluation: "k 1".into() };
        write(&journal, named.change()).await.expect("written");
        assert_eq!((deference("t"), deference("s")), (STANDBY_FIRST, Duration::ZERO));
        write(&journal, InLog::none()).await.expect("written");
        assert_eq!(deference("t"), Duration::ZERO);
    }

    #[test]
    fn what_is_asked_and_told_is_read_as_it_was() {
        let place = Place { log: 7, bytes: 812 };
        let stream = 0x00ab_0000_0000_0001;
        for asked in [
            Asked::More(Want::Checkpoint { stream, has: None, number: 7, from: 0 }),
            Asked::More(Want::Checkpoint { stream, has: Some(place), number: 9, from: u64::MAX }),
            Asked::More(Want::Log { stream, place, waits: true }),
            Asked::More(Want::Log { stream, place, waits: false }),
            Asked::Leave(stream),
            Asked::Begin,
        ] {
            assert_eq!(read_query(&query(asked)).expect("it is one"), asked);
        }
        for wrong in [
            "leave=x",
            "stream=x&log=1&bytes=2",
            "log=1&bytes=2",
            "stream=1",
            "stream=1&log=1",
            "stream=1&log=1&bytes=-2",
            "stream=1&checkpoint=1",
            "stream=1&checkpoint=1&from=2&log=1",
        ] {
            assert!(read_query(wrong).is_err(), "{wrong}");
        }
        let begun = Begun { stream, evaluation: "1f0c 00ff".into(), checkpoint: 7 };
        assert_eq!(read_begun(&begun_text(&begun)), Some(begun));
        let piece = Piece { bytes: b"abc".to_vec(), is_end: true, checkpoint: 3 };
        let read = read_piece(&piece_text(&piece, "d"), piece.bytes.clone());
        assert_eq!(read, Some((piece, "d".into())));
        for wrong in ["", "1 2", "2 2 d", "1 x d", "1 2 d e"] {
            assert_eq!(read_piece(wrong, Vec::new()), None, "{wrong}");
        }
    }
}
