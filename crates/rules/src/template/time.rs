//! Times and durations as Go writes them; all times are in UTC.

use bellwire_model::Date;

const SECOND: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A time in its parts.
pub(super) struct Moment {
    pub(super) date: Date,
    day: i64,
    second: i64,
    nanosecond: i64,
}

impl Moment {
    /// The time so many nanoseconds after 1970.
    pub(super) fn of(nanoseconds: i64) -> Self {
        let seconds = nanoseconds.div_euclid(SECOND);
        let day = seconds.div_euclid(DAY_SECONDS);
        let second = seconds.rem_euclid(DAY_SECONDS);
        let nanosecond = nanoseconds.rem_euclid(SECOND);
        Self { date: Date::of(day), day, second, nanosecond }
    }

    pub(super) fn hour(&self) -> i64 {
        self.second / 3600
    }

    pub(super) fn minute(&self) -> i64 {
        self.second / 60 % 60
    }

    pub(super) fn second(&self) -> i64 {
        self.second % 60
    }

    pub(super) fn nanosecond(&self) -> i64 {
        self.nanosecond
    }

    pub(super) fn weekday(&self) -> i64 {
        self.date.weekday()
    }

    pub(super) fn day_of_year(&self) -> i64 {
        self.day - Date { month: 1, day: 1, ..self.date }.number() + 1
    }

    /// As the layout shows it, which is how Go's reference time would be written.
    pub(super) fn text(&self, layout: &str) -> String {
        let mut text = String::with_capacity(layout.len());
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            let part = PARTS.iter().find(|part| rest.starts_with(**part) && part_ends(rest, part));
            if let Some(part) = part {
                text.push_str(&self.part(part));
                rest = &rest[part.len()..];
            } else if let Some((digits, length)) =
                self.fraction(rest).filter(|_| text.ends_with(char_digit))
            {
                text.push_str(&digits);
                rest = &rest[length..];
            } else {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        text
    }

    fn part(&self, part: &str) -> String {
        let Date { year, month, day } = self.date;
        let hour = self.hour();
        let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
        let is_afternoon = hour >= 12;
        match part {
            "January" => month_name(month).into(),
            "Jan" => month_name(month)[..3].into(),
            "Monday" => weekday_name(self.weekday()).into(),
            "Mon" => weekday_name(self.weekday())[..3].into(),
            "2006" => format!("{year:04}"),
            "06" => format!("{:02}", year.rem_euclid(100)),
            "01" => format!("{month:02}"),
            "1" => month.to_string(),
            "002" => format!("{:03}", self.day_of_year()),
            "__2" => format!("{:3}", self.day_of_year()),
            "02" => format!("{day:02}"),
            "_2" => format!("{day:2}"),
            "2" => day.to_string(),
            "15" => format!("{hour:02}"),
            "03" => format!("{twelve:02}"),
            "3" => twelve.to_string(),
            "04" => format!("{:02}", self.minute()),
            "4" => self.minute().to_string(),
            "05" => format!("{:02}", self.second()),
            "5" => self.second().to_string(),
            "PM" => if is_afternoon { "PM" } else { "AM" }.into(),
            "pm" => if is_afternoon { "pm" } else { "am" }.into(),
            "MST" => "UTC".into(),
            zone if zone.starts_with('Z') => "Z".into(),
            zone => zone.replace('7', "0").replace('-', "+"),
        }
    }

    /// `.000` or `.999` behind a second: its fraction, in the second case without the zeros.
    fn fraction(&self, layout: &str) -> Option<(String, usize)> {
        let sign = layout.chars().next().filter(|c| matches!(c, '.' | ','))?;
        let digit = layout[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
        let rest = layout[1..].trim_start_matches(digit);
        let length = layout.len() - rest.len();
        if rest.starts_with(char_digit) {
            return None;
        }
        let digits = format!("{:09}", self.nanosecond);
        let kept = &digits[..(length - 1).min(9)];
        let kept = if digit == '9' { kept.trim_end_matches('0') } else { kept };
        let text = if kept.is_empty() { String::new() } else { format!("{sign}{kept}") };
        Some((text, length))
    }
}

/// The parts of layouts; of two that start alike the longer one comes first.
const PARTS: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "002",
    "__2",
    "_2",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
];

fn char_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// Whether a part of a layout is one, and not the start of a word or of a year.
fn part_ends(layout: &str, part: &str) -> bool {
    let rest = &layout[part.len()..];
    match part {
        "Jan" | "Mon" => !rest.starts_with(|c: char| c.is_ascii_lowercase()),
        "_2" => !rest.starts_with("006"),
        _ => true,
    }
}

pub(super) fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"%!Month")
}

pub(super) fn weekday_name(weekday: i64) -> &'static str {
    usize::try_from(weekday).ok().and_then(|at| WEEKDAYS.get(at)).unwrap_or(&"%!Weekday")
}

/// A time as Go prints it.
pub(super) fn time_text(nanoseconds: i64) -> String {
    Moment::of(nanoseconds).text("2006-01-02 15:04:05.999999999 -0700 MST")
}

/// A duration as Go prints it: `1h30m0s`.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.unsigned_abs();
    let fraction = |unit: u64| {
        let text = format!(
            "{}.{:0width$}",
            magnitude / unit,
            magnitude % unit,
            width = { unit.ilog10() as usize }
        );
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match magnitude {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let whole = magnitude / SECOND as u64;
            let (hours, minutes) = (whole / 3600, whole / 60 % 60);
            let below = magnitude - (whole - whole % 60) * SECOND as u64;
            let text = format!("{}.{:09}", below / SECOND as u64, below % SECOND as u64);
            let seconds = text.trim_end_matches('0').trim_end_matches('.');
            match (hours, minutes) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}
