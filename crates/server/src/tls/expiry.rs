//! Until when a certificate is valid, read from its DER: enough to tell it, and no more.

use std::fmt;

use bellwire_model::Timestamp;

/// The end of a certificate's validity, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    year: u32,
    month: u32,
    day: u32,
    second_of_day: u32,
}

impl Expiry {
    /// `None`: this is no certificate that one could make sense of.
    pub(super) fn of_certificate(der: &[u8]) -> Option<Self> {
        let certificate = Element::first(der)?;
        let fields = Element::first(certificate.content)?;
        let mut field = Element::first(fields.content)?;
        if field.tag == TAG_VERSION {
            field = Element::first(field.rest)?;
        }
        // Serial number, algorithm, issuer, then the validity: from, until.
        for _ in 0..3 {
            field = Element::first(field.rest)?;
        }
        let from = Element::first(field.content)?;
        let until = Element::first(from.rest)?;
        let text = std::str::from_utf8(until.content).ok()?;
        match until.tag {
            TAG_SHORT_TIME => {
                let year = number(text.get(..2)?)?;
                Self::parse(if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
            }
            TAG_LONG_TIME => Self::parse(number(text.get(..4)?)?, text.get(4..)?),
            _ => None,
        }
    }

    /// `MMDDhhmmssZ`.
    fn parse(year: u32, rest: &str) -> Option<Self> {
        let part = |index: usize| number(rest.get(index..index + 2)?);
        let (month, day) = (part(0)?, part(2)?);
        let second_of_day = part(4)? * 3600 + part(6)? * 60 + part(8)?;
        let is_date = year > 0 && (1..=12).contains(&month) && (1..=31).contains(&day);
        is_date.then_some(Self { year, month, day, second_of_day })
    }

    pub(super) fn is_ahead_of(self, now: Timestamp) -> bool {
        self.timestamp_s() as i64 * 1000 > now.as_ms()
    }

    /// Seconds since 1970.
    pub(super) fn timestamp_s(self) -> u64 {
        let leap_days = |year: u32| year / 4 - year / 100 + year / 400;
        let is_leap = leap_days(self.year) > leap_days(self.year - 1);
        let before_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let leap_day = u32::from(is_leap && self.month > 2);
        let day_of_year = before_month[self.month as usize - 1] + leap_day + self.day - 1;
        let year_days = (self.year - 1) * 365 + leap_days(self.year - 1);
        let days = u64::from(year_days + day_of_year).saturating_sub(DAYS_TO_1970);
        days * 86_400 + u64::from(self.second_of_day)
    }
}

/// Days before 1970 in the calendar of today.
const DAYS_TO_1970: u64 = 719_162;

const TAG_VERSION: u8 = 0xa0;
const TAG_SHORT_TIME: u8 = 0x17;
const TAG_LONG_TIME: u8 = 0x18;

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, second_of_day } = self;
        let (hour, minute) = (second_of_day / 3600, second_of_day / 60 % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// One element of DER, and what follows it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn first(der: &'a [u8]) -> Option<Self> {
        let ([tag, length], rest) = der.split_first_chunk()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            // The length takes as many bytes.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some(Self { tag: *tag, content, rest })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("entropy");
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn the_end_of_a_certificate_is_a_time() {
        let cases = [
            ((1999, 12, 31), "1999-12-31 00:00 UTC", 946_598_400),
            ((2026, 11, 20), "2026-11-20 00:00 UTC", 1_795_132_800),
            ((2028, 2, 29), "2028-02-29 00:00 UTC", 1_835_395_200),
            ((2028, 3, 1), "2028-03-01 00:00 UTC", 1_835_481_600),
            ((2049, 12, 31), "2049-12-31 00:00 UTC", 2_524_521_600),
            ((2100, 3, 1), "2100-03-01 00:00 UTC", 4_107_542_400),
            ((4096, 1, 1), "4096-01-01 00:00 UTC", 67_090_118_400),
        ];
        for ((year, month, day), text, timestamp_s) in cases {
            let expiry = Expiry::of_certificate(&made(year, month, day)).expect("a certificate");
            assert_eq!((expiry.to_string().as_str(), expiry.timestamp_s()), (text, timestamp_s));
        }
    }

    #[test]
    fn no_bytes_panic() {
        let certificate = made(2030, 1, 1);
        for end in 0..certificate.len() {
            assert_eq!(Expiry::of_certificate(&certificate[..end]), None, "cut at {end}");
        }
        for index in 0..certificate.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut changed = certificate.clone();
                changed[index] ^= flip;
                if let Some(expiry) = Expiry::of_certificate(&changed) {
                    expiry.timestamp_s();
                }
            }
        }
    }
}
