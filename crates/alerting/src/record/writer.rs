//! From the files of the rules' log to a record.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write};
use std::path::Path;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::RECORD_FRAME_BYTES_MAX;
use bellwire_rules::replay::{Stretch, steps};

use super::{Kind, MAGIC, RecordEnd, RecordError, RecordHeader, VERSION};
use crate::log_files::{Frames, Next, Numbered, READ_BYTES, list, write_frame};

/// How much of what came before is in a record, where it is there: windows and `for` of other rules
/// may reach back further than those that were.
const WARM_UP: Duration = Duration::from_hours(1);

/// How often the files are looked for again that were removed while they were opened.
const ATTEMPTS: usize = 5;

type FileFrames = Frames<BufReader<File>>;

/// A log with what stands beside it, opened: the server may remove its files meanwhile.
struct Part {
    number: u64,
    log: Opened,
    checkpoint: Option<Opened>,
    /// Whether a process began with it.
    is_start: bool,
    /// Whether its checkpoint is there and says nothing.
    is_damaged: bool,
    begins: Timestamp,
}

struct Opened {
    file: File,
    bytes: u64,
}

impl Opened {
    fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => {
                let bytes = file.metadata()?.len();
                Ok(Some(Self { file, bytes }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn frames(&self) -> io::Result<FileFrames> {
        let mut file = self.file.try_clone()?;
        // Both have one position.
        file.rewind()?;
        let reader = BufReader::with_capacity(READ_BYTES, file);
        Ok(Frames::new(reader, self.bytes, RECORD_FRAME_BYTES_MAX))
    }
}

/// Writes a record of a stretch of time from the folder of the rules' state of a server, which may be
/// running. It begins at a checkpoint, an hour before the stretch where so much is kept.
pub fn write_record(
    folder: &Path,
    stretch: Stretch,
    sink: &mut dyn Write,
) -> Result<RecordEnd, RecordError> {
    let mut record = RecordWriter::open(folder, stretch)?;
    while record.write_next(sink)? {}
    sink.flush()?;
    Ok(record.end)
}

/// A record on its way from the files, a frame at a time: nothing is held but what is under way.
pub struct RecordWriter {
    /// What is yet to be written, the first part being under way.
    parts: VecDeque<Part>,
    stage: Stage,
    begins: Timestamp,
    to: Timestamp,
    end: RecordEnd,
}

/// What is written next.
enum Stage {
    Header,
    Checkpoint(Kind, FileFrames),
    Log(FileFrames),
    /// The part behind the one that is done.
    Behind,
    End,
    Nothing,
}

impl RecordWriter {
    /// Opens all files that it takes, so that the server may remove them meanwhile. Fails where nothing
    /// is recorded of the stretch.
    pub fn open(folder: &Path, stretch: Stretch) -> Result<Self, RecordError> {
        let mut parts = chosen(opened(folder)?, stretch)?;
        // A start whose checkpoint is missing calls series by numbers that nobody knows: it may be on its
        // way to the disk.
        let is_lost = |part: &Part| part.is_start && part.checkpoint.is_none();
        let lost = parts.iter().position(is_lost).unwrap_or(parts.len());
        let broken = u64::from(parts.get(lost).is_some_and(|part| part.is_damaged));
        parts.truncate(lost);
        let begins = parts.first().ok_or(RecordError::Nothing)?.begins;
        if let Some(end) = ends_before(&parts, stretch)? {
            return Err(RecordError::EndsEarlier(end));
        }
        let (stage, end) = (Stage::Header, RecordEnd { broken, ..RecordEnd::default() });
        Ok(Self { parts: parts.into(), stage, begins, to: stretch.to, end })
    }

    /// Writes what comes next, a frame; false where all is written.
    pub fn write_next(&mut self, sink: &mut dyn Write) -> Result<bool, RecordError> {
        loop {
            match &mut self.stage {
                Stage::Header => {
                    self.write_header(sink)?;
                    self.stage = self.first()?;
                    return Ok(true);
                }
                Stage::Checkpoint(kind, frames) => {
                    let next = frames.next()?;
                    let Next::Frame(content) = next else {
                        self.end.broken += u64::from(next != Next::End);
                        self.stage = self.log()?;
                        continue;
                    };
                    self.end.note(steps(content));
                    self.end.frames += 1;
                    write_frame(sink, &[&[kind.letter()], content])?;
                    *kind = Kind::Checkpoint;
                    return Ok(true);
                }
                Stage::Log(frames) => {
                    let next = frames.next()?;
                    // Where it is cut the server is writing it, or was killed while it did.
                    let Next::Frame(content) = next else {
                        self.end.broken += u64::from(next == Next::Damaged);
                        self.stage = Stage::Behind;
                        continue;
                    };
                    let steps = steps(content);
                    // What comes behind it in this log is later still; the next process may have had an
                    // earlier clock.
                    if steps.is_some_and(|(first, _)| first > self.to) {
                        self.stage = Stage::Behind;
                        continue;
                    }
                    self.end.note(steps);
                    self.end.frames += 1;
                    write_frame(sink, &[&[Kind::Log.letter()], content])?;
                    return Ok(true);
                }
                Stage::Behind => {
                    self.parts.pop_front();
                    self.stage = match self.parts.front() {
                        None => Stage::End,
                        Some(part) if part.is_start => self.first()?,
                        Some(_) => self.log()?,
                    };
                }
                Stage::End => {
                    write_json(sink, Kind::End, &self.end)?;
                    self.stage = Stage::Nothing;
                    return Ok(true);
                }
                Stage::Nothing => return Ok(false),
            }
        }
    }

    fn write_header(&self, sink: &mut dyn Write) -> Result<(), RecordError> {
        let header = RecordHeader {
            version: VERSION,
            bellwire: env!("CARGO_PKG_VERSION").to_owned(),
            begins_ms: self.begins.as_ms(),
        };
        sink.write_all(MAGIC)?;
        write_json(sink, Kind::Header, &header)
    }

    /// The checkpoint of the part under way, with which a process began.
    fn first(&self) -> Result<Stage, RecordError> {
        match self.parts.front().and_then(|part| part.checkpoint.as_ref()) {
            Some(checkpoint) => Ok(Stage::Checkpoint(Kind::Start, checkpoint.frames()?)),
            None => self.log(),
        }
    }

    fn log(&self) -> Result<Stage, RecordError> {
        let part = self.parts.front();
        part.map_or(Ok(Stage::End), |part| Ok(Stage::Log(part.log.frames()?)))
    }
}

impl fmt::Debug for RecordWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordWriter").field("begins", &self.begins).finish_non_exhaustive()
    }
}

fn write_json(
    sink: &mut dyn Write,
    kind: Kind,
    value: &impl serde::Serialize,
) -> Result<(), RecordError> {
    let json = serde_json::to_vec(value).map_err(io::Error::from)?;
    Ok(write_frame(sink, &[&[kind.letter()], &json])?)
}

/// All logs there are, in their order.
fn opened(folder: &Path) -> Result<Vec<Part>, RecordError> {
    if !folder.is_dir() {
        return Err(RecordError::Nothing);
    }
    for _ in 0..ATTEMPTS {
        if let Some(parts) = open_all(folder)? {
            return Ok(parts);
        }
    }
    Err(io::Error::from(io::ErrorKind::ResourceBusy).into())
}

/// Nothing where a file went before it was opened.
fn open_all(folder: &Path) -> Result<Option<Vec<Part>>, RecordError> {
    let files = list(folder)?;
    let mut numbers: Vec<u64> = files
        .iter()
        .filter_map(|file| match file {
            Numbered::Log(number) => Some(*number),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    let mut parts = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = Numbered::Log(number).path(folder);
        let Some(log) = Opened::open(&path)? else { return Ok(None) };
        let checkpoint = if files.contains(&Numbered::Checkpoint(number)) {
            let path = Numbered::Checkpoint(number).path(folder);
            let Some(checkpoint) = Opened::open(&path)? else { return Ok(None) };
            Some(checkpoint)
        } else {
            None
        };
        let is_start = files.contains(&Numbered::Start(number));
        let begins = checkpoint.as_ref().map_or(Ok(None), beginning_of)?;
        // It got its name when it was whole.
        let is_damaged = checkpoint.is_some() && begins.is_none();
        let checkpoint = checkpoint.filter(|_| !is_damaged);
        // Nothing happened in a log without any step.
        let Some(begins) = begins.map_or_else(|| beginning_of(&log), |begins| Ok(Some(begins)))?
        else {
            continue;
        };
        parts.push(Part { number, log, checkpoint, is_start, is_damaged, begins });
    }
    Ok(Some(parts))
}

/// The time of the first step.
fn beginning_of(opened: &Opened) -> Result<Option<Timestamp>, RecordError> {
    let mut frames = opened.frames()?;
    while let Next::Frame(content) = frames.next()? {
        if let Some((first, _)) = steps(content) {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

/// The logs that have to do with a stretch of time, from one with a checkpoint on.
fn chosen(mut parts: Vec<Part>, stretch: Stretch) -> Result<Vec<Part>, RecordError> {
    let wanted = stretch.from.saturating_sub(WARM_UP);
    let has_beginning = |part: &Part| part.checkpoint.is_some();
    let early = parts.iter().rposition(|part| has_beginning(part) && part.begins <= wanted);
    let first = early.or_else(|| parts.iter().position(has_beginning));
    let first = first.ok_or(RecordError::Nothing)?;
    parts.drain(..first);
    let begins = parts[0].begins;
    if begins > stretch.to {
        return Err(RecordError::BeginsLater(begins));
    }
    parts.retain(|part| part.begins <= stretch.to);
    debug_assert!(parts.is_sorted_by_key(|part| part.number), "logs are in their order");
    Ok(parts)
}

/// When the last step was that is looked at, where that is before the stretch.
fn ends_before(parts: &[Part], stretch: Stretch) -> Result<Option<Timestamp>, RecordError> {
    let mut end = Timestamp::MIN;
    for part in parts.iter().rev() {
        end = end.max(part.begins);
        let mut frames = part.log.frames()?;
        while end < stretch.from
            && let Next::Frame(content) = frames.next()?
        {
            match steps(content) {
                Some((first, _)) if first > stretch.to => break,
                Some((_, last)) => end = end.max(last),
                None => {}
            }
        }
        if end >= stretch.from {
            return Ok(None);
        }
    }
    Ok(Some(end))
}

impl RecordEnd {
    fn note(&mut self, steps: Option<(Timestamp, Timestamp)>) {
        if let Some((_, last)) = steps {
            self.ends_ms = self.ends_ms.max(last.as_ms());
        }
    }
}
