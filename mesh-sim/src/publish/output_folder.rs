//! The folder that a command writes its results into: the one that the user names, or else a new
//! one with a number, so that no results replace others.
//!
//! The folder is made, and written to, before the work, so that nobody waits an hour for results
//! that can't be written. Beside the numbered folders a relative link `latest` leads to the one that
//! was written last.

use std::fs;
use std::io::{self, ErrorKind};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use mesh_node::process::signal_mask::HeldBack;
use thiserror::Error;

use super::{ATTEMPTS, Stage, make, remove_empty};

/// The folder of all results that were not given a place.
pub const RUNS: &str = "results/runs";
/// The link beside numbered folders that leads to the one that was written last.
const LATEST: &str = "latest";

/// How the results of a command are told from other files.
#[derive(Clone, Copy, Debug)]
pub struct ResultKind {
    /// The name of the file that is put into place last: while it is there, the set is complete.
    pub last: &'static str,
    /// Whether a file in this folder belongs to the results; its path is from the folder, with `/`.
    pub is_ours: fn(&Path, &str) -> bool,
}

/// The folder can't be written to. The message fits after "failed to".
#[derive(Debug, Error)]
#[error("write the results to {}: {source}; --out names another folder", path.display())]
pub struct OutputFolderError {
    /// The folder, or the one above the numbered ones.
    pub path: PathBuf,
    /// Why it can't be written to.
    pub source: io::Error,
}

/// A folder has results of its own beside numbered ones, so it does not say which are meant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "tell which results of {0} are meant: it has its own, and numbered folders; \
     name {0}/latest, or a file in {0}"
)]
pub struct AmbiguousResults(String);

/// A folder for results, which was written to for a trial. If there is nothing in it when this is
/// dropped, the folder and those that were made for it are removed again.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    /// The folder above, if this one has a number.
    above: Option<PathBuf>,
    /// The folders that were made, in this order.
    made: Vec<PathBuf>,
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        remove_empty(&self.made);
    }
}

impl OutputFolder {
    /// The folder `out`; if that is `None`, a new one with a number in `results/runs/<name>`.
    ///
    /// # Errors
    /// If it can't be written to.
    pub fn open(out: Option<&Path>, name: &str) -> Result<Self, OutputFolderError> {
        match out {
            Some(out) => Self::at(out.to_owned()),
            None => Self::numbered(Self::place(out, name)),
        }
    }

    /// The folder `out`; if that is `None`, `results/runs/<name>`, which several processes share.
    ///
    /// # Errors
    /// If it can't be written to.
    pub fn open_shared(out: Option<&Path>, name: &str) -> Result<Self, OutputFolderError> {
        Self::at(Self::place(out, name))
    }

    /// Of the folders that [`Self::open`] makes, the newest one that has this file; `None` if there
    /// is none.
    ///
    /// # Errors
    /// If it can't be written to.
    pub fn reopen(
        out: Option<&Path>,
        name: &str,
        file: &str,
    ) -> Result<Option<Self>, OutputFolderError> {
        if let Some(out) = out {
            return out.join(file).exists().then(|| Self::at(out.to_owned())).transpose();
        }
        let above = Self::place(out, name);
        let mut numbers = numbers(&above).unwrap_or_default();
        numbers.retain(|number| folder(&above, *number).join(file).exists());
        let Some(newest) = numbers.pop() else { return Ok(None) };
        let mut found = Self::at(folder(&above, newest))?;
        found.above = Some(above);
        Ok(Some(found))
    }

    /// The folder `out`, or the one that the others make theirs in.
    pub fn place(out: Option<&Path>, name: &str) -> PathBuf {
        out.map_or_else(|| Path::new(RUNS).join(name), Path::to_owned)
    }

    /// This folder.
    ///
    /// # Errors
    /// If it can't be written to.
    pub fn at(path: PathBuf) -> Result<Self, OutputFolderError> {
        let mut folder = Self { path, above: None, made: Vec::new() };
        let tried = write_trial(&folder.path, &mut folder.made);
        tried.map_err(|source| OutputFolderError { path: folder.path.clone(), source })?;
        Ok(folder)
    }

    fn numbered(above: PathBuf) -> Result<Self, OutputFolderError> {
        let mut made = Vec::new();
        let taken = take_number(&above, &mut made);
        let folder = taken.and_then(|path| write_trial(&path, &mut made).map(|()| path));
        match folder {
            Ok(path) => Ok(Self { path, above: Some(above), made }),
            Err(source) => {
                remove_empty(&made);
                Err(OutputFolderError { path: above, source })
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's path, with what leads to it.
    pub fn in_words(&self) -> String {
        let latest = if self.is_latest() { " (latest)" } else { "" };
        format!("{}{latest}", self.path.display())
    }

    /// Whether `latest` leads to this folder.
    pub fn is_latest(&self) -> bool {
        let above = self.above.as_deref();
        above.and_then(latest).is_some_and(|latest| latest == self.path)
    }

    /// Says that results were written into the folder. If it is a numbered one, `latest` leads to it
    /// from now on; with `keep`, of the numbered folders with results of this kind only so many stay,
    /// the newest. Those that hold other files as well stay too; returns one such file of each.
    ///
    /// A file system without links has no `latest`.
    ///
    /// # Errors
    /// If old results can't be removed.
    pub fn written(
        &self,
        kind: ResultKind,
        keep: Option<NonZero<usize>>,
    ) -> io::Result<Vec<PathBuf>> {
        let Some(above) = &self.above else { return Ok(Vec::new()) };
        let _held_back = HeldBack::new();
        let stage = Stage::open(above, &mut Vec::new())?;
        // What was written is there, whether or not a link can lead to it.
        let _ = self.link_latest(above, &stage);
        match keep {
            Some(keep) => self.remove_old(above, &stage, kind, keep),
            None => Ok(Vec::new()),
        }
    }

    #[cfg(unix)]
    fn link_latest(&self, above: &Path, stage: &Stage) -> io::Result<()> {
        let (link, waiting) = (above.join(LATEST), stage.path.join(LATEST));
        if fs::symlink_metadata(&link).is_ok_and(|entry| !entry.is_symlink()) {
            // A file or a folder of the user has this name.
            return Err(ErrorKind::AlreadyExists.into());
        }
        let number = self.path.file_name().ok_or(ErrorKind::InvalidFilename)?;
        std::os::unix::fs::symlink(number, &waiting)?;
        fs::rename(&waiting, &link)
    }

    #[cfg(not(unix))]
    fn link_latest(&self, _: &Path, _: &Stage) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    fn remove_old(
        &self,
        above: &Path,
        stage: &Stage,
        kind: ResultKind,
        keep: NonZero<usize>,
    ) -> io::Result<Vec<PathBuf>> {
        let mut with_results = numbers(above)?;
        with_results.retain(|number| folder(above, *number).join(kind.last).is_file());
        let mut spared = Vec::new();
        for number in with_results.iter().rev().skip(keep.get()) {
            let old = folder(above, *number);
            if old == self.path {
                continue;
            }
            match foreign_file(&old, &old, kind)? {
                Some(file) => spared.push(file),
                // The whole folder is gone at once, and its content with the stage.
                None => fs::rename(&old, stage.path.join(number.to_string()))?,
            }
        }
        Ok(spared)
    }
}

/// The folder of results that `dir` means: `dir` itself, or the one to which its `latest` leads, if
/// `dir` has numbered ones. `has_results` says whether a folder has results.
///
/// # Errors
/// If it could be either.
pub fn results_in(
    dir: &Path,
    has_results: impl Fn(&Path) -> bool,
) -> Result<PathBuf, AmbiguousResults> {
    match (has_results(dir), latest(dir)) {
        (true, Some(_)) => Err(AmbiguousResults(dir.display().to_string())),
        (false, Some(latest)) => Ok(latest),
        (_, None) => Ok(dir.to_owned()),
    }
}

/// The numbered folder to which `latest` leads.
fn latest(above: &Path) -> Option<PathBuf> {
    let link = fs::read_link(above.join(LATEST)).ok()?;
    let number = number(link.to_str()?)?;
    Some(folder(above, number)).filter(|latest| latest.is_dir())
}

fn folder(above: &Path, number: u64) -> PathBuf {
    above.join(number.to_string())
}

/// The number that a folder has as its name; `None` if the name is another one.
fn number(name: &str) -> Option<u64> {
    // Other spellings, like `007`, are no names of ours.
    name.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == name)
}

/// The numbers of the numbered folders in `above`, in ascending order.
fn numbers(above: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(above)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(number);
        numbers.extend(number.filter(|_| entry.path().is_dir()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes the next numbered folder. Whoever makes a folder has its number, so two processes never
/// get the same one.
fn take_number(above: &Path, made: &mut Vec<PathBuf>) -> io::Result<PathBuf> {
    for _ in 0..ATTEMPTS {
        make(above, made)?;
        // Another process, which had made the folder above, may remove it again at any time.
        let highest = match numbers(above) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            numbers => numbers?.pop().unwrap_or_default(),
        };
        for number in (highest..u64::MAX).map(|number| number + 1) {
            let path = folder(above, number);
            match fs::create_dir(&path) {
                Ok(()) => {
                    made.push(path.clone());
                    return Ok(path);
                }
                // Another process has just taken it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// Writes a file into `dir`, which is made if it does not exist, and removes the file again.
fn write_trial(dir: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let _held_back = HeldBack::new();
    let tried = Stage::open(dir, made).and_then(|stage| fs::write(stage.path.join("trial"), "x"));
    if tried.is_err() {
        remove_empty(made);
    }
    tried
}

/// A file in `dir`, or in a folder below, that is none of the results in `top`; `None` if there is
/// none.
fn foreign_file(top: &Path, dir: &Path, kind: ResultKind) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if let Some(foreign) = foreign_file(top, &path, kind)? {
                return Ok(Some(foreign));
            }
            continue;
        }
        let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if !(kind.is_ours)(top, &name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
