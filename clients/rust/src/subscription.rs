//! What somebody follows: a stream of events, or of all that comes.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::form_urlencoded::Serializer;

use crate::error::{ConnectionError, Error};
use crate::item::{Event, Item};
use crate::queue::{Taker, queue};
use crate::session::{Followed, Session};
use crate::store::{AnyStore, CursorStore, Keeper};
use crate::surroundings::Surroundings;

/// What is to be followed, before it is.
#[must_use = "nothing is followed before `events` or `items` is called"]
pub struct Subscribe {
    around: Surroundings,
    filters: Vec<String>,
    queries: Vec<String>,
    parameters: Vec<(String, String)>,
    after: Option<String>,
    store: Option<Arc<dyn AnyStore>>,
}

impl Subscribe {
    pub(crate) fn new(around: Surroundings, filters: Vec<String>) -> Self {
        Self {
            around,
            filters,
            queries: Vec::new(),
            parameters: Vec::new(),
            after: None,
            store: None,
        }
    }

    /// Where to begin: a cursor, `earliest` or `latest`, which is the default.
    pub fn after(mut self, after: impl Into<String>) -> Self {
        self.after = Some(after.into());
        self
    }

    /// A `PromQL` expression to follow beside the topics; there may be several.
    pub fn query(mut self, expression: impl Into<String>) -> Self {
        self.queries.push(expression.into());
        self
    }

    /// Another parameter of `GET /v1/events`, such as `history` or `max_rate`.
    pub fn parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    /// Where its cursor is kept: it begins with what was kept there, and only otherwise where
    /// [`after`](Self::after) says.
    pub fn store(mut self, store: impl CursorStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Follows, and gives the events. It is within a Tokio runtime, and ends when it is dropped.
    pub fn events(self) -> Events {
        Events { items: self.items() }
    }

    /// Follows, and gives events, control events and what becomes of the connection, in the order in
    /// which they come. It is within a Tokio runtime, and ends when it is dropped.
    pub fn items(self) -> Items {
        let (sink, taker) = queue();
        let keeper = self.store.clone().map(Keeper::new);
        let store = self.store.clone();
        let (around, mut followed) = (self.around.clone(), self.followed());
        let following = tokio::spawn(async move {
            if let Some(store) = store
                && let Ok(Some(kept)) = store.load().await
            {
                followed.after = Some(kept);
            }
            Session::new(around, followed, sink).run().await;
        });
        Items { taker, following: Some(following), keeper, cursor: None, is_in_hand: false }
    }

    fn followed(self) -> Followed {
        let is_other = |(name, _): &(String, String)| name == "topic" || name == "query";
        let are_named = self.queries.is_empty()
            && !self.filters.iter().any(|filter| filter.contains('*'))
            && !self.parameters.iter().any(is_other);
        let mut parameters = Serializer::new(String::new());
        parameters.extend_pairs(self.filters.iter().map(|filter| ("topic", filter)));
        parameters.extend_pairs(self.queries.iter().map(|query| ("query", query)));
        parameters.extend_pairs(self.parameters);
        // Statuses can be read here, and need not come in a stream.
        parameters.append_pair("refusals", "status");
        let path = format!("/v1/events?{}", parameters.finish());
        let topics = are_named.then_some(self.filters);
        Followed { path, after: self.after, topics }
    }
}

impl fmt::Debug for Subscribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").field("filters", &self.filters).finish_non_exhaustive()
    }
}

/// All that comes, in its order, across cuts and restarts. An error is the last, and without one it
/// is over because all its topics have ended.
#[derive(Debug)]
pub struct Items {
    taker: Taker,
    /// Until its end is known.
    following: Option<JoinHandle<()>>,
    keeper: Option<Keeper>,
    /// Of what was handed out last.
    cursor: Option<String>,
    /// Whether that counts as done with the next, and not yet.
    is_in_hand: bool,
}

impl Items {
    /// The next; `None` once it is over.
    pub async fn next(&mut self) -> Option<Result<Item, Error>> {
        std::future::poll_fn(|context| self.poll_item(context)).await
    }

    /// The next of what waits to be taken already.
    pub fn next_waiting(&mut self) -> Option<Result<Item, Error>> {
        self.pass();
        let waiting = self.taker.items.try_recv().ok()?;
        Some(self.hand_out(waiting.item))
    }

    /// The cursor behind what was handed out: to go on from it misses nothing. `None` where nothing
    /// has told one yet.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// Waits until it is live, without taking anything; `false` where it is over before, for the
    /// reason that it gives then.
    pub async fn ready(&self) -> bool {
        wait_until_live(self.taker.is_live.clone()).await
    }

    /// Ends it; what was handed out counts as done, and its cursor is kept when this returns.
    pub async fn close(mut self) {
        self.abort();
        self.pass();
        if let Some(keeper) = self.keeper.take() {
            keeper.close().await;
        }
    }

    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Item, Error>>> {
        self.pass();
        let Some(waiting) = ready!(self.taker.items.poll_recv(context)) else {
            return self.poll_end(context).map(|fault| fault.map(Err));
        };
        Poll::Ready(Some(self.hand_out(waiting.item)))
    }

    /// What follows may have been stopped in its midst: that is no end of all topics.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Option<Error>> {
        let Some(following) = &mut self.following else { return Poll::Ready(None) };
        let ended = ready!(Pin::new(following).poll(context));
        self.following = None;
        Poll::Ready(match ended {
            Ok(()) => None,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The runtime in which it began is gone.
            Err(error) => Some(ConnectionError::Lost(error.into()).into()),
        })
    }

    fn abort(&self) {
        if let Some(following) = &self.following {
            following.abort();
        }
    }

    fn hand_out(&mut self, item: Result<Item, Error>) -> Result<Item, Error> {
        let item = item?;
        if let Some(cursor) = item.cursor() {
            self.cursor = Some(cursor.to_owned());
            self.is_in_hand = true;
        }
        Ok(item)
    }

    /// The application has done with what it was given.
    fn pass(&mut self) {
        if std::mem::take(&mut self.is_in_hand)
            && let (Some(keeper), Some(cursor)) = (&self.keeper, &self.cursor)
        {
            keeper.keep(cursor.clone());
        }
    }
}

async fn wait_until_live(mut is_live: watch::Receiver<bool>) -> bool {
    is_live.wait_for(|is_live| *is_live).await.is_ok()
}

impl Drop for Items {
    fn drop(&mut self) {
        self.abort();
    }
}

impl Stream for Items {
    type Item = Result<Item, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(context)
    }
}

/// Events alone, of [`Items`].
#[derive(Debug)]
pub struct Events {
    items: Items,
}

impl Events {
    /// The next; `None` once it is over.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    /// As [`Items::cursor`].
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.items.cursor()
    }

    /// As [`Items::ready`].
    pub async fn ready(&self) -> bool {
        self.items.ready().await
    }

    /// As [`Items::close`].
    pub async fn close(self) {
        self.items.close().await;
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            match ready!(self.items.poll_item(context)) {
                Some(Ok(Item::Event(event))) => return Poll::Ready(Some(Ok(event))),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_event(context)
    }
}
