//! Topics that have ended, over the ends of processes and formats.

use std::time::Duration;

use bellwire_model::Closure;
use bellwire_model::limits::ENDED_TOPIC_BYTES;
use tempfile::TempDir;

use super::reopening::make_older;
use super::{killed, open, options};
use crate::contract::ending::{closing, end, ended_topics_are_bounded};
use crate::contract::{Rig, plain, rule, timed};
use crate::disk::DiskOptions;
use crate::disk::bounds::StoreBounds;
use crate::{Ended, Error, RetentionRule};

#[test]
fn topics_of_format_4_have_not_ended_and_can() {
    let folder = TempDir::new().unwrap();
    let rig = open(options(folder.path()));
    rig.append_texts("a", &["x"]);
    rig.journal.close().unwrap();
    drop(rig);
    let format_4 = "DROP TABLE producers; DROP TABLE deadlines;
                    ALTER TABLE topics DROP COLUMN ended;
                    PRAGMA user_version = 4;";
    make_older(&folder, format_4);
    let rig = open(options(folder.path()));
    assert_eq!(rig.journal.ended("a"), None);
    let at = rig.append_new(vec![plain("a", "y"), end("a")])[1];
    let copy = killed(&folder);
    let rig = open(options(copy.path()));
    assert_eq!(rig.journal.ended("a"), Some(Ended { at, is_kept: true }));
    assert!(rig.append_one(plain("a", "z")).has_ended);
}

#[test]
fn ended_topics_have_room_for_so_many_bytes() {
    let folder = TempDir::new().unwrap();
    let ended_bytes = 3 * (ENDED_TOPIC_BYTES + 5);
    let bounds = StoreBounds { ended_bytes, ..StoreBounds::default() };
    ended_topics_are_bounded(&open(DiskOptions { bounds, ..options(folder.path()) }), 3);
    let copy = killed(&folder);
    let again = open(DiskOptions { bounds, ..options(copy.path()) });
    assert!(matches!(again.append(vec![end("more2")]), Err(Error::TooManyEndedTopics)));
}

#[test]
fn a_topic_that_has_ended_is_not_forgotten_for_others() {
    let folder = TempDir::new().unwrap();
    let with = |folder: &TempDir| DiskOptions {
        retention: vec![RetentionRule { age: Some(Duration::from_millis(100)), ..rule("**") }],
        bounds: StoreBounds { topics: 4, ..StoreBounds::default() },
        ..options(folder.path())
    };
    let rig = open(with(&folder));
    for topic in ["x1", "x2", "x3"] {
        rig.append_new(vec![timed(topic, "1", 0), closing(topic, Closure::End, 0)]);
    }
    rig.append_new(vec![closing("x3", Closure::Reopened, 0)]);
    rig.retain(i64::from(u32::MAX));
    assert_eq!(rig.journal.bounds().trimmed, rig.journal.bounds().tail, "all is gone");
    let ended = |rig: &Rig| ["x1", "x2", "x3"].map(|topic| rig.journal.ended(topic).is_some());
    let names = |rig: &Rig| rig.journal.topics().len();
    assert_eq!((ended(&rig), names(&rig)), ([true, true, false], 2));
    let copy = killed(&folder);
    let rig = open(with(&copy));
    assert_eq!((ended(&rig), names(&rig)), ([true, true, false], 2));
    // Once it goes on it may be forgotten like any other.
    rig.append_new(vec![closing("x1", Closure::Reopened, 0)]);
    rig.append_new(vec![timed("y1", "1", i64::from(u32::MAX))]);
    rig.retain(2 * i64::from(u32::MAX));
    assert_eq!(ended(&rig), [false, true, false]);
    assert!(rig.journal.topics().iter().all(|figures| figures.topic.as_str() != "x1"));
}
