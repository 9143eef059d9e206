//! Parameters of policies: settings that are described by data, with name, meaning,
//! default and bounds.
//!
//! Scenario files and their schema, the options of the command line and the tables in the
//! documentation all derive what they say and check from the [`Parameter`].

use std::fmt;

use crate::formula::{Formula, FormulaError, Quantity};

/// The description of one setting: its name, its meaning and the values that it may have. Each is a
/// constant beside the code that uses the setting.
///
/// ```
/// use mesh_core::parameter::{Parameter, ParameterKind, ParameterValue};
///
/// const CHOICES: Parameter = Parameter {
///     name: "choices",
///     summary: "How many peers to compare.",
///     kind: ParameterKind::Count { default: 2, min: 1, max: 8 },
/// };
/// assert_eq!(CHOICES.parse("3"), Ok(ParameterValue::Count(3)));
/// let error = CHOICES.parse("9").expect_err("out of bounds");
/// assert_eq!(error.to_string(), "choices can't be 9: expected a whole number from 1 to 8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in files, in snake case. On a command line, dashes take the place of underscores.
    pub name: &'static str,
    /// What it means, in one sentence with its unit.
    pub summary: &'static str,
    /// Its type, default and limits.
    pub kind: ParameterKind,
}

/// The type of a [`Parameter`], with its default and its bounds, which are allowed values
/// themselves.
///
/// Code that derives something from parameters matches all kinds, so that the compiler shows the
/// places that don't know a new kind yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParameterKind {
    /// A whole number.
    Count {
        /// The value of a parameter that is not set.
        default: u64,
        /// The least value that is allowed.
        min: u64,
        /// The greatest value that is allowed.
        max: u64,
    },
    /// A finite number.
    Number {
        /// The value of a parameter that is not set.
        default: f64,
        /// The least value that is allowed.
        min: f64,
        /// The greatest value that is allowed.
        max: f64,
    },
    /// One of a few words.
    Word {
        /// The value of a parameter that is not set: the name of one of `words`.
        default: &'static str,
        /// All words that are allowed.
        words: &'static [Word],
    },
    /// A formula that the user writes.
    Formula {
        /// The formula of a parameter that is not set.
        default: &'static str,
        /// What formulas may name.
        quantities: &'static [Quantity],
    },
}

/// A word that a parameter may have as its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// The word itself, in snake case.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub summary: &'static str,
}

/// The value of a parameter.
///
/// Rust's numbers and texts convert into it, so that code can list `("signal", "own".into())`.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterValue {
    /// A whole number.
    Count(u64),
    /// A number.
    Number(f64),
    /// A word, or the text of a formula that was not read yet.
    Word(String),
    /// A formula.
    Formula(Formula),
}

/// A value that a parameter can't have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} can't be {value}: {}", self.expected())]
pub struct ParameterError {
    /// The parameter's name.
    pub name: &'static str,
    /// The value that was given, as text.
    pub value: String,
    /// The values that are allowed, in words.
    pub expected: String,
    /// What is wrong with a formula, and where.
    pub formula: Option<Box<FormulaError>>,
}

impl ParameterError {
    /// The allowed values, as in "expected a whole number from 1 to 8".
    pub fn expected(&self) -> String {
        match &self.formula {
            Some(error) => error.to_string(),
            None => format!("expected {}", self.expected),
        }
    }
}

impl Parameter {
    /// Its name as an option of a command line, without the dashes before it.
    pub fn option_name(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The value of a parameter that is not set.
    ///
    /// # Panics
    /// If the default of a formula is not a formula: a bug in the code that described it.
    pub fn default_value(&self) -> ParameterValue {
        match self.kind {
            ParameterKind::Count { default, .. } => default.into(),
            ParameterKind::Number { default, .. } => default.into(),
            ParameterKind::Word { default, .. } => default.into(),
            ParameterKind::Formula { default, quantities } => {
                let formula = Formula::parse(default, quantities);
                ParameterValue::Formula(formula.unwrap_or_else(|error| {
                    panic!("the default of {} is no formula: {error}", self.name)
                }))
            }
        }
    }

    /// Checks a value, and gives it back in the parameter's own type: a whole number is accepted
    /// for a number and becomes one, and the text of a formula becomes that formula.
    ///
    /// # Errors
    /// If the parameter can't have this value.
    pub fn check(&self, value: ParameterValue) -> Result<ParameterValue, ParameterError> {
        let value = match (self.kind, value) {
            (ParameterKind::Number { .. }, ParameterValue::Count(whole)) => {
                ParameterValue::Number(whole as f64)
            }
            (ParameterKind::Formula { quantities, .. }, ParameterValue::Word(text)) => {
                let read = Formula::parse(&text, quantities).map(ParameterValue::Formula);
                return read.map_err(|error| self.error(text, Some(error)));
            }
            // It may have been read with other quantities.
            (ParameterKind::Formula { .. }, ParameterValue::Formula(formula)) => {
                return self.check(ParameterValue::Word(formula.as_str().to_owned()));
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
            // A value of another type.
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        Err(self.error(value.to_string(), None))
    }

    fn error(&self, value: String, formula: Option<FormulaError>) -> ParameterError {
        let (expected, formula) = (self.kind.to_string(), formula.map(Box::new));
        ParameterError { name: self.name, value, expected, formula }
    }

    /// Reads a value from text, as a command line has it.
    ///
    /// # Errors
    /// If the parameter can't have this value.
    pub fn parse(&self, text: &str) -> Result<ParameterValue, ParameterError> {
        let value = match self.kind {
            ParameterKind::Count { .. } => text.parse().ok().map(ParameterValue::Count),
            ParameterKind::Number { .. } => text.parse().ok().map(ParameterValue::Number),
            ParameterKind::Word { .. } | ParameterKind::Formula { .. } => None,
        };
        // Text that is not a number stays a word, which `check` then refuses with the right
        // message.
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
            Self::Formula { quantities, .. } => {
                let names: Vec<&str> = quantities.iter().map(|known| known.name).collect();
                write!(out, "a formula over {}", names.join(", "))
            }
        }
    }
}

/// The value as a command line has it.
impl fmt::Display for ParameterValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(out),
            Self::Number(number) => number.fmt(out),
            Self::Word(word) => word.fmt(out),
            Self::Formula(formula) => formula.as_str().fmt(out),
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

/// The values of a list of parameters, all of them checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterValues {
    parameters: &'static [Parameter],
    /// One value for each parameter, in the same order.
    values: Vec<ParameterValue>,
}

impl ParameterValues {
    /// The default of each parameter.
    pub fn defaults(parameters: &'static [Parameter]) -> Self {
        let values = parameters.iter().map(Parameter::default_value).collect();
        Self { parameters, values }
    }

    /// Sets the parameter of this name; false if there is no such parameter.
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

    /// The value of a parameter that is a whole number.
    ///
    /// # Panics
    /// If `parameter` is not in the list or of another kind: a bug in the code that described it.
    pub fn count(&self, parameter: &Parameter) -> u64 {
        match self.get(parameter) {
            ParameterValue::Count(count) => *count,
            other => panic!("{} is not a count but {other}", parameter.name),
        }
    }

    /// The value of a parameter that is a number.
    ///
    /// # Panics
    /// As [`Self::count`].
    pub fn number(&self, parameter: &Parameter) -> f64 {
        match self.get(parameter) {
            ParameterValue::Number(number) => *number,
            other => panic!("{} is not a number but {other}", parameter.name),
        }
    }

    /// The value of a parameter that is a word.
    ///
    /// # Panics
    /// As [`Self::count`].
    pub fn word(&self, parameter: &Parameter) -> &str {
        match self.get(parameter) {
            ParameterValue::Word(word) => word,
            other => panic!("{} is not a word but {other}", parameter.name),
        }
    }

    /// The value of a parameter that is a formula.
    ///
    /// # Panics
    /// As [`Self::count`].
    pub fn formula(&self, parameter: &Parameter) -> &Formula {
        match self.get(parameter) {
            ParameterValue::Formula(formula) => formula,
            other => panic!("{} is not a formula but {other}", parameter.name),
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
