//! `--teams`: three teams that see their own sites, each with a login, and an operator who sees all.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwire_access::key::NewKey;
use bellwire_access::password::{PasswordHash, SALT_BYTES};
use serde_json::json;

/// The roles, as `examples` has them.
const ROLES: &str = include_str!("../../../../../examples/teams.toml");
const FILE: &str = "teams.toml";

/// Who there is: a name, the name of the role, and the sites.
const PEOPLE: [(&str, &str, &[&str]); 4] = [
    ("north", "team", &["oslo", "bergen", "gothenburg", "tallinn"]),
    ("west", "team", &["rotterdam", "cork", "porto"]),
    ("south", "team", &["lyon", "trieste", "gdansk"]),
    ("operator", "admin", &[]),
];

/// Letters of a password: none of them looks like another.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 60 bits: more than anybody guesses while a demo runs.
const PASSWORD_LETTERS: usize = 12;

/// Who logs in, and what the demo's own sensors show.
#[derive(Debug)]
pub(super) struct Teams {
    /// The configuration, in the data folder.
    pub(super) config: PathBuf,
    /// The key of the sensors.
    pub(super) key: String,
    /// Each name with its password.
    logins: Vec<(&'static str, String)>,
}

impl Teams {
    /// Draws passwords and a key, which count until the next start, and writes the configuration that
    /// has their hashes.
    pub(super) fn make(data: &Path) -> Result<Self> {
        let key = NewKey::make(drawn()?);
        let mut text = format!(
            "# Written by `bellwire demo --teams`, anew at each start.\n\n{ROLES}\n[[access.key]]\n\
             id = {}\nhash = {}\nsubject = \"sensors\"\nroles = [\"gateway\"]\nnote = \"\"\n",
            json!(key.id()),
            json!(key.hash()),
        );
        let mut logins = Vec::with_capacity(PEOPLE.len());
        for (name, role, sites) in PEOPLE {
            let password = password()?;
            let hash = PasswordHash::new(&password, drawn::<SALT_BYTES>()?)?;
            write!(
                text,
                "\n[[access.user]]\nname = {}\npassword_hash = {}\nroles = {}\n",
                json!(name),
                json!(hash.to_string()),
                json!([role]),
            )?;
            if !sites.is_empty() {
                writeln!(text, "claims = {{ site = {} }}", json!(sites))?;
            }
            logins.push((name, password));
        }
        let config = data.join(FILE);
        write_private(&config, &text)
            .with_context(|| format!("cannot write {}", config.display()))?;
        Ok(Self { config, key: key.text().to_owned(), logins })
    }

    /// How to log in, for whoever starts the demo.
    pub(super) fn welcome(&self) -> String {
        let mut text = String::from("Log in as one of these; each team sees its own sites:\n");
        for ((name, password), (_, _, sites)) in self.logins.iter().zip(PEOPLE) {
            let sites = if sites.is_empty() { "everything".into() } else { sites.join(", ") };
            writeln!(text, "  {name:<10}{password}   {sites}").expect("a string takes all");
        }
        text
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;

    let new = path.with_extension("toml.new");
    let _ = fs::remove_file(&new);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&new, path)
}

fn password() -> Result<String> {
    let bytes: [u8; PASSWORD_LETTERS] = drawn()?;
    let letters = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(letters.collect())
}

fn drawn<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes)
}
