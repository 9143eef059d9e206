//! Clients that call `delegate` again and again, and count how their calls end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::figures::counted;
use crate::process::{Service, try_call, until};

/// The clients of each entry agent. Half of them say that their jobs are idempotent.
const CLIENTS: usize = 2;

/// How the calls at one entry agent ended.
#[derive(Default)]
struct CallCounts {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    /// Calls that ended as no call may end.
    strange: AtomicU64,
}

/// Threads that send calls until they are stopped.
pub(crate) struct Clients {
    by_entry: Vec<Arc<CallCounts>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Starts clients that ask each of these agents to delegate jobs of `demand_ms`.
    pub(crate) fn start<'a>(
        entries: impl IntoIterator<Item = &'a Service>,
        demand_ms: u64,
    ) -> Self {
        let mut clients = Self { by_entry: Vec::new(), stop: Arc::default(), threads: Vec::new() };
        for entry in entries {
            let ends = Arc::<CallCounts>::default();
            for client in 0..CLIENTS {
                let (ends, stop) = (ends.clone(), clients.stop.clone());
                let address = entry.address.clone();
                let job = json!({
                    "text": "x", "demand_ms": demand_ms, "timeout_ms": 10_000,
                    "idempotent": client % 2 == 0,
                });
                clients.threads.push(std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        delegate(&address, &job, &ends);
                    }
                }));
            }
            clients.by_entry.push(ends);
        }
        clients
    }

    pub(crate) fn answered(&self) -> u64 {
        self.sum(|ends| &ends.answered)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.sum(|ends| &ends.failed)
    }

    /// Waits until every entry agent has answered this many calls more.
    #[track_caller]
    pub(crate) fn await_answers(&self, more: u64) {
        let counts = || self.by_entry.iter().map(|ends| ends.answered.load(Ordering::Relaxed));
        let before: Vec<_> = counts().collect();
        until("more answers", || counts().zip(&before).all(|(now, before)| now >= before + more));
    }

    /// Stops the clients. Checks that each call ended exactly once and in an allowed way, that its
    /// entry agent counted the same, and that no entry agent has anything left under way.
    pub(crate) fn end<'a>(self, entries: impl IntoIterator<Item = &'a Service>) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.by_entry.len() * CLIENTS, self.threads.len());
        for client in self.threads {
            client.join().expect("every call came back");
        }
        for (ends, entry) in self.by_entry.iter().zip(entries) {
            let [sent, answered, failed, strange] =
                [&ends.sent, &ends.answered, &ends.failed, &ends.strange]
                    .map(|count| count.load(Ordering::Relaxed));
            println!("{}: {answered} answered, {failed} failed", entry.address);
            assert_eq!((sent, strange), (answered + failed, 0), "at {}", entry.address);
            assert_eq!(counted(entry, "mesh_delegations_total"), sent, "at {}", entry.address);
            assert_eq!(counted(entry, "mesh_calls_open"), 0, "at {}", entry.address);
        }
    }

    fn sum(&self, which: impl Fn(&CallCounts) -> &AtomicU64) -> u64 {
        self.by_entry.iter().map(|ends| which(ends).load(Ordering::Relaxed)).sum()
    }
}

/// Sends one call, and counts how it ends.
fn delegate(address: &str, job: &Value, ends: &CallCounts) {
    ends.sent.fetch_add(1, Ordering::Relaxed);
    let end = match try_call(address, "delegate", job.clone()) {
        Ok(Ok(result)) if result["peer_result"]["result"] == "Processed: x" => &ends.answered,
        Ok(Err(error)) if is_expected(&error) => &ends.failed,
        other => {
            eprintln!("{address}: {other:?}");
            &ends.strange
        }
    };
    end.fetch_add(1, Ordering::Relaxed);
}

/// Whether a call may end with this error. An agent that dies may have half done its job, and the
/// retry budget has an end.
fn is_expected(error: &Value) -> bool {
    [-32015, -32019].contains(&error["code"].as_i64().expect("a code"))
}
