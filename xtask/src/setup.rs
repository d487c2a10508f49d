//! What tests need beyond Rust: Node, npm packages and a browser.
//!
//! What can be installed without asking is installed; for the rest the error says what to do.

mod go;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process;

/// The oldest Node whose test runner and `fetch` the tests use.
const NODE_MAJOR_MIN: u32 = 20;

/// Names of C++ compilers that the build of the fuzzer's runtime looks for.
const CPP_COMPILERS: &[&str] = &["c++", "g++", "clang++"];

/// Programs that tests speak to or through, with what Debian and Ubuntu call them.
const TEST_PROGRAMS: &[Program] = &[
    Program { name: "amtool", package: "prometheus-alertmanager", needs: Needs::Nothing },
    Program {
        name: "prometheus-alertmanager",
        package: "prometheus-alertmanager",
        needs: Needs::Nothing,
    },
    Program { name: "prometheus", package: "prometheus", needs: Needs::Nothing },
    Program { name: "promtool", package: "prometheus", needs: Needs::Nothing },
    Program {
        name: "prometheus-node-exporter",
        package: "prometheus-node-exporter",
        needs: Needs::Nothing,
    },
    Program { name: "nginx", package: "nginx", needs: Needs::Libraries },
    Program { name: "haproxy", package: "haproxy", needs: Needs::Libraries },
    Program { name: "caddy", package: "caddy", needs: Needs::Nothing },
    Program { name: "mosquitto_pub", package: "mosquitto-clients", needs: Needs::Libraries },
    Program { name: "mosquitto", package: "mosquitto", needs: Needs::Libraries },
    Program { name: "redis-server", package: "redis-server", needs: Needs::Libraries },
];

/// Programs of which some systems have no package, or an older release has none: their tests are
/// skipped there.
const OPTIONAL_PROGRAMS: &[Program] = &[
    Program { name: "firefox-esr", package: "firefox-esr", needs: Needs::Libraries },
    Program { name: "valkey-server", package: "valkey-server", needs: Needs::Libraries },
];

/// Debian's server of NATS, which is to be refused as too old. The one that tests use comes from Go.
const OLD_NATS: Program =
    Program { name: "nats-server", package: "nats-server", needs: Needs::Nothing };

#[derive(Debug)]
struct Program {
    name: &'static str,
    package: &'static str,
    needs: Needs,
}

/// What a program does not run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// Shared libraries of other packages.
    Libraries,
}

/// Names under which systems install a Chromium.
const BROWSERS: &[&str] =
    &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Checks for the tools that nobody can run the tests without.
pub(crate) fn tools() -> Result<()> {
    c_compiler()?;
    if process::find_on_path(CPP_COMPILERS).is_none() {
        install_packages(&["g++"]).context(
            "no C++ compiler found and none could be installed; the fuzzer's runtime is built \
             from C++. Install g++ or clang",
        )?;
    }
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        ensure!(
            process::cargo(&[command, "--version"]).output().is_ok_and(|out| out.status.success()),
            "`cargo {command}` is missing: `rustup component add {component}`"
        );
    }
    let version = process::output(Command::new("node").arg("--version"))
        .context("Node is missing: install version 20 or newer")?;
    ensure!(
        node_major(&version).is_some_and(|major| major >= NODE_MAJOR_MIN),
        "Node {NODE_MAJOR_MIN} or newer is needed; this is {}",
        version.trim()
    );
    ensure!(process::find_on_path(&["npm"]).is_some(), "npm is missing; it comes with Node");
    println!("   C compiler, rustfmt, clippy, npm and Node {} are here", version.trim());
    Ok(())
}

/// Checks for what the binary cannot be built without.
pub(crate) fn c_compiler() -> Result<()> {
    ensure!(
        std::env::var_os("CC").is_some()
            || process::find_on_path(&["cc", "gcc", "clang"]).is_some(),
        "no C compiler found; the embedded database is built from C. Install gcc or clang"
    );
    Ok(())
}

/// A Chromium: the one of `CHROMIUM_BIN`, of the `PATH`, or freshly installed.
pub(crate) fn browser() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROMIUM_BIN").map(PathBuf::from) {
        ensure!(path.is_file(), "CHROMIUM_BIN names {}, which is no program", path.display());
        return Ok(path);
    }
    if let Some(path) = process::find_on_path(BROWSERS) {
        println!("   browser: {}", path.display());
        return Ok(path);
    }
    install_packages(&["chromium"]).context(
        "no Chromium found and none could be installed: install Chromium or Chrome, or set \
         CHROMIUM_BIN to one",
    )?;
    process::find_on_path(BROWSERS).context("chromium was installed but is not on the PATH")
}

/// The programs that tests speak to, by the variables that tell tests of them: those of the `PATH`,
/// or of the system's packages, unpacked into `folder` so that none of them starts a service.
pub(crate) fn test_programs(folder: &Path, tests: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut variables = Vec::new();
    for program in TEST_PROGRAMS {
        variables.push(variable(folder, program)?);
    }
    for program in OPTIONAL_PROGRAMS {
        match optional(folder, program) {
            Ok(found) => variables.push(found),
            Err(error) => println!("   tests with {} are skipped: {error:#}", program.name),
        }
    }
    // Not that of the path, which may be a new one.
    match unpacked(folder, &OLD_NATS) {
        Ok(path) => variables.push(("NATS_SERVER_OLD_BIN".to_owned(), path)),
        Err(error) => println!("   that an old nats-server is refused is not tested: {error:#}"),
    }
    variables.extend(go::programs(folder, tests, |_| true));
    variables.push(libraries_variable(folder));
    Ok(variables)
}

/// Where the unpacked ones find theirs; those of the system look there first, and find nothing.
fn libraries_variable(folder: &Path) -> (String, PathBuf) {
    ("TEST_LIBRARIES".to_owned(), folder.join("usr/lib").join(library_folder()))
}

/// Those of these names that there are, in the same way.
pub(crate) fn programs_of(
    names: &[&str],
    folder: &Path,
    tests: &Path,
) -> Result<Vec<(String, PathBuf)>> {
    let wanted = TEST_PROGRAMS.iter().filter(|program| names.contains(&program.name));
    let mut variables: Vec<_> =
        wanted.map(|program| variable(folder, program)).collect::<Result<_>>()?;
    variables.extend(go::programs(folder, tests, |name| names.contains(&name)));
    variables.push(libraries_variable(folder));
    Ok(variables)
}

/// The variable that tells tests of a program, and where it is.
fn variable(folder: &Path, program: &Program) -> Result<(String, PathBuf)> {
    let Program { name, package, .. } = program;
    let path = test_program(folder, program).with_context(|| {
        format!("no {name} found and none could be unpacked: install {package}")
    })?;
    println!("   {name}: {}", path.display());
    Ok((format!("{}_BIN", name.to_uppercase().replace('-', "_")), path))
}

/// The same, without looking for new lists of packages each time where there is no such package.
fn optional(folder: &Path, program: &Program) -> Result<(String, PathBuf)> {
    ensure!(
        process::find_on_path(&[program.name]).is_some()
            || process::succeeds("apt-cache", &["show", program.package]),
        "this system has no package {}",
        program.package
    );
    variable(folder, program)
}

fn test_program(folder: &Path, program: &Program) -> Result<PathBuf> {
    match process::find_on_path(&[program.name]) {
        Some(path) => Ok(path),
        None => unpacked(folder, program),
    }
}

/// The program of the system's package, unpacked into the folder.
fn unpacked(folder: &Path, program: &Program) -> Result<PathBuf> {
    let Program { name, package, needs } = program;
    let there = || {
        let paths = ["usr/bin", "usr/sbin"].map(|place| folder.join(place).join(name));
        paths.into_iter().find(|path| path.exists())
    };
    if let Some(path) = there() {
        return Ok(path);
    }
    fs::create_dir_all(folder)?;
    // Without a list of packages nothing is found.
    let names = packages(package, *needs)
        .or_else(|_| update_packages().and_then(|()| packages(package, *needs)))?;
    let download =
        || process::run(Command::new("apt-get").arg("download").args(&names).current_dir(folder));
    download().or_else(|_| update_packages().and_then(|()| download()))?;
    for file in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
        let file_name = file.file_name().unwrap_or_default().to_string_lossy();
        if names.iter().any(|name| file_name.starts_with(&format!("{name}_"))) {
            process::run(Command::new("dpkg").arg("-x").arg(&file).arg(folder))?;
        }
    }
    there().with_context(|| format!("the package {package} has no {name}"))
}

/// The package, and those of the libraries that it needs and that are not installed.
fn packages(package: &str, needs: Needs) -> Result<Vec<String>> {
    let mut names = vec![package.to_owned()];
    if needs == Needs::Libraries {
        let mut command = Command::new("apt-get");
        command.args(["install", "--print-uris", "--yes", "--no-install-recommends", package]);
        names.extend(libraries(&process::output(&mut command)?));
    }
    Ok(names)
}

/// Packages whose programs others are links to: `redis-server` is `redis-check-rdb` by another name.
const LINKED_TO: &[&str] = &["redis-tools", "valkey-tools"];

/// The libraries, and what others are links to, of what `apt-get --print-uris` would fetch: `'URL' name_version_arch.deb …`.
fn libraries(printed: &str) -> Vec<String> {
    let lines = printed.lines().filter(|line| line.starts_with('\''));
    let files = lines.filter_map(|line| line.split_whitespace().nth(1));
    let names = files.filter_map(|file| Some(file.split_once('_')?.0));
    let is_needed = |name: &&str| name.starts_with("lib") || LINKED_TO.contains(name);
    names.filter(is_needed).map(ToOwned::to_owned).collect()
}

/// What Debian calls the folder of this machine's libraries.
fn library_folder() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// Installs the locked packages of a folder, unless that was done since the lock last changed.
pub(crate) fn npm_packages(folder: &Path) -> Result<()> {
    let changed = |file: &str| fs::metadata(folder.join(file)).and_then(|m| m.modified()).ok();
    let lock = changed("package-lock.json");
    if lock.is_none() || lock <= changed("node_modules/.package-lock.json") {
        return Ok(());
    }
    // The tests bring their own browser path, so no package may fetch a browser of its own.
    process::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(folder),
    )
    .with_context(|| not_fetched("the npm packages that tests need"))
}

/// What to look at where something comes from the network, and did not.
fn not_fetched(what: &str) -> String {
    format!("{what} were not fetched; this needs the network once, later runs do not")
}

/// The Python of a virtual environment with the packages of `requirements`, made anew where they have
/// changed since.
pub(crate) fn python(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let make = || process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder));
    make()
        .or_else(|_| install_packages(&["python3-venv"]).and_then(|()| make()))
        .context("no Python with `venv` found and none could be installed: install python3-venv")?;
    let install = ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement"];
    process::run(Command::new(&python).args(install).arg(requirements))
        .with_context(|| not_fetched("the Python packages that tests need"))?;
    fs::write(&installed, wanted)?;
    Ok(python)
}

/// Installs packages of the system, where that needs no questions.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    let install = || {
        update_packages()?;
        apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
    };
    // Mirrors fail now and then, and a fresh list of packages often cures it.
    install().or_else(|error| {
        println!("   {error:#}; once more");
        install()
    })
}

/// Fetches the system's list of packages.
fn update_packages() -> Result<()> {
    apt_get(&["update"])
}

/// Runs what needs root, where that needs no questions.
fn apt_get(arguments: &[&str]) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    ensure!(is_debian_like(&release), "only Debian and Ubuntu are set up automatically");
    let is_root = process::output(Command::new("id").arg("-u"))?.trim() == "0";
    ensure!(
        is_root || process::succeeds("sudo", &["-n", "true"]),
        "`apt-get {}` needs root or a sudo without password",
        arguments.join(" ")
    );
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.args(if is_root { [].as_slice() } else { &["-n", "env"] });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    process::run(&mut command)
}

fn is_debian_like(os_release: &str) -> bool {
    let value = |line: &str| {
        let (key, value) = line.split_once('=')?;
        matches!(key, "ID" | "ID_LIKE").then(|| value.trim_matches('"').to_owned())
    };
    let names: Vec<String> = os_release.lines().filter_map(value).collect();
    names.iter().flat_map(|names| names.split(' ')).any(|name| matches!(name, "debian" | "ubuntu"))
}

fn node_major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_kin_are_known_by_their_release_file() {
        for (release, expected) in [
            ("ID=debian\n", true),
            ("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian\n", true),
            ("ID=pop\nID_LIKE=\"ubuntu debian\"\n", true),
            ("ID=fedora\nHOME_URL=debian\n", false),
            ("", false),
        ] {
            assert_eq!(is_debian_like(release), expected, "{release}");
        }
    }

    #[test]
    fn libraries_are_found_among_what_would_be_fetched() {
        let printed = "Reading package lists...
'http://debian/pool/libl/liblua5.3-0_5.3.6-2_amd64.deb' liblua5.3-0_5.3.6-2_amd64.deb 123528 SHA256:1
'http://debian/pool/h/haproxy_2.6.12-1%2bdeb12u4_amd64.deb' haproxy_2.6.12-1+deb12u4_amd64.deb 2 SHA256:2
";
        assert_eq!(libraries(printed), ["liblua5.3-0"]);
        assert_eq!(libraries(""), Vec::<String>::new());
    }

    #[test]
    fn the_major_version_of_node_is_read() {
        for (text, major) in [("v20.11.1\n", Some(20)), ("v8", Some(8)), ("20", None)] {
            assert_eq!(node_major(text), major, "{text}");
        }
    }
}
