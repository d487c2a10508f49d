//! 200 simulated sensors at ten sites: they drift, jump, fall silent and come back.
//!
//! Nothing here reads a clock. One call of [`Field::measure`] is one second.

mod sensor;

use std::f64::consts::TAU;

use self::sensor::{Disturbance, Sensor};
use super::random::Random;

/// Sensors of all sites together.
pub(super) const SENSORS: usize = SITES.len() * SENSORS_PER_SITE;

const SITES: [&str; 10] = [
    "oslo",
    "bergen",
    "gothenburg",
    "gdansk",
    "rotterdam",
    "lyon",
    "porto",
    "trieste",
    "cork",
    "tallinn",
];
const SENSORS_PER_SITE: usize = 20;

/// A kind of sensor: what is normal for it, and how far it goes when something is wrong.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    metric: &'static str,
    per_site: usize,
    normal: f64,
    /// The slow rise and fall of a normal day, shortened to minutes.
    swing: f64,
    noise: f64,
    /// What a disturbance adds: enough to cross the limit of the demo's rule.
    disturbed_by: f64,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "boiler",
        metric: "boiler_temperature_celsius",
        per_site: 3,
        normal: 72.0,
        swing: 3.0,
        noise: 0.6,
        disturbed_by: 27.0,
    },
    Kind {
        name: "freezer",
        metric: "freezer_temperature_celsius",
        per_site: 4,
        normal: -21.0,
        swing: 1.0,
        noise: 0.4,
        disturbed_by: 13.0,
    },
    Kind {
        name: "hall",
        metric: "air_temperature_celsius",
        per_site: 3,
        normal: 21.0,
        swing: 1.5,
        noise: 0.2,
        disturbed_by: 12.0,
    },
    Kind {
        name: "pump",
        metric: "pump_pressure_bar",
        per_site: 4,
        normal: 6.2,
        swing: 0.3,
        noise: 0.08,
        disturbed_by: -2.6,
    },
    Kind {
        name: "motor",
        metric: "motor_vibration_mm_per_second",
        per_site: 4,
        normal: 2.4,
        swing: 0.3,
        noise: 0.3,
        disturbed_by: 6.5,
    },
    Kind {
        name: "tank",
        metric: "tank_level_percent",
        per_site: 2,
        normal: 64.0,
        swing: 12.0,
        noise: 0.2,
        disturbed_by: -55.0,
    },
];

/// Seconds of a shortened day.
const DAY: f64 = 600.0;
/// Seconds from one disturbance to the next, from and below: slow enough to read along.
const PAUSE: (u32, u32) = (5, 12);
/// How long a disturbance lasts, in seconds.
const DISTURBED_FOR: (u32, u32) = (20, 70);
/// What a newcomer sees first: when, which sensor (site, kind, number), and for how long.
const FIRST_DISTURBANCES: [(u32, usize, usize, usize, u32); 2] =
    [(1, 0, 4, 0, 40), (2, 1, 0, 1, 75)];
/// Sensors whose battery is about to be empty when the demo starts.
const BATTERIES_LOW_AT_START: usize = 2;

/// All sensors and the time.
#[derive(Debug)]
pub(super) struct Field {
    random: Random,
    sensors: Vec<Sensor>,
    now: u32,
    next_disturbance: u32,
}

impl Field {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut sensors = Vec::with_capacity(SENSORS);
        for site in SITES {
            for kind in &KINDS {
                for number in 1..=kind.per_site {
                    sensors.push(Sensor::new(site, kind, number, &mut random));
                }
            }
        }
        for _ in 0..BATTERIES_LOW_AT_START {
            let chosen = random.between(0, SENSORS as u32) as usize;
            sensors[chosen].run_battery_down();
        }
        Self {
            random,
            sensors,
            now: 0,
            next_disturbance: FIRST_DISTURBANCES.len() as u32 + PAUSE.1,
        }
    }

    /// Appends the lines of the sensors whose turn it is, and lets a second pass.
    pub(super) fn measure(&mut self, out: &mut String) {
        self.disturb();
        let day = (TAU * f64::from(self.now) / DAY).sin();
        for sensor in &mut self.sensors {
            sensor.measure(self.now, day, &mut self.random, out);
        }
        self.now = self.now.wrapping_add(1);
    }

    fn disturb(&mut self) {
        for (at, site, kind, number, seconds) in FIRST_DISTURBANCES {
            if at == self.now {
                let before: usize = KINDS[..kind].iter().map(|kind| kind.per_site).sum();
                let sensor = &mut self.sensors[site * SENSORS_PER_SITE + before + number];
                sensor.disturb(Disturbance::Jump, self.now + seconds);
            }
        }
        if self.now < self.next_disturbance {
            return;
        }
        self.next_disturbance = self.now + self.random.between(PAUSE.0, PAUSE.1);
        let chosen = self.random.between(0, SENSORS as u32) as usize;
        let until = self.now + self.random.between(DISTURBED_FOR.0, DISTURBED_FOR.1);
        let disturbance = match self.random.between(0, 10) {
            0..=5 => Disturbance::Drift,
            6..=7 => Disturbance::Jump,
            _ => Disturbance::Silence,
        };
        self.sensors[chosen].disturb(disturbance, until);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn seconds(count: usize) -> Vec<Vec<Value>> {
        let mut field = Field::new(7);
        let mut second = || {
            let mut lines = String::new();
            field.measure(&mut lines);
            lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
        };
        (0..count).map(|_| second()).collect()
    }

    /// Samples whose metric crosses the limit that the demo's rules set.
    fn crossing(samples: &[Value]) -> usize {
        let crosses = |sample: &&Value| {
            let value = sample["value"].as_f64().expect("a number");
            match sample["name"].as_str().expect("a name") {
                "boiler_temperature_celsius" => value > 90.0,
                "freezer_temperature_celsius" => value > -12.0,
                "air_temperature_celsius" => value > 30.0,
                "pump_pressure_bar" => value < 4.5,
                "motor_vibration_mm_per_second" => value > 7.1,
                "tank_level_percent" => value < 20.0,
                _ => false,
            }
        };
        samples.iter().filter(crosses).count()
    }

    #[test]
    fn there_are_as_many_sensors_as_promised() {
        assert_eq!(Field::new(1).sensors.len(), SENSORS);
        assert_eq!(KINDS.iter().map(|kind| kind.per_site).sum::<usize>(), SENSORS_PER_SITE);
    }

    #[test]
    fn the_same_seed_shows_the_same() {
        assert_eq!(seconds(30), seconds(30));
    }

    #[test]
    fn something_is_wrong_within_five_seconds_and_never_all_at_once() {
        let seconds = seconds(1200);
        assert!(seconds[..5].iter().any(|samples| crossing(samples) > 0));
        let most = seconds.iter().map(|samples| crossing(samples)).max();
        assert!((1..=12).contains(&most.expect("seconds")), "{most:?}");
        let disturbed = seconds.iter().filter(|samples| crossing(samples) > 0).count();
        assert!((200..1200).contains(&disturbed), "{disturbed} seconds");
    }

    #[test]
    fn sensors_take_turns() {
        for samples in &seconds(60)[5..] {
            assert!((40..=200).contains(&samples.len()), "{}", samples.len());
        }
    }
}
