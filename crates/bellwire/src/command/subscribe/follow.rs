//! A subscription as a person or a program sees it: events on standard output, all else beside it.

use anyhow::{Context, Result};
use bellwire_client::{Client, Control, ControlKind, Error, Item, Items, Status};
use bellwire_model::Filter;

use super::print::Printer;
use crate::client::advised;
use crate::output;

/// Bytes that are printed together, where so many wait.
const TOGETHER_BYTES: usize = 64 * 1024;

/// Why a subscription is over although nothing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It answered 204: there is nothing to come back for.
    ByServer,
    /// All topics have ended.
    OfTopics,
}

/// A subscription across all its connections.
#[derive(Debug)]
pub(super) struct Follow {
    client: Client,
    /// What is followed and has not ended: as it was named.
    open: Vec<String>,
    after: String,
}

impl Follow {
    pub(super) fn new(client: Client, topics: &[Filter], after: String) -> Self {
        let open = topics.iter().map(|topic| topic.as_str().to_owned()).collect();
        Self { client, open, after }
    }

    /// Follows until the server ends the stream for good, or for an error that would come again.
    pub(super) async fn run(mut self, printer: Printer) -> Result<End> {
        let mut items = self.client.subscribe(self.open.clone()).after(&*self.after).items();
        loop {
            let Some(first) = items.next().await else {
                return Ok(if self.open.is_empty() { End::OfTopics } else { End::ByServer });
            };
            let mut lines = Vec::new();
            let behind = take_events(first, &mut items, (printer, &mut lines));
            if !lines.is_empty() {
                output::lines(&lines)?;
            }
            match behind.map_err(|error| self.refused(error))? {
                Some(Item::Control(control)) => self.on_control(&control),
                Some(Item::Status(Status::Waiting { error, retry_in })) => {
                    let (seconds, reason) = (retry_in.as_secs_f64(), advised(error));
                    let reason = output::harmless(&format!("{reason:#}"));
                    output::notice(&format!("reconnecting in {seconds:.1} s: {reason}"));
                }
                _ => {}
            }
        }
    }

    fn on_control(&mut self, control: &Control) {
        match control.kind() {
            ControlKind::Ready { .. } => output::notice("ready"),
            ControlKind::Gap { from, to, reason, .. } => {
                output::notice(&format!("gap: events after {from} up to {to} are gone ({reason})"));
            }
            ControlKind::End { topic } => {
                output::notice(&format!("`{}` has ended", output::harmless(topic)));
                self.open.retain(|open| open != topic);
            }
            ControlKind::Reopened { topic } => {
                output::notice(&format!("`{}` goes on", output::harmless(topic)));
                if !self.open.contains(topic) {
                    self.open.push(topic.clone());
                }
            }
            _ => {}
        }
    }

    fn refused(&self, error: Error) -> anyhow::Error {
        let is_problem = matches!(error, Error::Problem(_));
        let error = Err::<(), _>(advised(error));
        let told = if is_problem {
            error.with_context(|| format!("{} refuses", self.client.server()))
        } else {
            error
        };
        told.expect_err("it is one")
    }
}

/// Takes the events that wait, as far as they are printed together; returns what stands behind them
/// and is none: what is told of it has its place among them.
fn take_events(
    first: Result<Item, Error>,
    items: &mut Items,
    (printer, lines): (Printer, &mut Vec<u8>),
) -> Result<Option<Item>, Error> {
    let mut next = Some(first);
    while let Some(item) = next {
        match item? {
            Item::Event(event) => printer.event(event.json(), lines),
            other => return Ok(Some(other)),
        }
        next = if lines.len() < TOGETHER_BYTES { items.next_waiting() } else { None };
    }
    Ok(None)
}
