//! A part of a rule, with its series and what it gives.

use std::sync::Arc;

use bellwire_model::{Fingerprint, Labels, Timestamp};
use rustc_hash::FxHashSet;

use crate::evaluation::Selected;
use crate::evaluation::outline::Outline;
use crate::plan::SelectorId;
use crate::short_list::ShortList;
use crate::storage::{PairSet, SeriesId, set_hash};

/// The wake of a part that is not woken.
const NEVER: Timestamp = Timestamp::MAX;

/// A part of a rule. There is one for each series of many rules, so it is small.
#[derive(Debug)]
pub(in crate::engine) struct Part {
    members: Members,
    /// What it gives, where it gives something.
    given: Option<Box<Given>>,
    /// When it is evaluated although nothing comes.
    wake: Timestamp,
    outline: OutlineState,
    /// The elements that it came to last.
    elements: u32,
    /// Whether its last evaluation failed.
    is_failing: bool,
    /// Whether it is to be evaluated in this step.
    is_touched: bool,
}

/// What a part gives.
#[derive(Debug, Default)]
struct Given {
    /// The alerts that it raises.
    raised: ShortList<Fingerprint>,
    /// The series that it records.
    recorded: ShortList<SeriesId>,
    /// The elements that it gives to a standing query, in their order, with their values.
    shown: Vec<(Labels, f64)>,
}

/// What is known of the outline of a part: what it can give.
#[derive(Debug, Default)]
pub(in crate::engine) enum OutlineState {
    /// Its series have changed, and may go on doing so.
    #[default]
    Moving,
    /// It was evaluated once since.
    Settled,
    /// Its series have changed, which had one before: it is found anew at the next evaluation.
    Stale,
    /// It has none.
    Refused,
    /// That of an alerting rule.
    Alerts(Arc<Outline>),
    /// That of a recording rule.
    Records(Box<RecordingOutline>),
    /// That of a standing query.
    Tells(Box<TellingOutline>),
}

/// What a part of a recording rule can give.
#[derive(Debug)]
pub(in crate::engine) struct RecordingOutline {
    pub(in crate::engine) outline: Arc<Outline>,
    /// The series that each element is recorded as, if it ever was.
    pub(in crate::engine) targets: Box<[Option<SeriesId>]>,
}

/// What a part of a standing query can give.
#[derive(Clone, Debug)]
pub(in crate::engine) struct TellingOutline {
    pub(in crate::engine) outline: Arc<Outline>,
    /// The hash of the labels of each element, in order, with the element's place.
    keys: Arc<[(u64, u32)]>,
    /// The places of the elements that it gives, in the order in which it does.
    pub(in crate::engine) places: Box<[u32]>,
}

impl TellingOutline {
    /// That of elements with these labels, none of which are known to be there; nothing where their
    /// hashes do not tell them apart.
    pub(in crate::engine) fn new(outline: Arc<Outline>, labels: &[Labels]) -> Option<Self> {
        let hash = |labels: &Labels| set_hash(labels.iter());
        let mut keys: Vec<(u64, u32)> = labels.iter().map(hash).zip(0..).collect();
        keys.sort_unstable();
        let is_distinct = keys.windows(2).all(|keys| keys[0].0 != keys[1].0);
        is_distinct.then(|| Self { outline, keys: keys.into(), places: Box::default() })
    }

    /// With the elements that are there; nothing where one of them is none of its own.
    pub(in crate::engine) fn with_places(self, shown: &[(Labels, f64)]) -> Option<Self> {
        let place = |(labels, _): &(Labels, f64)| {
            let hash = set_hash(labels.iter());
            let found = self.keys.binary_search_by_key(&hash, |key| key.0).ok()?;
            Some(self.keys[found].1)
        };
        let places: Box<[u32]> = shown.iter().map(place).collect::<Option<_>>()?;
        Some(Self { places, ..self })
    }
}

/// The series of a part.
#[derive(Debug)]
pub(in crate::engine) enum Members {
    /// One series, of the rule's only selector.
    One(SeriesId),
    Grouped(Box<Grouped>),
}

#[derive(Debug)]
pub(in crate::engine) struct Grouped {
    key: PairSet,
    series: BySelector,
    /// Before this time it is not evaluated again: it looks at very many series.
    rests_until: Timestamp,
}

/// The series of each selector. Most rules have one, whose list needs none around it.
#[derive(Debug)]
enum BySelector {
    Only(ShortList<SeriesId>),
    Each(Box<[ShortList<SeriesId>]>),
}

impl BySelector {
    /// None yet.
    fn new(selectors: usize) -> Self {
        match selectors {
            1 => Self::Only(ShortList::default()),
            _ => Self::Each(vec![ShortList::default(); selectors].into()),
        }
    }

    fn lists(&self) -> &[ShortList<SeriesId>] {
        match self {
            Self::Only(list) => std::slice::from_ref(list),
            Self::Each(lists) => lists,
        }
    }

    fn lists_mut(&mut self) -> &mut [ShortList<SeriesId>] {
        match self {
            Self::Only(list) => std::slice::from_mut(list),
            Self::Each(lists) => lists,
        }
    }
}

impl OutlineState {
    /// The outline, where it is known.
    pub(in crate::engine) fn outline(&self) -> Option<&Outline> {
        match self {
            Self::Moving | Self::Settled | Self::Stale | Self::Refused => None,
            Self::Alerts(outline) => Some(outline),
            Self::Records(recording) => Some(&recording.outline),
            Self::Tells(telling) => Some(&telling.outline),
        }
    }

    /// What is known of it once the series have changed.
    fn changed(&self) -> Self {
        match self {
            Self::Moving | Self::Settled | Self::Refused => Self::Moving,
            Self::Stale | Self::Alerts(_) | Self::Records(_) | Self::Tells(_) => Self::Stale,
        }
    }

    /// The series that each element is recorded as.
    pub(in crate::engine) fn targets(&self) -> Option<&[Option<SeriesId>]> {
        match self {
            Self::Records(recording) => Some(&recording.targets),
            _ => None,
        }
    }
}

impl Grouped {
    /// What its series have in common.
    pub(in crate::engine) fn key(&self) -> PairSet {
        self.key
    }
}

impl Members {
    /// The series with one key, none yet.
    pub(super) fn grouped(key: PairSet, selectors: usize) -> Self {
        let series = BySelector::new(selectors);
        Self::Grouped(Box::new(Grouped { key, series, rests_until: Timestamp::MIN }))
    }

    /// The series of each selector.
    pub(in crate::engine) fn selected(&self) -> Selected<'_> {
        match self {
            Self::One(id) => Selected::Only(std::slice::from_ref(id)),
            Self::Grouped(grouped) => Selected::Each(grouped.series.lists()),
        }
    }

    /// The only series, where every series is a part.
    pub(in crate::engine) fn only(&self) -> Option<SeriesId> {
        match self {
            Self::One(id) => Some(*id),
            Self::Grouped(_) => None,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Grouped(grouped) => grouped.series.lists().iter().all(|list| list.is_empty()),
        }
    }
}

impl Part {
    pub(super) fn new(members: Members) -> Self {
        Self {
            members,
            given: None,
            wake: NEVER,
            outline: OutlineState::default(),
            elements: 0,
            is_failing: false,
            is_touched: false,
        }
    }

    pub(in crate::engine) fn members(&self) -> &Members {
        &self.members
    }

    /// Adds a series.
    pub(super) fn join(&mut self, selector: SelectorId, series: SeriesId) {
        self.outline = self.outline.changed();
        if let Members::Grouped(grouped) = &mut self.members {
            grouped.series.lists_mut()[selector.0 as usize].push(series);
        }
    }

    /// Takes series away.
    pub(super) fn leave(&mut self, series: &FxHashSet<SeriesId>) {
        self.outline = self.outline.changed();
        if let Members::Grouped(grouped) = &mut self.members {
            for members in grouped.series.lists_mut() {
                members.retain(|member| !series.contains(member));
            }
        }
    }

    /// Whether it has no series and nothing to say.
    pub(in crate::engine) fn is_idle(&self) -> bool {
        self.members.is_empty()
            && self.raised().is_empty()
            && self.recorded().is_empty()
            && self.shown().is_empty()
    }

    /// How many series it has, those of each selector counted.
    pub(in crate::engine) fn series(&self) -> usize {
        match &self.members {
            Members::One(_) => 1,
            Members::Grouped(grouped) => grouped.series.lists().iter().map(|list| list.len()).sum(),
        }
    }

    /// The alerts that it raises.
    pub(in crate::engine) fn raised(&self) -> &[Fingerprint] {
        self.given.as_ref().map_or(&[], |given| &given.raised)
    }

    /// What it raises, to be put back with what it raises from now on.
    pub(in crate::engine) fn take_raised(&mut self) -> ShortList<Fingerprint> {
        self.given.as_mut().map(|given| std::mem::take(&mut given.raised)).unwrap_or_default()
    }

    pub(in crate::engine) fn set_raised(&mut self, raised: ShortList<Fingerprint>) {
        if !raised.is_empty() || self.given.is_some() {
            self.given.get_or_insert_default().raised = raised;
            self.drop_nothing();
        }
    }

    pub(in crate::engine) fn add_raised(&mut self, raised: Fingerprint) {
        self.given.get_or_insert_default().raised.push(raised);
    }

    /// The series that it records.
    pub(in crate::engine) fn recorded(&self) -> &[SeriesId] {
        self.given.as_ref().map_or(&[], |given| &given.recorded)
    }

    /// What it records, to be put back with what it records from now on.
    pub(in crate::engine) fn take_recorded(&mut self) -> ShortList<SeriesId> {
        self.given.as_mut().map(|given| std::mem::take(&mut given.recorded)).unwrap_or_default()
    }

    pub(in crate::engine) fn set_recorded(&mut self, recorded: ShortList<SeriesId>) {
        if !recorded.is_empty() || self.given.is_some() {
            self.given.get_or_insert_default().recorded = recorded;
            self.drop_nothing();
        }
    }

    /// What it gives to a standing query.
    pub(in crate::engine) fn shown(&self) -> &[(Labels, f64)] {
        self.given.as_ref().map_or(&[], |given| &given.shown)
    }

    /// What it gives to a standing query, to be put back with what it gives from now on.
    pub(in crate::engine) fn take_shown(&mut self) -> Vec<(Labels, f64)> {
        self.given.as_mut().map(|given| std::mem::take(&mut given.shown)).unwrap_or_default()
    }

    pub(in crate::engine) fn set_shown(&mut self, shown: Vec<(Labels, f64)>) {
        if !shown.is_empty() || self.given.is_some() {
            self.given.get_or_insert_default().shown = shown;
            self.drop_nothing();
        }
    }

    fn drop_nothing(&mut self) {
        self.given.take_if(|given| {
            given.raised.is_empty() && given.recorded.is_empty() && given.shown.is_empty()
        });
    }

    /// What it can give, as far as is known.
    pub(in crate::engine) fn outline(&self) -> &OutlineState {
        &self.outline
    }

    pub(in crate::engine) fn set_outline(&mut self, outline: OutlineState) {
        self.outline = outline;
    }

    /// Before which time it is not evaluated again.
    pub(super) fn rests_until(&self) -> Timestamp {
        match &self.members {
            Members::One(_) => Timestamp::MIN,
            Members::Grouped(grouped) => grouped.rests_until,
        }
    }

    /// Lets it rest after an evaluation.
    pub(super) fn rest_until(&mut self, time: Timestamp) {
        if let Members::Grouped(grouped) = &mut self.members {
            grouped.rests_until = time;
        }
    }

    /// When it is evaluated although nothing comes.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        Some(self.wake).filter(|wake| *wake != NEVER)
    }

    pub(super) fn set_wake(&mut self, wake: Option<Timestamp>) -> Option<Timestamp> {
        let before = self.wake();
        self.wake = wake.unwrap_or(NEVER);
        before
    }

    /// Touches it. Says whether it was not yet.
    pub(super) fn touch(&mut self) -> bool {
        !std::mem::replace(&mut self.is_touched, true)
    }

    pub(super) fn is_touched(&self) -> bool {
        self.is_touched
    }

    pub(super) fn end_touch(&mut self) {
        self.is_touched = false;
    }

    /// The elements that it came to last.
    pub(in crate::engine) fn elements(&self) -> usize {
        self.elements as usize
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// Notes that it has come to so many elements, and says what was before.
    pub(super) fn succeed(&mut self, elements: usize) -> (usize, bool) {
        let before = std::mem::replace(&mut self.elements, elements as u32);
        (before as usize, std::mem::take(&mut self.is_failing))
    }

    /// Notes that its evaluation has failed, and says whether it had the last time.
    pub(super) fn fail(&mut self) -> bool {
        std::mem::replace(&mut self.is_failing, true)
    }
}
