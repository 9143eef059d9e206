//! Settings that describe themselves: name, meaning, default, and what they may be.
//!
//! Whoever reads a setting from somewhere (a scenario file and its schema, the command line, the
//! documentation) derives all that it says and checks from its [`Parameter`].

use std::fmt;

/// One setting and what it may be. It never changes: each is a constant beside the code that it is
/// a setting of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in files, in snake case. On a command line it has dashes for underscores.
    pub name: &'static str,
    /// What it means, in one sentence with its unit.
    pub summary: &'static str,
    /// Its type, default and limits.
    pub kind: ParameterKind,
}

/// What a [`Parameter`] may be. Bounds are included.
///
/// Everybody who derives something from parameters matches all kinds, so that the compiler names
/// the places that do not know a new one yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParameterKind {
    /// A whole number.
    Count {
        /// Where nothing is said.
        default: u64,
        /// The least that is allowed.
        min: u64,
        /// The greatest that is allowed.
        max: u64,
    },
    /// A finite number.
    Number {
        /// Where nothing is said.
        default: f64,
        /// The least that is allowed.
        min: f64,
        /// The greatest that is allowed.
        max: f64,
    },
    /// One of some words.
    Word {
        /// Where nothing is said: the name of one of `words`.
        default: &'static str,
        /// All that are allowed.
        words: &'static [Word],
    },
}

/// A word that a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word itself, in snake case.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub summary: &'static str,
}

/// What a parameter is set to.
///
/// Converts from Rust's numbers and texts, so that values can be listed as `("signal", "own".into())`.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// A word.
    Word(String),
}

/// Why a value is none that a parameter may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} can't be {value}: {}", self.expected())]
pub struct ParameterError {
    /// The parameter's name.
    pub name: &'static str,
    /// The value that was given, as text.
    pub value: String,
    /// The values that are allowed, in words.
    pub expected: String,
}

impl ParameterError {
    /// The allowed values, as in "expected a whole number from 1 to 8".
    pub fn expected(&self) -> String {
        format!("expected {}", self.expected)
    }
}

impl Parameter {
    /// Its name as an option of a command line, without the dashes before it.
    pub fn option_name(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The value where nothing is said.
    pub fn default_value(&self) -> ParameterValue {
        match self.kind {
            ParameterKind::Count { default, .. } => default.into(),
            ParameterKind::Number { default, .. } => default.into(),
            ParameterKind::Word { default, .. } => default.into(),
        }
    }

    /// The value as the parameter keeps it: a whole number will do where any number may stand.
    ///
    /// # Errors
    /// If the parameter can't have this value.
    pub fn check(&self, value: ParameterValue) -> Result<ParameterValue, ParameterError> {
        let value = match (self.kind, value) {
            (ParameterKind::Number { .. }, ParameterValue::Count(whole)) => {
                ParameterValue::Number(whole as f64)
            }
            (_, value) => value,
        };
        let fits = match (self.kind, &value) {
            (ParameterKind::Count { min, max, .. }, ParameterValue::Count(count)) => {
                (min..=max).contains(count)
            }
            (ParameterKind::Number { min, max, .. }, ParameterValue::Number(number)) => {
                (min..=max).contains(number)
            }
            (ParameterKind::Word { words, .. }, ParameterValue::Word(found)) => {
                words.iter().any(|word| word.name == found)
            }
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let (value, expected) = (value.to_string(), self.kind.to_string());
        Err(ParameterError { name: self.name, value, expected })
    }

    /// Reads the value from text, as a command line has it.
    ///
    /// # Errors
    /// If it is none that the parameter can have.
    pub fn parse(&self, text: &str) -> Result<ParameterValue, ParameterError> {
        let value = match self.kind {
            ParameterKind::Count { .. } => text.parse().ok().map(ParameterValue::Count),
            ParameterKind::Number { .. } => text.parse().ok().map(ParameterValue::Number),
            ParameterKind::Word { .. } => None,
        };
        self.check(value.unwrap_or_else(|| text.into()))
    }
}

/// The allowed values in words, as in "a whole number from 1 to 8".
impl fmt::Display for ParameterKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { min, max, .. } => write!(out, "a whole number from {min} to {max}"),
            Self::Number { min, max, .. } => write!(out, "a number from {min} to {max}"),
            Self::Word { words, .. } => {
                let words: Vec<&str> = words.iter().map(|word| word.name).collect();
                write!(out, "one of {}", words.join(", "))
            }
        }
    }
}

/// As it is written on a command line.
impl fmt::Display for ParameterValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(out),
            Self::Number(number) => number.fmt(out),
            Self::Word(word) => word.fmt(out),
        }
    }
}

impl From<u64> for ParameterValue {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for ParameterValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for ParameterValue {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

/// A value for each of some parameters, all of them checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterValues {
    parameters: &'static [Parameter],
    /// One for each, in their order.
    values: Vec<ParameterValue>,
}

impl ParameterValues {
    /// The default of each parameter.
    pub fn defaults(parameters: &'static [Parameter]) -> Self {
        let values = parameters.iter().map(Parameter::default_value).collect();
        Self { parameters, values }
    }

    /// Sets the parameter of this name; false if there is none.
    ///
    /// # Errors
    /// If the parameter can't have this value.
    pub fn set(&mut self, name: &str, value: ParameterValue) -> Result<bool, ParameterError> {
        let Some(position) = self.parameters.iter().position(|known| known.name == name) else {
            return Ok(false);
        };
        self.values[position] = self.parameters[position].check(value)?;
        Ok(true)
    }

    /// Every parameter and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Parameter, &ParameterValue)> {
        self.parameters.iter().zip(&self.values)
    }

    /// The value of a whole number.
    ///
    /// # Panics
    /// If `parameter` is none of these or of another kind: a bug of whoever described it.
    pub fn count(&self, parameter: &Parameter) -> u64 {
        match self.get(parameter) {
            ParameterValue::Count(count) => *count,
            other => panic!("{} is no count but {other}", parameter.name),
        }
    }

    /// The value of a number.
    ///
    /// # Panics
    /// As [`Self::count`].
    pub fn number(&self, parameter: &Parameter) -> f64 {
        match self.get(parameter) {
            ParameterValue::Number(number) => *number,
            other => panic!("{} is no number but {other}", parameter.name),
        }
    }

    /// The value of a word.
    ///
    /// # Panics
    /// As [`Self::count`].
    pub fn word(&self, parameter: &Parameter) -> &str {
        match self.get(parameter) {
            ParameterValue::Word(word) => word,
            other => panic!("{} is no word but {other}", parameter.name),
        }
    }

    fn get(&self, parameter: &Parameter) -> &ParameterValue {
        let found = self.iter().find(|(known, _)| known.name == parameter.name);
        found.unwrap_or_else(|| panic!("no parameter {}", parameter.name)).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Parameter = Parameter {
        name: "choices",
        summary: "How many to compare.",
        kind: ParameterKind::Count { default: 2, min: 1, max: 8 },
    };
    const NUMBER: Parameter = Parameter {
        name: "weight",
        summary: "Weight of a percent.",
        kind: ParameterKind::Number { default: 0.5, min: 0.0, max: 10.0 },
    };
    const WORD: Parameter = Parameter {
        name: "signal",
        summary: "Where loads come from.",
        kind: ParameterKind::Word {
            default: "probes",
            words: &[
                Word { name: "probes", summary: "A question." },
                Word { name: "own", summary: "Own calls." },
            ],
        },
    };

    #[test]
    fn values_are_checked_and_read_from_text() {
        assert_eq!(COUNT.parse("8"), Ok(ParameterValue::Count(8)));
        assert_eq!(NUMBER.parse("3"), Ok(3.0.into()), "a whole number is a number");
        assert_eq!(NUMBER.check(ParameterValue::Count(10)), Ok(10.0.into()));
        assert_eq!(WORD.parse("own"), Ok("own".into()));
        let refused = |parameter: Parameter, text| parameter.parse(text).unwrap_err().to_string();
        let expected = "choices can't be 9: expected a whole number from 1 to 8";
        assert_eq!(refused(COUNT, "9"), expected);
        assert_eq!(
            refused(COUNT, "two"),
            "choices can't be two: expected a whole number from 1 to 8"
        );
        assert_eq!(refused(NUMBER, "-0.1"), "weight can't be -0.1: expected a number from 0 to 10");
        assert_eq!(refused(NUMBER, "NaN"), "weight can't be NaN: expected a number from 0 to 10");
        assert_eq!(refused(NUMBER, "inf"), "weight can't be inf: expected a number from 0 to 10");
        assert_eq!(refused(WORD, "gossip"), "signal can't be gossip: expected one of probes, own");
        assert!(COUNT.check(2.5.into()).is_err());
    }

    #[test]
    fn values_start_with_the_defaults() {
        let mut values = ParameterValues::defaults(&[COUNT, NUMBER, WORD]);
        assert_eq!((values.count(&COUNT), values.number(&NUMBER)), (2, 0.5));
        assert_eq!(values.word(&WORD), "probes");
        assert_eq!(values.set("choices", ParameterValue::Count(3)), Ok(true));
        assert_eq!(values.set("delay", ParameterValue::Count(3)), Ok(false));
        assert!(values.set("choices", ParameterValue::Count(0)).is_err());
        let texts: Vec<String> = values.iter().map(|(_, value)| value.to_string()).collect();
        assert_eq!(texts, ["3", "0.5", "probes"]);
    }
}
