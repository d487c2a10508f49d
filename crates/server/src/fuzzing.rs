//! What the fuzz targets need of the parts that read the bytes of strangers and are private.

use crate::config::Origins;
use crate::front_door;

/// What the front door makes of the first bytes of a connection, in words. `None`: it would read
/// on.
pub fn request_head(head: &[u8]) -> Option<String> {
    match front_door::decide(head, &Origins::default()) {
        Ok(None) => None,
        Ok(Some(decision)) => Some(format!("{decision:?}")),
        Err(problem) => Some(format!("{problem:?}")),
    }
}
