//! What agents, autoscalers and registries tell each other of *sets*: equal agents that an
//! autoscaler starts and drains.
//!
//! Each agent of a set says so with its heartbeats ([`MemberBody`]), so the registry knows them
//! whoever has started them. The autoscaler asks for them, and for the right to change the set, in
//! one request (`POST /scale`, [`ScaleBody`]): the registry grants it to one autoscaler at a time,
//! for as long as that one goes on asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::is_name;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest name of a set: names of its agents begin with it, and are longer.
pub const MAX_SET_BYTES: usize = 48;
/// The longest name of what the CPU of an agent is measured of.
const MAX_MACHINE_BYTES: usize = 128;
/// The most sets of one registry.
pub const MAX_SETS: usize = 64;
/// The most decisions of a set that are remembered.
pub const MAX_DECISIONS: usize = 8;
/// The longest text of a decision or a problem.
pub const MAX_TEXT_BYTES: usize = 400;
/// The most agents of a set that may be starting or leaving at once.
pub const MAX_PENDING: usize = 1_000;
/// The longest time between two requests of an autoscaler, in milliseconds.
pub const MAX_PERIOD_MS: u64 = 60_000;

/// What an agent of a set tells with its heartbeats, beside its load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberBody {
    /// The name of the set.
    pub set: Name,
    /// How long ago the agent started, in milliseconds.
    pub uptime_ms: u64,
    /// How many jobs it runs at once; `None`: as many as come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// Jobs that it has refused since it started, because it was full.
    #[serde(default)]
    pub refused: u64,
    /// What the CPU of its load report is measured of, if that is not the agent alone: all agents
    /// that say the same report the same CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Arc<str>>,
}

impl MemberBody {
    /// Reads what an agent has written. `None` if it is nothing that an agent of a set says: that must
    /// not cost the agent its lease.
    pub(crate) fn read(json: &RawValue) -> Option<Self> {
        let is_short = |machine: &Arc<str>| machine.len() <= MAX_MACHINE_BYTES;
        let member: Self = serde_json::from_str(json.get()).ok()?;
        (is_set(&member.set) && member.machine.as_ref().is_none_or(is_short)).then_some(member)
    }
}

/// Body of `POST /scale`: an autoscaler asks for the agents of its set, and for the right to change
/// the set. It says what it is about, for people who watch and for its successor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScaleBody {
    /// The name of the set.
    pub set: Name,
    /// Names the autoscaler, another one at each start.
    pub holder: Arc<str>,
    /// How often it asks, in milliseconds. The right lasts three times as long.
    pub period_ms: u64,
    /// The fewest agents.
    pub min: u32,
    /// The most agents.
    pub max: u32,
    /// How many agents the set should have.
    pub desired: u32,
    /// The agents that it has started and that have not registered, and those that it drains. `None`
    /// from an autoscaler that has just started: then the registry keeps those of its predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Vec<PendingAgent>>,
    /// What keeps it from doing what it has decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Arc<str>>,
    /// What it has decided last, be it to do nothing, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Arc<str>>,
    /// What it has done, and why, the newest last.
    #[serde(default)]
    pub decisions: Vec<DecisionBody>,
}

impl ScaleBody {
    /// What is wrong with it, if anything is.
    pub fn mistake(&self) -> Option<String> {
        let is_short = |text: &str| text.len() <= MAX_TEXT_BYTES;
        let pending = self.pending.as_deref().unwrap_or_default();
        if !is_set(&self.set) {
            return Some(format!("the set must be 1 to {MAX_SET_BYTES} of A-Z a-z 0-9 . _ -"));
        }
        if !is_name(&self.holder) || pending.iter().any(|agent| !is_name(&agent.name)) {
            return Some("names must be 1 to 64 of A-Z a-z 0-9 . _ -".to_owned());
        }
        if !(1..=MAX_PERIOD_MS).contains(&self.period_ms) {
            return Some(format!("period_ms must be 1 to {MAX_PERIOD_MS}"));
        }
        let texts = self.decisions.iter().map(|decision| &decision.text);
        let is_long = !texts.chain(&self.problem).chain(&self.latest).all(|text| is_short(text));
        if self.decisions.len() > MAX_DECISIONS || pending.len() > MAX_PENDING || is_long {
            return Some(format!(
                "at most {MAX_DECISIONS} decisions, {MAX_PENDING} pending agents and \
                 {MAX_TEXT_BYTES} bytes of text"
            ));
        }
        None
    }
}

/// Whether a text is the name of a set.
pub fn is_set(text: &str) -> bool {
    is_name(text) && text.len() <= MAX_SET_BYTES
}

/// An agent that is starting or leaving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAgent {
    /// Its name.
    pub name: Name,
    /// Whether it drains; else it is starting.
    #[serde(default)]
    pub leaving: bool,
    /// For how long, in milliseconds.
    pub age_ms: u64,
}

/// A decision of an autoscaler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionBody {
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// What was decided, and why.
    pub text: Arc<str>,
}

/// Answer to `POST /scale`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScaledBody {
    /// Whether the set is this autoscaler's; else another one holds it.
    pub granted: bool,
    /// The autoscaler that holds the set.
    pub holder: Arc<str>,
    /// What it has said last.
    #[serde(default)]
    pub pending: Vec<PendingAgent>,
    /// How long a lease lasts at this registry, in milliseconds.
    pub ttl_ms: u64,
    /// Names this life of the registry.
    pub epoch: u64,
    /// The agents of the set that have a lease; none if it is not granted.
    #[serde(default)]
    pub members: Vec<ListedMember>,
}

impl ScaledBody {
    /// What several registries say of a set, as one: each lists the agents that it hears. `None` if
    /// there is none.
    pub fn union(granted: Vec<Self>) -> Option<Self> {
        let mut members: BTreeMap<Name, ListedMember> = BTreeMap::new();
        let (mut epoch, mut first) = (0_u64, None);
        for mut answer in granted {
            // One that has started anew changes the sum.
            epoch = epoch.wrapping_add(answer.epoch);
            for member in std::mem::take(&mut answer.members) {
                let Some(known) = members.get_mut(&member.name) else {
                    members.insert(member.name.clone(), member);
                    continue;
                };
                let draining = known.draining || member.draining;
                if member.report_age_ms < known.report_age_ms {
                    *known = member;
                }
                known.draining = draining;
            }
            first.get_or_insert(answer);
        }
        first.map(|first| Self { epoch, members: members.into_values().collect(), ..first })
    }
}

/// An agent of a set that has a lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListedMember {
    /// Its name.
    pub name: Name,
    /// Whether it drains.
    #[serde(default)]
    pub draining: bool,
    /// How old its last heartbeat is, in milliseconds.
    pub report_age_ms: u64,
    /// Its load as of then.
    #[serde(default)]
    pub load: Option<LoadReport>,
    /// What else it told.
    pub member: MemberBody,
}

/// A set, as a board shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoardSet {
    /// How many of its agents take jobs.
    pub ready: u32,
    /// How many drain.
    pub draining: u32,
    /// How many were started and have not registered.
    pub starting: u32,
    /// For how long its autoscaler has not been heard, in milliseconds.
    pub silent_ms: u64,
    /// What its autoscaler has said last.
    #[serde(flatten)]
    pub said: ScaleBody,
}
