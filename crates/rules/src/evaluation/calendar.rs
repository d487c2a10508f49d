//! `hour`, `day_of_week` and their kin: what a value says as a time in UTC.

use bellwire_model::{Date, Labels};

use super::{Evaluated, Evaluation, Item, Items, Number, seconds};
use crate::plan::{Calendar, Vector};

const DAY_SECONDS: i64 = 86_400;

impl Calendar {
    /// What it says of a time in seconds.
    pub(crate) fn of(self, time: i64) -> i64 {
        let day = time.div_euclid(DAY_SECONDS);
        let second = time.rem_euclid(DAY_SECONDS);
        let date = Date::of(day);
        match self {
            Self::Minute => second / 60 % 60,
            Self::Hour => second / 3600,
            Self::DayOfWeek => date.weekday(),
            Self::DayOfMonth => date.day,
            Self::DayOfYear => day - Date { month: 1, day: 1, ..date }.number() + 1,
            Self::DaysInMonth => date.days_in_month(),
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
    pub(super) fn wake_at_boundary(&mut self, function: Calendar, number: Number, time: i64) {
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

pub(super) fn part(function: Calendar, seconds: f64) -> f64 {
    // Beyond this, seconds are no dates.
    const SECONDS_MAX: f64 = 1e14;
    if seconds.abs() < SECONDS_MAX { function.of(seconds as i64) as f64 } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

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
