//! The signals that ask a process to stop.

use std::io;
use std::process::exit;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::children;

/// Waits for SIGINT, SIGTERM, SIGQUIT or SIGHUP. SIGHUP is left alone if it was ignored when the
/// process started, as `nohup` has it.
#[derive(Debug)]
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    /// None under `nohup`.
    hangup: Option<Signal>,
}

impl Stop {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        // Before there is a handler, which would hide it.
        let may_hang_up = !hangup_is_ignored();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: may_hang_up.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for one of them. After that, the next one that is no hangup ends the process on the
    /// spot, and its commands with it: a terminal that closes may hang up more than once.
    pub async fn requested(mut self) {
        let first = self.next().await;
        tracing::info!(signal = name(first), "stopping");
        tokio::spawn(async move {
            loop {
                let again = self.next().await;
                if again != SignalKind::hangup() {
                    children::kill_all();
                    // As a shell says it of a process that a signal has killed.
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

/// Whether SIGHUP was ignored when the process began, as `nohup` has it. Only Linux says so.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (SignalKind::hangup().as_raw_value() - 1) & 1 == 1
}
