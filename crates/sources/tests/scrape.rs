//! Scraping over real sockets: targets that answer well, badly and not at all, and what becomes of their
//! series when the configuration or the target changes.
//!
//! Nothing sleeps: each step waits for the batch that shows it.

#[path = "scrape/target.rs"]
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use bellwire_ingest::scrape::STALE_MARKER;
use bellwire_model::{Event, Sample};
use bellwire_sources::scrape::{Health, Job, JobTable, Scraper};
use bellwire_sources::{Batch, EventsTaken, Intake, Kind, Outcome, Part, PartsTaken, Taken};
use bellwire_wire::problem::Problem;
use serde::Deserialize;

use self::target::{Answer, Target};

const PATIENCE: Duration = Duration::from_mins(1);
const BATCHES_MAX: usize = 100_000;

/// Takes all batches, and hands them to the test.
#[derive(Debug)]
struct Recorder {
    batches: SyncSender<Vec<Sample>>,
    refusals: SyncSender<&'static str>,
}

impl Intake for Recorder {
    fn take(&self, batch: Batch) -> Taken {
        assert_eq!(batch.kind, Kind::Scrape);
        // The test may have ended.
        let _ = self.batches.send(batch.decoded.samples);
        Box::pin(async { Ok(Outcome::default()) })
    }

    fn note_unread(&self, kind: Kind, reason: &'static str) {
        assert_eq!(kind, Kind::Scrape);
        let _ = self.refusals.send(reason);
    }

    fn has_room(&self) -> bool {
        true
    }

    fn admit(&self, _: Kind, _: Part) -> Result<Part, Problem> {
        unreachable!("a target is one sender")
    }

    fn publish(&self, _: Vec<Event>) -> EventsTaken {
        unreachable!("a target says samples")
    }

    fn take_together(&self, _: Kind, _: Vec<Part>) -> PartsTaken {
        unreachable!("a target is one sender")
    }
}

/// A scraper and what it brings.
struct House {
    runtime: tokio::runtime::Runtime,
    scraper: Scraper,
    batches: Receiver<Vec<Sample>>,
    refusals: Receiver<&'static str>,
}

impl House {
    fn new(config: &str) -> Self {
        let (batches, recorded) = sync_channel(BATCHES_MAX);
        let (refusals, refused) = sync_channel(BATCHES_MAX);
        let intake = Arc::new(Recorder { batches, refusals });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let house = Self {
            runtime,
            scraper: Scraper::new(intake, 0, None),
            batches: recorded,
            refusals: refused,
        };
        house.configure(config);
        house
    }

    fn configure(&self, config: &str) {
        let _context = self.runtime.enter();
        self.scraper.set(jobs(config).expect(config));
    }

    /// The next batch, as `series value`, without what differs from one to the next.
    fn next(&self) -> Vec<String> {
        let batch = self.batches.recv_timeout(PATIENCE).expect("a batch");
        let mut words: Vec<String> = batch.iter().filter_map(word).collect();
        words.sort();
        words
    }

    /// Waits for a batch with this sample, and returns all of it.
    fn until(&self, word: &str) -> Vec<String> {
        loop {
            let batch = self.next();
            if batch.iter().any(|known| known == word) {
                return batch;
            }
        }
    }

    fn until_refused(&self, reason: &str) {
        while self.refusals.recv_timeout(PATIENCE).expect(reason) != reason {}
    }

    /// How the only target is.
    fn health(&self) -> (Health, String) {
        let targets = self.scraper.targets().into_values().next().expect("a job");
        let last = &targets.active.first().expect("a target").last;
        (last.health, last.error.clone())
    }

    /// Waits until its last error begins so.
    fn until_error(&self, error: &str) {
        while !self.health().1.contains(error) {
            self.next();
        }
    }
}

fn word(sample: &Sample) -> Option<String> {
    let series = sample.series.to_string();
    if series.starts_with("scrape_duration_seconds") {
        return None;
    }
    let is_stale = sample.value.to_bits() == STALE_MARKER.to_bits();
    Some(format!("{series} {}", if is_stale { "stale".into() } else { sample.value.to_string() }))
}

fn jobs(config: &str) -> Result<Vec<Job>, String> {
    #[derive(Deserialize)]
    struct File {
        scrape: Vec<JobTable>,
    }
    let file: File = toml::from_str(config).map_err(|error| error.to_string())?;
    file.scrape.into_iter().map(JobTable::job).collect()
}

/// A job of one target, with more lines.
fn one(target: &Target, more: &str) -> String {
    format!(
        "[[scrape]]\njob_name = \"j\"\nscrape_interval = \"100ms\"\n{more}\n\
         [[scrape.static_configs]]\ntargets = [\"{}\"]\nlabels = {{ instance = \"i\" }}\n",
        target.address()
    )
}

const LABELS: &str = r#"{instance="i",job="j"}"#;

fn of(name: &str, value: &str) -> String {
    format!("{name}{LABELS} {value}")
}

#[test]
fn a_target_is_scraped_and_its_series_end_with_it() {
    let target = Target::new(Answer::text("a 1\nb{x=\"y\"} 2\n"));
    let house = House::new(&one(&target, ""));
    let expected = [
        of("a", "1"),
        r#"b{instance="i",job="j",x="y"} 2"#.to_owned(),
        of("scrape_samples_post_metric_relabeling", "2"),
        of("scrape_samples_scraped", "2"),
        of("scrape_series_added", "2"),
        of("up", "1"),
    ];
    assert_eq!(house.next(), expected);
    assert!(house.next().contains(&of("scrape_series_added", "0")));
    // A series that is gone.
    target.set(Answer::text("a 3\n"));
    let batch = house.until(&of("a", "3"));
    assert!(batch.contains(&r#"b{instance="i",job="j",x="y"} stale"#.to_owned()), "{batch:?}");
    // A target that fails.
    target.set(Answer::status("500 Oh"));
    let batch = house.until(&of("up", "0"));
    assert!(batch.contains(&of("a", "stale")), "{batch:?}");
    house.until_refused("target_status");
    house.until_error("it answers 500");
    assert_eq!(house.health().0, Health::Down);
    target.set(Answer::text("a 4\n"));
    house.until(&of("a", "4"));
    // A job that is gone.
    house.configure("scrape = []");
    let batch = house.until(&of("up", "stale"));
    assert!(batch.contains(&of("a", "stale")), "{batch:?}");
    assert!(house.scraper.targets().is_empty());
}

#[test]
fn targets_are_asked_as_prometheus_asks_and_connections_are_kept() {
    let target = Target::new(Answer::text("a 1\n"));
    let more = "metrics_path = \"/m\"\nparams = { b = [\"x y\", \"z\"], a = [\"1\"] }\n\
                scrape_timeout = \"90ms\"";
    let house = House::new(&one(&target, more));
    house.until(&of("up", "1"));
    house.until(&of("up", "1"));
    let requests = target.requests();
    assert!(requests.len() >= 2 && target.connections() == 1, "{}", target.connections());
    let head = &requests[0];
    assert!(head.starts_with("GET /m?a=1&b=x+y&b=z HTTP/1.1\r\n"), "{head}");
    for line in [
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,",
        "accept-encoding: gzip\r\n",
        "x-prometheus-scrape-timeout-seconds: 0.09\r\n",
        "user-agent: Bellwire/",
    ] {
        assert!(head.contains(line), "{head}");
    }
}

#[test]
fn bad_targets_are_told_apart_and_bounded() {
    let target = Target::new(Answer::text("a 1\n"));
    let limits = "sample_limit = 3\nlabel_limit = 4\nbody_size_limit = \"100KB\"";
    let house = House::new(&one(&target, limits));
    house.until(&of("up", "1"));
    let many = "a 1\nb 1\nc 1\nd 1\n";
    let cases = [
        (Answer::text("a one\n"), "exposition_invalid", "line 1: the value is no number"),
        (Answer::text(many), "sample_limit", "sample_limit exceeded"),
        (Answer::text("a{b=\"1\",c=\"2\"} 1\n"), "label_limit", "label_limit exceeded"),
        (Answer::text(&"a 1\n".repeat(30_000)), "body_too_large", "body size limit exceeded"),
        (Answer::gzip(&"# x\n".repeat(30_000)), "body_too_large", "body size limit exceeded"),
        (Answer::text("a 1\n").with("Content-Encoding", "gzip"), "gzip_invalid", "compressed"),
        (Answer::of_type("text/html", "a 1\n"), "content_type_unknown", "text/html"),
        (Answer::untyped("a 1\n"), "content_type_unknown", "nothing"),
        (Answer::hanging(), "target_timeout", "context deadline exceeded"),
        (Answer::half(), "target_timeout", "context deadline exceeded"),
        (Answer::raw("no http\r\n\r\n"), "target_unreachable", ""),
        (Answer::redirect("/"), "target_redirects", "redirects more than 10 times"),
        (Answer::redirect("ftp://x/"), "target_redirects", "without saying where"),
        (Answer::status("404 Not Found"), "target_status", "it answers 404"),
        (
            Answer::of_type("application/openmetrics-text", "a 1\n"),
            "exposition_invalid",
            "the text does not end with # EOF",
        ),
    ];
    for (answer, code, error) in cases {
        target.set(answer);
        house.until_refused(code);
        house.until_error(error);
        target.set(Answer::text("a 1\n"));
        house.until(&of("up", "1"));
    }
    target.set(Answer::gzip("a 5\n"));
    house.until(&of("a", "5"));
    target.set(Answer::of_type("application/openmetrics-text; version=1.0.0", "a 6\n# EOF\n"));
    house.until(&of("a", "6"));
}

#[test]
fn credentials_are_for_their_target_alone() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    let write = |text| std::fs::write(secret.path(), text).expect("written");
    write("hunter2\n");
    let target = Target::new(Answer::text("a 1\n"));
    let bearer = format!("authorization = {{ credentials_file = {:?} }}", secret.path());
    let house = House::new(&one(&target, &bearer));
    house.until(&of("up", "1"));
    assert!(target.requests()[0].contains("authorization: Bearer hunter2\r\n"));
    // A file that changes.
    write("hunter3");
    target.until("authorization: Bearer hunter3\r\n");
    // Elsewhere nobody gets it; without one nothing is given away.
    let other = Target::new(Answer::text("other 1\n"));
    let elsewhere = Answer::redirect(&format!("http://{}/x", other.address()));
    target.set(elsewhere.clone());
    house.until_refused("target_redirects");
    house.until_error("is for nobody else");
    assert_eq!(other.requests(), [""; 0]);
    house.configure(&one(&target, ""));
    house.until(&of("other", "1"));
    assert!(!other.requests()[0].contains("authorization"));
    house.configure(&one(&target, "follow_redirects = false"));
    house.until_error("it answers 302");
    let basic = format!("basic_auth = {{ username = \"u\", password_file = {:?} }}", secret.path());
    target.set(Answer::text("a 2\n"));
    house.configure(&one(&target, &basic));
    target.until("authorization: Basic dTpodW50ZXIz\r\n");
    std::fs::remove_file(secret.path()).expect("removed");
    house.until_refused("secret_unreadable");
    house.until_error("cannot read");
}

#[test]
fn a_new_configuration_leaves_alone_what_it_does_not_change() {
    let [kept, other] =
        [Target::new(Answer::text("a 1\nb 1\n")), Target::new(Answer::text("c 1\n"))];
    let config = |more: &str, targets: &[&Target]| {
        let targets: Vec<String> =
            targets.iter().map(|target| format!("\"{}\"", target.address())).collect();
        format!(
            "[[scrape]]\njob_name = \"j\"\nscrape_interval = \"100ms\"\n{more}\n\
             [[scrape.static_configs]]\ntargets = [{}]\n",
            targets.join(", ")
        )
    };
    let house = House::new(&config("", &[&kept, &other]));
    let series = |name: &str, target: &Target, value: &str| {
        format!("{name}{{instance=\"{}\",job=\"j\"}} {value}", target.address())
    };
    house.until(&series("a", &kept, "1"));
    house.until(&series("c", &other, "1"));
    // One target less: the other one goes on over the same connection, its series are not new.
    house.configure(&config("", &[&kept]));
    let mut has_ended = false;
    while !has_ended {
        let batch = house.next();
        assert!(!batch.contains(&series("a", &kept, "stale")), "{batch:?}");
        assert!(!batch.contains(&series("scrape_series_added", &kept, "2")), "{batch:?}");
        has_ended = batch.contains(&series("up", &other, "stale"));
        assert_eq!(has_ended, batch.contains(&series("c", &other, "stale")), "{batch:?}");
    }
    assert_eq!(kept.connections(), 1);
    // Other rules for its series: what they drop is stale, what they leave is not.
    let drop_b = "metric_relabel_configs = [\n\
                  { source_labels = [\"__name__\"], regex = \"b\", action = \"drop\" }]";
    house.configure(&config(drop_b, &[&kept]));
    let batch = house.until(&series("b", &kept, "stale"));
    assert!(batch.contains(&series("a", &kept, "1")), "{batch:?}");
    assert!(batch.contains(&series("scrape_samples_post_metric_relabeling", &kept, "1")));
    // More targets than there may be: none of them counts.
    let limited = "target_limit = 1";
    house.configure(&config(limited, &[&kept, &other]));
    house.until(&series("up", &other, "0"));
    house.until_refused("job_unusable");
}

#[test]
fn files_and_servers_say_what_there_is() {
    let target = Target::new(Answer::text("a 1\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("targets.json");
    let list = |site: &str| {
        format!(
            r#"[{{"targets":["{}"],"labels":{{"site":"{site}","__meta_x":"y"}}}}]"#,
            target.address()
        )
    };
    std::fs::write(&path, list("oslo")).expect("written");
    let server = Target::new(Answer::of_type("application/json", &list("bergen")));
    let config = format!(
        "[[scrape]]\njob_name = \"j\"\nscrape_interval = \"100ms\"\n\
         file_sd_configs = [{{ files = [\"{}/*.json\"] }}]\n\
         http_sd_configs = [{{ url = \"http://{}/list\", refresh_interval = \"100ms\" }}]\n\
         relabel_configs = [\n\
           {{ source_labels = [\"__meta_filepath\"], regex = \".*/(.*)\", target_label = \"file\" }},\n\
           {{ source_labels = [\"site\"], regex = \"dropped\", action = \"drop\" }},\n\
           {{ target_label = \"instance\", replacement = \"i\" }}]",
        folder.path().display(),
        server.address()
    );
    let house = House::new(&config);
    let of_file = r#"a{file="targets.json",instance="i",job="j",site="oslo"}"#;
    let of_server = r#"a{instance="i",job="j",site="bergen"}"#;
    house.until(&format!("{of_file} 1"));
    house.until(&format!("{of_server} 1"));
    assert!(server.requests()[0].contains("x-prometheus-refresh-interval-seconds: 0\r\n"));
    // What cannot be read leaves everything as it was.
    server.set(Answer::of_type("text/html", "[]"));
    house.until(&format!("{of_server} 1"));
    server.set(Answer::of_type("application/json", &list("dropped")));
    house.until(&format!("{of_server} stale"));
    let targets = house.scraper.targets().remove("j").expect("the job");
    assert_eq!((targets.active.len(), targets.dropped_count), (1, 1));
    let discovered: &BTreeMap<String, String> = &targets.dropped[0];
    assert_eq!(discovered["__meta_x"], "y");
    assert!(discovered["__meta_url"].ends_with("/list"));
    std::fs::remove_file(&path).expect("removed");
    house.until(&format!("{of_file} stale"));
}

#[test]
fn who_never_says_what_they_know_holds_nothing_that_others_leave_out() {
    let (target, server) =
        (Target::new(Answer::text("a 1\n")), Target::new(Answer::status("500 No")));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("targets.json");
    let list = format!(r#"[{{"targets":["{}"]}}]"#, target.address());
    std::fs::write(&path, list).expect("written");
    let config = format!(
        "[[scrape]]\njob_name = \"j\"\nscrape_interval = \"100ms\"\n\
         relabel_configs = [{{ target_label = \"instance\", replacement = \"i\" }}]\n\
         file_sd_configs = [{{ files = [\"{}/*.json\"] }}]\n\
         http_sd_configs = [{{ url = \"http://{}/list\", refresh_interval = \"100ms\" }}]\n",
        folder.path().display(),
        server.address()
    );
    let house = House::new(&config);
    house.until(r#"a{instance="i",job="j"} 1"#);
    std::fs::remove_file(&path).expect("removed");
    house.until(r#"a{instance="i",job="j"} stale"#);
}

#[test]
fn tls_asks_for_a_certificate_that_is_trusted() {
    let target = Target::with_tls(Answer::text("a 1\n"));
    let ca = target.ca_file().display().to_string();
    let https =
        |more: &str| one(&target, &format!("scheme = \"https\"\ntls_config = {{ {more} }}"));
    let house = House::new(&https(""));
    house.until_refused("target_unreachable");
    house.until_error("certificate");
    house.configure(&https(&format!("ca_file = {ca:?}")));
    house.until(&of("up", "1"));
    house.configure(&https(&format!("ca_file = {ca:?}, server_name = \"other.example\"")));
    house.until_error("certificate");
    house.configure(&https("insecure_skip_verify = true"));
    house.until(&of("up", "1"));
    house.configure(&https("ca_file = \"/nowhere.pem\""));
    house.until_refused("job_unusable");
    house.until_error("/nowhere.pem");
}

#[test]
fn configurations_that_cannot_be_meant_are_refused() {
    let target = "static_configs = [{ targets = [\"a:1\"] }]";
    let cases = [
        ("job_name = \"\"", "`job_name` is empty"),
        ("job_name = \"j\"\nscrape_interval = \"1s\"\nscrape_timeout = \"2s\"", "not longer"),
        ("job_name = \"j\"\nscrape_interval = \"1\"", "expected a duration"),
        ("job_name = \"j\"\nscrape_interval = \"10ms\"", "at least 100ms"),
        ("job_name = \"j\"\nscheme = \"ftp\"", "`http` or `https`"),
        ("job_name = \"j\"\nbody_size_limit = \"1TB\"", "expected a size"),
        ("job_name = \"j\"\nbody_size_limit = \"1GB\"", "expected a size"),
        ("job_name = \"j\"\nrelabel_configs = [{ regex = \"(\" }]", "`relabel_configs`, number 1"),
        ("job_name = \"j\"\nmetric_relabel_configs = [{ }]", "`target_label`"),
        ("job_name = \"j\"\nfile_sd_configs = [{ files = [\"*\"] }]", "files end with"),
        ("job_name = \"j\"\nhttp_sd_configs = [{ url = \"x\" }]", "no URL"),
        ("job_name = \"j\"\ntls_config = { cert_file = \"x\" }", "go together"),
        ("job_name = \"j\"\nbasic_auth = { username = \"x\", password = \"y\" }", "unknown field"),
        ("job_name = \"j\"\nfallback_scrape_protocol = \"PrometheusProto\"", "none that is spoken"),
    ];
    for (text, expected) in cases {
        let error = jobs(&format!("[[scrape]]\n{text}\n{target}")).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    let all = "job_name = \"j\"\nbody_size_limit = \"0\"\nhonor_labels = true\nhonor_timestamps = false\n\
               fallback_scrape_protocol = \"PrometheusText0.0.4\"\nenable_compression = false";
    assert!(jobs(&format!("[[scrape]]\n{all}\n{target}")).is_ok());
}
