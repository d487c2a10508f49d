//! Numbers and texts as bytes: small numbers are short, and nothing is read beyond the end.

use std::str;

use crate::Error;

/// A number in seven bits a byte, the lowest first.
pub(crate) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// A number that may be negative: those near zero are short.
pub(crate) fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_number(into, ((number << 1) ^ (number >> 63)) as u64);
}

/// Bytes, their number first.
pub(crate) fn put_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// What is left to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.0.split_first().ok_or(Error::Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    /// Exactly so many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (first, rest) =
            self.0.split_first_chunk().ok_or(Error::Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::Malformed("a number is too large"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Error> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let (first, rest) =
            self.0.split_at_checked(length).ok_or(Error::Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(first)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        str::from_utf8(self.bytes()?).map_err(|_| Error::Malformed("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(number in any::<u64>(), small in 0..300_u64, signed in any::<i64>(), text in ".{0,20}") {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_number(&mut bytes, small);
            put_signed(&mut bytes, signed);
            put_bytes(&mut bytes, text.as_bytes());
            let mut fields = Fields::of(&bytes);
            prop_assert_eq!(fields.number().unwrap(), number);
            prop_assert_eq!(fields.number().unwrap(), small);
            prop_assert_eq!(fields.signed().unwrap(), signed);
            prop_assert_eq!(fields.text().unwrap(), text);
            prop_assert!(fields.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut fields = Fields::of(&bytes);
            while fields.number().is_ok() && fields.bytes().is_ok() && fields.signed().is_ok() {}
        }
    }

    #[test]
    fn a_number_has_64_bits_at_most() {
        let all = [&[0xff; 9][..], &[1]].concat();
        assert_eq!(Fields::of(&all).number().unwrap(), u64::MAX);
        for last in [2, 0x80, 0x81] {
            let more = [&[0xff; 9][..], &[last, 0]].concat();
            assert!(Fields::of(&more).number().is_err(), "{last}");
        }
    }
}
