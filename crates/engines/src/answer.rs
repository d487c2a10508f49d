//! Whoever appends is answered in every case, also where the task that would have done it is dropped.

use std::fmt;

use bellwire_shared_log::{Error, Position, Stored};

/// The answer to an append, which is still to be given. Without one it is [`Error::Away`].
pub(crate) struct Answer(Option<Stored>);

impl Answer {
    /// The answer that is given by calling this.
    pub(crate) fn new(stored: Stored) -> Self {
        Self(Some(stored))
    }

    /// Gives it.
    pub(crate) fn give(mut self, result: Result<Position, Error>) {
        if let Some(stored) = self.0.take() {
            stored(result);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(stored) = self.0.take() {
            stored(Err(Error::Away("what waited for the answer has ended".to_owned())));
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn an_answer_is_given_once_and_in_every_case() {
        let (sender, answers) = sync_channel(2);
        let answer = || {
            let sender = sender.clone();
            Answer::new(Box::new(move |result| sender.send(result).unwrap()))
        };
        answer().give(Ok(Position::new(7)));
        assert_eq!(answers.try_recv(), Ok(Ok(Position::new(7))));
        drop(answer());
        assert!(matches!(answers.try_recv(), Ok(Err(Error::Away(_)))));
        assert!(answers.try_recv().is_err());
    }
}
