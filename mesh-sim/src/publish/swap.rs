//! Moves files, and undoes all of the moves unless every one succeeds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The moves so far. If it is dropped before [`Swap::keep`], it undoes them.
#[derive(Debug, Default)]
pub(super) struct Swap {
    steps: Vec<SwapStep>,
}

#[derive(Debug)]
enum SwapStep {
    Moved { from: PathBuf, to: PathBuf },
    Made(PathBuf),
}

impl Swap {
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        self.steps.push(SwapStep::Moved { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    /// Moves a file away, if it exists.
    ///
    /// # Errors
    /// If it is a folder, which can't be ours.
    pub(super) fn put_aside(&mut self, file: &Path, to: &Path) -> io::Result<()> {
        match fs::symlink_metadata(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(entry) if entry.is_dir() => {
                let what = format!("{} is a folder: move it away", file.display());
                Err(io::Error::new(io::ErrorKind::IsADirectory, what))
            }
            other => other.and_then(|_| self.rename(file, to)),
        }
    }

    /// Makes a folder and the missing ones above it.
    pub(super) fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(above) = folder.parent() {
            self.make_folder(above)?;
        }
        fs::create_dir(folder)?;
        self.steps.push(SwapStep::Made(folder.to_owned()));
        Ok(())
    }

    /// Makes the moves final.
    pub(super) fn keep(mut self) {
        self.steps.clear();
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        for step in self.steps.drain(..).rev() {
            // A move that can't be undone stays as it is: a destructor can't return an error.
            let _ = match step {
                SwapStep::Moved { from, to } => fs::rename(to, from),
                SwapStep::Made(folder) => fs::remove_dir(folder),
            };
        }
    }
}
