//! What is asked of a batch before any of it is made: where something of it has to be so and is not,
//! nothing is.

use bellwire_model::{
    Closure, Condition, Epoch, Keep, KeyVersion, NameMap, NameSet, Offset, Topic,
};

use crate::Append;
use crate::ends::Standing;
use crate::error::{Found, Unmet};
use crate::fences::{Fenced, Fences, StagedFences};
use crate::newest::{Newest, Place, StagedChanges};

/// What a batch is judged by: what is there, and what transactions under way have made of it.
pub(crate) struct Judge<'a> {
    pub(crate) epoch: Epoch,
    pub(crate) newest: (&'a Newest, &'a StagedChanges),
    pub(crate) fences: (&'a Fences, &'a StagedFences),
    /// Where a topic stands.
    pub(crate) standing: &'a dyn Fn(&Topic) -> Standing,
}

/// What a batch will have made by the append that is looked at.
#[derive(Default)]
struct Ahead<'a> {
    changed: NameSet<(&'a str, &'a str)>,
    fences: StagedFences,
    /// Whether topics have ended.
    ended: NameMap<&'a str, bool>,
    /// The topic of the append before, where that was made before or is fenced.
    kept_out: Option<&'a str>,
}

impl Judge<'_> {
    /// Looks at the appends of a batch in their order. `is_made` says whether one was made before, by
    /// its idempotency key.
    pub(crate) fn check<E>(
        &self,
        batch: &[Append],
        mut is_made: impl FnMut(&Append) -> Result<bool, E>,
    ) -> Result<Result<(), Unmet>, E> {
        // Mostly nothing is asked.
        let asks = |append: &Append| append.must_be_made || append.condition != Condition::Always;
        if !batch.iter().any(asks) {
            return Ok(Ok(()));
        }
        let mut ahead = Ahead::default();
        for (index, append) in batch.iter().enumerate() {
            let topic = append.event.topic.as_str();
            let before = ahead.kept_out.take();
            if append.rides && before == Some(topic) {
                ahead.kept_out = before;
                continue;
            }
            if is_made(append)? {
                ahead.kept_out = Some(topic);
                continue;
            }
            let is_end = append.event.closure() == Some(Closure::End);
            // An end is repeated with the event before it, or refused with it.
            if is_end && before == Some(topic) {
                continue;
            }
            if let Err(found) = self.check_one(append, &mut ahead) {
                return Ok(Err(Unmet { index, found }));
            }
        }
        Ok(Ok(()))
    }

    fn check_one<'a>(&self, append: &'a Append, ahead: &mut Ahead<'a>) -> Result<(), Found> {
        let topic = &append.event.topic;
        match self.is_kept_out(append, ahead) {
            // It was made before, and its condition held then.
            Some(Found::Fenced(Fenced::Known { .. })) => {
                ahead.kept_out = Some(topic.as_str());
                return Ok(());
            }
            Some(found) if append.must_be_made => return Err(found),
            // It is refused by itself.
            Some(found) => {
                let is_fenced = matches!(found, Found::Fenced(_));
                ahead.kept_out = is_fenced.then_some(topic.as_str());
                return Ok(());
            }
            None => {}
        }
        if append.keep == Keep::Newest {
            self.check_key(append, ahead)?;
        }
        if let Some(closure) = append.event.closure() {
            ahead.ended.insert(topic.as_str(), closure == Closure::End);
        }
        if let Some(fence) = &append.fence {
            let (fences, staged) = self.fences;
            let place = (Offset::ZERO, append.event.time);
            fences.stage((&mut ahead.fences, Some(staged)), (topic, fence), place);
        }
        Ok(())
    }

    /// What refuses an append by itself.
    fn is_kept_out(&self, append: &Append, ahead: &Ahead<'_>) -> Option<Found> {
        let topic = &append.event.topic;
        if let Some(fence) = &append.fence {
            let (fences, staged) = self.fences;
            if let Err(fenced) = fences.check(&[&ahead.fences, staged], topic, fence) {
                return Some(Found::Fenced(fenced));
            }
        }
        if append.event.closure().is_some() {
            return None;
        }
        if let Some(ends) = ahead.ended.get(topic.as_str()) {
            return ends.then_some(Found::Ended(None));
        }
        let ended = (self.standing)(topic).ended;
        (ended > Offset::ZERO).then_some(Found::Ended(Some(ended)))
    }

    fn check_key<'a>(&self, append: &'a Append, ahead: &mut Ahead<'a>) -> Result<(), Found> {
        let (topic, key) = (&append.event.topic, append.event.key.as_deref().unwrap_or(""));
        // What is renewed keeps its version.
        let is_again = if append.is_renewal() {
            ahead.changed.contains(&(topic.as_str(), key))
        } else {
            !ahead.changed.insert((topic.as_str(), key))
        };
        if append.condition == Condition::Always {
            return Ok(());
        }
        let (newest, staged) = self.newest;
        let place = newest.find(staged, topic, key).filter(|place| !place.is_deletion());
        let epoch = self.epoch;
        let version = place.map(|place| KeyVersion::Journal { epoch, offset: place.offset() });
        let is_so = match append.condition {
            Condition::Always => true,
            Condition::Absent => version.is_none(),
            Condition::At(asked) => version == Some(asked),
        };
        let is_timed_so = |value| append.timed_at == newest.timed_at(staged, value);
        let is_so = is_so
            && (append.timed_at == Offset::ZERO
                || place.map(Place::offset).is_some_and(is_timed_so));
        match place {
            _ if is_again => Err(Found::Again),
            _ if is_so => Ok(()),
            Some(place) => Err(Found::At(place.offset())),
            None => Err(Found::Nothing),
        }
    }
}
