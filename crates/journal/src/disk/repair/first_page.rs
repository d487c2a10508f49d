//! The first page of a database tells where its tables are. Where it is lost, that of a new one does
//! as well: the tables of every journal were made in the same order, so that each begins where it
//! begins in every other. Records are the exception in a file from before format 3; there whoever
//! reads meets pages of another kind, and what has no right checksum is not taken.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Error;
use crate::disk::schema;

/// SQLite's, as every journal has been made with.
const PAGE_BYTES: usize = 4096;
/// Where the header tells how many pages there are.
const PAGES_AT: usize = 28;

/// Gives the database at `file` the first page of a new one, which is made in `scratch`. Where there
/// is no database this is all of it, so that the write-ahead file beside it is read.
pub(super) fn replace(file: &Path, scratch: &Path) -> Result<(), Error> {
    let template = scratch.join("template");
    drop(schema::open_to_write(&template)?);
    let replace = || {
        let mut page = fs::read(&template)?;
        page.truncate(PAGE_BYTES);
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(file);
        let options = options?;
        let pages = (options.metadata()?.len() as usize).div_ceil(PAGE_BYTES).max(1);
        let pages = u32::try_from(pages).map_err(io::Error::other)?;
        page[PAGES_AT..PAGES_AT + 4].copy_from_slice(&pages.to_be_bytes());
        options.write_all_at(&page, 0)?;
        fs::remove_file(&template)
    };
    replace().map_err(|error| Error::open(file, error))
}
