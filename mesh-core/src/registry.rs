//! The registry: leases by agent name.

use std::sync::Arc;

use crate::load::LoadReport;
use crate::protocol::Name;

/// What an agent says when it registers.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Name.
    pub name: Name,
    /// Address.
    pub url: Arc<str>,
    /// Life.
    pub incarnation: Option<u64>,
    /// Heartbeat.
    pub renew: bool,
    /// Load.
    pub load: Option<LoadReport>,
}
