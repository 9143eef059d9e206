//! Recommends a policy: compares all of them in a battery of troubles made from one scenario.
//!
//! What is run, and what is eliminated early, follows from the scenario and the figures alone, so
//! the same command gives the same bytes on any number of threads. The choice is made with some
//! seeds, and the figures of the policies that are compared to the end come from others: what was
//! lucky in the choice does not look better than it is.

mod candidates;
mod choice;
mod course;
mod findings;
mod merits;
mod outlook;
mod page;
mod reasons;
mod results;
mod situations;
mod table;
mod troubles;
mod tune;

use thiserror::Error;

use crate::engine::EngineError;
use crate::scenario::Diagnostics;

pub use self::candidates::{MODIFIERS, Modifier};
pub use self::choice::{RecommendSpec, recommend};
pub use self::course::Progress;
pub use self::findings::{
    Eliminated, Elsewhere, Finalist, Merit, ModifierEffect, Recommendation, SituationFigures,
};
pub use self::results::{RESULTS, render as results_json, schema as results_schema, write_all};
pub use self::situations::{Situation, keeps_its_length};
pub use self::table::render as table;
pub use self::troubles::{TROUBLES, Trouble};

/// Why there is no recommendation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecommendError {
    /// The scenario has mistakes, or the event engine can't run it.
    #[error("{0}")]
    Situation(Box<Diagnostics>),
    /// A policy or a modifier is asked for that is not there; the text says which there are.
    #[error("{0}")]
    Policy(String),
    /// No request counts in any run.
    #[error("no request counted: give the scenario a higher rate or a longer duration")]
    NoRequests,
    /// Whoever was told of the progress broke it off.
    #[error("the recommendation was given up before its end")]
    Interrupted {
        /// What the runs up to then say, in words; `None` if these are too few.
        so_far: Option<String>,
    },
    /// A run broke down.
    #[error(transparent)]
    Run(EngineError),
}

#[cfg(test)]
mod tests;
