//! Programs that come in the version that tests need from Go's own tool alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Those of systems' packages are too old, or there are none.
const PROGRAMS: &[Program] = &[
    Program {
        name: "prometheus",
        variable: "PROMETHEUS3_BIN",
        // Prometheus 3.16: remote write 2.0 as it is now came with 3.8.
        package: "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0",
        // Without what finds targets in clouds, most of the build.
        made: Made::Tags("remove_all_sd"),
    },
    Program {
        name: "nats-server",
        variable: "NATS_SERVER_BIN",
        package: "github.com/nats-io/nats-server/v2@v2.15.3",
        made: Made::Tags(""),
    },
    Program {
        name: "collector",
        variable: "COLLECTOR_BIN",
        package: "go.opentelemetry.io/collector/cmd/builder@v0.165.0",
        made: Made::Manifest("collector.yaml"),
    },
    Program {
        name: "telegraf",
        variable: "TELEGRAF_BIN",
        package: "github.com/influxdata/telegraf/cmd/telegraf@v1.37.2",
        // Nothing but what tests use.
        made: Made::Tags(
            "custom,inputs.http_listener_v2,parsers.influx,outputs.http,outputs.influxdb,\
             outputs.influxdb_v2,serializers.influx,serializers.prometheusremotewrite",
        ),
    },
];

/// A program of tests.
#[derive(Debug)]
struct Program {
    name: &'static str,
    /// Tells tests where it is.
    variable: &'static str,
    /// The package, with its version.
    package: &'static str,
    made: Made,
}

/// How Go makes a program.
#[derive(Debug)]
enum Made {
    /// From the package, with these tags.
    Tags(&'static str),
    /// By the package, from a manifest in the folder of the tests: it says that what is built is
    /// named as the program, in a folder named so.
    Manifest(&'static str),
}

/// Programs that are wanted, by the variables that tell tests of them: those that variables name already, and those
/// that are built once, each in two minutes of two cores. Without Go tests that need them say that
/// they are skipped.
pub(crate) fn programs(
    folder: &Path,
    tests: &Path,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<(String, PathBuf)> {
    let found = |program: &Program| {
        let Program { name, variable, .. } = program;
        let path = std::env::var_os(variable)
            .map(PathBuf::from)
            .map_or_else(|| program.build(folder, tests), Ok);
        match path {
            Ok(path) => {
                println!("   {name}: {}", path.display());
                Some(((*variable).to_owned(), path))
            }
            Err(error) => {
                println!("   {error:#}: tests with Go's {name} are skipped");
                None
            }
        }
    };
    PROGRAMS.iter().filter(|program| is_wanted(program.name)).filter_map(found).collect()
}

impl Program {
    /// The program in the folder, built unless it was made in the same way before.
    fn build(&self, folder: &Path, tests: &Path) -> Result<PathBuf> {
        let Self { name, package, made, .. } = self;
        let how = match made {
            Made::Tags(tags) => (*tags).to_owned(),
            Made::Manifest(file) => {
                let path = tests.join(file);
                fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?
            }
        };
        let made_of = format!("{package}\n{how}");
        let folder = folder.join("go");
        let (path, note) = (folder.join(name), folder.join(format!("{name}.made-of")));
        if path.exists() && fs::read_to_string(&note).is_ok_and(|noted| noted == made_of) {
            return Ok(path);
        }
        process::find_on_path(&["go"]).context("there is no Go")?;
        println!("   {name} is built, once; this takes some minutes");
        fs::create_dir_all(&folder)?;
        let mut go = Command::new("go");
        go.env("GOBIN", &folder).current_dir(&folder);
        match made {
            Made::Tags(tags) => process::run(go.args(["install", "-tags", tags, package]))?,
            Made::Manifest(file) => {
                let manifest = tests.join(file);
                // What is built lies in a repository, but is not of it.
                go.env("GOFLAGS", "-buildvcs=false");
                process::run(go.args(["run", package, "--config"]).arg(manifest))?;
                let made = folder.join(format!("{name}.source"));
                fs::rename(made.join(name), &path)?;
                fs::remove_dir_all(made)?;
            }
        }
        fs::write(note, made_of)?;
        Ok(path)
    }
}
