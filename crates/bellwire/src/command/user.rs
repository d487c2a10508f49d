//! `bellwire user`: local users, who have a name and a password.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context, Result, bail};
use bellwire_access::password::{PasswordHash, SALT_BYTES, Username};
use bellwire_model::limits::PASSWORD_BYTES_MAX;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::{Map, Value, json};

use super::token::{gathered, pair};
use crate::output;

/// What `user` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Ask for a password, on the terminal or as standard input, and print the table that the
    /// configuration needs of the user: it has a hash of it.
    Add(Add),
}

#[derive(Debug, clap::Args)]
struct Add {
    /// The name: letters and digits of ASCII and `. _ - @ +`; `{sub}` in rights.
    name: String,
    /// A role that the user has; may be repeated.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<String>,
    /// Who it is.
    #[arg(long, default_value = "")]
    note: String,
    /// A claim, such as `team=payments`: `{claim.team}` in rights; one that is repeated is a list.
    #[arg(long = "claim", value_name = "NAME=TEXT", value_parser = pair)]
    claims: Vec<(String, String)>,
}

/// Makes a user.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Command::Add(Add { name, roles, note, claims }) = &arguments.command;
    let name = Username::read(name)?;
    let password = if io::stdin().is_terminal() { typed(&name)? } else { piped()? };
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).context("the system gives no random numbers")?;
    let hash = PasswordHash::new(&password, salt)?;
    // Texts in quotes are the same in TOML as in JSON.
    output::line(&format!(
        "# For bellwire.toml:\n[[access.user]]\nname = {}\npassword_hash = {}\nroles = {}\n{}note = {}",
        json!(name.as_str()),
        json!(hash.to_string()),
        json!(roles),
        line_of(&gathered(claims)),
        json!(note)
    ))
}

/// The line of the claims, where there are any.
fn line_of(claims: &Map<String, Value>) -> String {
    if claims.is_empty() {
        return String::new();
    }
    let claims = claims.iter().map(|(name, value)| format!("{} = {value}", json!(name)));
    format!("claims = {{ {} }}\n", claims.collect::<Vec<_>>().join(", "))
}

/// All of standard input, without the end of its line.
fn piped() -> Result<String> {
    let mut text = String::new();
    let bytes_max = PASSWORD_BYTES_MAX as u64 + 2;
    io::stdin().take(bytes_max).read_to_string(&mut text).context("cannot read the password")?;
    Ok(without_line_end(text))
}

/// What is typed twice, and not shown.
fn typed(name: &Username) -> Result<String> {
    let hidden = Hidden::begin().context("the terminal would show the password")?;
    let ask = |question: &str| -> Result<String> {
        output::notice(question);
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
        Ok(without_line_end(line))
    };
    let password = ask(&format!("The password of {}, which is not shown:", name.as_str()))?;
    let again = ask("Once more:")?;
    drop(hidden);
    if password != again {
        bail!("these are two passwords");
    }
    Ok(password)
}

fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
