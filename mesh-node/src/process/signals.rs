//! The signals that ask a process to stop.

use std::io;
use std::process::exit;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::children;
use crate::process::signal_mask::is_ignored;

/// Waits for one of SIGINT, SIGTERM, SIGQUIT and SIGHUP. SIGHUP is left alone if it was ignored
/// when the process started, as under `nohup`.
#[derive(Debug)]
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// `None` if the process was started with SIGHUP ignored.
    hangup: Option<Signal>,
}

impl Stop {
    /// Takes these signals from now on, instead of letting them end the process.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        // Asked first: once there is a handler, the answer is lost.
        let may_hang_up = !is_ignored(SignalKind::hangup().as_raw_value());
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: may_hang_up.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for one of the signals. After that, a second one that is not SIGHUP ends the process
    /// at once, together with its commands. A further SIGHUP is ignored, because a terminal that
    /// closes may send more than one.
    pub async fn requested(mut self) {
        let first = self.next().await;
        tracing::info!(signal = name(first), "stopping");
        tokio::spawn(async move {
            loop {
                let again = self.next().await;
                if again != SignalKind::hangup() {
                    children::kill_all();
                    // The exit code by which shells report that a signal killed a process.
                    exit(128 + again.as_raw_value());
                }
            }
        });
    }

    async fn next(&mut self) -> SignalKind {
        let hung_up = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.quit.recv() => SignalKind::quit(),
            _ = hung_up => SignalKind::hangup(),
        }
    }
}

fn name(signal: SignalKind) -> &'static str {
    match signal {
        signal if signal == SignalKind::interrupt() => "SIGINT",
        signal if signal == SignalKind::quit() => "SIGQUIT",
        signal if signal == SignalKind::hangup() => "SIGHUP",
        _ => "SIGTERM",
    }
}
