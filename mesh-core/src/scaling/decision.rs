//! What a scaler decides, and why.

use std::fmt;
use std::time::Duration;

use crate::duration::format_duration;
use crate::protocol::Name;

/// How busy a set is; at 1 it is as busy as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScalingRatios {
    /// By CPU.
    pub cpu: f64,
    /// By slots; `None` if some agents take any number of jobs.
    pub slots: Option<f64>,
    /// The one that decides: the greater of the two, or the one that the settings name.
    pub decisive: f64,
}

/// What to do with a set.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalingAction {
    /// Nothing.
    Hold(HoldReason),
    /// Let these agents take jobs again that are draining, and start so many new ones.
    Grow {
        /// The drains to cancel.
        cancel: Vec<Name>,
        /// How many agents to start.
        start: u32,
        /// Whether the set was too busy for the short window only.
        is_panic: bool,
    },
    /// Drain these agents.
    Shrink {
        /// The agents.
        drain: Vec<Name>,
    },
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// The set is as busy as it should be.
    OnTarget,
    /// It is too busy, but not yet for long enough.
    TooBusyFor(Duration),
    /// It is too busy, and has as many agents as it may have.
    AtMaximum,
    /// It is too busy, but so many agents are starting that it will not be.
    Starting(u32),
    /// It could do without one of its agents, but not yet for long enough.
    IdleFor(Duration),
    /// It could do without one of its agents, and has as few as it may have.
    AtMinimum,
    /// It looks idle, but agents refused jobs, queues grow, agents are starting, or some don't report.
    Uncertain,
    /// No agent has reported lately.
    NoReports,
    /// All agents report the CPU of the same machine, which more agents there would not lower.
    OneMachine,
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnTarget => f.write_str("as busy as it should be"),
            Self::TooBusyFor(time) => write!(f, "too busy, for {} so far", format_duration(*time)),
            Self::AtMaximum => f.write_str("too busy, and at its maximum"),
            Self::Starting(count) => write!(f, "too busy, and {count} are starting"),
            Self::IdleFor(time) => {
                write!(f, "one agent could go, for {} so far", format_duration(*time))
            }
            Self::AtMinimum => f.write_str("idle, and at its minimum"),
            Self::Uncertain => f.write_str(
                "it looks idle, but jobs were refused, queues grow, agents start, or some do not \
                 report",
            ),
            Self::NoReports => f.write_str("no agent has reported lately"),
            Self::OneMachine => f.write_str(
                "all agents report the CPU of one machine, which more agents there do not lower: \
                 measure each agent's own CPU, or scale by slots",
            ),
        }
    }
}

/// What a scaler decides at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingDecision {
    /// How busy the set is; `None` without a fresh report.
    pub ratios: Option<ScalingRatios>,
    /// How many agents the set should have, those that start included and those that drain not.
    pub desired: u32,
    /// What to do for that.
    pub action: ScalingAction,
}

impl fmt::Display for ScalingDecision {
    /// "grow to 6: 1.62 times as busy as it should be (CPU 0.31, slots 1.62); start 2", say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ratios, desired, action } = self;
        match action {
            ScalingAction::Hold(reason) => write!(f, "hold at {desired}: {reason}")?,
            ScalingAction::Grow { is_panic: true, .. } => write!(f, "grow to {desired} at once")?,
            ScalingAction::Grow { .. } => write!(f, "grow to {desired}")?,
            ScalingAction::Shrink { .. } => write!(f, "shrink to {desired}")?,
        }
        if let Some(ScalingRatios { cpu, slots, decisive }) = ratios {
            write!(f, ": {decisive:.2} times as busy as it should be (CPU {cpu:.2}")?;
            match slots {
                Some(slots) => write!(f, ", slots {slots:.2})")?,
                None => f.write_str(")")?,
            }
        }
        match action {
            ScalingAction::Hold(_) => Ok(()),
            ScalingAction::Grow { cancel, start, .. } => {
                if !cancel.is_empty() {
                    write!(f, "; cancel the drain of {}", cancel.join(", "))?;
                }
                if *start > 0 { write!(f, "; start {start}") } else { Ok(()) }
            }
            ScalingAction::Shrink { drain } => write!(f, "; drain {}", drain.join(", ")),
        }
    }
}
