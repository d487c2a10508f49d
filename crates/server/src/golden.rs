//! Tables of the reference documentation, held against the tables of the code.
//!
//! A table stands in a Markdown file between `<!-- name -->` and `<!-- /name -->`; the prose
//! around it is written by hand. With [`BLESS`] set, a test writes its table instead.

use std::path::{Path, PathBuf};

/// The variable that makes tests write what they would compare.
const BLESS: &str = "BELLWIRE_BLESS";

/// Panics unless the table `name` of `file`, named from the workspace's root, is `rendered`.
pub(crate) fn check(file: &str, name: &str, rendered: &str) {
    let (path, text) = (path(file), read(file));
    let (opening, closing) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&opening).expect("the file has the table's opening mark");
    let (table, after) = rest.split_once(&closing).expect("the file has the table's closing mark");
    if std::env::var_os(BLESS).is_some() {
        let written = format!("{before}{opening}{rendered}{closing}{after}");
        std::fs::write(&path, written).expect(file);
    } else if table != rendered {
        panic!(
            "the table `{name}` of {file} is not what the code says;\n\
             `{BLESS}=1 cargo test -p bellwire-server` writes it anew:\n{rendered}"
        );
    }
}

/// What is in a file, named from the workspace's root.
pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).expect(file)
}

fn path(file: &str) -> PathBuf {
    // Asked when it runs, not when it was built: checkouts may share a target directory.
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&crate_folder).join("../..").join(file)
}

/// A table of Markdown.
pub(crate) fn table<const COLUMNS: usize>(
    heads: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&heads.map(ToOwned::to_owned));
    text.push_str(&line(&heads.map(|_| "---".to_owned())));
    for row in rows {
        // A bar within a cell would begin the next one.
        text.push_str(&line(&row.map(|cell| cell.replace('|', "\\|"))));
    }
    text
}
