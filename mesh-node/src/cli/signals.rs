//! How a process is told to stop.

use std::process::exit;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a process that was interrupted twice: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// SIGINT and SIGTERM.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Takes both signals from now on.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them. After that, the next one ends the process on the spot.
    pub(crate) async fn requested(mut self) {
        self.next().await;
        tracing::info!("stopping");
        tokio::spawn(async move {
            self.next().await;
            exit(INTERRUPTED);
        });
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
