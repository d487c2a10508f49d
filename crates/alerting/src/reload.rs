//! Reading again what may change while the server runs: the rule files, whom to notify, and what else there
//! is above this crate.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bellwire_alerts::config::Config;
use bellwire_rules::{RuleMode, RuleSet};
use bellwire_wire::problem::{Code, Problem};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, MutexGuard};

use crate::desk::Alerting;
use crate::evaluator::SampleIntake;
use crate::figures::Figures;
use crate::notifier;
use crate::rule_files;
use crate::unanswered::not_done;

/// What was last read of rules and of Alertmanager's configuration, and was right. Whoever begins anew in
/// the same process goes on with it where the files are wrong by then.
#[derive(Clone, Debug, Default)]
pub struct LastRead(Arc<std::sync::Mutex<Option<(RuleSet, Config)>>>);

impl LastRead {
    /// What there is.
    pub fn get(&self) -> Option<(RuleSet, Config)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This was read and is right.
    pub fn set(&self, rules: RuleSet, config: Config) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((rules, config));
    }
}

/// Reads rules and Alertmanager's configuration again, at `SIGHUP` and when asked.
#[derive(Debug)]
pub struct Reload {
    files: Files,
    /// Held while one is under way: of two the later one counts.
    turn: Mutex<()>,
    /// What was wrong, where the last one came to nothing.
    failure: std::sync::Mutex<Option<String>>,
    concerned: std::sync::Mutex<Concerned>,
}

/// Whom it concerns what was read.
#[derive(Clone, Debug)]
pub struct Concerned {
    /// Where rules and Alertmanager's configuration are in force. `None`: at another node, and the files are
    /// looked at alone.
    pub in_force: Option<InForce>,
    /// What else is read.
    pub also: Arc<dyn Also>,
}

/// Nothing is read again while this is there.
#[derive(Debug)]
pub struct Paused<'a> {
    reload: &'a Reload,
    _turn: MutexGuard<'a, ()>,
}

impl Paused<'_> {
    /// Others are concerned from now on. Where they have read the files themselves it is known what is wrong
    /// with these, or that nothing is.
    pub fn concern(&self, concerned: Concerned, failure: Option<Option<String>>) {
        *self.reload.concerned() = concerned;
        if let Some(failure) = failure {
            self.reload.note(failure);
        }
    }
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

/// What is read, and where it is noted.
#[derive(Debug)]
struct Files {
    rules: Vec<String>,
    mode: RuleMode,
    alertmanager_config: Option<PathBuf>,
    last_read: Option<LastRead>,
    figures: Arc<Figures>,
}

/// What is read again, and whom it concerns.
#[derive(Debug)]
pub struct ReloadParts {
    /// Patterns of rule files.
    pub rules: Vec<String>,
    /// How rules are evaluated where their group does not say.
    pub mode: RuleMode,
    /// Alertmanager's configuration file.
    pub alertmanager_config: Option<PathBuf>,
    /// Whom they concern.
    pub concerned: Concerned,
    /// Where what was right is kept for whoever begins anew.
    pub last_read: Option<LastRead>,
    /// What was wrong with the files at the start, where what is in force is older.
    pub failure: Option<String>,
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
        let ReloadParts { rules, mode, alertmanager_config, last_read, figures, .. } = parts;
        let ReloadParts { concerned, failure, .. } = parts;
        let files = Files { rules, mode, alertmanager_config, last_read, figures };
        let concerned = std::sync::Mutex::new(concerned);
        let reload =
            Self { files, turn: Mutex::new(()), failure: std::sync::Mutex::default(), concerned };
        if failure.is_some() {
            reload.note(failure);
        }
        reload
    }

    /// Reads nothing until what is returned is dropped: whom it concerns is about to be another. Blocks while
    /// something is being read, and must not be called on a thread of a runtime.
    pub fn pause(&self) -> Paused<'_> {
        Paused { reload: self, _turn: self.turn.blocking_lock() }
    }

    fn concerned(&self) -> std::sync::MutexGuard<'_, Concerned> {
        self.concerned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come of reading, of which nothing is in force where something is wrong.
    fn note(&self, failure: Option<String>) {
        self.files.figures.reload_failing.set(failure.is_some().into());
        if failure.is_some() {
            self.files.figures.reloads_failed.add(1);
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// All or nothing: where a file is wrong, or the desk has no room for a request, everything stays
    /// in force as it was. Rules that did not change keep their state.
    pub async fn reload(&self) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let result = self.read().await;
        self.note(result.as_ref().err().map(|problem| problem.detail().to_owned()));
        match &result {
            Ok(()) => {
                self.files.figures.reloads.add(1);
                tracing::info!("Rules and notifications were read again.");
            }
            Err(problem) => {
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
        let (patterns, mode) = (self.files.rules.clone(), self.files.mode);
        let load = tokio::task::spawn_blocking(move || rule_files::load(&patterns, mode));
        let rules = load.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let rules = rules.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let path = self.files.alertmanager_config.clone();
        let load = tokio::task::spawn_blocking(move || notifier::load(path.as_deref()));
        let config = load.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let config = config.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let Concerned { in_force, also } = self.concerned().clone();
        let read = tokio::task::spawn_blocking(move || also.read());
        let read = read.await.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        let take_effect = read.map_err(|error| Problem::new(Code::RulesInvalid, error))?;
        // What may be refused comes first: behind it only the server's end keeps either from
        // taking effect.
        let read = self.files.last_read.as_ref();
        let read = read.map(|last_read| (last_read, rules.clone(), config.clone()));
        if let Some(InForce { intake, alerting }) = in_force {
            if intake.is_blocked() || alerting.is_blocked() {
                // Neither would take effect before the journal is back.
                return Err(not_done(
                    "the journal takes nothing of alerts now: reload once it does",
                ));
            }
            let place = alerting.place().await?;
            intake.replace(rules).await?;
            alerting.replace(place, config).await?;
            take_effect();
        }
        if let Some((last_read, rules, config)) = read {
            last_read.set(rules, config);
        }
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
