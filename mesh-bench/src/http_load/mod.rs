//! A load generator: one thread, kept-alive connections, closed or open loop.

mod connection;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{park_timeout, spawn};
use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_core::Timestamp;
use mesh_node::Clock;
use mesh_sim::record::Latency;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::connection::{Connection, Failure};

/// How long requests under way at the end may take before they count as failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is sent where, how and when.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// `ip:port`.
    pub(crate) address: String,
    /// Whole HTTP requests, sent in turn. Each must be answered 200 without a JSON-RPC error.
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) connections: usize,
    /// Requests due per second, whatever became of the others (open loop); latency counts from
    /// when they are due. Without it each connection sends as soon as it has its answer.
    pub(crate) rate: Option<f64>,
    /// The first requests are due then.
    pub(crate) start: Timestamp,
    /// Requests that end before this are not counted.
    pub(crate) from: Timestamp,
    /// Nor those that end after this, when no more are sent.
    pub(crate) until: Timestamp,
}

/// What came of a plan.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Of requests that were answered with a result while they counted.
    pub(crate) latency: Latency,
    /// Requests that were not.
    pub(crate) failed: u64,
    /// What the first of them failed of.
    pub(crate) first_failure: Option<String>,
    /// Connections opened: as many as the plan has, unless some broke.
    pub(crate) opened: u64,
}

/// A whole request to post JSON.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Carries out a plan, in a thread of its own.
///
/// # Errors
/// If a connection can't be opened, or if answers are still missing long after the end.
pub(crate) async fn run(plan: Plan, clock: Clock) -> anyhow::Result<Tally> {
    let (send, tally) = oneshot::channel();
    spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tally = runtime
            .context("failed to start a runtime")
            .and_then(|runtime| runtime.block_on(drive(plan, clock)));
        // Nobody waits any more after a signal.
        let _ = send.send(tally);
    });
    tally.await.context("the load generator has died")?
}

async fn drive(plan: Plan, clock: Clock) -> anyhow::Result<Tally> {
    let (connections, until) = (plan.connections, plan.until);
    let load = Arc::new(Load {
        plan,
        clock,
        due: Semaphore::new(0),
        drawn: AtomicU64::new(0),
        tally: Mutex::default(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let load = load.clone();
        tasks.spawn(async move { load.use_connection().await });
    }
    clock.sleep_until(load.plan.start).await;
    if let Some(interval) = load.plan.interval() {
        let load = load.clone();
        spawn(move || load.pace(interval));
    }
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            ended.context("the load generator has died")??;
        }
        anyhow::Ok(())
    };
    match timeout(until.since(clock.now()) + PATIENCE, all).await {
        Ok(ended) => ended?,
        Err(_) => bail!("answers are missing {PATIENCE:?} after the end"),
    }
    let tally = std::mem::take(&mut *load.tally());
    Ok(tally)
}

impl Plan {
    /// Time between two requests of an open loop.
    fn interval(&self) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs_f64(1.0 / rate))
    }
}

struct Load {
    plan: Plan,
    clock: Clock,
    /// Open loop: requests that are due and not sent yet.
    due: Semaphore,
    /// Requests sent or about to be.
    drawn: AtomicU64,
    tally: Mutex<Tally>,
}

impl Load {
    async fn use_connection(&self) -> anyhow::Result<()> {
        let address = &self.plan.address;
        let mut open = None;
        self.clock.sleep_until(self.plan.start).await;
        while let Some((number, due)) = self.next().await {
            let connection = match &mut open {
                Some(connection) => connection,
                None => {
                    let fresh = Connection::open(address).await;
                    let fresh = fresh.with_context(|| format!("failed to connect to {address}"))?;
                    self.tally().opened += 1;
                    open.insert(fresh)
                }
            };
            let requests = &self.plan.requests;
            let result = connection.exchange(&requests[number as usize % requests.len()]).await;
            if result.is_err() {
                open = None;
            }
            self.record(due, result);
        }
        Ok(())
    }

    /// The next request and when it is due; `None` at the end.
    async fn next(&self) -> Option<(u64, Timestamp)> {
        let interval = self.plan.interval();
        if interval.is_some() {
            // Closed at the end.
            self.due.acquire().await.ok()?.forget();
        }
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        match interval {
            Some(interval) => Some((number, self.plan.start + nth(interval, number))),
            None => {
                let now = self.clock.now();
                (now < self.plan.until).then_some((number, now))
            }
        }
    }

    fn record(&self, due: Timestamp, result: Result<(), Failure>) {
        let now = self.clock.now();
        let mut tally = self.tally();
        match result {
            Ok(()) if now < self.plan.from || now >= self.plan.until => {}
            Ok(()) => tally.latency.record((now.as_nanos()).saturating_sub(due.as_nanos())),
            Err(failure) => {
                tally.failed += 1;
                tally.first_failure.get_or_insert_with(|| failure.to_string());
            }
        }
    }

    /// Says when requests are due. A thread of its own is some 0.1 ms late, where the runtime's
    /// timers are up to 1 ms late.
    fn pace(&self, interval: Duration) {
        for number in 0.. {
            let due = self.plan.start + nth(interval, number);
            if due >= self.plan.until {
                break;
            }
            wait_until(due, &self.clock);
            self.due.add_permits(1);
        }
        self.due.close();
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait_until(due: Timestamp, clock: &Clock) {
    loop {
        let left = due.since(clock.now());
        if left.is_zero() {
            return;
        }
        park_timeout(left);
    }
}

fn nth(interval: Duration, number: u64) -> Duration {
    Duration::from_nanos((interval.as_nanos() as u64).saturating_mul(number))
}
