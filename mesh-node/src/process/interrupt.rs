//! The signals that ask a program to stop its work early and to keep what is complete.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// The exit code of a program that was interrupted: by convention 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// The work goes on.
const WORKING: u8 = 0;
/// A signal has asked for the end of the work.
const REQUESTED: u8 = 1;
/// The work is over, so there is nothing that could be broken off.
const OVER: u8 = 2;

/// Whether SIGINT, SIGTERM or SIGHUP has asked this process to break its work off. A further SIGINT
/// or SIGTERM ends the process at once, with [`INTERRUPTED`], unless it comes with the first one: see
/// `ECHO`. A further SIGHUP is ignored. A signal that was ignored when the process
/// started, as SIGHUP is under `nohup`, is left alone.
///
/// Clones are about the same process and the same work.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Takes the signals from now on, in this thread and those that it starts later. So it must be
    /// called before other threads are started.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        let state = Arc::new(AtomicU8::new(WORKING));
        #[cfg(unix)]
        listener::start(state.clone())?;
        Ok(Self(state))
    }

    /// Whether a signal has come while there was work.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) == REQUESTED
    }

    /// Breaks if a signal has come.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Says that the work is over. From now on the first signal ends the process, but not while
    /// files are written: see [`HeldBack`](super::signal_mask::HeldBack).
    pub fn work_is_over(&self) {
        // If a signal has come before, this changes nothing.
        let _ = self.0.compare_exchange(WORKING, OVER, Ordering::Relaxed, Ordering::Relaxed);
    }
}

#[cfg(unix)]
mod listener {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::thread::Builder;
    use std::time::Duration;

    use nix::sys::signal::{SigSet, Signal};

    use super::{INTERRUPTED, REQUESTED, WORKING};
    use crate::Clock;
    use crate::process::signal_mask::{end_process, is_ignored};

    /// Within this time a further signal is taken for the same request: `timeout` sends its signal
    /// twice, and no person presses Ctrl-C again so soon.
    const ECHO: Duration = Duration::from_millis(200);

    /// Starts the thread that takes the signals.
    pub(super) fn start(state: Arc<AtomicU8>) -> io::Result<()> {
        let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
        let signals: SigSet =
            all.into_iter().filter(|signal| !is_ignored(*signal as i32)).collect();
        // Blocked in every thread, so they wait until the thread below asks for them.
        signals.thread_block()?;
        let wait = move || {
            let mut requested = None;
            while let Ok(signal) = signals.wait() {
                let clock = requested.get_or_insert_with(Clock::start);
                let first = state.compare_exchange(
                    WORKING,
                    REQUESTED,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                // A terminal that closes may send more than one SIGHUP.
                let is_echo = first == Err(REQUESTED)
                    && (signal == Signal::SIGHUP || clock.now().elapsed() < ECHO);
                if first.is_err() && !is_echo {
                    end_process(INTERRUPTED.into());
                }
            }
        };
        Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
    }
}
