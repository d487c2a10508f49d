//! Days, months and times of day as time intervals write them: `monday:friday`, `-3:-1`, `09:00`.

use std::ops::RangeInclusive;

use super::Reason;
use super::document::{self, Text, Times};
use super::reading::Reading;
use crate::route::{Span, Zone};

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Years that can be told from days and months that were meant.
const YEARS: RangeInclusive<i64> = 0..=9999;

/// What ranges are written of.
#[derive(Clone, Copy)]
enum Unit {
    Weekday,
    DayOfMonth,
    Month,
    Year,
}

impl Unit {
    fn expected(self) -> &'static str {
        match self {
            Self::Weekday => "a weekday such as `monday`, or a range such as `monday:friday`",
            Self::DayOfMonth => "a day from 1 to 31 or -31 to -1, or a range such as `-3:-1`",
            Self::Month => "a month such as `may` or `5`, or a range such as `may:august`",
            Self::Year => "a year, or a range such as `2026:2028`",
        }
    }

    fn read(self, text: &str) -> Option<i64> {
        let named = |names: &[&str]| names.iter().position(|name| *name == text);
        let number = || text.parse::<i64>().ok();
        match self {
            Self::Weekday => named(&WEEKDAYS).map(|index| index as i64),
            Self::Month => named(&MONTHS)
                .map(|index| index as i64 + 1)
                .or_else(number)
                .filter(|month| (1..=12).contains(month)),
            Self::DayOfMonth => {
                number().filter(|day| (1..=31).contains(day) || (-31..=-1).contains(day))
            }
            Self::Year => number().filter(|year| YEARS.contains(year)),
        }
    }

    /// Whether there is anything from one to the other.
    fn is_range(self, begin: i64, end: i64) -> bool {
        match self {
            // As in the shortest of months.
            Self::DayOfMonth => {
                let of_month = |day: i64| if day < 0 { 28 + day } else { day };
                (begin > 0 || end < 0) && of_month(begin) <= of_month(end)
            }
            _ => begin <= end,
        }
    }
}

impl Reading {
    pub(super) fn span(&mut self, span: &document::Span) -> Span {
        let mut ranges = |texts: &Option<Vec<Text>>, unit| {
            let texts = texts.as_ref()?;
            Some(texts.iter().filter_map(|text| self.range(text, unit)).collect())
        };
        let weekdays = ranges(&span.weekdays, Unit::Weekday);
        let days_of_month = ranges(&span.days_of_month, Unit::DayOfMonth);
        let months = ranges(&span.months, Unit::Month);
        let years = ranges(&span.years, Unit::Year);
        let times = span.times.as_ref().map(|times| {
            let read = times.iter().map(|times| (times.referenced, minutes(&times.value)));
            let mut valid = Vec::with_capacity(times.len());
            for (place, minutes) in read {
                match minutes {
                    Ok(minutes) => valid.push(minutes),
                    Err(reason) => self.refuse(place, reason),
                }
            }
            valid
        });
        let zone = span.location.as_ref().and_then(|location| self.zone(location));
        Span { times, weekdays, days_of_month, months, years, zone }
    }

    fn zone(&mut self, location: &Text) -> Option<Zone> {
        let zone = Zone::named(&location.value);
        if zone.is_none() {
            let name = location.value.as_str().into();
            self.refuse(location.referenced, Reason::Location { name });
        }
        zone
    }

    fn range(&mut self, text: &Text, unit: Unit) -> Option<RangeInclusive<i64>> {
        let lower = text.value.to_lowercase();
        let (begin, end) = lower.split_once(':').unwrap_or((&lower, &lower));
        let range = unit.read(begin).zip(unit.read(end));
        let range = range.filter(|(begin, end)| unit.is_range(*begin, *end));
        if range.is_none() {
            let reason =
                Reason::Calendar { text: text.value.as_str().into(), expected: unit.expected() };
            self.refuse(text.referenced, reason);
        }
        range.map(|(begin, end)| begin..=end)
    }
}

/// The minutes of the day at which a range of times begins and ends.
fn minutes(times: &Times) -> Result<(i64, i64), Reason> {
    let Times { start_time, end_time } = times;
    match (minute(start_time), minute(end_time)) {
        (Some(start), Some(end)) if start < end => Ok((start, end)),
        _ => Err(Reason::Calendar {
            text: format!("{start_time}-{end_time}").into(),
            expected: "a range of times such as `09:00` to `17:00`, within one day",
        }),
    }
}

fn minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= 24 * 60).then_some(minutes)
}
