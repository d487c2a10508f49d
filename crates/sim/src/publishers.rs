//! Clients that publish: each waits for its answer, and asks again where it may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bellwire_journal::{Append, Appended, Error, Fenced, Journal as _};
use bellwire_model::{Closure, Condition, Epoch, Fence, KeyVersion};

use crate::clients::{COUNT, ENDING, TIMED, Text, event};
use crate::clock::MachineClock;
use crate::machine::Process;
use crate::parts::Parts;
use crate::truth::{Losses, Truth};

/// How long an answer is waited for: longer than a node lets publishers wait.
const PATIENCE: Duration = Duration::from_secs(14);

/// Keys that several write.
const KEYS: usize = 5;

/// Bytes of a large event, which takes several entries of the log.
const LARGE_BYTES: usize = 600_000;

/// One in so many of those who may write large ones is.
const LARGE_ONE_IN: u32 = 150;

/// What a client writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events, each sent once.
    Plain,
    /// Events with idempotency keys, sent until they are acknowledged.
    Keyed,
    /// Events with a producer's numbers, sent until they are acknowledged.
    Numbered,
    /// A count, by compare and set.
    Count,
    /// Values of keys that others write, too.
    Values,
    /// Values that go by themselves.
    Timed,
    /// Events of topics that several write and end.
    Ending,
}

/// All kinds.
pub(crate) const KINDS: [Kind; 8] = [
    Kind::Keyed,
    Kind::Plain,
    Kind::Numbered,
    Kind::Count,
    Kind::Values,
    Kind::Timed,
    Kind::Ending,
    Kind::Ending,
];

/// What was answered, and in which epoch.
#[derive(Debug)]
struct Answer {
    epoch: Epoch,
    result: Result<Vec<Appended>, Error>,
}

/// Answers to all publishers, by the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<Mutex<HashMap<u64, Answer>>>);

impl Answers {
    fn put(&self, request: u64, answer: Answer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(request, answer);
    }

    fn take(&self, request: u64) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&request)
    }
}

/// What was asked and is not answered.
#[derive(Debug)]
struct Request {
    /// Its number, another one each time that it is sent.
    number: Option<u64>,
    texts: Vec<String>,
    until: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Publisher {
    index: usize,
    kind: Kind,
    /// At which node it is.
    pub(crate) at: usize,
    pub(crate) due: Duration,
    request: Option<Request>,
    serial: u64,
    /// The producer's epoch, and the number that comes next.
    epoch: u64,
    next: u64,
    /// Where what it has published with keys was acknowledged.
    pub(crate) keyed: Vec<String>,
}

/// What a turn takes.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) process: &'a Process,
    pub(crate) clock: &'a MachineClock,
    pub(crate) truth: &'a mut Truth,
    pub(crate) answers: &'a Answers,
    pub(crate) parts: &'a dyn Parts,
}

/// What has become of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Something was acknowledged, or is known not to be.
    Done,
    /// It waits for its answer.
    Waits,
    /// It was sent for the first time.
    Sent,
    /// Nobody knows what became of it; the client goes elsewhere.
    Unknown,
    /// It was sent again.
    Again,
}

impl Publisher {
    pub(crate) fn new(index: usize, kind: Kind) -> Self {
        let keyed = Vec::new();
        let due = Duration::from_millis(100 * index as u64);
        Self { index, kind, at: 0, due, request: None, serial: 0, epoch: 0, next: 0, keyed }
    }

    /// Whether it waits for something.
    pub(crate) fn is_waiting(&self) -> bool {
        self.request.is_some()
    }

    /// Looks for its answer.
    pub(crate) fn look(
        &mut self,
        (answers, losses): (&Answers, Losses),
        truth: &mut Truth,
        now: Duration,
    ) -> Turn {
        let Some(request) = &mut self.request else { return Turn::Done };
        let Some(number) = request.number else { return Turn::Unknown };
        match answers.take(number) {
            Some(Answer { epoch, result: Ok(appended) }) => {
                self.acknowledge((epoch, appended), losses, truth);
                Turn::Done
            }
            // Nothing of it was appended.
            Some(Answer { result: Err(Error::Condition(_) | Error::Busy), .. }) => {
                self.request = None;
                Turn::Done
            }
            Some(Answer { result: Err(_), .. }) => {
                request.number = None;
                self.give_up();
                Turn::Unknown
            }
            None if now >= request.until => {
                request.number = None;
                self.give_up();
                Turn::Unknown
            }
            None => Turn::Waits,
        }
    }

    /// Nobody knows: it is sent again only where it counts once.
    fn give_up(&mut self) {
        if !matches!(self.kind, Kind::Keyed | Kind::Numbered) {
            self.request = None;
        }
    }

    fn acknowledge(
        &mut self,
        (epoch, appended): (Epoch, Vec<Appended>),
        losses: Losses,
        truth: &mut Truth,
    ) {
        let Some(Request { texts, .. }) = self.request.take() else { return };
        if appended.len() != texts.len() {
            return truth.fail(format!("{texts:?} were answered with {appended:?}"));
        }
        for (text, appended) in texts.iter().zip(&appended) {
            match appended.fenced {
                // Where it is is not told then.
                Some(Fenced::Known { .. }) => {}
                Some(_) if losses == Losses::Some => {
                    // What it has written is gone: it begins anew.
                    (self.epoch, self.next) = (self.epoch + 1, 0);
                    return;
                }
                Some(fenced) => truth.fail(format!("`{text}` was kept out: {fenced:?}")),
                None if appended.has_ended || text.starts_with(GONE) => {}
                None => truth.acknowledged(text, epoch, appended.offset),
            }
        }
        if self.kind == Kind::Numbered {
            self.next += texts.len() as u64;
        }
        if self.kind == Kind::Keyed {
            self.keyed.extend(texts);
        }
    }

    /// Sends what comes next, or again what may not have come.
    pub(crate) fn send(&mut self, number: u64, chance: &mut fastrand::Rng, desk: Desk<'_>) -> Turn {
        let now = desk.clock.now();
        let is_again = self.request.is_some();
        let texts = match self.request.take() {
            Some(request) => request.texts,
            None => self.texts(chance, &desk),
        };
        let batch = texts.iter().map(|text| self.append(text, chance, &desk)).collect();
        if self.kind == Kind::Timed
            && let Some(text) = texts.first()
        {
            desk.truth.timed(text.clone(), now, TTL);
        }
        let watch = Arc::clone(&desk.process.watch);
        let answers = desk.answers.clone();
        let is_told = desk.parts.waits_for_the_journal();
        let reply = Box::new(move |result| {
            if is_told {
                answers.put(number, Answer { epoch: watch.epoch(), result });
            }
        });
        let queued = desk.process.node.journal().append(batch, reply);
        let until = now + PATIENCE;
        let is_queued = queued.is_ok();
        self.request = Some(Request { number: is_queued.then_some(number), texts, until });
        if !desk.parts.waits_for_the_journal() && is_queued {
            self.acknowledge_at_once(desk);
        }
        match (is_queued, is_again) {
            (false, _) => {
                self.give_up();
                Turn::Unknown
            }
            (true, true) => Turn::Again,
            (true, false) => Turn::Sent,
        }
    }

    /// As no node would.
    fn acknowledge_at_once(&mut self, desk: Desk<'_>) {
        let Some(Request { texts, .. }) = self.request.take() else { return };
        // Of these it is not known then whether they are taken.
        let is_known = !matches!(self.kind, Kind::Count | Kind::Ending);
        for text in texts.iter().filter(|text| is_known && !text.starts_with(GONE)) {
            desk.truth.promised(text);
        }
        if self.kind == Kind::Numbered {
            self.next += texts.len() as u64;
        }
    }

    fn texts(&mut self, chance: &mut fastrand::Rng, desk: &Desk<'_>) -> Vec<String> {
        let client = self.index;
        let mut serial = |kind: &str| {
            self.serial += 1;
            format!("{kind} {client} {}", self.serial)
        };
        match self.kind {
            Kind::Plain if chance.u32(..LARGE_ONE_IN) == 0 => {
                vec![format!("{} {}", serial("large"), "x".repeat(LARGE_BYTES))]
            }
            Kind::Plain => (0..chance.usize(1..4)).map(|_| serial("plain")).collect(),
            Kind::Keyed => (0..chance.usize(1..3)).map(|_| serial("keyed")).collect(),
            Kind::Values if chance.u32(..DELETED_ONE_IN) == 0 => vec![serial(GONE)],
            Kind::Values => vec![serial("value")],
            Kind::Ending if chance.u32(..ENDED_ONE_IN) == 0 => vec![serial(GONE)],
            Kind::Ending => (0..chance.usize(1..4)).map(|_| serial("ending")).collect(),
            Kind::Timed => vec![serial("timed")],
            Kind::Numbered => {
                let epoch = self.epoch;
                let numbers = self.next..self.next + chance.u64(1..4);
                let text = |sequence| Text::Numbered { client, epoch, sequence }.write();
                numbers.map(text).collect()
            }
            Kind::Count => {
                self.serial += 1;
                let epoch = desk.process.watch.epoch();
                let count = desk.process.watch.life().count();
                let number = count.map_or(1, |(number, _)| number + 1);
                let after = count.map(|(_, offset)| (epoch, offset));
                vec![Text::Count { client, try_number: self.serial, number, after }.write()]
            }
        }
    }

    fn append(&self, text: &str, chance: &mut fastrand::Rng, desk: &Desk<'_>) -> Append {
        let now = desk.clock.now_reading();
        let of = |topic: &str, key: Option<&str>| event((topic, key), text, now.wall);
        match self.kind {
            Kind::Plain => {
                let topic = ["plain/a", "plain/b/c", "brief/a"][chance.usize(..3)];
                Append::new(of(topic, None), None)
            }
            Kind::Keyed => {
                Append::new(of(&format!("keyed/{}", self.index), None), Some(text.into()))
            }
            Kind::Numbered => {
                let numbered = Text::of(&of("numbered/all", None));
                let Some(Text::Numbered { epoch, sequence, .. }) = numbered else {
                    unreachable!("it was written so")
                };
                let producer = format!("p{}", self.index).into();
                let fence = Some(Box::new(Fence { producer, epoch, sequence }));
                Append { fence, ..Append::new(of("numbered/all", None), None) }
            }
            Kind::Count => {
                let event = of(COUNT.0, Some(COUNT.1));
                let Some(Text::Count { after, .. }) = Text::of(&event) else {
                    unreachable!("it was written so")
                };
                let condition = after.map_or(Condition::Absent, |(epoch, offset)| {
                    Condition::At(KeyVersion::Journal { epoch, offset })
                });
                Append { condition, ..Append::of_state(event, None) }
            }
            Kind::Values => {
                let key = format!("k{}", chance.usize(..KEYS));
                let mut event = of("state/values", Some(&key));
                event.body = event.body.filter(|_| !text.starts_with(GONE));
                Append::of_state(event, None)
            }
            Kind::Ending => {
                let topic = format!("{ENDING}/{}", desk.clock.now().as_secs() / ENDING_SECONDS);
                let event = of(&topic, None);
                let closed = Closure::End.event(event.topic.clone(), event.time);
                Append::new(if text.starts_with(GONE) { closed } else { event }, None)
            }
            Kind::Timed => {
                let expires_at = Some(now.uptime + TTL);
                Append { expires_at, ..Append::of_state(of(TIMED, Some(text)), None) }
            }
        }
    }
}

/// What stands for an event without text.
const GONE: &str = "gone";

/// One value in so many is deleted, and one topic in so many ended.
const DELETED_ONE_IN: u32 = 4;
const ENDED_ONE_IN: u32 = 5;

/// For so long a topic is written to, if it does not end before.
const ENDING_SECONDS: u64 = 6;

/// How long a value stays that goes by itself.
const TTL: Duration = Duration::from_secs(20);
