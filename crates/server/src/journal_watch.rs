//! Looks at the journal's health and says when it changes: in the log, in a figure, and to clients.

use std::sync::Arc;

use bellwire_journal::Journal;
use bellwire_model::limits::JOURNAL_LOOK_INTERVAL;
use bellwire_model::with_causes;
use bellwire_process::clock;

use crate::observe::Figures;
use crate::outages::Outages;

/// Looks again and again.
pub(crate) async fn watch(journal: Arc<dyn Journal>, figures: Arc<Figures>, mut outages: Outages) {
    let mut interval = tokio::time::interval(JOURNAL_LOOK_INTERVAL);
    let (mut told, mut damaged_told, mut blocks_told) = (None, 0, 0);
    loop {
        interval.tick().await;
        let failure = journal.health().err().map(|error| with_causes(&error));
        let damaged = journal.damaged();
        figures.journal.damaged.set(damaged);
        if damaged > damaged_told {
            tracing::error!(
                damaged,
                "Events of the journal are damaged; who follows them gets a gap. \
                 `bellwire repair` keeps what is whole."
            );
            damaged_told = damaged;
        }
        let blocks = journal.damaged_blocks();
        figures.journal.damaged_blocks.set(blocks);
        if blocks > blocks_told {
            tracing::error!(
                blocks,
                "Blocks of events of the journal are damaged: retention leaves them as they are. \
                 `bellwire repair` keeps what is whole."
            );
            blocks_told = blocks;
        }
        figures.journal.failing.set(failure.is_some().into());
        outages.look(&*journal, clock::uptime());
        if failure != told {
            if let Some(error) = &failure {
                tracing::error!(%error, "The journal takes no events.");
            } else {
                tracing::info!("The journal takes events again.");
            }
            told = failure;
        }
    }
}
