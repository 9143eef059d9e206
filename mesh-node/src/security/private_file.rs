//! Files with secrets: only their owner may read them, and they change all at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Checks that only its owner may read a file. Of a file of the superuser, a group may read it, too,
/// because that is how secrets get into containers.
///
/// # Errors
/// If others may read it, with the command that changes that; or if it is not there.
pub fn check_private(path: &Path) -> io::Result<()> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    match exposed(&file) {
        false => Ok(()),
        true => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("others can read it: run `chmod 600 {}`", path.display()),
        )),
    }
}

#[cfg(unix)]
fn exposed(file: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let forbidden = if file.uid() == 0 { 0o037 } else { 0o077 };
    file.mode() & forbidden != 0
}

#[cfg(not(unix))]
fn exposed(_: &fs::Metadata) -> bool {
    false
}

/// Creates a new file that only its owner may read.
///
/// # Errors
/// If there is a file of this name, or it can't be created.
pub fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A private file that is about to take the place of an old one. While this lives, nobody else can
/// begin to replace that file: so whoever begins, then reads the old file and writes the new one
/// loses nothing that another process has changed. Dropping it leaves the old file as it is.
#[derive(Debug)]
pub struct PrivateReplacement {
    path: PathBuf,
    /// The new file, until it has its place.
    beside: PathBuf,
    file: File,
}

impl PrivateReplacement {
    /// Begins to replace a file.
    ///
    /// # Errors
    /// If another process is doing the same, or the new file can't be created.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside: PathBuf = path.with_file_name(name);
        let file = create_private(&beside).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let what =
                    format!("somebody else is writing it; if not, remove {}", beside.display());
                io::Error::new(io::ErrorKind::AlreadyExists, what)
            }
            _ => error,
        })?;
        Ok(Self { path: path.to_owned(), beside, file })
    }

    /// Writes the new file and puts it into the place of the old one, so that no reader sees a part
    /// of it. Owner, group and mode stay those of the old one.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn finish(mut self, bytes: &[u8]) -> io::Result<()> {
        keep_owner(&self.path, &self.file)?;
        self.file.write_all(bytes)?;
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.path)?;
        // It has its place, so there is nothing to remove.
        self.beside.clear();
        Ok(())
    }
}

impl Drop for PrivateReplacement {
    fn drop(&mut self) {
        if !self.beside.as_os_str().is_empty() {
            // An error before this one is the one to tell.
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Writes a private file in place of the old one, all at once.
///
/// # Errors
/// As [`PrivateReplacement`] has them.
pub fn replace_privately(path: &Path, bytes: &[u8]) -> io::Result<()> {
    PrivateReplacement::begin(path)?.finish(bytes)
}

/// Gives a new file the owner, group and mode of the one that it replaces, if there is one.
#[cfg(unix)]
fn keep_owner(old: &Path, new: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let Ok(old) = fs::metadata(old) else { return Ok(()) };
    fchown(new, Some(old.uid()), Some(old.gid()))?;
    // Others never get to read it.
    new.set_permissions(fs::Permissions::from_mode(old.mode() & 0o640))
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &File) -> io::Result<()> {
    Ok(())
}

/// What of a file changes when it is written: looked at to find out whether to read it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    modified: Option<std::time::SystemTime>,
    length: u64,
    /// The number of the file, and when it or its permissions changed.
    inode: (u64, i64, i64),
}

impl FileStamp {
    /// The stamp of a file; `None` if it is not there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt as _;
            (file.ino(), file.ctime(), file.ctime_nsec())
        };
        #[cfg(not(unix))]
        let inode = (0, 0, 0);
        Some(Self { modified: file.modified().ok(), length: file.len(), inode })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_for_their_owner() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        replace_privately(&path, b"1").expect("written");
        check_private(&path).expect("nobody else can read it");
        let before = FileStamp::of(&path);
        replace_privately(&path, b"22").expect("written again");
        assert_ne!(FileStamp::of(&path), before);
        for mode in [0o644, 0o604, 0o660, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            let error = check_private(&path).expect_err("others can read it").to_string();
            assert!(error.contains("chmod 600"), "{mode:o}: {error}");
        }
        assert!(
            check_private(dir.path()).is_err() && check_private(&dir.path().join("x")).is_err()
        );
        let beside = dir.path().join("secret.new");
        fs::write(&beside, "").expect("written");
        let error = replace_privately(&path, b"3").expect_err("two writers");
        assert!(error.to_string().contains("secret.new"), "{error}");
        assert!(beside.exists(), "that file is somebody else's");
        fs::remove_file(&beside).expect("it was there");
        let begun = PrivateReplacement::begin(&path).expect("nobody else writes");
        assert!(PrivateReplacement::begin(&path).is_err(), "one writer at a time");
        drop(begun);
        assert_eq!(
            (fs::read(&path).expect("the old file"), beside.exists()),
            (b"22".to_vec(), false)
        );
    }
}
