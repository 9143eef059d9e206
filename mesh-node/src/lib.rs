//! The async shell around `mesh-core`: sockets, HTTP/1.1 and the clock.
//!
//! Everything is generic over [`Net`], so that the same code runs on real sockets and on simulated
//! ones, and reads time only through [`Clock`], so that it is deterministic on a paused clock.
//!
//! # An agent in a program of yours
//!
//! An [`AgentNode`] serves on a listener until it is told to stop. It takes an
//! [`AgentConfig`](mesh_core::agent::AgentConfig), which decides what it admits and whom it delegates
//! to; a [`Host`], which does its jobs; and [`Observer`]s. What a job does is up to an
//! [`Executor`](work::Executor): one of yours, or one of those in [`work`]. This agent shouts:
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
//! // A later life of the name has a greater incarnation: the time in microseconds will do.
//! let identity = Identity { name: "shouter".into(), url: url.as_str().into(), incarnation: 1 };
//! // What it says of its machine: CPU and memory in percent. `LiveHost::sampled` measures them.
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
//! | how jobs are done, and on which machine | [`work`], [`host`] |
//! | log, metrics, traces | [`observer`] |
//! | an HTTP service of your own, keys and other checks before a body is read | [`http`] |
//! | calls of a JSON-RPC service | [`rpc`], [`agent::call`] |
//! | another network | [`Net`] |
//! | what a program needs of its process, such as child processes that end with it | [`process`] |

pub mod agent;
pub mod client_loop;
pub mod clock;
pub mod files;
pub mod host;
pub mod http;
mod metrics;
pub mod net;
pub mod observer;
pub mod process;
pub mod registry;
pub mod rpc;
pub mod wire;
pub mod work;

pub use agent::AgentNode;
pub use clock::Clock;
pub use host::Host;
pub use net::{Net, TokioNet};
pub use observer::Observer;
pub use registry::RegistryNode;
