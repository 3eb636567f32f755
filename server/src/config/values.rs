//! What each setting is set to, and by what: a flag, else the environment, else the default.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, Command};

use super::commands::commands;
use super::settings::{SETTINGS, Setting};

/// Flags and environment as they were given.
#[derive(Debug)]
pub(super) struct Values {
    flags: ArgMatches,
    environment: Vec<(String, String)>,
}

/// One setting's text and where it came from, for messages.
struct Found<'a> {
    text: &'a str,
    /// `QUERY_PORT=x` or `--query-port x`.
    shown: String,
}

impl Values {
    pub(super) fn new(
        arguments: impl IntoIterator<Item = OsString>,
        environment: Vec<(String, String)>,
    ) -> Result<Self, clap::Error> {
        Ok(Self {
            flags: command().try_get_matches_from(arguments)?,
            environment,
        })
    }

    pub(super) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// The subcommand and its own flags, if one was given.
    pub(super) fn command(&self) -> Option<(&str, &ArgMatches)> {
        self.flags.subcommand()
    }

    /// The flag of a setting, before or behind `serve`.
    fn flag(&self, setting: &Setting) -> Option<&String> {
        let serve = self.flags.subcommand_matches("serve");
        let given = serve.and_then(|flags| flags.get_one(setting.name));
        given.or_else(|| self.flags.get_one(setting.name))
    }

    /// `None` where neither a flag nor a variable is given. An empty one is none: that is how Compose and
    /// Kubernetes write "unset".
    fn find(&self, setting: &Setting) -> Option<Found<'_>> {
        if let Some(text) = self.flag(setting) {
            return Some(Found {
                text,
                shown: format!("--{} {text}", setting.flag()),
            });
        }
        let names = std::iter::once(&setting.name).chain(setting.aliases);
        let mut found = names.filter_map(|name| {
            let variable = self
                .environment
                .iter()
                .find(|variable| is_same_name(&variable.0, name));
            variable.filter(|(_, text)| !text.is_empty())
        });
        found.next().map(|(name, text)| Found {
            text,
            shown: format!("{name}={text}"),
        })
    }
}

/// Spring reads `zipkin.query.names-max-age` from `ZIPKIN_QUERY_NAMESMAXAGE` as well as from
/// `ZIPKIN_QUERY_NAMES_MAX_AGE`, in any case; other names are exact.
pub(super) fn is_same_name(given: &str, name: &str) -> bool {
    let squash = |name: &str| name.replace(['_', '-', '.'], "").to_uppercase();
    given == name || (name.starts_with("ZIPKIN_") && squash(given) == squash(name))
}

fn command() -> Command {
    let about = "A Zipkin-compatible tracing server that keeps its promises.";
    let after = "Every setting is also a variable of the environment, named in brackets. A flag wins.";
    let serve = Command::new("serve").about("Runs the server, as no command at all does");
    Command::new("tracehound")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(after)
        .subcommand(serve.args(flags()).after_help(after))
        .subcommands(commands())
        .args(flags())
}

fn flags() -> impl Iterator<Item = Arg> {
    SETTINGS.iter().map(|setting| {
        let default = match setting.default {
            "" => String::new(),
            default => format!(", default {default}"),
        };
        let help = format!("{} [{}{default}]", setting.help, setting.name);
        Arg::new(setting.name)
            .long(setting.flag())
            .value_name("VALUE")
            .allow_hyphen_values(true)
            .help(help)
    })
}

/// Reads settings one after the other and collects what is wrong with them.
pub(super) struct Reader<'a> {
    values: &'a Values,
    mistakes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a Values) -> Self {
        Self {
            values,
            mistakes: Vec::new(),
        }
    }

    /// A setting with a default. After a mistake the default stands in, so that reading goes on.
    pub(super) fn read<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let given = self.optional(name, &parse);
        given.unwrap_or_else(|| match parse(row(name).default) {
            Ok(value) => value,
            Err(error) => panic!("the default of {name} in the table is wrong: {error}"),
        })
    }

    /// A setting without a default.
    pub(super) fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.values.find(row(name))?;
        match parse(found.text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistakes.push(format!("{}: {error}", found.shown));
                None
            }
        }
    }

    /// A setting without a default that may hold a password: a mistake does not repeat it.
    pub(super) fn secret<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.values.find(row(name))?;
        match parse(found.text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistakes.push(format!("{name}: {error}"));
                None
            }
        }
    }

    /// Adds one that concerns more than one setting.
    pub(super) fn mistake(&mut self, mistake: &str) {
        self.mistakes.push(mistake.to_owned());
    }

    /// All variables, for settings that no table can name.
    #[cfg(feature = "kafka")]
    pub(super) fn environment(&self) -> &'a [(String, String)] {
        self.values.environment()
    }

    pub(super) fn into_mistakes(self) -> Vec<String> {
        self.mistakes
    }
}

fn row(name: &str) -> &'static Setting {
    match SETTINGS.iter().find(|setting| setting.name == name) {
        Some(setting) => setting,
        None => panic!("{name} is read but not in the table of settings"),
    }
}

/// What a part makes of variables, and the mistakes in them.
#[cfg(test)]
pub(super) fn read_from<T>(
    environment: &[(&str, &str)],
    read: impl Fn(&mut Reader<'_>) -> T,
) -> (T, Vec<String>) {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let values = match Values::new(["tracehound"].map(Into::into), environment.collect()) {
        Ok(values) => values,
        Err(error) => panic!("a command without flags is one: {error}"),
    };
    let mut reader = Reader::new(&values);
    let config = read(&mut reader);
    (config, reader.into_mistakes())
}
