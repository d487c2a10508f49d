//! A disk that fails as a test tells it: a library that is loaded before the C library of the
//! real binary, and whose calls fail or sleep. See `failing_disk.c`.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::process::bellwire;

/// What happens to calls of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// `write`, `sync`, `truncate`, `open` or `read`.
    pub(crate) kind: &'static str,
    /// So many calls go well first.
    pub(crate) skip: u64,
    /// So many calls are hit.
    pub(crate) count: u64,
    /// What they fail with; 0 where they are only slow.
    pub(crate) errno: i32,
    pub(crate) sleep_ms: u64,
}

/// The library, its control file and a folder to keep data in, for which alone it fails.
#[derive(Debug)]
pub(crate) struct FailingDisk {
    folder: TempDir,
    generation: Cell<u64>,
}

impl FailingDisk {
    /// Compiles the library. `None` where that cannot be done.
    pub(crate) fn load() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harness/failing_disk.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-pthread", "-o"]);
        cc.arg(folder.path().join("failing_disk.so")).arg(source);
        let compiled = cc.output().ok()?;
        let errors = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "the library compiles: {errors}");
        Some(Self { folder, generation: Cell::new(0) })
    }

    /// A command of the binary on this disk.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let path = |name| self.folder.path().join(name);
        let mut command = bellwire(arguments);
        command.env("LD_PRELOAD", path("failing_disk.so"));
        command.env("FAILING_DISK_DIRECTORY", path("data"));
        command.env("FAILING_DISK_CONTROL", path("control"));
        command.env("FAILING_DISK_HITS", path("hits"));
        command
    }

    /// The only folder that is hit.
    pub(crate) fn data(&self) -> String {
        self.folder.path().join("data").to_str().expect("UTF-8").to_owned()
    }

    /// From now on the disk fails like this.
    pub(crate) fn fail(&self, fault: Fault) {
        let Fault { kind, skip, count, errno, sleep_ms } = fault;
        self.generation.set(self.generation.get() + 1);
        let generation = self.generation.get();
        let text = format!("{generation} {kind} {skip} {count} {errno} {sleep_ms}\n");
        let draft = self.folder.path().join("control.new");
        std::fs::write(&draft, text).expect("written");
        std::fs::rename(draft, self.folder.path().join("control")).expect("renamed");
    }

    /// From now on the disk is well.
    pub(crate) fn heal(&self) {
        let _ = std::fs::remove_file(self.folder.path().join("control"));
    }

    /// The calls that were hit since the last [`fail`](Self::fail).
    pub(crate) fn hits(&self) -> usize {
        let hits = std::fs::read_to_string(self.folder.path().join("hits")).unwrap_or_default();
        let own = format!("{} ", self.generation.get());
        hits.lines().filter(|line| line.starts_with(&own)).count()
    }
}
