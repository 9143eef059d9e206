//! The harness: one scenario file, one seed, one answer to "which policy is best?".

pub mod dist;
pub mod engine;
pub mod explore;
pub mod failure;
pub mod faults;
pub mod figures;
pub mod format;
mod grouping;
pub mod host;
pub mod journal;
pub mod judge;
pub mod machine;
pub mod minimize;
pub mod oracle;
pub mod parallel;
pub mod presence;
pub mod publish;
pub mod record;
pub mod replay;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod sweep;
pub mod units;
pub mod validate;
pub mod workload;
