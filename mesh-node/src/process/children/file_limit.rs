//! Raises the limit of open files for this process, but not for its children.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

/// The limit that this process was started with; set once the limit has been raised.
static STARTED_WITH: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit of open files as far as the operating system allows. The usual limit is below
/// the number of connections that a server accepts here.
///
/// Children get the former limit: some programs close or look through all numbers up to the limit,
/// and `select` works only up to 1,024.
///
/// # Errors
/// If the operating system refuses. The limit stays as it is.
pub fn allow_many_files() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    // A later call finds the raised limit, so only the first one is kept.
    let _ = STARTED_WITH.set(limit);
    Ok(())
}

/// Gives a child the limit that this process was started with. The child is running already: if it
/// looks at the limit before it has read any of its input, it may see the other one.
pub(super) fn restore_limit(child: Pid) {
    #[cfg(target_os = "linux")]
    if let Some(limit) = STARTED_WITH.get() {
        // It fails if the child has ended already.
        let _ = rustix::process::prlimit(Some(child), Resource::Nofile, *limit);
    }
}
