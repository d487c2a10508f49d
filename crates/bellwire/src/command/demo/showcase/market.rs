//! Prices that wander.

use serde_json::json;

use super::Step;
use crate::command::demo::random::Random;

const METRIC: &str = "market_price_dollars";

/// What is traded, and at which price the day begins.
const SYMBOLS: [(&str, f64); 8] = [
    ("BELL", 182.40),
    ("BRASS", 47.15),
    ("CHIME", 96.80),
    ("GONG", 12.35),
    ("KNELL", 311.20),
    ("PEAL", 64.70),
    ("TOLL", 8.92),
    ("WIRE", 128.05),
];

/// How far a price moves in a step at most, as a share of it, and how strongly it is drawn back to where
/// it began.
const MOVE: f64 = 0.0022;
const DRAW: f64 = 0.002;
/// A price that does not move in a step is not told.
const MOVES: f64 = 0.6;

#[derive(Debug)]
pub(super) struct Market {
    prices: [f64; SYMBOLS.len()],
}

impl Market {
    pub(super) fn new() -> Self {
        Self { prices: SYMBOLS.map(|(_, price)| price) }
    }

    pub(super) fn step(&mut self, random: &mut Random, out: &mut Step) {
        for (price, (symbol, began)) in self.prices.iter_mut().zip(SYMBOLS) {
            if random.share() > MOVES {
                continue;
            }
            *price += *price * MOVE * random.noise() + (began - *price) * DRAW;
            let cents = (*price * 100.0).round() / 100.0;
            out.sample(METRIC, json!({ "symbol": symbol }), cents);
        }
    }
}
