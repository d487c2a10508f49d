//! Runs what tells browsers of alerts, on the clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{PUSH_LOOK_INTERVAL, PUSH_REQUESTS_MAX, PUSH_REQUESTS_OF_SERVICE_MAX};
use bellwire_model::{NameMap, Timestamp};
use bellwire_process::{clock, crash, jittered};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use super::mailbox::{Given, Patience};
use super::payload::Payload;
use super::rounds::{Moment, Round, Rounds};
use super::service::{Answer, Services};
use super::subscription::Subscription;
use super::{Push, Standing};
use crate::notifier::Reach;

/// Brings messages to push services, for as long as the server runs.
#[derive(Debug)]
pub struct Courier {
    push: Arc<Push>,
    services: Arc<Services>,
    rounds: Option<Rounds>,
    sending: JoinSet<Answer>,
    /// Whom what is on its way is for. What is said of a subscription that is no more is for nobody.
    on_the_way: NameMap<Id, Option<Arc<Subscription>>>,
    /// The ways to each push service, by its origin.
    lanes: BTreeMap<String, Arc<Semaphore>>,
    requests: Arc<Semaphore>,
}

impl Courier {
    pub(super) fn new(
        push: Arc<Push>,
        standing: Arc<dyn Standing>,
        (reach, contact): (Reach, Box<str>),
        (told, starts_at): (NameMap<Box<str>, Timestamp>, Timestamp),
    ) -> Self {
        Self {
            rounds: Some(Rounds::new(Arc::clone(&push), standing, (told, starts_at))),
            push,
            services: Arc::new(Services::new(reach, &contact)),
            sending: JoinSet::new(),
            on_the_way: NameMap::default(),
            lanes: BTreeMap::new(),
            requests: Arc::new(Semaphore::new(PUSH_REQUESTS_MAX)),
        }
    }

    /// Ends with the runtime that it is spawned on. What is on its way then is told again after the
    /// next start, as what it says is untold.
    pub async fn forever(mut self) {
        if self.push.key.is_none() {
            return;
        }
        loop {
            let wait = self.step().await;
            let push = Arc::clone(&self.push);
            // Each of these may be dropped while it waits: nothing is taken before it is ready.
            tokio::select! {
                () = push.has_news.notified() => {}
                Some(landed) = self.sending.join_next_with_id() => self.on_landed(landed),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Does what is due, and says how long there is nothing else to do. What takes long, as it does
    /// with very many alerts and subscriptions, does not hold up the runtime.
    async fn step(&mut self) -> Duration {
        while let Some(landed) = self.sending.try_join_next_with_id() {
            self.on_landed(landed);
        }
        let mut rounds = self.rounds.take().expect("it is given back");
        rounds.take_news(now());
        if rounds.is_due(now()) {
            let round = move || {
                let round = crash::run_essential(|| rounds.go(now()));
                (rounds, round)
            };
            let (back, round) =
                tokio::task::spawn_blocking(round).await.expect("a panic ends the process");
            rounds = back;
            self.carry_out(round);
        }
        let wait = rounds.next_at().saturating_since(clock::steady()).min(PUSH_LOOK_INTERVAL);
        self.rounds = Some(rounds);
        wait
    }

    fn carry_out(&mut self, round: Round) {
        self.lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        for (subscription, message) in round.messages {
            self.send(Arc::clone(&subscription), message, Some(subscription));
        }
        for (subscription, message) in round.farewells {
            self.send(subscription, message, None);
        }
    }

    fn send(&mut self, to: Arc<Subscription>, message: Payload, of: Option<Arc<Subscription>>) {
        let origin = to.endpoint.origin().ascii_serialization();
        let lane = || Arc::new(Semaphore::new(PUSH_REQUESTS_OF_SERVICE_MAX));
        let lane = Arc::clone(self.lanes.entry(origin).or_insert_with(lane));
        let (services, requests) = (Arc::clone(&self.services), Arc::clone(&self.requests));
        let push = Arc::clone(&self.push);
        let task = self.sending.spawn(async move {
            // First its own service's: whoever waits for a slow one holds nothing of all.
            let _turn = lane.acquire().await.expect("it is never closed");
            let _request = requests.acquire().await.expect("it is never closed");
            push.figures.push_requests.add(1);
            let key = push.key.as_ref().expect("nobody is told without one");
            services.send(&to, &message, (key, clock::now())).await
        });
        self.on_the_way.insert(task.id(), of);
    }

    fn on_landed(&mut self, landed: Result<(Id, Answer), JoinError>) {
        let (id, answer) = match landed {
            Ok((id, answer)) => (id, answer),
            Err(error) if error.is_cancelled() => return,
            Err(error) => (error.id(), Answer::Refused("it has failed within".to_owned())),
        };
        let Some(Some(subscription)) = self.on_the_way.remove(&id) else { return };
        let rounds = self.rounds.as_mut().expect("nothing lands during a round");
        crash::run_essential(|| on_answer(&self.push, rounds, (&subscription, answer)));
    }
}

fn now() -> Moment {
    Moment { steady: clock::steady(), wall: clock::now() }
}

/// What follows of an answer.
fn on_answer(push: &Push, rounds: &mut Rounds, (to, answer): (&Subscription, Answer)) {
    let figures = &push.figures;
    let moment = now();
    let Moment { steady, wall } = moment;
    if answer != Answer::Taken {
        figures.push_requests_failed.add(1);
    }
    let Some(mailbox) = rounds.mailbox(&to.id) else { return };
    let (patience, reason) = match answer {
        Answer::Taken => {
            mailbox.on_taken(steady);
            figures.push_messages.add(1);
            let mut state = to.state();
            (state.told_at, state.failing) = (Some(wall), None);
            return rounds.keep_soon(moment);
        }
        Answer::Gone => {
            tracing::info!(
                subscription = &*to.id,
                "A push subscription ends: its browser is gone."
            );
            return rounds.end_soon(&to.id);
        }
        Answer::Refused(reason) => {
            figures.push_messages_failed.add(1);
            (mailbox.on_refused(steady), reason)
        }
        Answer::Later { reason, wait, arrival } => {
            let jitter = jittered(Duration::from_secs(1)).as_secs_f64();
            let (patience, given) = mailbox.on_put_off(steady, (wait, jitter), arrival);
            figures.push_messages_failed.add(u64::from(given == Given::Up));
            (patience, reason)
        }
    };
    let service = to.endpoint.host_str().unwrap_or_default();
    let is_first = to.state().failing.is_none();
    if is_first {
        tracing::warn!(
            subscription = &*to.id,
            service,
            reason,
            "A push service does not take a message."
        );
    }
    let since = to.state().failing.as_ref().map_or(wall, |(since, _)| *since);
    to.state().failing = Some((since, reason.into()));
    if patience == Patience::Over {
        tracing::info!(
            subscription = &*to.id,
            service,
            "A push subscription ends: its push service has taken nothing for days."
        );
        rounds.end_soon(&to.id);
    }
}
