//! Lines of what another node tells, as they come.

use thiserror::Error;

/// A line is longer than it may be.
#[derive(Debug, Error)]
#[error("a line is longer than {bytes_max} bytes")]
pub(crate) struct TooLong {
    bytes_max: usize,
}

/// Cuts what comes into lines of so many bytes at most.
#[derive(Debug, Default)]
pub(crate) struct Lines<const BYTES_MAX: usize> {
    begun: Vec<u8>,
    /// The line that comes is too long: the rest of it is dropped.
    is_dropped: bool,
}

impl<const BYTES_MAX: usize> Lines<BYTES_MAX> {
    /// Hands on each line that is complete with this piece, and is not empty; of one that is too long that it
    /// is, once, as soon as that is known.
    pub(crate) fn take<E>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(Result<&[u8], TooLong>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (part, behind) = rest.split_at(end);
            if let Err(error) = self.extend(part) {
                each(Err(error))?;
            }
            if !self.begun.is_empty() {
                each(Ok(&self.begun))?;
            }
            self.begun.clear();
            self.is_dropped = false;
            rest = &behind[1..];
        }
        self.extend(rest).or_else(|error| each(Err(error)))
    }

    fn extend(&mut self, part: &[u8]) -> Result<(), TooLong> {
        if self.is_dropped {
            return Ok(());
        }
        if self.begun.len() + part.len() > BYTES_MAX {
            (self.begun, self.is_dropped) = (Vec::new(), true);
            return Err(TooLong { bytes_max: BYTES_MAX });
        }
        self.begun.extend_from_slice(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come_and_no_longer_than_they_may_be() {
        for step in [1, 2, 100] {
            let (mut lines, mut taken) = (Lines::<4>::default(), Vec::new());
            for piece in b"abc\n\nd\nabcd\nabcdefgh\nfg\nx".chunks(step) {
                let each = |line: Result<&[u8], TooLong>| -> Result<(), TooLong> {
                    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
                    taken.push(line.map_or("too long".to_owned(), text));
                    Ok(())
                };
                lines.take(piece, each).expect("all is taken");
            }
            assert_eq!(taken, ["abc", "d", "abcd", "too long", "fg"], "{step}");
            assert!(lines.take(b"abcd", |line| line.map(drop)).is_err(), "{step}");
        }
    }
}
