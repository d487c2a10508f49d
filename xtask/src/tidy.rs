//! The house style, as far as a program can see it.
//!
//! Errors fail the check; notes (a file over its target, a crate over its budget) are printed.

mod links;
mod maps;
mod pages;
mod proofs;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use self::proofs::Proofs;
use crate::source;
use crate::workspace::Workspace;

/// A file this long does too much; a longer one needs an entry below.
const CODE_LINES_MAX: usize = 600;
/// Where one starts to look for what to split off.
const CODE_LINES_TARGET: usize = 400;

/// Files that may be longer than `CODE_LINES_MAX`, with the reason.
const LONG_FILES: &[(&str, &str)] =
    &[("crates/server/src/config/setting.rs", "it is one table, which is read from top to bottom")];

/// Code lines per crate: a target, so going over is a note.
const BUDGETS: &[(&str, usize)] = &[
    ("model", 1500),
    ("access", 3000),
    ("wire", 3500),
    ("ingest", 6000),
    ("rules", 13_500),
    ("alerts", 4000),
    ("journal", 4000),
    ("hub", 2500),
    ("shared-log", 2500),
    ("engines", 1500),
    ("cluster", 4000),
    ("process", 500),
    ("authn", 3_000),
    ("shards", 5_000),
    ("alerting", 4_000),
    ("sources", 4_000),
    ("server", 6_000),
    ("sim", 3_000),
    ("bench", 4000),
    ("client", 3000),
    ("bellwire", 2000),
];

/// Folders that are made, not written.
const SKIPPED_FOLDERS: &[&str] =
    &["target", "node_modules", "bellwire-data", "dist", "__pycache__"];

/// Kinds of file in which white space at the end of a line means nothing.
const TEXT_KINDS: &[&str] =
    &["rs", "md", "toml", "js", "mjs", "ts", "tsx", "py", "css", "html", "sh", "yml", "yaml"];

/// A file of the tree, with its path from the root for complaints.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
}

impl File {
    fn kind(&self) -> &str {
        self.path.extension().and_then(|kind| kind.to_str()).unwrap_or_default()
    }

    /// Whether the file holds tests or benches only.
    pub(crate) fn is_test(&self) -> bool {
        let is_test_name = |name: &str| matches!(name, "tests" | "benches" | "tests.rs");
        self.path.iter().filter_map(|part| part.to_str()).any(is_test_name)
    }
}

/// What the check found.
#[derive(Debug, Default)]
struct Findings {
    errors: Vec<String>,
    notes: Vec<String>,
}

/// The command: prints notes and budgets, or fails with every error.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let findings = check(&workspace.root)?;
    for note in &findings.notes {
        println!("   note: {note}");
    }
    for (name, budget) in BUDGETS {
        let lines = crate_lines(&folder_of(workspace, name).join("src"))?;
        let over = if lines > *budget { "  over its budget" } else { "" };
        println!("   {name:<9}{lines:>6} of {budget} code lines{over}");
    }
    if !findings.errors.is_empty() {
        bail!("not tidy:\n  {}", findings.errors.join("\n  "));
    }
    Ok(())
}

/// All Rust files below the folder.
pub(crate) fn rust_files(folder: &Path) -> Vec<File> {
    let mut files = files(folder);
    files.retain(|file| file.kind() == "rs");
    files
}

fn check(root: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut proofs = Proofs::default();
    for file in files(root) {
        let name = file.path.strip_prefix(root).unwrap_or(&file.path).display().to_string();
        findings.errors.extend(words::in_name(&name));
        if !TEXT_KINDS.contains(&file.kind()) {
            continue;
        }
        let text = fs::read_to_string(&file.path).with_context(|| format!("cannot read {name}"))?;
        findings.errors.extend(line_errors(&name, &text));
        match file.kind() {
            "rs" => {
                check_rust(&name, &text, &mut findings);
                proofs.note_code(&text);
            }
            "md" => {
                findings.errors.extend(links::broken(root, &name, &text));
                findings.errors.extend(pages::too_long(&name, &text));
                proofs.note_page(&name, &text);
            }
            _ => {}
        }
    }
    findings.errors.extend(proofs.missing());
    Ok(findings)
}

fn line_errors(name: &str, text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let mut complain = |what: String| errors.push(format!("{name}:{number}: {what}"));
        // Rule and test data may be made to match what other programs print.
        if line.ends_with([' ', '\t']) && !name.ends_with("ml") {
            complain("white space at the end of the line".into());
        }
        if let Some(marker) = words::leftover(line) {
            complain(format!("`{marker}` is left over: finish it or drop it"));
        }
        if let Some(path) = words::absolute_path(line) {
            complain(format!("`{path}` exists on one machine only"));
        }
    }
    errors
}

fn check_rust(name: &str, text: &str, findings: &mut Findings) {
    if !text.starts_with("//!") {
        findings.errors.push(format!("{name}: starts without `//!` (what is it, and why?)"));
    }
    if Path::new(name).ends_with("mod.rs") {
        findings.errors.push(format!("{name}: use `foo.rs` beside `foo/`"));
    }
    let lines = source::code_lines(text);
    if lines > CODE_LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == name) {
        findings.errors.push(format!("{name}: {lines} code lines, {CODE_LINES_MAX} at most"));
    } else if lines > CODE_LINES_TARGET {
        findings
            .notes
            .push(format!("{name}: {lines} code lines, {CODE_LINES_TARGET} is the target"));
    }
    let code = source::code_only(text);
    findings.errors.extend(words::in_code(name, &code));
    findings.errors.extend(maps::unkeyed(name, &code));
}

/// Where the package of a crate is.
fn folder_of(workspace: &Workspace, name: &str) -> PathBuf {
    let full = format!("bellwire-{name}");
    let package = workspace.packages.iter().find(|package| package.name == full);
    package.map_or_else(|| workspace.root.join("crates").join(name), |it| it.folder.clone())
}

fn crate_lines(folder: &Path) -> Result<usize> {
    let mut lines = 0;
    for file in rust_files(folder).iter().filter(|file| !file.is_test()) {
        let text = fs::read_to_string(&file.path)
            .with_context(|| format!("cannot read {}", file.path.display()))?;
        lines += source::code_lines(&text);
    }
    Ok(lines)
}

/// All files below the folder in a stable order, but for what is made or hidden.
fn files(folder: &Path) -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that vanishes meanwhile has nothing to check.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if (name.starts_with('.') && name != ".github") || SKIPPED_FOLDERS.contains(&&*name) {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(File { path: entry.path() }),
                _ => {}
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let checked = run(&Workspace::read().unwrap());
        assert!(checked.is_ok(), "{:#}", checked.unwrap_err());
    }

    #[test]
    fn every_line_is_looked_at() {
        let text =
            format!("fine\nspace \n// {}\n`{}`\n", concat!("TO", "DO"), concat!("/ro", "ot/a"));
        let errors = line_errors("a.rs", &text);
        let starts: Vec<&str> = errors.iter().map(|e| e.split(' ').next().unwrap()).collect();
        assert_eq!(starts, ["a.rs:2:", "a.rs:3:", "a.rs:4:"]);
    }

    #[test]
    fn rust_files_say_what_they_are_and_stay_short() {
        let long = |lines: usize| format!("//! Doc.\n{}", "a();\n".repeat(lines));
        for (name, text, errors, notes) in [
            ("a.rs", "//! Doc.\n".to_owned(), 0, 0),
            ("a.rs", "fn a() {}\n".to_owned(), 1, 0),
            ("a/mod.rs", "//! Doc.\n".to_owned(), 1, 0),
            ("a.rs", long(CODE_LINES_TARGET), 0, 0),
            ("a.rs", long(CODE_LINES_MAX), 0, 1),
            ("a.rs", long(CODE_LINES_MAX + 1), 1, 0),
        ] {
            let mut findings = Findings::default();
            check_rust(name, &text, &mut findings);
            assert_eq!(findings.errors.len(), errors, "{:?}", findings.errors);
            assert_eq!(findings.notes.len(), notes, "{:?}", findings.notes);
        }
    }

    #[test]
    fn tests_do_not_count_towards_a_budget() {
        for (path, expected) in [
            ("crates/hub/src/ring.rs", false),
            ("crates/hub/src/ring/tests.rs", true),
            ("crates/hub/tests/it/main.rs", true),
            ("crates/hub/benches/ring.rs", true),
        ] {
            assert_eq!(File { path: path.into() }.is_test(), expected, "{path}");
        }
    }
}
