//! Makes options of the state machines' settings.
//!
//! A setting's name, sentence, bounds and default stand at its field in mesh-core and nowhere else.
//! The JSON Schema of the type tells them, and from it follow an option, an environment variable
//! and a key of the settings file.

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use mesh_core::agent::config::{AdmissionConfig, DelegationConfig, MembershipConfig};
use mesh_core::conflict::Conflict;
use mesh_core::duration::{DURATION_PATTERN, LONGEST, parse_duration};
use mesh_core::registry::RegistryConfig;
use mesh_core::scaling::ScalingConfig;
use mesh_core::trace::TraceConfig;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A group of settings that belong together: a settings type of mesh-core, with what its schema
/// does not say about its options.
pub(crate) trait SettingsGroup: JsonSchema + DeserializeOwned {
    /// The table of scenarios that holds the group; settings files have it as well.
    const TABLE: Option<&'static str> = None;
    /// The heading above the options in the help; without one they stand among the command's
    /// others.
    const HEADING: Option<&'static str> = None;

    /// The name of the option for the setting `name`, with underscores.
    fn option(name: &str) -> String {
        name.to_owned()
    }

    /// The former name of the option, which is still taken.
    fn alias(_name: &str) -> Option<&'static str> {
        None
    }

    /// The settings of the group that contradict each other.
    fn conflicts(&self) -> Vec<Conflict> {
        Vec::new()
    }
}

impl SettingsGroup for AdmissionConfig {
    const HEADING: Option<&'static str> = Some("Which requests it takes");
}

impl SettingsGroup for DelegationConfig {
    const TABLE: Option<&'static str> = Some("delegation");
    const HEADING: Option<&'static str> = Some("How it delegates");

    fn alias(name: &str) -> Option<&'static str> {
        (name == "max_attempts").then_some("attempts")
    }

    fn conflicts(&self) -> Vec<Conflict> {
        self.conflicts()
    }
}

impl SettingsGroup for MembershipConfig {
    const TABLE: Option<&'static str> = Some("registry");
    const HEADING: Option<&'static str> = Some("How it uses the registry");

    fn option(name: &str) -> String {
        // `timeout` is taken by the timeout of an agent's requests.
        if name == "timeout" { "registry_timeout".to_owned() } else { name.to_owned() }
    }
}

impl SettingsGroup for TraceConfig {}

impl SettingsGroup for RegistryConfig {
    const TABLE: Option<&'static str> = Some("registry");
    const HEADING: Option<&'static str> = Some("How the registry keeps leases");

    fn conflicts(&self) -> Vec<Conflict> {
        self.conflicts()
    }
}

impl SettingsGroup for ScalingConfig {
    const HEADING: Option<&'static str> = Some("When the set grows and shrinks");

    fn conflicts(&self) -> Vec<Conflict> {
        // What its agents can report is checked where they are known.
        self.conflicts(Some(1), u32::MAX)
    }
}

/// The keys of the tables that a settings file shares with scenarios: table, key and option of
/// each.
pub(crate) fn shared_keys() -> Vec<(&'static str, String, String)> {
    let mut keys = keys_of::<DelegationConfig>();
    keys.extend(keys_of::<RegistryConfig>());
    keys.extend(keys_of::<MembershipConfig>());
    keys
}

fn keys_of<G: SettingsGroup>() -> Vec<(&'static str, String, String)> {
    let Some(table) = G::TABLE else { return Vec::new() };
    let settings = settings::<G>().into_iter();
    settings.map(|setting| (table, setting.name.clone(), G::option(&setting.name))).collect()
}

/// A group of settings as options of a command, to be flattened into clap's arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<G>(pub(crate) G);

impl<G: SettingsGroup> Args for Settings<G> {
    fn augment_args(command: Command) -> Command {
        let settings = settings::<G>();
        let own: Vec<String> = settings.iter().map(|setting| setting.name.clone()).collect();
        let options = settings.into_iter().map(|setting| setting.arg::<G>(&own));
        match G::HEADING {
            Some(heading) => command.next_help_heading(heading).args(options),
            None => command.args(options),
        }
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<G: SettingsGroup> FromArgMatches for Settings<G> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = Map::new();
        for setting in settings::<G>() {
            let option = G::option(&setting.name);
            let value = match setting.kind {
                SettingKind::Switch => Some(matches.get_flag(&option).into()),
                _ => matches.get_one::<Value>(&option).cloned(),
            };
            values.extend(value.map(|value| (setting.name, value)));
        }
        let group = G::deserialize(Value::Object(values))
            .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))?;
        match group.conflicts().first() {
            Some(conflict) => {
                let message = format!("{}\n", as_option::<G>(&conflict.to_string()));
                Err(clap::Error::raw(ErrorKind::ArgumentConflict, message))
            }
            None => Ok(Self(group)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What the schema of a group says of one setting.
#[derive(Debug)]
struct Setting {
    name: String,
    sentence: String,
    kind: SettingKind,
    default: Option<String>,
}

impl Setting {
    /// The setting's option. `own` are the names of all settings of the group.
    fn arg<G: SettingsGroup>(self, own: &[String]) -> Arg {
        let option = G::option(&self.name);
        let help = as_options::<G>(&self.sentence, |name| own.iter().any(|own| own == name));
        let arg = Arg::new(option.clone())
            .long(option.replace('_', "-"))
            .env(format!("MESH_{}", option.to_uppercase()))
            .help(help.trim_end_matches('.').to_owned());
        let arg = match G::alias(&self.name) {
            Some(alias) => arg.alias(alias),
            None => arg,
        };
        let value_name = match self.kind {
            SettingKind::Switch => {
                let parser = clap::builder::BoolishValueParser::new();
                return arg.action(ArgAction::SetTrue).value_parser(parser);
            }
            SettingKind::Duration => "TIME",
            SettingKind::Whole { .. } | SettingKind::WholeOr { .. } => "N",
            SettingKind::Number { .. } => "X",
            SettingKind::Words(_) => "WORD",
        };
        let kind = self.kind;
        let parser = ValueParser::new(move |text: &str| kind.read(text));
        let arg = arg.value_name(value_name).value_parser(parser);
        match self.default {
            Some(default) => arg.default_value(default),
            None => arg,
        }
    }
}

/// The values that a setting may have. Bounds are included.
#[derive(Clone, Debug, PartialEq)]
enum SettingKind {
    /// A duration: more than nothing, and at most [`LONGEST`].
    Duration,
    /// A whole number.
    Whole { min: u64, max: u64 },
    /// A whole number or one word.
    WholeOr { word: String, min: u64, max: u64 },
    /// One of these words.
    Words(Vec<String>),
    /// A number.
    Number { min: f64, max: f64 },
    /// A switch, which is off unless it is set.
    Switch,
}

impl SettingKind {
    /// The kind that a schema describes; `None` if no option can have it.
    fn of(schema: &Value) -> Option<Self> {
        if let Some(branches) = schema.get("anyOf").or(schema.get("oneOf")) {
            return Self::of_branches(branches.as_array()?);
        }
        let bound = |keyword: &str| schema.get(keyword);
        let kind = match schema.get("type")?.as_str()? {
            "boolean" => Self::Switch,
            "string" if schema.get("pattern")?.as_str()? == DURATION_PATTERN => Self::Duration,
            "integer" => {
                Self::Whole { min: bound("minimum")?.as_u64()?, max: bound("maximum")?.as_u64()? }
            }
            "number" => {
                Self::Number { min: bound("minimum")?.as_f64()?, max: bound("maximum")?.as_f64()? }
            }
            _ => return None,
        };
        Some(kind)
    }

    /// The kind of a schema with several branches: a number or a word.
    fn of_branches(branches: &[Value]) -> Option<Self> {
        let words = branches.iter().map(|schema| Some(schema.get("const")?.as_str()?.to_owned()));
        if let Some(words) = words.collect() {
            return Some(Self::Words(words));
        }
        let word = branches.iter().find_map(|schema| schema.get("const")?.as_str())?;
        match branches.iter().find_map(Self::of)? {
            Self::Whole { min, max } => Some(Self::WholeOr { word: word.to_owned(), min, max }),
            _ => None,
        }
    }

    /// Parses a value and gives it in the form that serde reads for the group.
    fn read(&self, text: &str) -> Result<Value, String> {
        let whole = |min: u64, max: u64| {
            let number = text.parse().ok().filter(|number| (min..=max).contains(number));
            number.map(Value::from)
        };
        match self {
            Self::Duration => match parse_duration(text) {
                Ok(duration) if duration.is_zero() => Err("expected more than 0s".to_owned()),
                Ok(duration) if duration > LONGEST => {
                    Err(format!("expected at most {}h", LONGEST.as_secs() / 3_600))
                }
                Ok(_) => Ok(text.into()),
                Err(error) => Err(error.to_string()),
            },
            Self::Whole { min, max } => {
                whole(*min, *max).ok_or(format!("expected a number from {min} to {max}"))
            }
            Self::WholeOr { word, .. } if text == word => Ok(text.into()),
            Self::WholeOr { word, min, max } => whole(*min, *max)
                .ok_or(format!("expected a number from {min} to {max}, or \"{word}\"")),
            Self::Words(words) if words.iter().any(|word| word == text) => Ok(text.into()),
            Self::Words(words) => Err(format!("expected {}", words.join(", "))),
            Self::Number { min, max } => {
                let number = text.parse::<f64>().ok().filter(|x| (*min..=*max).contains(x));
                let number = number.map(Value::from);
                number.ok_or(format!("expected a number from {min} to {max}"))
            }
            Self::Switch => unreachable!("clap reads switches"),
        }
    }
}

/// The settings of a group, in the order of its fields.
///
/// # Panics
/// If a setting is of a kind that no option can have. That is a mistake in its type, which every
/// start would show.
fn settings<G: SettingsGroup>() -> Vec<Setting> {
    let generator =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = generator.into_generator().into_root_schema_for::<G>();
    let properties = schema.get("properties").and_then(Value::as_object);
    let setting = |(name, schema): (&String, &Value)| {
        let kind =
            SettingKind::of(schema).unwrap_or_else(|| panic!("no option for {name}: {schema}"));
        let sentence = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let default = match schema.get("default") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(number) => Some(number.to_string()),
        };
        Setting { name: name.clone(), sentence: sentence.replace('\n', " "), kind, default }
    };
    properties.into_iter().flatten().map(setting).collect()
}

/// Replaces the names of settings in a text, which stand in backticks, by their options. Backticks
/// around anything else are dropped.
fn as_options<G: SettingsGroup>(text: &str, is_setting: impl Fn(&str) -> bool) -> String {
    let mut written = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 && is_setting(part) {
            written.push_str("--");
            written.push_str(&G::option(part).replace('_', "-"));
        } else {
            written.push_str(part);
        }
    }
    written
}

/// A text that names settings in backticks, with their options instead.
pub(crate) fn as_option<G: SettingsGroup>(text: &str) -> String {
    as_options::<G>(text, |_| true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory as _, Parser as _};

    use crate::args::{AgentSettings, Cli, Command, USUAL};

    fn agent(args: &[&str]) -> Result<AgentSettings, String> {
        let cli = Cli::try_parse_from([&["mesh", "agent"], args].concat());
        match cli.map_err(|error| error.to_string())?.command {
            Command::Agent(args) => Ok(args.settings),
            other => panic!("an agent, not {other:?}"),
        }
    }

    #[test]
    fn every_kind_of_setting_is_read() {
        let settings = agent(&[
            "--concurrency=unlimited",
            "--attempt-timeout=2s",
            "--attempts=5",
            "--retry-ratio=0.25",
            "--to-self",
            "--registry-timeout=400ms",
            "--timeout=9s",
        ]);
        let settings = settings.expect("they are right");
        assert_eq!(settings.admission.0.concurrency.limit(), None);
        assert_eq!(settings.admission.0.default_timeout, Duration::from_secs(9));
        let delegation = settings.delegation.0;
        assert_eq!(delegation.attempt_timeout, Some(Duration::from_secs(2)));
        assert_eq!((delegation.max_attempts, delegation.retry.ratio), (5, 0.25));
        assert!(delegation.to_self);
        assert_eq!(settings.membership.0.timeout, Duration::from_millis(400));
    }

    #[test]
    fn a_wrong_value_is_told_what_would_be_right() {
        for (option, expected) in [
            ("--concurrency=0", "expected a number from 1 to 1000000, or \"unlimited\""),
            ("--max-attempts=101", "expected a number from 1 to 100"),
            ("--retry-ratio=1.5", "expected a number from 0 to 1"),
            ("--retry-floor=NaN", "expected a number from 0 to 1000000"),
            ("--probe-timeout=0s", "expected more than 0s"),
            ("--probe-timeout=25h", "expected at most 24h"),
            ("--probe-timeout=25", "it needs a unit"),
        ] {
            let error = agent(&[option]).expect_err(option);
            assert!(error.contains(expected), "{option}: {error}");
        }
    }

    #[test]
    fn settings_that_do_not_go_together_are_named_as_options() {
        let error = agent(&["--attempt-timeout=500ms"]).expect_err("it is less than to connect");
        let expected = "error: --attempt-timeout: attempts may end before they are sent; expected \
                        more than --connect-timeout, which is 1s\n";
        assert!(error.starts_with(expected), "{error}");
        let error = agent(&["--max-penalty=1s"]).expect_err("it is less than the first");
        assert!(error.contains("expected --min-penalty, which is 5s, or more"), "{error}");
    }

    #[test]
    fn what_one_needs_stands_first_and_everything_has_a_heading() {
        let usual = [
            ("registry", vec!["listen", "data-dir", "store"]),
            ("agent", vec!["name", "listen", "registry", "policy", "upstream"]),
            ("orchestrate", vec!["registry", "agent", "text", "json", "watch"]),
            ("call", vec!["registry", "timeout", "json"]),
            ("drain", vec!["registry", "cancel"]),
            (
                "autoscale",
                vec![
                    "set",
                    "registry",
                    "out-command",
                    "in-command",
                    "command-timeout",
                    "start-timeout",
                    "interval",
                ],
            ),
            ("up", vec!["agents", "autoscale", "listen", "secure", "text", "policy", "upstream"]),
        ];
        let mut program = Cli::command();
        program.build();
        for (name, expected) in usual {
            let command = program.find_subcommand(name).expect("it is there");
            let options = || command.get_arguments().filter(|arg| !arg.is_positional());
            let bare = options().find(|option| option.get_help_heading().is_none());
            assert!(bare.is_none(), "{name}: {bare:?}");
            let first = options().filter(|option| option.get_help_heading() == Some(USUAL));
            let first: Vec<&str> = first.filter_map(clap::Arg::get_long).collect();
            assert_eq!(first, expected, "{name}");
            let heading = options().next().and_then(clap::Arg::get_help_heading);
            assert_eq!(heading, Some(USUAL), "{name}");
            assert!(command.get_positionals().all(|arg| arg.get_help_heading().is_none()));
        }
    }

    #[test]
    fn the_help_fits_a_terminal_and_each_group_has_a_heading() {
        let mut command = Cli::command();
        let agent = command.find_subcommand_mut("agent").expect("it is there");
        let help = agent.clone().term_width(80).render_long_help().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        let (_, delegation) = help.split_once("How it delegates:").expect("a heading");
        let (delegation, registry) =
            delegation.split_once("How it uses the registry:").expect("a heading");
        assert!(delegation.contains("--min-penalty <TIME>"), "{delegation}");
        assert!(delegation.contains("more than --connect-timeout"), "{delegation}");
        assert!(registry.contains("--registry-timeout <TIME>"), "{registry}");
    }
}
