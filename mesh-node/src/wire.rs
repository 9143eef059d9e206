//! The bodies and headers of the registry's HTTP interface, and the header in which agents say
//! whose an error is. Both ends of a connection use these types.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::load::LoadReport;
use mesh_core::profile::{Profile, Weight, is_site};
use mesh_core::protocol::Name;
use mesh_core::registry::{self, Lease, Registration};
use mesh_core::roster::{ListedLease, Listing};
use mesh_core::skills::Skills;
use mesh_core::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Header that names the registry's life. It changes when a restart has lost the leases.
pub const EPOCH_HEADER: &str = "mesh-epoch";
/// Header with the index, a number that rises with every change of the membership, and from one
/// life of the registry to the next.
pub const INDEX_HEADER: &str = "mesh-index";

/// Header of the list: the revision of the registry's store that it shows, if there is a store.
pub const REVISION_HEADER: &str = "mesh-revision";
/// Header of the list: how many of its leases have run out, and are kept because too many agents
/// fell silent at once.
pub const PROTECTED_HEADER: &str = "mesh-protected";

/// Header of an agent's answer that has errors in it. For each response, in their order, it says
/// whose error that is, as [`mesh_core::codec::Origin`] writes it, or [`NO_ERROR`]. It is a header
/// because nothing that did a job can set a header, and because JSON-RPC libraries look at nothing
/// but the body.
pub const ERROR_HEADER: &str = "mesh-error";
/// The word in [`ERROR_HEADER`] for a response without an error.
pub const NO_ERROR: &str = "none";
/// The header of an answer with calls that belong to traces: for each JSON-RPC response of the body
/// the id of its trace, or [`NO_TRACE`]. So a caller learns of a trace that the agent has begun.
pub const TRACE_HEADER: &str = "mesh-trace";
/// The word in [`TRACE_HEADER`] for a call that belongs to no trace.
pub const NO_TRACE: &str = "none";

/// Header of a call to an agent that names the session of its jobs, for callers that can't say it
/// in `_meta`.
pub const SESSION_HEADER: &str = "mesh-session";

/// Headers of a call to an agent that name the trace of its jobs, for callers that can't say it in
/// `_meta`.
pub use mesh_core::trace::{TRACEPARENT, TRACESTATE};

/// Body of `POST /register`. `{"name", "url"}` is enough, which is what agents of the Python demo
/// send.
#[derive(Debug, Serialize, Deserialize)]
pub struct RegisterBody {
    /// The agent's name.
    pub name: Name,
    /// The agent's address, `host:port`, with or without `http://` before it.
    pub url: Arc<str>,
    /// The agent's incarnation: a later process of the same name has a greater one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
    /// Whether this is a heartbeat of a lease that the agent holds, and not a new registration.
    #[serde(default)]
    pub renew: bool,
    /// The agent's load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadReport>,
    /// The agent's skills.
    #[serde(default, skip_serializing_if = "Skills::is_empty")]
    pub skills: Skills,
    /// The agent's weight: how much work it can do, 0.01 to 100.
    #[serde(default, skip_serializing_if = "is_one")]
    pub weight: Weight,
    /// Where the agent lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Name>,
    /// Whether the agent takes no more jobs and is about to go.
    #[serde(default, skip_serializing_if = "is_false")]
    pub draining: bool,
    /// What an agent of a set tells its autoscaler: a [`MemberBody`](crate::scaling::MemberBody). Read
    /// apart from the rest, as the telemetry is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<Box<RawValue>>,
    /// The agent's [`Telemetry`](mesh_core::telemetry::Telemetry), if it tells any. It is read apart
    /// from the rest, because a mistake in it must not cost the agent its lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Box<RawValue>>,
}

fn is_one(weight: &Weight) -> bool {
    *weight == Weight::ONE
}

impl From<Registration> for RegisterBody {
    fn from(from: Registration) -> Self {
        let Registration { name, url, incarnation, renew, load, profile, owner: _, draining } =
            from;
        let (skills, weight) = (profile.skills().clone(), profile.weight());
        let site = profile.site().cloned();
        let (member, telemetry) = (None, None);
        Self {
            name,
            url,
            incarnation,
            renew,
            load,
            skills,
            weight,
            site,
            draining,
            member,
            telemetry,
        }
    }
}

impl From<RegisterBody> for Registration {
    fn from(from: RegisterBody) -> Self {
        let profile = Profile::new(from.skills, from.weight, from.site);
        let RegisterBody { name, url, incarnation, renew, load, draining, .. } = from;
        Self { name, url, incarnation, renew, load, profile, owner: None, draining }
    }
}

/// Answer to a registration or heartbeat that was granted. Every field is optional, because the
/// registry of the Python demo answers differently.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RegisteredBody {
    /// "registered" or "renewed".
    #[serde(default)]
    pub status: String,
    /// How long the lease lasts unless it is renewed, in milliseconds.
    #[serde(default)]
    pub ttl_ms: Option<u64>,
    /// The address of another process that has asked for this name since the last renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rival: Option<Arc<str>>,
    /// Whether the agent is to drain, or to take jobs again; left out if it does what it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<bool>,
    /// Whether somebody watches the mesh, so that telemetry is welcome before the next heartbeat.
    #[serde(default, skip_serializing_if = "is_false")]
    pub watched: bool,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

/// Body of `POST /telemetry`: what an agent tells between two heartbeats, while somebody watches.
#[derive(Debug, Serialize, Deserialize)]
pub struct TelemetryBody {
    /// The agent's name.
    pub name: Name,
    /// The agent's address, as it has registered it.
    pub url: Arc<str>,
    /// As in [`RegisterBody::telemetry`].
    pub telemetry: Box<RawValue>,
}

/// Answer to `POST /telemetry`.
#[derive(Debug, Serialize, Deserialize)]
pub struct WatchedBody {
    /// Whether somebody still watches.
    pub watched: bool,
}

/// Answer to a registration, heartbeat or deregistration that is refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusedBody {
    /// What is wrong, for people.
    pub error: String,
    /// For programs: "unknown_lease", "stale_incarnation", "held", "address", "registry_full",
    /// "store_unavailable" or "invalid".
    #[serde(default)]
    pub reason: String,
    /// With "stale_incarnation": the newest incarnation that the registry knows of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// With "stale_incarnation" and "held": the address of the process that holds the name, if its
    /// lease is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Arc<str>>,
}

impl RefusedBody {
    /// A refusal with its sentence for people and its reason for programs.
    pub fn new(error: impl Into<String>, reason: &str) -> Self {
        Self { error: error.into(), reason: reason.to_owned(), current: None, holder: None }
    }
}

/// Body of `POST /deregister`.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeregisterBody {
    /// The name whose lease ends.
    pub name: Name,
    /// End the lease only if it belongs to this incarnation. Without it, whichever lease is live
    /// ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
}

/// Body of `POST /drain`.
#[derive(Debug, Serialize, Deserialize)]
pub struct DrainBody {
    /// The name of an agent that has a lease.
    pub name: Name,
    /// Whether the agent is about to go: others then choose it for new jobs only if there is no
    /// other.
    pub draining: bool,
}

/// Answer to `GET /services`: the live leases by name.
pub type ServicesBody = BTreeMap<Name, ServiceBody>;

/// One live lease in the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceBody {
    /// The agent's address.
    pub url: Arc<str>,
    /// The agent's incarnation, if it said one.
    #[serde(default)]
    pub incarnation: Option<u64>,
    /// The load that the agent reported with its last heartbeat.
    #[serde(default)]
    pub load: Option<LoadReport>,
    /// The agent's skills.
    #[serde(default, skip_serializing_if = "Skills::is_empty")]
    pub skills: Skills,
    /// The agent's weight: how much work it can do, 0.01 to 100.
    #[serde(default, skip_serializing_if = "is_one")]
    pub weight: Weight,
    /// Where the agent lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Name>,
    /// What is special about the lease; left out if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LeaseState>,
    /// Time since the agent's last heartbeat, in milliseconds.
    #[serde(default)]
    pub last_heartbeat_ms: u64,
}

/// What is special about a lease, in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// The agent is about to go.
    Draining,
    /// The lease was taken over from the store, and its agent was not heard since.
    Recovering,
    /// The lease has run out and is kept, because too many agents fell silent at once.
    Protected,
    /// A state of a later version.
    #[serde(other)]
    Other,
}

impl LeaseState {
    /// The state of a lease. What an agent wants comes before what the registry knows.
    fn of(lease: &Lease) -> Option<Self> {
        if lease.draining {
            Some(Self::Draining)
        } else if lease.recovering {
            Some(Self::Recovering)
        } else {
            lease.is_protected().then_some(Self::Protected)
        }
    }
}

impl ServiceBody {
    /// The entry of a lease whose last heartbeat came `age` ago.
    pub fn new(lease: &Lease, age: Duration) -> Self {
        Self {
            url: lease.url.clone(),
            incarnation: lease.incarnation,
            load: lease.load,
            skills: lease.profile.skills().clone(),
            weight: lease.profile.weight(),
            site: lease.profile.site().cloned(),
            state: LeaseState::of(lease),
            last_heartbeat_ms: age.as_millis() as u64,
        }
    }
}

/// Reads an answer to `GET /services`. It may come from this crate's registry or from one like the
/// Python demo's: an object or an array, of addresses or of objects that have an address, perhaps
/// inside of `services` or `agents`. Entries that are not agents are left out.
///
/// # Errors
/// If the answer is not JSON.
pub fn read_services(json: &[u8]) -> serde_json::Result<ServicesBody> {
    let json = text::without_mark(json);
    if let Ok(services) = serde_json::from_slice(json) {
        return Ok(services);
    }
    let mut value = serde_json::from_slice::<Value>(json)?;
    // An agent may be called "services": then the object has a `url` and is an entry, not a
    // wrapper.
    let wrapper = ["services", "agents"].into_iter().find(|name| {
        value.get(name).is_some_and(|inner| inner.is_array() || inner.is_object())
            && value[name].get("url").is_none()
    });
    if let Some(name) = wrapper {
        value = value[name].take();
    }
    Ok(match value {
        Value::Object(by_name) => {
            by_name.iter().filter_map(|(name, agent)| service(name, agent)).collect()
        }
        Value::Array(agents) => agents.iter().filter_map(named_service).collect(),
        _ => ServicesBody::new(),
    })
}

/// An entry of an array, which has the name inside.
fn named_service(agent: &Value) -> Option<(Name, ServiceBody)> {
    let name = agent.get("name").or_else(|| agent.get("agent"))?;
    service(name.as_str()?, agent)
}

/// An entry that is an address or an object with one; `None` if it is not an agent.
fn service(name: &str, agent: &Value) -> Option<(Name, ServiceBody)> {
    let url = agent.as_str().or_else(|| agent.get("url")?.as_str())?;
    let body = ServiceBody {
        url: url.into(),
        incarnation: agent.get("incarnation").and_then(Value::as_u64),
        load: agent.get("load").and_then(|load| LoadReport::deserialize(load).ok()),
        skills: field(agent, "skills"),
        weight: field(agent, "weight"),
        site: field(agent, "site"),
        state: field(agent, "state"),
        last_heartbeat_ms: agent.get("last_heartbeat_ms").and_then(Value::as_u64).unwrap_or(0),
    };
    Some((name.into(), body))
}

/// A field of an entry; its default if it is missing or makes no sense.
fn field<'a, T: Deserialize<'a> + Default>(agent: &'a Value, name: &str) -> T {
    agent.get(name).and_then(|value| T::deserialize(value).ok()).unwrap_or_default()
}

/// The list as an agent's state machine takes it. Leaves out entries whose url is not an address,
/// and sites that are none.
pub fn listing(epoch: u64, services: ServicesBody) -> Listing {
    let lease = |(name, service): (Name, ServiceBody)| {
        let url = match registry::address(&service.url) {
            all if all.len() == service.url.len() => service.url.clone(),
            part => part.into(),
        };
        let incarnation = service.incarnation.unwrap_or_default();
        let is_address = registry::is_address(&url);
        is_address.then(|| {
            let site = service.site.filter(|site| is_site(site));
            let profile = Profile::new(service.skills, service.weight, site);
            let draining = service.state == Some(LeaseState::Draining);
            ListedLease::new(name, url, incarnation, service.load)
                .with_profile(profile)
                .with_draining(draining)
        })
    };
    Listing { epoch, leases: services.into_iter().filter_map(lease).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<(String, String)> {
        let services = read_services(json.as_bytes()).expect("JSON");
        let leases = listing(0, services).leases;
        leases.iter().map(|lease| (lease.name.to_string(), lease.url.to_string())).collect()
    }

    #[test]
    fn registries_after_the_demos_are_understood() {
        let expected = [("a".to_owned(), "h:1".to_owned()), ("b".to_owned(), "[::1]:2".to_owned())];
        for list in [
            r#"{"a": {"url": "h:1", "last_heartbeat": 17.5}, "b": {"url": "http://[::1]:2/"}}"#,
            r#"{"a": "h:1", "b": "http://[::1]:2"}"#,
            r#"[{"name": "a", "url": "h:1"}, {"agent": "b", "url": "[::1]:2"}]"#,
            r#"{"services": {"a": {"url": "h:1"}, "b": {"url": "[::1]:2"}}}"#,
            r#"{"agents": [{"name": "a", "url": "h:1"}, {"name": "b", "url": "[::1]:2"}]}"#,
            r#"{"a": {"url": "h:1", "load": {"cpu": 900}}, "b": {"url": "[::1]:2"}, "c": 7}"#,
            r#"{"a": {"url": "h:1"}, "b": {"url": "[::1]:2"}, "c": {"url": "https://h:1"}}"#,
        ] {
            assert_eq!(read(list), expected, "{list}");
        }
        assert_eq!(read(r#"{"services": {"url": "h:1"}}"#)[0].0, "services", "that is its name");
        assert!(read("{}").is_empty() && read("7").is_empty());
        assert!(read_services(b"<html>").is_err());
        assert_eq!(read("\u{feff}{\"a\": \"h:1\"}").len(), 1, "a byte order mark is skipped");
    }

    #[test]
    fn what_our_registry_says_is_kept() {
        let json = r#"{"a": {"url": "h:1", "incarnation": 3,
            "load": {"cpu": 8.5, "mem": 47, "in_flight": 2, "queued": 1}, "last_heartbeat_ms": 5,
            "weight": 2.5, "site": "eu"}}"#;
        let leases = listing(9, read_services(json.as_bytes()).expect("JSON")).leases;
        let lease = leases.get(0).expect("a lease");
        assert_eq!((lease.incarnation, lease.load.map(|load| load.in_flight)), (3, Some(2)));
        let eu = Profile::new(Skills::default(), Weight::new(2.5).unwrap(), Some("eu".into()));
        assert_eq!(lease.profile, eu);
    }

    #[test]
    fn weights_and_sites_that_are_none_count_as_missing() {
        let json = r#"{"a": {"url": "h:1", "weight": 1e9, "site": "eu"},
            "b": {"url": "h:2", "weight": 2, "site": "two words"}, "c": {"url": "h:3"}}"#;
        let leases = listing(9, read_services(json.as_bytes()).expect("JSON")).leases;
        let said: Vec<_> = leases
            .iter()
            .map(|lease| (lease.profile.weight().get(), lease.profile.site().map(|it| &**it)))
            .collect();
        assert_eq!(said, [(1.0, Some("eu")), (2.0, None), (1.0, None)]);
    }
}
