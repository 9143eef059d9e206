//! The limit of open files, raised for this process and not for its children.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

/// The limit that this process was started with, if it has raised it since.
static STARTED_WITH: OnceLock<Rlimit> = OnceLock::new();

/// Takes all the file descriptors that the operating system is willing to give: its usual limit is
/// below the number of connections that a server here accepts. Children are given the limit that
/// was: some programs close or look through all numbers up to it, and `select` knows 1,024.
///
/// # Errors
/// If the operating system refuses; the limit stays.
pub fn allow_many_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    // Only the first one is the one that was.
    let _ = STARTED_WITH.set(limit);
    Ok(())
}

/// Gives a child the limit that this process was started with. The child runs already: it may see
/// the other limit if it looks before it has read any of its input.
pub(super) fn restore_limit(child: Pid) {
    #[cfg(target_os = "linux")]
    if let Some(limit) = STARTED_WITH.get() {
        // It may have ended.
        let _ = rustix::process::prlimit(Some(child), Resource::Nofile, *limit);
    }
}
