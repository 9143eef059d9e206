//! Runs a mesh of agents in simulated time and compares routing policies: one scenario file and one
//! seed give one answer to "which policy is best?".
//!
//! The program `mesh-sim` is one user of this library; your own tests can be another. A
//! [`Simulation`] is made from a scenario file or field by field, and may have policies of your own
//! beside the built-in ones. [`Simulation::check`] fails unless every policy keeps the scenario's
//! thresholds and every run keeps the oracles (the properties that hold in any scenario):
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_core::routing::PolicySettings;
//! use mesh_sim::Simulation;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any `PolicyFactory` will do; this one builds a policy that comes with the mesh.
//! let mine: PolicySettings = "power_of_two choices=3".parse()?;
//!
//! let report = Simulation::scenario("../scenarios/baseline.toml")?
//!     .only(["random"])?
//!     .policy("mine", mine.clone())
//!     .seeds(1..=2)
//!     .check()?;
//! let [random, three] = &report.policies()[..] else { panic!("two policies were compared") };
//! assert!(three.latency.quantile_ns(0.99) < random.latency.quantile_ns(0.99));
//!
//! // The same without a file.
//! Simulation::build("small")
//!     .agents("agent", 3, 2)
//!     .rate(20.0)
//!     .demand(Duration::from_millis(50))
//!     .duration(Duration::from_secs(30))
//!     .set(&["expect", "*", "min_success"], 0.99)
//!     .finish()?
//!     .policy("mine", mine)
//!     .seeds(1..=20)
//!     .check()?;
//! # Ok(())
//! # }
//! ```
//!
//! The error of a failed check names the policy, the figure and the seed to look at.
//!
//! # What is where
//!
//! | to | see |
//! |---|---|
//! | read, check or build a scenario | [`scenario`], [`Simulation::build`] |
//! | know its load and capacity before it runs | [`estimate`] |
//! | run it, on either engine | [`Simulation`]; one run with an observer of your own: [`engine`] |
//! | read figures, latency histograms, the time line | [`experiment::Report`], [`record`] |
//! | know who wins, and how sure that is | [`judge::Ranking`], [`statistics`] |
//! | vary fields and seeds; compare results; be told which policy to take | `sweep`, `compare`, `recommend` |
//! | look for failures, make them small, tell their story | [`explore`], [`minimize`], [`replay`] |
//! | watch a run as the dashboard would show it | `playback` |
//!
//! The same scenario, seed and version give the same bytes, on any machine and with any number of
//! threads.
//!
//! # Features
//!
//! Tests like the one above need none of the default features:
//! `mesh-sim = { ..., default-features = false }`.
//!
//! | feature | brings |
//! |---|---|
//! | `reports` | tables and result files (`report`), and what writes them: `sweep`, `compare`, `recommend`, `validate` |
//! | `cli` (default) | the program, and `reports` |

#[cfg(feature = "reports")]
pub mod compare;
pub mod dist;
pub mod engine;
pub mod estimate;
pub mod experiment;
pub mod explore;
pub mod faults;
pub mod figures;
pub mod format;
mod grouping;
pub mod host;
mod host_names;
pub mod journal;
pub mod judge;
pub mod machine;
pub mod minimize;
mod near_paths;
pub mod network;
pub mod oracle;
#[cfg(feature = "reports")]
mod page;
pub mod parallel;
#[cfg(feature = "reports")]
pub mod playback;
pub mod presence;
pub mod publish;
#[cfg(feature = "reports")]
pub mod recommend;
pub mod record;
pub mod replay;
#[cfg(feature = "reports")]
pub mod report;
pub mod run_failure;
pub mod runner;
pub mod scenario;
pub mod simulation;
pub mod statistics;
#[cfg(feature = "reports")]
pub mod sweep;
pub mod units;
#[cfg(feature = "reports")]
pub mod validate;
pub mod workload;

pub use host_names::host_ranges;
pub use simulation::Simulation;
