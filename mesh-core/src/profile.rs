//! Profiles: what an agent says of itself that stays the same while it runs.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::protocol::Name;
use crate::skills::Skills;

/// The longest name of a site, in bytes.
pub const MAX_SITE_BYTES: usize = 64;

/// What an agent can do, how much of it, and where it lives. The agent tells the registry, which
/// lists it with the lease.
///
/// Copies share their memory, and take that of one pointer; an agent that says nothing takes none.
///
/// ```
/// use mesh_core::profile::{Profile, Weight};
/// use mesh_core::skills::Skills;
///
/// let weight = Weight::new(2.5).expect("from 0.01 to 100");
/// let profile = Profile::new(Skills::default(), weight, Some("eu".into()));
/// assert_eq!((profile.weight(), profile.site().map(|site| &**site)), (weight, Some("eu")));
/// assert_eq!(Profile::default().weight(), Weight::ONE);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile(Option<Arc<ProfileFields>>);

#[derive(Debug, PartialEq, Eq)]
struct ProfileFields {
    skills: Skills,
    weight: Weight,
    site: Option<Name>,
}

/// The skills of a profile that says nothing.
static NO_SKILLS: Skills = Skills::NONE;

impl Profile {
    /// The profile of an agent with these skills and this weight, which lives at this site.
    pub fn new(skills: Skills, weight: Weight, site: Option<Name>) -> Self {
        let says_nothing = skills.is_empty() && weight == Weight::ONE && site.is_none();
        Self((!says_nothing).then(|| Arc::new(ProfileFields { skills, weight, site })))
    }

    /// The kinds of jobs that the agent can do.
    pub fn skills(&self) -> &Skills {
        self.0.as_ref().map_or(&NO_SKILLS, |fields| &fields.skills)
    }

    /// How much work the agent can do.
    pub fn weight(&self) -> Weight {
        self.0.as_ref().map_or(Weight::ONE, |fields| fields.weight)
    }

    /// Where the agent lives: agents of one site are near to each other. `None`: it does not say.
    pub fn site(&self) -> Option<&Name> {
        self.0.as_ref().and_then(|fields| fields.site.as_ref())
    }

    /// The first mistake in it; `None` if it is well formed.
    pub fn mistake(&self) -> Option<String> {
        let site = self.site().filter(|site| !is_site(site));
        let site = site.map(|site| format!("{site:?} is no site: expected {SITE_PATTERN}"));
        self.skills().mistake().or(site)
    }
}

impl From<Skills> for Profile {
    /// The profile of an agent that says nothing but its skills.
    fn from(skills: Skills) -> Self {
        Self::new(skills, Weight::ONE, None)
    }
}

/// What the name of a site looks like, in words.
pub const SITE_PATTERN: &str = "1 to 64 of A-Z a-z 0-9 . _ -";

/// Whether a text may be the name of a site: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn is_site(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_SITE_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// How much work an agent can do, relative to other agents: one of weight 2 can do twice as much as
/// one of weight 1, which is the default.
///
/// It is a number from 0.01 to 100, in hundredths, so that sums of weights are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u16);

/// Hundredths of 1.
const UNIT: u16 = 100;

impl Weight {
    /// The weight of an agent that does not say one.
    pub const ONE: Self = Self(UNIT);
    /// The least weight: 0.01.
    pub const LEAST: Self = Self(1);
    /// The greatest weight: 100.
    pub const GREATEST: Self = Self(100 * UNIT);

    /// This weight, rounded to hundredths; `None` if it is not a number from 0.01 to 100.
    pub fn new(weight: f64) -> Option<Self> {
        let is_in_bounds = (Self::LEAST.get()..=Self::GREATEST.get()).contains(&weight);
        is_in_bounds.then(|| Self((weight * f64::from(UNIT)).round() as u16))
    }

    /// This many hundredths, as [`Self::hundredths`] gives them.
    pub(crate) const fn of_hundredths(hundredths: u16) -> Self {
        Self(hundredths)
    }

    /// The weight as a number.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(UNIT)
    }

    /// The weight in hundredths: 1 to 10,000.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(out)
    }
}

impl Serialize for Weight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weight = f64::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format!("{weight} is no weight: expected 0.01 to 100"));
        Self::new(weight).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_bounded_and_exact_to_a_hundredth() {
        let read = serde_json::from_str::<Weight>;
        for (json, hundredths) in [("1", 100), ("0.01", 1), ("100", 10_000), ("0.333", 33)] {
            let weight = read(json).unwrap();
            assert_eq!(weight.hundredths(), hundredths);
            let written = serde_json::to_string(&weight).unwrap();
            assert_eq!(serde_json::from_str::<Weight>(&written).unwrap(), weight);
        }
        for json in ["0", "0.0099", "100.01", "-1", "1e300", "null", "\"2\""] {
            assert!(read(json).is_err(), "{json}");
        }
        assert_eq!(Weight::new(f64::NAN), None);
    }

    #[test]
    fn a_profile_that_says_nothing_takes_one_pointer() {
        assert_eq!(size_of::<Profile>(), size_of::<usize>());
        assert_eq!(Profile::from(Skills::default()), Profile::default());
        let profile = |site: &str| Profile::new(Skills::default(), Weight::ONE, Some(site.into()));
        assert_eq!(profile("eu-1.a_b").mistake(), None);
        for site in ["", "two words", "ä", &"x".repeat(65)] {
            assert!(profile(site).mistake().is_some(), "{site}");
        }
    }
}
