//! The harness: one scenario file, one seed, one answer to "which policy is best?".

pub mod dist;
pub mod engine;
pub mod machine;
pub mod oracle;
pub mod record;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod sweep;
pub mod units;
pub mod workload;
