//! Settings that contradict each other.

/// A setting that does not go with another one. Settings have the names that they have in files, in
/// backticks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}`: {problem}; expected {expected}")]
pub struct Conflict {
    /// Name of the setting to change.
    pub setting: &'static str,
    /// What would go wrong.
    pub problem: &'static str,
    /// The values that would do, in words.
    pub expected: String,
}
