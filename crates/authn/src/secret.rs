//! The server's secret, with which it signs sessions and tickets: a file that is named, or one in the
//! data folder that the first start makes, or nothing that outlives the process.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bellwire_access::{ID_BYTES, ServerSecret, ServerSecretError};
use bellwire_model::limits::{HMAC_SECRET_BYTES_MAX, SERVER_SECRET_BYTES_MIN};
use bellwire_wire::problem::{Code, Problem};
use thiserror::Error;

use crate::config::AccessConfig;

/// The file in the data folder.
const FILE: &str = "access.secret";

/// Where the secret is, unless the configuration names it.
#[derive(Clone, Copy, Debug)]
pub enum SecretPlace<'a> {
    /// In the data folder.
    Data(&'a Path),
    /// It is this process's own.
    Process,
    /// Several nodes share one, which is known once their log is.
    Nodes,
}

/// The secret, once it is known: before anybody comes in.
#[derive(Clone, Default)]
pub(crate) struct Seal(Arc<Sealing>);

#[derive(Default)]
struct Sealing {
    secret: OnceLock<ServerSecret>,
    /// The one before it, where the configuration names that.
    before: Option<Vec<u8>>,
}

impl Seal {
    /// It is this one.
    pub(crate) fn of(secret: ServerSecret) -> Self {
        Self(Arc::new(Sealing { secret: secret.into(), before: None }))
    }

    /// The secret.
    pub(crate) fn get(&self) -> &ServerSecret {
        self.0.secret.get().expect("it is known before anybody comes in")
    }

    /// It is what nodes share, unless the configuration names another.
    pub(crate) fn share(&self, secret: &[u8]) {
        let drawn = || {
            let secret = ServerSecret::new(secret).expect("nodes draw a long one");
            match &self.0.before {
                Some(before) => secret.after(before).expect("it was looked at"),
                None => secret,
            }
        };
        self.0.secret.get_or_init(drawn);
    }
}

/// Says nothing of the secret.
impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

/// Reads the secret that is configured, with the one before it, or that of the data folder. Nothing, where
/// nodes share it.
pub(crate) fn open(config: &AccessConfig, place: SecretPlace<'_>) -> Result<Seal, SecretError> {
    let secret = match (&config.secret_file, place) {
        (Some(path), _) => read(path)?,
        (None, SecretPlace::Data(data)) => of_data(data)?,
        (None, SecretPlace::Process) => of_process()?,
        (None, SecretPlace::Nodes) => {
            check(config)?;
            let before = config.previous_secret_file.as_deref().map(bytes).transpose()?;
            return Ok(Seal(Arc::new(Sealing { secret: OnceLock::new(), before })));
        }
    };
    let Some(path) = &config.previous_secret_file else { return Ok(Seal::of(secret)) };
    let secret = secret.after(&bytes(path)?);
    let secret = secret.map_err(|source| SecretError::Short { path: path.clone(), source })?;
    Ok(Seal::of(secret))
}

/// One that is this process's own.
pub fn of_process() -> io::Result<ServerSecret> {
    Ok(ServerSecret::new(&drawn()?).expect("long enough"))
}

/// Whether the files that are named can be used.
pub(crate) fn check(config: &AccessConfig) -> Result<(), SecretError> {
    let named = [&config.secret_file, &config.previous_secret_file];
    named.into_iter().flatten().try_for_each(|path| read(path).map(|_| ()))
}

fn read(path: &Path) -> Result<ServerSecret, SecretError> {
    let path = path.to_owned();
    ServerSecret::new(&bytes(&path)?).map_err(|source| SecretError::Short { path, source })
}

/// All of them count, an end of a line among them: what the file has is what every reader has.
fn bytes(path: &Path) -> Result<Vec<u8>, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(HMAC_SECRET_BYTES_MAX as u64).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn of_data(data: &Path) -> Result<ServerSecret, SecretError> {
    let path = data.join(FILE);
    match read(&path) {
        Err(SecretError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let unwritable = |source| SecretError::Unwritable { path: path.clone(), source };
            let drawn = || Ok(drawn()?.to_vec());
            make((data, FILE), drawn).map_err(unwritable)?;
            read(&path)
        }
        opened => opened,
    }
}

/// A secret of the server's other than this one: what a file of the data folder has, which the first
/// start draws.
pub fn of_data_folder(
    data: &Path,
    file: &str,
    draw: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let path = data.join(file);
    if !path.try_exists()? {
        make((data, file), draw)?;
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(HMAC_SECRET_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes the file, whole or not at all. One that is there by now stays.
fn make((data, name): (&Path, &str), draw: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<()> {
    // As the journal makes it: the folder is nobody else's, whatever the umask.
    DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    let part = data.join(format!("{name}.{}", std::process::id()));
    let _ = std::fs::remove_file(&part);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let linked = file
        .write_all(&draw()?)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&part, data.join(name)));
    std::fs::remove_file(&part)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::open(data)?.sync_all()
}

/// The name of a session or a ticket. An error has this code.
pub(crate) fn name(code: Code) -> Result<[u8; ID_BYTES], Problem> {
    let mut random = [0; ID_BYTES];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "The system gives no randomness.");
        Problem::new(code, "the system gives no randomness")
    })?;
    Ok(random)
}

fn drawn() -> io::Result<[u8; SERVER_SECRET_BYTES_MIN]> {
    let mut bytes = [0; SERVER_SECRET_BYTES_MIN];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// Why there is no secret to sign with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the server's secret: {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be made.
    #[error(
        "the server's secret: {} cannot be made; `[access] secret_file` names another",
        path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It can be guessed.
    #[error("the server's secret: {}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// How long it has to be.
        source: ServerSecretError,
    },
    /// The system gives no randomness.
    #[error("the server's secret")]
    System(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use bellwire_access::{Behind, Claims, Session};
    use bellwire_model::Timestamp;

    use super::*;

    fn sealed(secret: &ServerSecret) -> String {
        let hour = std::time::Duration::from_hours(1);
        let begun = (Timestamp::from_ms(0), hour);
        let shown = (Claims::anonymous(), Behind::Other);
        Session::begin([7; 16], shown, &[], begun).seal(secret).expect("it fits")
    }

    #[test]
    fn the_first_start_makes_a_secret_that_later_ones_find() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let config = AccessConfig::default();
        let first = sealed(open(&config, SecretPlace::Data(&data)).expect("made").get());
        assert_eq!(sealed(open(&config, SecretPlace::Data(&data)).expect("found").get()), first);
        let made = std::fs::metadata(data.join(FILE)).expect("there");
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
        let made = std::fs::metadata(&data).expect("there");
        assert_eq!(made.permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(&data).expect("a folder").count(), 1, "nothing is left");
        assert_ne!(sealed(open(&config, SecretPlace::Process).expect("drawn").get()), first);
        std::fs::write(data.join(FILE), "short").expect("written");
        assert!(matches!(open(&config, SecretPlace::Data(&data)), Err(SecretError::Short { .. })));
    }

    #[test]
    fn another_secret_of_the_server_is_drawn_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let open = |text: &str| {
            let drawn = text.as_bytes().to_vec();
            of_data_folder(&data, "push.key", || Ok(drawn)).expect("there")
        };
        assert_eq!(open("first"), b"first");
        assert_eq!(open("second"), b"first");
        let made = std::fs::metadata(data.join("push.key")).expect("there");
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&data).expect("a folder").count(), 1, "nothing is left");
    }

    #[test]
    fn a_secret_that_is_named_goes_first_and_the_one_before_it_still_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            Some(path)
        };
        let old = AccessConfig { secret_file: file("old", &"o".repeat(32)), ..Default::default() };
        let new = AccessConfig {
            secret_file: file("new", &"n".repeat(32)),
            previous_secret_file: old.secret_file.clone(),
            ..Default::default()
        };
        let data = folder.path().join("data");
        let session = sealed(open(&old, SecretPlace::Data(&data)).expect("read").get());
        assert!(!data.exists());
        let seal = open(&new, SecretPlace::Process).expect("read");
        let secret = seal.get();
        assert!(Session::open(&session, secret).is_some());
        assert_ne!(sealed(secret), session);
        assert!(check(&new).is_ok());
        let short = AccessConfig { secret_file: file("new", "short"), ..Default::default() };
        assert!(matches!(check(&short), Err(SecretError::Short { .. })));
        let none = AccessConfig {
            previous_secret_file: Some(folder.path().join("none")),
            ..Default::default()
        };
        assert!(matches!(check(&none), Err(SecretError::Unreadable { .. })));
    }
}
