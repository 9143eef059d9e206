//! Settings of a policy: a built-in policy with its parameters, as configuration names it.

use std::fmt;
use std::str::FromStr;

use super::{
    BUILT_IN, DispatchRule, ParameterConflict, Policy, PolicyDescription, PolicyFactory,
    PolicyNeeds, built_in,
};
use crate::parameter::{ParameterError, ParameterValue, ParameterValues};
use crate::seed::Rng;

/// A built-in policy and a checked value for each of its parameters.
///
/// It is the factory of such policies. As text it is the policy's name, followed by its parameters;
/// a value with spaces stands in double quotes, which no value contains:
///
/// ```
/// use mesh_core::routing::{PolicyFactory, PolicySettings};
///
/// let settings: PolicySettings = "shortest_queue signal=own".parse()?;
/// assert_eq!(settings.name(), "shortest_queue");
/// assert_eq!(settings.to_string(), "shortest_queue signal=own");
/// # Ok::<(), mesh_core::routing::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct PolicySettings {
    description: &'static PolicyDescription,
    values: ParameterValues,
}

/// Why a text or a set of parameters is not a built-in policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No built-in policy has this name.
    #[error("no policy {name}; there are: {}", names().join(", "))]
    UnknownPolicy {
        /// The name.
        name: String,
    },
    /// The policy has no such parameter.
    #[error("the policy {policy} has no parameter {parameter}{}", ParameterHint(.policy))]
    UnknownParameter {
        /// The policy's name.
        policy: &'static str,
        /// The name of the parameter that was set.
        parameter: String,
    },
    /// A parameter can't have the value that was given.
    #[error("the policy {policy}: {source}")]
    Value {
        /// The policy's name.
        policy: &'static str,
        /// Which parameter, and which values it may have.
        source: ParameterError,
    },
    /// The parameters make no sense together.
    #[error("the policy {policy}: {source}")]
    Conflict {
        /// The policy's name.
        policy: &'static str,
        /// What is wrong with them.
        source: ParameterConflict,
    },
    /// A word after the policy's name does not have the form `parameter=value`.
    #[error("expected parameter=value after the policy's name, not {text}")]
    Syntax {
        /// The word.
        text: String,
    },
}

/// The names of all built-in policies.
fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|description| description.name).collect()
}

/// The end of an error message: the parameters that the policy of this name does have.
struct ParameterHint<'a>(&'a str);

impl fmt::Display for ParameterHint<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters = built_in(self.0).map_or(&[][..], |description| description.parameters);
        let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
        if names.is_empty() { Ok(()) } else { write!(out, "; it has {}", names.join(", ")) }
    }
}

impl PolicySettings {
    pub(super) fn defaults(description: &'static PolicyDescription) -> Self {
        Self { description, values: ParameterValues::defaults(description.parameters) }
    }

    /// The same policy with these parameters set, each by its name. Parameters that are not named
    /// keep their values.
    ///
    /// # Errors
    /// If the policy has no such parameter, a parameter can't have such a value, or the parameters
    /// make no sense together.
    pub fn with<N: AsRef<str>>(
        mut self,
        parameters: impl IntoIterator<Item = (N, ParameterValue)>,
    ) -> Result<Self, PolicyError> {
        let policy = self.description.name;
        for (name, value) in parameters {
            let name = name.as_ref();
            let is_known = self
                .values
                .set(name, value)
                .map_err(|source| PolicyError::Value { policy, source })?;
            if !is_known {
                return Err(PolicyError::UnknownParameter { policy, parameter: name.to_owned() });
            }
        }
        match (self.description.conflict)(&self.values) {
            Some(source) => Err(PolicyError::Conflict { policy, source }),
            None => Ok(self),
        }
    }

    /// What the policy says of itself.
    pub fn description(&self) -> &'static PolicyDescription {
        self.description
    }

    /// Its parameters and their values.
    pub fn values(&self) -> &ParameterValues {
        &self.values
    }

    /// The rule of queueing theory that the policy follows, if theory has figures for it.
    pub fn dispatch(&self) -> Option<DispatchRule> {
        (self.description.dispatch)(&self.values)
    }
}

impl PolicyFactory for PolicySettings {
    fn name(&self) -> &str {
        self.description.name
    }

    fn needs(&self) -> PolicyNeeds {
        (self.description.needs)(&self.values)
    }

    fn build(&self, rng: &mut Rng) -> Box<dyn Policy> {
        (self.description.build)(&self.values, rng)
    }

    fn settings(&self) -> Option<&PolicySettings> {
        Some(self)
    }
}

/// Equal if the names and all values are. Descriptions are compared by name, because a built-in
/// policy's name is unique.
impl PartialEq for PolicySettings {
    fn eq(&self, other: &Self) -> bool {
        self.description.name == other.description.name && self.values == other.values
    }
}

impl fmt::Display for PolicySettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.description.name)?;
        self.values.iter().try_for_each(|(parameter, value)| {
            let (name, value) = (parameter.name, value.to_string());
            let quote = if value.contains(' ') { "\"" } else { "" };
            write!(out, " {name}={quote}{value}{quote}")
        })
    }
}

impl fmt::Debug for PolicySettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for PolicySettings {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        // Spaces within quotes separate nothing.
        let mut is_quoted = false;
        let words = text.split(|c: char| {
            is_quoted ^= c == '"';
            c.is_whitespace() && !is_quoted
        });
        let mut words = words.filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        let unknown = || PolicyError::UnknownPolicy { name: name.to_owned() };
        let description = built_in(name).ok_or_else(unknown)?;
        let mut parameters = Vec::new();
        for word in words {
            let pair = word.split_once('=');
            let (name, text) = pair.ok_or_else(|| PolicyError::Syntax { text: word.to_owned() })?;
            let text = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text);
            let known = description.parameters.iter().find(|parameter| parameter.name == name);
            let value = known.map(|parameter| parameter.parse(text)).transpose();
            let policy = description.name;
            let value = value.map_err(|source| PolicyError::Value { policy, source })?;
            // An unknown parameter is kept as text, and `with` refuses it below.
            parameters.push((name, value.unwrap_or_else(|| text.into())));
        }
        description.defaults().with(parameters)
    }
}
