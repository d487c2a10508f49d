//! The tree of routes: which receivers an alert goes to, and with which others it is grouped.
//!
//! An alert enters at the root and goes down into the first child whose matchers it passes, and
//! where that one says `continue`, into the next that it passes, too. Where it finds no child, it
//! has arrived.

mod identity;
mod interval;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::{Labels, Timestamp};

pub use self::identity::Variant;
pub use self::interval::{Span, TimeInterval, Zone};
use crate::Matchers;

/// Names a route of a tree: its place in the order in which the file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(usize);

/// A route: which alerts it takes, and what it does with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// What alerts it takes.
    pub matchers: Matchers,
    /// Whether later siblings get what it takes, too.
    pub continues: bool,
    /// By what its alerts are grouped.
    pub group_by: GroupBy,
    /// When its groups are notified.
    pub timing: GroupTiming,
    /// In these it is silent.
    pub mute_intervals: Vec<Arc<TimeInterval>>,
    /// Where there are any, it is silent outside of them.
    pub active_intervals: Vec<Arc<TimeInterval>>,
    /// Its matchers and those of all above it, as text.
    key: Box<str>,
    /// What tells it from others with this key and receiver.
    variant: Variant,
    /// What else it was or will be told by, in other company.
    other_variants: Vec<Variant>,
    children: Vec<RouteId>,
}

/// By what a route's alerts are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// By these labels; by none, all are one group.
    Labels(Vec<Box<str>>),
    /// By all that they have: each alert is a group.
    All,
}

/// When a group is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupTiming {
    /// From its first alert to its first notification.
    pub wait: Duration,
    /// From one look at what has changed to the next.
    pub interval: Duration,
    /// From a notification to the next one where nothing has changed.
    pub repeat_interval: Duration,
}

impl Default for GroupTiming {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            interval: Duration::from_mins(5),
            repeat_interval: Duration::from_hours(4),
        }
    }
}

impl Route {
    /// A route without children that takes every alert.
    pub(crate) fn root(receiver: Arc<str>) -> Self {
        Self {
            receiver,
            matchers: Matchers::default(),
            continues: false,
            group_by: GroupBy::Labels(Vec::new()),
            timing: GroupTiming::default(),
            mute_intervals: Vec::new(),
            active_intervals: Vec::new(),
            key: "{}".into(),
            variant: Variant::ALONE,
            other_variants: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The labels that an alert's group has in common.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.filtered(|name| names.iter().any(|by| **by == *name)),
        }
    }

    /// What a group is known by outside: the route's key and the group's labels.
    pub fn group_key(&self, group_labels: &Labels) -> String {
        let mut key = format!("{}:{{", self.key);
        let mut separator = "";
        for (name, value) in group_labels.iter() {
            write!(key, "{separator}{name}={value:?}").expect("a text takes all");
            separator = ", ";
        }
        key.push('}');
        key
    }

    /// What tells it from other routes with its key and receiver.
    pub(crate) fn variant(&self) -> Variant {
        self.variant
    }

    /// By what else it may have been told, before others came or went.
    pub(crate) fn other_variants(&self) -> &[Variant] {
        &self.other_variants
    }

    /// The names of the intervals that keep it silent at `time`; none where it may speak.
    pub fn muted_by(&self, time: Timestamp) -> Vec<&str> {
        let is_active = self.active_intervals.is_empty()
            || self.active_intervals.iter().any(|interval| interval.contains(time));
        if !is_active {
            return self.active_intervals.iter().map(|interval| &*interval.name).collect();
        }
        let muting = self.mute_intervals.iter().filter(|interval| interval.contains(time));
        muting.map(|interval| &*interval.name).collect()
    }
}

/// The tree. There is always a root, which takes every alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// How many there are, the root included.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A tree of the root alone.
    pub(crate) fn new(root: Route) -> Self {
        Self(vec![root])
    }

    /// The root's name.
    pub const ROOT: RouteId = RouteId(0);

    /// Adds a route below `parent`, after those that are there.
    pub(crate) fn add(&mut self, parent: RouteId, mut route: Route) -> RouteId {
        let id = RouteId(self.0.len());
        route.key = format!("{}/{}", self.get(parent).key, route.matchers).into();
        self.0[parent.0].children.push(id);
        self.0.push(route);
        id
    }

    /// All are there: tells them apart.
    pub(crate) fn identify(&mut self) {
        identity::identify(&mut self.0);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The route of that name.
    pub fn get(&self, id: RouteId) -> &Route {
        &self.0[id.0]
    }

    /// The routes at which an alert with these labels arrives: one at least.
    pub fn matching(&self, labels: &Labels) -> Vec<RouteId> {
        let mut arrived = Vec::new();
        self.descend(Self::ROOT, labels, &mut arrived);
        arrived
    }

    /// The receivers of an alert with these labels, in the order of its routes.
    pub fn receivers_of(&self, labels: &Labels) -> Vec<Arc<str>> {
        self.matching(labels).into_iter().map(|id| self.get(id).receiver.clone()).collect()
    }

    /// Notes where an alert arrives at or below a route that has taken it.
    fn descend(&self, id: RouteId, labels: &Labels, arrived: &mut Vec<RouteId>) {
        let before = arrived.len();
        for &child in &self.get(id).children {
            let route = self.get(child);
            if route.matchers.matches(labels) {
                self.descend(child, labels, arrived);
                if !route.continues {
                    break;
                }
            }
        }
        if arrived.len() == before {
            arrived.push(id);
        }
    }
}
