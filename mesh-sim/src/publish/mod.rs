//! Writes sets of files that appear whole or not at all.
//!
//! A set is first written into a hidden folder of its own inside of the target folder, where no
//! other writer looks. Then, one writer at a time, the older files are moved aside and the new ones
//! are moved to their places. If a move fails, all of them are undone. Other files in the target
//! are left alone. The target folder itself is never replaced, so it may be a mount point, a link
//! or somebody's working directory.
//!
//! The last file of a set is moved aside first and put into place last: while it is there, the set
//! is complete.

mod lock;
pub mod output_folder;
mod swap;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mesh_node::process::signal_mask::HeldBack;

use self::lock::FolderLock;
use self::swap::Swap;

/// A file to write: its name, which may lead into folders below the target, and its content.
pub type OutputFile = (String, Vec<u8>);

/// How often a missing target folder is made. Another writer may remove it again: one that had made
/// it and then failed.
const ATTEMPTS: usize = 100;
/// How the names of hidden folders begin and end.
const HIDDEN: (&str, &str) = (".mesh-", ".tmp");

/// Puts `files` into `dir`, which is made if it does not exist. They replace older files of the
/// same names, and the files that `stale` finds in `dir` are removed. Returns the paths of the new
/// files.
///
/// # Errors
/// If a file or folder can't be written. Then everything is as it was, and nothing is left behind.
/// Only a process that is killed leaves its hidden folder behind; the next writer removes it.
pub fn publish(
    dir: &Path,
    files: &[OutputFile],
    stale: impl Fn(&Path) -> io::Result<Vec<PathBuf>>,
) -> io::Result<Vec<PathBuf>> {
    // A signal between two moves would leave half of the set behind.
    let _held_back = HeldBack::new();
    let mut made = Vec::new();
    let result = Stage::open(dir, &mut made).and_then(|stage| {
        stage.fill(files)?;
        stage.swap(files, stale)
    });
    if result.is_err() {
        remove_empty(&made);
    }
    result?;
    Ok(files.iter().map(|(name, _)| dir.join(name)).collect())
}

/// Writes one file, whole or not at all. Missing folders are made. If `path` is a link, the file
/// that it leads to is replaced and the link stays. A device or a pipe is written to.
///
/// # Errors
/// If it can't be written.
pub fn write_file(path: &Path, content: impl Into<Vec<u8>>) -> io::Result<()> {
    let content = content.into();
    let is_link = fs::symlink_metadata(path).is_ok_and(|entry| entry.is_symlink());
    let path = match fs::metadata(path) {
        Ok(entry) if entry.is_file() => fs::canonicalize(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_link => path.to_owned(),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return write_through(path, &content),
    };
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
    let dir = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    publish(dir.unwrap_or(Path::new(".")), &[(name, content)], |_| Ok(Vec::new())).map(drop)
}

/// Writes into what is at `path`. If that is a pipe whose reader has left, nothing is wrong.
fn write_through(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::write(path, content) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// A hidden folder in the target, where the new files wait and the old ones are moved to. It is
/// removed when this is dropped.
struct Stage {
    /// The target folder.
    dir: PathBuf,
    /// The hidden folder.
    path: PathBuf,
    /// Tells other writers that the hidden folder is in use.
    _lock: Option<FolderLock>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Stage {
    /// Makes a hidden folder in `dir`. Folders that had to be made for it are added to `made`.
    fn open(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<Self> {
        for _ in 1..ATTEMPTS {
            match Self::open_once(dir, made) {
                // Another writer has removed the target again: see `ATTEMPTS`.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => return result,
            }
        }
        Self::open_once(dir, made)
    }

    fn open_once(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<Self> {
        make(dir, made)?;
        Self::inside(&fs::canonicalize(dir)?)
    }

    fn inside(dir: &Path) -> io::Result<Self> {
        let _lock = FolderLock::wait(dir)?;
        remove_orphans(dir);
        let (begin, end) = HIDDEN;
        let mut names = (0_u64..).map(|n| format!("{begin}{}-{n}{end}", std::process::id()));
        loop {
            let path = dir.join(names.next().unwrap_or_default());
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => {
                    result?;
                    let stage =
                        Self { dir: dir.to_owned(), _lock: FolderLock::try_take(&path), path };
                    return Ok(stage);
                }
            }
        }
    }

    /// Where a new file waits until it is moved to its place.
    fn waiting(&self, name: &str) -> PathBuf {
        self.path.join("new").join(name)
    }

    fn fill(&self, files: &[OutputFile]) -> io::Result<()> {
        for (name, content) in files {
            let path = self.waiting(name);
            fs::create_dir_all(path.parent().unwrap_or(&self.path))?;
            fs::write(path, content)?;
        }
        Ok(())
    }

    /// Moves the old files away, and the new ones to their places.
    fn swap(
        &self,
        files: &[OutputFile],
        stale: impl Fn(&Path) -> io::Result<Vec<PathBuf>>,
    ) -> io::Result<()> {
        let _lock = FolderLock::wait(&self.dir)?;
        let stale = stale(&self.dir)?;
        let old = self.path.join("old");
        fs::create_dir(&old)?;
        let mut swap = Swap::default();
        let replaced = files.iter().rev().map(|(name, _)| self.dir.join(name));
        for (number, path) in replaced.chain(stale.iter().cloned()).enumerate() {
            swap.put_aside(&path, &old.join(number.to_string()))?;
        }
        for (name, _) in files {
            let path = self.dir.join(name);
            swap.make_folder(path.parent().unwrap_or(&self.dir))?;
            swap.rename(&self.waiting(name), &path)?;
        }
        swap.keep();
        // Folders of stale files may be empty now.
        for folder in stale.iter().filter_map(|path| path.parent()) {
            if folder != self.dir {
                // This fails if other files are in it, and then the folder stays.
                let _ = fs::remove_dir(folder);
            }
        }
        Ok(())
    }
}

/// Makes a folder and the missing ones above it, and adds them to `made`.
fn make(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|folder| !is_there(folder)).collect();
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            Ok(()) => made.push(folder.to_owned()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes those of these folders that are empty, the last one first.
fn remove_empty(folders: &[PathBuf]) {
    folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
}

/// Whether a folder exists. The empty path is the working directory.
fn is_there(folder: &Path) -> bool {
    folder.as_os_str().is_empty() || folder.is_dir()
}

/// Removes the hidden folders of processes that have ended. The caller must hold the folder's lock.
fn remove_orphans(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let (begin, end) = HIDDEN;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with(begin) && name.ends_with(end));
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // A process holds the lock of its hidden folder as long as it lives.
        if is_ours && is_folder && FolderLock::try_take(&entry.path()).is_some() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
