//! Settings that contradict each other.

/// A setting whose value does not fit that of another setting. The texts name settings as files do,
/// in backticks.
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
