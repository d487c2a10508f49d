//! From the files of the rules' log to a record.

use std::fs::File;
use std::io::{self, BufReader, Seek as _, Write};
use std::path::Path;
use std::time::Duration;

use bellwire_model::Timestamp;
use bellwire_model::limits::RECORD_FRAME_BYTES_MAX;
use bellwire_rules::replay::{Stretch, steps};

use super::{Kind, MAGIC, RecordEnd, RecordError, RecordHeader, VERSION};
use crate::log_files::{Frames, Next, Numbered, READ_BYTES, frame, list};

/// How much of what came before is in a record, where it is there: windows and `for` of other rules
/// may reach back further than those that were.
const WARM_UP: Duration = Duration::from_hours(1);

/// How often the files are looked for again that were removed while they were opened.
const ATTEMPTS: usize = 5;

/// A log with what stands beside it, opened: the server may remove its files meanwhile.
struct Part {
    number: u64,
    log: Opened,
    checkpoint: Option<Opened>,
    /// Whether a process began with it.
    is_start: bool,
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

    fn frames(&self) -> io::Result<Frames<BufReader<File>>> {
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
    let parts = chosen(opened(folder)?, stretch)?;
    let first = parts.first().ok_or(RecordError::Nothing)?;
    let header = RecordHeader {
        version: VERSION,
        bellwire: env!("CARGO_PKG_VERSION").to_owned(),
        begins_ms: first.begins.as_ms(),
    };
    sink.write_all(MAGIC)?;
    let mut writer = Writer { sink, end: RecordEnd::default(), to: stretch.to };
    writer.json(Kind::Header, &header)?;
    for (index, part) in parts.iter().enumerate() {
        if let Some(checkpoint) = part.checkpoint.as_ref().filter(|_| index == 0 || part.is_start) {
            writer.checkpoint(checkpoint)?;
        }
        if !writer.log(&part.log)? {
            break;
        }
    }
    if writer.end.ends_ms < stretch.from.as_ms() {
        return Err(RecordError::EndsEarlier(Timestamp::from_ms(writer.end.ends_ms)));
    }
    let end = writer.end;
    writer.json(Kind::End, &end)?;
    sink.flush()?;
    Ok(end)
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
        let beginning = checkpoint.as_ref().unwrap_or(&log);
        // Nothing happened in a log without any step.
        let Some(begins) = beginning_of(beginning)? else { continue };
        parts.push(Part { number, log, checkpoint, is_start, begins });
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
    // A start whose checkpoint is missing calls series by numbers that nobody knows.
    let lost = parts.iter().position(|part| part.is_start && part.checkpoint.is_none());
    parts.truncate(lost.unwrap_or(parts.len()));
    debug_assert!(parts.is_sorted_by_key(|part| part.number), "logs are in their order");
    Ok(parts)
}

struct Writer<'a> {
    sink: &'a mut dyn Write,
    end: RecordEnd,
    to: Timestamp,
}

impl Writer<'_> {
    fn json(&mut self, kind: Kind, value: &impl serde::Serialize) -> Result<(), RecordError> {
        let json = serde_json::to_vec(value).map_err(io::Error::from)?;
        self.sink.write_all(&frame(&[&[kind.letter()], &*json].concat()))?;
        Ok(())
    }

    fn piece(&mut self, kind: Kind, content: &[u8]) -> io::Result<()> {
        self.end.frames += 1;
        self.sink.write_all(&frame(&[&[kind.letter()], content].concat()))
    }

    fn checkpoint(&mut self, checkpoint: &Opened) -> Result<(), RecordError> {
        let mut frames = checkpoint.frames()?;
        let mut kind = Kind::Start;
        while let Next::Frame(content) = frames.next()? {
            self.note(steps(content));
            self.piece(kind, content)?;
            kind = Kind::Checkpoint;
        }
        Ok(())
    }

    /// Says whether what comes behind it may still be of the stretch.
    fn log(&mut self, log: &Opened) -> Result<bool, RecordError> {
        let mut frames = log.frames()?;
        loop {
            match frames.next()? {
                Next::Frame(content) => {
                    let steps = steps(content);
                    if steps.is_some_and(|(first, _)| first > self.to) {
                        return Ok(false);
                    }
                    self.note(steps);
                    self.piece(Kind::Log, content)?;
                }
                // Where it is cut the server is writing it, or was killed while it did.
                Next::End | Next::Cut => return Ok(true),
                Next::Damaged => {
                    self.end.broken += 1;
                    return Ok(true);
                }
            }
        }
    }

    fn note(&mut self, steps: Option<(Timestamp, Timestamp)>) {
        if let Some((_, last)) = steps {
            self.end.ends_ms = self.end.ends_ms.max(last.as_ms());
        }
    }
}
