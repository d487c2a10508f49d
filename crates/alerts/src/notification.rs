//! What a receiver is told of a group of alerts.

use std::cmp::Ordering;
use std::sync::Arc;

use bellwire_model::{Alert, AlertStatus, Fingerprint, Labels, Timestamp};

/// What is new of an alert, for those who notify.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The alert as it is now. A pending one is nobody's business yet.
    pub alert: Arc<Alert>,
    /// What keeps it quiet, if anything does.
    pub status: AlertStatus,
}

/// Where a notification goes to, and of which group it is: at most one is on its way at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// Which of the receiver's webhooks, from 0.
    pub webhook: usize,
    /// The group's key, see [`Route::group_key`](crate::route::Route::group_key).
    pub group_key: Arc<str>,
}

impl Address {
    /// What the keys of all stored records begin with.
    pub const KEY_PREFIX: &str = "notified/";

    /// What its record is stored under: `notified/<webhook>/<bytes of the receiver's
    /// name>/<receiver><group key>`.
    pub fn to_key(&self) -> String {
        let Self { receiver, webhook, group_key } = self;
        format!("{}{webhook}/{}/{receiver}{group_key}", Self::KEY_PREFIX, receiver.len())
    }

    /// Reads a key.
    pub fn from_key(key: &str) -> Option<Self> {
        let (webhook, rest) = key.strip_prefix(Self::KEY_PREFIX)?.split_once('/')?;
        let (receiver_bytes, rest) = rest.split_once('/')?;
        let (receiver, group_key) = rest.split_at_checked(receiver_bytes.parse().ok()?)?;
        let webhook = webhook.parse().ok()?;
        Some(Self { receiver: receiver.into(), webhook, group_key: group_key.into() })
    }
}

/// A notification that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Whom it is for.
    pub address: Address,
    /// What the alerts of the group have in common by the route.
    pub group_labels: Labels,
    /// The group's alerts that the webhook is told of, sorted.
    pub alerts: Vec<Update>,
    /// Why it is sent.
    pub reason: NotificationReason,
    /// When it came due.
    pub time: Timestamp,
    /// When to give up: the group's next one would be due.
    pub deadline: Timestamp,
}

/// Why a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationReason {
    /// Alerts fire of which the webhook knows nothing.
    First,
    /// More alerts fire.
    MoreFiring,
    /// Some have resolved.
    SomeResolved,
    /// None fires any more.
    AllResolved,
    /// Nothing has changed for as long as `repeat_interval`.
    Repeated,
}

impl NotificationReason {
    /// As Alertmanager words it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::MoreFiring => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeated => "repeat interval elapsed",
        }
    }
}

impl Update {
    /// Who it is about.
    pub fn fingerprint(&self) -> Fingerprint {
        self.alert.fingerprint
    }

    /// Whether the alert has resolved.
    pub fn is_resolved(&self) -> bool {
        self.alert.resolved_at.is_some()
    }

    /// The order in which people read alerts: by job, then by instance, then by all labels, the
    /// fewest first.
    pub(crate) fn reading_order(&self, other: &Self) -> Ordering {
        let (one, two) = (&self.alert.labels, &other.alert.labels);
        // Whoever lacks the label comes last.
        let by = |name| {
            let (one, two) = (one.get(name), two.get(name));
            one.is_none().cmp(&two.is_none()).then_with(|| one.cmp(&two))
        };
        by("job")
            .then_with(|| by("instance"))
            .then_with(|| one.len().cmp(&two.len()))
            .then_with(|| one.iter().cmp(two.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_from_its_key() {
        let address = Address {
            receiver: "a/b 1".into(),
            webhook: 3,
            group_key: r#"{}/{a="b"}:{c="d/e"}"#.into(),
        };
        assert_eq!(Address::from_key(&address.to_key()), Some(address));
        for key in ["", "silence/1", "notified/", "notified/x/1/ab", "notified/0/9/ab"] {
            assert_eq!(Address::from_key(key), None, "{key}");
        }
    }
}
