//! A target: the labels that discovery found, relabeled, and the URL that they come to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use bellwire_ingest::relabel::{self, LabelSet, Rule, Verdict};
use bellwire_model::limits::SCRAPE_INTERVAL_MIN;
use bellwire_model::{Fnv1a, Labels, duration};
use thiserror::Error;
use url::Url;

use super::discovery;
use super::group::Group;
use super::job::{Job, Pace};

const ADDRESS: &str = "__address__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PATH: &str = "__metrics_path__";
const SCHEME: &str = "__scheme__";
const PARAMETER_PREFIX: &str = "__param_";
const RESERVED_PREFIX: &str = "__";

/// What is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// What all of its series get.
    pub(super) labels: Labels,
    /// Where it is.
    pub(super) url: Url,
    pub(super) pace: Pace,
    /// What discovery said of it.
    pub(super) discovered: Discovered,
}

/// Labels before relabeling, for people to see.
pub(super) type Discovered = BTreeMap<String, String>;

/// What becomes of what was discovered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Target(Box<Target>),
    /// Relabeling drops it.
    Dropped(Discovered),
}

/// Why labels come to no target.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum TargetError {
    #[error("it has no `__address__`")]
    NoAddress,
    #[error("`{0}` is no address: `host:port` is")]
    Address(String),
    #[error("`{0}` is no scheme: `http` and `https` are")]
    Scheme(String),
    #[error("`{0}` is no {1} above 0")]
    Duration(String, &'static str),
    #[error("its interval is shorter than {}ms", SCRAPE_INTERVAL_MIN.as_millis())]
    TooOften,
    #[error("its timeout is longer than its interval")]
    Timeout,
    #[error("{0}")]
    Labels(#[from] bellwire_model::LabelsError),
}

impl Target {
    /// By what one target is told from another: its labels and its URL.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.url, self.labels)
    }

    /// Whether somebody else than the configuration has chosen it: a server that was asked.
    pub(super) fn is_told(&self) -> bool {
        self.discovered.contains_key(discovery::URL)
    }

    /// Where in its interval it is scraped.
    pub(super) fn hash(&self, seed: u64) -> u64 {
        let mut hash = Fnv1a::default();
        hash.write_text(&self.key());
        hash.finish() ^ seed
    }
}

/// The targets of a group, one after the other.
pub(super) fn of_group(
    group: &Group,
    job: &Job,
    rules: &[Rule],
) -> impl Iterator<Item = Result<Found, TargetError>> {
    group.targets.iter().map(move |address| {
        let mut discovered: Discovered = job_labels(job);
        for (name, value) in &group.labels {
            discovered.insert(name.clone(), value.clone());
        }
        discovered.insert(ADDRESS.into(), address.clone());
        discovered.retain(|_, value| !value.is_empty());
        found(discovered, job, rules)
    })
}

/// What the job says where nothing else does.
fn job_labels(job: &Job) -> Discovered {
    let parameters = job.place.parameters.iter().filter_map(|(name, values)| {
        Some((format!("{PARAMETER_PREFIX}{name}"), values.first()?.clone()))
    });
    let own = [
        ("job", job.name.clone()),
        (INTERVAL, duration_text(job.pace.interval)),
        (TIMEOUT, duration_text(job.pace.timeout)),
        (PATH, job.place.path.clone()),
        (SCHEME, job.place.scheme.clone()),
    ];
    own.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(parameters).collect()
}

fn found(discovered: Discovered, job: &Job, rules: &[Rule]) -> Result<Found, TargetError> {
    let mut labels = LabelSet::new(discovered.iter().map(|(name, value)| (&**name, &**value)));
    if relabel::apply(rules, &mut labels) == Verdict::Dropped {
        return Ok(Found::Dropped(discovered));
    }
    let address = labels.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    let pace = Pace {
        interval: read_duration(labels.get(INTERVAL), "interval")?,
        timeout: read_duration(labels.get(TIMEOUT), "timeout")?,
    };
    if pace.interval < SCRAPE_INTERVAL_MIN {
        return Err(TargetError::TooOften);
    }
    if pace.timeout > pace.interval {
        return Err(TargetError::Timeout);
    }
    let url = url(&address, &labels, job)?;
    if labels.get("instance").is_empty() {
        labels.set("instance", &address);
    }
    labels.retain(|name| !name.starts_with(RESERVED_PREFIX));
    let labels = labels.to_labels()?;
    Ok(Found::Target(Box::new(Target { labels, url, pace, discovered })))
}

fn url(address: &str, labels: &LabelSet, job: &Job) -> Result<Url, TargetError> {
    let scheme = match labels.get(SCHEME) {
        "" => "http",
        scheme @ ("http" | "https") => scheme,
        other => return Err(TargetError::Scheme(other.to_owned())),
    };
    // Whatever else a URL may have has a place of its own.
    let is_address =
        !address.contains(['/', '?', '#', '@', '\\']) && !address.contains(char::is_whitespace);
    let url = is_address.then(|| Url::parse(&format!("{scheme}://{address}")).ok()).flatten();
    let mut url = url.ok_or_else(|| TargetError::Address(address.to_owned()))?;
    url.set_path(labels.get(PATH));
    let mut parameters = job.place.parameters.clone();
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix(PARAMETER_PREFIX) {
            let values = parameters.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    let pairs = parameters.iter().flat_map(|(name, values)| values.iter().map(move |v| (name, v)));
    let mut pairs = pairs.peekable();
    if pairs.peek().is_some() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    Ok(url)
}

fn read_duration(text: &str, what: &'static str) -> Result<Duration, TargetError> {
    let read = duration::parse(text).filter(|duration| !duration.is_zero());
    read.ok_or_else(|| TargetError::Duration(text.to_owned(), what))
}

/// As Prometheus writes it: in the largest units that say it exactly.
pub fn duration_text(duration: Duration) -> String {
    let mut rest_ms = duration.as_millis() as u64;
    if rest_ms == 0 {
        return "0s".into();
    }
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut text = String::new();
    for (unit, unit_ms) in units {
        if rest_ms >= unit_ms {
            let _ = write!(text, "{}{unit}", rest_ms / unit_ms);
            rest_ms %= unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::table::JobTable;
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    fn found(job: &str, address: &str, labels: Pairs) -> Result<Found, TargetError> {
        let table: JobTable = toml::from_str(&format!("job_name = \"j\"\n{job}")).expect(job);
        let job = table.job().expect(job);
        let rules: Vec<Rule> =
            job.relabel.iter().map(|config| Rule::new(config.clone()).expect("a rule")).collect();
        let labels = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let group = Group { targets: vec![address.into()], labels };
        of_group(&group, &job, &rules).next().expect("one target")
    }

    #[test]
    fn labels_and_configuration_come_to_a_url() {
        let cases: [(&str, &str, Pairs, &str, &str); 9] = [
            ("", "h:9100", &[], "http://h:9100/metrics", r#"{instance="h:9100",job="j"}"#),
            ("", "h", &[], "http://h/metrics", r#"{instance="h",job="j"}"#),
            ("", "[::1]:1", &[], "http://[::1]:1/metrics", r#"{instance="[::1]:1",job="j"}"#),
            (
                "scheme = \"https\"",
                "h:443",
                &[],
                "https://h/metrics",
                r#"{instance="h:443",job="j"}"#,
            ),
            (
                "metrics_path = \"m\"\nparams = { a = [\"1\", \"2\"], b = [] }",
                "h:1",
                &[("__param_a", "&"), ("__param_c", "3")],
                "http://h:1/m?a=%26&a=2&c=3",
                r#"{instance="h:1",job="j"}"#,
            ),
            (
                "",
                "h:1",
                &[("job", "other"), ("instance", "i"), ("__meta_x", "y"), ("empty", "")],
                "http://h:1/metrics",
                r#"{instance="i",job="other"}"#,
            ),
            (
                "",
                "h:1",
                &[("__scheme__", "https"), ("__metrics_path__", "/x")],
                "https://h:1/x",
                r#"{instance="h:1",job="j"}"#,
            ),
            // An address by relabeling, as for an exporter that asks others.
            (
                "relabel_configs = [{ source_labels = [\"__address__\"], target_label = \"__param_target\" },\n\
                 { source_labels = [\"__param_target\"], target_label = \"instance\" },\n\
                 { target_label = \"__address__\", replacement = \"box:9115\" }]",
                "example.com",
                &[],
                "http://box:9115/metrics?target=example.com",
                r#"{instance="example.com",job="j"}"#,
            ),
            (
                "",
                "h:1",
                &[("__scrape_interval__", "5s"), ("__scrape_timeout__", "2s")],
                "http://h:1/metrics",
                r#"{instance="h:1",job="j"}"#,
            ),
        ];
        for (job, address, labels, url, expected) in cases {
            let Ok(Found::Target(target)) = found(job, address, labels) else {
                panic!("{address}")
            };
            assert_eq!(target.url.as_str(), url);
            assert_eq!(target.labels.to_string(), expected);
            assert_eq!(target.discovered["__address__"], address);
        }
    }

    #[test]
    fn what_comes_to_no_target_says_why() {
        let no_address =
            "relabel_configs = [{ target_label = \"__address__\", replacement = \"\" }]";
        // Whoever lists targets sets no other pace than the configuration may.
        let hectic: Pairs = &[("__scrape_interval__", "99ms"), ("__scrape_timeout__", "99ms")];
        let cases: [(&str, &str, Pairs, &str); 10] = [
            ("", "h:1", hectic, "shorter than 100ms"),
            (no_address, "h:1", &[], "it has no `__address__`"),
            ("", "h:1/path", &[], "`h:1/path` is no address"),
            ("", "user@h:1", &[], "is no address"),
            ("", "h:port", &[], "is no address"),
            ("", "h 1", &[], "is no address"),
            ("", "h:1", &[("__scheme__", "file")], "`file` is no scheme"),
            ("", "h:1", &[("__scrape_interval__", "often")], "`often` is no interval"),
            ("", "h:1", &[("__scrape_interval__", "1s")], "longer than its interval"),
            ("", "h:1", &[("a\nb", "c")], "control characters"),
        ];
        for (job, address, labels, expected) in cases {
            let error = found(job, address, labels).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
        let drop = "relabel_configs = [{ source_labels = [\"__address__\"], action = \"drop\" }]";
        assert!(matches!(found(drop, "h:1", &[]), Ok(Found::Dropped(_))));
    }

    #[test]
    fn durations_are_written_as_prometheus_writes_them() {
        for (ms, text) in [(0, "0s"), (250, "250ms"), (60_000, "1m"), (90_500, "1m30s500ms")] {
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
        }
    }
}
