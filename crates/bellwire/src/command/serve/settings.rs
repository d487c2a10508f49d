//! A flag for every entry of the server's table of settings.

use std::path::Path;

use anyhow::anyhow;
use bellwire_server::config::{
    Config, ConfigError, Flags, SETTINGS, Setting, UnknownVariable, unknown_variables,
};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// The settings given as flags.
#[derive(Clone, Debug, Default)]
pub(in crate::command) struct SettingFlags(Flags);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let default = if setting.default.is_empty() { "none" } else { setting.default };
    let help = format!("{} [default: {default}] [env: {}]", setting.help, setting.variable());
    let arg = Arg::new(setting.key);
    let arg = if setting.is_switch() {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        arg
    };
    arg.long(setting.flag())
        .value_name(setting.value_name)
        .help(help)
        .help_heading(setting.group.heading())
        .action(if setting.is_list { ArgAction::Append } else { ArgAction::Set })
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let values = |key| matches.get_many::<String>(key).map(|values| values.cloned().collect());
        let given = SETTINGS.iter().filter_map(|setting| Some((setting.key, values(setting.key)?)));
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.extend(Self::from_arg_matches(matches)?.0);
        Ok(())
    }
}

/// The configuration of all layers, or everything that is wrong with it.
pub(in crate::command) fn load(
    file: Option<&Path>,
    settings: &SettingFlags,
) -> Result<Config, Vec<ConfigError>> {
    let loaded = Config::load(file, |name| std::env::var(name).ok(), &settings.0);
    let unreadable = SETTINGS
        .iter()
        .map(Setting::variable)
        .filter(|name| matches!(std::env::var(name), Err(std::env::VarError::NotUnicode(_))));
    let unreadable = unreadable
        .map(|place| ConfigError { place, reason: "its value is not valid UTF-8".to_owned() });
    // A slip is a setting that somebody relies on, and does not have.
    let slips = variables().into_iter().filter(|unknown| unknown.meant.is_some());
    let slips = slips.map(|unknown| ConfigError::from(&unknown));
    let slips: Vec<ConfigError> = slips.chain(unreadable).collect();
    match loaded {
        Ok(config) if slips.is_empty() => Ok(config),
        loaded => Err(loaded.err().into_iter().flatten().chain(slips).collect()),
    }
}

/// Variables that look like ours, and mean nothing here: a sentence of each.
pub(in crate::command) fn passed_over() -> Vec<String> {
    let passed_over = variables().into_iter().filter(|unknown| unknown.meant.is_none());
    let told = |UnknownVariable { name, .. }| format!("there is no variable {name} among ours");
    passed_over.map(told).collect()
}

fn variables() -> Vec<UnknownVariable> {
    unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))
}

/// All errors as one text.
pub(in crate::command) fn refusal(errors: Vec<ConfigError>) -> anyhow::Error {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    anyhow!("the configuration is not valid:\n  {}", errors.join("\n  "))
}
