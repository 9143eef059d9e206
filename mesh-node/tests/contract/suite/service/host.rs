//! A host for tests: it sleeps through its jobs, and reports the load that it is told to report.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_core::agent::{Failure, JobId};
use mesh_core::codec;
use mesh_core::protocol::Task;
use mesh_node::Host;
use mesh_node::host::JobResult;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// The host. Copies share their counts.
#[derive(Clone)]
pub(crate) struct TestHost {
    load: (f64, f64),
    takes_foreign_calls: bool,
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
    /// A host whose samples are these.
    pub(crate) fn with_load(cpu_percent: f64, memory_percent: f64) -> Self {
        let load = (cpu_percent, memory_percent);
        Self { load, takes_foreign_calls: false, counts: Arc::default() }
    }

    /// A host that answers a foreign call with what it was asked.
    pub(crate) fn taking_foreign_calls() -> Self {
        Self { takes_foreign_calls: true, ..Self::default() }
    }

    /// How many jobs were begun, done and killed.
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
    fn takes_foreign_calls(&self) -> bool {
        self.takes_foreign_calls
    }

    fn run(&self, _: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        self.counts.begun.fetch_add(1, Ordering::SeqCst);
        let begun = Begun { counts: self.counts.clone(), is_done: false };
        async move {
            // Moved into the future as a whole, so that it is dropped with it.
            let mut begun = begun;
            tokio::time::sleep(task.demand.unwrap_or_default()).await;
            begun.is_done = true;
            if let Some(call) = task.foreign_call() {
                let echo = json!({ "method": &*call.method, "params": call.params });
                return Ok(to_raw_value(&echo).expect("JSON").into());
            }
            match &*task.text {
                "fail" => Err(Failure::JobFailed("it was told to".to_owned())),
                // The error of a job that is itself a call of a mesh.
                "imitate" => Err(Failure::Other(codec::to_error(&Failure::Busy))),
                "lose" => Err(Failure::OutcomeUnknown { peer: "the upstream".to_owned() }),
                "be down" => Err(Failure::Unavailable("no such file".into())),
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
