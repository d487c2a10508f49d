//! Players whose scores rise, each the only one who writes its own.

use serde_json::json;

use super::{Step, one_of};
use crate::command::demo::random::Random;

const TOPIC: &str = "leaderboard/arcade";
const PLAYERS: [&str; 9] =
    ["Amber", "Bruno", "Cleo", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines"];

/// Scores at the beginning, from and below, and what one game brings.
const BEGINS: (u32, u32) = (40, 160);
const GAME: (u32, u32) = (1, 15);
/// How often somebody has played in a step.
const PLAYS: f64 = 0.35;
/// Where a player begins again, so that whoever comes may win.
const SCORE_MAX: u32 = 600;

#[derive(Debug)]
pub(super) struct Arcade {
    scores: [u32; PLAYERS.len()],
}

impl Arcade {
    pub(super) fn new() -> Self {
        Self { scores: [0; PLAYERS.len()] }
    }

    pub(super) fn step(&mut self, random: &mut Random, out: &mut Step) {
        let is_first = self.scores.iter().all(|score| *score == 0);
        if is_first {
            for player in 0..PLAYERS.len() {
                self.scores[player] = random.between(BEGINS.0, BEGINS.1);
                self.tell(player, out);
            }
        } else if random.share() < PLAYS {
            let players: Vec<usize> = (0..PLAYERS.len()).collect();
            let player = *one_of(&players, random);
            self.scores[player] += random.between(GAME.0, GAME.1);
            if self.scores[player] > SCORE_MAX {
                self.scores[player] = random.between(BEGINS.0, BEGINS.1);
            }
            self.tell(player, out);
        }
    }

    fn tell(&self, player: usize, out: &mut Step) {
        out.value((TOPIC, PLAYERS[player]), json!({ "score": self.scores[player] }), None);
    }
}
