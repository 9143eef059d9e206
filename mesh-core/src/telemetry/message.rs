//! Telemetry as it travels in a heartbeat.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::load::LoadReport;
use crate::protocol::Name;
use crate::registry::is_name;

/// The most bytes of an agent's telemetry as JSON.
pub const MAX_BYTES: usize = 4096;
/// The most edges, or entries, that are taken from one agent: more than fit into [`MAX_BYTES`].
const MOST_READ: usize = 64;
/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 32;
/// The greatest figure in milliseconds that is taken: 30 days.
pub const MAX_FIGURE_MS: f64 = 30.0 * 24.0 * 3_600_000.0;

/// What an agent tells of itself and its peers. Every field may be missing: other versions tell
/// less or more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Telemetry {
    /// How long the time is that the figures are about, in milliseconds: the last 25 to 30 seconds,
    /// or since the agent's start.
    #[serde(deserialize_with = "figure")]
    pub window_ms: f64,
    /// The agent's load, as it was when it was last sampled: newer than that of its heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadReport>,
    /// The jobs that the agent did itself.
    pub served: JobFigures,
    /// The routing policy, if the agent says.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_name")]
    pub policy: Option<Name>,
    /// How many peers the agent has sent jobs to in the window. It may tell of fewer.
    pub peers: u32,
    /// Its edges: what it knows of peers that it sent jobs to, or whose round trip it has measured.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded")]
    pub edges: Vec<Edge>,
    /// The newest of the jobs that it has sent, and of what it has found out about its peers; the
    /// oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded")]
    pub recent: Vec<TelemetryEntry>,
}

/// How jobs went in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobFigures {
    /// Jobs that were answered with a result.
    pub done: u32,
    /// Jobs that were not.
    pub failed: u32,
    /// The median latency of those that were done, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_figure")]
    pub p50_ms: Option<f64>,
    /// The latency that 99 % of them did not exceed, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "optional_figure")]
    pub p99_ms: Option<f64>,
}

/// What an agent knows of one peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// The peer.
    #[serde(deserialize_with = "name")]
    pub to: Name,
    /// The jobs that the agent has sent to it. A latency is from sending to the answer.
    #[serde(flatten)]
    pub jobs: JobFigures,
    /// The network's round trip, in milliseconds: the shortest of the newest few. What the peer
    /// needs for a job is no part of it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_figure"
    )]
    pub rtt_ms: Option<f64>,
    /// How long ago that was measured, in milliseconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_figure"
    )]
    pub rtt_age_ms: Option<f64>,
}

/// One thing that an agent has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TelemetryEntry {
    /// The number of the entry: each is one greater than the one before, so that a reader who gets
    /// entries twice knows it.
    pub number: u64,
    /// How long ago it was, in milliseconds.
    #[serde(deserialize_with = "figure")]
    pub age_ms: f64,
    /// What it was.
    pub event: TelemetryEvent,
    /// The peer; `None` if no peer got the job.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_name")]
    pub to: Option<Name>,
    /// Why it failed: a word such as `busy`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_word")]
    pub reason: Option<Name>,
    /// How long the job took, in milliseconds.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_figure"
    )]
    pub took_ms: Option<f64>,
    /// The trace that the job belongs to, if it belongs to one: 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_word")]
    pub trace: Option<Name>,
}

/// The kinds of [`TelemetryEntry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TelemetryEvent {
    /// A peer has answered a job with a result.
    Done,
    /// A job that was sent to a peer has failed, or a delegation that found no peer.
    Failed,
    /// The agent passes the peer over for a while, because it fails.
    Ejected,
    /// The peer works again.
    Recovered,
    /// Something that only a later version knows.
    #[serde(other)]
    Other,
}

/// Why telemetry is not taken. The registration that it came with is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// It is too large.
    #[error("it has {0} bytes, and {MAX_BYTES} are allowed")]
    TooLarge(usize),
    /// It is no telemetry, or has figures or names that can't be.
    #[error("{0}")]
    Malformed(String),
}

impl Telemetry {
    /// Reads telemetry that somebody else has written.
    ///
    /// # Errors
    /// If it is too large, or has anything in it that no agent would write: figures below zero or
    /// beyond all measure, names that are none.
    pub fn read(json: &str) -> Result<Self, TelemetryError> {
        if json.len() > MAX_BYTES {
            return Err(TelemetryError::TooLarge(json.len()));
        }
        // A list would be taken for the fields in their order.
        if !json.trim_start().starts_with('{') {
            return Err(TelemetryError::Malformed("it is no object".to_owned()));
        }
        serde_json::from_str(json).map_err(|error| TelemetryError::Malformed(error.to_string()))
    }

    /// The telemetry as JSON of at most [`MAX_BYTES`]. What does not fit is left out: the oldest
    /// entries but four, then the edges from the end.
    pub fn to_json(mut self) -> String {
        loop {
            let json = serde_json::to_string(&self).unwrap_or_default();
            if json.len() <= MAX_BYTES {
                return json;
            }
            if self.recent.len() > 4 {
                self.recent.remove(0);
            } else if self.edges.pop().is_none() {
                self.recent.clear();
            }
        }
    }
}

fn figure<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let figure = f64::deserialize(from)?;
    if (0.0..=MAX_FIGURE_MS).contains(&figure) {
        return Ok(figure);
    }
    Err(de::Error::custom(format!("{figure} ms is out of range")))
}

fn optional_figure<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    struct Figure(#[serde(deserialize_with = "figure")] f64);
    Ok(Option::<Figure>::deserialize(from)?.map(|figure| figure.0))
}

fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
    let name = Name::deserialize(from)?;
    if is_name(&name) { Ok(name) } else { Err(de::Error::custom("a peer's name is none")) }
}

fn optional_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Name>, D::Error> {
    #[derive(Deserialize)]
    struct Peer(#[serde(deserialize_with = "name")] Name);
    Ok(Option::<Peer>::deserialize(from)?.map(|peer| peer.0))
}

/// A word in lower case, as reasons and traces are.
fn optional_word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Name>, D::Error> {
    let word = Option::<Name>::deserialize(from)?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_word = |word: &Name| word.len() <= MAX_REASON_BYTES && word.bytes().all(is_plain);
    match word {
        Some(word) if !is_word(&word) => Err(de::Error::custom("a reason is no word")),
        word => Ok(word),
    }
}

fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::<T>::deserialize(from)?;
    if list.len() <= MOST_READ {
        return Ok(list);
    }
    Err(de::Error::custom(format!("{} entries are too many: {MOST_READ} at most", list.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(edges: usize) -> Telemetry {
        let jobs =
            JobFigures { done: 4_294_967_295, failed: 9, p50_ms: Some(1.25), p99_ms: Some(999.99) };
        let edge = |number: usize| Edge {
            to: format!("{number:x>64}").into(),
            jobs,
            rtt_ms: Some(0.37),
            rtt_age_ms: Some(123_456.0),
        };
        let entry = |number: u64| TelemetryEntry {
            number,
            age_ms: 5.0,
            event: TelemetryEvent::Failed,
            to: Some("b".into()),
            reason: Some("busy".into()),
            took_ms: Some(3.5),
            trace: None,
        };
        Telemetry {
            window_ms: 30_000.0,
            load: Some(LoadReport { cpu_percent: 12.5, ..LoadReport::default() }),
            served: jobs,
            policy: Some("power_of_two".into()),
            peers: 64,
            edges: (0..edges).map(edge).collect(),
            recent: (0..12).map(entry).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_fits() {
        let small = full(3);
        assert_eq!(Telemetry::read(&small.clone().to_json()), Ok(small));
        let json = full(64).to_json();
        assert!(json.len() <= MAX_BYTES && json.len() > MAX_BYTES - 400, "{}", json.len());
        let read = Telemetry::read(&json).expect("telemetry");
        assert!(read.edges.len() >= 15, "{} edges with the longest names", read.edges.len());
        assert_eq!((read.recent.len(), read.recent[3].number), (4, 11), "the newest stay");
        assert_eq!(Telemetry::read("{}"), Ok(Telemetry::default()));
        let later = r#"{"later": [1], "recent": [{"number": 1, "age_ms": 2, "event": "seen"}]}"#;
        assert_eq!(Telemetry::read(later).expect("more").recent[0].event, TelemetryEvent::Other);
    }

    #[test]
    fn what_no_agent_writes_is_refused() {
        let edge = |fields: &str| format!(r#"{{"edges": [{{"to": "b", {fields}}}]}}"#);
        for bad in [
            "[]".to_owned(),
            "{".to_owned(),
            "null".to_owned(),
            r#"{"window_ms": -1}"#.to_owned(),
            r#"{"window_ms": 1e999}"#.to_owned(),
            r#"{"load": {"cpu": 101, "mem": 1}}"#.to_owned(),
            r#"{"served": {"done": -1}}"#.to_owned(),
            r#"{"served": {"p99_ms": 1e300}}"#.to_owned(),
            r#"{"edges": [{"to": "<b>"}]}"#.to_owned(),
            r#"{"edges": [{}]}"#.to_owned(),
            r#"{"policy": "Two Words"}"#.to_owned(),
            edge(r#""rtt_ms": -0.001"#),
            edge(r#""rtt_ms": "1""#),
            edge(r#""done": 4294967296"#),
            r#"{"recent": [{"number": 1, "age_ms": 1, "event": "done", "reason": "a<b"}]}"#
                .to_owned(),
            r#"{"recent": [{"number": 1, "event": "done"}]}"#.to_owned(),
            format!(r#"{{"edges": [{}]}}"#, vec![r#"{"to":"b"}"#; 65].join(",")),
            format!("{{{}}}", " ".repeat(MAX_BYTES)),
        ] {
            assert!(Telemetry::read(&bad).is_err(), "{bad}");
        }
    }
}
