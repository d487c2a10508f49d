//! Named intervals of time, in which routes are silent or alone may speak.
//!
//! The rules of time zones come with the binary, so that an interval is the same on every machine.

use std::ops::RangeInclusive;

use bellwire_model::{Date, Timestamp};
use jiff::tz::{TimeZone, TimeZoneDatabase};

const MINUTE_MS: i64 = 60_000;

/// A name for stretches of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeInterval {
    /// What routes call it.
    pub name: Box<str>,
    /// It is any of these.
    pub spans: Vec<Span>,
}

impl TimeInterval {
    /// Whether `time` is in it.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.spans.iter().any(|span| span.contains(time))
    }
}

/// A stretch of time that comes again: all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Minutes of the day; the end is not in it.
    pub times: Option<Vec<(i64, i64)>>,
    /// From 0 for Sunday.
    pub weekdays: Option<Vec<RangeInclusive<i64>>>,
    /// From 1; -1 is the month's last day.
    pub days_of_month: Option<Vec<RangeInclusive<i64>>>,
    /// From 1.
    pub months: Option<Vec<RangeInclusive<i64>>>,
    /// As people count them.
    pub years: Option<Vec<RangeInclusive<i64>>>,
    /// Where all this is meant; UTC where nothing is said.
    pub zone: Option<Zone>,
}

/// A time zone, such as `Europe/Oslo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of that name in the database of time zones.
    pub fn named(name: &str) -> Option<Self> {
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// What clocks show there, as if it were UTC.
    fn local(&self, time: Timestamp) -> Timestamp {
        let instant = jiff::Timestamp::from_millisecond(time.as_ms());
        let offset = instant.map_or(0, |instant| self.0.to_offset(instant).seconds());
        Timestamp::from_ms(time.as_ms().saturating_add(i64::from(offset) * 1000))
    }
}

impl Span {
    fn contains(&self, time: Timestamp) -> bool {
        let time = self.zone.as_ref().map_or(time, |zone| zone.local(time));
        let date = time.date();
        let minute = time.ms_of_day() / MINUTE_MS;
        let within = |ranges: &Option<Vec<RangeInclusive<i64>>>, value: i64| {
            ranges.as_ref().is_none_or(|ranges| ranges.iter().any(|range| range.contains(&value)))
        };
        let is_time = self
            .times
            .as_ref()
            .is_none_or(|times| times.iter().any(|&(start, end)| (start..end).contains(&minute)));
        let is_day = self
            .days_of_month
            .as_ref()
            .is_none_or(|ranges| ranges.iter().any(|range| days(range, date).contains(&date.day)));
        is_time
            && is_day
            && within(&self.weekdays, date.weekday())
            && within(&self.months, date.month)
            && within(&self.years, date.year)
    }
}

/// Days that are counted from the month's end, as those of this month.
fn days(range: &RangeInclusive<i64>, date: Date) -> RangeInclusive<i64> {
    let last = date.days_in_month();
    let of_month = |day: i64| if day < 0 { last + day + 1 } else { day };
    of_month(*range.start())..=of_month(*range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_a_span_when_all_that_is_given_holds() {
        let office = Span {
            times: Some(vec![(9 * 60, 17 * 60)]),
            weekdays: Some(vec![1..=5]),
            ..Span::default()
        };
        let oslo = Span { zone: Zone::named("Europe/Oslo"), ..office.clone() };
        let end_of_month = Span { days_of_month: Some(vec![-3..=-1]), ..Span::default() };
        let first = Span { days_of_month: Some(vec![1..=1, 29..=31]), ..Span::default() };
        let summer =
            Span { months: Some(vec![6..=8]), years: Some(vec![2024..=2025]), ..Span::default() };
        let table = [
            (&office, "2024-02-29T09:00:00Z", true),
            (&office, "2024-02-29T08:59:59.999Z", false),
            (&office, "2024-02-29T17:00:00Z", false),
            (&office, "2024-03-02T12:00:00Z", false),
            // In Oslo it is one hour later in winter, and two from the last Sunday of March.
            (&oslo, "2024-03-29T08:00:00Z", true),
            (&oslo, "2024-03-29T07:59:59Z", false),
            (&oslo, "2024-04-01T07:00:00Z", true),
            (&oslo, "2024-04-01T15:00:00Z", false),
            (&end_of_month, "2024-02-27T00:00:00Z", true),
            (&end_of_month, "2024-02-26T00:00:00Z", false),
            (&end_of_month, "2023-02-26T00:00:00Z", true),
            (&first, "2023-02-01T00:00:00Z", true),
            (&first, "2023-02-28T00:00:00Z", false),
            (&first, "2024-02-29T00:00:00Z", true),
            (&summer, "2024-07-01T00:00:00Z", true),
            (&summer, "2026-07-01T00:00:00Z", false),
            (&summer, "2025-09-01T00:00:00Z", false),
        ];
        assert!(oslo.zone.is_some() && Zone::named("Europe/Atlantis").is_none());
        for (span, time, expected) in table {
            let at = Timestamp::from_rfc3339(time).expect("a time");
            assert_eq!(span.contains(at), expected, "{span:?} {time}");
        }
    }
}
