//! The registry: leases by agent name.
