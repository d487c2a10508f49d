//! What the server answers to a request over a WebSocket.

use bellwire_model::{Closure, Cursor, FilterSet, KeyVersion};

use crate::control::{write_cursor, write_filters};
use crate::request::{Refusal, RequestId};
use crate::{msgpack, write};

/// The answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// It was done, and there is nothing more to say.
    Done,
    /// What was asked for is followed as far as it may be.
    Narrowed {
        /// What is left of it.
        topics: &'a FilterSet,
    },
    /// The event is in the journal.
    Published {
        /// Where: whoever resumes here has seen it.
        cursor: Cursor,
        /// Whether it was there before, by its idempotency key.
        is_duplicate: bool,
        /// Where its topic has ended with it.
        end: Option<Cursor>,
    },
    /// Its producer has sent the event before.
    Known {
        /// The producer's epoch.
        epoch: u64,
        /// The newest of its events in this epoch.
        sequence: u64,
    },
    /// A topic has ended, or was reopened.
    Closed {
        /// Which of the two.
        closure: Closure,
        /// Where that is.
        cursor: Cursor,
        /// Whether it was so before.
        is_duplicate: bool,
    },
    /// A key of a state topic was written or deleted.
    Written {
        /// Which version it has now.
        version: KeyVersion,
        /// Where its topic has ended with it.
        end: Option<Cursor>,
    },
    /// Keys of a state topic that begin alike were deleted.
    Deleted {
        /// How many.
        keys: usize,
    },
    /// Samples were taken in, all or some of them.
    Samples {
        /// How many were taken.
        accepted: usize,
        /// How many were not.
        rejected: usize,
        /// What is wrong with the first of those.
        errors: &'a [SampleError<'a>],
    },
    /// It was not done.
    Error {
        /// The stable code of the problem.
        code: &'a str,
        /// What was wrong, and what would be right.
        detail: &'a str,
        /// The version that a key has, where it is another than was asked for.
        version: Option<&'a str>,
        /// What a producer has to know to go on, by name.
        numbers: &'a [(&'static str, u64)],
        /// Whether it may have been done all the same, where that is in doubt.
        may_be_taken: Option<bool>,
        /// After how many seconds another try is worth it, where time may help.
        retry_after_s: Option<u32>,
    },
}

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleError<'a> {
    /// Which, from 1.
    pub line: usize,
    /// The stable code of the problem.
    pub code: &'a str,
    /// What is wrong, and what would be right.
    pub detail: &'a str,
}

impl<'a> From<&'a Refusal> for Reply<'a> {
    fn from(refusal: &'a Refusal) -> Self {
        Self::Error {
            code: refusal.code,
            detail: &refusal.detail,
            version: None,
            numbers: &[],
            may_be_taken: None,
            retry_after_s: None,
        }
    }
}

/// The member that says that something was there before.
const DUPLICATE: &[u8] = b",\"duplicate\":true";

impl Reply<'_> {
    /// The reply to the request with this id: `{"reply":7,…}`.
    pub fn json_for(&self, id: Option<&RequestId>) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(b"{\"reply\":");
        match id {
            Some(id) => id.write(&mut out),
            None => out.extend_from_slice(b"null"),
        }
        match *self {
            Self::Done => {}
            Self::Narrowed { topics } => write_filters(&mut out, "narrowed", topics),
            Self::Published { cursor, is_duplicate, end } => {
                write_cursor(&mut out, "cursor", cursor);
                if is_duplicate {
                    out.extend_from_slice(DUPLICATE);
                }
                if let Some(end) = end {
                    write_cursor(&mut out, Closure::End.as_str(), end);
                }
            }
            Self::Known { epoch, sequence } => {
                out.extend_from_slice(DUPLICATE);
                write_numbers(&mut out, &[("producer_epoch", epoch), ("producer_seq", sequence)]);
            }
            Self::Written { version, end } => {
                write::version_member(&mut out, version);
                if let Some(end) = end {
                    write_cursor(&mut out, Closure::End.as_str(), end);
                }
            }
            Self::Deleted { keys } => {
                write::member(&mut out, "deleted");
                write::integer(&mut out, keys);
            }
            Self::Closed { closure, cursor, is_duplicate } => {
                write_cursor(&mut out, closure.as_str(), cursor);
                if is_duplicate {
                    out.extend_from_slice(DUPLICATE);
                }
            }
            Self::Samples { accepted, rejected, errors } => {
                write::member(&mut out, "accepted");
                write::integer(&mut out, accepted);
                if rejected > 0 {
                    write::member(&mut out, "rejected");
                    write::integer(&mut out, rejected);
                    write::member(&mut out, "errors");
                    write_sample_errors(&mut out, errors);
                }
            }
            Self::Error { code, detail, version, numbers, may_be_taken, retry_after_s } => {
                out.extend_from_slice(b",\"error\":{");
                let later = (may_be_taken, retry_after_s);
                write_error(&mut out, (code, detail), (version, numbers), later);
            }
        }
        out.push(b'}');
        out
    }

    /// [`json_for`](Self::json_for) as `MessagePack`.
    pub fn msgpack_for(&self, id: Option<&RequestId>) -> Vec<u8> {
        msgpack::from_json(&self.json_for(id))
    }
}

fn write_sample_errors(out: &mut Vec<u8>, errors: &[SampleError<'_>]) {
    out.push(b'[');
    for (index, error) in errors.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"line\":" } else { b"{\"line\":" });
        write::integer(out, error.line);
        out.push(b',');
        write_error(out, (error.code, error.detail), (None, &[]), (None, None));
    }
    out.push(b']');
}

/// The members and the end of an object.
fn write_error(
    out: &mut Vec<u8>,
    (code, detail): (&str, &str),
    (version, numbers): (Option<&str>, &[(&str, u64)]),
    (may_be_taken, retry_after_s): (Option<bool>, Option<u32>),
) {
    out.extend_from_slice(b"\"code\":");
    write::string(out, code);
    write::member(out, "detail");
    write::string(out, detail);
    if let Some(version) = version {
        write::member(out, "version");
        write::string(out, version);
    }
    write_numbers(out, numbers);
    if let Some(is_maybe) = may_be_taken {
        write::member(out, "may_be_taken");
        out.extend_from_slice(if is_maybe { &b"true"[..] } else { b"false" });
    }
    if let Some(seconds) = retry_after_s {
        write_numbers(out, &[("retry_ms", u64::from(seconds) * 1_000)]);
    }
    out.push(b'}');
}

fn write_numbers(out: &mut Vec<u8>, numbers: &[(&str, u64)]) {
    for (name, number) in numbers {
        write::member(out, name);
        write::integer(out, *number);
    }
}
