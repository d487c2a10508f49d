//! The files: how they are read at a start, and put in their places.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::path::Path;

use bellwire_rules::State;

use super::keeping::{RecordKept, superfluous};
use crate::log_files::{Frames, Next, Numbered, READ_BYTES, list};

/// The highest number of any file.
pub(super) fn newest(folder: &Path) -> io::Result<u64> {
    Ok(list(folder)?.into_iter().map(Numbered::number).max().unwrap_or(0))
}

/// What the files come to: the newest checkpoint, and the logs from then on. A file that is broken
/// counts up to there; the end of the last log is where a process was killed.
pub(crate) fn read(folder: &Path) -> io::Result<State> {
    let mut state = State::default();
    if !folder.exists() {
        return Ok(state);
    }
    let files = list(folder)?;
    let checkpoints = files.iter().filter_map(|file| match file {
        Numbered::Checkpoint(number) => Some(*number),
        Numbered::Unfinished(_) | Numbered::Log(_) | Numbered::Start(_) => None,
    });
    let Some(checkpoint) = checkpoints.max() else { return Ok(state) };
    read_file(folder, Numbered::Checkpoint(checkpoint), &mut state)?;
    let mut logs: Vec<u64> = files
        .iter()
        .filter_map(|file| match file {
            Numbered::Log(number) if *number >= checkpoint => Some(*number),
            _ => None,
        })
        .collect();
    logs.sort_unstable();
    for log in logs {
        read_file(folder, Numbered::Log(log), &mut state)?;
    }
    Ok(state)
}

fn read_file(folder: &Path, file: Numbered, state: &mut State) -> io::Result<()> {
    let path = file.path(folder);
    let opened = File::open(&path)?;
    let length = opened.metadata()?.len();
    let mut frames = Frames::new(BufReader::with_capacity(READ_BYTES, opened), length, u64::MAX);
    loop {
        let left = frames.left();
        match frames.next()? {
            Next::End => return Ok(()),
            Next::Frame(content) if state.read(content).is_ok() => {}
            Next::Frame(_) | Next::Cut | Next::Damaged => {
                let at = length - left;
                tracing::warn!(path = %path.display(), at, left, "The rules' state is broken here; the rest of the file does not count.");
                return Ok(());
            }
        }
    }
}

pub(crate) fn create(folder: &Path, file: Numbered) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file.path(folder))
}

/// Removes a file. Two threads may remove what has become old.
pub(crate) fn remove(folder: &Path, file: Numbered) -> io::Result<()> {
    match fs::remove_file(file.path(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Puts a checkpoint in its place, and removes of what came before it what need not be kept; a newer
/// one may be under way.
pub(crate) fn finish(
    folder: &Path,
    (file, number): (&File, u64),
    kept: RecordKept,
) -> io::Result<()> {
    file.sync_data()?;
    let (from, to) = (Numbered::Unfinished(number), Numbered::Checkpoint(number));
    fs::rename(from.path(folder), to.path(folder))?;
    File::open(folder)?.sync_all()?;
    superfluous(folder, number, kept)?.into_iter().try_for_each(|file| remove(folder, file))
}

/// Removes what is kept beside what a start needs: the disk has no room for it.
pub(super) fn shed(folder: &Path) -> io::Result<()> {
    let checkpoints = list(folder)?.into_iter().filter_map(|file| match file {
        Numbered::Checkpoint(number) => Some(number),
        _ => None,
    });
    let Some(newest) = checkpoints.max() else { return Ok(()) };
    let superfluous = superfluous(folder, newest, RecordKept::default())?;
    superfluous.into_iter().try_for_each(|file| remove(folder, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_ends_what_came_before_it_and_nothing_newer() {
        use Numbered::{Checkpoint, Log, Unfinished};
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let files =
            [Checkpoint(7), Log(7), Unfinished(8), Log(8), Unfinished(9), Log(9), Unfinished(10)];
        for file in files {
            create(folder, file).expect("a file");
        }
        let file = create(folder, Unfinished(9)).expect("a file");
        finish(folder, (&file, 9), RecordKept::default()).expect("it is put in its place");
        let mut left: Vec<String> =
            list(folder).expect("a folder").into_iter().map(Numbered::name).collect();
        left.sort_unstable();
        assert_eq!(left, [Checkpoint(9), Log(9), Unfinished(10)].map(Numbered::name));
    }
}
