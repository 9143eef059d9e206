//! Skills: what kinds of jobs an agent can do.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::Name;

/// The most skills of one agent.
pub const MAX_SKILLS: usize = 64;
/// The longest skill, in bytes.
pub const MAX_SKILL_BYTES: usize = 64;

/// The skills of an agent, in order of their names, each once.
///
/// A job may demand one of them. Then only agents that have it get the job. A job that demands none
/// may go to any agent. Copies share their memory, and take that of one pointer.
///
/// ```
/// use mesh_core::skills::Skills;
///
/// let skills: Skills = ["summarise", "model:x"].into_iter().collect();
/// assert!(skills.have("model:x") && !skills.have("model:y"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skills(Option<Arc<Box<[Name]>>>);

impl Skills {
    /// No skills.
    pub const NONE: Self = Self(None);

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this skill is among them.
    pub fn have(&self, skill: &str) -> bool {
        self.as_slice().binary_search_by(|known| (**known).cmp(skill)).is_ok()
    }

    /// The skills in order.
    pub fn as_slice(&self) -> &[Name] {
        self.0.as_ref().map_or(&[], |skills| skills)
    }

    /// The first mistake in them; `None` if they are well formed.
    pub fn mistake(&self) -> Option<String> {
        let skills = self.as_slice();
        if skills.len() > MAX_SKILLS {
            return Some(format!("{} skills are too many: at most {MAX_SKILLS}", skills.len()));
        }
        let wrong = skills.iter().find(|skill| !is_skill(skill))?;
        Some(format!(
            "{wrong:?} is no skill: expected 1 to {MAX_SKILL_BYTES} of A-Z a-z 0-9 . _ : / -"
        ))
    }
}

/// Whether a text may be the name of a skill: 1 to 64 of `A-Z a-z 0-9 . _ : / -`.
pub fn is_skill(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    (1..=MAX_SKILL_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

impl<T: Into<Name>> FromIterator<T> for Skills {
    fn from_iter<I: IntoIterator<Item = T>>(skills: I) -> Self {
        let mut skills: Vec<Name> = skills.into_iter().map(Into::into).collect();
        skills.sort_unstable();
        skills.dedup();
        Self((!skills.is_empty()).then(|| Arc::new(skills.into())))
    }
}

impl Serialize for Skills {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_slice())
    }
}

impl<'de> Deserialize<'de> for Skills {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Name>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_are_sorted_and_checked() {
        let skills: Skills = ["b", "a", "b"].into_iter().collect();
        assert_eq!(serde_json::to_string(&skills).unwrap(), r#"["a","b"]"#);
        assert_eq!(serde_json::from_str::<Skills>(r#"["b","a"]"#).unwrap(), skills);
        assert_eq!(skills.mistake(), None);
        for wrong in ["", "two words", "ä", &"x".repeat(65)] {
            assert!([wrong].into_iter().collect::<Skills>().mistake().is_some(), "{wrong}");
        }
        let many: Skills = (0..65).map(|number| number.to_string()).collect();
        assert!(many.mistake().is_some());
        assert!(Skills::default().is_empty() && !Skills::default().have(""));
    }
}
