//! People who comment a talk, and notices that are for all.

use serde_json::json;

use super::{Step, one_of};
use crate::command::demo::random::Random;

const COMMENTS: &str = "comments/keynote";
const NOTICES: &str = "notices";

const PEOPLE: [&str; 8] = ["Ada", "Bojan", "Chidi", "Dalia", "Esra", "Fumiko", "Gonçalo", "Hanna"];
const TEXTS: [&str; 16] = [
    "Is there a recording for those who came late?",
    "That chart says it all.",
    "One binary, really?",
    "How far behind is the slowest reader now?",
    "I would like to see that on a train.",
    "We had exactly this outage last year.",
    "Cursor, not queue. Got it.",
    "What happens when the disk is full?",
    "The gap event alone is worth it.",
    "Slide 12 again, please.",
    "Could a sensor of mine send to it directly?",
    "Nice question.",
    "And if my clock is wrong?",
    "Applause from Lisbon!",
    "So the browser reconnects by itself.",
    "I have closed my laptop and missed nothing.",
];
const TOLD: [&str; 4] = [
    "Coffee is served in the foyer until three.",
    "The next talk moves to the large hall.",
    "A lost key with a brass bell waits at the desk.",
    "Questions are taken in the last ten minutes.",
];

/// Steps between two comments, from and below, and between two notices.
const PAUSE: (u32, u32) = (6, 22);
const NOTICE_EVERY: u32 = 100;

#[derive(Debug, Default)]
pub(super) struct Talk {
    next: u32,
}

impl Talk {
    pub(super) fn step(&mut self, now: u32, random: &mut Random, out: &mut Step) {
        if now >= self.next {
            self.next = now + random.between(PAUSE.0, PAUSE.1);
            let (by, text) = (one_of(&PEOPLE, random), one_of(&TEXTS, random));
            out.event(COMMENTS, json!({ "by": by, "text": text }));
        }
        if now.is_multiple_of(NOTICE_EVERY) {
            out.event(NOTICES, json!({ "text": one_of(&TOLD, random) }));
        }
    }
}
