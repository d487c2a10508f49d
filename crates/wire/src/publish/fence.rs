//! What a publisher says of itself, so that each of its events counts exactly once.

use bellwire_model::Fence;
use bellwire_model::limits::PRODUCER_BYTES_MAX;
use thiserror::Error;

use super::is_name;

/// What a publisher says of itself, as text. Numbers are digits and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct FenceTexts<'a> {
    /// Its name.
    pub producer: Option<&'a str>,
    /// Its epoch.
    pub epoch: Option<&'a str>,
    /// Which of its events this is.
    pub sequence: Option<&'a str>,
}

/// Why that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FenceError {
    /// Some of it is missing.
    #[error("a producer says its id, its epoch and the sequence of the event, all three or none")]
    Incomplete,
    /// The name is empty, too long or has control characters.
    #[error("a producer's id has 1 to {PRODUCER_BYTES_MAX} bytes and no control characters")]
    Id,
    /// The epoch or the sequence is no number, or too large.
    #[error(
        "a producer's {what} is a whole number from 0 to {}, in digits alone",
        Fence::NUMBER_MAX
    )]
    Number {
        /// Which of them.
        what: &'static str,
    },
    /// There is no event.
    #[error("to end or to reopen a topic is no event of a producer: say it without")]
    NoEvent,
}

impl FenceError {
    /// The stable code of the problem.
    pub const fn code(self) -> &'static str {
        "producer_invalid"
    }
}

impl FenceTexts<'_> {
    /// What that means. `None`: nothing is said.
    pub fn read(self) -> Result<Option<Box<Fence>>, FenceError> {
        let (producer, epoch, sequence) = match (self.producer, self.epoch, self.sequence) {
            (None, None, None) => return Ok(None),
            (Some(producer), Some(epoch), Some(sequence)) => (producer, epoch, sequence),
            _ => return Err(FenceError::Incomplete),
        };
        if !is_name(producer, PRODUCER_BYTES_MAX) {
            return Err(FenceError::Id);
        }
        let (epoch, sequence) = (number("epoch", epoch)?, number("sequence", sequence)?);
        Ok(Some(Box::new(Fence { producer: producer.into(), epoch, sequence })))
    }
}

fn number(what: &'static str, text: &str) -> Result<u64, FenceError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_plain && *number <= Fence::NUMBER_MAX);
    number.ok_or(FenceError::Number { what })
}
