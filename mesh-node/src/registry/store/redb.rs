//! A store in a file of this machine, which redb keeps.
//!
//! redb has one writer, and a commit waits for the disk. So a thread of its own takes all changes
//! that have come while the last commit ran, makes them in one transaction, and then answers all of
//! them: a thousand registrations at once take two waits for the disk and not a thousand. Nothing
//! of it runs on the threads of the runtime.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use ::redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    StorageError, TableDefinition, TableError,
};
use futures_util::future::BoxFuture;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, LeaseRecord, StoreChange};
use tokio::sync::oneshot;

use super::{Store, StoreContents, StoreError, StoreNews};

/// The file in the directory that holds the leases.
const FILE: &str = "registry.redb";
/// Far more than 10,000 leases take.
const CACHE_BYTES: usize = 16 << 20;
/// How many changes are made in one transaction.
const MAX_BATCH: usize = 10_000;

/// Name and encoded record.
const RECORDS: TableDefinition<'static, &str, &str> = TableDefinition::new("records");
/// The numbers "format" and "revision".
const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");
/// The layout of the tables. A version of this program with another one has a greater number.
const FORMAT: u64 = 1;

/// Opens the database: at the start, and again after an error of the disk, after which redb must
/// not go on.
type OpenDatabase = Box<dyn FnMut() -> Result<Database, DatabaseError> + Send>;

/// A store in a file of this machine. One registry at a time can use it.
#[derive(Debug)]
pub struct FileStore {
    commands: Sender<FileCommand>,
}

/// What the thread of a store is asked for.
#[derive(Debug)]
enum FileCommand {
    List(oneshot::Sender<Result<StoreContents, StoreError>>),
    Change(Box<StoreChange>, oneshot::Sender<ChangeOutcome>),
}

impl FileStore {
    /// Opens the store in a directory, which is made if it is not there. Reads all of the file if
    /// the last registry was killed.
    ///
    /// # Errors
    /// If the directory can't be used, another process uses it, or the file is damaged or of a
    /// later version of this program.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let unusable = |error: std::io::Error| StoreError::Unusable(error.to_string());
        fs::create_dir_all(directory).map_err(unusable)?;
        let path: PathBuf = directory.join(FILE);
        Self::start(Box::new(move || builder().create(&path)))
    }

    /// Opens a store that `backend` holds: a file, or what stands for one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_backend<B: StorageBackend>(
        mut backend: impl FnMut() -> B + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::start(Box::new(move || builder().create_with_backend(backend())))
    }

    fn start(mut open: OpenDatabase) -> Result<Self, StoreError> {
        let database = opened(&mut open)?;
        let (commands, received) = channel();
        let thread = std::thread::Builder::new().name("mesh-store".to_owned());
        thread
            .spawn(move || FileThread { open, database: Some(database) }.run(&received))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { commands })
    }
}

impl Store for FileStore {
    fn keeping(&self) -> Keeping {
        Keeping::Alone
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(FileCommand::List(answer));
        let gone = || StoreError::Unavailable("its thread has ended".to_owned());
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(gone())) })
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        let (answer, answered) = oneshot::channel();
        let _ = self.commands.send(FileCommand::Change(Box::new(change), answer));
        Box::pin(async move { answered.await.unwrap_or(ChangeOutcome::Unknown) })
    }

    fn news(&self, _after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(std::future::pending())
    }

    fn keep(&self, _names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        // It forgets nothing by itself.
        Box::pin(async { Ok(Vec::new()) })
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        Box::pin(async { "a lease is on the disk before its agent is told".to_owned() })
    }
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_repair_callback(|repair| {
        tracing::info!(
            percent = (repair.progress() * 100.0) as u64,
            "the registry was not stopped in order; its file is checked"
        );
    });
    builder
}

/// Opens the database and looks whether this program can use it.
fn opened(open: &mut OpenDatabase) -> Result<Database, StoreError> {
    let unusable = |text: &str| StoreError::Unusable(text.to_owned());
    let database = open().map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            unusable("another registry uses it; a directory serves one at a time")
        }
        DatabaseError::UpgradeRequired(_) => {
            unusable("another version of this program has written its file")
        }
        DatabaseError::Storage(StorageError::Io(error))
            if ![ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&error.kind()) =>
        {
            StoreError::Unavailable(error.to_string())
        }
        error => damaged(&error.to_string()),
    })?;
    let format = format_of(&database).map_err(|error| damaged(&error.to_string()))?;
    match format {
        None | Some(FORMAT) => Ok(database),
        Some(_) => Err(unusable("a later version of this program has written its file")),
    }
}

fn damaged(why: &str) -> StoreError {
    StoreError::Unusable(format!(
        "its file {FILE} is damaged ({why}); move the file away to begin without leases, which \
         the agents' next heartbeats bring back"
    ))
}

fn format_of(database: &Database) -> Result<Option<u64>, ::redb::Error> {
    match database.begin_read()?.open_table(NUMBERS) {
        Ok(numbers) => Ok(numbers.get("format")?.map(|format| format.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The thread that owns the database.
struct FileThread {
    open: OpenDatabase,
    /// `None` after an error of the disk, until the records are listed again.
    database: Option<Database>,
}

type FileChange = (StoreChange, oneshot::Sender<ChangeOutcome>);

impl FileThread {
    /// Ends when the store is dropped.
    fn run(mut self, commands: &Receiver<FileCommand>) {
        let mut next = commands.recv().ok();
        while let Some(command) = next.take() {
            match command {
                FileCommand::List(answer) => {
                    let _ = answer.send(self.list());
                }
                FileCommand::Change(change, answer) => {
                    let mut batch: Vec<FileChange> = vec![(*change, answer)];
                    while batch.len() < MAX_BATCH {
                        match commands.try_recv() {
                            Ok(FileCommand::Change(change, answer)) => {
                                batch.push((*change, answer));
                            }
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.change(batch);
                }
            }
            if next.is_none() {
                next = commands.recv().ok();
            }
        }
    }

    fn list(&mut self) -> Result<StoreContents, StoreError> {
        if self.database.is_none() {
            self.database = Some(opened(&mut self.open)?);
        }
        let Some(database) = &self.database else { return Ok(StoreContents::default()) };
        listed(database).map_err(|error| damaged(&error))
    }

    fn change(&mut self, batch: Vec<FileChange>) {
        let (changes, answers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let made = self.database.as_ref().map(|database| changed(database, &changes));
        let outcomes = match made {
            Some(Ok(outcomes)) => outcomes,
            Some(Err(error)) => {
                tracing::error!(%error, "the registry's file can't be written");
                // What is in memory may differ from what is on the disk.
                self.database = None;
                vec![ChangeOutcome::Unknown; changes.len()]
            }
            None => vec![ChangeOutcome::Failed; changes.len()],
        };
        for (outcome, answer) in outcomes.into_iter().zip(answers) {
            let _ = answer.send(outcome);
        }
    }
}

fn listed(database: &Database) -> Result<StoreContents, String> {
    let read = database.begin_read().map_err(|error| error.to_string())?;
    let table = match read.open_table(RECORDS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(StoreContents::default()),
        Err(error) => return Err(error.to_string()),
    };
    let mut records = Vec::new();
    for entry in table.iter().map_err(|error| error.to_string())? {
        let (_, text) = entry.map_err(|error| error.to_string())?;
        let record = LeaseRecord::decode(text.value().as_bytes());
        records.push(record.map_err(|error| error.to_string())?);
    }
    let numbers = read.open_table(NUMBERS).map_err(|error| error.to_string())?;
    let revision = numbers.get("revision").map_err(|error| error.to_string())?;
    let revision = revision.map_or(0, |revision| revision.value());
    Ok(StoreContents { records, revision })
}

/// Makes changes in one transaction. Returns when they are on the disk.
fn changed(
    database: &Database,
    changes: &[StoreChange],
) -> Result<Vec<ChangeOutcome>, ::redb::Error> {
    // Durable when the commit returns: that is the default of a transaction.
    let write = database.begin_write()?;
    let mut outcomes = Vec::with_capacity(changes.len());
    {
        let mut records = write.open_table(RECORDS)?;
        let mut numbers = write.open_table(NUMBERS)?;
        let mut revision = numbers.get("revision")?.map_or(0, |revision| revision.value());
        for change in changes {
            let expected = change.expected.as_ref().map(LeaseRecord::encode);
            let wanted = change.record.as_ref().map(LeaseRecord::encode);
            let present = records.get(&*change.name)?.map(|text| text.value().to_owned());
            if present == wanted {
                outcomes.push(ChangeOutcome::Stored(revision));
            } else if present == expected {
                match &wanted {
                    Some(text) => drop(records.insert(&*change.name, &**text)?),
                    None => drop(records.remove(&*change.name)?),
                }
                revision += 1;
                outcomes.push(ChangeOutcome::Stored(revision));
            } else {
                outcomes.push(ChangeOutcome::Outdated(revision));
            }
        }
        numbers.insert("revision", revision)?;
        numbers.insert("format", FORMAT)?;
    }
    write.commit()?;
    Ok(outcomes)
}
