//! The queue between the log and standard error. Because of it, logging never waits and never
//! fails.
//!
//! A registry logs while it holds the lock that all its requests wait for. If the reader of the log
//! stands still, leaves, or has a full disk, then lines are lost, and nothing else happens.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_node::process::console;

/// How many bytes may wait to be written. Further lines are lost and counted.
const MOST_WAITING: usize = 1 << 20;
/// How long writing the last lines may take when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// Lines that wait to be written to standard error. Copies share one queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<Vec<u8>>,
    /// The sum of the waiting lines' lengths.
    bytes: usize,
    /// Whether a line has been taken out and is being written.
    is_writing: bool,
    /// Lines that were lost since the log last told so.
    lost: u64,
}

impl LogQueue {
    /// A queue, and a thread that writes its lines to standard error.
    ///
    /// # Errors
    /// If the thread can't be started.
    pub(crate) fn start() -> io::Result<Self> {
        let queue = Self::default();
        let lines = queue.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || {
            loop {
                lines.write_next(console::say_bytes);
            }
        })?;
        Ok(queue)
    }

    /// Waits until everything that was logged is written, but not longer than [`FLUSH_LIMIT`].
    pub(crate) fn flush(&self) {
        let is_busy = |state: &mut QueueState| state.is_writing || !state.waiting.is_empty();
        // Whether all is written or the time is over makes no difference to the caller.
        let _ = self.0.changed.wait_timeout_while(self.lock(), FLUSH_LIMIT, is_busy);
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, which brings its own line feed.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.bytes + line.len() > MOST_WAITING {
            state.lost += 1;
            return;
        }
        state.bytes += line.len();
        state.waiting.push_back(line.to_vec());
        self.0.changed.notify_all();
    }

    /// Waits for a line and writes it. If lines were lost, logs that as soon as there is room
    /// again.
    fn write_next(&self, write: impl FnOnce(&[u8])) {
        let is_idle = |state: &mut QueueState| state.waiting.is_empty();
        let state = self.0.changed.wait_while(self.lock(), is_idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let line = state.waiting.pop_front().unwrap_or_default();
        state.bytes -= line.len();
        state.is_writing = true;
        let lost = std::mem::take(&mut state.lost);
        drop(state);
        write(&line);
        if lost > 0 {
            tracing::warn!(lines = lost, "lines of this log were lost: its reader is too slow");
        }
        self.lock().is_writing = false;
        self.0.changed.notify_all();
    }
}

/// The formatter hands over whole lines.
impl io::Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let queue = LogQueue::default();
        let line = vec![b'x'; MOST_WAITING / 4];
        (0..6).for_each(|_| queue.push(&line));
        let state = queue.lock();
        assert_eq!((state.waiting.len(), state.lost), (4, 2));
        drop(state);

        queue.write_next(|written| assert_eq!(written, line));
        assert_eq!(queue.lock().lost, 0, "it was said");
        queue.push(b"next");
        assert_eq!(queue.lock().waiting.len(), 4, "there is room again");
        (0..4).for_each(|_| queue.write_next(|_| {}));
        queue.flush();
        assert_eq!(queue.lock().bytes, 0);
    }
}
