//! Locks on folders, which the operating system releases when their process ends.

#[cfg(not(unix))]
use std::{io, path::Path};

/// The lock of a folder, which one process at a time can hold. Where the file system or the
/// operating system has no such locks, there is no protection from other processes.
#[derive(Debug)]
pub(super) struct FolderLock {
    #[cfg(unix)]
    _file: nix::fcntl::Flock<std::fs::File>,
}

#[cfg(unix)]
mod held {
    use std::fs::File;
    use std::io;
    use std::path::Path;
    use std::thread::park_timeout;
    use std::time::Duration;

    use nix::errno::Errno;
    use nix::fcntl::{Flock, FlockArg};

    use super::FolderLock;

    /// The pause between two attempts to take a lock.
    const PAUSE: Duration = Duration::from_millis(2);
    /// How long to wait for a lock. Its holders only rename files, so if it takes this long, one of
    /// them is stuck.
    const PATIENCE: Duration = Duration::from_secs(60);

    impl FolderLock {
        /// Waits for the lock of a folder. `None` if the folder can't be locked at all.
        ///
        /// # Errors
        /// If there is no such folder, or if another process holds the lock for too long.
        pub(in super::super) fn wait(folder: &Path) -> io::Result<Option<Self>> {
            let mut file = match File::open(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
                other => other,
            };
            for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
                let Ok(open) = file else { return Ok(None) };
                match Flock::lock(open, FlockArg::LockExclusiveNonblock) {
                    Ok(file) => return Ok(Some(Self { _file: file })),
                    Err((open, Errno::EWOULDBLOCK | Errno::EINTR)) => file = Ok(open),
                    Err(_) => return Ok(None),
                }
                park_timeout(PAUSE);
            }
            Err(io::Error::new(io::ErrorKind::TimedOut, "another process is writing there"))
        }

        /// Takes the lock of a folder; `None` if another process has it.
        pub(in super::super) fn try_take(folder: &Path) -> Option<Self> {
            let file = File::open(folder).ok()?;
            let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
            Some(Self { _file: file })
        }
    }
}

#[cfg(not(unix))]
impl FolderLock {
    pub(super) fn wait(_: &Path) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(super) fn try_take(_: &Path) -> Option<Self> {
        None
    }
}
