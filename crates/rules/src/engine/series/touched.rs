//! Which parts of rules a series touches.

use crate::engine::ids::PartId;

/// The parts that a series touches; of most it is one, which needs no list.
#[derive(Debug)]
pub(super) enum TouchedParts {
    Only(PartId),
    List(Box<[PartId]>),
}

impl TouchedParts {
    pub(super) fn as_slice(&self) -> &[PartId] {
        match self {
            Self::Only(part) => std::slice::from_ref(part),
            Self::List(parts) => parts,
        }
    }
}

impl Default for TouchedParts {
    fn default() -> Self {
        Self::List(Box::default())
    }
}

impl From<Vec<PartId>> for TouchedParts {
    fn from(parts: Vec<PartId>) -> Self {
        match parts[..] {
            [part] => Self::Only(part),
            _ => Self::List(parts.into()),
        }
    }
}
