//! The store in a file: locks, damage, and a disk that loses its power.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use mesh_core::registry::ChangeOutcome;
use mesh_node::registry::store::{FileStore, Store as _, StorePlace};
use redb::StorageBackend;
use tempfile::TempDir;

use crate::subject::{LONG, change, record};

/// Why the store in a directory can't be opened.
async fn refused(directory: &TempDir) -> String {
    match StorePlace::from(directory.path()).open(LONG).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_directory_serves_one_registry_at_a_time() {
    crate::run(async {
        let directory = TempDir::new().expect("a directory");
        let place = StorePlace::from(directory.path());
        let (store, _) = place.open(LONG).await.expect("it is empty");
        let error = refused(&directory).await;
        assert!(error.contains("another registry uses it"), "{error}");
        drop(store);
        crate::until("its end", async || place.open(LONG).await.ok()).await;
    });
}

#[test]
fn what_is_not_a_store_is_refused_and_stays_as_it_is() {
    crate::run(async {
        let directory = TempDir::new().expect("a directory");
        let store = FileStore::open(directory.path()).expect("a store");
        let first = record("a", 1, 1);
        store.change(change("a", None, Some(&first))).await;
        // As it is on the disk if its registry is killed now.
        let good = fs::read(directory.path().join("registry.redb")).expect("a file");
        let garbled: Vec<u8> = good.iter().map(|byte| byte ^ 0x5a).collect();
        for damaged in [b"not a store".to_vec(), garbled, good[..300].to_vec()] {
            let directory = TempDir::new().expect("a directory");
            let path = directory.path().join("registry.redb");
            fs::write(&path, &damaged).expect("a file");
            let error = refused(&directory).await;
            assert!(error.contains("registry.redb is damaged"), "{error}");
            assert!(!error.contains('\n'), "{error}");
            assert_eq!(fs::read(&path).expect("a file"), damaged, "nothing is overwritten");
        }
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("registry.redb"), good).expect("a file");
        let opened = StorePlace::from(directory.path()).open(LONG).await;
        assert_eq!(opened.expect("it is repaired").1.records, [first]);
    });
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    crate::run(async {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("registry.redb");
        let numbers = redb::TableDefinition::<&str, u64>::new("numbers");
        {
            let database = redb::Database::create(&path).expect("a file");
            let write = database.begin_write().expect("a transaction");
            write.open_table(numbers).expect("a table").insert("format", 2).expect("room");
            write.commit().expect("a commit");
        }
        let error = refused(&directory).await;
        assert!(error.contains("a later version of this program has written its file"), "{error}");
    });
}

/// A disk: what was written, and what of it would survive a loss of power.
#[derive(Clone, Debug, Default)]
struct LossyDisk(Arc<Mutex<LossyBytes>>);

#[derive(Debug, Default)]
struct LossyBytes {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// Writes since the last sync: where, and what.
    unsynced: Vec<(u64, Vec<u8>)>,
    /// Whether the disk fails from now on.
    is_broken: bool,
}

impl LossyDisk {
    fn with<R>(&self, act: impl FnOnce(&mut LossyBytes) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The disk after a loss of power: of the writes that were not synced, only those have reached
    /// it whose number has its bit in `survivors`.
    fn after_power_loss(&self, survivors: u64) -> Self {
        self.with(|bytes| {
            let mut left = bytes.synced.clone();
            for (number, (offset, data)) in bytes.unsynced.iter().enumerate() {
                let place = *offset as usize;
                if survivors >> (number % 64) & 1 == 1 && place + data.len() <= left.len() {
                    left[place..place + data.len()].copy_from_slice(data);
                }
            }
            let bytes = LossyBytes { written: left.clone(), synced: left, ..LossyBytes::default() };
            Self(Arc::new(Mutex::new(bytes)))
        })
    }
}

impl StorageBackend for LossyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.written.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|bytes| {
            let place = offset as usize;
            let end = place + out.len();
            let read = bytes.written.get(place..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(read);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|bytes| {
            bytes.written.resize(len as usize, 0);
            // A file system keeps the length of a file in its journal.
            bytes.synced.resize(len as usize, 0);
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|bytes| {
            if bytes.is_broken {
                return Err(io::Error::other("the disk is broken"));
            }
            bytes.synced = bytes.written.clone();
            bytes.unsynced.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|bytes| {
            let place = offset as usize;
            let end = place + data.len();
            let room = bytes.written.get_mut(place..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            room.copy_from_slice(data);
            bytes.unsynced.push((offset, data.to_vec()));
            Ok(())
        })
    }
}

fn store_on(disk: &LossyDisk) -> FileStore {
    let disk = disk.clone();
    FileStore::with_backend(move || disk.clone()).expect("the disk is sound")
}

#[test]
fn a_loss_of_power_loses_nothing_that_was_acknowledged() {
    crate::run(async {
        let disk = LossyDisk::default();
        let store = store_on(&disk);
        let mut acknowledged = Vec::new();
        for round in 0..25_u64 {
            let records: Vec<_> =
                (0..4).map(|number| record(&format!("a-{round:02}-{number}"), 1, 1)).collect();
            let changes =
                records.iter().map(|record| store.change(change(&record.name, None, Some(record))));
            let outcomes = join_all(changes).await;
            assert!(outcomes.iter().all(|it| matches!(it, ChangeOutcome::Stored(_))));
            acknowledged.extend(records);
            // Also in the middle of the next write, of which any part may have reached the disk.
            let next = record("torn", round + 1, 1);
            let torn = store.change(change("torn", None, Some(&next)));
            let survivors = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(round + 1);
            let after = disk.after_power_loss(survivors);
            let mut left = store_on(&after).list().await.expect("a list").records;
            left.retain(|record| *record.name != *"torn");
            assert_eq!(left, acknowledged, "round {round}");
            drop(torn);
        }
    });
}

#[test]
fn after_an_error_of_the_disk_the_file_is_opened_again() {
    crate::run(async {
        let disk = LossyDisk::default();
        let store = store_on(&disk);
        let (first, second) = (record("a", 1, 1), record("b", 1, 1));
        store.change(change("a", None, Some(&first))).await;
        disk.with(|bytes| bytes.is_broken = true);
        let outcome = store.change(change("b", None, Some(&second))).await;
        assert_eq!(outcome, ChangeOutcome::Unknown);
        let outcome = store.change(change("b", None, Some(&second))).await;
        assert_eq!(outcome, ChangeOutcome::Failed, "not before it is listed");
        disk.with(|bytes| bytes.is_broken = false);
        let listed = store.list().await.expect("it works again").records;
        assert!(listed.contains(&first), "{listed:?}");
        let known = listed.iter().find(|record| *record.name == *"b");
        let outcome = store.change(change("b", known, Some(&second))).await;
        assert!(matches!(outcome, ChangeOutcome::Stored(_)), "{outcome:?}");
    });
}
