//! What changes on a board, as it travels to browsers and to `mesh dashboard`.

use std::sync::Arc;

use mesh_core::protocol::Name;
use mesh_core::registry::is_name;
use mesh_core::telemetry::{Telemetry, TelemetryEntry};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::scaling::BoardSet;
use crate::wire::ServiceBody;

/// What has changed on a board since one of its versions. All ages are those at the moment at which
/// it is made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BoardUpdate {
    /// Names one life of the board. Versions of different lives can't be compared.
    pub epoch: u64,
    /// The version that the board has with this update.
    pub version: u64,
    /// The version that it is built on; 0 if it has everything.
    pub since: u64,
    /// What keeps the board from being up to date, for people; `None` if nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The agents that have changed, by name; all of them if `since` is 0.
    pub agents: Vec<BoardAgent>,
    /// The agents that are not listed any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<GoneAgent>,
    /// What happened to agents, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<BoardEvent>,
    /// Jobs that agents have sent to peers, and told of, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    pub jobs: Vec<BoardJob>,
    /// The sets of agents that have an autoscaler: all of them, whether they have changed or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<BoardSet>,
}

/// One agent, as the registry lists it, with what it tells of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoardAgent {
    /// The agent's name.
    pub name: Name,
    /// Its entry in the list.
    #[serde(flatten)]
    pub service: ServiceBody,
    /// What it tells; `None` for agents that tell nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Arc<Telemetry>>,
    /// How long ago it told that, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry_age_ms: Option<u64>,
}

/// An agent that is not listed any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GoneAgent {
    /// The agent's name.
    pub name: Name,
    /// How long ago it was noticed, in milliseconds.
    pub age_ms: u64,
    /// The version of the board in which it was gone.
    pub version: u64,
}

/// Something that happened to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoardEvent {
    /// The version of the board that it made.
    pub version: u64,
    /// How long ago it was, in milliseconds.
    pub age_ms: u64,
    /// A word: `joined`, `recovering`, `left`, `expired`, `replaced`, `moved`, `refused`,
    /// `draining`, `not_draining`, `ejected` or `recovered`.
    pub kind: Name,
    /// The agent that it happened to.
    pub agent: Name,
    /// The agent that says so, if it is not the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// The reason, if there is one to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Name>,
}

/// A job that an agent has sent to a peer, or could send to nobody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoardJob {
    /// The version of the board that it made.
    pub version: u64,
    /// The agent that delegated it.
    pub from: Name,
    /// What became of it.
    #[serde(flatten)]
    pub entry: TelemetryEntry,
}

/// Reads what can be read of a list: a job that is odd costs nobody the rest of the board.
fn readable<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Listed<T> {
        Read(T),
        Odd(IgnoredAny),
    }
    let list = Vec::<Listed<T>>::deserialize(from)?;
    let read = list.into_iter().filter_map(|listed| match listed {
        Listed::Read(item) => Some(item),
        Listed::Odd(IgnoredAny) => None,
    });
    Ok(read.collect())
}

/// The most letters that are shown of a reason that others have given.
pub(super) const MOST_REASON: usize = 200;

impl BoardEvent {
    /// The event with its texts cut to a sensible length, as received from another process.
    pub(super) fn bounded(mut self) -> Option<Self> {
        let cut = |text: &Name| text.chars().take(MOST_REASON).collect::<String>().into();
        self.reason = self.reason.as_ref().map(cut);
        let names = [Some(&self.kind), Some(&self.agent), self.by.as_ref()];
        let are_names = names.into_iter().flatten().all(|name| is_name(name));
        are_names.then_some(self)
    }
}
