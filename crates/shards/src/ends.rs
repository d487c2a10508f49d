//! Topics that have ended, as those see it who follow topics by their names.
//!
//! An end is an entry of the journal, and comes to whoever is there in its place. Whoever comes later
//! is told of it before `ready`, and so is who cannot get the entry any more. Nothing is kept of
//! that for a connection: the journal knows.

use bellwire_hub::{Gap, Start};
use bellwire_journal::{Ended, Journal};
use bellwire_model::{Filter, FilterSet, Offset, Topic};

/// The topics among these filters that have ended, where `wanted` says so.
pub(crate) fn ended(
    journal: &dyn Journal,
    filters: &FilterSet,
    wanted: impl Fn(Ended) -> bool,
) -> Vec<(Topic, Ended)> {
    let end = |filter: &Filter| {
        let end = journal.ended(filter.as_str()).filter(|end| wanted(*end))?;
        Some((filter.topic()?, end))
    };
    filters.iter().filter_map(end).collect()
}

/// Those whose entries are gone, for whoever has everything up to an offset.
pub(crate) fn gone(
    journal: &dyn Journal,
    filters: &FilterSet,
    upto: Offset,
) -> Vec<(Topic, Ended)> {
    ended(journal, filters, |end| !end.is_kept && end.at <= upto)
}

/// Those whose entries somebody who is there has not got, and will not get any more.
pub(crate) fn missed(journal: &dyn Journal, filters: &FilterSet, gap: &Gap) -> Vec<(Topic, Ended)> {
    let is_within = |end: Ended| gap.from.offset < end.at && end.at <= gap.to.offset;
    ended(journal, filters, |end| !end.is_kept && is_within(end))
}

/// Whether whoever has everything up to an offset has all that these filters will ever pass. What
/// has a wildcard never ends.
pub(crate) fn are_over(journal: &dyn Journal, filters: &FilterSet, upto: Offset) -> bool {
    let is_over =
        |filter: &Filter| journal.ended(filter.as_str()).is_some_and(|end| end.at <= upto);
    !filters.is_empty() && filters.iter().all(is_over)
}

/// Whether somebody comes back to nothing: has been told of the end of all that these filters pass.
pub fn is_at_end(journal: &dyn Journal, filters: &FilterSet, start: Start) -> bool {
    match start {
        Start::After(cursor) if cursor.epoch == journal.epoch() => {
            are_over(journal, filters, cursor.offset)
        }
        Start::After(_) | Start::Earliest | Start::Latest => false,
    }
}

/// The ends that whoever begins behind `begun` is to be told of beside the entries that come:
/// those before it, unless it has come back from behind them, and those whose entries are gone.
pub(crate) fn owed(
    journal: &dyn Journal,
    filters: &FilterSet,
    (start, begun): (Start, Offset),
) -> Vec<(Topic, Ended)> {
    let knows_upto = match start {
        Start::After(_) => begun,
        Start::Earliest | Start::Latest => Offset::ZERO,
    };
    ended(journal, filters, |end| end.at > knows_upto && (end.at <= begun || !end.is_kept))
}
