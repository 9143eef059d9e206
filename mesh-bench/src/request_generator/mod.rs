//! Sends HTTP requests in a closed or an open loop, over kept-alive connections from one thread,
//! and tells how they were answered.

mod connection;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mesh_core::Timestamp;
use mesh_node::Clock;
use mesh_node::client_loop::pace;
use mesh_node::net::TlsIdentity;
use mesh_sim::record::LatencyHistogram;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use self::connection::GeneratorConnection;
use self::connection::RequestFailure;

/// How long requests under way at the end may take. A request that fails counts as having taken at
/// least this long, because failing fast must not look fast.
const LAST_ANSWERS_LIMIT: Duration = Duration::from_secs(60);

/// Which requests are sent where, how and when.
#[derive(Clone, Debug)]
pub(crate) struct RequestPlan {
    /// The server's address, `ip:port`.
    pub(crate) address: String,
    /// The certificates with which the server is called; `None` for plain HTTP.
    pub(crate) tls: Option<Arc<TlsIdentity>>,
    /// Whole HTTP requests, which are sent in turn. Each must be answered 200 without a JSON-RPC
    /// error.
    pub(crate) requests: Vec<Vec<u8>>,
    /// How many connections there are. Each carries one request at a time.
    pub(crate) connections: usize,
    /// Requests that are due per second, whatever became of the others (open loop). Latency then
    /// counts from when a request is due. Without a rate, each connection sends as soon as it has
    /// its answer (closed loop).
    pub(crate) rate: Option<f64>,
    /// When the first requests are due.
    pub(crate) start: Timestamp,
    /// Requests that are due before this time are not counted.
    pub(crate) from: Timestamp,
    /// From this time on, no more requests are due.
    pub(crate) until: Timestamp,
}

/// How the requests of a plan ended.
#[derive(Debug, Default)]
pub(crate) struct RequestTally {
    /// The latencies of all requests that were due in the counted time.
    pub(crate) latency: LatencyHistogram,
    /// Answers with a result that came in the counted time.
    pub(crate) answered: u64,
    /// Requests without a result, including those before the counted time.
    pub(crate) failed: u64,
    /// Why the first of them failed.
    pub(crate) first_failure: Option<String>,
    /// Connections that were opened: as many as the plan has, unless some broke.
    pub(crate) opened: u64,
}

/// A whole HTTP request that posts JSON.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    post_with_key(path, body, None)
}

/// As [`post`], with a key.
pub(crate) fn post_with_key(path: &str, body: &str, key: Option<&str>) -> Vec<u8> {
    let length = body.len();
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{key}\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Carries out a plan in a thread of its own.
///
/// # Errors
/// If a connection can't be opened, or if answers are still missing long after the end: then the
/// server can't answer as many requests as were sent.
pub(crate) async fn run(plan: RequestPlan, clock: Clock) -> anyhow::Result<RequestTally> {
    let (send, tally) = oneshot::channel();
    spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let tally = runtime
            .context("failed to start a runtime")
            .and_then(|runtime| runtime.block_on(drive(plan, clock)));
        // A failed send is no error: after a signal, nobody waits for the result.
        let _ = send.send(tally);
    });
    tally.await.context("the request generator has died")?
}

/// Runs the connections of a plan until all requests have ended.
async fn drive(plan: RequestPlan, clock: Clock) -> anyhow::Result<RequestTally> {
    let (connections, until) = (plan.connections, plan.until);
    let generator = Arc::new(Generator {
        plan,
        clock,
        due: Semaphore::new(0),
        numbered: AtomicU64::new(0),
        tally: Mutex::default(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let generator = generator.clone();
        tasks.spawn(async move { generator.use_connection().await });
    }
    clock.sleep_until(generator.plan.start).await;
    if let Some(interval) = generator.plan.interval() {
        let generator = generator.clone();
        spawn(move || generator.pace(interval));
    }
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            ended.context("the request generator has died")??;
        }
        anyhow::Ok(())
    };
    match timeout(until.since(clock.now()) + LAST_ANSWERS_LIMIT, all).await {
        Ok(ended) => ended?,
        Err(_) => {
            bail!(
                "answers are missing {LAST_ANSWERS_LIMIT:?} after the end; with --rate, ask for fewer"
            )
        }
    }
    let tally = std::mem::take(&mut *generator.tally());
    Ok(tally)
}

impl RequestPlan {
    /// The time between two requests of an open loop; `None` for a closed one.
    fn interval(&self) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs_f64(1.0 / rate))
    }
}

/// A plan that is being carried out, shared by its connections.
struct Generator {
    plan: RequestPlan,
    clock: Clock,
    /// In an open loop: one permit for each request that is due and has not been sent.
    due: Semaphore,
    /// How many requests have been sent, or are about to be.
    numbered: AtomicU64,
    tally: Mutex<RequestTally>,
}

impl Generator {
    /// One connection: sends requests one after the other, and opens a new connection if one
    /// breaks.
    async fn use_connection(&self) -> anyhow::Result<()> {
        let address = &self.plan.address;
        let mut open = None;
        self.clock.sleep_until(self.plan.start).await;
        while let Some((number, due)) = self.next().await {
            let connection = match &mut open {
                Some(connection) => connection,
                None => {
                    let fresh = GeneratorConnection::open(address, self.plan.tls.as_ref()).await;
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

    /// The number of the next request and when it is due; `None` at the end. An open loop that is
    /// late still sends everything that was due.
    async fn next(&self) -> Option<(u64, Timestamp)> {
        let number = self.numbered.fetch_add(1, Ordering::Relaxed);
        let due = match self.plan.interval() {
            Some(interval) => self.plan.start + nth(interval, number),
            None => self.clock.now(),
        };
        if due >= self.plan.until {
            return None;
        }
        if self.plan.rate.is_some() {
            self.due.acquire().await.ok()?.forget();
        }
        Some((number, due))
    }

    /// Counts how a request ended.
    fn record(&self, due: Timestamp, result: Result<(), RequestFailure>) {
        let now = self.clock.now();
        let RequestPlan { from, until, .. } = self.plan;
        let mut took = now.since(due);
        let mut tally = self.tally();
        match result {
            Ok(()) => tally.answered += u64::from(from <= now && now < until),
            Err(failure) => {
                took = took.max(LAST_ANSWERS_LIMIT);
                tally.failed += 1;
                tally.first_failure.get_or_insert_with(|| failure.to_string());
            }
        }
        if from <= due {
            tally.latency.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Releases each request of an open loop when it is due. Blocks its thread.
    fn pace(&self, interval: Duration) {
        let times = (0..).map(|number| self.plan.start + nth(interval, number));
        let times = times.take_while(|due| *due < self.plan.until);
        pace(self.clock, times.map(|due| (due, ())), |()| {
            self.due.add_permits(1);
            true
        });
    }

    fn tally(&self) -> MutexGuard<'_, RequestTally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long after the start the request `number` is due.
fn nth(interval: Duration, number: u64) -> Duration {
    Duration::from_nanos((interval.as_nanos() as u64).saturating_mul(number))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that takes 10 ms for each request, one after the other, and refuses every other
    /// one.
    async fn serve(listener: TcpListener) -> std::io::Result<()> {
        let mut number = 0_u64;
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut request = [0; 1024];
            while stream.read(&mut request).await? > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                number += 1;
                let status = if number.is_multiple_of(2) { "200 OK" } else { "503 Busy" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
                stream.write_all(answer.as_bytes()).await?;
            }
        }
    }

    #[tokio::test]
    async fn what_is_due_is_counted_however_late_it_is_and_whatever_becomes_of_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(serve(listener));
        let clock = Clock::start();
        let start = clock.now() + Duration::from_millis(20);
        let plan = RequestPlan {
            address,
            tls: None,
            requests: vec![post("/", "{}")],
            connections: 1,
            rate: Some(400.0),
            start,
            from: start + Duration::from_millis(24),
            until: start + Duration::from_millis(99),
        };
        let tally = run(plan, clock).await.unwrap();
        assert_eq!((tally.failed, tally.latency.count()), (20, 30), "40 are due, 10 too early");
        assert!(tally.answered < 20, "most answers come after the end: {}", tally.answered);
        let minutes =
            |quantile| tally.latency.quantile_ns(quantile) / LAST_ANSWERS_LIMIT.as_nanos() as u64;
        assert_eq!((minutes(0.4), minutes(0.6)), (0, 1));
    }
}
