//! What is scraped, and that it is read again at a reload.

use std::path::PathBuf;
use std::sync::Arc;

use bellwire_alerting::{Also, TakeEffect};
use bellwire_model::Fnv1a;
use bellwire_sources::scrape::Scraper;

use crate::config::Config;
use crate::receiver::Receiver;

/// Has the configuration file say anew what is scraped.
#[derive(Debug)]
pub(crate) struct Scraping {
    pub(crate) scraper: Arc<Scraper>,
    file: Option<PathBuf>,
}

impl Scraping {
    /// Nothing is scraped before [`Scraper::set`] is told what.
    pub(crate) fn new(config: &Config, receiver: Receiver) -> Self {
        // Servers with other labels scrape the same targets at other moments.
        let mut seed = Fnv1a::default();
        seed.write_text(&config.external_labels.to_string());
        seed.write_text(&config.external_url);
        // As webhooks are: where nobody is asked who they are, whoever comes in may do more than that.
        let guarded = (!config.is_open()).then(|| config.webhook_networks());
        let scraper = Scraper::new(Arc::new(receiver), seed.finish(), guarded);
        Self { scraper: Arc::new(scraper), file: config.file.clone() }
    }
}

impl Also for Scraping {
    fn read(&self) -> Result<TakeEffect, String> {
        let jobs = Config::read_scrape(self.file.as_deref()).map_err(|errors| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        let scraper = Arc::clone(&self.scraper);
        Ok(Box::new(move || scraper.set(jobs)))
    }
}
