//! The way in.

mod builder;
mod response;

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde::Serialize;

pub use self::builder::ClientBuilder;
pub use self::response::Response;
use crate::error::Error;
use crate::http::{Remedy, refusal, remedy};
use crate::outbox::Outbox;
use crate::publish::{Closure, Publish};
use crate::samples::SendSamples;
use crate::subscription::Subscribe;
use crate::surroundings::Surroundings;

/// Follows what one server has, and sends to it. Clones are the same client.
#[derive(Clone, Debug)]
pub struct Client {
    around: Surroundings,
    outbox: Arc<Outbox>,
}

impl Client {
    /// A client of a server at an address such as `https://bell.example`, with all else as usual.
    pub fn new(url: &str) -> Result<Self, Error> {
        Self::builder(url)?.build()
    }

    /// Begins with the server's address: `http://` or `https://`, with a path where the server stands
    /// behind a proxy. A host and port alone are one of `http://`.
    pub fn builder(url: &str) -> Result<ClientBuilder, Error> {
        ClientBuilder::new(url)
    }

    pub(crate) fn with(around: Surroundings) -> Self {
        let outbox = Arc::new(Outbox::new(around.clone()));
        Self { around, outbox }
    }

    /// Host and port of the server, for people.
    #[must_use]
    pub fn server(&self) -> &str {
        self.around.http.address().name()
    }

    /// What is to be followed: topics, or filters such as `chat/**`. Each subscription is a
    /// connection of its own.
    pub fn subscribe<F: Into<String>>(&self, filters: impl IntoIterator<Item = F>) -> Subscribe {
        let filters = filters.into_iter().map(Into::into).collect();
        Subscribe::new(self.around.clone(), filters)
    }

    /// Publishes an event: anything that can be written as JSON.
    pub fn publish(&self, topic: &str, data: impl Serialize) -> Publish {
        self.about(topic).json(&data)
    }

    /// Publishes an event as it is. Without a [content type](Publish::content_type) the server tells
    /// JSON, text and binary apart.
    pub fn publish_bytes(&self, topic: &str, data: impl Into<Bytes>) -> Publish {
        self.about(topic).body(data)
    }

    /// Deletes a key of a state topic.
    pub fn delete(&self, topic: &str, key: &str) -> Publish {
        self.about(topic).deletion(key)
    }

    /// Ends a topic.
    pub fn end(&self, topic: &str) -> Publish {
        self.about(topic).closure(Closure::End)
    }

    /// Lets a topic that has ended go on.
    pub fn reopen(&self, topic: &str) -> Publish {
        self.about(topic).closure(Closure::Reopen)
    }

    fn about(&self, topic: &str) -> Publish {
        Publish::new(Arc::clone(&self.outbox), topic)
    }

    /// Sends samples: each a [`Sample`](crate::Sample), or what is written as the JSON of one.
    pub fn samples<S: Serialize>(&self, samples: impl IntoIterator<Item = S>) -> SendSamples {
        SendSamples::new(Arc::clone(&self.outbox), samples)
    }

    /// Asks for anything else of the API, once: the request's address is a path such as `/v1/keys`.
    /// An answer that is an error is [`Error::Problem`].
    pub async fn request(&self, request: Request<Bytes>) -> Result<Response, Error> {
        let token = &self.around.token;
        let shown = token.get().await?;
        let error = match self.ask(&request, shown.as_deref()).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if remedy(&error) != Remedy::Token || !token.can_refresh() {
            return Err(error);
        }
        let newer = token.refresh(&shown).await?;
        if newer == shown {
            return Err(error);
        }
        self.ask(&request, newer.as_deref()).await
    }

    async fn ask(&self, request: &Request<Bytes>, shown: Option<&str>) -> Result<Response, Error> {
        let asked = response::in_time(self.around.http.ask(request.clone(), shown)).await?;
        let answer = asked.map_err(|failed| failed.error)?;
        if answer.status().is_success() {
            return Ok(Response::new(answer));
        }
        Err(refusal(answer).await.into())
    }
}
