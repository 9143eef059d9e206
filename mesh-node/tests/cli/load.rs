//! Clients that delegate without a pause, and how their calls end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::figures::counted;
use crate::process::{Service, try_call, until};

/// Clients of each entry; half of them call their jobs idempotent.
const CLIENTS: usize = 2;

/// How calls of `delegate` ended.
#[derive(Default)]
struct Ends {
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    strange: AtomicU64,
}

/// Clients at work.
pub(crate) struct Load {
    by_entry: Vec<Arc<Ends>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Clients that ask each of these agents to delegate jobs of `demand_ms`.
    pub(crate) fn start<'a>(
        entries: impl IntoIterator<Item = &'a Service>,
        demand_ms: u64,
    ) -> Self {
        let mut load = Self { by_entry: Vec::new(), stop: Arc::default(), clients: Vec::new() };
        for entry in entries {
            let ends = Arc::<Ends>::default();
            for client in 0..CLIENTS {
                let (ends, stop) = (ends.clone(), load.stop.clone());
                let address = entry.address.clone();
                let job = json!({
                    "text": "x", "demand_ms": demand_ms, "timeout_ms": 10_000,
                    "idempotent": client % 2 == 0,
                });
                load.clients.push(std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        delegate(&address, &job, &ends);
                    }
                }));
            }
            load.by_entry.push(ends);
        }
        load
    }

    pub(crate) fn answered(&self) -> u64 {
        self.sum(|ends| &ends.answered)
    }

    pub(crate) fn failed(&self) -> u64 {
        self.sum(|ends| &ends.failed)
    }

    /// Waits for so many more answers from every entry.
    #[track_caller]
    pub(crate) fn await_answers(&self, more: u64) {
        let counts = || self.by_entry.iter().map(|ends| ends.answered.load(Ordering::Relaxed));
        let before: Vec<_> = counts().collect();
        until("more answers", || counts().zip(&before).all(|(now, before)| now >= before + more));
    }

    /// Stops the clients. Checks that each call ended once, in a way that may be, both as its
    /// client saw it and as its entry did, and that the entries have nothing left under way.
    pub(crate) fn end<'a>(self, entries: impl IntoIterator<Item = &'a Service>) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.by_entry.len() * CLIENTS, self.clients.len());
        for client in self.clients {
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

    fn sum(&self, which: impl Fn(&Ends) -> &AtomicU64) -> u64 {
        self.by_entry.iter().map(|ends| which(ends).load(Ordering::Relaxed)).sum()
    }
}

/// One call, counted by its end.
fn delegate(address: &str, job: &Value, ends: &Ends) {
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

/// An agent that dies may have half done the job, and the budget of retries has an end.
fn is_expected(error: &Value) -> bool {
    [-32015, -32019].contains(&error["code"].as_i64().expect("a code"))
}
