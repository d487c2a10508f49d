//! The process is killed at random moments while sensors send: every alert that an acknowledged
//! sample begins or ends is told, and told once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::harness::{Random, Raw, Server, Stream, closely};

const SENSORS: usize = 4;
const ROUNDS: usize = 5;
/// A round ends at a random number of acknowledged samples up to this.
const ACKNOWLEDGED_MAX: u64 = 300;
const RULES: &str = "groups:\n- {name: g, rules: [{alert: Hot, expr: t > 90}]}\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// A sensor that is hot and cold by turns.
#[derive(Clone, Copy, Debug, Default)]
struct Sensor {
    /// Samples that were acknowledged.
    acknowledged: usize,
}

impl Sensor {
    /// Sends until the server is gone. What was not acknowledged is sent again the next time.
    fn run(&mut self, name: usize, address: SocketAddr, count: &AtomicU64) {
        let Ok(mut raw) = Raw::try_connect(address) else { return };
        loop {
            let value = if self.acknowledged.is_multiple_of(2) { 95 } else { 20 };
            let sample = format!(r#"{{"name":"t","labels":{{"s":"{name}"}},"value":{value}}}"#);
            let Ok(answer) = raw.try_post("/v1/samples", JSON, sample) else { return };
            assert_eq!(answer.status, 200, "{}", answer.text());
            self.acknowledged += 1;
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn every_alert_of_an_acknowledged_sample_is_told_once() {
    let rules = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(rules.path(), RULES).expect("a file is written");
    let mut server = Server::start_with(&["--rules", rules.path().to_str().expect("UTF-8")]);
    let mut random = Random::announced();
    let mut sensors = [Sensor::default(); SENSORS];
    for _ in 0..ROUNDS {
        run_until_killed(&mut server, &mut sensors, &mut random);
        server.restart();
        check(&server, &sensors);
    }
}

fn run_until_killed(server: &mut Server, sensors: &mut [Sensor], random: &mut Random) {
    let address = server.address();
    let acknowledged = AtomicU64::new(0);
    let enough = 1 + random.below(ACKNOWLEDGED_MAX);
    std::thread::scope(|scope| {
        let acknowledged = &acknowledged;
        for (name, sensor) in sensors.iter_mut().enumerate() {
            scope.spawn(move || sensor.run(name, address, acknowledged));
        }
        let killed = server.killed_in_the_end();
        closely("enough is acknowledged", || acknowledged.load(Ordering::Relaxed) >= enough);
        drop(killed);
    });
}

/// A sample that was not acknowledged may have been taken: one alert more may have begun or ended.
fn check(server: &Server, sensors: &[Sensor]) {
    let mut stream = Stream::open(server.address(), "topic=alerts/events/**&after=earliest");
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in stream.until_ready() {
        let sensor = item.payload()["labels"]["s"].as_str().expect("a sensor").to_owned();
        told.entry(sensor).or_default().push(item.event_type.clone());
    }
    for (name, sensor) in sensors.iter().enumerate() {
        let told = told.get(&name.to_string()).cloned().unwrap_or_default();
        let turns = ["alert.firing", "alert.resolved"].into_iter().cycle();
        assert!(told.iter().zip(turns).all(|(told, turn)| told == turn), "{name}: {told:?}");
        let range = sensor.acknowledged..=sensor.acknowledged + 1;
        assert!(range.contains(&told.len()), "{name}: {range:?} samples, {} told", told.len());
    }
}
