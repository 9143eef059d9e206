//! What a process shows to others, while it runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use hyper::header::HeaderValue;

use super::keys::{ClientKeys, KeyFileError};
use super::watched_file::WatchedFile;

/// The keys that a process shows, which it reads again when their file changes.
#[derive(Debug, Default)]
pub struct Credentials {
    file: Option<WatchedFile>,
    keys: RwLock<Arc<ClientKeys>>,
}

impl Credentials {
    /// The keys of a file.
    ///
    /// # Errors
    /// As [`ClientKeys::read`].
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let file = WatchedFile::new(vec![path.to_owned()]);
        Ok(Self { file: Some(file), ..Self::of(ClientKeys::read(path)?) })
    }

    /// These keys, which stay as they are.
    pub fn of(keys: ClientKeys) -> Self {
        Self { file: None, keys: RwLock::new(Arc::new(keys)) }
    }

    /// Reads the file again whenever it changes. A file that can't be used leaves the keys as they
    /// are. Never ready.
    pub async fn keep_up(&self) {
        let Some(file) = &self.file else { return std::future::pending().await };
        loop {
            file.changed().await;
            let path = file.paths().first().map(PathBuf::as_path).unwrap_or(Path::new(""));
            match ClientKeys::read(path) {
                Ok(keys) => {
                    tracing::info!(file = %path.display(), "own keys read again");
                    *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                }
                Err(error) => tracing::error!(
                    file = %path.display(), %error,
                    "the own keys stay as they were: the file can't be used"
                ),
            }
        }
    }

    /// The value of `Authorization` in a request for what only those see who may observe.
    pub fn to_observe(&self) -> Option<HeaderValue> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).to_observe()
    }

    /// The value of `Authorization` in a request for what only `admin` may do.
    pub fn to_administer(&self) -> Option<HeaderValue> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).to_administer()
    }

    /// The value of `Authorization` in a request to a registry, or else to an agent.
    pub(crate) fn authorization(&self, is_registry: bool) -> Option<HeaderValue> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if is_registry { keys.for_registry().cloned() } else { keys.for_agents().cloned() }
    }
}
