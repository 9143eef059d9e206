//! An agent that serves connections which exist in memory only, in virtual time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mesh_core::agent::config::{AdmissionConfig, Concurrency, MembershipConfig};
use mesh_core::agent::{AgentConfig, Failure, Identity, JobId};
use mesh_core::jsonrpc::Error;
use mesh_core::protocol::Task;
use mesh_core::seed::Seed;
use mesh_node::agent::AgentParts;
use mesh_node::host::JobResult;
use mesh_node::http::{ClientLimits, Served, ServerLimits};
use mesh_node::{AgentNode, Clock, Host, Net};
use serde_json::value::to_raw_value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::limits;

/// How many bytes may be under way in each direction of a connection.
const BUFFER_BYTES: usize = 64 << 10;
/// Longer than any input keeps an agent busy, so that nothing happens but what the input causes.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// The longest job.
const JOB: Duration = Duration::from_millis(20);
/// The server's time limits. They are below 64 ms, because tokio's paused clock gets there in one
/// step, which is quicker.
const SHORT: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_millis(60);

/// A network in memory with one listener. Nobody else can be reached.
#[derive(Clone)]
struct MemoryNet;

impl Net for MemoryNet {
    type Stream = DuplexStream;
    type Listener = Mutex<mpsc::Receiver<DuplexStream>>;

    async fn bind(&self, _: &str) -> io::Result<Self::Listener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Stream, SocketAddr)> {
        match listener.lock().await.recv().await {
            Some(stream) => Ok((stream, SocketAddr::from(([127, 0, 0, 1], 1)))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(_: &Self::Listener) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 2)))
    }

    async fn connect(&self, _: &str) -> io::Result<Self::Stream> {
        std::future::pending().await
    }
}

/// The error code of the jobs here. It is one of the mesh's own that nothing else in these tests
/// leads to.
pub(crate) const JOB_ERROR: i64 = -32015;

/// A host that answers a job with what the job was given: as its result or, if the method is
/// `fail`, in its error. So any JSON travels all the way there and back.
struct Echo;

impl Host for Echo {
    fn takes_foreign_calls(&self) -> bool {
        true
    }

    fn run(&self, _: JobId, task: Task) -> impl Future<Output = JobResult> + Send + 'static {
        echo(task)
    }

    fn sample(&self) -> (f64, f64) {
        (12.5, 40.0)
    }

    fn window(&self) -> Duration {
        NEVER
    }
}

async fn echo(task: Task) -> JobResult {
    if let Some(demand) = task.demand {
        tokio::time::sleep(demand.min(JOB)).await;
    }
    let Some(call) = task.foreign_call() else {
        return Ok(to_raw_value(&task.text).expect("JSON").into());
    };
    if &*call.method == "fail" {
        let error = Error::new(JOB_ERROR, "it was told to");
        return Err(Failure::Other(call.params.iter().fold(error, Error::with_data)));
    }
    Ok(call.params.clone().unwrap_or_else(|| to_raw_value(&task.text).expect("JSON").into()))
}

/// What a client does after its last byte.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// The client waits until the agent closes the connection.
    Waits,
    /// The client closes its half of the connection at once.
    Leaves,
}

/// A running agent.
pub(crate) struct Agent {
    connections: mpsc::Sender<DuplexStream>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Served>,
}

impl Agent {
    /// Starts an agent, which seeks its registry in vain and has nothing else to do.
    pub(crate) async fn start() -> Self {
        let (connections, accepted) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let parts = AgentParts {
            net: MemoryNet,
            clock: Clock::start(),
            host: Echo,
            observer: (),
            registries: vec!["nobody:1".into()],
            server: server_limits(),
            client: ClientLimits { connect: NEVER, ..ClientLimits::default() },
            json: limits::JSON,
        };
        let identity = Identity { name: "fuzzed".into(), url: "nobody:2".into(), incarnation: 1 };
        let node = AgentNode::new(identity, config(), &Seed::root(1), parts);
        let task = tokio::spawn(node.run(Mutex::new(accepted), async {
            let _ = stopped.await;
        }));
        tokio::time::sleep(JOB).await;
        Self { connections, stop, task }
    }

    /// Sends the pieces over a new connection, each when the one before has been taken in, and
    /// returns what the agent answers until it closes the connection.
    pub(crate) async fn exchange(
        &self,
        pieces: impl Iterator<Item = &[u8]>,
        then: Then,
    ) -> Vec<u8> {
        let (ours, theirs) = tokio::io::duplex(BUFFER_BYTES);
        self.connections.send(theirs).await.expect("a running agent");
        let (mut reader, mut writer) = tokio::io::split(ours);
        let mut output = Vec::new();
        let write = async {
            for piece in pieces {
                // An error means that the agent has closed the connection, perhaps after an answer.
                if writer.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            if matches!(then, Then::Leaves) {
                let _ = writer.shutdown().await;
            }
        };
        let (read, ()) = tokio::join!(reader.read_to_end(&mut output), write);
        read.expect("memory does not fail");
        output
    }

    /// Shuts the agent down and waits for its end.
    pub(crate) async fn stop(self) -> Served {
        self.stop.send(()).expect("a running agent");
        self.task.await.expect("no panic in the service")
    }
}

fn config() -> AgentConfig {
    AgentConfig {
        admission: AdmissionConfig {
            concurrency: Concurrency::Limit(2),
            queue: 2,
            ..AdmissionConfig::default()
        },
        membership: MembershipConfig {
            heartbeat: NEVER,
            refresh: NEVER,
            timeout: NEVER,
            ..MembershipConfig::default()
        },
        ..AgentConfig::default()
    }
}

fn server_limits() -> ServerLimits {
    ServerLimits {
        body_bytes: limits::BODY_BYTES,
        header_count: limits::HEADER_COUNT,
        // hyper takes no smaller limit.
        header_bytes: 8 << 10,
        header_read: SHORT,
        body_read: SHORT,
        keep_alive: LONG,
        write: LONG,
        linger: SHORT,
        ..ServerLimits::default()
    }
}

/// Runs a future in virtual time on this thread.
pub(crate) fn in_virtual_time<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(what)
}
