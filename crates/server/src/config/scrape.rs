//! `[[scrape]]`: what is scraped, in Prometheus' words.

use std::ops::Range;

use bellwire_sources::scrape::{Job, JobTable, check_names};
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeValue, ValueDeserializer};

/// The jobs, or what is wrong with one and where.
pub(super) fn read(value: Spanned<DeValue<'_>>) -> Result<Vec<Job>, (Range<usize>, String)> {
    let span = value.span();
    let tables = Vec::<Spanned<JobTable>>::deserialize(ValueDeserializer::from(value));
    let tables = tables.map_err(|error| {
        (error.span().unwrap_or_else(|| span.clone()), error.message().to_owned())
    })?;
    let mut jobs = Vec::new();
    for table in tables {
        let at = table.span();
        jobs.push(table.into_inner().job().map_err(|reason| (at, reason))?);
    }
    check_names(&jobs).map_err(|reason| (span, reason))?;
    Ok(jobs)
}
