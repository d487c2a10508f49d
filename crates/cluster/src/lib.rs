//! A node of a cluster: its replica of the shared log is its journal.
