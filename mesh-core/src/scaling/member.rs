//! What a scaler knows of the agents of its set.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::Name;

/// How far an agent of a set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It was started, and has not registered yet.
    Starting,
    /// It takes jobs.
    Ready,
    /// It takes no more jobs, and ends when it has finished those that it has.
    Draining,
}

/// An agent of a set, as it last reported itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SetMember {
    /// Its name.
    pub name: Name,
    /// How far it is.
    pub state: MemberState,
    /// How long it has been there.
    pub age: Duration,
    /// How old its report is; `None` if there is none.
    pub report_age: Option<Duration>,
    /// The busy share of its CPU, in percent.
    pub cpu_percent: f64,
    /// Jobs that it holds, running and queued ones.
    pub in_flight: u32,
    /// Those of `in_flight` that wait for a slot.
    pub queued: u32,
    /// How many jobs it runs at once; `None`: as many as come.
    pub slots: Option<u32>,
    /// Jobs that it has refused since it started, because it was full.
    pub refused: u64,
    /// Sessions whose state it holds. They are lost with it.
    pub sessions: u32,
    /// The machine whose CPU `cpu_percent` is, if that is the whole machine's and not the agent's
    /// own.
    pub machine: Option<Arc<str>>,
}

impl SetMember {
    /// Whether it takes jobs, and its report is no older than `limit`.
    pub(super) fn is_fresh(&self, limit: Duration) -> bool {
        self.state == MemberState::Ready && self.report_age.is_some_and(|age| age <= limit)
    }

    /// What ending it costs: the less, the better a victim it is.
    pub(super) fn cost(&self) -> (u64, Duration) {
        (u64::from(self.in_flight) + u64::from(self.sessions), self.age)
    }
}
