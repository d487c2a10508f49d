//! Where alerts are told of when the journal takes no further topic.

use bellwire_journal::Append;

/// What to append instead of announcements that bring too many topics: those whose topic the journal
/// knows keep it, the others go to one for which there is always room.
pub(crate) fn rehoused(mut announcements: Vec<Append>, roomy: &str) -> Vec<Vec<Append>> {
    if let [announcement] = &mut announcements[..] {
        announcement.event.topic = roomy.parse().expect("a topic");
        return vec![announcements];
    }
    let later = announcements.split_off(announcements.len() / 2);
    vec![announcements, later]
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use bellwire_journal::{Error, Journal, MemoryJournal, ReadLimit};
    use bellwire_model::limits::TOPICS_RESERVED;
    use bellwire_model::{Epoch, Event, Filter, Offset, Timestamp, Topic};

    use super::*;
    use crate::tests::fixture::Nobody;

    fn of(topic: &str) -> Append {
        let topic = topic.parse().expect("a topic");
        let event =
            Event { topic, key: None, event_type: None, time: Timestamp::from_ms(0), body: None };
        Append::new(event, None)
    }

    fn append(journal: &dyn Journal, batch: Vec<Append>) -> Result<(), Error> {
        let (reply, replied) = sync_channel(1);
        let reply = Box::new(move |result: Result<Vec<_>, _>| {
            let _ = reply.send(result.map(|_| ()));
        });
        journal.append(batch, reply)?;
        replied.recv().expect("an answer")
    }

    #[test]
    fn every_alert_is_told_though_there_is_no_room_for_its_topic() {
        let journal =
            MemoryJournal::with_topics_max((Epoch::new(1), 0), Vec::new(), Box::new(Nobody));
        let known = (0..TOPICS_RESERVED).map(|number| of(&format!("alerts/events/w/{number}")));
        append(&journal, known.collect()).expect("room");
        let told = ["w/1", "w/A", "w/2", "w/3", "c/B", "w/A"];
        let mut left = vec![told.map(|topic| of(&format!("alerts/events/{topic}"))).to_vec()];
        while let Some(batch) = left.pop() {
            match append(&journal, batch.clone()) {
                Err(Error::TooManyTopics) => {
                    left.extend(rehoused(batch, Topic::OF_ALERTS_WITHOUT).into_iter().rev());
                }
                result => result.expect("taken"),
            }
        }
        let filter: Filter = "alerts/events/**".parse().expect("a filter");
        let after = Offset::new(TOPICS_RESERVED as u64);
        let page = journal.read(after, &filter.into(), ReadLimit::PAGE).expect("a page");
        let topics: Vec<&str> =
            page.entries.iter().map(|entry| entry.event.topic.as_str()).collect();
        let expected = ["w/1", "_/_", "w/2", "w/3", "_/_", "_/_"];
        assert_eq!(topics, expected.map(|topic| format!("alerts/events/{topic}")));
    }
}
