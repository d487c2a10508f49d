//! `[[scrape]]` in the configuration file, in Prometheus' words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use bellwire_ingest::exposition::Format;
use bellwire_ingest::relabel::{self, Rule};
use bellwire_ingest::scrape::{Conflict, SeriesLimits, Times};
use bellwire_model::duration;
use bellwire_model::limits::{
    SCRAPE_BODY_BYTES_DEFAULT, SCRAPE_BODY_BYTES_MAX, SCRAPE_INTERVAL_DEFAULT, SCRAPE_INTERVAL_MIN,
    SCRAPE_JOBS_MAX, SCRAPE_TIMEOUT_DEFAULT,
};
use serde::Deserialize;
use url::Url;

use super::group::Group;
use super::job::{
    Coding, Credentials, Discovery, FileDiscovery, Http, HttpDiscovery, Job, Pace, Place,
    Redirects, Series,
};
use crate::tls::TlsTable;

/// How often a server is asked for targets that does not say otherwise, as in Prometheus.
const HTTP_DISCOVERY_INTERVAL: Duration = Duration::from_mins(1);

/// One `[[scrape]]`, or a `scrape_config` of Prometheus'.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobTable {
    job_name: String,
    scrape_interval: Option<String>,
    scrape_timeout: Option<String>,
    scheme: Option<String>,
    metrics_path: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Vec<String>>,
    honor_labels: Option<bool>,
    honor_timestamps: Option<bool>,
    track_timestamps_staleness: Option<bool>,
    fallback_scrape_protocol: Option<String>,
    body_size_limit: Option<String>,
    #[serde(default)]
    sample_limit: usize,
    #[serde(default)]
    label_limit: usize,
    #[serde(default)]
    label_name_length_limit: usize,
    #[serde(default)]
    label_value_length_limit: usize,
    #[serde(default)]
    target_limit: usize,
    #[serde(default)]
    static_configs: Vec<Group>,
    #[serde(default)]
    file_sd_configs: Vec<FileTable>,
    #[serde(default)]
    http_sd_configs: Vec<HttpTable>,
    #[serde(default)]
    relabel_configs: Vec<relabel::Config>,
    #[serde(default)]
    metric_relabel_configs: Vec<relabel::Config>,
    basic_auth: Option<BasicTable>,
    authorization: Option<AuthorizationTable>,
    tls_config: Option<TlsTable>,
    follow_redirects: Option<bool>,
    enable_compression: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    files: Vec<String>,
    /// Files are looked at every few seconds, whatever this says.
    refresh_interval: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpTable {
    url: String,
    refresh_interval: Option<String>,
    basic_auth: Option<BasicTable>,
    authorization: Option<AuthorizationTable>,
    tls_config: Option<TlsTable>,
    follow_redirects: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicTable {
    username: String,
    password_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthorizationTable {
    r#type: Option<String>,
    credentials_file: PathBuf,
}

/// How a server is spoken to, as it is configured.
#[derive(Debug)]
struct HttpParts {
    basic: Option<BasicTable>,
    authorization: Option<AuthorizationTable>,
    tls: Option<TlsTable>,
    follow_redirects: Option<bool>,
    enable_compression: Option<bool>,
}

/// Checks that jobs can be told apart.
pub fn check_names(jobs: &[Job]) -> Result<(), String> {
    if jobs.len() > SCRAPE_JOBS_MAX {
        return Err(format!("there are at most {SCRAPE_JOBS_MAX} `[[scrape]]`"));
    }
    let mut names = BTreeSet::new();
    match jobs.iter().find(|job| !names.insert(job.name.as_str())) {
        Some(twice) => Err(format!("two `[[scrape]]` have the `job_name` `{}`", twice.name)),
        None => Ok(()),
    }
}

impl JobTable {
    /// The job, or what is wrong with it.
    pub fn job(self) -> Result<Job, String> {
        if self.job_name.is_empty() {
            return Err("`job_name` is empty".into());
        }
        let pace = self.pace()?;
        let located = self.place()?;
        check_rules("relabel_configs", &self.relabel_configs)?;
        check_rules("metric_relabel_configs", &self.metric_relabel_configs)?;
        let body_bytes_max = body_bytes(self.body_size_limit.as_deref())?;
        let fallback = self.fallback_scrape_protocol.as_deref().map(protocol).transpose()?;
        let series = Series {
            conflict: choose(self.honor_labels, Conflict::ExposedWins, Conflict::TargetWins),
            times: self.times(),
            limits: SeriesLimits {
                samples: self.sample_limit,
                labels: self.label_limit,
                label_name_bytes: self.label_name_length_limit,
                label_value_bytes: self.label_value_length_limit,
            },
            relabel: self.metric_relabel_configs,
        };
        let http = HttpParts {
            basic: self.basic_auth,
            authorization: self.authorization,
            tls: self.tls_config,
            follow_redirects: self.follow_redirects,
            enable_compression: self.enable_compression,
        };
        let files = self.file_sd_configs.into_iter().map(FileTable::discovery);
        let urls = self.http_sd_configs.into_iter().map(HttpTable::discovery);
        Ok(Job {
            name: self.job_name,
            pace,
            place: located,
            discovery: Discovery {
                groups: self.static_configs,
                files: files.collect::<Result<_, _>>()?,
                urls: urls.collect::<Result<_, _>>()?,
            },
            relabel: self.relabel_configs,
            targets_max: self.target_limit,
            series,
            body_bytes_max,
            fallback,
            http: http.http()?,
        })
    }

    fn pace(&self) -> Result<Pace, String> {
        let interval = read("scrape_interval", self.scrape_interval.as_deref())?;
        let interval = interval.unwrap_or(SCRAPE_INTERVAL_DEFAULT);
        let timeout = read("scrape_timeout", self.scrape_timeout.as_deref())?;
        let timeout = timeout.unwrap_or(SCRAPE_TIMEOUT_DEFAULT.min(interval));
        if interval < SCRAPE_INTERVAL_MIN {
            let least = SCRAPE_INTERVAL_MIN.as_millis();
            return Err(format!("`scrape_interval` is at least {least}ms"));
        }
        if timeout > interval {
            return Err("`scrape_timeout` is not longer than `scrape_interval`".into());
        }
        Ok(Pace { interval, timeout })
    }

    fn place(&self) -> Result<Place, String> {
        let scheme = self.scheme.clone().unwrap_or_else(|| "http".into());
        if !matches!(&*scheme, "http" | "https") {
            return Err(format!("`scheme` is `http` or `https`, not `{scheme}`"));
        }
        Ok(Place {
            scheme,
            path: self.metrics_path.clone().unwrap_or_else(|| "/metrics".into()),
            parameters: self.params.clone(),
        })
    }

    fn times(&self) -> Times {
        match (self.honor_timestamps, self.track_timestamps_staleness) {
            (Some(false), _) => Times::Ignored,
            (_, Some(true)) => Times::Tracked,
            _ => Times::Honored,
        }
    }
}

impl FileTable {
    fn discovery(self) -> Result<FileDiscovery, String> {
        read("refresh_interval", self.refresh_interval.as_deref())?;
        for pattern in &self.files {
            let is_list = [".json", ".yml", ".yaml"].iter().any(|end| pattern.ends_with(end));
            if !is_list {
                return Err(format!("`{pattern}`: files end with `.json`, `.yml` or `.yaml`"));
            }
            glob::Pattern::new(pattern).map_err(|error| format!("`{pattern}`: {error}"))?;
        }
        Ok(FileDiscovery { patterns: self.files })
    }
}

impl HttpTable {
    fn discovery(self) -> Result<HttpDiscovery, String> {
        let url = Url::parse(&self.url).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty()
        });
        let url = url.ok_or_else(|| format!("`{}` is no URL of a server of targets", self.url))?;
        let interval = read("refresh_interval", self.refresh_interval.as_deref())?;
        let http = HttpParts {
            basic: self.basic_auth,
            authorization: self.authorization,
            tls: self.tls_config,
            follow_redirects: self.follow_redirects,
            enable_compression: None,
        };
        let interval = interval.unwrap_or(HTTP_DISCOVERY_INTERVAL).max(SCRAPE_INTERVAL_MIN);
        Ok(HttpDiscovery { url, interval, http: http.http()? })
    }
}

impl HttpParts {
    fn http(self) -> Result<Http, String> {
        let credentials = match (self.basic, self.authorization) {
            (Some(_), Some(_)) => {
                return Err("there is one of `basic_auth` and `authorization`".into());
            }
            (Some(basic), None) => {
                Some(Credentials::Basic { username: basic.username, password: basic.password_file })
            }
            (None, Some(authorization)) => {
                let scheme = authorization.r#type.unwrap_or_else(|| "Bearer".into());
                if scheme.eq_ignore_ascii_case("basic") {
                    return Err("`authorization` of the type Basic is `basic_auth`".into());
                }
                let credentials = authorization.credentials_file;
                Some(Credentials::Scheme { scheme, credentials })
            }
            (None, None) => None,
        };
        let tls = self.tls.map(TlsTable::files).transpose()?.unwrap_or_default();
        Ok(Http {
            credentials,
            tls,
            redirects: choose(self.follow_redirects, Redirects::Followed, Redirects::Refused),
            coding: choose(self.enable_compression, Coding::Gzip, Coding::Plain),
        })
    }
}

/// What a switch chooses. Nothing said is the default of the choice.
fn choose<T: Default>(switch: Option<bool>, on: T, off: T) -> T {
    match switch {
        Some(true) => on,
        Some(false) => off,
        None => T::default(),
    }
}

fn check_rules(key: &str, configs: &[relabel::Config]) -> Result<(), String> {
    for (index, config) in configs.iter().enumerate() {
        let number = index + 1;
        Rule::new(config.clone()).map_err(|error| format!("`{key}`, number {number}: {error}"))?;
    }
    Ok(())
}

fn read(key: &str, text: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(text) = text else { return Ok(None) };
    let read = duration::parse(text).filter(|duration| !duration.is_zero());
    let wrong = || format!("`{key}`: expected a duration such as 15s or 1m; not `{text}`");
    read.map(Some).ok_or_else(wrong)
}

/// Prometheus counts in powers of two, whichever unit it is told.
fn body_bytes(text: Option<&str>) -> Result<usize, String> {
    let Some(text) = text else { return Ok(SCRAPE_BODY_BYTES_DEFAULT) };
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let unit_bytes = match unit {
        "" | "B" => 1,
        "KB" | "KiB" => 1 << 10,
        "MB" | "MiB" => 1 << 20,
        "GB" | "GiB" => 1 << 30,
        _ => 0,
    };
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit_bytes));
    match bytes {
        // So Prometheus says that there is no limit.
        Some(0) if unit_bytes > 0 => Ok(SCRAPE_BODY_BYTES_MAX),
        Some(bytes) if (1..=SCRAPE_BODY_BYTES_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(format!(
            "`body_size_limit`: expected a size such as 10MB, of at most {SCRAPE_BODY_BYTES_MAX} \
             bytes; not `{text}`"
        )),
    }
}

fn protocol(text: &str) -> Result<Format, String> {
    match text {
        "PrometheusText0.0.4" | "PrometheusText1.0.0" => Ok(Format::Text),
        "OpenMetricsText0.0.1" | "OpenMetricsText1.0.0" => Ok(Format::OpenMetrics),
        _ => Err(format!("`fallback_scrape_protocol`: `{text}` is none that is spoken here")),
    }
}
