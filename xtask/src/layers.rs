//! Which crate may depend on which: each stands on a floor and looks down only.
//!
//! ```text
//! floor 4   bellwire
//! floor 3   server  sim
//! floor 2   authn  shards  alerting  sources  bench  client  sockets, threads, tasks; never each other
//! floor 1   access advice wire ingest rules alerts journal hub process pages   see floor 0 only, never each other
//! floor 0   model ─▶ re2
//! ```
//!
//! Within a crate the same holds: no two modules import one another ([`circles`]).

mod circles;
mod paths;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::source;
use crate::tidy::rust_files;
use crate::workspace::{Package, Workspace};

const FLOORS: &[(&str, u8)] = &[
    ("bellwire-model", 0),
    ("bellwire-re2", 0),
    ("bellwire-access", 1),
    ("bellwire-advice", 1),
    ("bellwire-wire", 1),
    ("bellwire-ingest", 1),
    ("bellwire-rules", 1),
    ("bellwire-alerts", 1),
    ("bellwire-journal", 1),
    ("bellwire-hub", 1),
    ("bellwire-shared-log", 1),
    ("bellwire-process", 1),
    ("bellwire-pages", 1),
    ("bellwire-authn", 2),
    ("bellwire-shards", 2),
    ("bellwire-alerting", 2),
    ("bellwire-sources", 2),
    ("bellwire-engines", 2),
    ("bellwire-cluster", 2),
    ("bellwire-bench", 2),
    ("bellwire-client", 2),
    ("bellwire-server", 3),
    ("bellwire-sim", 3),
    ("bellwire", 4),
    // The commands of this file build and run the others but must not link them: they have to
    // work when the rest does not compile.
    ("xtask", 0),
];

/// The only step on one floor: matchers are nouns, and have regular expressions.
const STEP: (&str, &str) = ("bellwire-model", "bellwire-re2");

/// Crates that bring sockets, clocks or tasks; also each `<name>-…` of them.
const ASYNC_CRATES: &[&str] = &["tokio", "hyper", "axum", "mio", "socket2"];

/// Crates that read or write the disk. Tests may use `tempfile` in the journal only.
const DISK_CRATES: &[&str] =
    &["rusqlite", "redb", "sled", "rocksdb", "memmap2", "rustix", "fs4", "tempfile", "walkdir"];

/// Parts of `std` that do I/O.
const IO_MODULES: &[&str] = &["fs", "net", "process", "env"];

const JOURNAL: &str = "bellwire-journal";

/// The crate that reads the clocks and starts threads, for all above it.
const PROCESS: &str = "bellwire-process";

/// The command: prints the floors, or fails with every breach.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut breaches = Vec::new();
    for package in &workspace.packages {
        breaches.extend(manifest_breaches(package));
        breaches.extend(source_breaches(workspace, package)?);
        breaches.extend(circles::breaches(package)?);
    }
    if !breaches.is_empty() {
        bail!("the layers are breached:\n  {}", breaches.join("\n  "));
    }
    println!("   {} crates and their modules look down only", workspace.packages.len());
    Ok(())
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

/// Whether the crate takes time, randomness and I/O from its callers.
fn is_pure(name: &str) -> bool {
    !["xtask", PROCESS].contains(&name) && floor(name).is_some_and(|floor| floor < 2)
}

fn manifest_breaches(package: &Package) -> Vec<String> {
    let Some(own) = floor(&package.name) else {
        return vec![format!("`{}` has no floor: add it to FLOORS in layers.rs", package.name)];
    };
    let mut breaches = Vec::new();
    for dependency in &package.dependencies {
        let breach = match floor(&dependency.name) {
            Some(below) => floor_breach((&package.name, own), (&dependency.name, below)),
            None if is_pure(&package.name) => purity_breach(&package.name, &dependency.name),
            None => None,
        };
        if let Some(rule) = breach {
            let (name, kind) = (&dependency.name, &dependency.kind);
            breaches.push(format!("`{}` depends on `{name}` ({kind}): {rule}", package.name));
        }
    }
    breaches
}

fn floor_breach(upper: (&str, u8), lower: (&str, u8)) -> Option<String> {
    if upper.0 == "xtask" || lower.0 == "xtask" {
        return Some("`xtask` stands beside the house: it links no crate and none links it".into());
    }
    if upper.1 == 1 && lower.1 != 0 {
        return Some("a crate of floor 1 sees floor 0 only; those above wire".into());
    }
    if lower.1 >= upper.1 && (upper.0, lower.0) != STEP {
        let (from, to) = (upper.1, lower.1);
        return Some(format!("floor {from} may not look at floor {to}, only further down"));
    }
    None
}

fn purity_breach(package: &str, dependency: &str) -> Option<String> {
    let is_of = |family: &&str| {
        dependency
            .strip_prefix(*family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if ASYNC_CRATES.iter().any(is_of) {
        return Some("sockets, clocks and tasks live on floor 2 and above".into());
    }
    if package != JOURNAL && DISK_CRATES.contains(&dependency) {
        return Some(format!("below floor 2 only `{JOURNAL}` touches the disk"));
    }
    if package == "bellwire-model" && dependency.starts_with("serde") {
        return Some("the nouns do not know how they are written; encodings do".into());
    }
    None
}

/// The standard library does I/O without any manifest saying so.
fn source_breaches(workspace: &Workspace, package: &Package) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    if !is_pure(&package.name) || package.name == JOURNAL {
        return Ok(breaches);
    }
    for file in rust_files(&package.folder.join("src")).iter().filter(|file| !file.is_test()) {
        let text = fs::read_to_string(&file.path)
            .with_context(|| format!("cannot read {}", file.path.display()))?;
        for module in io_modules(&source::code_only(source::before_tests(&text))) {
            let shown = file.path.strip_prefix(&workspace.root).unwrap_or(&file.path).display();
            breaches.push(format!(
                "`{}` uses `std::{module}` in {shown}: I/O enters above floor 1",
                package.name
            ));
        }
    }
    Ok(breaches)
}

/// The modules of `IO_MODULES` that the code names, alone or in a group.
fn io_modules(code: &str) -> Vec<&'static str> {
    let named_after = |at: usize| {
        let rest = &code[at..];
        let end = if rest.starts_with('{') { rest.find('}') } else { rest.find([':', ';', ' ']) };
        source::identifiers(&rest[..end.unwrap_or(rest.len())]).collect::<Vec<_>>()
    };
    let named: Vec<&str> =
        code.match_indices("std::").flat_map(|(at, found)| named_after(at + found.len())).collect();
    IO_MODULES.iter().copied().filter(|module| named.contains(module)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn breaches(package: &str, dependency: &str) -> Vec<String> {
        manifest_breaches(&Package {
            name: package.into(),
            folder: "crates".into(),
            dependencies: vec![Dependency { name: dependency.into(), kind: "normal".into() }],
        })
    }

    #[test]
    fn the_workspace_keeps_its_floors() {
        let checked = run(&Workspace::read().unwrap());
        assert!(checked.is_ok(), "{:#}", checked.unwrap_err());
    }

    #[test]
    fn looking_down_is_allowed() {
        for (package, dependency) in [
            ("bellwire-wire", "bellwire-model"),
            ("bellwire-rules", "bellwire-re2"),
            ("bellwire-model", "bellwire-re2"),
            ("bellwire-server", "bellwire-hub"),
            ("bellwire-shards", "bellwire-process"),
            ("bellwire-server", "bellwire-shards"),
            ("bellwire-server", "bellwire-alerting"),
            ("bellwire-sources", "bellwire-rules"),
            ("bellwire", "bellwire-server"),
            ("bellwire-server", "tokio"),
            ("bellwire-journal", "rusqlite"),
            ("bellwire-rules", "rustc-hash"),
            ("xtask", "serde_json"),
        ] {
            assert_eq!(breaches(package, dependency), [] as [&str; 0], "{package} {dependency}");
        }
    }

    #[test]
    fn a_breach_names_both_crates_and_the_rule() {
        for (package, dependency, rule) in [
            ("bellwire-wire", "bellwire-hub", "floor 1 sees floor 0 only"),
            ("bellwire-model", "bellwire-wire", "floor 0 may not look at floor 1"),
            ("bellwire-re2", "bellwire-model", "floor 0 may not look at floor 0"),
            ("bellwire-shards", "bellwire-alerting", "floor 2 may not look at floor 2"),
            ("bellwire-alerting", "bellwire-shards", "floor 2 may not look at floor 2"),
            ("bellwire-sources", "bellwire-alerting", "floor 2 may not look at floor 2"),
            ("bellwire-shards", "bellwire-server", "floor 2 may not look at floor 3"),
            ("bellwire-server", "bellwire", "floor 3 may not look at floor 4"),
            ("bellwire-hub", "bellwire-process", "floor 1 sees floor 0 only"),
            ("bellwire-hub", "bellwire-server", "floor 1 sees floor 0 only"),
            ("bellwire-hub", "tokio", "sockets, clocks and tasks"),
            ("bellwire-rules", "hyper-util", "sockets, clocks and tasks"),
            ("bellwire-hub", "rusqlite", "only `bellwire-journal` touches the disk"),
            ("bellwire-journal", "mio", "sockets, clocks and tasks"),
            ("bellwire-model", "serde", "the nouns do not know"),
            ("xtask", "bellwire-model", "stands beside the house"),
            ("bellwire", "xtask", "stands beside the house"),
        ] {
            let found = breaches(package, dependency).join("\n");
            for part in [package, dependency, rule] {
                assert!(found.contains(part), "{package} → {dependency}: {found}");
            }
        }
    }

    #[test]
    fn a_crate_without_a_floor_is_refused() {
        assert!(breaches("bellwire-attic", "serde")[0].contains("has no floor"));
    }

    #[test]
    fn input_and_output_of_the_standard_library_are_seen() {
        for (code, modules) in [
            ("use std::fs;", vec!["fs"]),
            ("let a = std::net::TcpStream::connect(b);", vec!["net"]),
            ("use std::{collections::HashMap, fs, env};", vec!["fs", "env"]),
            ("use std::collections::HashMap; let fs = 1;", vec![]),
        ] {
            assert_eq!(io_modules(code), modules, "{code}");
        }
    }
}
