//! The desk on a virtual clock: what is shown, announced and kept of what happens to alerts.

mod acknowledging;
mod assigning;
mod heaping;
mod inhibiting;
mod posting;
mod refreshing;
mod restarting;
mod script;
mod silencing;
mod stepping;
