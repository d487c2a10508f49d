//! What a receiver is told of a group of alerts.

use std::cmp::Ordering;
use std::sync::Arc;

use bellwire_model::{Alert, AlertStatus, Fingerprint, Labels, Timestamp};

use crate::route::Variant;

/// What is new of an alert, for those who notify.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The alert as it is now. A pending one is nobody's business yet.
    pub alert: Arc<Alert>,
    /// What keeps it quiet, if anything does.
    pub status: AlertStatus,
}

/// Bytes of the key of a record: of a group whose key is longer than this nothing is stored.
pub(crate) const RECORD_KEY_BYTES_MAX: usize = 64 * 1024;

/// Where a notification goes to, and of which group it is: at most one is on its way at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// Which of the receiver's webhooks, from 0.
    pub webhook: usize,
    /// The group's key, see [`Route::group_key`](crate::route::Route::group_key).
    pub group_key: Arc<str>,
    /// Which of the routes that have this receiver and lead to such a key.
    pub variant: Variant,
}

impl Address {
    /// What the keys of all stored records begin with.
    pub const KEY_PREFIX: &str = "notified";

    /// What a piece of its record is stored under: `notified/<webhook>/<bytes of the receiver's
    /// name>/<receiver><group key>`; further pieces are `notified+1/…`, `notified+2/…`. Where the
    /// route is not alone, its variant follows the webhook: `notified/0~<16 digits>/…`.
    pub fn to_key(&self, piece: usize) -> String {
        let Self { receiver, webhook, group_key, variant } = self;
        let piece = if piece == 0 { String::new() } else { format!("+{piece}") };
        let variant = match *variant {
            Variant::ALONE => String::new(),
            variant => format!("~{:016x}", variant.get()),
        };
        let length = receiver.len();
        format!("{}{piece}/{webhook}{variant}/{length}/{receiver}{group_key}", Self::KEY_PREFIX)
    }

    /// Reads a key: whose record it is, and which piece of it.
    pub fn from_key(key: &str) -> Option<(Self, usize)> {
        let (piece, rest) = key.strip_prefix(Self::KEY_PREFIX)?.split_once('/')?;
        let piece = match piece.strip_prefix('+') {
            Some(number) => number.parse().ok().filter(|number| *number > 0)?,
            None if piece.is_empty() => 0,
            None => return None,
        };
        let (webhook, rest) = rest.split_once('/')?;
        let (receiver_bytes, rest) = rest.split_once('/')?;
        let (receiver, group_key) = rest.split_at_checked(receiver_bytes.parse().ok()?)?;
        let (webhook, variant) = match webhook.split_once('~') {
            Some((webhook, variant)) => {
                let number = u64::from_str_radix(variant, 16).ok()?;
                (webhook, Variant::stored(number))
            }
            None => (webhook, Variant::ALONE),
        };
        let (webhook, receiver) = (webhook.parse().ok()?, receiver.into());
        Some((Self { receiver, webhook, group_key: group_key.into(), variant }, piece))
    }
}

/// A notification that is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Whom it is for.
    pub address: Address,
    /// What the alerts of the group have in common by the route.
    pub group_labels: Labels,
    /// The group's alerts that the webhook is told of, in any order.
    pub alerts: Vec<Update>,
    /// Why it is sent.
    pub reason: NotificationReason,
    /// When it came due, by the wall clock.
    pub time: Timestamp,
    /// When to give up, in steady time: the group's next one would be due.
    pub deadline: Timestamp,
}

impl Notification {
    /// Its alerts in the order in which people read them. Of many that takes a while.
    pub fn in_reading_order(&self) -> Vec<&Update> {
        let mut alerts: Vec<&Update> = self.alerts.iter().collect();
        alerts.sort_by(|one, two| one.reading_order(two));
        alerts
    }
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
    fn reading_order(&self, other: &Self) -> Ordering {
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
            variant: Variant::ALONE,
        };
        let other = Address { variant: Variant::stored(10), ..address.clone() };
        for (address, piece) in
            [(&address, 0), (&address, 1), (&address, 12), (&other, 0), (&other, 3)]
        {
            let read = Address::from_key(&address.to_key(piece));
            assert_eq!(read, Some((address.clone(), piece)));
        }
        assert!(other.to_key(0).starts_with("notified/3~000000000000000a/5/"));
        assert_eq!(address.to_key(0), r#"notified/3/5/a/b 1{}/{a="b"}:{c="d/e"}"#);
        let wrong = ["notified+0/0/1/a", "notified+/0/1/a", "notified1/0/1/a"];
        let wrong = wrong.into_iter().chain(["", "silence/1", "notified/", "notified/x/1/ab"]);
        for key in wrong.chain(["notified/0/9/ab"]) {
            assert_eq!(Address::from_key(key), None, "{key}");
        }
    }
}
