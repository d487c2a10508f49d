//! Reading again what may change while the server runs: the rule files.

use std::sync::Arc;

use bellwire_rules::RuleMode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

use crate::config::Config;
use crate::evaluator::SampleIntake;
use crate::observe::Figures;
use crate::problem::{Code, Problem};
use crate::rule_files;

/// Reads rules again, at `SIGHUP` and when asked.
#[derive(Debug)]
pub(crate) struct Reload {
    rules: Vec<String>,
    mode: RuleMode,
    intake: Arc<SampleIntake>,
    figures: Arc<Figures>,
    /// Held while one is under way: of two the later one counts.
    turn: Mutex<()>,
}

impl Reload {
    pub(crate) fn new(config: &Config, intake: Arc<SampleIntake>, figures: Arc<Figures>) -> Self {
        let (rules, mode) = (config.rules.clone(), config.rule_mode);
        Self { rules, mode, intake, figures, turn: Mutex::new(()) }
    }

    /// All or nothing: where a file is wrong, the rules that there were stay in force. Rules that
    /// did not change keep their state.
    pub(crate) async fn reload(&self) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let result = self.read().await;
        match &result {
            Ok(()) => {
                self.figures.reloads.add(1);
                tracing::info!("The rules were read again.");
            }
            Err(problem) => {
                self.figures.reloads_failed.add(1);
                let reason = problem.detail();
                tracing::error!(
                    reason,
                    "The rules stay as they were: those in the files are wrong."
                );
            }
        }
        result
    }

    async fn read(&self) -> Result<(), Problem> {
        let (patterns, mode) = (self.rules.clone(), self.mode);
        let load = tokio::task::spawn_blocking(move || rule_files::load(&patterns, mode));
        let rules = load.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let rules = rules.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        self.intake.replace(rules).await
    }

    /// Reloads at each `SIGHUP`.
    pub(crate) async fn at_hangups(self: Arc<Self>) {
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => {
                tracing::error!(%error, "SIGHUP cannot be listened to; use POST /-/reload.");
                return;
            }
        };
        while hangups.recv().await.is_some() {
            // What went wrong was told.
            let _ = self.reload().await;
        }
    }
}
