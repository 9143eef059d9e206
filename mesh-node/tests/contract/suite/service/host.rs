//! A machine for tests: sleeps through its jobs, and says the load that it is told to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_core::agent::{Failure, JobId};
use mesh_core::protocol::Task;
use mesh_node::Host;
use mesh_node::host::JobResult;
use serde_json::value::RawValue;

/// The machine; copies are the same one.
#[derive(Clone)]
pub(crate) struct TestHost {
    load: (f64, f64),
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    done: AtomicUsize,
    killed: AtomicUsize,
}

impl Default for TestHost {
    fn default() -> Self {
        Self::with_load(12.5, 40.0)
    }
}

impl TestHost {
    /// A machine whose samples say this.
    pub(crate) fn with_load(cpu_percent: f64, memory_percent: f64) -> Self {
        Self { load: (cpu_percent, memory_percent), counts: Arc::default() }
    }

    /// Jobs that were begun, done and killed.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let get = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (get(&self.counts.begun), get(&self.counts.done), get(&self.counts.killed))
    }
}

/// Counts one job as killed unless it has been done.
struct Begun {
    counts: Arc<Counts>,
    is_done: bool,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let count = if self.is_done { &self.counts.done } else { &self.counts.killed };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

impl Host for TestHost {
    fn run(&self, _: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        self.counts.begun.fetch_add(1, Ordering::SeqCst);
        let begun = Begun { counts: self.counts.clone(), is_done: false };
        async move {
            // All of it moves in here, to be dropped with the future.
            let mut begun = begun;
            tokio::time::sleep(task.demand.unwrap_or_default()).await;
            begun.is_done = true;
            match &*task.text {
                "fail" => Err(Failure::JobFailed("it was told to".to_owned())),
                "panic" => panic!("on purpose"),
                text => {
                    let output = RawValue::from_string(format!("\"Processed: {text}\""));
                    Ok(output.expect("JSON").into())
                }
            }
        }
    }

    fn sample(&self) -> (f64, f64) {
        self.load
    }

    fn window(&self) -> Duration {
        Duration::from_millis(20)
    }
}
