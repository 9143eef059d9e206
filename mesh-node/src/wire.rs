//! The registry's HTTP interface, as both of its ends see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::agent::{ListedLease, Listing};
use mesh_core::load::LoadReport;
use mesh_core::protocol::Name;
use mesh_core::registry::{Lease, Registration};
use serde::{Deserialize, Serialize};

/// Header that names the registry's life: it changes when a restart has lost the leases.
pub const EPOCH_HEADER: &str = "mesh-epoch";
/// Header with the number that rises with every change of the membership.
pub const INDEX_HEADER: &str = "mesh-index";

/// Body of `POST /register`. `{"name", "url"}` is enough, as for the demo's agents.
#[derive(Debug, Serialize, Deserialize)]
pub struct RegisterBody {
    /// The agent's name.
    pub name: Name,
    /// Its address, `host:port`.
    pub url: Arc<str>,
    /// The number of this life of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
    /// This is a heartbeat of a lease held, not a new registration.
    #[serde(default)]
    pub renew: bool,
    /// The agent's load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadReport>,
}

impl From<Registration> for RegisterBody {
    fn from(from: Registration) -> Self {
        let Registration { name, url, incarnation, renew, load } = from;
        Self { name, url, incarnation, renew, load }
    }
}

impl From<RegisterBody> for Registration {
    fn from(from: RegisterBody) -> Self {
        let RegisterBody { name, url, incarnation, renew, load } = from;
        Self { name, url, incarnation, renew, load }
    }
}

/// Answer to a granted or renewed registration.
#[derive(Debug, Serialize, Deserialize)]
pub struct RegisteredBody {
    /// "registered" or "renewed".
    pub status: String,
    /// How long the lease lasts unless renewed.
    pub ttl_ms: u64,
}

/// Answer to what is refused.
#[derive(Debug, Serialize, Deserialize)]
pub struct RefusedBody {
    /// What was wrong, for people.
    pub error: String,
    /// For programs: "unknown_lease", "stale_incarnation", "registry_full" or "invalid".
    #[serde(default)]
    pub reason: String,
    /// With "stale_incarnation": the newest that the registry knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
}

/// Body of `POST /deregister`.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeregisterBody {
    /// Whose lease.
    pub name: Name,
    /// Only this life's; without it, whichever is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
}

/// Answer to `GET /services`: live leases by name.
pub type ServicesBody = BTreeMap<Name, ServiceBody>;

/// One live lease.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServiceBody {
    /// The agent's address.
    pub url: Arc<str>,
    /// The number of its life, if it said one.
    #[serde(default)]
    pub incarnation: Option<u64>,
    /// The load it reported with its last heartbeat.
    #[serde(default)]
    pub load: Option<LoadReport>,
    /// Time since its last heartbeat.
    #[serde(default)]
    pub last_heartbeat_ms: u64,
}

impl ServiceBody {
    /// A lease as it is listed; its last heartbeat came `age` ago.
    pub fn new(lease: &Lease, age: Duration) -> Self {
        Self {
            url: lease.url.clone(),
            incarnation: lease.incarnation,
            load: lease.load,
            last_heartbeat_ms: age.as_millis() as u64,
        }
    }
}

/// The list as an agent's state machine takes it.
pub fn listing(epoch: u64, services: ServicesBody) -> Listing {
    let lease = |(name, service): (Name, ServiceBody)| ListedLease {
        name,
        url: service.url,
        incarnation: service.incarnation.unwrap_or_default(),
        load: service.load,
    };
    Listing { epoch, leases: services.into_iter().map(lease).collect() }
}
