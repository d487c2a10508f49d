//! Reading again what may change while the server runs: the rule files, whom to notify, and what else there
//! is above this crate.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bellwire_rules::RuleMode;
use bellwire_wire::problem::{Code, Problem};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

use crate::desk::Alerting;
use crate::evaluator::SampleIntake;
use crate::figures::Figures;
use crate::notifier;
use crate::rule_files;

/// Reads rules and Alertmanager's configuration again, at `SIGHUP` and when asked.
#[derive(Debug)]
pub struct Reload {
    parts: ReloadParts,
    /// Held while one is under way: of two the later one counts.
    turn: Mutex<()>,
    /// What was wrong, where the last one came to nothing.
    failure: std::sync::Mutex<Option<String>>,
}

/// The signals that ask for a reload, from when they are listened to.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// From now on `SIGHUP` does not end the process. To be called within a runtime, and before
    /// anything is read: what asks meanwhile knows of newer files.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }
}

/// Something else that is read again, together with the rules.
pub trait Also: Send + Sync + std::fmt::Debug {
    /// Reads it, and says what is wrong with it. What is returned has it take effect.
    fn read(&self) -> Result<TakeEffect, String>;
}

/// Has what was read take effect. It is called within a runtime, and cannot fail.
pub type TakeEffect = Box<dyn FnOnce() + Send>;

/// What is read again, and whom it concerns.
#[derive(Debug)]
pub struct ReloadParts {
    /// Patterns of rule files.
    pub rules: Vec<String>,
    /// How rules are evaluated where their group does not say.
    pub mode: RuleMode,
    /// Alertmanager's configuration file.
    pub alertmanager_config: Option<PathBuf>,
    /// Where they are in force. `None`: at another node, and the files are looked at alone.
    pub in_force: Option<InForce>,
    /// What else is read.
    pub also: Arc<dyn Also>,
    /// Where it is counted.
    pub figures: Arc<Figures>,
}

/// Who goes by rules and Alertmanager's configuration.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Who evaluates the rules.
    pub intake: Arc<SampleIntake>,
    /// Who routes alerts.
    pub alerting: Arc<Alerting>,
}

impl Reload {
    /// Whoever reads them is given what takes effect.
    pub fn new(parts: ReloadParts) -> Self {
        Self { parts, turn: Mutex::new(()), failure: std::sync::Mutex::default() }
    }

    /// All or nothing: where a file is wrong, or the desk has no room for a request, everything stays
    /// in force as it was. Rules that did not change keep their state.
    pub async fn reload(&self) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let result = self.read().await;
        let failure = result.as_ref().err().map(|problem| problem.detail().to_owned());
        self.parts.figures.reload_failing.set(failure.is_some().into());
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        match &result {
            Ok(()) => {
                self.parts.figures.reloads.add(1);
                tracing::info!("Rules and notifications were read again.");
            }
            Err(problem) => {
                self.parts.figures.reloads_failed.add(1);
                let reason = problem.detail();
                tracing::error!(reason, "Rules and notifications stay as they were.");
            }
        }
        result
    }

    /// What is wrong with the files where what is in force is older than they are.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self) -> Result<(), Problem> {
        let (patterns, mode) = (self.parts.rules.clone(), self.parts.mode);
        let load = tokio::task::spawn_blocking(move || rule_files::load(&patterns, mode));
        let rules = load.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let rules = rules.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let path = self.parts.alertmanager_config.clone();
        let load = tokio::task::spawn_blocking(move || notifier::load(path.as_deref()));
        let config = load.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let config = config.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let also = Arc::clone(&self.parts.also);
        let read = tokio::task::spawn_blocking(move || also.read());
        let read = read.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let take_effect = read.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        // What may be refused comes first: behind it only the server's end keeps either from
        // taking effect.
        let Some(InForce { intake, alerting }) = &self.parts.in_force else { return Ok(()) };
        let place = alerting.place().await?;
        intake.replace(rules).await?;
        alerting.replace(place, config).await?;
        take_effect();
        Ok(())
    }

    /// Reloads at each `SIGHUP`; `on_reloaded` is told what has come of it.
    pub async fn at(
        self: Arc<Self>,
        mut hangups: Hangups,
        on_reloaded: impl Fn(&Result<(), Problem>) + Send,
    ) {
        while hangups.0.recv().await.is_some() {
            on_reloaded(&self.reload().await);
        }
    }
}
