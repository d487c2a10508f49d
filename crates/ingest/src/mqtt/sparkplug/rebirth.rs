//! Nodes that are to announce themselves again: something of what they have announced is not known here,
//! or a message of theirs is missing.

use std::time::Duration;

use bellwire_model::limits::SPARKPLUG_REBIRTHS_MAX;
use bellwire_model::{NameMap, Timestamp};
use prost::Message as _;

use super::payload::{BOOLEAN, Metric, Payload, Value};

/// How often a node is asked at most: an answer may be large, and some do not answer.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often it is looked at most who was asked a while ago.
const LOOK_INTERVAL_MS: u64 = 1_000;
/// The metric by which a node is asked.
const REBIRTH: &str = "Node Control/Rebirth";

/// A message that asks a node to announce itself and its devices again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebirth {
    /// Where it is published, with quality 0.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
}

/// Whom to ask.
#[derive(Debug, Default)]
pub(super) struct Rebirths {
    /// When nodes were asked, by group and name.
    asked: NameMap<Box<str>, Timestamp>,
    /// When those were looked for last that were asked a while ago: all are looked at.
    looked: Timestamp,
    waiting: Vec<Rebirth>,
}

impl Rebirths {
    /// Has a node be asked, by its group and name, unless it was of late.
    pub(super) fn ask(&mut self, key: &str, now: Timestamp) {
        let Some((group, node)) = key.split_once('/') else { return };
        // Where the clock was set back it is not known how long ago it was.
        let is_of_late = |asked: &Timestamp| {
            u128::from(now.as_ms().abs_diff(asked.as_ms())) < INTERVAL.as_millis()
        };
        if self.asked.get(key).is_some_and(is_of_late) {
            return;
        }
        let since_ms = now.as_ms().abs_diff(self.looked.as_ms());
        if self.asked.len() >= SPARKPLUG_REBIRTHS_MAX && since_ms >= LOOK_INTERVAL_MS {
            self.looked = now;
            self.asked.retain(|_, asked| is_of_late(asked));
        }
        if self.asked.len() >= SPARKPLUG_REBIRTHS_MAX
            || self.waiting.len() >= SPARKPLUG_REBIRTHS_MAX
        {
            return;
        }
        self.asked.insert(key.into(), now);
        let time = u64::try_from(now.as_ms()).unwrap_or_default();
        let metric = Metric {
            name: Some(REBIRTH.to_owned()),
            timestamp: Some(time),
            datatype: Some(BOOLEAN),
            value: Some(Value::Boolean(true)),
            ..Metric::default()
        };
        let payload = Payload { timestamp: Some(time), metrics: vec![metric], seq: None };
        let topic = format!("spBv1.0/{group}/NCMD/{node}");
        self.waiting.push(Rebirth { topic, payload: payload.encode_to_vec() });
    }

    /// What is to be sent.
    pub(super) fn take(&mut self) -> Vec<Rebirth> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoded::Decoded;
    use crate::mqtt::publication::{Age, Out, Publication};
    use crate::mqtt::sparkplug::Sparkplug;

    /// Nodes, and the seconds that have passed.
    #[derive(Default)]
    struct Nodes {
        sparkplug: Sparkplug,
        now_s: i64,
    }

    impl Nodes {
        /// Whom a message has be asked.
        fn hear(&mut self, topic: &str, seq: u64, age: Age) -> Vec<String> {
            let metric = Metric {
                name: Some("m".to_owned()),
                datatype: Some(BOOLEAN),
                value: Some(Value::Boolean(true)),
                ..Metric::default()
            };
            let payload = Payload { timestamp: None, metrics: vec![metric], seq: Some(seq) };
            let payload = payload.encode_to_vec();
            let now = Timestamp::from_ms(1_700_000_000_000 + self.now_s * 1_000);
            let mut decoded = Decoded::default();
            let mut out = Out { decoded: &mut decoded, line: 1, topic };
            let publication = Publication { topic, payload: &payload, from: "n", age, now };
            // What is refused is the business of others.
            let _ = self.sparkplug.read(publication, &[], &mut out);
            self.sparkplug.rebirths().into_iter().map(|rebirth| rebirth.topic).collect()
        }
    }

    #[test]
    fn nodes_that_are_not_known_are_asked_once_a_minute() {
        let mut nodes = Nodes::default();
        let live = |nodes: &mut Nodes, topic| nodes.hear(topic, 5, Age::Live);
        let asked = ["spBv1.0/g/NCMD/n"];
        assert_eq!(live(&mut nodes, "spBv1.0/g/DDATA/n/d"), asked);
        assert!(live(&mut nodes, "spBv1.0/g/NDATA/n").is_empty());
        nodes.now_s = 59;
        assert!(live(&mut nodes, "spBv1.0/g/DBIRTH/n/d").is_empty());
        assert_eq!(live(&mut nodes, "spBv1.0/g/NDATA/m"), ["spBv1.0/g/NCMD/m"]);
        nodes.now_s = 60;
        assert_eq!(live(&mut nodes, "spBv1.0/g/NDATA/n"), asked);
        // A message that was kept may be older than what the node has announced since.
        nodes.now_s = 600;
        assert!(nodes.hear("spBv1.0/g/NDATA/n", 5, Age::Retained).is_empty());
    }

    #[test]
    fn nodes_of_which_a_message_is_missing_are_asked() {
        let mut nodes = Nodes::default();
        assert!(nodes.hear("spBv1.0/g/NBIRTH/n", 0, Age::Live).is_empty());
        assert!(nodes.hear("spBv1.0/g/DBIRTH/n/d", 1, Age::Live).is_empty());
        assert!(nodes.hear("spBv1.0/g/DDATA/n/d", 2, Age::Live).is_empty());
        assert!(nodes.hear("spBv1.0/g/DDATA/n/d", 2, Age::Live).is_empty(), "it came twice");
        assert_eq!(nodes.hear("spBv1.0/g/NDATA/n", 4, Age::Live), ["spBv1.0/g/NCMD/n"]);
        nodes.now_s = 60;
        for seq in 5..=255 {
            assert!(nodes.hear("spBv1.0/g/NDATA/n", seq, Age::Live).is_empty(), "{seq}");
        }
        assert!(nodes.hear("spBv1.0/g/DDEATH/n/d", 0, Age::Live).is_empty());
        assert_eq!(nodes.hear("spBv1.0/g/DDATA/n/d", 1, Age::Live), ["spBv1.0/g/NCMD/n"]);
        // It does, and begins anew.
        nodes.now_s = 600;
        assert!(nodes.hear("spBv1.0/g/NBIRTH/n", 0, Age::Live).is_empty());
        assert!(nodes.hear("spBv1.0/g/NDATA/n", 1, Age::Live).is_empty());
    }

    #[test]
    fn a_node_is_asked_by_the_metric_that_it_has_for_it() {
        let mut rebirths = Rebirths::default();
        rebirths.ask("g/n", Timestamp::from_ms(1));
        let asked = rebirths.take();
        let expected = b"\x08\x01\x12\x1c\x0a\x14Node Control/Rebirth\x18\x01\x20\x0b\x70\x01";
        assert_eq!(asked[0].payload, expected);
        for number in 0..2 * SPARKPLUG_REBIRTHS_MAX {
            rebirths.ask(&format!("g/{number}"), Timestamp::from_ms(2));
        }
        assert_eq!(rebirths.take().len(), SPARKPLUG_REBIRTHS_MAX - 1);
        // A clock that is set back does not have them wait until it is there again.
        rebirths.ask("g/n", Timestamp::from_ms(-60_001));
        assert_eq!(rebirths.take().len(), 1);
        // Others have their turn once those were asked a while ago.
        rebirths.ask("g/late", Timestamp::from_ms(60_002));
        assert_eq!(rebirths.take().len(), 1);
    }
}
