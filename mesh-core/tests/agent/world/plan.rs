//! Random plans: a mesh and a schedule of actions.

use std::time::Duration;

use proptest::prelude::*;

use crate::driver::ms;

/// A mesh, and what happens to it. A number that picks something (a node, a message) is taken
/// modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) setup: Setup,
    pub(crate) actions: Vec<Action>,
}

/// The mesh of a plan: how many agents, and their settings.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) nodes: usize,
    pub(crate) policy: &'static str,
    pub(crate) concurrency: u32,
    pub(crate) queue: u32,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) max_attempts: u32,
    pub(crate) retry_floor: f64,
    pub(crate) to_self: bool,
    pub(crate) seed: u64,
}

/// One step of a schedule.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A client asks an agent to delegate a job, or to do it itself.
    Ask {
        node: usize,
        delegate: bool,
        timeout_ms: u64,
        idempotent: bool,
    },
    /// The client of an unanswered request goes away.
    Cancel(usize),
    /// One message arrives, whichever it is: so messages are reordered and delayed.
    Deliver(usize),
    /// This many of the oldest messages arrive, a millisecond apart.
    Flow(usize),
    /// A message is lost.
    Lose(usize, Loss),
    /// The result of a call or a job is handed in again.
    Repeat(usize),
    /// A running job ends, well or badly.
    EndJob {
        pick: usize,
        done: bool,
    },
    /// An agent is gone with all its state. Its callers learn that their calls failed (`told`), or
    /// never hear of them again.
    Crash {
        node: usize,
        told: bool,
    },
    /// A crashed agent starts again, under a new incarnation.
    Restart(usize),
    Shutdown(usize),
    /// The registry drops a lease.
    Forget(usize),
    /// The registry restarts empty.
    NewEpoch,
    /// The registry stops answering (true), or answers again (false).
    Outage(bool),
    /// The registry answers nobody for this long, and has lost all leases after that.
    Silence {
        secs: u64,
    },
    Advance {
        micros: u64,
    },
    /// Time passes until an agent wants to be woken.
    Wake,
}

/// What the caller learns of a lost message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// That the request was never sent.
    NotSent,
    /// That the connection broke after the request was sent.
    NoAnswer,
    /// Nothing: the caller waits in vain.
    Silent,
}

fn policy() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(
        &[
            "random",
            "round_robin",
            "least_loaded",
            "weighted signal=reports",
            "power_of_two",
            "power_of_two signal=own",
            "join_idle_queue",
            "pull",
            "pull asked_per_job=256",
        ][..],
    )
}

fn setup() -> impl Strategy<Value = Setup> {
    (
        (2..=6usize, policy(), 1..=2u32, 0..=2u32),
        proptest::option::weighted(0.3, (50..800u64).prop_map(ms)),
        (1..=4u32, prop_oneof![Just(0.0), Just(1.0), Just(20.0)]),
        (proptest::bool::weighted(0.2), any::<u64>()),
    )
        .prop_map(|((nodes, policy, concurrency, queue), attempt_timeout, retry, rest)| {
            let ((max_attempts, retry_floor), (to_self, seed)) = (retry, rest);
            Setup {
                nodes,
                policy,
                concurrency,
                queue,
                attempt_timeout,
                max_attempts,
                retry_floor,
                to_self,
                seed,
            }
        })
}

fn action() -> impl Strategy<Value = Action> {
    let pick = any::<usize>;
    let ask = (pick(), proptest::bool::weighted(0.8), 1..3_000u64, any::<bool>()).prop_map(
        |(node, delegate, timeout_ms, idempotent)| Action::Ask {
            node,
            delegate,
            timeout_ms,
            idempotent,
        },
    );
    let loss = prop_oneof![Just(Loss::NotSent), Just(Loss::NoAnswer), Just(Loss::Silent)];
    prop_oneof![
        12 => ask,
        1 => pick().prop_map(Action::Cancel),
        16 => pick().prop_map(Action::Deliver),
        6 => (1..12usize).prop_map(Action::Flow),
        4 => (pick(), loss).prop_map(|(message, loss)| Action::Lose(message, loss)),
        1 => pick().prop_map(Action::Repeat),
        6 => (pick(), proptest::bool::weighted(0.9))
            .prop_map(|(pick, done)| Action::EndJob { pick, done }),
        1 => (pick(), any::<bool>()).prop_map(|(node, told)| Action::Crash { node, told }),
        2 => pick().prop_map(Action::Restart),
        1 => pick().prop_map(Action::Shutdown),
        1 => pick().prop_map(Action::Forget),
        1 => Just(Action::NewEpoch),
        1 => any::<bool>().prop_map(Action::Outage),
        1 => (20..100u64).prop_map(|secs| Action::Silence { secs }),
        4 => (1..200_000u64).prop_map(|micros| Action::Advance { micros }),
        1 => (1..20_000_000u64).prop_map(|micros| Action::Advance { micros }),
        3 => Just(Action::Wake),
    ]
}

/// Meshes of 2 to 6 agents and up to 120 actions.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    (setup(), proptest::collection::vec(action(), 10..120))
        .prop_map(|(setup, actions)| Plan { setup, actions })
}
