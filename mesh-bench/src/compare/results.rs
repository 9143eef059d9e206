//! Reads a directory of results, as `mesh-sim` and `mesh-bench live` write them.

use std::io;
use std::path::Path;

use mesh_node::files::read_text;
use mesh_sim::report::summary::{self, ExperimentSummary, RunSummary};
use thiserror::Error;

/// The largest summary that is read. A summary has some kilobytes per policy and seed.
const MOST_BYTES: u64 = 256 << 20;

/// Why the results in a directory can't be read.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// There is no summary, or it can't be opened.
    #[error("failed to read {dir}/summary.json")]
    File {
        /// The directory.
        dir: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The summary is malformed, or of another version.
    #[error("failed to read {dir}/summary.json")]
    Summary {
        /// The directory.
        dir: String,
        /// What is wrong with it.
        source: summary::SummaryError,
    },
}

/// The results of one experiment, read from their directory.
#[derive(Debug)]
pub struct ResultDirectory {
    /// The directory's path as it was given.
    pub dir: String,
    /// The content of its `summary.json`.
    pub summary: ExperimentSummary,
}

impl ResultDirectory {
    /// Reads the summary in a directory.
    ///
    /// # Errors
    /// If the directory holds no summary, or one that this version can't read.
    pub fn read(dir: &Path) -> Result<Self, ResultsError> {
        let name = dir.display().to_string();
        let text = read_text(&dir.join("summary.json"), MOST_BYTES)
            .map_err(|source| ResultsError::File { dir: name.clone(), source })?;
        let summary = summary::parse(&text)
            .map_err(|source| ResultsError::Summary { dir: name.clone(), source })?;
        Ok(Self { dir: name, summary })
    }

    /// The labels of the policies, in the order in which they were run.
    pub fn policies(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = Vec::new();
        for run in &self.summary.runs {
            if !labels.contains(&&*run.policy) {
                labels.push(&run.policy);
            }
        }
        labels
    }

    /// The runs of a policy, one per seed.
    pub fn runs(&self, policy: &str) -> Vec<&RunSummary> {
        self.summary.runs.iter().filter(|run| run.policy == policy).collect()
    }
}
