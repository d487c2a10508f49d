//! The listener's thread, and the way to it.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use bellwire_process::crash;
use mio::Poll;

use super::gate::Arrival;
use super::inbox::{Inbox, Letter, ListenerParts};
use super::turn::Turns;

/// The way to the listener's thread.
#[derive(Debug)]
pub struct Listener(Arc<Inbox>);

impl Listener {
    /// Starts the thread. It ends after [`drain`](Self::drain).
    pub fn start(parts: ListenerParts) -> io::Result<(Self, JoinHandle<()>)> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(&poll)?);
        let turns = Turns::new(poll, Arc::clone(&inbox), parts);
        let thread = crash::spawn_essential("mqtt".to_owned(), move || turns.run())?;
        Ok((Self(inbox), thread))
    }

    /// Looks after a connection from now on.
    pub fn adopt(&self, arrival: Arrival) {
        self.0.put(Letter::Arrived(arrival));
    }

    /// Acknowledges what the rules have seen, and tells all clients that the server ends.
    pub fn drain(&self) {
        self.0.put(Letter::Drain);
    }
}
