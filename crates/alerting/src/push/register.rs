//! The subscriptions that there are: a record each, bounded for each owner and in all.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_journal::{Record, RecordChange};
use bellwire_model::limits::{
    PUSH_SUBSCRIPTIONS_BYTES_MAX, PUSH_SUBSCRIPTIONS_MAX, PUSH_SUBSCRIPTIONS_OF_OWNER_MAX,
};
use bellwire_model::{NameMap, Shares, Shortage, Timestamp};
use bellwire_wire::problem::{Code, Problem};

use super::subscription::{Subscription, SubscriptionRecord};

/// What the keys of subscriptions' records begin with.
pub(super) const PREFIX: &str = "push/subscription/";
/// Of records that say until when a subscription has been told of everything.
const TOLD_PREFIX: &str = "push/told/";

/// By their names, and by where their browsers are reached.
#[derive(Debug)]
pub(super) struct Register {
    by_id: BTreeMap<Box<str>, Arc<Subscription>>,
    by_endpoint: NameMap<Box<str>, Box<str>>,
    counts: Shares,
    bytes: Shares,
}

impl Register {
    /// What the journal has.
    pub(super) fn of_records(records: Vec<Record>) -> Self {
        let mut register = Self {
            by_id: BTreeMap::new(),
            by_endpoint: NameMap::default(),
            counts: Shares::new(PUSH_SUBSCRIPTIONS_MAX),
            bytes: Shares::new(PUSH_SUBSCRIPTIONS_BYTES_MAX),
        };
        for Record { key, value } in records {
            let id: Box<str> = key.strip_prefix(PREFIX).unwrap_or_default().into();
            let read = serde_json::from_slice::<SubscriptionRecord>(&value);
            let read = read.map_err(|error| error.to_string());
            match read.and_then(|record| Subscription::read(id, record)) {
                Ok(subscription) => register.put(Arc::new(subscription)),
                Err(error) => {
                    tracing::warn!(%key, error, "A record of a push subscription cannot be read; its browser is told nothing.");
                }
            }
        }
        register
    }

    /// The one of this name.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<Subscription>> {
        self.by_id.get(id)
    }

    /// The one of the browser that is reached there.
    pub(super) fn of_endpoint(&self, endpoint: &str) -> Option<&Arc<Subscription>> {
        self.by_id.get(self.by_endpoint.get(endpoint)?)
    }

    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Subscription>> {
        self.by_id.values()
    }

    /// Whether there is room for one, in place of what there is of its browser.
    pub(super) fn check(&self, new: &Subscription) -> Result<(), Problem> {
        let old = self.get(&new.id);
        let is_same_holder = old.is_some_and(|old| old.record.holder() == new.record.holder());
        let own = old.filter(|_| is_same_holder);
        let count = usize::from(own.is_none());
        if count > 0 && self.has_enough(&new.record.owner) {
            let detail = format!(
                "you have {PUSH_SUBSCRIPTIONS_OF_OWNER_MAX} push subscriptions, as many as one may have: delete some"
            );
            return Err(Problem::new(Code::RecordsExhausted, detail));
        }
        let bytes = new.bytes().saturating_sub(own.map_or(0, |old| old.bytes()));
        for (room, more) in [(&self.counts, count), (&self.bytes, bytes)] {
            if more == 0 {
                continue;
            }
            room.check(new.record.holder(), more).map_err(|shortage| {
                let detail = match shortage {
                    Shortage::Full => "there are as many push subscriptions as there may be",
                    Shortage::OfHolder => {
                        "what is left of the room for push subscriptions is for others: delete some of yours"
                    }
                };
                Problem::new(Code::RecordsExhausted, detail)
            })?;
        }
        Ok(())
    }

    /// Whether an owner has as many as one may have. Where nobody says who they are, all are one.
    fn has_enough(&self, owner: &str) -> bool {
        let own = || self.all().filter(|it| *it.record.owner == *owner).count();
        !owner.is_empty() && own() >= PUSH_SUBSCRIPTIONS_OF_OWNER_MAX
    }

    /// Puts what the journal has taken, in place of what there is of its browser.
    pub(super) fn put(&mut self, subscription: Arc<Subscription>) {
        let of_browser = self.of_endpoint(&subscription.record.endpoint).map(|old| old.id.clone());
        for id in of_browser.iter().chain([&subscription.id]) {
            self.remove(id);
        }
        let (id, holder) = (subscription.id.clone(), subscription.record.holder());
        self.counts.take(holder, 1);
        self.bytes.take(holder, subscription.bytes());
        self.by_endpoint.insert(subscription.record.endpoint.clone(), id.clone());
        self.by_id.insert(id, subscription);
    }

    /// There is none of this name any more.
    pub(super) fn remove(&mut self, id: &str) {
        let Some(old) = self.by_id.remove(id) else { return };
        self.by_endpoint.remove(&old.record.endpoint);
        self.counts.give_back(old.record.holder(), 1);
        self.bytes.give_back(old.record.holder(), old.bytes());
    }
}

/// What has to be written down of one.
pub(super) fn kept(subscription: &Subscription) -> RecordChange {
    let key = format!("{PREFIX}{}", subscription.id).into();
    RecordChange { key, value: Some(subscription.record.json().into()) }
}

/// It has been told of everything until then.
pub(super) fn told(id: &str, until: Timestamp) -> RecordChange {
    let value = until.as_ms().to_string();
    RecordChange { key: format!("{TOLD_PREFIX}{id}").into(), value: Some(value.into()) }
}

/// What it has been told goes.
pub(super) fn untold(id: &str) -> RecordChange {
    RecordChange { key: format!("{TOLD_PREFIX}{id}").into(), value: None }
}

/// All of it goes.
pub(super) fn forgotten(id: &str) -> [RecordChange; 2] {
    [PREFIX, TOLD_PREFIX].map(|of| RecordChange { key: format!("{of}{id}").into(), value: None })
}

/// Until when subscriptions have been told of everything.
pub(super) fn told_marks(records: &[Record]) -> NameMap<Box<str>, Timestamp> {
    let read = |record: &Record| {
        let id = record.key.strip_prefix(TOLD_PREFIX)?;
        let text = std::str::from_utf8(&record.value).ok()?;
        Some((id.into(), Timestamp::from_ms(text.parse().ok()?)))
    };
    records.iter().filter_map(read).collect()
}

/// What the keys of these records begin with.
pub(super) const TOLD: &str = TOLD_PREFIX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::subscription::NewSubscription;
    use crate::push::subscription::tests::new;

    const NOW: Timestamp = Timestamp::from_ms(1_000);

    fn subscription(id: &str, endpoint: &str, owner: &str) -> Arc<Subscription> {
        let endpoint = format!("https://push.example/{endpoint}");
        let new = NewSubscription { owner: owner.into(), ..new(&endpoint) };
        Arc::new(new.read(id.into(), NOW).expect("valid"))
    }

    #[test]
    fn whoever_has_many_leaves_room_for_others() {
        let mut register = Register::of_records(Vec::new());
        let mut count = 0;
        let refused = loop {
            let one = subscription(&count.to_string(), &count.to_string(), "ada");
            match register.check(&one) {
                Ok(()) => register.put(one),
                Err(problem) => break problem,
            }
            count += 1;
        };
        assert_eq!(refused.code, Code::RecordsExhausted);
        assert_eq!(count, PUSH_SUBSCRIPTIONS_OF_OWNER_MAX);
        assert_eq!(register.check(&subscription("b", "b", "bob")), Ok(()));
        // The same again takes no more.
        assert_eq!(register.check(&subscription("0", "0", "ada")), Ok(()));
        register.remove("1");
        assert_eq!(register.check(&subscription("n", "n", "ada")), Ok(()));
    }

    #[test]
    fn records_bring_all_back() {
        let one = subscription("a", "1", "ada");
        let changes = [kept(&one), told("a", Timestamp::from_ms(7))];
        let records = changes
            .map(|RecordChange { key, value }| Record { key, value: value.expect("there is one") });
        let [of_subscription, of_mark] = records;
        let register = Register::of_records(vec![of_subscription]);
        assert_eq!(
            register.of_endpoint("https://push.example/1").expect("there").record,
            one.record
        );
        let marks = told_marks(&[of_mark]);
        assert_eq!(marks.get("a"), Some(&Timestamp::from_ms(7)));
        assert!(forgotten("a").iter().all(|change| change.value.is_none()));
    }
}
