//! Background load: keeps cores of this machine busy, as other programs would.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, park_timeout, spawn};
use std::time::Duration;

use mesh_node::Clock;

/// In each period, every thread is busy for its share. A period is short compared with a job, and
/// long compared with a switch of threads.
const PERIOD: Duration = Duration::from_millis(10);
/// The value at which the threads end; all others are shares in parts of [`WHOLE`].
const END: u64 = u64::MAX;
const WHOLE: f64 = 1e6;

/// A thread per core, each busy for a share of the time. The threads end when this is dropped.
#[derive(Debug)]
pub(super) struct Burner {
    load: Arc<AtomicU64>,
}

impl Burner {
    /// Starts the threads, which are idle at first.
    pub(super) fn start() -> Self {
        let load = Arc::new(AtomicU64::new(0));
        for _ in 0..available_parallelism().map_or(1, NonZero::get) {
            let load = load.clone();
            spawn(move || burn(&load));
        }
        Self { load }
    }

    /// Keeps all cores busy for this share of the time, 0 to 1.
    pub(super) fn set(&self, load: f64) {
        self.load.store((load * WHOLE) as u64, Ordering::Relaxed);
    }
}

impl Drop for Burner {
    fn drop(&mut self) {
        self.load.store(END, Ordering::Relaxed);
    }
}

/// The life of one thread.
fn burn(load: &AtomicU64) {
    let clock = Clock::start();
    let mut period = clock.now();
    loop {
        let share = match load.load(Ordering::Relaxed) {
            END => return,
            parts => parts as f64 / WHOLE,
        };
        let busy_until = period + PERIOD.mul_f64(share);
        while clock.now() < busy_until {
            std::hint::spin_loop();
        }
        period += PERIOD;
        park_timeout(period.since(clock.now()));
        // A thread that was stalled does not make up for it with a longer burst.
        period = period.max(clock.now());
    }
}
