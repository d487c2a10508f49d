//! Where a cursor is kept while nobody follows.

use std::fmt::Debug;
use std::future::Future;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::error::BoxError;

/// How often a cursor is kept at most.
const BETWEEN: Duration = Duration::from_secs(1);

/// Keeps a cursor where the application has room for it. What fails is passed over: the next cursor
/// is tried again, and without one a subscription begins where it is told to.
pub trait CursorStore: Send + Sync + 'static {
    /// The one that was kept last, or nothing.
    fn load(&self) -> impl Future<Output = Result<Option<String>, BoxError>> + Send;

    /// Keeps another in its place.
    fn save(&self, cursor: String) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// Keeps a cursor in a file of its own, which is replaced as a whole.
#[derive(Clone, Debug)]
pub struct FileStore {
    path: PathBuf,
}

impl FileStore {
    /// The file need not be there; its folder has to be.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl CursorStore for FileStore {
    async fn load(&self) -> Result<Option<String>, BoxError> {
        let path = self.path.clone();
        let text = spawn_blocking(move || std::fs::read_to_string(path)).await?;
        match text {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|cursor| !cursor.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn save(&self, cursor: String) -> Result<(), BoxError> {
        let path = self.path.clone();
        Ok(spawn_blocking(move || replace(&path, &cursor)).await??)
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// Any [`CursorStore`].
pub(crate) trait AnyStore: Send + Sync {
    fn load(&self) -> Doing<'_, Option<String>>;
    fn save(&self, cursor: String) -> Doing<'_, ()>;
}

impl<Store: CursorStore> AnyStore for Store {
    fn load(&self) -> Doing<'_, Option<String>> {
        Box::pin(CursorStore::load(self))
    }

    fn save(&self, cursor: String) -> Doing<'_, ()> {
        Box::pin(CursorStore::save(self, cursor))
    }
}

/// Keeps the cursors of one subscription, one at a time.
#[derive(Debug)]
pub(crate) struct Keeper {
    newest: watch::Sender<Option<String>>,
    keeping: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn new(store: std::sync::Arc<dyn AnyStore>) -> Self {
        let (newest, mut changes) = watch::channel(None);
        let keeping = tokio::spawn(async move {
            // What came last is kept after the end, too.
            while changes.changed().await.is_ok() {
                let cursor: Option<String> = changes.borrow_and_update().clone();
                if let Some(cursor) = cursor {
                    let _ = store.save(cursor).await;
                }
                tokio::select! {
                    () = sleep(BETWEEN) => {}
                    () = closed(&changes) => {}
                }
            }
        });
        Self { newest, keeping }
    }

    /// The application has done with what has this cursor.
    pub(crate) fn keep(&self, cursor: String) {
        self.newest.send_replace(Some(cursor));
    }

    /// Waits until the last one is kept.
    pub(crate) async fn close(self) {
        drop(self.newest);
        let _ = self.keeping.await;
    }
}

/// Waits until nobody can change it any more.
async fn closed(changes: &watch::Receiver<Option<String>>) {
    let mut changes = changes.clone();
    while changes.changed().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Default)]
    struct Remembered(Arc<Mutex<Vec<String>>>);

    impl CursorStore for Remembered {
        async fn load(&self) -> Result<Option<String>, BoxError> {
            Ok(None)
        }

        async fn save(&self, cursor: String) -> Result<(), BoxError> {
            self.0.lock().expect("not poisoned").push(cursor);
            Err("it fails, which is passed over".into())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn cursors_are_kept_once_a_second_and_at_the_end() {
        let kept = Arc::default();
        let keeper = Keeper::new(Arc::new(Remembered(Arc::clone(&kept))));
        for number in 0..25 {
            keeper.keep(format!("e1-{number}"));
            sleep(Duration::from_millis(100)).await;
        }
        keeper.close().await;
        let kept = kept.lock().expect("not poisoned").clone();
        assert_eq!(kept.len(), 4, "{kept:?}");
        assert_eq!((kept[0].as_str(), kept[3].as_str()), ("e1-0", "e1-24"));
    }

    #[tokio::test]
    async fn a_file_keeps_the_last_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FileStore::new(folder.path().join("cursor"));
        assert_eq!(CursorStore::load(&store).await.expect("no file is none"), None);
        for cursor in ["e1-1000", "e1-2"] {
            CursorStore::save(&store, cursor.to_owned()).await.expect("written");
            let kept = CursorStore::load(&store).await.expect("read");
            assert_eq!(kept.as_deref(), Some(cursor));
        }
        let nowhere = FileStore::new(folder.path().join("none").join("cursor"));
        assert!(CursorStore::save(&nowhere, "e1-3".to_owned()).await.is_err());
    }
}
