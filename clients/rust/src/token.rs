//! The token that is shown: asked for when it is needed, and once for all who need a newer one.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::error::{BoxError, Error};

/// A token or an API key, of which no `Debug` tells.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Arc<str>);

/// None where nothing is shown.
pub(crate) type Shown = Option<Secret>;

type Asking = Pin<Box<dyn Future<Output = Result<Option<String>, BoxError>> + Send>>;

/// Where tokens come from.
pub(crate) enum Source {
    Fixed(Shown),
    Function(Box<dyn Fn() -> Asking + Send + Sync>),
}

impl Source {
    pub(crate) fn of_function<Ask, Answer>(ask: Ask) -> Self
    where
        Ask: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Option<String>, BoxError>> + Send + 'static,
    {
        Self::Function(Box::new(move || Box::pin(ask())))
    }
}

impl From<String> for Secret {
    /// Without the white space around it, such as the line break that a file ends with.
    fn from(text: String) -> Self {
        Self(text.trim().into())
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// The newest token of a source.
pub(crate) struct Token {
    source: Source,
    /// The turn to ask: whoever waits for it finds the answer of whoever had it.
    newest: Mutex<Option<Shown>>,
}

impl Token {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, newest: Mutex::new(None) }
    }

    /// Whether there may be a newer one than that which is shown.
    pub(crate) fn can_refresh(&self) -> bool {
        matches!(self.source, Source::Function(_))
    }

    pub(crate) async fn get(&self) -> Result<Shown, Error> {
        let mut newest = self.newest.lock().await;
        self.kept_or_asked(&mut newest).await
    }

    /// This one counts no more. Who says so of one that was replaced already gets the newer one.
    pub(crate) async fn refresh(&self, old: &Shown) -> Result<Shown, Error> {
        let mut newest = self.newest.lock().await;
        if newest.as_ref() == Some(old) {
            *newest = None;
        }
        self.kept_or_asked(&mut newest).await
    }

    async fn kept_or_asked(&self, newest: &mut Option<Shown>) -> Result<Shown, Error> {
        if let Some(kept) = newest {
            return Ok(kept.clone());
        }
        let shown = match &self.source {
            Source::Fixed(shown) => shown.clone(),
            Source::Function(ask) => ask().await.map_err(Error::Token)?.map(Secret::from),
        };
        *newest = Some(shown.clone());
        Ok(shown)
    }
}

/// Says nothing of what is shown.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    fn counted() -> (Arc<Token>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let source = Source::of_function(move || {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                if number == 1 { Err("busy".into()) } else { Ok(Some(number.to_string())) }
            }
        });
        (Arc::new(Token::new(source)), asked)
    }

    #[tokio::test]
    async fn all_who_need_a_newer_one_get_the_same() {
        let (token, asked) = counted();
        let old = token.get().await.expect("a token");
        assert_eq!(old.as_deref(), Some("0"));
        let error = token.refresh(&old).await.expect_err("the function fails");
        assert_eq!(error.code(), "token_unavailable");
        let mut refreshing = JoinSet::new();
        for _ in 0..20 {
            let (token, old) = (Arc::clone(&token), old.clone());
            refreshing.spawn(async move { token.refresh(&old).await.expect("a token") });
        }
        let newer = refreshing.join_all().await;
        assert!(newer.iter().all(|shown| shown.as_deref() == Some("2")), "{newer:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_fixed_one_stays() {
        let token = Token::new(Source::Fixed(Some("key".to_owned().into())));
        assert!(!token.can_refresh());
        let shown = token.get().await.expect("a token");
        assert_eq!(token.refresh(&shown).await.expect("a token"), shown);
    }
}
