//! The async shell around `mesh-core`: sockets, HTTP/1.1 and the clock.
//!
//! The crate carries out what the state machines of `mesh-core` ask for: it opens connections,
//! sends and answers HTTP requests, waits for timers and starts jobs. All of it is generic over
//! [`Net`], so the same code runs on real and on simulated sockets. It reads the time only through
//! [`Clock`], so it is deterministic on a paused clock.
//!
//! # An agent in a program of yours
//!
//! An [`AgentNode`] serves on a listener until it is told to stop. It is made of an
//! [`AgentConfig`](mesh_core::agent::AgentConfig), which says what the agent admits and how it
//! delegates; a [`Host`], which does the agent's jobs and reports its load; and any number of
//! [`Observer`]s. What a job does is up to an [`Executor`](work::Executor): one of yours, or one of
//! those in [`work`]. The agent of this example answers each job with its text in capital letters:
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_core::agent::{AgentConfig, Identity};
//! use mesh_core::protocol::{Reply, Request, Task};
//! use mesh_core::seed::Seed;
//! use mesh_node::agent::{AgentParts, call};
//! use mesh_node::host::{JobResult, LiveHost};
//! use mesh_node::http::{Client, ClientLimits};
//! use mesh_node::work::{Executor, output};
//! use mesh_node::{AgentNode, Net, TokioNet};
//! use tokio::sync::oneshot;
//!
//! struct Shout;
//!
//! impl Executor for Shout {
//!     async fn run(&self, task: Task) -> JobResult {
//!         output(&task.text.to_uppercase())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = TokioNet.bind("127.0.0.1:0").await?;
//! let url = TokioNet::local_addr(&listener)?.to_string();
//! // Each start of an agent needs a greater incarnation: the time in microseconds is one.
//! let identity = Identity { name: "shouter".into(), url: url.as_str().into(), incarnation: 1 };
//! // The load that it reports, CPU and memory in percent. `LiveHost::sampled` measures it.
//! let host = LiveHost::new(Shout, Duration::from_secs(1), || (12.5, 40.0));
//! let parts = AgentParts::new(host, "127.0.0.1:8500");
//! let agent = AgentNode::new(identity, AgentConfig::default(), &Seed::root(1), parts);
//! let (stop, stopped) = oneshot::channel::<()>();
//! let running = tokio::spawn(agent.run(listener, async { drop(stopped.await) }));
//!
//! let client = Client::new(TokioNet, ClientLimits::default());
//! let work = Request::Work(Task::new("hello"));
//! let reply = call(&client, &url, &work, Duration::from_secs(5)).await;
//! assert!(matches!(reply, Ok(Reply::Work(reply)) if reply.result.get() == "\"HELLO\""));
//! drop(stop);
//! running.await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! | for | look in |
//! |---|---|
//! | an agent, a registry | [`AgentNode`], [`RegistryNode`] |
//! | how jobs are done, and where the load figures come from | [`work`], [`host`] |
//! | log, metrics, traces | [`observer`] |
//! | where an agent's spans go | [`spans`] |
//! | the page that shows a mesh | [`dashboard`] |
//! | an HTTP service of your own; checks of keys and hosts before a body is read | [`http`] |
//! | calls of a JSON-RPC service | [`rpc`], [`agent::call`] |
//! | another network than the operating system's | [`Net`] |
//! | doors that stand before a service, and addresses that nobody shall call | [`security`], [`net`] |
//! | standard output, signals, child processes that end with their parent | [`process`] |

pub mod agent;
pub mod client_loop;
pub mod clock;
pub mod dashboard;
pub mod files;
pub mod host;
pub mod http;
mod metrics;
pub mod net;
pub mod observer;
pub mod process;
pub mod registry;
pub mod rpc;
pub mod scaling;
pub mod security;
pub mod spans;
pub mod wire;
pub mod work;

pub use agent::AgentNode;
pub use clock::Clock;
pub use dashboard::{Dashboard, DashboardNode};
pub use host::Host;
pub use net::{GuardedNet, Net, TokioNet};
pub use observer::Observer;
pub use registry::RegistryNode;
