//! Modules of one crate that import one another: at every level of a crate's modules, siblings look
//! one way only. Who reads one of them then need not read the others first.
//!
//! What counts are the paths of the code outside of tests, in `use` and elsewhere: `crate::…`,
//! `super::…`, `self::…`. What a module hands on with `pub use` is followed to where it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use anyhow::{Context, Result};

use super::paths::{self, Named};
use crate::source;
use crate::tidy::rust_files;
use crate::workspace::Package;

/// Circles that are to be undone: the crate, the module that they are in, and who is in them. None
/// may be added, and one that is undone must go from here.
const KNOWN: &[(&str, &str, &[&str])] = &[];

/// A module, as the names that lead to it from the crate's root.
type Path = Vec<String>;

/// Which siblings each of them imports, and a file that does.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// The circles of a package that are not known, and those that are known and no more.
pub(super) fn breaches(package: &Package) -> Result<Vec<String>> {
    let imports = imports(&modules(package)?);
    let mut left: BTreeSet<usize> =
        (0..KNOWN.len()).filter(|place| KNOWN[*place].0 == package.name).collect();
    let mut breaches = Vec::new();
    for (level, imports) in &imports {
        for circle in circles(imports) {
            let is_known = |place: &usize| {
                KNOWN[*place].1 == level && circle.iter().all(|m| KNOWN[*place].2.contains(&&**m))
            };
            match left.iter().copied().find(is_known) {
                Some(place) => _ = left.remove(&place),
                None => breaches.push(told(package, level, &circle, imports)),
            }
        }
    }
    let name = &package.name;
    breaches.extend(left.into_iter().map(|place| {
        let (_, level, circle) = KNOWN[place];
        let circle = circle.join("`, `");
        format!("`{name}`: `{circle}` in `{level}` are no circle any more: take it from `KNOWN`")
    }));
    Ok(breaches)
}

fn told(package: &Package, level: &str, circle: &[String], imports: &Imports) -> String {
    let next = circle.iter().cycle().skip(1);
    let edge = |(from, to): (&String, &String)| {
        let file = imports.get(from).and_then(|of| of.get(to)).map_or("?", String::as_str);
        format!("`{from}` imports `{to}` ({file})")
    };
    let edges: Vec<String> = circle.iter().zip(next).map(edge).collect();
    let within = if level.is_empty() { String::new() } else { format!(" in `{level}`") };
    format!("`{}`: modules{within} go round in a circle: {}", package.name, edges.join(", "))
}

/// The modules that are files, each with what it names.
fn modules(package: &Package) -> Result<BTreeMap<Path, Vec<Named>>> {
    let folder = package.folder.join("src");
    let mut modules = BTreeMap::new();
    for file in rust_files(&folder).iter().filter(|file| !file.is_test()) {
        let text = fs::read_to_string(&file.path)
            .with_context(|| format!("cannot read {}", file.path.display()))?;
        let within = file.path.strip_prefix(&folder).unwrap_or(&file.path).with_extension("");
        let mut path: Path =
            within.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if ["lib", "main"].contains(&path[0].as_str()) {
            path.clear();
        }
        modules.insert(path, paths::named(&source::code_only(source::before_tests(&text))));
    }
    Ok(modules)
}

/// Which siblings import which, by the module that they are in.
fn imports(modules: &BTreeMap<Path, Vec<Named>>) -> BTreeMap<String, Imports> {
    let mut imports: BTreeMap<String, Imports> = BTreeMap::new();
    for (from, named) in modules {
        for to in named.iter().filter_map(|named| absolute(from, &named.path, modules)) {
            let to = home(to, modules, 0);
            let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
            if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
                let of_level = imports.entry(from[..shared].join("::")).or_default();
                let of_one = of_level.entry(one.clone()).or_default();
                of_one.entry(other.clone()).or_insert_with(|| format!("{}.rs", from.join("/")));
            }
        }
    }
    imports
}

/// A path from the root of the crate; nothing where it leads to another crate.
fn absolute(from: &Path, path: &[String], modules: &BTreeMap<Path, Vec<Named>>) -> Option<Path> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (&from[..0], &path[1..]),
        "self" => (&from[..], &path[1..]),
        "super" => (&from[..from.len().checked_sub(supers)?], &path[supers..]),
        first => {
            let child: Path = from.iter().cloned().chain([first.to_owned()]).collect();
            modules.contains_key(&child).then_some((&from[..], path))?
        }
    };
    Some([base, rest].concat())
}

/// The module in which what a path names is, wherever it is handed on.
fn home(path: Path, modules: &BTreeMap<Path, Vec<Named>>, hops: usize) -> Path {
    // What is handed on in a circle does not compile.
    const HOPS_MAX: usize = 8;
    let end = (0..=path.len()).rev().find(|end| modules.contains_key(&path[..*end]));
    let (module, rest) = path.split_at(end.unwrap_or_default());
    let module = module.to_vec();
    let handed_on = rest.first().and_then(|name| {
        let named = modules.get(&module)?;
        named.iter().rfind(|named| named.handed_on_as.as_ref() == Some(name))
    });
    let target = handed_on.and_then(|named| absolute(&module, &named.path, modules));
    match target {
        Some(target) if hops < HOPS_MAX => {
            home([target, rest[1..].to_vec()].concat(), modules, hops + 1)
        }
        _ => module,
    }
}

/// One circle of each set of modules that reach one another, the shortest one.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let mut circles: Vec<Vec<String>> = Vec::new();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for start in imports.keys() {
        if told.contains(start.as_str()) {
            continue;
        }
        if let Some(circle) = way_back(start, imports) {
            let reach = reached(start, imports);
            let is_in = |other: &&str| reached(other, imports).contains(start.as_str());
            told.extend(reach.into_iter().filter(is_in));
            circles.push(circle);
        }
    }
    circles
}

/// The shortest way from a module to itself.
fn way_back(start: &str, imports: &Imports) -> Option<Vec<String>> {
    let mut ways = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for next in imports.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push_back(way.iter().cloned().chain([next.clone()]).collect());
            }
        }
    }
    None
}

/// All that a module imports, and they in turn.
fn reached<'i>(start: &str, imports: &'i Imports) -> BTreeSet<&'i str> {
    let mut reached = BTreeSet::new();
    let mut left = vec![start];
    while let Some(module) = left.pop() {
        for next in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.as_str()) {
                left.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let module = |(path, code): &(&str, &str)| {
            let path: Path =
                path.split('/').filter(|name| !name.is_empty()).map(Into::into).collect();
            (path, paths::named(code))
        };
        let modules: BTreeMap<Path, Vec<Named>> = files.iter().map(module).collect();
        let of_level = |(level, imports): (String, Imports)| {
            let told = |circle: Vec<String>| format!("{level}: {}", circle.join(" "));
            circles(&imports).into_iter().map(told).collect::<Vec<_>>()
        };
        imports(&modules).into_iter().flat_map(of_level).collect()
    }

    #[test]
    fn modules_that_import_one_another_are_found_at_every_level() {
        for (files, circles) in [
            (vec![("a", "use crate::b::B;"), ("b", "use crate::a::A;")], vec![": a b"]),
            (vec![("a", "use crate::b::B;"), ("b", "fn f() {}")], vec![]),
            // Through a third, and in the code.
            (
                vec![
                    ("a", "use crate::{b::{self, B}, x};"),
                    ("b", "fn f() -> super::c::C { super::c::new() }"),
                    ("c", "use super::a;"),
                ],
                vec![": a b c"],
            ),
            // A child may see its parent; two children not each other.
            (vec![("a", "use self::b::B;"), ("a/b", "use super::A;")], vec![]),
            (
                vec![("a", ""), ("a/b", "use super::c::C;"), ("a/c", "use super::b::B;")],
                vec!["a: b c"],
            ),
            // What a module hands on is where it is.
            (
                vec![
                    ("", "pub use a::A; pub use self::b::{B as Other};"),
                    ("a", "use crate::Other;"),
                    ("b", "use crate::A;"),
                ],
                vec![": a b"],
            ),
            // Below siblings the edge is theirs.
            (
                vec![
                    ("a", ""),
                    ("a/x", "use crate::b::y::Y;"),
                    ("b", "use crate::a;"),
                    ("b/y", ""),
                ],
                vec![": a b"],
            ),
        ] {
            assert_eq!(found(&files), circles, "{files:?}");
        }
    }
}
