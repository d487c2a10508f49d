//! Runs what tells browsers of alerts, on the clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwire_model::limits::{
    PUSH_LOOK_INTERVAL, PUSH_REQUESTS_MAX, PUSH_REQUESTS_OF_OWNER_MAX, PUSH_REQUESTS_OF_SERVICE_MAX,
};
use bellwire_model::{NameMap, Scope, Timestamp};
use bellwire_process::{clock, crash, jittered};
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use super::mailbox::{Given, Patience};
use super::payload::Payload;
use super::rounds::{Moment, Round, Rounds};
use super::service::{Answer, Reason, Services};
use super::subscription::Subscription;
use super::{Push, Standing};
use crate::charge::Charge;
use crate::notifier::Reach;

/// Brings messages to push services, for as long as the server runs.
#[derive(Debug)]
pub struct Courier {
    push: Arc<Push>,
    standing: Arc<dyn Standing>,
    /// Whether it is this server that tells them.
    charge: Charge,
    services: Arc<Services>,
    rounds: Option<Rounds>,
    sending: JoinSet<Answer>,
    /// Whom what is on its way is for. What is said of a subscription that is no more is for nobody.
    on_the_way: NameMap<Id, Option<Arc<Subscription>>>,
    /// The ways to each push service, by its origin.
    lanes: BTreeMap<String, Arc<Semaphore>>,
    /// The ways of each owner's subscriptions.
    turns: BTreeMap<Box<str>, Arc<Semaphore>>,
    requests: Arc<Semaphore>,
}

impl Courier {
    pub(super) fn new(
        push: Arc<Push>,
        standing: Arc<dyn Standing>,
        (reach, contact, charge): (Reach, Box<str>, Charge),
        (told, starts_at): (NameMap<Box<str>, Timestamp>, Timestamp),
    ) -> Self {
        Self {
            rounds: Some(Rounds::new(Arc::clone(&push), Arc::clone(&standing), (told, starts_at))),
            push,
            standing,
            charge,
            services: Arc::new(Services::new(reach, &contact)),
            sending: JoinSet::new(),
            on_the_way: NameMap::default(),
            lanes: BTreeMap::new(),
            turns: BTreeMap::new(),
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
        if !self.charge.is_ours() {
            return PUSH_LOOK_INTERVAL;
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
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        for (subscription, message, sight) in round.messages {
            self.send(subscription, message, Some(sight));
        }
        for (subscription, message) in round.farewells {
            self.send(subscription, message, None);
        }
    }

    /// The ways of somebody's subscriptions. Where nobody says who they are all are one, and each
    /// service's ways bound them.
    fn turn(&mut self, owner: &str) -> Arc<Semaphore> {
        let ways = if owner.is_empty() { PUSH_REQUESTS_MAX } else { PUSH_REQUESTS_OF_OWNER_MAX };
        let turn = || Arc::new(Semaphore::new(ways));
        Arc::clone(self.turns.entry(owner.into()).or_insert_with(turn))
    }

    /// `sight`: what whom it is for sees of alerts; nothing where they are told that it is over.
    fn send(&mut self, to: Arc<Subscription>, message: Payload, sight: Option<Scope>) {
        let of = sight.is_some().then(|| Arc::clone(&to));
        let turn = self.turn(&to.record.owner);
        let origin = to.endpoint.origin().ascii_serialization();
        let lane = || Arc::new(Semaphore::new(PUSH_REQUESTS_OF_SERVICE_MAX));
        let lane = Arc::clone(self.lanes.entry(origin).or_insert_with(lane));
        let (services, requests) = (Arc::clone(&self.services), Arc::clone(&self.requests));
        let (push, standing) = (Arc::clone(&self.push), Arc::clone(&self.standing));
        let task = self.sending.spawn(async move {
            // First its own: whoever subscribes says where it leads, and holds up themselves. Then its
            // service's: whoever waits for a slow one holds nothing of all.
            let _turn = turn.acquire().await.expect("it is never closed");
            let _lane = lane.acquire().await.expect("it is never closed");
            let _request = requests.acquire().await.expect("it is never closed");
            // That may have taken long: who has lost what they saw meanwhile is not told of it.
            if sight.is_some_and(|sight| !is_still(&push, &*standing, (&to, &sight))) {
                return Answer::Stale;
            }
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
            Err(error) => {
                let reason = Reason::new("failed", "it has failed within");
                (error.id(), Answer::Refused(reason))
            }
        };
        let Some(Some(subscription)) = self.on_the_way.remove(&id) else { return };
        let rounds = self.rounds.as_mut().expect("nothing lands during a round");
        crash::run_essential(|| on_answer(&self.push, rounds, (&subscription, answer)));
    }
}

/// Whether a subscription is there as it was, and whose it is sees the same.
fn is_still(push: &Push, standing: &dyn Standing, (to, sight): (&Subscription, &Scope)) -> bool {
    let there = push.register().get(&to.id).cloned();
    let Some(there) = there.filter(|it| !it.state().is_over) else { return false };
    standing.sees(&there.record.mandate).as_ref() == Some(sight)
}

fn now() -> Moment {
    Moment { steady: clock::steady(), wall: clock::now() }
}

/// What follows of an answer.
fn on_answer(push: &Push, rounds: &mut Rounds, (to, answer): (&Subscription, Answer)) {
    let figures = &push.figures;
    let moment = now();
    let Moment { steady, wall } = moment;
    if !matches!(answer, Answer::Taken | Answer::Stale) {
        figures.push_requests_failed.add(1);
    }
    let Some(mailbox) = rounds.mailbox(&to.id) else { return };
    let (patience, reason) = match answer {
        Answer::Stale => return rounds.on_stale(&to.id),
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
            reason = reason.detail,
            "A push service does not take a message."
        );
    }
    let since = to.state().failing.as_ref().map_or(wall, |(since, _)| *since);
    to.state().failing = Some((since, reason.word));
    if patience == Patience::Over {
        tracing::info!(
            subscription = &*to.id,
            service,
            "A push subscription ends: its push service has taken nothing for days."
        );
        rounds.end_soon(&to.id);
    }
}
