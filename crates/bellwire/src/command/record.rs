//! `bellwire record`: what has happened, in a file to be replayed.

mod download;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bellwire_client::Client;
use bellwire_model::Timestamp;
use bellwire_rules::replay::Stretch;
use bellwire_server::{RecordEnd, RecordReader, rule_state_folder, write_record};

use super::stretch::StretchFlags;
use crate::client::ServerFlag;
use crate::output::{self, counted};

const EXAMPLES: &str = "\
Examples:
  bellwire record incident.record --data bellwire-data --from 2h
  bellwire record incident.record --server https://bell.example --token-file admin.key --from 2h
";

/// What `record` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file to write; there must be none.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data directory of a server, be it running or not; without it a server is asked.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "ca", "token_file"])]
    data: Option<PathBuf>,
    #[command(flatten)]
    server: ServerFlag,
    #[command(flatten)]
    stretch: StretchFlags,
}

/// Where what has happened is.
enum Source {
    Folder(PathBuf),
    Server(Client),
}

impl Source {
    fn of(data: Option<PathBuf>, server: ServerFlag) -> Result<Self> {
        data.map_or_else(|| Ok(Self::Server(server.client()?)), |data| Ok(Self::Folder(data)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(data) => write!(f, "{}", data.display()),
            Self::Server(client) => f.write_str(client.server()),
        }
    }
}

/// Writes the file, or leaves none behind.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { file: path, data, server, stretch } = arguments;
    let stretch = stretch.stretch()?;
    let source = Source::of(data, server)?;
    // What was measured is for the server's own user.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot make {}", path.display()))?;
    match write(&source, stretch, (file, &path)) {
        Ok(end) => tell(&path, end),
        Err(error) => {
            let _ = fs::remove_file(&path);
            Err(error.context(format!("nothing was recorded of {source}")))
        }
    }
}

fn write(source: &Source, stretch: Stretch, (file, path): (File, &Path)) -> Result<RecordEnd> {
    let mut sink = BufWriter::new(file);
    let end = match source {
        Source::Folder(data) => write_record(&rule_state_folder(data), stretch, &mut sink)?,
        Source::Server(client) => {
            super::runtime()?.block_on(download::download(client, stretch, &mut sink))?;
            end_of(path)?
        }
    };
    sink.get_ref().sync_all()?;
    Ok(end)
}

/// Reads a record to its end: what has come over the network may be cut, or something else.
fn end_of(path: &Path) -> Result<RecordEnd> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut reader = RecordReader::open(BufReader::new(file), length)?;
    while reader.next_piece()?.is_some() {}
    reader.end().context("a record has an end")
}

fn tell(path: &Path, end: RecordEnd) -> Result<()> {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let ends = Timestamp::from_ms(end.ends_ms).rfc3339();
    if end.broken > 0 {
        let broken = counted(end.broken, "file");
        output::notice(&format!(
            "warning: {broken} of the log is damaged: what came behind is missing"
        ));
    }
    output::line(&format!("{}: until {ends}, {}", path.display(), counted(bytes, "byte")))
}
