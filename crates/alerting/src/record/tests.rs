//! Records of logs that are written as a server writes them.

use std::fs;
use std::path::Path;

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::replay::{Piece, Stretch};
use bellwire_rules::{Checkpoint, Engine, RuleFile, load};

use super::{RecordEnd, RecordError, RecordReader, write_record};
use crate::log_files::{Numbered, frame};

const RULES: &str = "groups: [{name: g, rules: [{alert: A, expr: t > 1}]}]";
const HOUR_S: i64 = 3_600;

fn sample(second: i64) -> (Timestamp, Sample) {
    let (series, time) =
        (Labels::from_pairs([(METRIC_NAME, "t")]), Timestamp::from_ms(second * 1_000));
    (time, Sample { series: series.expect("labels"), value: 1.0, time })
}

/// Logs by their numbers, each of an hour with a sample each ten minutes; some begin anew.
fn write_logs(folder: &Path, logs: &[(u64, bool)]) {
    let rules = load(&[RuleFile { name: "f", text: RULES }]).expect("rules");
    let mut engine = Engine::new(rules);
    engine.keep_log();
    engine.apply(Timestamp::from_ms(0), &[]);
    for (number, is_start) in logs {
        let number = *number;
        let _ = engine.take_log();
        let mut checkpoint = Vec::new();
        let mut stage = Checkpoint::default();
        while let Some(piece) = engine.checkpoint(&mut stage, 64) {
            checkpoint.extend(frame(&piece));
        }
        fs::write(Numbered::Checkpoint(number).path(folder), checkpoint).expect("written");
        let mut log = Vec::new();
        for tenth in 0..6 {
            let (time, sample) = sample(number as i64 * HOUR_S + tenth * 600);
            engine.apply(time, &[sample]);
            log.extend(frame(&engine.take_log()));
        }
        fs::write(Numbered::Log(number).path(folder), log).expect("written");
        if *is_start {
            fs::write(Numbered::Start(number).path(folder), "").expect("written");
        }
    }
}

fn record(folder: &Path, stretch: Stretch) -> Result<(Vec<u8>, RecordEnd), RecordError> {
    let mut bytes = Vec::new();
    let end = write_record(folder, stretch, &mut bytes)?;
    Ok((bytes, end))
}

/// The letters of the pieces.
fn read(bytes: &[u8]) -> Result<String, RecordError> {
    let mut reader = RecordReader::open(bytes, bytes.len() as u64)?;
    let mut letters = String::new();
    while let Some(piece) = reader.next_piece()? {
        letters.push(match piece {
            Piece::Start(_) => 'B',
            Piece::Checkpoint(_) => 'C',
            Piece::Log(_) => 'L',
        });
    }
    Ok(letters)
}

fn stretch(from_s: i64, to_s: i64) -> Stretch {
    Stretch { from: Timestamp::from_ms(from_s * 1_000), to: Timestamp::from_ms(to_s * 1_000) }
}

/// Logs without the checkpoint pieces between the first and the others.
fn shape(letters: &str) -> String {
    letters.replace('C', "")
}

#[test]
fn a_record_has_the_checkpoints_of_starts_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    write_logs(folder.path(), &[(1, true), (2, false), (3, true), (4, false)]);
    let (bytes, end) = record(folder.path(), Stretch::default()).expect("a record");
    let letters = read(&bytes).expect("it is whole");
    assert_eq!(shape(&letters), "BLLLLLLLLLLLLBLLLLLLLLLLLL");
    let ends_ms = (4 * HOUR_S + 3_000) * 1_000;
    assert_eq!((end.frames, end.ends_ms, end.broken), (letters.len() as u64, ends_ms, 0));
}

#[test]
fn a_record_begins_an_hour_before_what_is_asked_for_and_ends_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_logs(folder, &[(1, true), (2, false), (3, false), (4, false)]);
    for (from, to, expected) in [
        // Log 3, in which it begins, and log 2 before it.
        (3 * HOUR_S + 1_800, 3 * HOUR_S + 2_400, "BLLLLLLLLLLL"),
        (4 * HOUR_S + 100, i64::MAX / 1_000, "BLLLLLLLLLLLL"),
        (0, HOUR_S + 700, "BLL"),
    ] {
        let (bytes, _) = record(folder, stretch(from, to)).expect("a record");
        assert_eq!(shape(&read(&bytes).expect("it is whole")), expected, "{from} {to}");
    }
    let early = record(folder, stretch(-10, -5)).expect_err("there is nothing");
    assert!(matches!(early, RecordError::BeginsLater(_)), "{early}");
    let late = record(folder, stretch(9 * HOUR_S, 10 * HOUR_S)).expect_err("there is nothing");
    assert!(matches!(late, RecordError::EndsEarlier(_)), "{late}");
    // Without the oldest checkpoint its log says nothing.
    fs::remove_file(Numbered::Checkpoint(1).path(folder)).expect("removed");
    let (bytes, _) = record(folder, Stretch::default()).expect("a record");
    assert_eq!(shape(&read(&bytes).expect("it is whole")).len(), 1 + 3 * 6);
}

#[test]
fn a_log_that_is_cut_or_damaged_counts_up_to_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_logs(folder, &[(1, true), (2, true)]);
    let path = Numbered::Log(1).path(folder);
    let whole = fs::read(&path).expect("a log");
    // The server is writing the last frame.
    fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    let (bytes, end) = record(folder, Stretch::default()).expect("a record");
    assert_eq!((shape(&read(&bytes).expect("whole")), end.broken), ("BLLLLLBLLLLLL".into(), 0));
    let mut damaged = whole;
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(&path, &damaged).expect("written");
    let (bytes, end) = record(folder, Stretch::default()).expect("a record");
    assert_eq!((shape(&read(&bytes).expect("whole")), end.broken), ("BLLLLLBLLLLLL".into(), 1));
}

#[test]
fn a_checkpoint_that_is_damaged_is_told_and_a_clock_that_was_ahead_hides_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_logs(folder, &[(1, true), (9, true)]);
    // The second process had a clock that was ahead; the third one has that of the first.
    fs::rename(Numbered::Log(9).path(folder), Numbered::Log(2).path(folder)).expect("renamed");
    let (from, to) = (Numbered::Checkpoint(9), Numbered::Checkpoint(2));
    fs::rename(from.path(folder), to.path(folder)).expect("renamed");
    fs::rename(Numbered::Start(9).path(folder), Numbered::Start(2).path(folder)).expect("renamed");
    for kind in [Numbered::Log, Numbered::Checkpoint, Numbered::Start] {
        fs::copy(kind(1).path(folder), kind(3).path(folder)).expect("copied");
    }
    // The log of the second begins before its clock jumps.
    let logs = [1, 2].map(|number| fs::read(Numbered::Log(number).path(folder)).expect("a log"));
    fs::write(Numbered::Log(2).path(folder), logs.concat()).expect("written");
    fs::copy(Numbered::Checkpoint(1).path(folder), Numbered::Checkpoint(2).path(folder))
        .expect("copied");
    let (bytes, _) = record(folder, stretch(0, 3 * HOUR_S)).expect("a record");
    // The first frame of what is ahead begins at the time before.
    assert_eq!(shape(&read(&bytes).expect("whole")), "BLLLLLLBLLLLLLLBLLLLLL");

    let path = Numbered::Checkpoint(3).path(folder);
    let whole = fs::read(&path).expect("a checkpoint");
    fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    let (bytes, end) = record(folder, Stretch::default()).expect("a record");
    // What the third process calls by numbers of its own says nothing without it.
    assert_eq!(shape(&read(&bytes).expect("whole")), "BLLLLLLBLLLLLLLLLLLL");
    assert_eq!(end.broken, 1);
    fs::remove_file(&path).expect("removed");
    let (_, end) = record(folder, Stretch::default()).expect("a record");
    assert_eq!(end.broken, 0, "it may be on its way");
}

#[test]
fn a_record_that_is_not_whole_is_never_read_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    write_logs(folder.path(), &[(1, true)]);
    let (whole, _) = record(folder.path(), Stretch::default()).expect("a record");
    for at in 0..whole.len() {
        let cut = read(&whole[..at]).expect_err("it is cut");
        let is_told = matches!(cut, RecordError::Cut { .. } | RecordError::NoRecord);
        assert!(is_told, "{at}: {cut}");
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        read(&damaged).expect_err("it is damaged");
    }
    let more = read(&[&whole[..], b"more"].concat()).expect_err("something stands behind it");
    assert!(matches!(more, RecordError::Damaged { .. }), "{more}");
}

#[test]
fn a_record_of_a_newer_version_is_named() {
    let header = br#"H{"version":2,"bellwire":"9.0.0","begins_ms":0}"#;
    let bytes = [&super::MAGIC[..], &frame(header)].concat();
    let error = read(&bytes).expect_err("it is newer");
    let told =
        "it is of version 2 of the format, written by Bellwire 9.0.0; this one reads version 1";
    assert_eq!(error.to_string(), told);
}
