//! A directory of results, as `mesh-sim` and `mesh-bench live` write them.

use std::io;
use std::path::Path;

use mesh_node::files::read_text;
use mesh_sim::report::summary::{self, Run, Summary};
use thiserror::Error;

/// Some kilobytes per policy and seed.
const MOST_BYTES: u64 = 256 << 20;

/// Why a directory's results can't be read.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// There is no summary, or it can't be opened.
    #[error("failed to read {dir}/summary.json")]
    File {
        /// The directory.
        dir: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The summary can't be understood.
    #[error("failed to read {dir}/summary.json")]
    Summary {
        /// The directory.
        dir: String,
        /// What is wrong.
        source: summary::ReadError,
    },
}

/// What one experiment left behind.
#[derive(Debug)]
pub struct ResultDirectory {
    /// The directory, as it was named.
    pub dir: String,
    /// Its `summary.json`.
    pub summary: Summary,
}

impl ResultDirectory {
    /// Reads a directory.
    ///
    /// # Errors
    /// If it holds no summary, or one that this version can't read.
    pub fn read(dir: &Path) -> Result<Self, ResultsError> {
        let name = dir.display().to_string();
        let text = read_text(&dir.join("summary.json"), MOST_BYTES)
            .map_err(|source| ResultsError::File { dir: name.clone(), source })?;
        let summary = summary::parse(&text)
            .map_err(|source| ResultsError::Summary { dir: name.clone(), source })?;
        Ok(Self { dir: name, summary })
    }

    /// The policies' labels, in the order in which they were run.
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
    pub fn runs(&self, policy: &str) -> Vec<&Run> {
        self.summary.runs.iter().filter(|run| run.policy == policy).collect()
    }
}
