//! Reading again what may change while the server runs: the rule files, and whom to notify.

use std::path::PathBuf;
use std::sync::Arc;

use bellwire_rules::RuleMode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;

use crate::alerting::Alerting;
use crate::config::Config;
use crate::evaluator::SampleIntake;
use crate::notifier;
use crate::observe::Figures;
use crate::problem::{Code, Problem};
use crate::rule_files;

/// Reads rules and Alertmanager's configuration again, at `SIGHUP` and when asked.
#[derive(Debug)]
pub(crate) struct Reload {
    rules: Vec<String>,
    mode: RuleMode,
    alertmanager_config: Option<PathBuf>,
    intake: Arc<SampleIntake>,
    alerting: Arc<Alerting>,
    figures: Arc<Figures>,
    /// Held while one is under way: of two the later one counts.
    turn: Mutex<()>,
}

impl Reload {
    pub(crate) fn new(
        config: &Config,
        (intake, alerting): (Arc<SampleIntake>, Arc<Alerting>),
        figures: Arc<Figures>,
    ) -> Self {
        let (rules, mode) = (config.rules.clone(), config.rule_mode);
        let alertmanager_config = config.alertmanager_config.clone();
        let turn = Mutex::new(());
        Self { rules, mode, alertmanager_config, intake, alerting, figures, turn }
    }

    /// All or nothing: where a file is wrong, everything stays in force as it was. Rules that did
    /// not change keep their state.
    pub(crate) async fn reload(&self) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let result = self.read().await;
        match &result {
            Ok(()) => {
                self.figures.reloads.add(1);
                tracing::info!("Rules and notifications were read again.");
            }
            Err(problem) => {
                self.figures.reloads_failed.add(1);
                let reason = problem.detail();
                tracing::error!(
                    reason,
                    "Rules and notifications stay as they were: what the files say is wrong."
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
        let path = self.alertmanager_config.clone();
        let load = tokio::task::spawn_blocking(move || notifier::load(path.as_deref()));
        let config = load.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let config = config.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        self.intake.replace(rules).await?;
        self.alerting.replace(config).await
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
