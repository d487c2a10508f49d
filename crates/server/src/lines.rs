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
}

impl<const BYTES_MAX: usize> Lines<BYTES_MAX> {
    /// Hands on each line that is complete with this piece, and is not empty.
    pub(crate) fn take<E: From<TooLong>>(
        &mut self,
        piece: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (part, behind) = rest.split_at(end);
            self.extend(part)?;
            if !self.begun.is_empty() {
                each(&self.begun)?;
                self.begun.clear();
            }
            rest = &behind[1..];
        }
        Ok(self.extend(rest)?)
    }

    fn extend(&mut self, part: &[u8]) -> Result<(), TooLong> {
        if self.begun.len() + part.len() > BYTES_MAX {
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
            for piece in b"abc\n\nd\nabcd\nx".chunks(step) {
                let each = |line: &[u8]| -> Result<(), TooLong> {
                    taken.push(String::from_utf8_lossy(line).into_owned());
                    Ok(())
                };
                lines.take(piece, each).expect("short");
            }
            assert_eq!(taken, ["abc", "d", "abcd"], "{step}");
            assert!(lines.take(b"abcd", |_| Ok::<(), TooLong>(())).is_err(), "{step}");
        }
    }
}
