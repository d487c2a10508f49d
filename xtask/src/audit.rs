//! Licences and sources of every dependency, against `deny.toml`.
//!
//! `cargo deny` checks the same and more, but takes minutes to build; this needs nothing but
//! cargo. Both read the one allow-list.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let file = workspace.root.join("deny.toml");
    let text = fs::read_to_string(&file).context("cannot read deny.toml")?;
    let allowed = allowed_licences(&text).context("deny.toml has no list `licenses.allow`")?;
    let metadata = process::output(
        process::cargo(&["metadata", "--format-version", "1", "--locked"])
            .current_dir(&workspace.root),
    )?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut complaints: Vec<String> =
        packages.iter().filter_map(|package| complaint(package, &allowed)).collect();
    complaints.extend(npm_complaints(workspace, &allowed)?);
    if !complaints.is_empty() {
        bail!("dependencies that deny.toml does not allow:\n  {}", complaints.join("\n  "));
    }
    println!("   {} packages under: {}", packages.len(), allowed.join(", "));
    for name in duplicates(packages) {
        println!("   note: {name}");
    }
    Ok(())
}

fn allowed_licences(deny: &str) -> Option<Vec<String>> {
    let deny: toml::Table = deny.parse().ok()?;
    let allow = deny.get("licenses")?.get("allow")?.as_array()?;
    allow.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

fn complaint(package: &Value, allowed: &[String]) -> Option<String> {
    let name = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
    // A package without a source is one of this workspace.
    let source = package["source"].as_str().unwrap_or("registry+");
    if !source.starts_with("registry+") {
        return Some(format!("{name} does not come from the registry"));
    }
    match package["license"].as_str() {
        None => Some(format!("{name} names no licence")),
        Some(licence) => match is_allowed(licence, allowed) {
            Ok(true) => None,
            Ok(false) => Some(format!("{name} is under `{licence}`")),
            Err(error) => Some(format!("{name}: {error}")),
        },
    }
}

/// Packages of npm whose manifest names no licence: the version, and what its text says.
const LICENCES_READ: &[(&str, &str, &str)] = &[("node_modules/only", "0.0.2", "MIT")];

/// Packages of npm that only run within tests, as they are: a licence that asks for something of what is
/// passed on asks for nothing then. The folder, the package and its licence.
const WITHIN_TESTS: &[(&str, &str, &str)] =
    &[("tests/browser", "node_modules/axe-core", "MPL-2.0")];

fn is_within_tests(folder: &Path, path: &str, licence: &str) -> bool {
    WITHIN_TESTS
        .iter()
        .any(|&(tests, known, of)| folder.ends_with(tests) && known == path && of == licence)
}

fn licence_read(path: &str, package: &Value) -> Option<&'static str> {
    let is_it = |(known, version, _): &&(&str, &str, &str)| {
        *known == path && package["version"].as_str() == Some(version)
    };
    LICENCES_READ.iter().find(is_it).map(|(.., licence)| *licence)
}

/// The npm packages of the tests; a lock file carries their licences.
fn npm_complaints(workspace: &Workspace, allowed: &[String]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for folder in workspace.npm_folders() {
        let file = folder.join("package-lock.json");
        let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
        let lock: Value = serde_json::from_str(&text).context("package-lock.json is no JSON")?;
        let packages = lock["packages"].as_object().context("a lock file without packages")?;
        for (path, package) in packages {
            ensure!(
                !names_host(package),
                "{} names download hosts; make it with `omit-lockfile-registry-resolved=true`",
                file.display()
            );
            if package["link"] == true {
                // It is the project's own, which has an entry of its own.
                continue;
            }
            let licence = package["license"].as_str().or_else(|| licence_read(path, package));
            let licence = licence.unwrap_or("nothing");
            let is_fine = is_allowed(licence, allowed).ok() == Some(true)
                || is_within_tests(&folder, path, licence);
            if !is_fine {
                complaints.push(format!("{} has `{path}` under `{licence}`", file.display()));
            }
        }
    }
    Ok(complaints)
}

/// Whether a package of a lock file says from where it is fetched; one of the project's own has a path.
fn names_host(package: &Value) -> bool {
    package["resolved"].as_str().is_some_and(|place| place.contains("://"))
}

fn duplicates(packages: &[Value]) -> Vec<String> {
    let mut names: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    names.sort_unstable();
    let groups = names.chunk_by(|a, b| a == b).filter(|group| group.len() > 1);
    groups.map(|group| format!("{} versions of {}", group.len(), group[0])).collect()
}

/// Whether one may choose allowed licences only. `MIT/Apache-2.0` is the old way to say `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let result = any(&mut words, allowed)?;
    ensure!(words.is_empty(), "`{expression}` is no licence expression");
    Ok(result)
}

fn any(words: &mut &[&str], allowed: &[String]) -> Result<bool> {
    let mut result = all(words, allowed)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        result |= all(words, allowed)?;
    }
    Ok(result)
}

fn all(words: &mut &[&str], allowed: &[String]) -> Result<bool> {
    let mut result = one(words, allowed)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        result &= one(words, allowed)?;
    }
    Ok(result)
}

fn one(words: &mut &[&str], allowed: &[String]) -> Result<bool> {
    let is_listed = |name: &str| allowed.iter().any(|licence| licence == name);
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let result = any(words, allowed)?;
            let [")", rest @ ..] = *words else { bail!("a bracket is not closed") };
            *words = rest;
            Ok(result)
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            Ok(is_listed(&format!("{licence} WITH {exception}")))
        }
        [licence, rest @ ..] => {
            *words = rest;
            Ok(is_listed(licence))
        }
        [] => bail!("a licence is missing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Vec<String> {
        ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_lock_file_may_name_folders_of_the_project_and_no_host() {
        let package = |place| serde_json::json!({ "resolved": place });
        assert!(names_host(&package("https://registry.example/a.tgz")));
        assert!(!names_host(&package("../js")) && !names_host(&serde_json::json!({})));
    }

    #[test]
    fn a_licence_that_was_read_is_of_one_version() {
        let read = |version: &str| {
            licence_read("node_modules/only", &serde_json::json!({ "version": version }))
        };
        assert_eq!((read("0.0.2"), read("0.0.3")), (Some("MIT"), None));
    }

    #[test]
    fn what_only_tests_run_is_allowed_there_alone() {
        let is_fine = |folder, path, licence| is_within_tests(Path::new(folder), path, licence);
        assert!(is_fine("/a/tests/browser", "node_modules/axe-core", "MPL-2.0"));
        assert!(!is_fine("/a/web", "node_modules/axe-core", "MPL-2.0"));
        assert!(!is_fine("/a/tests/browser", "node_modules/axe-core", "GPL-3.0-only"));
        assert!(!is_fine("/a/tests/browser", "node_modules/other", "MPL-2.0"));
    }

    #[test]
    fn an_expression_is_allowed_if_one_may_choose_allowed_licences() {
        for (expression, expected) in [
            ("MIT", true),
            ("MIT OR GPL-3.0-only", true),
            ("GPL-3.0-only/MIT", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("MIT OR GPL-3.0-only AND AGPL-3.0-only", true),
            ("Apache-2.0 WITH LLVM-exception OR MIT", true),
            ("Apache-2.0 WITH LLVM-exception", false),
        ] {
            assert_eq!(is_allowed(expression, &allowed()).unwrap(), expected, "{expression}");
        }
    }

    #[test]
    fn a_broken_expression_is_an_error() {
        for expression in ["", "(MIT", "MIT OR", "MIT Apache-2.0", "MIT)"] {
            assert!(is_allowed(expression, &allowed()).is_err(), "{expression}");
        }
    }

    #[test]
    fn a_package_needs_a_licence_and_the_registry() {
        for (licence, source, expected) in [
            ("\"MIT\"", "null", None),
            ("\"MIT\"", "\"registry+index\"", None),
            ("\"MIT\"", "\"git+somewhere\"", Some("a 1.0.0 does not come from the registry")),
            ("\"GPL-2.0\"", "null", Some("a 1.0.0 is under `GPL-2.0`")),
            ("null", "null", Some("a 1.0.0 names no licence")),
        ] {
            let text = format!(
                r#"{{"name":"a","version":"1.0.0","license":{licence},"source":{source}}}"#
            );
            let package = serde_json::from_str(&text).unwrap();
            assert_eq!(complaint(&package, &allowed()).as_deref(), expected, "{text}");
        }
    }
}
