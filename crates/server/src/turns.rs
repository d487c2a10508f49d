//! Turns at what few can do at a time. Each who asks has a share of the places: who asks again and
//! again waits for their own, and the others for theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bellwire_access::{Identity, Means};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use bellwire_model::network_of;

/// Who asks: a subject, or the network of whoever has shown nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Subject(Box<str>),
    Network(Option<IpAddr>),
}

impl Asker {
    pub(crate) fn of(identity: &Identity, address: Option<IpAddr>) -> Self {
        match identity.means {
            Means::Open | Means::Anonymous | Means::Pending => {
                Self::Network(address.map(network_of))
            }
            _ => Self::Subject(identity.own_name("")),
        }
    }
}

impl Asker {
    /// As a text, which no other has.
    pub(crate) fn name(&self) -> Box<str> {
        match self {
            Self::Subject(subject) => format!("subject {subject}").into(),
            Self::Network(Some(address)) => format!("network {address}").into(),
            Self::Network(None) => "network".into(),
        }
    }
}

/// The places, and who has or wants some. Strangers choose the keys, so that their hashes are keyed.
#[derive(Debug)]
pub(crate) struct Turns {
    places: Arc<Semaphore>,
    most_of_asker: usize,
    askers: Mutex<HashMap<Asker, Asking>>,
}

/// What one who asks has.
#[derive(Debug)]
struct Asking {
    share: Arc<Semaphore>,
    /// How many of its requests have a place, or wait for one.
    requests: usize,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // In the order in which they are let go of.
    _place: OwnedSemaphorePermit,
    _share: OwnedSemaphorePermit,
    _request: Request,
}

/// Keeps the share of whoever asks for as long as something is asked.
#[derive(Debug)]
struct Request {
    turns: Arc<Turns>,
    asker: Asker,
}

impl Turns {
    /// So many places; each who asks has a half of them at most.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let most_of_asker = places.div_ceil(2);
        let places = Arc::new(Semaphore::new(places));
        Arc::new(Self { places, most_of_asker, askers: Mutex::default() })
    }

    /// Waits for a place. For one of all only those wait who may have it, so that ahead of each there
    /// is no more than the share of each of the others.
    pub(crate) async fn take(self: &Arc<Self>, asker: Asker) -> Turn {
        let (share, request) = self.request(asker);
        let share = share.acquire_owned().await.expect("the semaphore is never closed");
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        Turn { _place: place, _share: share, _request: request }
    }

    fn request(self: &Arc<Self>, asker: Asker) -> (Arc<Semaphore>, Request) {
        let mut askers = self.askers();
        let asking = askers.entry(asker.clone()).or_insert_with(|| Asking {
            share: Arc::new(Semaphore::new(self.most_of_asker)),
            requests: 0,
        });
        asking.requests += 1;
        (Arc::clone(&asking.share), Request { turns: Arc::clone(self), asker })
    }

    fn askers(&self) -> MutexGuard<'_, HashMap<Asker, Asking>> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut askers = self.turns.askers();
        let Some(asking) = askers.get_mut(&self.asker) else { return };
        asking.requests -= 1;
        if asking.requests == 0 {
            askers.remove(&self.asker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use bellwire_access::Claims;

    use super::*;

    /// A request for a turn.
    type Asked = Pin<Box<dyn Future<Output = Turn>>>;

    fn ask(turns: &Arc<Turns>, asker: Asker) -> Asked {
        let turns = Arc::clone(turns);
        Box::pin(async move { turns.take(asker).await })
    }

    /// The turn, where it has come.
    fn now(asked: &mut Asked) -> Option<Turn> {
        match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn subject(name: &str) -> Asker {
        let claims = Claims { subject: name.into(), ..Claims::anonymous() };
        let means = Means::Key("01234567".into());
        Asker::of(&Identity { claims, means, ..Identity::open() }, None)
    }

    #[test]
    fn who_asks_without_end_leaves_places_and_the_next_turn_to_others() {
        let turns = Turns::new(4);
        let (flood, other) = (subject("flood"), subject("other"));
        let mut asked: Vec<Asked> = (0..100).map(|_| ask(&turns, flood.clone())).collect();
        let mut held: Vec<Turn> = asked.iter_mut().filter_map(now).collect();
        assert_eq!(held.len(), 2, "a half of them");
        asked.drain(..2);
        let others = [(); 2].map(|()| now(&mut ask(&turns, other.clone())).expect("what is left"));
        // All are taken: who has none has the next, however many of the flood came before.
        let mut third = ask(&turns, subject("third"));
        assert!(now(&mut third).is_none());
        drop(held.pop());
        assert!(asked.iter_mut().all(|asked| now(asked).is_none()));
        let third = now(&mut third).expect("its turn");
        drop((third, others, held, asked));
        assert!(turns.askers().is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn the_only_place_goes_round() {
        let turns = Turns::new(1);
        let held = now(&mut ask(&turns, subject("flood"))).expect("the place");
        let mut again = ask(&turns, subject("flood"));
        assert!(now(&mut again).is_none());
        let mut other = ask(&turns, subject("other"));
        assert!(now(&mut other).is_none());
        drop(held);
        assert!(now(&mut again).is_none());
        let other = now(&mut other).expect("its turn");
        drop(other);
        assert!(now(&mut again).is_some());
    }

    #[test]
    fn who_shows_nothing_asks_as_a_network() {
        let from = |text: &str| {
            let address = Some(text.parse().expect("an address"));
            Asker::of(&Identity::open(), address)
        };
        assert_eq!(from("2001:db8::1"), from("2001:db8::2"));
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
        assert_ne!(from("192.0.2.1"), subject("ada"));
    }
}
