//! Appends, in their order: what waits is sent together, and up to a few such groups are under way.
//!
//! Where replicas have to have what is acknowledged, each group ends with one WAIT for them.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::redis::{Pipeline, RedisError, Value};
use bellwire_shared_log::{Error, Fence, Position};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tracing::warn;

use super::link::{Link, Place, number};
use super::refusal;
use super::script::Script;
use crate::answer::Answer;

/// How many batches are sent together at most, and how many bytes before the last one.
const GROUP_MAX: usize = 256;
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// How many groups are under way at once: the server works on one while others are on the wire.
const GROUPS_MAX: usize = 3;

/// How long replicas are waited for.
const REPLICAS_PATIENCE: Duration = Duration::from_secs(2);

/// A batch that waits to be appended.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) batch: Bytes,
    pub(super) fence: Option<Fence>,
    pub(super) answer: Answer,
    /// What it takes of what may wait at once, until it is answered.
    #[expect(dead_code, reason = "it is there to be let go of")]
    pub(super) room: OwnedSemaphorePermit,
}

/// A group under way.
struct Group {
    appends: Vec<Append>,
    /// How many replicas are waited for.
    replicas: usize,
    answers: Pin<Box<dyn Future<Output = Result<Vec<Value>, RedisError>> + Send>>,
    answered: Option<Result<Vec<Value>, RedisError>>,
}

/// Appends what comes, until nobody can send more and all are answered.
pub(super) async fn run(place: Arc<Place>, mut queue: Receiver<Append>) {
    let mut link: Option<Link> = None;
    let mut groups: VecDeque<Group> = VecDeque::new();
    loop {
        let next = tokio::select! {
            biased;
            answered = first_answered(&mut groups), if !groups.is_empty() => {
                land(answered, link.as_ref());
                continue;
            }
            next = queue.recv(), if groups.len() < GROUPS_MAX => next,
        };
        let Some(first) = next else {
            while !groups.is_empty() {
                land(first_answered(&mut groups).await, link.as_ref());
            }
            return;
        };
        let usable = if let Some(link) = link.take().filter(Link::is_usable) {
            Ok(link)
        } else {
            // What is under way on a lost connection is answered before anything is sent anew.
            while !groups.is_empty() {
                land(first_answered(&mut groups).await, None);
            }
            Link::dial(&place).await
        };
        let appends = group(first, &mut queue);
        match usable {
            Ok(usable) => groups.push_back(send(link.insert(usable), appends)),
            Err(error) => {
                warn!(%error, "the cluster's engine cannot be appended to");
                let waiting = (0..queue.len()).map_while(|_| queue.try_recv().ok());
                refuse(appends.into_iter().chain(waiting).collect(), &error);
            }
        }
    }
}

/// What waits already, behind the first one.
fn group(first: Append, queue: &mut Receiver<Append>) -> Vec<Append> {
    let mut bytes = first.batch.len();
    let mut appends = vec![first];
    while appends.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(append) = queue.try_recv() else { break };
        bytes += append.batch.len();
        appends.push(append);
    }
    appends
}

/// Sends a group, as soon as it is waited for.
fn send(link: &Link, appends: Vec<Append>) -> Group {
    let replicas = link.server.replicas_min();
    let mut commands = Pipeline::with_capacity(appends.len() + 1);
    for Append { batch, fence, .. } in &appends {
        let mut call = link.call(Script::Append);
        let (name, generation) = match fence {
            Some(fence) => (fence.register.as_str(), fence.generation.get()),
            None => ("", 0),
        };
        call.arg(batch.as_ref()).arg(name).arg(generation);
        commands.add_command(call);
    }
    if replicas > 0 {
        commands.cmd("WAIT").arg(replicas).arg(REPLICAS_PATIENCE.as_millis() as u64);
    }
    let answers = Box::pin(link.clone().send(commands));
    Group { appends, replicas, answers, answered: None }
}

/// The oldest group, once it is answered. All are asked in their order, so that they are sent in their
/// order.
async fn first_answered(groups: &mut VecDeque<Group>) -> Group {
    poll_fn(|context| {
        for group in groups.iter_mut().filter(|group| group.answered.is_none()) {
            if let Poll::Ready(answered) = group.answers.as_mut().poll(context) {
                group.answered = Some(answered);
            }
        }
        let is_answered = groups.front().is_some_and(|group| group.answered.is_some());
        groups.pop_front_if(|_| is_answered).map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Answers all of them with the same.
fn refuse(appends: Vec<Append>, error: &Error) {
    for append in appends {
        append.answer.give(Err(error.clone()));
    }
}

/// Answers those who wait for a group. A doubt ends the connection.
fn land(group: Group, link: Option<&Link>) {
    let Group { appends, replicas, answered, .. } = group;
    let told = answered.map(|answered| answered.map_err(|error| refusal::error(&error)));
    let mut answers = match told {
        Some(Ok(answers)) => answers,
        Some(Err(error)) => {
            warn!(%error, "the connection to the cluster's engine is given up");
            link.inspect(|link| link.let_go());
            refuse(appends, &error);
            return;
        }
        // Without an answer each is told so.
        None => Vec::new(),
    };
    let mut lacking = None;
    if replicas > 0 {
        let have = number(answers.pop().unwrap_or_default()).unwrap_or_default();
        if have < replicas as u64 {
            let why = format!("{have} of {replicas} replicas have acknowledged it");
            lacking = Some(Error::Away(why));
        }
    }
    for (append, answer) in appends.into_iter().zip(answers) {
        let position = number(answer).map(Position::new);
        if matches!(position, Err(Error::Away(_))) {
            link.inspect(|link| link.let_go());
        }
        let result = position.and_then(|position| match &lacking {
            Some(error) => Err(error.clone()),
            None => Ok(position),
        });
        append.answer.give(result);
    }
}
