//! Dates of the Gregorian calendar in UTC, and times as RFC 3339 writes them.

use std::fmt;

use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// As people count them; 0 is the year before the year 1.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// Of the month, from 1.
    pub day: i64,
}

impl Date {
    /// The date that is `day` days after 1970-01-01. Years are counted from March, so that a leap
    /// day is the last day of its year; 400 years are always as many days.
    pub const fn of(day: i64) -> Self {
        let day = day + 719_468;
        let era = day.div_euclid(146_097);
        let of_era = day.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year + era * 400 + (month <= 2) as i64;
        Self { year, month, day: of_year - (153 * from_march + 2) / 5 + 1 }
    }

    /// The days since 1970-01-01.
    pub const fn number(self) -> i64 {
        let year = self.year - (self.month <= 2) as i64;
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let from_march = (self.month + 9) % 12;
        let of_year = (153 * from_march + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// The day of the week, from 0 for Sunday.
    pub const fn weekday(self) -> i64 {
        // The first day was a Thursday.
        (self.number() + 4).rem_euclid(7)
    }

    /// How many days its month has.
    pub const fn days_in_month(self) -> i64 {
        let first = Self { day: 1, ..self };
        let next = match self.month {
            12 => Self { year: self.year + 1, month: 1, day: 1 },
            month => Self { month: month + 1, day: 1, ..self },
        };
        next.number() - first.number()
    }
}

impl Timestamp {
    /// Its date in UTC.
    pub const fn date(self) -> Date {
        Date::of(self.as_ms().div_euclid(DAY_MS))
    }

    /// The milliseconds since its day began in UTC.
    pub const fn ms_of_day(self) -> i64 {
        self.as_ms().rem_euclid(DAY_MS)
    }

    /// The time that a text like `2024-01-01T00:00:00Z` or `2024-01-01T02:30:00.250+02:30` says.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let (time, zone) = time.split_at(time.find(['Z', 'z', '+', '-'])?);
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
        let is_date = (1..=12).contains(&month)
            && (1..=Date { year, month, day: 1 }.days_in_month()).contains(&day);
        // A minute may have a leap second.
        let is_time = hour < 24 && minute < 60 && second <= 60;
        if !is_date || !is_time || !is_digits(fraction) {
            return None;
        }
        let minutes = Date { year, month, day }.number() * 1440 + hour * 60 + minute;
        let seconds = (minutes - zone_minutes(zone)?) * 60 + second;
        let fraction: f64 = format!("0.{fraction}").parse().ok()?;
        let ms = seconds * 1_000 + (fraction * 1e3).round() as i64;
        Some(Self::from_ms(ms.min(LAST_MS)))
    }

    /// As RFC 3339 writes it, in UTC with milliseconds: `2024-01-01T00:00:00.250Z`.
    pub const fn rfc3339(self) -> Rfc3339 {
        Rfc3339(self)
    }
}

/// The last millisecond that RFC 3339 can write: what is read late on that day, or in a zone behind
/// UTC, must still be readable by others when it is written.
const LAST_MS: i64 = 253_402_300_799_999;

/// How far a zone such as `Z` or `+02:30` is ahead of UTC.
fn zone_minutes(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let [hours, minutes] = numbers(&zone[1..], ':', [2, 2])?;
    let ahead = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
    Some(if zone.starts_with('-') { -ahead } else { ahead })
}

/// Numbers of so many digits each, with a separator between them.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && is_digits(part))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A time that prints as RFC 3339 writes it.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339(Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = self.0.date();
        let ms = self.0.ms_of_day();
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, ms) = (ms / 1000 % 60, ms % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
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
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000)),
            ("9999-12-31T23:59:59.999999999Z", Some(LAST_MS)),
            ("9999-12-31T23:00:00-14:00", Some(LAST_MS)),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01T00:00:00+99999999999999:00", None),
            ("99999999999999999-01-01T00:00:00Z", None),
            ("-9223372036854775808-01-01T00:00:00Z", None),
            ("2024-01-01", None),
            ("soon", None),
            // Whoever writes it wrongly is told, and gets no silence that ends at another time.
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2024-04-31T00:00:00Z", None),
            ("2024-1-1T00:00:00Z", None),
            ("2024-01-01T0:00:00Z", None),
            ("2024-01-01T00:00:+1Z", None),
            ("2024-01-01T00:00:1e1Z", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00:00Z", None),
            ("2024-01-01T00:00:00Z and more", None),
            ("2024-01-01T00:00:00+1", None),
            ("2024-01-01T00:00:00+24:00", None),
            ("2024-01-01T00:00:00+00:60", None),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("2024-01-01 00:00:00.9996z", Some(1_704_067_201_000)),
        ];
        for (text, ms) in table {
            assert_eq!(Timestamp::from_rfc3339(text).map(Timestamp::as_ms), ms, "{text}");
        }
    }

    #[test]
    fn a_time_reads_as_it_was_written() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
            (LAST_MS, "9999-12-31T23:59:59.999Z"),
        ];
        for (ms, text) in table {
            let time = Timestamp::from_ms(ms);
            assert_eq!(time.rfc3339().to_string(), text);
            assert_eq!(Timestamp::from_rfc3339(text), Some(time));
        }
    }

    #[test]
    fn a_date_knows_its_weekday_and_its_month() {
        let table = [((1970, 1, 1), 4, 31), ((2000, 2, 29), 2, 29), ((2100, 2, 28), 0, 28)];
        for ((year, month, day), weekday, days) in table {
            let date = Date { year, month, day };
            assert_eq!(Date::of(date.number()), date);
            assert_eq!((date.weekday(), date.days_in_month()), (weekday, days), "{date:?}");
        }
    }
}
