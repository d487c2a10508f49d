//! The files: their names, their frames, and how they are read at a start.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use bellwire_rules::State;

/// Bytes before the content of a frame.
const HEAD_BYTES: usize = 8;

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbered {
    Checkpoint(u64),
    /// A checkpoint that is not complete yet. Each has a name of its own, since the one before may
    /// still be on its way to the disk.
    Unfinished(u64),
    Log(u64),
}

impl Numbered {
    fn name(self) -> String {
        match self {
            Self::Checkpoint(number) => format!("checkpoint-{number:08}"),
            Self::Unfinished(number) => format!("unfinished-{number:08}"),
            Self::Log(number) => format!("log-{number:08}"),
        }
    }

    fn of(name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('-')?;
        let number = number.parse().ok()?;
        match kind {
            "checkpoint" => Some(Self::Checkpoint(number)),
            "unfinished" => Some(Self::Unfinished(number)),
            "log" => Some(Self::Log(number)),
            _ => None,
        }
    }

    fn number(self) -> u64 {
        match self {
            Self::Checkpoint(number) | Self::Unfinished(number) | Self::Log(number) => number,
        }
    }

    fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

/// Bytes as a frame.
pub(super) fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD_BYTES + content.len());
    frame.extend_from_slice(&(content.len() as u32).to_le_bytes());
    frame.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
    frame.extend_from_slice(content);
    frame
}

/// Takes the first frame from bytes; nothing where it is not whole.
fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (crc, rest) = rest.split_first_chunk()?;
    let (content, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    *bytes = rest;
    Some(content)
}

/// All files there are.
fn list(folder: &Path) -> io::Result<Vec<Numbered>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.extend(entry?.file_name().to_str().and_then(Numbered::of));
    }
    Ok(files)
}

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
        Numbered::Unfinished(_) | Numbered::Log(_) => None,
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
    let bytes = fs::read(&path)?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let is_read = take_frame(&mut rest).is_some_and(|content| state.read(content).is_ok());
        if !is_read {
            let left = bytes.len() - at;
            tracing::warn!(path = %path.display(), at, left, "The rules' state is broken here; the rest of the file does not count.");
            break;
        }
    }
    Ok(())
}

pub(super) fn create(folder: &Path, file: Numbered) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file.path(folder))
}

/// Removes a file. Two threads may remove what has become old.
pub(super) fn remove(folder: &Path, file: Numbered) -> io::Result<()> {
    match fs::remove_file(file.path(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Puts a checkpoint in its place, and removes what came before it; a newer one may be under way.
pub(super) fn finish(folder: &Path, file: &File, number: u64) -> io::Result<()> {
    file.sync_data()?;
    let (from, to) = (Numbered::Unfinished(number), Numbered::Checkpoint(number));
    fs::rename(from.path(folder), to.path(folder))?;
    File::open(folder)?.sync_all()?;
    let old = list(folder)?.into_iter().filter(|file| file.number() < number);
    for file in old {
        remove(folder, file)?;
    }
    Ok(())
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
        finish(folder, &file, 9).expect("it is put in its place");
        let mut left: Vec<String> =
            list(folder).expect("a folder").into_iter().map(Numbered::name).collect();
        left.sort_unstable();
        assert_eq!(left, [Checkpoint(9), Log(9), Unfinished(10)].map(Numbered::name));
    }

    #[test]
    fn frames_come_back_and_broken_ones_do_not() {
        let frames = [frame(b"one"), frame(b""), frame(b"three")].concat();
        let mut rest = &frames[..];
        assert_eq!(take_frame(&mut rest), Some(&b"one"[..]));
        assert_eq!(take_frame(&mut rest), Some(&b""[..]));
        assert_eq!(take_frame(&mut rest), Some(&b"three"[..]));
        assert!(rest.is_empty());
        for at in 0..frames.len() {
            let mut broken = frames.clone();
            broken[at] ^= 1;
            let mut rest = &broken[..];
            let read = std::iter::from_fn(|| take_frame(&mut rest)).count();
            assert!(read < 3, "byte {at}");
        }
    }
}
