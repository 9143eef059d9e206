//! Sweeps: one scenario with many seeds, policies and varied fields, on many cores or machines.
//!
//! A sweep is a list of runs. Of each run only its [`RunFigures`] are kept, and the latencies of
//! all seeds are added up in one histogram per cell and policy ([`SweepTally`]). The results are
//! the same bytes in whatever order runs end, so the number of threads and of parts ([`Shard`])
//! makes no difference, nor does an interruption. After the last run the [`SweepFindings`] are made,
//! once, and everything that is shown or written is a view of them.
//!
//! [`RunFigures`]: crate::judge::RunFigures

mod compare;
mod csv;
mod findings;
mod merge;
mod page;
mod part;
mod plan;
mod ranges;
mod results;
mod seeds;
mod shard;
mod table;
mod tally;
mod unfinished;
mod vary;
mod write;

pub use self::compare::BaselineComparison;
pub use self::findings::SweepFindings;
pub use self::merge::{MergeError, merge};
pub use self::part::{SweepPart, write_part};
pub use self::plan::{RunPosition, Sweep, SweepCell, SweepError, SweepSpec};
pub use self::results::{
    SCHEMA_VERSION as RESULTS_VERSION, render as results_json, schema as results_schema,
};
pub use self::seeds::Seeds;
pub use self::shard::Shard;
pub use self::table::{part_violations, render as table};
pub use self::tally::SweepTally;
pub use self::unfinished::{ResumeError, read_unfinished, write_unfinished};
pub use self::vary::Vary;
pub use self::write::{RESULTS, check_folder, write_all};

#[cfg(test)]
mod tests;
