//! The options that choose an agent's policy: `--policy`, and one option for each name of a
//! parameter. They are derived from the descriptions of the built-in policies.

use std::ffi::OsStr;
use std::sync::LazyLock;

use anyhow::anyhow;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use mesh_core::parameter::{Parameter, ParameterKind, ParameterValue, Word};
use mesh_core::routing::{
    BUILT_IN, DEFAULT_POLICY, PolicyDescription, PolicyError, PolicySettings, built_in,
};
use mesh_core::text::find_name;

use super::args::USUAL;

/// The policy of an agent and its parameters, as the command line, the environment and the file
/// name them.
#[derive(Debug)]
pub(crate) struct PolicyArgs {
    policy: &'static PolicyDescription,
    /// The parameters that were set, by name.
    parameters: Vec<(&'static str, ParameterValue)>,
}

/// An option for all parameters of one name. Several policies may have such a parameter.
struct ParameterOption {
    parameter: &'static Parameter,
    /// The names of the policies that have it.
    policies: Vec<&'static str>,
    /// All words that some policy takes, each with the names of the policies that take it.
    words: Vec<(&'static Word, Vec<&'static str>)>,
    /// The policies with another default than the first.
    other_defaults: Vec<(&'static str, ParameterValue)>,
    /// The option's name on the command line, without the dashes before it.
    long: String,
    /// The option's environment variable.
    env: String,
}

/// All options, in the order of the policies.
static OPTIONS: LazyLock<Vec<ParameterOption>> = LazyLock::new(|| {
    let mut options: Vec<ParameterOption> = Vec::new();
    for policy in BUILT_IN {
        for parameter in policy.parameters {
            let known = options.iter_mut().find(|option| option.parameter.name == parameter.name);
            match known {
                Some(option) => option.add(policy.name, parameter),
                None => {
                    let mut option = ParameterOption::new(parameter);
                    option.add(policy.name, parameter);
                    options.push(option);
                }
            }
        }
    }
    options
});

impl ParameterOption {
    fn new(parameter: &'static Parameter) -> Self {
        Self {
            parameter,
            policies: Vec::new(),
            words: Vec::new(),
            other_defaults: Vec::new(),
            long: parameter.option_name(),
            env: format!("MESH_{}", parameter.name.to_uppercase()),
        }
    }

    /// Adds a policy that has the parameter.
    fn add(&mut self, policy: &'static str, parameter: &'static Parameter) {
        self.policies.push(policy);
        if parameter.default_value() != self.parameter.default_value() {
            self.other_defaults.push((policy, parameter.default_value()));
        }
        let ParameterKind::Word { words, .. } = parameter.kind else { return };
        for word in words {
            match self.words.iter_mut().find(|(known, _)| known.name == word.name) {
                Some((_, policies)) => policies.push(policy),
                None => self.words.push((word, vec![policy])),
            }
        }
    }

    fn arg(&'static self) -> Arg {
        let value_name = match self.parameter.kind {
            ParameterKind::Count { .. } => "N",
            ParameterKind::Number { .. } => "X",
            ParameterKind::Word { .. } => "WORD",
            ParameterKind::Formula { .. } => "FORMULA",
        };
        Arg::new(self.parameter.name)
            .long(&*self.long)
            .env(&*self.env)
            .value_name(value_name)
            .value_parser(self.value_parser())
            .help(self.help())
    }

    /// The help: which policies have the parameter, its meaning, its bounds and its default.
    fn help(&self) -> String {
        let bounds = match self.parameter.kind {
            ParameterKind::Count { min, max, .. } => format!(", {min} to {max}"),
            ParameterKind::Formula { quantities, .. } => {
                let names: Vec<&str> = quantities.iter().map(|known| known.name).collect();
                format!(", over {}", names.join(", "))
            }
            ParameterKind::Number { .. } | ParameterKind::Word { .. } => String::new(),
        };
        let mut default = self.parameter.default_value().to_string();
        for (policy, other) in &self.other_defaults {
            default.push_str(&format!("; {policy}: {other}"));
        }
        let meaning = within_sentence(self.parameter.summary);
        format!("{}: {meaning}{bounds} [default: {default}]", self.policies.join(", "))
    }

    fn value_parser(&'static self) -> ValueParser {
        if self.words.is_empty() {
            let parse = |text: &str| self.parameter.parse(text).map_err(|error| error.expected());
            return ValueParser::new(parse);
        }
        let word = |(word, policies): &(&'static Word, Vec<&str>)| {
            let mut meaning = as_help(word.summary);
            if policies.len() < self.policies.len() {
                meaning = format!("{meaning} ({})", policies.join(", "));
            }
            PossibleValue::new(word.name).help(meaning)
        };
        let words = PossibleValuesParser::new(self.words.iter().map(word));
        ValueParser::new(words.map(ParameterValue::Word))
    }
}

/// A sentence in the form of a help text, without a full stop.
fn as_help(sentence: &str) -> String {
    sentence.trim_end_matches('.').to_owned()
}

/// A sentence in the form that can stand after a colon, with a small first letter.
fn within_sentence(sentence: &str) -> String {
    let mut letters = as_help(sentence).chars().collect::<Vec<char>>();
    // An abbreviation such as CPU keeps its capitals.
    if letters.get(1).is_some_and(|second| second.is_lowercase() || *second == ' ') {
        letters[0] = letters[0].to_ascii_lowercase();
    }
    letters.into_iter().collect()
}

/// Takes the names of the built-in policies, as people write them. The upper bounds of simulations,
/// whose names begin with `oracle_`, are refused with the reason.
#[derive(Clone)]
struct PolicyNameParser(PossibleValuesParser);

impl TypedValueParser for PolicyNameParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        if let Some(name) = value.to_str().filter(|name| name.starts_with("oracle_")) {
            let message = format!(
                "{name} is an upper bound: it knows the true state of every machine, \
                 which only a simulation can tell\n"
            );
            return Err(clap::Error::raw(ErrorKind::InvalidValue, message).with_cmd(command));
        }
        let names: Vec<&str> = BUILT_IN.iter().map(|policy| policy.name).collect();
        let name = value.to_str().and_then(|value| find_name(value, &names));
        self.0.parse_ref(command, arg, name.map_or(value, OsStr::new))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

impl Args for PolicyArgs {
    fn augment_args(command: Command) -> Command {
        let name = |policy: &&PolicyDescription| {
            PossibleValue::new(policy.name).help(as_help(policy.summary))
        };
        let policy = Arg::new("policy")
            .long("policy")
            .env("MESH_POLICY")
            .value_name("NAME")
            .value_parser(PolicyNameParser(PossibleValuesParser::new(BUILT_IN.iter().map(name))))
            .default_value(DEFAULT_POLICY.name)
            .help_heading(USUAL)
            .help("The policy that chooses a peer");
        command
            .next_help_heading("How a peer is chosen")
            .arg(policy)
            .args(OPTIONS.iter().map(ParameterOption::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PolicyArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let name = matches.get_one::<String>("policy");
        let policy = name.and_then(|name| built_in(name)).unwrap_or(DEFAULT_POLICY);
        let value = |option: &'static ParameterOption| {
            let name = option.parameter.name;
            matches.get_one::<ParameterValue>(name).map(|value| (name, value.clone()))
        };
        Ok(Self { policy, parameters: OPTIONS.iter().filter_map(value).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl PolicyArgs {
    /// The policy with its parameters.
    pub(crate) fn settings(&self) -> anyhow::Result<PolicySettings> {
        let settings = self.policy.defaults().with(self.parameters.iter().cloned());
        settings.map_err(|error| match error {
            PolicyError::UnknownParameter { policy, parameter } => {
                let option = parameter.replace('_', "-");
                anyhow!("the policy {policy} has no option --{option}")
            }
            error => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use super::*;

    #[test]
    fn parameters_of_one_name_are_one_option() {
        for policy in BUILT_IN {
            for parameter in policy.parameters {
                let option = OPTIONS.iter().find(|option| option.parameter.name == parameter.name);
                let first = option.expect("every parameter has an option").parameter;
                let (policy, name) = (policy.name, parameter.name);
                assert_eq!(first.summary, parameter.summary, "{name} of {policy}");
                match parameter.kind {
                    // clap takes the words of all policies, and the policy refuses the others'. The
                    // help names each default.
                    ParameterKind::Word { .. } => {
                        assert_eq!(discriminant(&first.kind), discriminant(&parameter.kind));
                    }
                    kind => assert_eq!(first.kind, kind, "{name} of {policy}"),
                }
            }
        }
    }

    #[test]
    fn help_says_whom_an_option_is_for() {
        let help = |name: &str| {
            OPTIONS.iter().find(|option| option.parameter.name == name).expect("an option").help()
        };
        let choices = "power_of_two, peak_ewma: how many peers to compare, 1 to 8 [default: 2]";
        assert_eq!(help("choices"), choices);
        assert!(help("signal").ends_with("; gmsr: pool]"), "{}", help("signal"));
        assert_eq!(help("cpu_weight"), "weighted: weight of one percent of CPU [default: 0.7]");
        assert_eq!(within_sentence("CPU percent."), "CPU percent");
    }

    #[test]
    fn upper_bounds_are_refused_with_the_reason() {
        let command = PolicyArgs::augment_args(Command::new("mesh").no_binary_name(true));
        let refused = command.try_get_matches_from(["--policy", "oracle_least_work"]);
        let message = refused.expect_err("no agent knows that").to_string();
        assert!(message.contains("oracle_least_work is an upper bound"), "{message}");
    }

    #[test]
    fn options_of_other_policies_are_refused() {
        let settings = |args: &[&str]| {
            let command = PolicyArgs::augment_args(Command::new("mesh").no_binary_name(true));
            let matches = command.try_get_matches_from(args).expect("known options");
            PolicyArgs::from_arg_matches(&matches).expect("a policy").settings()
        };
        assert_eq!(settings(&[]).unwrap(), DEFAULT_POLICY.defaults());
        let both = ["--policy", "Power-of-Two", "--signal", "own", "--choices", "3"];
        let text = settings(&both).unwrap().to_string();
        assert!(text.starts_with("power_of_two choices=3 signal=own"), "{text}");
        let refused = |args: &[&str]| settings(args).unwrap_err().to_string();
        assert_eq!(
            refused(&["--policy", "random", "--choices", "3"]),
            "the policy random has no option --choices"
        );
        assert_eq!(
            refused(&["--policy", "weighted", "--signal", "own"]),
            "the policy weighted: signal can't be own: expected one of probes, reports"
        );
    }
}
