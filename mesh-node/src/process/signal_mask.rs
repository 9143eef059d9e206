//! Keeps signals from ending a process in the middle of something.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

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

/// Held for reading by everything that must not be interrupted.
static UNINTERRUPTED: RwLock<()> = RwLock::new(());

/// Ends the process, but first waits until no [`HeldBack`] lives.
pub fn end_process(code: i32) -> ! {
    let _none_is_left = UNINTERRUPTED.write().unwrap_or_else(PoisonError::into_inner);
    std::process::exit(code)
}

/// Whether the process was started with this signal ignored, as SIGHUP is under `nohup`. Once there
/// is a handler, the answer is lost. Only Linux tells.
#[cfg(unix)]
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

/// While it lives, holds back the signals that ask this process to end, as far as this thread would
/// take them, and [`end_process`]. They take effect afterwards, unless another thread takes them.
/// At most one may live in a thread.
#[derive(Debug)]
#[must_use = "signals come again when it is dropped"]
pub struct HeldBack {
    #[cfg(unix)]
    before: Option<SigSet>,
    _uninterrupted: RwLockReadGuard<'static, ()>,
}

impl HeldBack {
    /// Holds the signals back from now on.
    #[cfg(unix)]
    pub fn new() -> Self {
        let ends = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
        let ends: SigSet = ends.into_iter().collect();
        let before = SigSet::thread_get_mask().ok().filter(|_| ends.thread_block().is_ok());
        Self { before, _uninterrupted: uninterrupted() }
    }

    /// Holds the signals back from now on.
    #[cfg(not(unix))]
    pub fn new() -> Self {
        Self { _uninterrupted: uninterrupted() }
    }
}

fn uninterrupted() -> RwLockReadGuard<'static, ()> {
    UNINTERRUPTED.read().unwrap_or_else(PoisonError::into_inner)
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
