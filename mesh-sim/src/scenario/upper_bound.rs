//! Upper bounds: policies that cheat, because they know the true state of every machine. They are
//! there to compare with, and only an engine can run them.

use std::sync::{Arc, LazyLock};

use mesh_core::Timestamp;
use mesh_core::routing::{Candidate, Policy, PolicyFactory, PolicyNeeds, Signal};
use mesh_core::seed::Rng;

/// A policy that knows what no agent can know. No real policy needs to do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpperBound {
    /// Joins the shortest queue: the peer that holds the fewest jobs of all delegators, those that
    /// are on their way to it included. With equal servers and exponential demands no rule that
    /// does not know the demands has a lesser mean (Winston, "Optimality of the shortest line
    /// discipline", 1977).
    ShortestQueue,
    /// Joins the peer that is done first: the one with the least work left, by what its machine can
    /// do. It knows what is left of each job to the nanosecond.
    LeastWork,
}

impl UpperBound {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ShortestQueue, Self::LeastWork];

    /// The name in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShortestQueue => "oracle_shortest_queue",
            Self::LeastWork => "oracle_least_work",
        }
    }

    /// Which peer it chooses, and that it is no policy to deploy.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::ShortestQueue => {
                "An upper bound, for comparison only: the peer that truly holds the fewest jobs."
            }
            Self::LeastWork => {
                "An upper bound, for comparison only: the peer that truly is done first."
            }
        }
    }

    /// The bound of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bound| bound.name() == name)
    }

    /// The bound that a factory stands for.
    pub fn of(factory: &dyn PolicyFactory) -> Option<Self> {
        Self::named(factory.name()).filter(|_| factory.settings().is_none())
    }

    /// What stands for the bound in a scenario. An engine replaces it.
    pub(crate) fn placeholder(self) -> Arc<dyn PolicyFactory> {
        static PLACEHOLDERS: LazyLock<[Arc<dyn PolicyFactory>; 2]> =
            LazyLock::new(|| UpperBound::ALL.map(|bound| Arc::new(BoundPlaceholder(bound)) as _));
        let [queue, work] = &*PLACEHOLDERS;
        Arc::clone(match self {
            Self::ShortestQueue => queue,
            Self::LeastWork => work,
        })
    }
}

/// Stands for an upper bound where nobody knows the true state of the machines.
#[derive(Debug)]
struct BoundPlaceholder(UpperBound);

impl PolicyFactory for BoundPlaceholder {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn needs(&self) -> PolicyNeeds {
        PolicyNeeds { signal: Signal::None, utilisation: false }
    }

    /// Outside of an engine it knows nothing, and draws a peer.
    fn build(&self, _: &mut Rng) -> Box<dyn Policy> {
        Box::new(UninformedBound)
    }
}

#[derive(Debug)]
struct UninformedBound;

impl Policy for UninformedBound {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn choose(&mut self, _: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        rng.index(candidates.len())
    }
}
