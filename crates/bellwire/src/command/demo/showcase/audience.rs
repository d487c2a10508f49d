//! A hall full of people who react, and now and then all in the same way. Each block of seats sends what
//! its people have tapped in a step; a page that taps does the same for one.

use serde_json::json;

use super::Step;
use crate::command::demo::random::Random;

const METRIC: &str = "audience_reactions";
const EMOJI: [&str; 6] = ["👏", "❤️", "😂", "🔥", "🤔", "🎉"];
const BLOCKS: u32 = 8;
/// How many of a block tap in a step, below; and while something moves the hall.
const TAPS: u32 = 3;
const TAPS_MOVED: u32 = 22;
/// Steps for which one thing moves the hall, from and below, and between two of them.
const MOVED_FOR: (u32, u32) = (8, 28);
const CALM_FOR: (u32, u32) = (4, 24);

#[derive(Debug, Default)]
pub(super) struct Audience {
    /// What moves it, and until when; then comes the next.
    moved: Option<(usize, u32)>,
    next: u32,
}

impl Audience {
    pub(super) fn step(&mut self, now: u32, random: &mut Random, out: &mut Step) {
        if now >= self.next {
            let chosen = random.between(0, EMOJI.len() as u32) as usize;
            let until = now + random.between(MOVED_FOR.0, MOVED_FOR.1);
            self.moved = Some((chosen, until));
            self.next = until + random.between(CALM_FOR.0, CALM_FOR.1);
        }
        self.moved = self.moved.filter(|(_, until)| now < *until);
        for block in 1..=BLOCKS {
            for (number, emoji) in EMOJI.into_iter().enumerate() {
                let moves = self.moved.is_some_and(|(moved, _)| moved == number);
                let taps = random.between(0, if moves { TAPS_MOVED } else { TAPS });
                if taps > 0 {
                    let labels = json!({ "emoji": emoji, "from": format!("block {block}") });
                    out.sample(METRIC, labels, f64::from(taps));
                }
            }
        }
    }
}
