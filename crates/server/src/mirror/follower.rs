//! Follows the keeper: one stream at a time, begun again for as long as anybody follows what comes by it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bellwire_cluster::Other;
use bellwire_model::limits::{
    MIRROR_BEGIN_PATIENCE, MIRROR_PATIENCE, RELAY_LOOK_INTERVAL, SHOWN_AT_ONCE_MAX,
};
use bellwire_model::{Event, FilterSet, NameSet, Topic, with_causes};
use bellwire_process::clock::{self, Ticker};
use bellwire_shards::States;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::line::{Line, LineError, Lines};
use super::pace::Pace;
use super::wanted::Wanted;
use super::{Mirror, PATH, Part};
use crate::membership::Membership;
use crate::observe::MirrorFigures;
use crate::peers::PeerError;

/// How long the keeper is left alone that was not reached: so long at first, and longer from time to time.
const PAUSE: Duration = Duration::from_millis(100);

/// See [`PAUSE`].
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Keys of state topics.
type Keys = NameSet<(Topic, Box<str>)>;

/// Why a stream is over.
#[derive(Debug, Error)]
enum Over {
    /// Something else is wanted.
    #[error("something else is followed")]
    Wanted,
    #[error("no node has the samples now")]
    NoKeeper,
    #[error("another node has the samples")]
    Succeeded,
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("it has ended: {0}")]
    Ended(String),
}

/// What a follower stands on.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) cluster: Arc<Membership>,
    pub(crate) states: Arc<States>,
    pub(crate) figures: Arc<MirrorFigures>,
    /// How long nothing comes of a keeper that is there, at most.
    pub(crate) silence_max: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Follower {
    mirror: Arc<Mirror>,
    part: usize,
    ground: Ground,
    changes: [watch::Receiver<()>; 2],
    wanted: Wanted,
    pace: Pace,
    /// Whether anything may be here that was shown.
    has_some: bool,
    /// Since when the keeper is not followed any more.
    lost: Option<Ticker>,
    pause: Duration,
}

/// What is asked of the keeper.
fn target(filters: &FilterSet) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(filters.iter().map(|filter| ("topic", filter.as_str())));
    format!("{PATH}?{}", query.finish())
}

impl Follower {
    /// Those that a mirror has.
    pub(crate) fn of(mirror: &Arc<Mirror>, ground: &Ground) -> impl Iterator<Item = Self> {
        (0..mirror.parts.len()).map(|part| Self {
            mirror: Arc::clone(mirror),
            part,
            ground: ground.clone(),
            changes: [&*mirror.subscriptions, &mirror.asked]
                .map(|it| it.changes(&mirror.parts[part].topics)),
            wanted: Wanted::default(),
            pace: Pace::default(),
            // What was shown here by this node itself, while it was the keeper.
            has_some: true,
            lost: None,
            pause: PAUSE,
        })
    }

    /// Follows until its node is something else.
    pub(crate) async fn run(mut self) {
        let cluster = Arc::clone(&self.ground.cluster);
        tokio::select! {
            () = self.go_on() => {}
            () = cluster.role_ends() => {}
        }
    }

    async fn go_on(&mut self) {
        loop {
            let filters = self.look();
            if filters.is_empty() {
                self.forget().await;
                self.changed().await;
                self.pace.tell();
                sleep(self.pace.rest(clock::uptime())).await;
                continue;
            }
            self.ground.figures.begun.add(1);
            let over = self.follow(&filters).await;
            if matches!(over, Over::Wanted) {
                continue;
            }
            tracing::debug!(error = with_causes(&over), %filters, "The keeper is not followed.");
            self.part().shown.send_replace(FilterSet::none());
            let lost = *self.lost.get_or_insert_with(Ticker::start);
            if lost.elapsed() >= MIRROR_PATIENCE {
                self.forget().await;
            }
            sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }

    fn part(&self) -> &Part {
        &self.mirror.parts[self.part]
    }

    /// What is to be followed now.
    fn look(&mut self) -> FilterSet {
        let followed = self.mirror.wanted(self.part);
        let topics = &self.mirror.parts[self.part].topics;
        let now = clock::uptime();
        self.pace.look(now);
        self.wanted.look(topics, &followed, now)
    }

    /// Waits until others are followed than before.
    async fn changed(&mut self) {
        let [subscribed, asked] = &mut self.changes;
        // Their senders are the mirror's.
        tokio::select! {
            changed = subscribed.changed() => drop(changed),
            changed = asked.changed() => drop(changed),
        }
    }

    /// Deletes all that is here.
    async fn forget(&mut self) {
        self.part().shown.send_replace(FilterSet::none());
        if std::mem::take(&mut self.has_some) {
            self.delete(self.keys()).await;
        }
    }

    /// The keys that are here.
    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        // There may be very many.
        tokio::task::block_in_place(|| {
            self.ground.states.read(&self.part().topics, |value| {
                keys.insert((value.topic.clone(), (&*value.key).into()));
                ControlFlow::Continue(())
            });
        });
        keys
    }

    async fn delete(&self, keys: Keys) {
        let time = clock::now();
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            let some = keys.by_ref().take(SHOWN_AT_ONCE_MAX);
            let gone = some.map(|(topic, key)| {
                let event = Event { topic, key: Some(key), event_type: None, time, body: None };
                (event, None)
            });
            self.show(gone.collect()).await;
        }
    }

    /// Shows these, once there is room.
    async fn show(&self, events: Vec<(Event, Option<f64>)>) {
        self.ground.states.until_room().await;
        let results = self.ground.states.apply_measured(events);
        let refused = results.iter().filter(|result| result.is_err()).count();
        self.ground.figures.values_refused.add(refused as u64);
    }

    /// Follows these until that is over.
    async fn follow(&mut self, filters: &FilterSet) -> Over {
        match self.open(filters).await {
            Ok((node, body)) => {
                let figures = Arc::clone(&self.ground.figures);
                let _open = figures.open.enter();
                let over = self.take(filters, (&node, body)).await;
                over.err().unwrap_or(Over::Wanted)
            }
            Err(over) => over,
        }
    }

    /// A stream of the keeper, and who that is.
    async fn open(&self, filters: &FilterSet) -> Result<(Box<str>, Incoming), Over> {
        let seat = self.ground.cluster.tenure.seat();
        let Some(Other { node, address: Some(address), .. }) = seat.other else {
            return Err(Over::NoKeeper);
        };
        self.mirror.stands(self.part, &node).await;
        let request = Request::get(target(filters)).body(Bytes::new());
        let request = request.map_err(|_| PeerError::Address)?;
        let peers = &self.ground.cluster.peers;
        let answered = peers.ask_at((&node, &address), request, MIRROR_BEGIN_PATIENCE).await?;
        Ok((node, answered.response.into_body()))
    }

    /// Takes what comes.
    async fn take(
        &mut self,
        filters: &FilterSet,
        (node, mut body): (&str, Incoming),
    ) -> Result<(), Over> {
        let (began, mut lines) = (Ticker::start(), Lines::default());
        // What is here and does not come is gone.
        let mut before = Some(self.keys());
        self.has_some = true;
        let mut heard = Ticker::start();
        let mut looks = interval(RELAY_LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                frame = body.frame() => {
                    heard = Ticker::start();
                    let frame = frame.ok_or_else(|| Over::Ended("nothing more comes".into()))?;
                    let frame = frame.map_err(|error| Over::Ended(with_causes(&error)))?;
                    let Ok(piece) = frame.into_data() else { continue };
                    let was_coming = before.is_some();
                    self.take_lines(lines.take(&piece)?, &mut before, filters).await?;
                    if was_coming && before.is_none() {
                        self.pace.loaded(began.elapsed());
                    }
                }
                () = self.changed() => self.pace.tell(),
                _ = looks.tick() => self.check(node, heard)?,
            }
            // Each beginning brings all values: one that is not waited for would never be there.
            let may_begin = before.is_none() && began.elapsed() >= self.pace.between_beginnings();
            if may_begin && self.pace.is_due(clock::uptime()) && self.look() != *filters {
                return Ok(());
            }
        }
    }

    /// Whether this node is still to be followed, which was heard of then.
    fn check(&self, node: &str, heard: Ticker) -> Result<(), Over> {
        let other = self.ground.cluster.tenure.seat().other;
        if other.is_some_and(|other| *other.node != *node) {
            return Err(Over::Succeeded);
        }
        if heard.elapsed() > self.ground.silence_max {
            return Err(Over::Ended("nothing has come for long".to_owned()));
        }
        Ok(())
    }

    /// Shows what comes; `before` is what may be gone, until all has come that there is.
    async fn take_lines(
        &mut self,
        lines: Vec<Line>,
        before: &mut Option<Keys>,
        filters: &FilterSet,
    ) -> Result<(), Over> {
        let mut events = Vec::with_capacity(lines.len());
        for line in lines {
            match line {
                Line::Value(event, number) => {
                    let Some(before) = before else {
                        events.push((event, number));
                        continue;
                    };
                    before.remove(&(event.topic.clone(), event.key.clone().unwrap_or_default()));
                    if !self.ground.states.shows(&event) {
                        events.push((event, number));
                    }
                }
                Line::Ready => {
                    self.show(std::mem::take(&mut events)).await;
                    if let Some(gone) = before.take() {
                        self.delete(gone).await;
                    }
                    (self.lost, self.pause) = (None, PAUSE);
                    self.part().shown.send_replace(filters.clone());
                }
                Line::Bye => return Err(Over::Ended("it said good-bye".to_owned())),
                Line::Other => {}
            }
        }
        if !events.is_empty() {
            self.show(events).await;
        }
        Ok(())
    }
}
