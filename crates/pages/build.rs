//! Bundles the pages where it can, and lists what is to be embedded.
//!
//! `BELLWIRE_PAGES` says what is wanted: `plain` for the page without Node, `bundled` to fail where
//! the pages cannot be bundled. Without it they are bundled where Node and npm are found and work,
//! and a warning says so where they are not.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// What bundling depends on, besides the client's sources and the API's description.
const SOURCES: [&str; 5] = ["src", "scripts", "static", "package.json", "package-lock.json"];

/// The page without bundling.
const PLAIN: &str = "examples/board.html";

/// Where pages are that show what may be done, each a file by itself or with the style that they share.
const EXAMPLES: &str = "examples";

fn main() {
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")).join("../..");
    let out = PathBuf::from(env("OUT_DIR"));
    watch(&root);
    let folder = out.join("pages");
    // What a build before this one has left would be embedded, too.
    let _ = fs::remove_dir_all(&folder);
    let wanted = std::env::var("BELLWIRE_PAGES").unwrap_or_default();
    let outcome = match wanted.as_str() {
        "plain" => Err("BELLWIRE_PAGES is `plain`".to_owned()),
        "" | "bundled" => bundle(&root, &folder),
        other => panic!("BELLWIRE_PAGES is `{other}`; it may be `plain` or `bundled`"),
    };
    if let Err(reason) = outcome {
        assert!(wanted != "bundled", "the pages cannot be bundled: {reason}");
        if wanted.is_empty() {
            println!("cargo::warning=the binary gets the plain page alone: {reason}");
        }
        plain(&root, &folder);
    }
    copy_examples(&root, &folder);
    fs::write(out.join("assets.rs"), listing(&folder)).expect("the build folder can be written");
}

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Says what a new build is needed for.
fn watch(root: &Path) {
    println!("cargo::rerun-if-env-changed=BELLWIRE_PAGES");
    let mut paths: Vec<_> = SOURCES.iter().map(|name| root.join("web").join(name)).collect();
    // The folder, too, for files that come and go.
    paths.push(root.join(EXAMPLES));
    paths.extend(examples(root));
    paths.push(root.join("crates/server/openapi.json"));
    // Its types are made of the API's description while it is bundled: they would look new each time.
    let client = fs::read_dir(root.join("clients/js/src")).into_iter().flatten().flatten();
    paths.extend(client.map(|entry| entry.path()).filter(|path| !path.ends_with("api.ts")));
    for path in paths.iter().filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// Bundles the pages into a folder, or says why that does not go.
fn bundle(root: &Path, folder: &Path) -> Result<(), String> {
    let web = root.join("web");
    install(&web)?;
    let mut node = Command::new("node");
    run(node.current_dir(&web).arg("scripts/build.mjs").arg(folder))
}

/// Installs what bundling takes, where it is not there as the lock file has it.
fn install(web: &Path) -> Result<(), String> {
    let lock = fs::read(web.join("package-lock.json")).map_err(|error| error.to_string())?;
    let installed = web.join("node_modules/.bellwire-installed");
    if fs::read(&installed).is_ok_and(|before| before == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    run(npm.current_dir(web).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    fs::write(&installed, lock).map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program} does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // A warning is one line.
    Err(format!("{program} failed: {}", said.trim().replace('\n', " | ")))
}

fn plain(root: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("the build folder can be written");
    copy(&root.join(PLAIN), &folder.join("index.html"));
    copy(&root.join("web/static/icon.svg"), &folder.join("icon.svg"));
}

/// The pages of the examples and what they load, in their order.
fn examples(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(EXAMPLES)).expect("there are examples");
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|it| it == "html" || it == "css"));
    found.sort();
    found
}

fn copy_examples(root: &Path, folder: &Path) {
    let to = folder.join(EXAMPLES);
    fs::create_dir_all(&to).expect("the build folder can be written");
    for path in examples(root) {
        copy(&path, &to.join(path.file_name().expect("it is a file")));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// The table of what there is, sorted by path, as Rust.
fn listing(folder: &Path) -> String {
    let mut paths = files(folder);
    paths.sort();
    let mut listing =
        String::from("/// All files, sorted by path.\npub static ASSETS: &[Asset] = &[\n");
    for path in &paths {
        let name = name_of(folder, path);
        if is_compressed(path) {
            continue;
        }
        let bytes = fs::read(path).expect("a file that was just written");
        let form = |suffix: &str| {
            let form = PathBuf::from(format!("{}.{suffix}", path.display()));
            if form.exists() { format!("Some({})", included(&form)) } else { "None".to_owned() }
        };
        writeln!(
            listing,
            "    Asset {{ path: {name:?}, content_type: {:?}, etag: {:?}, inline_scripts: {:?}, \
             inline_styles: {:?}, bytes: {}, gzip: {}, brotli: {}, is_immutable: {} }},",
            content_type(path),
            format!("\"{}\"", hash(&bytes)),
            inline(&bytes, path, "script"),
            inline(&bytes, path, "style"),
            included(path),
            form("gz"),
            form("br"),
            name.starts_with("assets/"),
        )
        .expect("a string takes all");
    }
    listing.push_str("];\n");
    listing
}

/// A file of the build folder, as an expression.
fn included(path: &Path) -> String {
    format!("include_bytes!({:?})", path.to_str().expect("the build folder is named in UTF-8"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder that was just written").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn name_of(folder: &Path, path: &Path) -> String {
    let name = path.strip_prefix(folder).expect("it was found there");
    name.to_string_lossy().replace('\\', "/")
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "br")
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        _ => panic!("{} is of no kind that the pages are made of", path.display()),
    }
}

fn hash(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}

/// The sources of a policy for the scripts, or the styles, that stand in a page itself.
fn inline(page: &[u8], path: &Path, element: &str) -> String {
    if path.extension().is_none_or(|kind| kind != "html") {
        return String::new();
    }
    let page = String::from_utf8_lossy(page);
    // Behind its attributes comes what is hashed; what is loaded from elsewhere has nothing in it.
    let (begin, end) = (format!("<{element}"), format!("</{element}>"));
    let found = page.split(&begin).skip(1).filter_map(|rest| {
        let (_, text) = rest.split_once('>')?;
        text.split(&end).next().filter(|text| !text.is_empty())
    });
    let sources: Vec<_> = found.map(|text| format!("'sha256-{}'", hash(text.as_bytes()))).collect();
    sources.join(" ")
}
