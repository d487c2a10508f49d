//! What a broker is asked for, and what it grants.

use std::time::Duration;

use bellwire_ingest::mqtt::packet::{Outgoing, Quality, Reason, Subscription, Version};

use super::Failure;

/// Filters of one `SUBSCRIBE`: some brokers take no more.
const TOGETHER_MAX: usize = 8;

/// All filters, in the groups in which they are asked for.
#[derive(Debug)]
pub(super) struct Subscriptions {
    groups: Vec<Group>,
    /// Since when an answer is waited for.
    asked: Option<Duration>,
    /// When they were asked for that are answered.
    answered: Option<Duration>,
}

/// Filters that are asked for together. Its place says by what they are answered.
#[derive(Debug)]
struct Group {
    subscriptions: Vec<Subscription>,
    /// What the broker has answered, each in its place.
    answers: Vec<Option<Reason>>,
    is_asked: bool,
}

impl Group {
    fn is_granted(&self) -> bool {
        self.answers.iter().all(|answer| *answer == Some(Reason::Success))
    }
}

impl Subscriptions {
    pub(super) fn new(filters: &[Box<str>]) -> Self {
        let of = |filter: Box<str>| Subscription { filter, quality: Quality::AtLeastOnce };
        let group = |filters: &[Box<str>]| Group {
            subscriptions: filters.iter().cloned().map(of).collect(),
            answers: vec![None; filters.len()],
            is_asked: false,
        };
        let groups = filters.chunks(TOGETHER_MAX).map(group).collect();
        Self { groups, asked: None, answered: None }
    }

    /// Whether some are shared with other clients, which only MQTT 5 knows.
    pub(super) fn are_shared(&self) -> bool {
        let mut all = self.groups.iter().flat_map(|group| &group.subscriptions);
        all.any(|subscription| subscription.filter.starts_with("$share/"))
    }

    /// Nothing comes any more of what was asked for.
    pub(super) fn forget_questions(&mut self) {
        self.groups.iter_mut().for_each(|group| group.is_asked = false);
        self.asked = None;
    }

    /// The broker knows nothing of what it has granted.
    pub(super) fn forget(&mut self) {
        self.groups.iter_mut().for_each(|group| group.answers.fill(None));
    }

    /// Asks for what is not granted. With 3.1.1 what a broker keeps would come again for the others.
    pub(super) fn ask(&mut self, now: Duration, version: Version, out: &mut Vec<u8>) {
        for (place, group) in self.groups.iter_mut().enumerate() {
            if group.is_granted() {
                continue;
            }
            group.is_asked = true;
            self.asked = Some(now);
            let (packet_id, subscriptions) = (place as u16 + 1, &*group.subscriptions);
            Outgoing::Subscribe { packet_id, subscriptions }.write(version, out);
        }
    }

    /// Takes an answer.
    pub(super) fn answer(&mut self, packet_id: u16, reasons: &[u8]) -> Result<(), Failure> {
        let group = self.groups.get_mut(usize::from(packet_id).wrapping_sub(1));
        let group = group.filter(|group| group.is_asked && group.answers.len() == reasons.len());
        let group = group.ok_or_else(|| Failure::protocol("an answer to what was not asked"))?;
        group.is_asked = false;
        for (answer, code) in group.answers.iter_mut().zip(reasons) {
            *answer = Some(match *code {
                0 | 1 => Reason::Success,
                2..0x80 => return Err(Failure::protocol("a quality that was not asked for")),
                code => Reason::of(code),
            });
        }
        if self.groups.iter().all(|group| !group.is_asked) {
            self.answered = self.asked.take();
        }
        Ok(())
    }

    /// Since when an answer is waited for.
    pub(super) fn asked_since(&self) -> Option<Duration> {
        self.asked
    }

    /// What is waited for is waited for from now on.
    pub(super) fn wait_from(&mut self, now: Duration) {
        self.asked = self.asked.map(|_| now);
    }

    /// When they were asked for that are answered.
    pub(super) fn answered(&self) -> Option<Duration> {
        self.answered.filter(|_| self.asked.is_none())
    }

    /// Filters that are not granted, and why.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, Reason)> {
        let all =
            self.groups.iter().flat_map(|group| group.subscriptions.iter().zip(&group.answers));
        all.filter_map(|(subscription, answer)| {
            let reason = answer.filter(|reason| *reason != Reason::Success)?;
            Some((&*subscription.filter, reason))
        })
    }
}
