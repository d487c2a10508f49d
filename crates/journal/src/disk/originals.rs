//! Where the files are that others are made of, and how they make way for those.
//!
//! Whoever does that may be killed while the old files go into their folder. They are then there and in
//! the data directory, some in both, and the next try goes on with them as they were.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::lock;
use super::names::beside;
use super::schema;
use super::witness::{self, State, Testimony};

/// The files of a data directory that make way.
#[derive(Debug)]
pub(super) struct Originals {
    directory: PathBuf,
    /// What their folders are called, before a number.
    name: &'static str,
    /// The folder of a try that did not come to its end.
    folder: Option<PathBuf>,
}

impl Originals {
    /// Those of a directory, which go into a folder with such a name and a number.
    pub(super) fn of(directory: &Path, name: &'static str) -> io::Result<Self> {
        let newest = folders(directory, name).take_while(|folder| folder.exists()).last();
        let is_cut_off =
            newest.as_deref().map(|folder| is_cut_off(directory, folder)).transpose()?;
        let folder = newest.filter(|_| is_cut_off == Some(true));
        Ok(Self { directory: directory.to_owned(), name, folder })
    }

    /// Where the database is, or what SQLite keeps beside it.
    pub(super) fn database(&self, suffix: &str) -> Option<PathBuf> {
        let folder = self.folder.iter().chain([&self.directory]);
        let mut places = folder.map(|folder| beside(&folder.join(schema::FILE), suffix));
        places.find(|path| path.exists())
    }

    /// What the witness says. That in the directory may be of the new database.
    pub(super) fn testimony(&self) -> Option<Testimony> {
        let read = |folder: &Path| witness::read(folder).ok().flatten();
        let here = read(&self.directory);
        let Some(put_away) = self.folder.as_deref().and_then(read) else { return here };
        here.filter(|here| here.epoch == put_away.epoch).or(Some(put_away))
    }

    /// What the witness says that was put away, or else that in the directory: where the new database goes
    /// on with the epoch, that may be of it.
    pub(super) fn testimony_put_away(&self) -> Option<Testimony> {
        let read = |folder: &Path| witness::read(folder).ok().flatten();
        self.folder.as_deref().and_then(read).or_else(|| read(&self.directory))
    }

    /// Puts the new files in the place of the old ones, and those into a folder, which is returned.
    /// Wherever it is cut off, a server refuses what it finds, or finds it as it was.
    pub(super) fn make_way(self, new: &Path) -> io::Result<PathBuf> {
        let Self { directory, name, folder } = self;
        let folder = folder.map_or_else(|| free_folder(&directory, name), Ok)?;
        for name in [schema::FILE, witness::FILE] {
            let (from, to) = (directory.join(name), folder.join(name));
            if from.exists() && !to.exists() {
                link(&from, &to)?;
            }
        }
        File::open(&folder)?.sync_all()?;
        for suffix in ["-wal", "-shm"] {
            let [from, to] =
                [&directory, &folder].map(|place| beside(&place.join(schema::FILE), suffix));
            if from.exists() && !to.exists() {
                fs::rename(from, to)?;
            } else if from.exists() {
                // A server has begun it, and refused to go on.
                fs::remove_file(from)?;
            }
        }
        File::open(&folder)?.sync_all()?;
        File::open(new.join(schema::FILE))?.sync_all()?;
        for name in [witness::FILE, schema::FILE] {
            fs::rename(new.join(name), directory.join(name))?;
        }
        File::open(&directory)?.sync_all()?;
        Ok(folder)
    }
}

/// Whether the database in the directory is still the one that was put into the folder, and nobody
/// has written since.
fn is_cut_off(directory: &Path, folder: &Path) -> io::Result<bool> {
    let [here, put_away] = [directory, folder].map(|place| place.join(schema::FILE));
    let has_log =
        |file: &Path| fs::metadata(beside(file, "-wal")).is_ok_and(|metadata| metadata.len() > 0);
    if has_log(&here) && has_log(&put_away) {
        return Ok(false);
    }
    if !here.exists() && !put_away.exists() {
        let has_some = has_log(&put_away) || folder.join(witness::FILE).exists();
        return Ok(has_some && is_testimony_of_repair(directory, folder));
    }
    is_same(&here, &put_away)
}

/// Whether the witness in the directory is still that of the damaged files, or already that of the
/// new database, which nobody has opened.
fn is_testimony_of_repair(directory: &Path, folder: &Path) -> bool {
    let [here, put_away] = [directory, folder].map(|place| witness::read(place).ok().flatten());
    let is_new = |here: Testimony| {
        let is_unopened = here.state == State::Closed && here.record_changes == 0;
        is_unopened && put_away.is_none_or(|put_away| here.tail <= put_away.tail)
    };
    here.is_none_or(|here| put_away == Some(here) || is_new(here))
}

/// Whether two files are one, or have the same bytes. Not every file system has links.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let [Ok(one), Ok(other)] = [File::open(one), File::open(other)] else { return Ok(false) };
    let [of_one, of_other] = [one.metadata()?, other.metadata()?];
    if (of_one.dev(), of_one.ino()) == (of_other.dev(), of_other.ino()) {
        return Ok(true);
    }
    if of_one.len() != of_other.len() {
        return Ok(false);
    }
    let [mut one, mut other] = [one, other].map(BufReader::new);
    let mut blocks = [[0; 8192]; 2];
    loop {
        let [of_one, of_other] = &mut blocks;
        let bytes = one.read(of_one)?;
        if bytes == 0 {
            return Ok(true);
        }
        if other.read_exact(&mut of_other[..bytes]).is_err() || of_one[..bytes] != of_other[..bytes]
        {
            return Ok(false);
        }
    }
}

/// A second name for a file, or a copy, which has its name once it is whole.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| {
        let copying = beside(to, ".part");
        fs::copy(from, &copying)?;
        File::open(&copying)?.sync_all()?;
        fs::rename(&copying, to)
    })
}

/// The folders that old files may be put into, in order.
fn folders(directory: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    (1..=u32::MAX).map(move |number| directory.join(format!("{name}-{number}")))
}

fn free_folder(directory: &Path, name: &str) -> io::Result<PathBuf> {
    let free = folders(directory, name).find(|folder| !folder.exists());
    let folder = free.ok_or(io::ErrorKind::AlreadyExists)?;
    lock::make(&folder)?;
    Ok(folder)
}
