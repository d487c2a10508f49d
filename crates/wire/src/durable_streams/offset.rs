//! Offsets: a place in the journal as a text that sorts as places do.

use std::str::FromStr;

use bellwire_model::{Cursor, Epoch, Offset};
use thiserror::Error;

/// Digits of an epoch.
const EPOCH_DIGITS: usize = 10;
/// Digits of an offset.
const OFFSET_DIGITS: usize = 20;

/// The text of a place: of two places in one epoch the later one has the greater text.
pub fn token(place: Cursor) -> String {
    let (epoch, offset) = (place.epoch.get(), place.offset.get());
    format!("{epoch:0EPOCH_DIGITS$}_{offset:0OFFSET_DIGITS$}")
}

/// Where a reader wants to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the oldest that is kept: `-1`.
    Beginning,
    /// With what comes from now on: `now`.
    Now,
    /// Behind a place that it was told.
    After(Cursor),
}

/// The text is no offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an offset is `-1`, `now`, or what `Stream-Next-Offset` said, exactly as it came")]
pub struct OffsetError;

impl FromStr for From {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, OffsetError> {
        match text {
            "-1" => return Ok(Self::Beginning),
            "now" => return Ok(Self::Now),
            _ => {}
        }
        let (epoch, offset) = text.split_once('_').ok_or(OffsetError)?;
        let number = |text: &str, digits: usize| {
            let is_one = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
            is_one.then(|| text.parse::<u64>().ok()).flatten().ok_or(OffsetError)
        };
        let epoch = u32::try_from(number(epoch, EPOCH_DIGITS)?).map_err(|_| OffsetError)?;
        let offset = number(offset, OFFSET_DIGITS)?;
        Ok(Self::After(Cursor::new(Epoch::new(epoch), Offset::new(offset))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_offset_reads_back_and_sorts_as_places_do(
            (epoch, one, other) in any::<(u32, u64, u64)>(),
        ) {
            let place = |offset| Cursor::new(Epoch::new(epoch), Offset::new(offset));
            prop_assert_eq!(token(place(one)).parse(), Ok(From::After(place(one))));
            prop_assert_eq!(token(place(one)).cmp(&token(place(other))), one.cmp(&other));
        }
    }

    #[test]
    fn anything_else_is_no_offset() {
        assert_eq!("-1".parse(), Ok(From::Beginning));
        assert_eq!("now".parse(), Ok(From::Now));
        let long = "0000000007_99999999999999999999";
        for text in
            ["", "0", "-2", "NOW", "7_1042", "e7-1042", "0000000007-00000000000000001042", long]
        {
            assert_eq!(text.parse::<From>(), Err(OffsetError), "{text:?}");
        }
    }
}
