//! What etcd's JSON gateway answers. Its whole numbers are texts, and zeros are left out.

use serde::{Deserialize, Deserializer, de};

use super::StoreError;

/// A revision or the number of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Revision(pub(super) u64);

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// What every answer begins with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct EtcdHeader {
    #[serde(default)]
    pub(super) revision: Revision,
}

/// A key and its value, both in base64.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Pair {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
    #[serde(default)]
    pub(super) lease: Revision,
    #[serde(default)]
    pub(super) mod_revision: Revision,
}

/// The keys of a range.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Ranged {
    pub(super) header: EtcdHeader,
    #[serde(default)]
    pub(super) kvs: Vec<Pair>,
}

/// A message of a watch.
#[derive(Debug, Deserialize)]
pub(super) struct Watched {
    result: Option<WatchNews>,
    error: Option<serde_json::Value>,
}

/// What a message of a watch tells.
#[derive(Debug, Default, Deserialize)]
pub(super) struct WatchNews {
    #[serde(default)]
    pub(super) header: EtcdHeader,
    #[serde(default)]
    pub(super) created: bool,
    #[serde(default)]
    canceled: bool,
    #[serde(default)]
    compact_revision: Revision,
    #[serde(default)]
    pub(super) events: Vec<WatchEvent>,
}

/// A change of a key.
#[derive(Debug, Deserialize)]
pub(super) struct WatchEvent {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    pub(super) kv: Pair,
}

impl WatchEvent {
    pub(super) fn is_deletion(&self) -> bool {
        self.kind.as_deref() == Some("DELETE")
    }
}

impl Watched {
    /// What it tells, unless the watch is over.
    pub(super) fn told(self) -> Result<WatchNews, StoreError> {
        match (self.result, self.error) {
            (Some(told), _) if told.canceled && told.compact_revision.0 > 0 => {
                Err(StoreError::Forgotten)
            }
            (Some(told), _) if !told.canceled => Ok(told),
            (_, error) => Err(StoreError::Unavailable(match error {
                Some(error) => format!("etcd ended the watch: {error}"),
                None => "etcd ended the watch".to_owned(),
            })),
        }
    }
}

/// What becomes of old revisions, the end of a sentence; `None`: etcd does not say how it was started.
pub(super) fn compaction(compacts: Option<bool>) -> &'static str {
    match compacts {
        Some(true) => "and forgets old revisions by itself",
        Some(false) => {
            "but may run out of space: its command line has no --auto-compaction-retention=1h"
        }
        None => {
            "but does not tell whether it was started with --auto-compaction-retention=1h, without \
             which it may run out of space"
        }
    }
}
