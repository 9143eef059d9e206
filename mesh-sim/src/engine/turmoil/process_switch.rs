//! Kills the process on a simulated host, and lets it start again.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::net::TurmoilNet;
use super::stream::OpenStreams;

/// Says whether the process of one host may run. A host whose process may not run is up and listens
/// on nothing, so it refuses connections.
///
/// The simulation and the host share it. The host's software waits for it before it does anything
/// else.
pub(super) struct ProcessSwitch {
    is_on: watch::Sender<bool>,
    /// The streams of the process that runs, or ran last.
    streams: Mutex<Arc<OpenStreams>>,
}

impl Default for ProcessSwitch {
    fn default() -> Self {
        Self { is_on: watch::Sender::new(true), streams: Mutex::default() }
    }
}

impl ProcessSwitch {
    /// Waits until the process may run. It will open its streams over `net`.
    pub(super) async fn may_run(&self, net: &TurmoilNet) {
        *self.streams.lock().unwrap_or_else(PoisonError::into_inner) = net.streams().clone();
        // The sender lives as long as this.
        let _ = self.is_on.subscribe().wait_for(|is_on| *is_on).await;
    }

    /// From now on no process may run. Once the tasks of the present one are dropped, its streams
    /// are closed, in the order in which they were opened.
    pub(super) fn turn_off(&self) {
        self.is_on.send_replace(false);
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }

    pub(super) fn turn_on(&self) {
        self.is_on.send_replace(true);
    }
}
