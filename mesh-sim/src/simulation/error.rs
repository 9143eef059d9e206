//! Why a simulation has no results, or not the expected ones.

use std::fmt;

use thiserror::Error;

use crate::engine::EngineError;
use crate::experiment::Report;
use crate::judge::PolicyVerdict;
use crate::scenario::Diagnostics;

/// The reason why a [`Simulation`](super::Simulation) has no results, or not the expected ones.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// The scenario has mistakes, or fields that the engine can't honour.
    #[error(transparent)]
    Scenario(#[from] Diagnostics),
    /// The caller selected a policy that the scenario doesn't have.
    #[error("{0}")]
    Selection(String),
    /// A run broke down: the engine could not finish it.
    #[error("failed to {0}")]
    Engine(EngineError),
    /// A policy missed a threshold, or a run violated an oracle.
    #[error("{0}")]
    Failed(#[from] FailedCheck),
}

/// What the policies of a simulation missed or violated, together with the results that show it.
/// Its message has a line for each missed threshold and each violated oracle, with a seed.
#[derive(Debug)]
pub struct FailedCheck {
    /// The verdicts on the policies that did not pass; at least one.
    pub verdicts: Vec<PolicyVerdict>,
    /// The results of all policies.
    pub report: Box<Report>,
}

impl std::error::Error for FailedCheck {}

impl fmt::Display for FailedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not do as expected", self.report.scenario.name)?;
        for policy in &self.verdicts {
            let label = &policy.policy;
            for miss in &policy.missed {
                write!(f, "\n  {label}: {}; see seed {}", miss.threshold, miss.worst_seed)?;
            }
            for violated in &policy.violated {
                let (first, seed) = (&violated.oracle, violated.seed);
                let (oracle, detail) = (&first.oracle, &first.detail);
                write!(f, "\n  {label}: violated {oracle}: {detail}; see seed {seed}")?;
            }
        }
        Ok(())
    }
}
