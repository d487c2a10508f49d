//! Figures: numbers that threads add to, and the tables that name them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that threads add to.
#[derive(Debug, Default)]
pub struct Figure(AtomicU64);

impl Figure {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes from it.
    pub fn sub(&self, count: u64) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }

    /// Replaces it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Has it be this at least.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// Counts one until the guard is dropped, however that comes about.
    pub fn enter(&self) -> Inside<'_> {
        self.add(1);
        Inside(self)
    }

    /// What it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that a [`Figure`] counts.
#[derive(Debug)]
#[must_use]
pub struct Inside<'a>(&'a Figure);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

/// A figure as those see it who watch the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name, as Prometheus takes it.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What it is now.
    pub value: u64,
}

/// A figure that there is several of, told apart by labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, as Prometheus takes it.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// What it says.
    pub help: &'static str,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// The values of the labels, in that order, with what each figure is now.
    pub values: Vec<(Vec<&'static str>, u64)>,
}

/// The figures of one crate: a table of names, kinds and what they say. Behind `within` stand those
/// that are not shown as they are, since several crates count the same.
#[macro_export]
macro_rules! figures {
    (
        $(#[$attribute:meta])* $visibility:vis struct $Figures:ident {
            $($field:ident $kind:literal $name:literal $help:literal;)*
        }
        $(within { $($inner:ident $meaning:literal;)* })?
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Default)]
        $visibility struct $Figures {
            $(#[doc = $help] $visibility $field: $crate::Figure,)*
            $($(#[doc = $meaning] $visibility $inner: $crate::Figure,)*)?
        }

        impl $Figures {
            /// The table as it is now.
            $visibility fn rows(&self) -> ::std::vec::Vec<$crate::Row> {
                ::std::vec![$($crate::Row {
                    name: $name,
                    kind: $kind,
                    help: $help,
                    value: self.$field.get(),
                },)*]
            }
        }
    };
}
