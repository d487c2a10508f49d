//! What rule files and Alertmanager's configuration say, and said last where they are wrong by now.

use bellwire_alerting::{LastRead, load_alertmanager_config};
use bellwire_rules::RuleSet;

use super::StartError;
use super::cluster::Succession;
use crate::config::Config;

/// What they say.
pub(super) type Files = (RuleSet, bellwire_alerts::config::Config);

/// The same as it is to be in force, and what is wrong with the files where that is older.
type Read = (Files, Option<String>);

/// Where what files said is kept for whoever comes after a server: where one may.
pub(super) fn kept(config: &Config, succession: &Succession) -> Option<LastRead> {
    config.cluster.engine.is_some().then(|| succession.last_read.clone())
}

/// Reads them. A server that has served goes on with what was right: it is not to end because of what a reload
/// would have refused.
pub(super) fn read_again(config: &Config, succession: &Succession) -> Result<Read, StartError> {
    let kept = kept(config, succession);
    match (read(config), kept.as_ref().and_then(LastRead::get)) {
        (Ok((rules, alertmanager)), _) => {
            if let Some(kept) = &kept {
                kept.set(rules.clone(), alertmanager.clone());
            }
            Ok(((rules, alertmanager), None))
        }
        (Err(error), Some(files)) => {
            let reason = error.to_string();
            tracing::error!(reason, "Rules and notifications stay as they were.");
            Ok((files, Some(reason)))
        }
        (Err(error), None) => Err(error),
    }
}

fn read(config: &Config) -> Result<Files, StartError> {
    let rules = bellwire_alerting::load_rules(&config.rules, config.rule_mode)?;
    Ok((rules, load_alertmanager_config(config.alertmanager_config.as_deref())?))
}
