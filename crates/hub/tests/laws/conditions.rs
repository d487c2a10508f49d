//! Conditions of writes and whole batches, against a map and a table that is filled anew.

use std::collections::{BTreeMap, BTreeSet};

use bellwire_hub::{Change, ChangeError, StateLimits, StateTable};
use bellwire_model::{Condition, Epoch, KeyVersion, Life, NameHasher, Offset, Topic, Version};
use proptest::prelude::*;

const LIFE: Life = Life::new(5);
const ROOM: StateLimits = StateLimits { keys_max: 6, bytes_max: 1_600 };
/// Series leave room to others.
const LITTLE_ROOM: StateLimits = StateLimits { keys_max: 4, bytes_max: 1_000 };

/// A version that somebody may ask for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Nothing,
    Absent,
    /// What there is, or, where there is nothing, what there was before.
    Newest,
    /// One that was replaced.
    Older,
    /// One that is yet to come.
    Future,
    /// The newest of another process.
    OtherLife,
    Journal,
}

#[derive(Clone, Debug)]
struct Step {
    topic: usize,
    key: u8,
    asked: Asked,
    /// `None`: delete it.
    size_bytes: Option<usize>,
    /// Whether a value is to go by itself.
    expires: bool,
}

#[derive(Clone, Debug)]
enum Request {
    Each(Vec<Step>),
    Whole(Vec<Step>),
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let asked = prop_oneof![
        4 => Just(Asked::Nothing),
        2 => Just(Asked::Absent),
        4 => Just(Asked::Newest),
        1 => Just(Asked::Older),
        1 => Just(Asked::Future),
        1 => Just(Asked::OtherLife),
        1 => Just(Asked::Journal),
    ];
    let size_bytes = prop_oneof![3 => (0..400usize).prop_map(Some), 1 => Just(None)];
    let expires = prop::bool::weighted(0.3);
    let step = (0..2usize, 0..5u8, asked, size_bytes, expires).prop_map(
        |(topic, key, asked, size_bytes, expires)| Step { topic, key, asked, size_bytes, expires },
    );
    let steps = prop::collection::vec(step, 1..6);
    let request =
        prop_oneof![steps.clone().prop_map(Request::Each), steps.prop_map(Request::Whole),];
    prop::collection::vec(request, 1..40)
}

fn topic(index: usize) -> Topic {
    ["lab/a", "lab/b"][index].parse().expect("a topic")
}

fn room(index: usize) -> StateLimits {
    [ROOM, LITTLE_ROOM][index]
}

type Name = (usize, String);

/// What is known of it all.
#[derive(Clone, Default)]
struct Model {
    /// What is there: its version and its size, with what it takes to go by itself.
    values: BTreeMap<Name, (u64, usize)>,
    /// The newest change of what is gone, too.
    newest: BTreeMap<Name, u64>,
}

impl Model {
    fn condition(&self, step: &Step) -> Condition {
        let newest = self.newest.get(&(step.topic, step.key.to_string())).copied().unwrap_or(0);
        let of_table = |life, number| {
            let version = Version::new(number);
            Condition::At(KeyVersion::Table { life, version })
        };
        match step.asked {
            Asked::Nothing => Condition::Always,
            Asked::Absent => Condition::Absent,
            Asked::Newest => of_table(LIFE, newest),
            Asked::Older => of_table(LIFE, newest.saturating_sub(1)),
            Asked::Future => of_table(LIFE, newest + 1),
            Asked::OtherLife => of_table(Life::new(6), newest),
            Asked::Journal => {
                let (epoch, offset) = (Epoch::new(LIFE.get()), Offset::new(newest));
                Condition::At(KeyVersion::Journal { epoch, offset })
            }
        }
    }

    /// Whether a change may be made, as far as a map can tell.
    fn allows(&self, step: &Step, written: &BTreeSet<Name>) -> Result<(), ChangeError> {
        let name = (step.topic, step.key.to_string());
        let found = self
            .values
            .get(&name)
            .map(|(version, _)| KeyVersion::Table { life: LIFE, version: Version::new(*version) });
        match self.condition(step) {
            Condition::Absent if written.contains(&name) && found.is_some() => {
                Err(ChangeError::Again)
            }
            Condition::At(_) if written.contains(&name) => Err(ChangeError::Again),
            Condition::Absent if found.is_some() => Err(ChangeError::Condition { found }),
            Condition::At(asked) if found != Some(asked) => Err(ChangeError::Condition { found }),
            _ if step.size_bytes.is_none() && found.is_none() => Err(ChangeError::Missing),
            _ => Ok(()),
        }
    }

    /// A table that has never had anything else.
    fn table(&self) -> StateTable<()> {
        let mut table = StateTable::new(LIFE, NameHasher::new([1, 2]));
        let room = StateLimits { keys_max: usize::MAX, bytes_max: usize::MAX };
        for ((index, key), (_, size_bytes)) in &self.values {
            table.put((&topic(*index), key), ((), *size_bytes), room).expect("room");
        }
        table
    }

    fn note(&mut self, step: &Step, version: u64) {
        let name = (step.topic, step.key.to_string());
        self.newest.insert(name.clone(), version);
        match step.charged_bytes() {
            Some(size_bytes) => self.values.insert(name, (version, size_bytes)),
            None => self.values.remove(&name),
        };
    }
}

impl Step {
    /// Bytes of the value, with what it takes to go by itself.
    fn charged_bytes(&self) -> Option<usize> {
        let of_deadline = if self.expires { deadline_bytes() } else { 0 };
        self.size_bytes.map(|size_bytes| size_bytes + of_deadline)
    }

    /// The change that it asks for of a key.
    fn change<'a>(&self, (topic, key): (&'a Topic, &'a str), condition: Condition) -> Change<'a> {
        let (size_bytes, expires, room) = (self.size_bytes, self.expires, room(self.topic));
        Change { topic, key, condition, size_bytes, expires, room }
    }
}

/// What a key takes more that goes by itself.
fn deadline_bytes() -> usize {
    let mut table = StateTable::new(LIFE, NameHasher::new([1, 2]));
    table.put((&topic(0), "key"), ((), 1), ROOM).expect("room");
    let before = table.size_bytes();
    table.set_deadline(&topic(0), "key", 1);
    table.size_bytes() - before
}

/// Changes a table without looking at conditions.
fn make(table: &mut StateTable<()>, step: &Step) -> Result<u64, ChangeError> {
    let (topic, key) = (topic(step.topic), step.key.to_string());
    let made = match step.size_bytes {
        Some(size_bytes) => table.put((&topic, &key), ((), size_bytes), room(step.topic))?,
        None => table.delete((&topic, &key), ((), 0)).ok_or(ChangeError::Missing)?,
    };
    if step.expires && step.size_bytes.is_some() {
        table.set_deadline(&topic, &key, 1);
    }
    Ok(made.version.get())
}

/// The same to a table in which keys that go by themselves are larger ones that stay.
fn make_plainly(table: &mut StateTable<()>, step: &Step) -> Result<u64, ChangeError> {
    make(table, &Step { size_bytes: step.charged_bytes(), expires: false, ..step.clone() })
}

/// The first that cannot be made of a batch, and why.
fn first_wrong(model: &Model, steps: &[Step]) -> Result<(), (usize, ChangeError)> {
    let (mut table, mut model, mut written) = (model.table(), model.clone(), BTreeSet::new());
    for (index, step) in steps.iter().enumerate() {
        let allowed = model.allows(step, &written);
        let made = allowed.and_then(|()| make_plainly(&mut table, step));
        let version = made.map_err(|error| (index, error))?;
        model.note(step, version);
        written.insert((step.topic, step.key.to_string()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn writes_are_made_where_keys_are_as_asked_and_batches_whole_or_not_at_all(requests in requests()) {
        let mut table = StateTable::new(LIFE, NameHasher::new([1, 2]));
        let mut model = Model::default();
        for request in requests {
            match request {
                Request::Each(steps) => for step in steps {
                    let expected = model.allows(&step, &BTreeSet::new());
                    let (topic, key) = (topic(step.topic), step.key.to_string());
                    let change = step.change((&topic, &key), model.condition(&step));
                    let checked = table.check_all(&[change]).map_err(|(_, error)| error);
                    let made = checked.map(|()| make(&mut table, &step).expect("it was looked at"));
                    match (&made, expected) {
                        (Ok(version), Ok(())) => model.note(&step, *version),
                        (Err(ChangeError::Full(_)), Ok(())) => {
                            prop_assert!(make_plainly(&mut model.table(), &step).is_err());
                        }
                        (made, expected) => prop_assert_eq!(made.map(|_| ()), expected),
                    }
                },
                Request::Whole(steps) => {
                    let named: Vec<(Topic, String, Condition)> = steps.iter().map(|step| {
                        (topic(step.topic), step.key.to_string(), model.condition(step))
                    }).collect();
                    let changes: Vec<Change<'_>> = steps.iter().zip(&named).map(|(step, named)| {
                        let (topic, key, condition) = named;
                        step.change((topic, key), *condition)
                    }).collect();
                    let before = (table.version(), table.keys(), table.size_bytes());
                    let checked = table.check_all(&changes);
                    prop_assert_eq!(checked, first_wrong(&model, &steps));
                    prop_assert_eq!((table.version(), table.keys(), table.size_bytes()), before);
                    if checked.is_ok() {
                        for step in &steps {
                            let version = make(&mut table, step).expect("it was looked at");
                            model.note(step, version);
                        }
                    }
                }
            }
            prop_assert_eq!(table.keys(), model.values.len());
            for ((index, key), (version, _)) in &model.values {
                let found = table.key_version(&topic(*index), key);
                let version = Version::new(*version);
                prop_assert_eq!(found, Some(KeyVersion::Table { life: LIFE, version }));
            }
        }
    }
}
