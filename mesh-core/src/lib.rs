//! The mesh's logic as pure state machines: no I/O, no clock, no async.
//!
//! Every state machine follows one rule. Mutate it with a `handle_*` call that is given the time,
//! then drain `poll_effect` until it is empty, then ask `poll_timeout` when to call
//! `handle_timeout`. Effects are data; a driver (a tokio task, a simulated host, an event queue)
//! carries them out.
//!
//! There are two state machines. [`agent::Agent`] admits jobs, delegates jobs to peers and keeps a
//! lease; [`registry::Registry`] grants the leases and lists who is there. [`protocol`] has the
//! messages between them, and [`codec`] and [`jsonrpc`] put those on the wire. [`routing`] has the
//! policies that choose a peer, [`resilience`] what protects delegations under every policy.
//!
//! # A driver
//!
//! Here is a whole mesh in one process: a registry, two agents, and a driver that hands each effect
//! to the agent or the registry that it is for. Time passes when the driver says so.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use mesh_core::Timestamp;
//! use mesh_core::agent::{Agent, AgentConfig, CallId, Effect, Failure, Identity};
//! use mesh_core::agent::{RegistryReply, RegistryRequest, Ticket};
//! use mesh_core::protocol::{Reply, Request, Task};
//! use mesh_core::registry::{Registry, RegistryConfig};
//! use mesh_core::roster::Listing;
//! use mesh_core::seed::Seed;
//! use serde_json::value::to_raw_value;
//!
//! struct Mesh {
//!     now: Timestamp,
//!     registry: Registry,
//!     agents: Vec<Agent>,
//!     /// Calls between agents, by their ticket at the agent that answers: the position of the
//!     /// agent that called, and its number for the call.
//!     calls: BTreeMap<Ticket, (usize, CallId)>,
//!     tickets: Ticket,
//!     answer: Option<Result<Reply, Failure>>,
//! }
//!
//! impl Mesh {
//!     fn carry_out_effects(&mut self, of: usize) {
//!         let now = self.now;
//!         while let Some(effect) = self.agents[of].poll_effect() {
//!             match effect {
//!                 Effect::Call { call, peer, request, .. } => {
//!                     let callee = self.agents.iter().position(|agent| *agent.name() == peer.name);
//!                     let callee = callee.expect("only agents of this mesh are listed");
//!                     self.tickets += 1;
//!                     self.calls.insert(self.tickets, (of, call));
//!                     self.agents[callee].handle_request(now, self.tickets, request);
//!                     self.carry_out_effects(callee);
//!                 }
//!                 Effect::Reply { ticket, answer } => match self.calls.remove(&ticket) {
//!                     Some((caller, call)) => {
//!                         let result = answer.map_err(Into::into);
//!                         self.agents[caller].handle_call_result(now, call, result);
//!                         self.carry_out_effects(caller);
//!                     }
//!                     None => self.answer = Some(answer),
//!                 },
//!                 Effect::Start { job, task } => {
//!                     let output = to_raw_value(&task.text.to_uppercase()).expect("a string");
//!                     self.agents[of].handle_job_result(now, job, Ok(output.into()));
//!                 }
//!                 Effect::Registry { call, request, .. } => {
//!                     let reply = self.ask_registry(request);
//!                     self.agents[of].handle_registry_reply(now, call, reply);
//!                 }
//!                 // Here all calls and jobs end at once, so that there is nothing to stop.
//!                 Effect::Abandon { .. } | Effect::Stop(_) => {}
//!                 Effect::Note(_) | Effect::TracedNote { .. } | Effect::Span(_) => {}
//!             }
//!         }
//!     }
//!
//!     fn ask_registry(&mut self, request: RegistryRequest) -> RegistryReply {
//!         match request {
//!             RegistryRequest::Register(registration) => {
//!                 match self.registry.handle_register(self.now, registration) {
//!                     Ok(lease) => RegistryReply::Registered {
//!                         ttl: lease.expires_at.since(self.now),
//!                         rival: lease.rival,
//!                         drain: lease.drain,
//!                     },
//!                     Err(_) => RegistryReply::Failed,
//!                 }
//!             }
//!             RegistryRequest::List => {
//!                 let leases = self.registry.handle_list(self.now);
//!                 RegistryReply::Listed(Listing { epoch: 1, leases })
//!             }
//!             RegistryRequest::Deregister { name, incarnation } => {
//!                 match self.registry.handle_deregister(self.now, &name, Some(incarnation)) {
//!                     Ok(()) => RegistryReply::Deregistered,
//!                     Err(_) => RegistryReply::Failed,
//!                 }
//!             }
//!         }
//!     }
//! }
//!
//! let (now, seed) = (Timestamp::ZERO, Seed::root(1));
//! let agent = |name: &str| {
//!     let identity = Identity { name: name.into(), url: format!("{name}:1").into(), incarnation: 1 };
//!     Agent::new(now, identity, AgentConfig::default(), &seed.child(name))
//! };
//! let mut mesh = Mesh {
//!     now,
//!     registry: Registry::new(RegistryConfig::default()),
//!     agents: vec![agent("ann"), agent("bob")],
//!     calls: BTreeMap::new(),
//!     tickets: 0,
//!     answer: None,
//! };
//! // Both register, and each fetches the list of peers until the other is in it.
//! while mesh.now < Timestamp::ZERO + Duration::from_secs(2) {
//!     mesh.now = mesh.agents.iter_mut().map(Agent::poll_timeout).min().expect("two agents");
//!     for agent in 0..mesh.agents.len() {
//!         let now = mesh.now;
//!         mesh.agents[agent].handle_timeout(now);
//!         mesh.carry_out_effects(agent);
//!     }
//! }
//! // Ann asks Bob how loaded he is, sends him the job, and passes his answer on.
//! let now = mesh.now;
//! mesh.agents[0].handle_request(now, 0, Request::Delegate(Task::new("hello")));
//! mesh.carry_out_effects(0);
//! let Some(Ok(Reply::Delegate(reply))) = mesh.answer else { panic!("{:?}", mesh.answer) };
//! assert_eq!(&*reply.delegated_to.agent, "bob");
//! assert_eq!(reply.peer_result.result.get(), "\"HELLO\"");
//! ```

pub mod agent;
pub mod codec;
pub mod conflict;
pub mod duration;
pub mod formula;
pub mod hash;
pub mod histogram;
pub mod jsonrpc;
pub mod load;
pub mod parameter;
mod prefetch;
pub mod profile;
pub mod protocol;
pub mod reach;
pub mod registry;
pub mod resilience;
pub mod roster;
pub mod routing;
pub mod scaling;
pub mod seed;
pub mod sessions;
pub mod skills;
pub mod subjobs;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod trace;

use smallvec::SmallVec;

pub use time::Timestamp;

/// A list that holds two entries without an allocation: most policies look at no more peers.
pub(crate) type Few<T> = SmallVec<[T; 2]>;

/// The version of this crate, which agents report in their answers to `info`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
