//! The files of the rules' log: their names and their frames.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a file that are read at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// Bytes before the content of a frame.
const HEAD_BYTES: usize = 8;

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbered {
    Checkpoint(u64),
    /// A checkpoint that is not complete yet. Each has a name of its own, since the one before may
    /// still be on its way to the disk.
    Unfinished(u64),
    Log(u64),
    /// An empty file: with this log a process began, or went on after a failure, and calls series by
    /// numbers of its own.
    Start(u64),
}

impl Numbered {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Checkpoint(number) => format!("checkpoint-{number:08}"),
            Self::Unfinished(number) => format!("unfinished-{number:08}"),
            Self::Log(number) => format!("log-{number:08}"),
            Self::Start(number) => format!("start-{number:08}"),
        }
    }

    fn of(name: &str) -> Option<Self> {
        let (kind, number) = name.split_once('-')?;
        let number = number.parse().ok()?;
        match kind {
            "checkpoint" => Some(Self::Checkpoint(number)),
            "unfinished" => Some(Self::Unfinished(number)),
            "log" => Some(Self::Log(number)),
            "start" => Some(Self::Start(number)),
            _ => None,
        }
    }

    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Checkpoint(number)
            | Self::Unfinished(number)
            | Self::Log(number)
            | Self::Start(number) => number,
        }
    }

    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.name())
    }
}

/// Bytes as a frame.
pub(crate) fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD_BYTES + content.len());
    write_frame(&mut frame, &[content]).expect("a vector takes all");
    frame
}

/// Writes a frame whose content comes in pieces.
pub(crate) fn write_frame(sink: &mut dyn Write, pieces: &[&[u8]]) -> io::Result<()> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut crc = crc32fast::Hasher::new();
    for piece in pieces {
        crc.update(piece);
    }
    sink.write_all(&(length as u32).to_le_bytes())?;
    sink.write_all(&crc.finalize().to_le_bytes())?;
    pieces.iter().try_for_each(|piece| sink.write_all(piece))
}

/// The frames of a file, one at a time: it may be larger than what it comes to.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    reader: R,
    /// Bytes that have not been read.
    left: u64,
    /// Bytes that a frame may have.
    frame_bytes_max: u64,
    /// The content of the frame that was read last.
    content: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    Frame(&'a [u8]),
    /// A frame whose end is missing.
    Cut,
    /// A frame with other bytes than were written, or with more than there may be.
    Damaged,
    End,
}

impl<R: Read> Frames<R> {
    /// Frames of so many bytes in all, each with so many at most.
    pub(crate) fn new(reader: R, length: u64, frame_bytes_max: u64) -> Self {
        Self { reader, left: length, frame_bytes_max, content: Vec::new() }
    }

    /// The content of the frame that was read last.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// How many bytes have not been read.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// The next frame. Behind one that is not whole there is none.
    pub(crate) fn next(&mut self) -> io::Result<Next<'_>> {
        if self.left == 0 {
            return Ok(Next::End);
        }
        let Some(behind) = self.left.checked_sub(HEAD_BYTES as u64) else {
            return Ok(Next::Cut);
        };
        let (mut length, mut crc) = ([0; 4], [0; 4]);
        self.reader.read_exact(&mut length)?;
        self.reader.read_exact(&mut crc)?;
        let length = u32::from_le_bytes(length);
        let Some(left) = behind.checked_sub(u64::from(length)) else { return Ok(Next::Cut) };
        if u64::from(length) > self.frame_bytes_max {
            return Ok(Next::Damaged);
        }
        self.content.resize(length as usize, 0);
        self.reader.read_exact(&mut self.content)?;
        if crc32fast::hash(&self.content) != u32::from_le_bytes(crc) {
            return Ok(Next::Damaged);
        }
        self.left = left;
        Ok(Next::Frame(&self.content))
    }
}

/// Makes the folder, for its owner alone whatever the umask, durably: what is synced within is of no use where
/// it is gone.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Opens a file to add to it.
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

/// Puts a checkpoint that is complete in its place, durably.
pub(crate) fn put_in_place(folder: &Path, (file, number): (&File, u64)) -> io::Result<()> {
    file.sync_data()?;
    let (from, to) = (Numbered::Unfinished(number), Numbered::Checkpoint(number));
    fs::rename(from.path(folder), to.path(folder))?;
    File::open(folder)?.sync_all()
}

/// All files there are.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<Numbered>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.extend(entry?.file_name().to_str().and_then(Numbered::of));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_broken_ones_do_not() {
        let bytes = [frame(b"one"), frame(b""), frame(b"three")].concat();
        let read = |bytes: &[u8]| {
            let mut frames = Frames::new(bytes, bytes.len() as u64, u64::MAX);
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
