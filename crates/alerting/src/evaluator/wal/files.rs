//! The files: their names, their frames, and how they are read at a start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use bellwire_rules::State;

/// Bytes of a file that are read at once.
const READ_BYTES: usize = 256 * 1024;

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

/// The frames of a file, one at a time: it may be larger than what it comes to.
#[derive(Debug)]
struct Frames<R> {
    reader: R,
    /// Bytes that have not been read.
    left: u64,
    /// The content of the frame that was read last.
    content: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
enum Next<'a> {
    Frame(&'a [u8]),
    /// A frame that is not whole.
    Broken,
    End,
}

impl<R: Read> Frames<R> {
    fn new(reader: R, length: u64) -> Self {
        Self { reader, left: length, content: Vec::new() }
    }

    fn next(&mut self) -> io::Result<Next<'_>> {
        if self.left == 0 {
            return Ok(Next::End);
        }
        let Some(behind) = self.left.checked_sub(HEAD_BYTES as u64) else {
            return Ok(Next::Broken);
        };
        let (mut length, mut crc) = ([0; 4], [0; 4]);
        self.reader.read_exact(&mut length)?;
        self.reader.read_exact(&mut crc)?;
        let length = u32::from_le_bytes(length);
        let Some(left) = behind.checked_sub(u64::from(length)) else { return Ok(Next::Broken) };
        self.content.resize(length as usize, 0);
        self.reader.read_exact(&mut self.content)?;
        if crc32fast::hash(&self.content) != u32::from_le_bytes(crc) {
            return Ok(Next::Broken);
        }
        self.left = left;
        Ok(Next::Frame(&self.content))
    }
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
    let opened = File::open(&path)?;
    let length = opened.metadata()?.len();
    let mut frames = Frames::new(BufReader::with_capacity(READ_BYTES, opened), length);
    loop {
        let left = frames.left;
        match frames.next()? {
            Next::End => return Ok(()),
            Next::Frame(content) if state.read(content).is_ok() => {}
            Next::Frame(_) | Next::Broken => {
                let at = length - left;
                tracing::warn!(path = %path.display(), at, left, "The rules' state is broken here; the rest of the file does not count.");
                return Ok(());
            }
        }
    }
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
        let bytes = [frame(b"one"), frame(b""), frame(b"three")].concat();
        let read = |bytes: &[u8]| {
            let mut frames = Frames::new(bytes, bytes.len() as u64);
            let mut contents = Vec::new();
            loop {
                match frames.next().expect("there are so many bytes") {
                    Next::Frame(content) => contents.push(content.to_vec()),
                    end => return (contents, end == Next::End),
                }
            }
        };
        let whole = [&b"one"[..], b"", b"three"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(read(&bytes), (whole, true));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            let (contents, is_whole) = read(&broken);
            assert!(contents.len() < 3 && !is_whole, "byte {at}");
            let (contents, _) = read(&bytes[..at]);
            assert!(contents.len() < 3, "{at} bytes");
        }
    }
}
