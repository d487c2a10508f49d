//! The engine in memory with all its handles, what is under way between them, and its faults.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use bytes::Bytes;

use super::store::{Space, Store};
use crate::contract::Fault;
use crate::{Ended, Entry, Error, Fence, Generation, Position, Stored, check_append, check_set};

/// When things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once, within the call.
    Immediate,
    /// At each step one of them, whichever the generator says.
    Stepped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Running,
    Paused,
    Killed,
}

/// What becomes of what a handle sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It arrives and is answered.
    Open,
    /// It arrives, and waits there.
    Silent,
    /// It does not arrive.
    Shut,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    #[default]
    Whole,
    Cut,
}

/// An append under way.
pub(super) struct Pending {
    pub(super) batch: Bytes,
    pub(super) fence: Option<Fence>,
    pub(super) stored: Stored,
}

/// What was answered with [`Error::Away`] and may be done yet.
#[derive(Debug)]
pub(super) enum Late {
    Append(Bytes, Option<Fence>),
    Set(String, Generation, Bytes),
}

/// An answer, and who is to be called with it.
pub(super) type Due = (Stored, Result<Position, Error>);

/// What is between a handle and the engine.
#[derive(Default)]
pub(super) struct Line {
    pub(super) link: Link,
    pub(super) requests: VecDeque<Pending>,
    /// So many of its next requests are done, and answered with [`Error::Away`].
    pub(super) answers_to_lose: u32,
    /// So many of its next requests are answered with [`Error::Away`], and done at a later step.
    pub(super) to_do_late: u32,
}

/// What is between the engine and a following.
pub(super) struct Follower {
    pub(super) handle: u64,
    /// Up to here it was delivered.
    pub(super) after: Position,
    /// What was delivered and not handed on.
    pub(super) inbox: VecDeque<Entry>,
    /// Why it will end, once it notices.
    pub(super) broken: Option<Ended>,
    pub(super) ended: Option<Ended>,
}

pub(super) struct World {
    pub(super) pace: Pace,
    pub(super) random: fastrand::Rng,
    pub(super) store: Store,
    copy: Option<Store>,
    server: Server,
    network: Link,
    pub(super) lines: BTreeMap<u64, Line>,
    pub(super) followers: BTreeMap<u64, Follower>,
    pub(super) answers: Vec<(u64, Due)>,
    pub(super) late: Vec<Late>,
    numbers: u64,
}

impl World {
    pub(super) fn new(pace: Pace, seed: u64) -> Self {
        Self {
            pace,
            random: fastrand::Rng::with_seed(seed),
            store: Store::default(),
            copy: None,
            server: Server::Running,
            network: Link::Whole,
            lines: BTreeMap::new(),
            followers: BTreeMap::new(),
            answers: Vec::new(),
            late: Vec::new(),
            numbers: 0,
        }
    }

    pub(super) fn open(&mut self) -> u64 {
        let number = self.next_number();
        self.lines.insert(number, Line::default());
        number
    }

    /// A process is gone: what it had sent may arrive, what it asked for is answered to nobody.
    pub(super) fn close(&mut self, handle: u64) {
        self.disconnect(handle);
        self.lines.remove(&handle);
    }

    pub(super) fn line(&mut self, handle: u64) -> &mut Line {
        self.lines.entry(handle).or_default()
    }

    pub(super) fn reach(&self, handle: u64) -> Reach {
        let is_cut = self.network == Link::Cut
            || self.lines.get(&handle).is_none_or(|line| line.link == Link::Cut);
        match self.server {
            _ if is_cut => Reach::Shut,
            Server::Killed => Reach::Shut,
            Server::Paused => Reach::Silent,
            Server::Running => Reach::Open,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.server == Server::Running
    }

    pub(super) fn is_away(&self) -> bool {
        !self.is_running() || self.network == Link::Cut
    }

    /// Answers, or puts it on its way.
    pub(super) fn append(&mut self, handle: u64, pending: Pending) -> Option<Due> {
        let due = match check_append(&pending.batch, pending.fence.as_ref()) {
            Err(refused) => (pending.stored, Err(refused)),
            Ok(()) => match (self.reach(handle), self.pace) {
                (Reach::Shut, _) => (pending.stored, Err(away())),
                (_, Pace::Stepped) => {
                    self.line(handle).requests.push_back(pending);
                    return None;
                }
                (Reach::Silent, Pace::Immediate) => self.postpone(pending),
                (Reach::Open, Pace::Immediate) => self.apply(handle, pending),
            },
        };
        if self.pace == Pace::Immediate {
            return Some(due);
        }
        self.answers.push((handle, due));
        None
    }

    /// The engine does what has arrived.
    pub(super) fn apply(&mut self, handle: u64, pending: Pending) -> Due {
        if take_one(&mut self.line(handle).to_do_late) {
            return self.postpone(pending);
        }
        let result = self.store.append(pending.batch, pending.fence.as_ref());
        let is_lost = take_one(&mut self.line(handle).answers_to_lose);
        (pending.stored, if is_lost { Err(away()) } else { result })
    }

    pub(super) fn postpone(&mut self, pending: Pending) -> Due {
        self.late.push(Late::Append(pending.batch, pending.fence));
        (pending.stored, Err(away()))
    }

    pub(super) fn set_register(
        &mut self,
        handle: u64,
        (name, expected, value): (&str, Generation, Bytes),
    ) -> Result<Generation, Error> {
        check_set(name, &value)?;
        let reach = self.reach(handle);
        if reach == Reach::Shut {
            return Err(away());
        }
        if reach == Reach::Silent || take_one(&mut self.line(handle).to_do_late) {
            self.late.push(Late::Set(name.to_owned(), expected, value));
            return Err(away());
        }
        let result = self.store.set_register(name, expected, value);
        if take_one(&mut self.line(handle).answers_to_lose) { Err(away()) } else { result }
    }

    /// Whoever asked was told long ago that nobody knows: what comes of it is told to nobody.
    pub(super) fn do_late(&mut self, late: Late) {
        match late {
            Late::Append(batch, fence) => drop(self.store.append(batch, fence.as_ref())),
            Late::Set(name, expected, value) => {
                drop(self.store.set_register(&name, expected, value));
            }
        }
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        match fault {
            Fault::Kill => self.kill(),
            Fault::Start | Fault::Resume => self.go_on(),
            Fault::Pause => self.server = Server::Paused,
            Fault::Cut => {
                self.network = Link::Cut;
                self.disconnect_all();
            }
            Fault::Mend => self.network = Link::Whole,
            Fault::Fill => self.store.space = Space::None,
            Fault::Relieve => self.store.space = Space::Enough,
            Fault::TrimByHand(until) => self.store.trim(until),
            Fault::Copy => self.copy = Some(self.store.clone()),
            Fault::Restore => {
                self.kill();
                self.store = self.copy.clone().unwrap_or_default();
                self.go_on();
            }
            Fault::Lose => {
                self.store = Store::default();
                let handles: Vec<u64> = self.lines.keys().copied().collect();
                for handle in handles {
                    self.end_followings(handle);
                }
            }
        }
    }

    /// The handle's connections are lost, and it connects again as soon as it can.
    pub(super) fn disconnect(&mut self, handle: u64) {
        let requests = mem::take(&mut self.line(handle).requests);
        // They went out in order, so that the first of them have arrived.
        let arrived = self.random.usize(0..=requests.len());
        for (index, pending) in requests.into_iter().enumerate() {
            if index < arrived {
                self.late.push(Late::Append(pending.batch, pending.fence));
            }
            self.answers.push((handle, (pending.stored, Err(away()))));
        }
        for (_, (_, result)) in self.answers.iter_mut().filter(|(of, _)| *of == handle) {
            *result = Err(away());
        }
        self.end_followings(handle);
    }

    pub(super) fn end_followings(&mut self, handle: u64) {
        for follower in self.followers.values_mut().filter(|follower| follower.handle == handle) {
            follower.broken = Some(Ended::Lost("the connection is gone".into()));
        }
    }

    pub(super) fn follow(&mut self, handle: u64, after: Position) -> Result<u64, Error> {
        self.ask(handle)?.check_kept(after)?;
        let number = self.next_number();
        let inbox = VecDeque::new();
        let follower = Follower { handle, after, inbox, broken: None, ended: None };
        self.followers.insert(number, follower);
        Ok(number)
    }

    /// What is answered at once, or not at all.
    pub(super) fn ask(&mut self, handle: u64) -> Result<&mut Store, Error> {
        if self.reach(handle) == Reach::Open { Ok(&mut self.store) } else { Err(away()) }
    }

    fn kill(&mut self) {
        self.server = Server::Killed;
        self.disconnect_all();
        // What had arrived and was not done is gone with it.
        self.late.clear();
    }

    fn go_on(&mut self) {
        self.server = Server::Running;
        if self.pace == Pace::Immediate {
            for late in mem::take(&mut self.late) {
                self.do_late(late);
            }
        }
    }

    fn disconnect_all(&mut self) {
        let handles: Vec<u64> = self.lines.keys().copied().collect();
        for handle in handles {
            self.disconnect(handle);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Drop for World {
    /// Everybody is answered, also by an engine that ends.
    fn drop(&mut self) {
        let lines = mem::take(&mut self.lines).into_values();
        let requests = lines.flat_map(|line| line.requests).map(|pending| pending.stored);
        let answers = mem::take(&mut self.answers).into_iter().map(|(_, (stored, _))| stored);
        requests.chain(answers).for_each(|stored| stored(Err(away())));
    }
}

fn take_one(left: &mut u32) -> bool {
    let is_one = *left > 0;
    *left = left.saturating_sub(1);
    is_one
}

pub(super) fn away() -> Error {
    Error::Away("it was made to fail".into())
}
