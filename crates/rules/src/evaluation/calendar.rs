//! `hour`, `day_of_week` and their kin: what a value says as a time in UTC.

use bellwire_model::Labels;

use super::{Evaluated, Evaluation, Item, Items, Number, seconds};
use crate::plan::Vector;

const DAY_SECONDS: i64 = 86_400;

/// A part of a date or time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calendar {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

impl Calendar {
    /// The function of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day_of_week" => Self::DayOfWeek,
            "day_of_month" => Self::DayOfMonth,
            "day_of_year" => Self::DayOfYear,
            "days_in_month" => Self::DaysInMonth,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// What it says of a time in seconds.
    pub(crate) fn of(self, time: i64) -> i64 {
        let day = time.div_euclid(DAY_SECONDS);
        let second = time.rem_euclid(DAY_SECONDS);
        let date = Date::of(day);
        match self {
            Self::Minute => second / 60 % 60,
            Self::Hour => second / 3600,
            // The first day was a Thursday.
            Self::DayOfWeek => (day + 4).rem_euclid(7),
            Self::DayOfMonth => date.day,
            Self::DayOfYear => day - Date { month: 1, day: 1, ..date }.number() + 1,
            Self::DaysInMonth => {
                let first = Date { day: 1, ..date };
                let next = match date.month {
                    12 => Date { year: date.year + 1, month: 1, day: 1 },
                    month => Date { month: month + 1, day: 1, ..date },
                };
                next.number() - first.number()
            }
            Self::Month => date.month,
            Self::Year => date.year,
        }
    }

    /// After how many seconds, at the latest, it may say something else.
    fn unit_seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            _ => DAY_SECONDS,
        }
    }
}

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// The date that is `day` days after 1970-01-01. Years are counted from March, so that a leap
    /// day is the last day of its year; 400 years are always as many days.
    fn of(day: i64) -> Self {
        let day = day + 719_468;
        let era = day.div_euclid(146_097);
        let of_era = day.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self { year, month, day: of_year - (153 * from_march + 2) / 5 + 1 }
    }

    /// The days since 1970-01-01.
    fn number(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let from_march = (self.month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }
}

impl Evaluation<'_> {
    pub(super) fn calendar(
        &mut self,
        function: Calendar,
        vector: Option<&Vector>,
        time: i64,
    ) -> Evaluated<Items> {
        let items = if let Some(vector) = vector {
            self.vector(vector, time)?
        } else {
            let number = Number { value: seconds(time), drift: 1e-3 };
            vec![Item { labels: Labels::empty(), number, drops_name: false }]
        };
        for item in &items {
            self.wake_at_boundary(function, item.number, time);
        }
        self.map(items, |number| Number::still(part(function, number.value)))
    }

    /// Wakes when a value that moves gets to the next minute, hour or day.
    fn wake_at_boundary(&mut self, function: Calendar, number: Number, time: i64) {
        if number.drift.is_nan() {
            self.follow(number);
        } else if number.drift != 0.0 && number.value.is_finite() {
            let unit = function.unit_seconds() as f64;
            let boundary = if number.drift > 0.0 {
                ((number.value / unit).floor() + 1.0) * unit
            } else {
                (number.value / unit).floor() * unit
            };
            self.wake_in(time, (boundary - number.value) / number.drift);
        }
    }
}

fn part(function: Calendar, seconds: f64) -> f64 {
    // Beyond this, seconds are no dates.
    const SECONDS_MAX: f64 = 1e14;
    if seconds.abs() < SECONDS_MAX { function.of(seconds as i64) as f64 } else { f64::NAN }
}

/// The milliseconds since 1970 that a text like `2024-01-01T00:00:00Z` says.
pub(crate) fn read_rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut numbers = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let mut parts = time.splitn(3, ':');
    let whole = |part: Option<&str>| part?.parse::<i64>().ok();
    let (hour, minute) = (whole(parts.next())?, whole(parts.next())?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && seconds < 61.0;
    if !is_date || !is_time || seconds.is_sign_negative() {
        return None;
    }
    let offset = match zone.strip_prefix(['+', '-']) {
        None => 0,
        Some(offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    let minutes = Date { year, month, day }.number() * 1440 + hour * 60 + minute - offset;
    Some(minutes * 60_000 + (seconds * 1e3).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone() {
        let table = [
            ("2024-01-01T00:00:00Z", Some(1_704_067_200_000)),
            ("2024-01-01T02:30:00.250+02:30", Some(1_704_067_200_250)),
            ("1970-01-01T00:00:00-01:00", Some(3_600_000)),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01", None),
            ("soon", None),
        ];
        for (text, ms) in table {
            assert_eq!(read_rfc3339(text), ms, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        use Calendar::{DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute, Month, Year};
        let parts = [Year, Month, DayOfMonth, Hour, Minute, DayOfWeek, DayOfYear, DaysInMonth];
        let table = [
            (0, [1970, 1, 1, 0, 0, 4, 1, 31]),
            (951_782_400, [2000, 2, 29, 0, 0, 2, 60, 29]),
            (4_107_542_399, [2100, 2, 28, 23, 59, 0, 59, 28]),
            (1_735_689_599, [2024, 12, 31, 23, 59, 2, 366, 31]),
            (-1, [1969, 12, 31, 23, 59, 3, 365, 31]),
        ];
        for (time, expected) in table {
            assert_eq!(parts.map(|part| part.of(time)), expected, "{time}");
        }
    }
}
