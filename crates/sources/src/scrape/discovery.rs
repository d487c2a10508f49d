//! Where targets are found: the configuration itself, files that are watched, and servers that are
//! asked. What cannot be read leaves in force what was read before.

mod files;

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwire_model::limits::{TARGET_FILES_INTERVAL, TARGET_LIST_BYTES_MAX, TARGET_LIST_TIMEOUT};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::files::Files;
use super::client::{Capacity, Client, Fetch as _, Reach};
use super::group::{self, Group};
use super::job::{Discovery, HttpDiscovery};

/// What was found so far.
#[derive(Debug, Default)]
struct Known {
    /// Groups by where they were found.
    groups: BTreeMap<String, Vec<Group>>,
    /// How many of those who are asked have yet to say what they know.
    unheard: usize,
}

impl Known {
    /// Notes that somebody has said it, and whether it was for the first time.
    fn note_heard(&mut self, is_first: &mut bool) -> bool {
        let was_first = std::mem::take(is_first);
        self.unheard -= usize::from(was_first);
        was_first
    }
}

/// The label that says which file a target is of.
const FILE_PATH: &str = "__meta_filepath";
/// Which URL.
pub(super) const URL: &str = "__meta_url";
/// Servers are told how often they are asked.
const REFRESH_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Finds a job's targets for as long as it is kept.
#[derive(Debug)]
pub(super) struct Finders {
    known: watch::Receiver<Known>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Finders {
    /// Begins to look.
    pub(super) fn start(discovery: &Discovery, room: &Arc<Capacity>) -> Self {
        let own = ("configuration".to_owned(), discovery.groups.clone());
        let unheard = usize::from(!discovery.files.is_empty()) + discovery.urls.len();
        let (told, known) = watch::channel(Known { groups: [own].into(), unheard });
        let told = Arc::new(told);
        let mut tasks = Vec::new();
        if !discovery.files.is_empty() {
            let patterns = discovery.files.iter().flat_map(|files| files.patterns.clone());
            let files = Files::new(patterns.collect());
            tasks.push(tokio::spawn(watch_files(files, Arc::clone(&told))));
        }
        for (number, server) in discovery.urls.iter().enumerate() {
            let asking = ask(number, server.clone(), Arc::clone(room), Arc::clone(&told));
            tasks.push(tokio::spawn(asking));
        }
        Self { known, tasks }
    }

    /// What is known by now.
    pub(super) fn groups(&self) -> Vec<Group> {
        self.known.borrow().groups.values().flatten().cloned().collect()
    }

    /// Whether all who are asked have said what they know.
    pub(super) fn have_all_answered(&self) -> bool {
        self.known.borrow().unheard == 0
    }

    /// Waits until more is known, or something else.
    pub(super) async fn changed(&mut self) {
        // Where nobody looks any more, nothing changes.
        if self.known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Finders {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Looks at files again and again.
async fn watch_files(mut files: Files, told: Arc<watch::Sender<Known>>) {
    let patterns = files.patterns().to_owned();
    let mut is_first = true;
    let mut moments = interval(TARGET_FILES_INTERVAL);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        moments.tick().await;
        let looked = tokio::task::spawn_blocking(move || {
            let changes = files.look();
            (files, changes)
        });
        let changes = match looked.await {
            Ok((looked_at, changes)) => {
                files = looked_at;
                changes
            }
            Err(error) => {
                // A broken invariant: all are read anew the next time.
                tracing::error!(%error, "Files of targets cannot be looked at; those known stay.");
                files = Files::new(patterns.clone());
                continue;
            }
        };
        told.send_if_modified(|known| {
            let is_new = !changes.is_empty();
            for (path, groups) in changes {
                match groups {
                    Some(groups) => {
                        let groups = with(groups, FILE_PATH, &path);
                        known.groups.insert(path, groups)
                    }
                    None => known.groups.remove(&path),
                };
            }
            known.note_heard(&mut is_first) || is_new
        });
    }
}

/// Asks a server again and again.
async fn ask(
    number: usize,
    server: HttpDiscovery,
    room: Arc<Capacity>,
    told: Arc<watch::Sender<Known>>,
) {
    let (url, place) = (server.url.to_string(), format!("url {number}"));
    let client = Client::new(&server.http, Reach::All, &room);
    let mut is_first = true;
    let mut moments = interval(server.interval);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        moments.tick().await;
        let answer = timeout(TARGET_LIST_TIMEOUT, list(&client, &server)).await;
        match answer.unwrap_or_else(|_| Err("it takes too long".into())) {
            Ok(groups) => {
                let groups = with(groups, URL, &url);
                told.send_if_modified(|known| {
                    let is_new = known.groups.get(&place) != Some(&groups);
                    if is_new {
                        known.groups.insert(place.clone(), groups);
                    }
                    known.note_heard(&mut is_first) || is_new
                });
            }
            Err(reason) => {
                tracing::warn!(url, reason, "Targets cannot be asked for; those known stay.");
            }
        }
    }
}

async fn list(client: &Client, server: &HttpDiscovery) -> Result<Vec<Group>, String> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(REFRESH_HEADER, HeaderValue::from(server.interval.as_secs()));
    let answer = client.get(&server.url, headers, TARGET_LIST_BYTES_MAX).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(format!("its Content-Type is `{essence}` and not application/json"));
    }
    let read = move || {
        let is_gzip = answer.is_gzip();
        let body = if is_gzip { answer.body.inflated() } else { Ok(answer.body) };
        let body = body.map_err(|error| error.to_string())?;
        group::of_json(body.bytes()).map_err(|error| error.to_string())
    };
    tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
}

/// The groups with a label that says where they were found.
fn with(mut groups: Vec<Group>, name: &str, value: &str) -> Vec<Group> {
    for group in &mut groups {
        group.labels.insert(name.into(), value.into());
    }
    groups
}
