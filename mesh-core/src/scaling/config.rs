//! The settings of a scaler.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::conflict::Conflict;
use crate::duration::{AsText, format_duration};

/// What a set is scaled by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScalingSignal {
    /// By CPU or slots, whichever is busier.
    #[default]
    Larger,
    /// By CPU alone. Agents that wait for models look idle to it.
    Cpu,
    /// By slots alone.
    Slots,
}

/// The settings of a [`Scaler`](super::Scaler).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ScalingConfig {
    /// The set never has fewer agents.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub min: u32,
    /// The set never has more agents, those that start included.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub max: u32,
    /// What the set is scaled by.
    pub signal: ScalingSignal,
    /// The CPU at which agents are as busy as they should be, in percent.
    #[cfg_attr(feature = "schema", schemars(range(min = 1.0, max = 100.0)))]
    pub cpu_target: f64,
    /// The jobs, running and queued, at which agents are as busy as they should be, as a share of
    /// their slots.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.01, max = 100.0)))]
    pub slots_target: f64,
    /// The set grows only if it is busier than it should be by more than this share.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 10.0)))]
    pub tolerance: f64,
    /// The set grows only after it was too busy for this long, and again only after as long.
    #[serde(with = "AsText")]
    pub window: Duration,
    /// It grows already after this long if it is twice as busy as it should be and jobs wait or are
    /// refused.
    #[serde(with = "AsText")]
    pub panic_window: Duration,
    /// The set shrinks only if without one of its agents it would be less busy than this share of
    /// what it should be.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub shrink_below: f64,
    /// It shrinks only after that was so for this long, by one agent, and again only after as long.
    #[serde(with = "AsText")]
    pub calm: Duration,
    /// An older report says nothing.
    #[serde(with = "AsText")]
    pub report_age: Duration,
}

impl Default for ScalingConfig {
    /// 1 to 10 agents, 70 % of CPU or slots, whichever is busier; out after 20 s, in after 5 min.
    fn default() -> Self {
        Self {
            min: 1,
            max: 10,
            signal: ScalingSignal::Larger,
            cpu_target: 70.0,
            slots_target: 0.7,
            tolerance: 0.1,
            window: Duration::from_secs(20),
            panic_window: Duration::from_secs(6),
            shrink_below: 0.8,
            calm: Duration::from_secs(300),
            report_age: Duration::from_secs(30),
        }
    }
}

impl ScalingConfig {
    /// The settings that contradict others, or what agents with so many slots and places in the
    /// queue can report. `None`: any number of slots.
    pub fn conflicts(&self, slots: Option<u32>, queue: u32) -> Vec<Conflict> {
        let mut found = Vec::new();
        let mut conflict = |setting, problem, expected: String| {
            found.push(Conflict { setting, problem, expected });
        };
        if self.min > self.max {
            let expected = format!("{} or more", self.min);
            conflict("max", "it is less than `min`", expected);
        }
        let high = 1.0 + self.tolerance;
        if self.signal == ScalingSignal::Cpu && self.cpu_target * high >= 100.0 {
            let expected = format!("less than {:.0}", 100.0 / high);
            conflict(
                "cpu_target",
                "the CPU never gets beyond it, so the set never grows",
                expected,
            );
        }
        match (self.signal, slots) {
            (ScalingSignal::Slots, None) => conflict(
                "signal",
                "agents take any number of jobs, so no share of their slots is ever taken",
                "\"cpu\", or a limited `concurrency`".to_owned(),
            ),
            (ScalingSignal::Slots | ScalingSignal::Larger, Some(slots)) => {
                let most = (f64::from(slots) + f64::from(queue)) / f64::from(slots.max(1));
                if self.slots_target * high >= most {
                    let expected = format!("less than {:.2}", most / high);
                    let problem = "agents never hold so many jobs, so the set never grows by them";
                    conflict("slots_target", problem, expected);
                }
            }
            _ => {}
        }
        if self.panic_window > self.window {
            let expected = format!("{} or less", format_duration(self.window));
            conflict("panic_window", "it is longer than `window`, so it does nothing", expected);
        }
        if self.calm < self.window {
            let expected = format!("{} or more", format_duration(self.window));
            conflict(
                "calm",
                "a set that shrinks sooner than it grows never comes to rest",
                expected,
            );
        }
        found
    }
}
