//! The decision to scale: when a set of agents grows, and when it shrinks.
//!
//! A [`Scaler`] is told now and then what the agents of its set report, and says what to do. It
//! starts and ends no agents itself: whoever owns it does, and marks those that are to end as
//! draining, so that they finish their jobs first.
//!
//! # How busy a set is
//!
//! CPU alone is the wrong signal for agents, because they wait for models and tools more than they
//! compute. So the ratio is the greater of two:
//!
//! - the mean CPU of the agents, over [`cpu_target`](ScalingConfig::cpu_target);
//! - their jobs, running and queued, over the slots of all of them times
//!   [`slots_target`](ScalingConfig::slots_target).
//!
//! At 1 the set is as busy as it should be. Only agents that are ready and whose report is fresh
//! take part in it, and with their CPU only those that are older than the window: an agent that
//! starts computes for itself.
//!
//! # The rules
//!
//! The first that fits decides:
//!
//! 1. Fewer agents than the minimum: start the rest. More than the maximum: drain the surplus.
//! 2. No fresh report: hold.
//! 3. All agents are on one machine, and its CPU is what makes them busy: hold, because one more
//!    agent there would lower nothing.
//! 4. The ratio is above 1 by more than the tolerance, without a break for
//!    [`window`](ScalingConfig::window), or above 2 for
//!    [`panic_window`](ScalingConfig::panic_window) while jobs are refused or waiting: grow to as
//!    many agents as bring it down to 1, at most doubling per window. Drains are cancelled first:
//!    that is the cheapest way to grow. Agents that are starting count as there, so they are not
//!    ordered twice.
//! 5. For [`calm`](ScalingConfig::calm) the set would have stayed below
//!    [`shrink_below`](ScalingConfig::shrink_below) without one of its agents, nothing was refused,
//!    no queue grew, nobody was starting, and every agent's report was fresh: drain the agent with the fewest jobs
//!    and sessions, of equal ones the youngest. Then the time begins anew.
//!
//! So the way out is quick and the way in is slow, and no load that stays the same is answered with
//! more than one change of direction within `calm`.
//!
//! The rules are those of Kubernetes' HorizontalPodAutoscaler (tolerance, missing metrics, the
//! greatest recommendation of the last 300 s) and of Knative (slots as the signal, the panic
//! window), with the drain that both lack.

mod config;
mod decision;
mod member;
mod scaler;

pub use self::config::{ScalingConfig, ScalingSignal};
pub use self::decision::{HoldReason, ScalingAction, ScalingDecision, ScalingRatios};
pub use self::member::{MemberState, SetMember};
pub use self::scaler::Scaler;

#[cfg(test)]
mod tests;
