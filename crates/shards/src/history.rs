//! Readers of the journal for those who catch up: disk reads block, so they have their own threads.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};

use bellwire_journal::{Error, Journal, Page, ReadLimit};
use bellwire_model::limits::CATCH_UPS_PER_SHARD_MAX;
use bellwire_model::{EffectiveFilter, Filter, FilterSet, LabelsOf, Offset};
use bellwire_process::crash;

/// Threads that read pages.
const READERS: usize = 2;

/// Shards that there is room for in the readers' queue.
const SHARDS_MAX: usize = 1024;

/// A page that a shard asks for.
pub(crate) struct PageRequest {
    pub(crate) after: Offset,
    pub(crate) follows: EffectiveFilter,
    /// Called with the page on a reader's thread, or at once where too many are asked for.
    pub(crate) reply: Box<dyn FnOnce(Result<Page, Error>) + Send>,
}

/// The readers; they end when this is dropped.
#[derive(Debug)]
pub struct HistoryReaders {
    requests: SyncSender<PageRequest>,
}

impl HistoryReaders {
    pub fn start(journal: &Arc<dyn Journal>) -> io::Result<Self> {
        let (requests, queue) = sync_channel(CATCH_UPS_PER_SHARD_MAX * SHARDS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for index in 0..READERS {
            let (queue, journal) = (Arc::clone(&queue), Arc::clone(journal));
            let read = move || read_pages(&queue, journal.as_ref());
            crash::spawn_essential(format!("history-{index}"), read)?;
        }
        Ok(Self { requests })
    }

    /// Queues a request. Never blocks: a shard has a bounded number of them on their way.
    pub(crate) fn request(&self, request: PageRequest) {
        match self.requests.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request) | TrySendError::Disconnected(request)) => {
                (request.reply)(Err(Error::Busy));
            }
        }
    }
}

fn read_pages(queue: &Mutex<Receiver<PageRequest>>, journal: &dyn Journal) {
    loop {
        let next = queue.lock().expect("not poisoned").recv();
        let Ok(PageRequest { after, follows, reply }) = next else { return };
        reply(read_page(journal, (after, ReadLimit::PAGE), &follows));
    }
}

/// A page of what passes the filters. What is gone has no labels any more: those who may not see all
/// alerts are told of whatever alert is gone, since theirs may be among them. Of an alert that they
/// name and that is another's they would else learn by a gap that it was, and by where a page ends:
/// so it ends where one of all alerts does.
pub fn read_page(
    journal: &dyn Journal,
    (after, limit): (Offset, ReadLimit),
    follows: &EffectiveFilter,
) -> Result<Page, Error> {
    // The board is no stream: nothing of it is gone.
    let is_of_stream =
        |filter: &Filter| filter.reaches(LabelsOf::Alert) && filter.as_str() != "alerts/active";
    let sees_all = follows.sight().alerts.is_all();
    if sees_all || !follows.filters().iter().any(is_of_stream) {
        return journal.read(after, follows.filters(), limit);
    }
    let alerts = FilterSet::from("alerts/**".parse::<Filter>().expect("a filter"));
    let mut page = journal.read(after, &follows.filters().union(&alerts), limit)?;
    page.entries.retain(|entry| follows.filters().matches(&entry.event.topic));
    page.trimmed = page.trimmed.max(journal.trimmed(&alerts));
    Ok(page)
}

#[cfg(test)]
mod tests {
    use bellwire_journal::{Append, ClockReading, MemoryJournal, Observer, RetentionRule};
    use bellwire_model::{Entry, Epoch, Event, Scope, Sight, Timestamp};

    use super::*;

    #[derive(Debug)]
    struct Nobody;

    impl Observer for Nobody {
        fn on_commit(&mut self, _: Vec<Entry>) {}
    }

    fn append(topic: &str) -> Append {
        let topic = topic.parse().expect("a topic");
        let (key, event_type, time) = (None, None, Timestamp::from_ms(1));
        let event = Event { topic, key, event_type, time, body: None };
        Append::new(event, None)
    }

    /// Else a gap would tell whether an alert of others, which one need only name, ever fired.
    #[test]
    fn what_is_gone_of_alerts_is_told_alike_whatever_is_named() {
        let pattern = "alerts/**".parse().expect("a filter");
        let rule = RetentionRule { pattern, age: None, bytes_max: None, events_max: Some(1) };
        let journal = MemoryJournal::new(Epoch::new(7), vec![rule], Box::new(Nobody));
        let theirs = "alerts/events/critical/Theirs";
        let batch = ["lab/a", theirs, "alerts/dead-letters/pager", theirs].map(append);
        let (appended, done) = sync_channel(1);
        let reply =
            move |result: Result<_, Error>| appended.send(result.is_ok()).expect("it waits");
        journal.append(batch.into(), Box::new(reply)).expect("there is room");
        assert_eq!(done.recv(), Ok(true));
        journal.apply_retention(ClockReading::default()).expect("retention is applied");
        let gone = |filter: &str, alerts: &Scope| {
            let everything = FilterSet::from("**".parse::<Filter>().expect("a filter"));
            let filters = FilterSet::from(filter.parse::<Filter>().expect("a filter"));
            let sight = Sight { alerts: alerts.clone(), series: Scope::all() };
            let follows = EffectiveFilter::from(filters).within(&everything, &sight);
            let follows = follows.expect("few filters");
            read_page(&journal, (Offset::ZERO, ReadLimit::PAGE), &follows)
                .expect("it can be read")
                .trimmed
                .get()
        };
        let ours = Scope::of(vec!["team=ours".parse().expect("matchers")]);
        let mut told: Vec<u64> = Vec::new();
        for name in ["Theirs", "Ours", "Nobodys"] {
            for filter in ["alerts/events/critical/", "*/events/critical/", "alerts/*/critical/"] {
                told.push(gone(&format!("{filter}{name}"), &ours));
            }
        }
        told.push(gone("alerts/dead-letters/pager", &ours));
        told.dedup();
        assert_eq!(told, [gone("alerts/**", &Scope::all())]);
        assert_eq!(
            (gone(theirs, &Scope::all()), gone("alerts/events/critical/Ours", &Scope::all())),
            (2, 0)
        );
        assert_eq!((gone("alerts/active", &ours), gone("lab/*", &ours)), (0, 0));
    }
}
