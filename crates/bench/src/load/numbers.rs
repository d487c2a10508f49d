//! Numbers within what a publisher sends again and again: each event has one of its own, so that none
//! passes for another.

use memchr::memmem;

/// The member of a body that has its number.
pub(crate) const MEMBER: &str = "\"number\":\"0000000000000000\",";

/// What is before its digits.
const MARK: &str = "\"number\":\"";
const DIGITS: usize = 16;

/// Where the numbers of a request stand. The first of them is 1.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Where the digits of each begin.
    places: Vec<usize>,
    /// Where what is masked begins, and with what: bytes of 0 leave it as it is.
    mask: (usize, [u8; 4]),
    /// The newest that was acknowledged.
    last: u64,
}

impl Numbers {
    /// Those of a request that ends with this payload, masked with these bytes.
    pub(super) fn of(request: &[u8], payload: &[u8], mask: [u8; 4]) -> Self {
        let begin = request.len() - payload.len();
        let places = memmem::find_iter(payload, MARK).map(|at| begin + at + MARK.len()).collect();
        Self { places, mask: (begin, mask), last: 0 }
    }

    /// Writes those that come next, where so many requests are under way.
    pub(super) fn write(&self, request: &mut [u8], under_way: usize) {
        let (begin, mask) = self.mask;
        let newest = self.last + (under_way * self.places.len()) as u64;
        for (place, number) in self.places.iter().zip(newest + 1..) {
            let mut rest = number;
            for at in (*place..place + DIGITS).rev() {
                request[at] = (b'0' + (rest % 10) as u8) ^ mask[(at - begin) % mask.len()];
                rest /= 10;
            }
        }
    }

    /// How many events a request has.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// The newest that was acknowledged.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The request was acknowledged.
    pub(super) fn advance(&mut self) {
        self.last += self.places.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"number":"0000000000000000","pad":"x"}"#;

    fn numbers_in(payload: &[u8]) -> Vec<String> {
        let text = String::from_utf8(payload.to_vec()).expect("text");
        text.lines().map(|line| line[MARK.len() + 1..][..DIGITS].to_owned()).collect()
    }

    #[test]
    fn each_event_of_each_request_has_a_number_of_its_own() {
        let payload = format!("{BODY}\n{BODY}\n");
        let mut request = format!("POST /\r\n\r\n{payload}").into_bytes();
        let mut numbers = Numbers::of(&request, payload.as_bytes(), [0; 4]);
        assert_eq!((numbers.count(), numbers.last()), (2, 0));
        let mut written = || {
            // What comes behind it, and then itself: it was not acknowledged yet.
            numbers.write(&mut request, 1);
            numbers.write(&mut request, 0);
            numbers.advance();
            numbers_in(&request[request.len() - payload.len()..])
        };
        assert_eq!(written(), ["0000000000000001", "0000000000000002"]);
        assert_eq!(written(), ["0000000000000003", "0000000000000004"]);
        assert_eq!(numbers.last(), 4);
    }

    #[test]
    fn numbers_are_masked_as_the_rest_is() {
        let mask = [1, 2, 3, 4];
        let masked = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
        };
        let mut frame = [b"head".to_vec(), masked(BODY.as_bytes())].concat();
        let mut numbers = Numbers::of(&frame, BODY.as_bytes(), mask);
        numbers.advance();
        numbers.write(&mut frame, 0);
        assert_eq!(numbers_in(&masked(&frame[4..])), ["0000000000000002"]);
        numbers.write(&mut frame, 3);
        assert_eq!(numbers_in(&masked(&frame[4..])), ["0000000000000005"]);
        assert_eq!(&frame[..4], b"head");
    }
}
