//! Background load: others that use this machine's cores.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, park_timeout, spawn};
use std::time::Duration;

use mesh_node::Clock;

/// Each period has its share of work: short beside a job, long beside a switch of threads.
const PERIOD: Duration = Duration::from_millis(10);
/// The load at which threads end, in parts of [`WHOLE`].
const END: u64 = u64::MAX;
const WHOLE: f64 = 1e6;

/// A thread per core that is busy for a share of the time. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Burner {
    load: Arc<AtomicU64>,
}

impl Burner {
    /// Idle threads.
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
        // After a stall there is nothing to catch up with.
        period = period.max(clock.now());
    }
}
