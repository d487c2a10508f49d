//! The samples of one series, in one piece, so that expressions go over them without a detour.
//!
//! The newest sample goes behind the others. Late ones are put among them many at a time: each pass
//! moves what is behind the first of them once, in whatever order they came.

use super::{Point, SAMPLE_BYTES, room_by_little};

/// Samples of one series in the order of their times, each time once.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    held: Held,
    /// How many of them are stale markers, and how many are lower than the one before.
    uneven: u32,
}

/// There is one for each series, so it is small.
#[derive(Clone, Debug)]
enum Held {
    /// The only one: most series have no more.
    One(Point),
    Window(Window),
}

const _: () = assert!(size_of::<Held>() == size_of::<Window>());

impl Default for Points {
    fn default() -> Self {
        Self { held: Held::Window(Window::default()), uneven: 0 }
    }
}

impl Points {
    /// Points in the order of their times, each time once.
    pub(crate) fn of_sorted(points: Vec<Point>) -> Self {
        let uneven = unevenness_from(&points, 0);
        Self { held: Held::Window(Window::of(points)), uneven }
    }

    /// Whether a sample is older than one that is there, or as old.
    pub(crate) fn is_late(&self, time: i64) -> bool {
        self.as_slice().last().is_some_and(|last| time <= last.time)
    }

    /// Adds a sample in its place. Of two with one time the last counts.
    pub(crate) fn add(&mut self, point: Point) {
        if self.is_late(point.time) {
            self.merge(&[point], usize::MAX);
            return;
        }
        self.uneven += unevenness(self.as_slice().last().copied(), point);
        self.window().push(point);
    }

    /// Puts samples among those that are there: in the order of their times, each time once. Of two
    /// with one time theirs counts. At most so many are there in the end, of which some go to the
    /// oldest ones' cost; says how many of these.
    pub(crate) fn merge(&mut self, late: &[Point], room: usize) -> usize {
        let held = self.as_slice();
        let new = late.len() - in_both(held, late);
        let over = (held.len() + new).saturating_sub(room);
        let (held_over, late_over) = oldest(held, late, over);
        if let Some(last) = held_over.checked_sub(1) {
            let until = held[last].time;
            self.forget_until(until);
        }
        let late = &late[late_over..];
        let Some(first) = late.first() else { return over };
        let held = self.as_slice();
        let new = late.len() - in_both(held, late);
        let from = held.partition_point(|point| point.time < first.time);
        let less = unevenness_from(held, from);
        let window = self.window();
        window.make_room(new, room);
        window.merge(from, late, new);
        let more = unevenness_from(window.as_slice(), from);
        self.uneven = self.uneven - less + more;
        over
    }

    /// Makes a sample the only one.
    pub(crate) fn replace(&mut self, point: Point) {
        *self = Self { held: Held::One(point), uneven: unevenness(None, point) };
    }

    /// Drops every sample at or before a time.
    pub(crate) fn forget_until(&mut self, time: i64) {
        let held = self.as_slice();
        let (mut dropped, mut less) = (0, 0);
        while let Some(point) = held.get(dropped).filter(|point| point.time <= time) {
            let next = held.get(dropped + 1);
            less += u32::from(point.is_stale_marker());
            less += u32::from(next.is_some_and(|next| next.value < point.value));
            dropped += 1;
        }
        if dropped > 0 {
            self.uneven -= less;
            self.window().gone += dropped as u32;
        }
    }

    /// Drops the oldest of them, an eighth: there is no room for a longer window. Says how many.
    pub(crate) fn shorten(&mut self) -> usize {
        let held = self.as_slice();
        let Some(last) = (held.len() / 8).checked_sub(1) else { return 0 };
        let time = held[last].time;
        self.forget_until(time);
        last + 1
    }

    /// Bytes that one more sample behind the others takes.
    pub(crate) fn growth_bytes(&self) -> usize {
        let samples = match &self.held {
            Held::One(_) => 1 + room_by_little(1),
            Held::Window(window) if window.is_full() && window.gone == 0 => {
                room_by_little(window.room.len())
            }
            Held::Window(_) => 0,
        };
        samples * SAMPLE_BYTES
    }

    /// Bytes that a window takes.
    pub(crate) fn bytes(&self) -> usize {
        self.capacity() * SAMPLE_BYTES
    }

    /// How many samples a window has memory for.
    pub(crate) fn capacity(&self) -> usize {
        match &self.held {
            Held::One(_) => 0,
            Held::Window(window) => window.room.len(),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Point] {
        match &self.held {
            Held::One(point) => std::slice::from_ref(point),
            Held::Window(window) => window.as_slice(),
        }
    }

    /// Whether none is a stale marker, and none lower than the one before.
    pub(crate) fn rise(&self) -> bool {
        self.uneven == 0
    }

    fn window(&mut self) -> &mut Window {
        if let Held::One(point) = self.held {
            self.held = Held::Window(Window::of(vec![point]));
        }
        match &mut self.held {
            Held::Window(window) => window,
            Held::One(_) => unreachable!("it was made a window a line ago"),
        }
    }
}

/// Several samples, or none: those from `gone` to `end`. What is at the front no longer counts, and
/// is moved out of the way when there is no more room, so that what counts lies in one piece.
#[derive(Clone, Debug, Default)]
struct Window {
    room: Box<[Point]>,
    gone: u32,
    end: u32,
}

impl Window {
    fn of(points: Vec<Point>) -> Self {
        Self { end: points.len() as u32, room: points.into(), gone: 0 }
    }

    fn as_slice(&self) -> &[Point] {
        &self.room[self.gone as usize..self.end as usize]
    }

    fn is_full(&self) -> bool {
        self.end as usize == self.room.len()
    }

    /// Adds a sample behind the others.
    fn push(&mut self, point: Point) {
        if self.is_full() && self.gone > 0 {
            self.drain();
        }
        if self.is_full() {
            self.resize(self.room.len() + room_by_little(self.room.len()));
        }
        self.room[self.end as usize] = point;
        self.end += 1;
    }

    /// Takes memory for more samples: what there is, and beyond it a little more than asked for, but
    /// none beyond the room that there is in all.
    fn make_room(&mut self, more: usize, room: usize) {
        let is_short = |window: &Self| window.end as usize + more > window.room.len();
        if is_short(self) && self.gone > 0 {
            self.drain();
        }
        if is_short(self) {
            let len = self.end as usize;
            let most = room.saturating_sub(len);
            self.resize(len + more.max(room_by_little(len).min(most)));
        }
    }

    /// Moves what no longer counts out of the way.
    fn drain(&mut self) {
        self.room.copy_within(self.gone as usize..self.end as usize, 0);
        self.end -= self.gone;
        self.gone = 0;
        let most = (self.end as usize + 1) * 2;
        if self.room.len() > most {
            self.resize(most);
        }
    }

    /// Takes memory for so many samples, neither more nor less.
    fn resize(&mut self, samples: usize) {
        let mut room = std::mem::take(&mut self.room).into_vec();
        room.reserve_exact(samples.saturating_sub(room.len()));
        room.resize(samples, Point { time: 0, value: 0.0 });
        self.room = room.into();
    }

    /// Puts samples among those from a place on, so many of them at times that are not there. There
    /// is room for them.
    fn merge(&mut self, from: usize, late: &[Point], new: usize) {
        let (from, mut left) = (self.gone as usize + from, self.end as usize);
        let mut to = left + new;
        self.end = to as u32;
        let points = &mut self.room;
        for point in late.iter().rev() {
            while left > from && points[left - 1].time > point.time {
                left -= 1;
                to -= 1;
                points[to] = points[left];
            }
            left -= usize::from(left > from && points[left - 1].time == point.time);
            to -= 1;
            points[to] = *point;
        }
    }
}

/// How many late samples have the time of one that is held.
fn in_both(held: &[Point], late: &[Point]) -> usize {
    let Some(first) = late.first() else { return 0 };
    let mut held = &held[held.partition_point(|point| point.time < first.time)..];
    let mut both = 0;
    for point in late {
        held = &held[held.partition_point(|held| held.time < point.time)..];
        both += usize::from(held.first().is_some_and(|held| held.time == point.time));
    }
    both
}

/// Of all that are held and late, so many of the oldest: how many are held, and how many late.
fn oldest(held: &[Point], late: &[Point], count: usize) -> (usize, usize) {
    let (mut of_held, mut of_late) = (0, 0);
    for _ in 0..count {
        let time = |points: &[Point], at: usize| points.get(at).map_or(i64::MAX, |it| it.time);
        let (held, late) = (time(held, of_held), time(late, of_late));
        of_held += usize::from(held <= late);
        of_late += usize::from(late <= held);
    }
    (of_held, of_late)
}

/// What is uneven from a place on.
fn unevenness_from(points: &[Point], from: usize) -> u32 {
    let before = |at: usize| at.checked_sub(1).map(|before| points[before]);
    (from..points.len()).map(|at| unevenness(before(at), points[at])).sum()
}

/// What a sample behind another adds to what is uneven.
fn unevenness(before: Option<Point>, point: Point) -> u32 {
    let falls = before.is_some_and(|before| point.value < before.value);
    u32::from(point.is_stale_marker()) + u32::from(falls)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::STALE;
    use super::*;

    /// What comes to a series: one sample, or late ones together of which not all may have room.
    #[derive(Clone, Debug)]
    enum Coming {
        One(i64, u8),
        Late(Vec<(i64, u8)>, usize),
        ForgetUntil(i64),
        Shorten,
    }

    fn coming() -> impl Strategy<Value = Coming> {
        let late = prop::collection::vec((0..40_i64, 0..6_u8), 0..20);
        let room = prop_oneof![1 => 0..30_usize, 1 => Just(usize::MAX)];
        prop_oneof![
            6 => (0..40_i64, 0..6_u8).prop_map(|(time, value)| Coming::One(time, value)),
            3 => (late, room).prop_map(|(late, room)| Coming::Late(late, room)),
            2 => (0..30_i64).prop_map(Coming::ForgetUntil),
            1 => Just(Coming::Shorten),
        ]
    }

    fn point((time, value): (i64, u8)) -> Point {
        Point { time, value: if value == 5 { STALE } else { f64::from(value) } }
    }

    proptest! {
        #[test]
        fn what_is_held_is_what_a_map_holds_however_samples_come(
            all in prop::collection::vec(coming(), 1..80),
        ) {
            let mut points = Points::default();
            let mut expected: BTreeMap<i64, u64> = BTreeMap::new();
            for coming in all {
                match coming {
                    Coming::One(time, value) => {
                        points.add(point((time, value)));
                        expected.insert(time, point((time, value)).value.to_bits());
                    }
                    Coming::Late(late, room) => {
                        let late: BTreeMap<i64, u8> = late.into_iter().collect();
                        let late: Vec<Point> = late.into_iter().map(point).collect();
                        let before = points.capacity();
                        let cut = points.merge(&late, room);
                        expected.extend(late.iter().map(|it| (it.time, it.value.to_bits())));
                        prop_assert_eq!(cut, expected.len().saturating_sub(room));
                        (0..cut).for_each(|_| _ = expected.pop_first());
                        prop_assert!(points.capacity() <= before.max(room).max(1));
                    }
                    Coming::ForgetUntil(time) => {
                        points.forget_until(time);
                        expected.retain(|held, _| *held > time);
                    }
                    Coming::Shorten => {
                        let cut = points.shorten();
                        prop_assert_eq!(cut, expected.len() / 8);
                        (0..cut).for_each(|_| _ = expected.pop_first());
                    }
                }
                let held = points.as_slice();
                let bits: Vec<_> = held.iter().map(|it| (it.time, it.value.to_bits())).collect();
                prop_assert_eq!(bits, expected.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(points.uneven, unevenness_from(held, 0));
                let growth = points.growth_bytes();
                let before = points.bytes();
                let next = Point { time: 100, value: 0.0 };
                let mut longer = points.clone();
                longer.add(next);
                prop_assert_eq!(longer.bytes().saturating_sub(before), growth);
            }
        }
    }
}
