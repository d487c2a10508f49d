//! What is published: a number, and the labels of what it tells of.

use bellwire_hub::{Payload, Value};
use bellwire_model::{EffectiveFilter, Labels, Life, Topic};

/// An event's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) number: u64,
    pub(crate) labels: Option<Labels>,
}

impl From<u64> for Thing {
    /// One without labels.
    fn from(number: u64) -> Self {
        Self { number, labels: None }
    }
}

impl Payload for Thing {
    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn gone(&self) -> Self {
        Self::from(0)
    }

    /// The number, and each label with its length in front.
    fn pack(&self, into: &mut Vec<u8>) {
        into.extend(self.number.to_le_bytes());
        for (name, value) in self.labels.iter().flat_map(Labels::iter) {
            for text in [name, value] {
                into.push(u8::try_from(text.len()).expect("a short one"));
                into.extend(text.as_bytes());
            }
        }
    }

    fn unpack(packed: &[u8], _: &Value<()>, _: Life) -> Self {
        let (number, mut rest) = packed.split_first_chunk().expect("a number");
        let mut texts = Vec::new();
        while let Some((length, behind)) = rest.split_first() {
            let (text, behind) = behind.split_at(usize::from(*length));
            texts.push(std::str::from_utf8(text).expect("a text"));
            rest = behind;
        }
        let labels = || Labels::from_pairs(texts.chunks(2).map(|pair| (pair[0], pair[1])));
        let labels = (!texts.is_empty()).then(|| labels().expect("labels"));
        Self { number: u64::from_le_bytes(*number), labels }
    }

    fn ends_topic(&self) -> bool {
        self.number == Self::END
    }
}

impl Thing {
    /// Says that a topic has ended.
    pub(crate) const END: u64 = u64::MAX;

    /// Whether it is for those who follow this, where it is published on this topic.
    pub(crate) fn is_for(&self, follows: &EffectiveFilter, topic: &Topic) -> bool {
        follows.filters().matches(topic) && follows.sight().shows(topic, || self.labels.as_ref())
    }
}
