//! A flag for every entry of the server's table of settings.

use std::path::Path;

use anyhow::anyhow;
use bellwire_server::config::{Config, ConfigError, Flags, SETTINGS, Setting};
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
    Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.value_name)
        .help(help)
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
    Config::load(file, |name| std::env::var(name).ok(), &settings.0)
}

/// All errors as one text.
pub(in crate::command) fn refusal(errors: Vec<ConfigError>) -> anyhow::Error {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    anyhow!("the configuration is not valid:\n  {}", errors.join("\n  "))
}
