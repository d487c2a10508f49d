//! The nouns of Bellwire, and nothing else.
//!
//! Every other crate speaks in these types. There is no I/O here, no clock, no async and no
//! encoding: a [`Topic`] is a checked name, an [`Event`] is what a publisher said, an [`Offset`]
//! is where the journal put it, and [`Matchers`] test labels.
//!
//! ```text
//! sample ── rules ──▶ transition ─┐
//!                                 ├─▶ event ── journal ──▶ entry (offset + event)
//! publisher ──────────────────────┘
//! ```
#![deny(missing_docs)]

mod alert;
mod coded;
mod date;
pub mod duration;
mod effective;
mod event;
mod fence;
mod filter;
mod identity_hash;
mod key_version;
mod labels;
pub mod limits;
mod matcher;
mod name_hasher;
mod network;
mod offset;
mod principal;
mod protected;
mod query_id;
mod sample;
mod scope;
mod shares;
mod status;
mod text;
mod time;
mod topic;

pub use alert::{
    Alert, AlertSource, AlertState, Fingerprint, RuleName, Transition, TransitionKind,
};
pub use coded::{Coded, with_causes};
pub use date::{Date, Rfc3339};
pub use effective::{EffectiveFilter, MaxRate, MaxRateError, PacedFilter};
pub use event::{Body, BodyError, Closure, Entry, Event, Keep};
pub use fence::Fence;
pub use filter::{Filter, FilterError, FilterSet};
pub use identity_hash::{Fnv1a, IdentityHash};
pub use key_version::{Condition, KeyVersion, KeyVersionError, WriteTerms};
pub use labels::{Labels, LabelsBuilder, LabelsError, METRIC_NAME};
pub use matcher::{Matcher, MatcherError, Matchers, MatchersBuilder, Operator};
pub use name_hasher::{NameDigest, NameHasher, NameMap, NameSet};
pub use network::{NetworkError, Networks, network_of};
pub use offset::{Cursor, CursorError, Epoch, Life, Offset, Progress, StateMark, Version};
pub use principal::Principal;
pub use protected::{is_private, protected};
pub use query_id::{AskedQuery, QueryId, QueryIdError};
pub use sample::{Sample, SampleError};
pub use scope::{Scope, Sight};
pub use shares::{Holder, Shares, Shortage};
pub use status::{
    Acknowledgement, AlertStatus, Assignment, Attention, Comment, NewAcknowledgement,
    NewAssignment, NewComment, SilenceId, SilenceIdError,
};
pub use text::{excerpt, is_nested_deeper, without_byte_order_mark};
pub use time::Timestamp;
pub use topic::{LabelsOf, Topic, TopicError};
