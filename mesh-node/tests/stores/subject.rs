//! The stores that the contract is run on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mesh_core::profile::Profile;
use mesh_core::registry::{ChangeId, Keeping, LeaseRecord, MemoryStore, StoreChange};
use mesh_node::Clock;
use mesh_node::registry::store::{InMemoryStore, Store, StoreContents, StorePlace};
use tempfile::TempDir;

use crate::servers::{self, Program};

/// A TTL with which no store forgets anything during a test.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Memory,
    /// In memory, where each change takes its time.
    Slow,
    File,
    Redis,
    Etcd,
}

/// An empty store.
pub(crate) struct StoreSubject {
    kind: StoreKind,
    clock: Clock,
    memory: InMemoryStore,
    directory: TempDir,
    mesh: String,
}

impl StoreSubject {
    /// `None` if the server is not installed and need not be.
    pub(crate) fn new(kind: StoreKind) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = match kind {
            StoreKind::Redis => Some(Program::Redis),
            StoreKind::Etcd => Some(Program::Etcd),
            StoreKind::Memory | StoreKind::Slow | StoreKind::File => None,
        };
        if program.is_some_and(|program| !servers::is_there(program)) {
            return None;
        }
        let clock = Clock::start();
        let memory = InMemoryStore::new(clock, MemoryStore::default());
        if kind == StoreKind::Slow {
            memory.with(|store| store.faults.delay = Duration::from_millis(30));
        }
        Some(Self {
            kind,
            clock,
            memory,
            directory: TempDir::new().expect("a directory"),
            mesh: format!("mesh-{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        })
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.kind != StoreKind::File
    }

    pub(crate) fn place(&self) -> StorePlace {
        let mesh = &self.mesh;
        match self.kind {
            StoreKind::Redis => servers::shared(Program::Redis).place(mesh),
            StoreKind::Etcd => servers::shared(Program::Etcd).place(mesh),
            _ => self.directory.path().into(),
        }
    }

    /// The clock of a store in memory.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// The store in memory, with which something can be wrong.
    pub(crate) fn memory(&self) -> &InMemoryStore {
        &self.memory
    }

    /// Connects to it once more, or opens it.
    pub(crate) async fn open(&self, ttl: Duration) -> (Arc<dyn Store>, StoreContents) {
        if matches!(self.kind, StoreKind::Memory | StoreKind::Slow) {
            let contents = self.memory.list().await.expect("memory");
            return (Arc::new(self.memory.clone()), contents);
        }
        self.place().open(ttl).await.expect("it is there")
    }
}

/// A record, and those after it.
pub(crate) fn record(name: &str, incarnation: u64, version: u64) -> LeaseRecord {
    LeaseRecord {
        name: name.into(),
        url: format!("h:{incarnation}").into(),
        incarnation: Some(incarnation),
        greatest: Some(incarnation),
        profile: Profile::default(),
        owner: None,
        draining: false,
        ended: false,
        version,
    }
}

pub(crate) fn change(
    name: &str,
    expected: Option<&LeaseRecord>,
    record: Option<&LeaseRecord>,
) -> StoreChange {
    let (expected, record) = (expected.cloned(), record.cloned());
    StoreChange { id: ChangeId(1), name: name.into(), expected, record }
}

/// Whether others write to a store, too.
pub(crate) fn shares(store: &dyn Store) -> bool {
    store.keeping() == Keeping::Shared
}
