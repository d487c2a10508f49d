//! One simulated sensor.

use super::Kind;
use crate::command::demo::random::Random;
use crate::command::demo::sample;

/// Seconds between two measurements, from and below.
const PERIOD: (u32, u32) = (1, 5);
/// A battery is reported with every so many measurements.
const BATTERY_EVERY: u32 = 8;
const BATTERY_FULL: f64 = 100.0;
/// At this level somebody comes and replaces it.
const BATTERY_REPLACED_AT: f64 = 14.0;
const BATTERY_LOW: f64 = 14.6;
const BATTERY_DRAIN_PER_SECOND: f64 = 0.005;

/// What goes wrong with a sensor, or with what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// The value moves away slowly.
    Drift,
    /// The value moves away fast.
    Jump,
    /// Nothing is sent.
    Silence,
}

impl Disturbance {
    /// The share of the remaining way that the value moves at each second.
    fn pace(self) -> f64 {
        match self {
            Self::Drift => 0.12,
            Self::Jump => 0.75,
            Self::Silence => 1.0,
        }
    }
}

/// A sensor and what it is going through.
#[derive(Debug)]
pub(super) struct Sensor {
    kind: &'static Kind,
    site: &'static str,
    name: String,
    /// Its own place between the normal values of its kind.
    bias: f64,
    period: u32,
    phase: u32,
    battery: f64,
    /// How far the value is from normal.
    offset: f64,
    /// What is wrong, and until when.
    disturbance: Option<(Disturbance, u32)>,
}

impl Sensor {
    pub(super) fn new(
        site: &'static str,
        kind: &'static Kind,
        number: usize,
        random: &mut Random,
    ) -> Self {
        let period = random.between(PERIOD.0, PERIOD.1);
        let lowest = BATTERY_REPLACED_AT + 1.0;
        Self {
            kind,
            site,
            name: format!("{}-{number}", kind.name),
            bias: kind.swing * random.noise() / 2.0,
            period,
            phase: random.between(0, period),
            battery: lowest + (BATTERY_FULL - lowest) * random.share(),
            offset: 0.0,
            disturbance: None,
        }
    }

    /// From now until `until`; where something is wrong already, that stays.
    pub(super) fn disturb(&mut self, disturbance: Disturbance, until: u32) {
        self.disturbance.get_or_insert((disturbance, until));
    }

    /// Leaves the battery a few minutes.
    pub(super) fn run_battery_down(&mut self) {
        self.battery = BATTERY_LOW;
    }

    /// Lets a second pass; appends a line if it is this sensor's turn.
    pub(super) fn measure(&mut self, now: u32, day: f64, random: &mut Random, out: &mut String) {
        self.disturbance = self.disturbance.filter(|(_, until)| now < *until);
        let current = self.disturbance.map(|(disturbance, _)| disturbance);
        let (goal, pace) = match current {
            Some(Disturbance::Silence) | None => (0.0, Disturbance::Drift.pace() * 2.0),
            Some(disturbance) => (self.kind.disturbed_by, disturbance.pace()),
        };
        self.offset += (goal - self.offset) * pace;
        self.battery -= BATTERY_DRAIN_PER_SECOND;
        if self.battery <= BATTERY_REPLACED_AT {
            self.battery = BATTERY_FULL;
        }
        let is_due = (now + self.phase).is_multiple_of(self.period);
        if !is_due || current == Some(Disturbance::Silence) {
            return;
        }
        let kind = self.kind;
        let normal = kind.normal + self.bias + kind.swing * day;
        let value = normal + self.offset + kind.noise * random.noise();
        let labels = [("site", self.site), ("sensor", self.name.as_str())];
        sample::write(kind.metric, &labels, value, out);
        if (now / self.period).is_multiple_of(BATTERY_EVERY) {
            sample::write("sensor_battery_percent", &labels, self.battery, out);
        }
    }
}
