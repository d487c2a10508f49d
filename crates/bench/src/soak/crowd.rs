//! Very many followers on one thread: whose connection ends comes back with its cursor, at one address
//! after the other, as behind a load balancer.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::feed::{Feed, Item, Transport};
use super::ledger::{Ledger, Tally};
use crate::histogram::Histogram;
use crate::load::{Origin, dial};

const EVENTS_PER_POLL: usize = 1024;
const PIECE_BYTES: usize = 64 * 1024;

/// Connections that are on their way at once, as in a storm of those who return.
const AT_ONCE: usize = 1024;

/// How long is waited for something to come, before it is looked whether all is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Who has not got by then what is awaited never will.
const TIME_MAX: Duration = Duration::from_mins(2);

/// Followers of one topic, over Server-Sent Events.
#[derive(Debug)]
pub(crate) struct Crowd {
    topic: &'static str,
    poll: Poll,
    events: Events,
    piece: Vec<u8>,
    /// What times of events count from.
    begin: Instant,
    /// Where they go; nowhere while there is none.
    addresses: Vec<SocketAddr>,
    members: Vec<Member>,
    /// Those without a connection, by their numbers.
    waiting: VecDeque<usize>,
    /// Those who have one and are not live on it yet.
    under_way: usize,
    /// When it began that all come back.
    since: Instant,
    /// From then until each was live.
    back: Histogram,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Dialed,
    Asked,
    /// The server has said `ready`.
    Ready,
    /// The same, and it is counted.
    Live,
}

#[derive(Debug)]
struct Member {
    socket: Option<TcpStream>,
    stage: Stage,
    /// Whether it counts among those who are back.
    is_back: bool,
    feed: Feed,
    ledger: Ledger,
    after: String,
    /// The next address is that behind so many.
    tries: usize,
}

impl Member {
    fn new(number: usize) -> Self {
        Self {
            socket: None,
            stage: Stage::Dialed,
            is_back: false,
            feed: Feed::new(Transport::Sse),
            ledger: Ledger::new(),
            after: "earliest".to_owned(),
            tries: number,
        }
    }

    /// The socket takes bytes: asks for what is behind the cursor.
    fn ask(&mut self, topic: &str) -> Result<()> {
        let is_new = self.stage == Stage::Dialed;
        let Some(socket) = self.socket.as_mut().filter(|_| is_new) else { return Ok(()) };
        if let Some(error) = socket.take_error()? {
            return Err(error).context("cannot connect");
        }
        let request = Transport::Sse.request(topic, &self.after, Duration::ZERO);
        let sent = socket.write(&request).context("cannot ask")?;
        // A socket that is new has room for a request.
        ensure!(sent == request.len(), "a socket had no room for a request");
        self.stage = Stage::Asked;
        let tally = self.ledger.tally_mut();
        tally.connections += 1;
        tally.requests += 1;
        tally.bytes += sent as u64;
        Ok(())
    }

    /// Reads all that has come; an error where it has no connection any more.
    fn read(&mut self, piece: &mut [u8], begin: Instant) -> Result<()> {
        loop {
            let Some(socket) = self.socket.as_mut() else { return Ok(()) };
            let read = match socket.read(piece) {
                Ok(0) => bail!("the connection has ended"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the connection broke"),
            };
            let now = begin.elapsed();
            self.ledger.tally_mut().bytes += read as u64;
            for item in self.feed.take(&piece[..read])?.items {
                match item {
                    Item::Event { number, sent } => self.ledger.event(number, sent, now),
                    Item::Gap(events) => self.ledger.gap(events),
                    Item::Ready if self.stage == Stage::Asked => self.stage = Stage::Ready,
                    Item::Ready => {}
                    Item::Cursor(cursor) => self.after = cursor,
                }
            }
        }
    }
}

impl Crowd {
    /// So many, who are nowhere yet and have seen nothing.
    pub(crate) fn new(topic: &'static str, count: usize) -> Result<Self> {
        let begin = Instant::now();
        Ok(Self {
            topic,
            poll: Poll::new().context("the system gives no poll")?,
            events: Events::with_capacity(EVENTS_PER_POLL),
            piece: vec![0; PIECE_BYTES],
            begin,
            addresses: Vec::new(),
            members: (0..count).map(Member::new).collect(),
            waiting: (0..count).collect(),
            under_way: 0,
            since: begin,
            back: Histogram::new(),
        })
    }

    /// What times of events count from.
    pub(crate) fn begin(&self) -> Instant {
        self.begin
    }

    /// From now on all are to come back, each from when its connection has ended, to none of the
    /// addresses that there were.
    pub(crate) fn await_return(&mut self) {
        self.addresses.clear();
        self.since = Instant::now();
        self.back = Histogram::new();
        for member in &mut self.members {
            member.is_back = false;
        }
    }

    /// Who has no connection goes to these addresses, in turns.
    pub(crate) fn go_to(&mut self, addresses: Vec<SocketAddr>) {
        self.addresses = addresses;
    }

    /// Receives until all are live who are to come back. Returns how long that took each.
    pub(crate) fn until_back(&mut self) -> Result<Histogram> {
        let count = self.members.len() as u64;
        self.until("were live", |crowd| crowd.back.count() == count)?;
        Ok(self.back.clone())
    }

    /// Receives until all have this event.
    pub(crate) fn until_all_have(&mut self, number: u64) -> Result<()> {
        self.until("had all events", |crowd| {
            crowd.members.iter().all(|member| member.ledger.next() > number)
        })
    }

    /// Receives for a while: what comes twice may come late.
    pub(crate) fn linger(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.until("", |_| Instant::now() >= end)
    }

    /// Receives while something else is done.
    pub(crate) fn receive_while<T: Send>(
        &mut self,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        thread::scope(|scope| {
            let working = scope.spawn(work);
            self.until("received", |_| working.is_finished())?;
            working.join().expect("the work does not panic")
        })
    }

    /// What there is, where events up to this one should have come.
    pub(crate) fn tally_at(&self, last: u64) -> Tally {
        let mut all = Tally::new();
        for member in &self.members {
            all.add(&member.ledger.tally_at(last));
        }
        all
    }

    fn until(&mut self, what: &str, is_done: impl Fn(&Self) -> bool) -> Result<()> {
        let began = Instant::now();
        while !is_done(self) {
            self.dial()?;
            self.turn()?;
            if began.elapsed() > TIME_MAX {
                let why = self.tally_at(0).last_end.unwrap_or_default();
                bail!(
                    "not all of {} followers {what} within {} s; {} have no stream ({why})",
                    self.members.len(),
                    TIME_MAX.as_secs(),
                    self.waiting.len() + self.under_way
                );
            }
        }
        Ok(())
    }

    /// Begins to connect those who have no connection.
    fn dial(&mut self) -> Result<()> {
        while self.under_way < AT_ONCE && !self.addresses.is_empty() {
            let Some(number) = self.waiting.pop_front() else { return Ok(()) };
            let member = &mut self.members[number];
            // An address that refuses at once is followed by the next.
            let mut dialed = None;
            for _ in 0..self.addresses.len() {
                let address = self.addresses[member.tries % self.addresses.len()];
                member.tries += 1;
                dialed = dial::begin(address, Origin::OneHost).ok();
                if dialed.is_some() {
                    break;
                }
            }
            let Some(mut socket) = dialed else {
                self.waiting.push_front(number);
                return Ok(());
            };
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut socket, Token(number), interest)?;
            member.socket = Some(socket);
            member.stage = Stage::Dialed;
            member.feed = Feed::new(Transport::Sse);
            self.under_way += 1;
        }
        Ok(())
    }

    /// Waits once, and reads all that has come.
    fn turn(&mut self) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(LOOK_INTERVAL)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result.context("the poll failed")?,
        }
        for event in &self.events {
            let number = event.token().0;
            let member = &mut self.members[number];
            if member.socket.is_none() {
                continue;
            }
            let done = member.ask(self.topic).and_then(|()| {
                let is_readable = event.is_readable() || event.is_read_closed();
                if is_readable { member.read(&mut self.piece, self.begin) } else { Ok(()) }
            });
            // It may have said so, and ended.
            if member.stage == Stage::Ready {
                member.stage = Stage::Live;
                self.under_way -= 1;
                if !member.is_back {
                    member.is_back = true;
                    self.back.record(self.since.elapsed());
                }
            }
            if let Err(error) = done {
                member.ledger.tally_mut().last_end = Some(format!("{error:#}"));
                member.socket = None;
                if member.stage != Stage::Live {
                    self.under_way -= 1;
                }
                self.waiting.push_back(number);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::feed::body;
    use super::*;

    fn chunk(text: &str) -> String {
        format!("{:x}\r\n{text}\r\n", text.len())
    }

    fn event(number: u64) -> String {
        let data = body(number, Duration::ZERO, 64).expect("large enough");
        let event = format!(r#"{{"topic":"t","cursor":"e1-{number}","data":{data}}}"#);
        chunk(&format!("id: e1-{number}\ndata: {event}\n\n"))
    }

    /// Takes one connection, answers with a stream that tells an event twice, and ends it; returns what it
    /// was asked for.
    fn serve(listener: &TcpListener, number: u64) -> String {
        let (mut socket, _) = listener.accept().expect("comes");
        let mut received = [0; 1024];
        let bytes = socket.read(&mut received).expect("asks");
        let ready = chunk("event: ready\ndata: {\"control\":\"ready\"}\n\n");
        let event = event(number);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = format!("{head}{event}{event}{ready}");
        socket.write_all(answer.as_bytes()).expect("reads");
        String::from_utf8_lossy(&received[..bytes]).into_owned()
    }

    #[test]
    fn who_comes_back_goes_on_behind_what_it_has_at_the_next_address() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("listens"));
        let addresses = [0, 1].map(|at: usize| listeners[at].local_addr().expect("an address"));
        let refusing = {
            let gone = TcpListener::bind("127.0.0.1:0").expect("listens");
            gone.local_addr().expect("an address")
        };
        let server = thread::spawn(move || {
            let [one, other] = &listeners;
            [serve(one, 1), serve(other, 2)]
        });
        let mut crowd = Crowd::new("t", 1).expect("a poll");
        crowd.go_to(vec![addresses[0]]);
        assert_eq!(crowd.until_back().expect("is live").count(), 1);
        crowd.await_return();
        crowd.go_to(vec![refusing, addresses[1]]);
        assert_eq!(crowd.until_back().expect("is live again").count(), 1);
        crowd.until_all_have(2).expect("has both");
        let asked = server.join().expect("served");
        assert!(asked[0].contains("after=earliest"), "{}", asked[0]);
        assert!(asked[1].contains("after=e1-1"), "{}", asked[1]);
        let Tally { events, missed, doubled, connections, .. } = crowd.tally_at(3);
        assert_eq!((events, missed, doubled, connections), (2, 1, 2, 2));
    }
}
