//! `bellwire record`: what has happened, in a file to be replayed.

use std::fs::{self, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bellwire_model::Timestamp;
use bellwire_server::{RecordEnd, rule_state_folder, write_record};

use super::stretch::StretchFlags;
use crate::output::{self, counted};

/// What `record` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to write; there must be none.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data directory of a server, be it running or not.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    stretch: StretchFlags,
}

/// Writes the file, or leaves none behind.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { file: path, data, stretch } = arguments;
    let stretch = stretch.stretch()?;
    let shown = path.display();
    // What was measured is for the server's own user.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.with_context(|| format!("cannot make {shown}"))?;
    let mut sink = BufWriter::new(file);
    let written = write_record(&rule_state_folder(data), stretch, &mut sink);
    let synced = written.map_err(anyhow::Error::from).and_then(|end| {
        sink.get_ref().sync_all()?;
        Ok(end)
    });
    match synced {
        Ok(end) => tell(path, end),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error.context(format!("nothing was recorded of {}", data.display())))
        }
    }
}

fn tell(path: &std::path::Path, end: RecordEnd) -> Result<()> {
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
