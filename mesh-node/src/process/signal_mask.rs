//! Blocks signals that must not end a process in the middle of something.

#[cfg(unix)]
use nix::sys::signal::{SigSet, Signal};

/// Makes a limit on the size of files (`ulimit -f`, RLIMIT_FSIZE) an error of the write that
/// exceeds it, like a full disk, instead of a signal that ends the process. Holds for this thread
/// and those that it starts from now on. Child processes would inherit it: see [`with_file_limit`].
pub fn survive_file_limit() {
    #[cfg(unix)]
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
}

/// Calls `act` with the signal of [`survive_file_limit`] unblocked. To start child processes.
pub fn with_file_limit<T>(act: impl FnOnce() -> T) -> T {
    #[cfg(unix)]
    let survives = SigSet::thread_get_mask().is_ok_and(|mask| mask.contains(Signal::SIGXFSZ));
    #[cfg(unix)]
    let _ = SigSet::from(Signal::SIGXFSZ).thread_unblock();
    let done = act();
    #[cfg(unix)]
    if survives {
        survive_file_limit();
    }
    done
}

/// While it lives, holds back the signals that ask this process to end, as far as this thread would
/// take them. They take effect afterwards, unless another thread takes them.
#[derive(Debug)]
#[must_use = "signals come again when it is dropped"]
pub struct HeldBack {
    #[cfg(unix)]
    before: Option<SigSet>,
}

impl HeldBack {
    /// Holds the signals back from now on.
    #[cfg(unix)]
    pub fn new() -> Self {
        let ends = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let ends: SigSet = ends.into_iter().collect();
        let before = SigSet::thread_get_mask().ok().filter(|_| ends.thread_block().is_ok());
        Self { before }
    }

    /// Holds the signals back from now on.
    #[cfg(not(unix))]
    pub fn new() -> Self {
        Self {}
    }
}

impl Default for HeldBack {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.before {
            let _ = before.thread_set_mask();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn signals_are_held_back_for_a_while() {
        let blocks = |signal| SigSet::thread_get_mask().expect("a mask").contains(signal);
        survive_file_limit();
        assert!(blocks(Signal::SIGXFSZ) && !blocks(Signal::SIGTERM));
        let held_back = HeldBack::new();
        assert!(blocks(Signal::SIGXFSZ) && blocks(Signal::SIGTERM) && blocks(Signal::SIGINT));
        drop(held_back);
        assert!(blocks(Signal::SIGXFSZ) && !blocks(Signal::SIGTERM));
    }
}
