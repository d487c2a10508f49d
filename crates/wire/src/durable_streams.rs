//! Durable Streams: the bytes of that protocol, beside those of HTTP itself.
//!
//! ```text
//! offset   0000000007_00000000000000001042      epoch and offset of the journal, of one width
//! cursor   3369741                              which 20 s it is
//!
//! event: data
//! data:[{"n":1},{"n":2}]
//!
//! event: control
//! data:{"streamNextOffset":"0000000007_00000000000000001042","streamCursor":"3369741","upToDate":true}
//!
//! ```
//!
//! The protocol is of others: <https://github.com/durable-streams/durable-streams>.

mod cursor;
mod messages;
mod offset;
mod payload;

pub use cursor::StreamCursor;
pub use messages::{MessagesError, messages};
pub use offset::{From, OffsetError, token};
pub use payload::{Payload, Progress, control_event};
