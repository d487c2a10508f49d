//! The stream that holds a log: how it is made, and what one has to be like that is there already.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{Context, ErrorCode};
use bellwire_shared_log::{BATCH_BYTES_MAX, Error};

use super::failure::Failure;

/// What says in a stream's metadata that it is ours, and how it is laid out.
const MARK: (&str, &str) = ("bellwire", "1");

/// How many servers keep a log where there are so many.
const REPLICAS_IN_A_CLUSTER: usize = 3;

/// Room for headers beside a batch, in bytes.
pub(super) const HEADERS_BYTES_MAX: usize = 1024;

/// Batches carry their own ids: the server need not look for duplicates. This is the shortest time for
/// which it does.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// What the stream of a cluster and its subjects are called.
#[derive(Debug)]
pub(super) struct Names {
    /// The stream.
    pub(super) stream: String,
    /// Of batches.
    pub(super) log: String,
    /// Up to where the log was trimmed.
    pub(super) trimmed: String,
    /// What the names of registers stand behind.
    registers: String,
    all: String,
}

impl Names {
    pub(super) fn new(cluster: &str) -> Self {
        let subject = |name| format!("bellwire.{cluster}.{name}");
        Self {
            stream: format!("BELLWIRE-{cluster}"),
            log: subject("log"),
            trimmed: subject("trimmed"),
            registers: subject("register."),
            all: subject(">"),
        }
    }

    /// The subject of a register.
    pub(super) fn register(&self, name: &str) -> String {
        format!("{}{name}", self.registers)
    }

    /// That of all registers.
    pub(super) fn every_register(&self) -> String {
        self.register("*")
    }

    /// The name of the register with this subject.
    pub(super) fn of_register<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.registers)
    }
}

/// Finds the stream, which has to be as it must be, or makes it.
pub(super) async fn ensure(
    context: &Context,
    names: &Names,
    replicas: Option<usize>,
) -> Result<Info, Failure> {
    if let Some(found) = find(context, names).await? {
        return Ok(found);
    }
    let is_clustered = context.client().server_info().cluster.is_some();
    let replicas = replicas.unwrap_or(if is_clustered { REPLICAS_IN_A_CLUSTER } else { 1 });
    match context.create_stream(config(names, replicas)).await.map_err(Failure::from) {
        Ok(made) => {
            tracing::info!(
                "the stream {} was not there and is made: the log is empty",
                names.stream
            );
            Ok(made.cached_info().clone())
        }
        // Another node may have been faster, with other replicas in mind.
        Err(failure) => find(context, names).await?.ok_or(failure),
    }
}

async fn find(context: &Context, names: &Names) -> Result<Option<Info>, Failure> {
    use async_nats::jetstream::context::GetStreamErrorKind as Kind;
    match context.get_stream(&names.stream).await {
        Ok(found) => {
            let info = found.cached_info().clone();
            check(&info.config, names)?;
            Ok(Some(info))
        }
        Err(error) => match error.kind() {
            Kind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(error.into()),
        },
    }
}

fn config(names: &Names, replicas: usize) -> Config {
    Config {
        name: names.stream.clone(),
        description: Some("The log of a cluster of Bellwire. Do not write to it.".to_owned()),
        subjects: vec![names.all.clone()],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: replicas,
        // A log that is full says so, and loses nothing.
        discard: DiscardPolicy::New,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        duplicate_window: DUPLICATE_WINDOW,
        metadata: HashMap::from([(MARK.0.to_owned(), MARK.1.to_owned())]),
        ..Config::default()
    }
}

/// Whether a stream is ours, and none that loses batches or refuses them.
fn check(config: &Config, names: &Names) -> Result<(), Error> {
    let stream = &config.name;
    let unfit = |why: String| Err(Error::Unfit(format!("the stream {stream} of NATS {why}")));
    match config.metadata.get(MARK.0).map(String::as_str) {
        Some(version) if version == MARK.1 => {}
        Some(version) => {
            return unfit(format!(
                "is laid out as version {version}, and this program knows {}",
                MARK.1
            ));
        }
        None => {
            return unfit("belongs to something else: give the cluster another name".to_owned());
        }
    }
    let largest = (BATCH_BYTES_MAX + HEADERS_BYTES_MAX) as i64;
    let size = i64::from(config.max_message_size);
    let faults = [
        (config.subjects != [names.all.as_str()], "subjects", names.all.as_str()),
        (config.retention != RetentionPolicy::Limits, "retention", "limits"),
        (config.discard != DiscardPolicy::New, "discard", "new"),
        (!config.max_age.is_zero(), "max_age", "0"),
        (config.max_messages > 0, "max_msgs", "-1"),
        (config.max_messages_per_subject > 0, "max_msgs_per_subject", "-1"),
        (config.max_consumers > 0, "max_consumers", "-1"),
        (size > 0 && size < largest, "max_msg_size", "-1"),
        (config.no_ack, "no_ack", "false"),
        (config.sealed, "sealed", "false"),
        (config.deny_purge, "deny_purge", "false"),
        (config.mirror.is_some(), "mirror", "none"),
        (config.sources.as_ref().is_some_and(|sources| !sources.is_empty()), "sources", "none"),
        (config.subject_transform.is_some(), "subject_transform", "none"),
    ];
    match faults.iter().find(|(is_wrong, ..)| *is_wrong) {
        Some((_, setting, right)) => {
            unfit(format!("has the wrong `{setting}`: it is to be {right}"))
        }
        None => Ok(()),
    }
}

/// What a stream may lose, as far as its settings tell.
pub(super) fn losses(config: &Config) -> Vec<String> {
    if config.storage == StorageType::Memory {
        return vec![format!(
            "everything, as the stream {} is kept in memory: make it with storage `file`",
            config.name
        )];
    }
    let is_late = config.persist_mode == Some(PersistenceMode::Async);
    let late = "what is not on the disk yet: `persist_mode` is to be `default`";
    is_late.then(|| late.to_owned()).into_iter().collect()
}

/// What it may lose by a setting of its servers that no client is told.
pub(super) fn doubts(config: &Config) -> Vec<String> {
    if config.storage == StorageType::Memory {
        return Vec::new();
    }
    vec![match config.num_replicas {
        0 | 1 => "what was stored in the last two minutes, where the server's machine loses its power, \
                  unless the server has `jetstream { sync_interval: always }`, which it does not tell"
            .to_owned(),
        replicas => format!(
            "what was stored in the last two minutes, where most of {replicas} servers lose their power \
             at once, unless they have `jetstream {{ sync_interval: always }}`, which they do not tell"
        ),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_would_lose_batches_is_refused_by_the_name_of_the_setting() {
        let names = Names::new("a");
        let good = config(&names, 3);
        assert_eq!(check(&good, &names), Ok(()));
        // Of these somebody may set what he likes.
        let limited = Config { max_bytes: 1 << 30, num_replicas: 1, ..good.clone() };
        assert_eq!(check(&limited, &names), Ok(()));
        for (config, setting) in [
            (Config { metadata: HashMap::new(), ..good.clone() }, "belongs to something else"),
            (Config { subjects: vec!["bellwire.>".to_owned()], ..good.clone() }, "`subjects`"),
            (Config { max_age: Duration::from_hours(1), ..good.clone() }, "`max_age`"),
            (Config { discard: DiscardPolicy::Old, ..good.clone() }, "`discard`"),
            (Config { max_messages: 7, ..good.clone() }, "`max_msgs`"),
            (Config { max_messages_per_subject: 7, ..good.clone() }, "`max_msgs_per_subject`"),
            (Config { max_message_size: 4096, ..good.clone() }, "`max_msg_size`"),
            (Config { retention: RetentionPolicy::Interest, ..good.clone() }, "`retention`"),
            (Config { sealed: true, ..good.clone() }, "`sealed`"),
            (Config { no_ack: true, ..good.clone() }, "`no_ack`"),
            (Config { deny_purge: true, ..good.clone() }, "`deny_purge`"),
        ] {
            let error = check(&config, &names).unwrap_err();
            assert!(matches!(&error, Error::Unfit(why) if why.contains(setting)), "{error}");
        }
    }

    #[test]
    fn what_may_be_lost_is_said() {
        let config = config(&Names::new("a"), 1);
        assert_eq!(losses(&config), Vec::<String>::new());
        assert!(doubts(&config)[0].contains("sync_interval"));
        let memory = Config { storage: StorageType::Memory, ..config.clone() };
        assert!(losses(&memory)[0].starts_with("everything"));
        let late = Config { persist_mode: Some(PersistenceMode::Async), ..config };
        assert!(losses(&late)[0].contains("persist_mode"));
    }

    #[test]
    fn registers_are_found_by_their_subjects() {
        let names = Names::new("a");
        assert_eq!(names.of_register(&names.register("lease-1")), Some("lease-1"));
        assert_eq!(names.of_register(&names.log), None);
    }
}
