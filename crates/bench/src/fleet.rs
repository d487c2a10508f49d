//! A fleet as Kubernetes' own monitoring sees one: 1,000 rules, 100,000 series, targets that send.
//!
//! The kinds of rules stand in the proportions of kube-prometheus (139 alerting and 95 recording
//! rules). There are 100 services, each with ten rules over metrics of its own:
//!
//! | rules | kind |
//! |---|---|
//! | 100 | recorded: rates, summed by labels of a target |
//! | 100 | recorded: quantiles of a histogram's rates |
//! | 100 | recorded: a join, `* on (…) group_left (…) max by (…) (…)` |
//! | 100 | recorded: sums of what was recorded, across targets (a chain) |
//! | 100 | alerts on plain conditions |
//! | 100 | alerts on functions of a range: increase, `max_over_time`, `changes` and its kin |
//! | 100 | alerts on ratios of summed rates |
//! | 100 | alerts on ratios of gauges, `and` a trend for half of them, `and` another gauge |
//! | 100 | alerts on recorded series, half of them on two windows, `and on (…)` |
//! | 88 | alerts on two gauges that differ, `and` a range without change for half of them |
//! | 12 | alerts on absence |
//!
//! A service has 1,000 series on one, two or ten targets. Each target sends its series whole every
//! 15 s, up to 20 ms early or late, so that samples leave windows between batches as well.

use std::fmt::Write;

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};

pub(crate) const SERVICES: usize = 100;
const SERIES_PER_SERVICE: usize = 1_000;
pub(crate) const SERIES: usize = SERVICES * SERIES_PER_SERVICE;
const INTERVAL_MS: i64 = 15_000;
const JITTER_MS: u64 = 20;
const START_MS: i64 = 1_700_000_000_000;

/// Targets that a service has.
const TARGETS: [usize; 3] = [1, 2, 10];

/// The rule file of so many services.
pub(crate) fn rules(services: usize) -> String {
    (0..services).fold("groups:\n".to_owned(), |mut text, service| {
        write!(text, "- name: s{service}\n  rules:\n").expect("text");
        for rule in rules_of(service) {
            writeln!(text, "  - {}", rule.replace("S_", &format!("s{service}_"))).expect("text");
        }
        text
    })
}

fn rules_of(service: usize) -> [&'static str; 10] {
    let alternate = |one, other| if service.is_multiple_of(2) { one } else { other };
    [
        "{record: 'S_:requests:rate5m', expr: 'sum by (job, instance, code) (rate(S_requests_total{job!=\"\"}[5m]))'}",
        "{record: 'S_:duration:p99', expr: 'histogram_quantile(0.99, sum by (job, instance, handler, le) (rate(S_duration_seconds_bucket[5m]))) > 0'}",
        "{record: 'S_:memory:node', expr: 'S_memory_bytes{image!=\"\"} * on (namespace, pod) group_left (node) max by (namespace, pod, node) (S_pod_info{node!=\"\"})'}",
        "{record: 'S_:requests:sum', expr: 'sum by (job) (S_:requests:rate5m{code=~\"2..|5..\"})'}",
        "{alert: Down, expr: 'S_up{job!=\"\"} == 0', for: 10m, labels: {severity: critical}}",
        match service % 4 {
            0 => {
                "{alert: Errors, expr: 'increase(S_errors_total{job!=\"\"}[5m]) > 12500', for: 5m}"
            }
            1 => {
                "{alert: Errors, expr: 'rate(S_errors_total[2m]) / rate(S_errors_total[5m]) > 10', for: 5m}"
            }
            2 => "{alert: NotReady, expr: 'max_over_time(S_ready[5m]) == 0', for: 5m}",
            _ => "{alert: Flaps, expr: 'changes(S_ready[10m]) > 30', for: 5m}",
        },
        "{alert: ErrorRate, expr: 'sum by (job, instance) (rate(S_errors_total[5m])) / sum by (job, instance) (rate(S_requests_total[5m])) > 0.9', for: 10m}",
        alternate(
            "{alert: DiskFills, expr: 'S_fs_available{fstype!=\"\"} / S_fs_size{fstype!=\"\"} * 100 < 5 and predict_linear(S_fs_available{fstype!=\"\"}[5m], 3600) < 0 and S_fs_readonly == 0', for: 30m}",
            "{alert: DiskFull, expr: 'S_fs_available{fstype!=\"\"} / S_fs_size{fstype!=\"\"} * 100 < 3 and S_fs_readonly == 0', for: 30m}",
        ),
        alternate(
            "{alert: Slow, expr: 'S_:duration:p99 > 10', for: 10m}",
            "{alert: Burns, expr: 'sum by (job) (S_:requests:rate5m{code=\"500\"}) > 14.4 * 100 and on (job) S_:requests:sum > 1e9', for: 2m}",
        ),
        match service % 8 {
            7 => "{alert: Absent, expr: 'absent(S_up{job!=\"\"})', for: 10m}",
            0 | 2 | 4 | 6 => {
                "{alert: Mismatch, expr: 'S_replicas_wanted != S_replicas_ready and changes(S_replicas_ready[10m]) == 0', for: 15m}"
            }
            _ => "{alert: Mismatch, expr: 'S_replicas_wanted > S_replicas_ready', for: 15m}",
        },
    ]
}

/// What moves how.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Bucket(u64),
    Gauge(u64),
    Still(u64),
}

/// A series and its state.
struct Series {
    labels: Labels,
    kind: Kind,
    value: u64,
}

/// A target, which sends its series together.
struct Target {
    phase_ms: i64,
    series: Vec<Series>,
}

/// What is sent at once.
pub(crate) struct Batch {
    /// The number of the target, or of the last one where it is of several.
    pub(crate) target: usize,
    /// When it arrives: no sample is of later.
    pub(crate) time: Timestamp,
    pub(crate) samples: Vec<Sample>,
}

/// All targets.
pub(crate) struct Fleet {
    targets: Vec<Target>,
    round: i64,
    random: u64,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let mut fleet = Self { targets: Vec::new(), round: 0, random: 0x9e37_79b9_7f4a_7c15 };
        for service in 0..SERVICES {
            let count = TARGETS[service % TARGETS.len()];
            for number in 0..count {
                let phase_ms = (fleet.next() % INTERVAL_MS as u64) as i64;
                let series = target((service, number), SERIES_PER_SERVICE / count);
                fleet.targets.push(Target { phase_ms, series });
            }
        }
        fleet.targets.sort_by_key(|target| target.phase_ms);
        fleet
    }

    /// What all targets send within the next 15 s, in the order of the times.
    pub(crate) fn round(&mut self) -> Vec<Batch> {
        let start = START_MS + self.round * INTERVAL_MS;
        self.round += 1;
        let mut targets = std::mem::take(&mut self.targets);
        let numbered = targets.iter_mut().enumerate();
        let mut batches: Vec<Batch> =
            numbered.map(|(number, target)| self.batch((number, target), start)).collect();
        self.targets = targets;
        batches.sort_by_key(|batch| batch.time);
        batches
    }

    /// All series.
    pub(crate) fn series(&self) -> impl Iterator<Item = &Labels> {
        self.targets.iter().flat_map(|target| target.series.iter().map(|series| &series.labels))
    }

    fn batch(&mut self, (number, target): (usize, &mut Target), start: i64) -> Batch {
        let at = start + target.phase_ms + (self.next() % (2 * JITTER_MS)) as i64;
        let time = Timestamp::from_ms(at);
        let mut samples = Vec::with_capacity(target.series.len());
        for series in &mut target.series {
            let random = self.next();
            match series.kind {
                Kind::Counter => series.value += random % 1_000,
                Kind::Bucket(share) => series.value += 100 * share + random % 10,
                Kind::Gauge(most) => series.value = most / 2 + random % (most / 2),
                Kind::Still(value) => series.value = value,
            }
            let value = series.value as f64;
            samples.push(Sample { series: series.labels.clone(), value, time });
        }
        Batch { target: number, time, samples }
    }

    /// Of a fixed sequence: xorshift.
    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// The same samples in the same order, so many at once.
pub(crate) fn gathered(batches: Vec<Batch>, samples: usize) -> Vec<Batch> {
    let mut all: Vec<Batch> = Vec::new();
    for Batch { target, time, samples: of_target } in batches {
        for sample in of_target {
            match all.last_mut().filter(|batch| batch.samples.len() < samples) {
                Some(batch) => {
                    (batch.target, batch.time) = (target, batch.time.max(time));
                    batch.samples.push(sample);
                }
                None => all.push(Batch { target, time, samples: vec![sample] }),
            }
        }
    }
    all
}

/// The series of a target: as many of each kind as `count` has room for.
fn target((service, number): (usize, usize), count: usize) -> Vec<Series> {
    let mut series = Vec::with_capacity(count);
    let mut add = |metric: &str, own: String, kind: Kind| {
        let text = format!(
            "{METRIC_NAME}=s{service}_{metric},job=service-{service},\
             instance=10.{service}.{number}.1:9100,namespace=production,\
             service=service-{service},endpoint=http-metrics{own}"
        );
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        let labels = Labels::from_pairs(pairs).expect("labels");
        series.push(Series { labels, kind, value: 0 });
    };
    add("up", String::new(), Kind::Still(1));
    // Of what is left: 24 % requests, 42 % buckets, 6 % errors and as much of each gauge.
    let share = |percent: usize| (count - 1) * percent / 100;
    for n in 0..share(24) {
        let (code, handler) = ([200, 204, 301, 404, 500][n % 5], n / 5);
        let labels = format!(",code={code},handler=/api/v1/thing/{handler},method=GET");
        add("requests_total", labels, Kind::Counter);
    }
    for n in 0..share(42) {
        let bounds = ["0.01", "0.05", "0.1", "0.5", "1", "2.5", "5", "10", "+Inf"];
        let (bound, handler) = (n % bounds.len(), n / bounds.len());
        let labels = format!(",le={},handler=/api/v1/thing/{handler}", bounds[bound]);
        add("duration_seconds_bucket", labels, Kind::Bucket(bound as u64));
    }
    let of_pod = |n: usize| format!(",pod=web-{service}-{number}-{n:05},container=app");
    for n in 0..share(4) {
        add("errors_total", format!("{},method=GET", of_pod(n)), Kind::Counter);
        add("ready", of_pod(n), Kind::Gauge(4));
        add("memory_bytes", format!("{},image=web", of_pod(n)), Kind::Gauge(1 << 30));
        add("pod_info", format!("{},node=node-{}", of_pod(n), n % 7), Kind::Still(1));
        add("replicas_wanted", of_pod(n), Kind::Still(3));
        add("replicas_ready", of_pod(n), Kind::Still(3));
        let disk = format!(",device=sd{n},fstype=ext4,mountpoint=/mnt/disk-{n}");
        add("fs_available", disk.clone(), Kind::Gauge(1 << 40));
        add("fs_size", disk.clone(), Kind::Still(1 << 40));
    }
    let disks = count - 1 - share(24) - share(42) - 8 * share(4);
    for n in 0..disks {
        let disk = format!(",device=sd{n},fstype=ext4,mountpoint=/mnt/disk-{n}");
        add("fs_readonly", disk, Kind::Still(0));
    }
    series
}
