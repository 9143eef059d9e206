//! The modifiers: decorators that are off unless the settings switch them on.

use serde::{Deserialize, Serialize};

use super::ejection::{EjectionConfig, OutlierEjection};
use super::hedging::{Hedging, HedgingConfig};
use super::locality::LocalityConfig;
use super::slow_start::{SlowStart, SlowStartConfig};
use super::throttle::{Throttle, ThrottleConfig};
use crate::conflict::Conflict;
use crate::seed::Seed;
use crate::time::Timestamp;

/// The settings of the modifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ModifierConfig {
    /// Which peers are ejected because they fail more often than others.
    #[serde(flatten)]
    pub ejection: EjectionConfig,
    /// When a job is sent to one more peer beside those that have it.
    #[serde(flatten)]
    pub hedging: HedgingConfig,
    /// When an agent refuses delegations, because most of the last ones failed.
    #[serde(flatten)]
    pub throttle: ThrottleConfig,
    /// For how long young peers get fewer jobs.
    #[serde(flatten)]
    pub slow_start: SlowStartConfig,
    /// Whether peers of the own site come first.
    #[serde(flatten)]
    pub locality: LocalityConfig,
}

impl ModifierConfig {
    /// The settings that contradict others of this group.
    pub fn conflicts(&self) -> Vec<Conflict> {
        self.ejection.conflict().into_iter().collect()
    }
}

/// The modifiers of one agent, those that are switched on.
pub(crate) type Modifiers = (
    (Option<Box<OutlierEjection>>, Option<Box<Hedging>>),
    (Option<Box<Throttle>>, Option<Box<SlowStart>>),
);

/// The modifiers that the settings switch on. If all are off, an agent keeps nothing for them.
pub(super) fn modifiers(
    now: Timestamp,
    config: &ModifierConfig,
    seed: &Seed,
) -> Option<Box<Modifiers>> {
    let ejection = OutlierEjection::new(now, &config.ejection).map(Box::new);
    let hedging = Hedging::new(now, &config.hedging).map(Box::new);
    let throttle = Throttle::new(&config.throttle, seed).map(Box::new);
    let slow_start = SlowStart::new(&config.slow_start, seed).map(Box::new);
    let is_on =
        ejection.is_some() || hedging.is_some() || throttle.is_some() || slow_start.is_some();
    is_on.then(|| Box::new(((ejection, hedging), (throttle, slow_start))))
}
