//! Notices that files have changed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::private_file::FileStamp;

/// The time between two looks at the files.
const PERIOD: Duration = Duration::from_secs(1);

/// Files that are read again when they change.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    paths: Vec<PathBuf>,
    /// What the files were like when they were read last.
    read: Mutex<Vec<Option<FileStamp>>>,
}

impl WatchedFile {
    /// Watches these files. Make it before reading them, so that no change is missed.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        let read = Mutex::new(stamps(&paths));
        Self { paths, read }
    }

    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Ready once the files have changed, and have then stayed the same for a second: whoever writes
    /// them may need some time, and some files only fit together when all are written.
    pub(crate) async fn changed(&self) {
        let mut before = None;
        loop {
            tokio::time::sleep(PERIOD).await;
            let now = stamps(&self.paths);
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if *read != now && before.as_ref() == Some(&now) {
                *read = now;
                return;
            }
            drop(read);
            before = Some(now);
        }
    }
}

fn stamps(paths: &[impl AsRef<Path>]) -> Vec<Option<FileStamp>> {
    paths.iter().map(|path| FileStamp::of(path.as_ref())).collect()
}
