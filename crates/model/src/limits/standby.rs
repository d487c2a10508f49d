//! Bounds of the node that copies what the rules know, and of the keeper that waits for it.

use std::time::Duration;

/// How long the standby of the rules may say nothing, or not get further, before the keeper goes on
/// without it.
pub const STANDBY_PATIENCE: Duration = Duration::from_secs(2);
/// How long whoever sent samples waits for the standby to have them, or to be left, before it is told to
/// send them again.
pub const STANDBY_ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Batches of samples whose senders wait for the standby.
pub const STANDBY_ANSWERS_MAX: usize = 8_192;
/// Bytes of the rules' log that the standby may lack before the keeper goes on without it.
pub const STANDBY_BEHIND_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that a node may lack of the rules' log when the keeper begins to wait for it.
pub const STANDBY_JOINS_WITHIN_BYTES: u64 = 1024 * 1024;
/// Bytes of the rules' state that the standby is sent at once.
pub const STANDBY_PIECE_BYTES: usize = 1024 * 1024;
/// Reads of the rules' log for the standby, and for who would be it, that are under way at a time.
pub const STANDBY_READS_MAX: usize = 2;
/// Bytes that are to be left on the disk of a node for it to begin, or to go on, to copy what the rules know:
/// its replica of the log needs them.
pub const STANDBY_SPACE_KEPT: u64 = 64 * 1024 * 1024;
/// How long the standby waits for what the keeper writes next: it is heard as often.
pub const STANDBY_POLL: Duration = Duration::from_millis(500);
/// How long another node than the standby leaves it the desk.
pub const STANDBY_FIRST: Duration = Duration::from_millis(2_500);
