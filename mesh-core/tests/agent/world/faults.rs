//! The actions of a schedule, the registry that the agents talk to, and how the mesh is healed.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{Agent, CallError, CallId, RegistryReply, RegistryRequest};
use mesh_core::protocol::Reply;
use mesh_core::registry::Registration;
use mesh_core::roster::{ListedLease, Listing};

use super::oracles::{Caller, Life};
use super::plan::{Action, Loss};
use super::{Alive, Message, World, job_failure};
use crate::driver::{ms, output};

const TTL: Duration = Duration::from_secs(30);
/// After an outage of the registry, every agent has got a list again after this long.
const HEARD_AGAIN: Duration = Duration::from_secs(10);
/// After this long the views have recovered from a restart of the registry, and every backoff is
/// over.
const CONVERGED: Duration = Duration::from_secs(60);

impl World {
    pub(super) fn act(&mut self, action: &Action) {
        let nodes = self.nodes.len();
        match *action {
            Action::Ask { node, delegate, timeout_ms, idempotent } => {
                self.ask(node % nodes, delegate, ms(timeout_ms), idempotent);
            }
            Action::Cancel(pick) => {
                let open = self.oracles.open(Caller::Client);
                if let Some(position) = choose(pick, open.len()) {
                    self.cancel(open[position]);
                }
            }
            Action::Deliver(pick) => {
                if let Some(position) = choose(pick, self.messages.len()) {
                    let message = self.messages.remove(position);
                    self.deliver(message);
                }
            }
            Action::Flow(count) => {
                for _ in 0..count.min(self.messages.len()) {
                    self.advance_to(self.now + ms(1));
                    let message = self.messages.remove(0);
                    self.deliver(message);
                }
            }
            Action::Lose(pick, loss) => {
                if let Some(position) = choose(pick, self.messages.len()) {
                    let message = self.messages.remove(position);
                    self.lose(message, loss);
                }
            }
            Action::Repeat(pick) => self.repeat(pick),
            Action::EndJob { pick, done } => {
                let running = self.running();
                if let Some(position) = choose(pick, running.len()) {
                    let (life, job) = running[position];
                    self.end_job(life, job, (!done).then(|| job_failure(pick / running.len())));
                }
            }
            Action::Crash { node, told } => self.crash(node % nodes, told),
            Action::Restart(node) => self.restart(node % nodes),
            Action::Shutdown(node) => self.shut_down(node % nodes),
            Action::Forget(node) => {
                let name = &self.nodes[node % nodes].name;
                self.leases.remove(name);
            }
            Action::NewEpoch => {
                self.epoch += 1;
                self.leases.clear();
            }
            Action::Outage(outage) => self.outage = outage,
            Action::Silence { secs } => self.silence(Duration::from_secs(secs)),
            Action::Advance { micros } => {
                self.advance_to(self.now + Duration::from_micros(micros));
            }
            Action::Wake => {
                let due = self.next_wake();
                if due < Timestamp::MAX {
                    self.advance_to(due);
                }
            }
        }
    }

    /// All running jobs: the agent of each, and its position there.
    fn running(&self) -> Vec<(Life, usize)> {
        let mut jobs = Vec::new();
        for (node, state) in self.nodes.iter().enumerate() {
            let count = state.alive.as_ref().map_or(0, |alive| alive.running.len());
            jobs.extend((0..count).map(|position| ((node, state.life), position)));
        }
        jobs
    }

    fn lose(&mut self, message: Message, loss: Loss) {
        let (caller, call, sent) = match message {
            Message::Request { from, call, .. } => (from, call, false),
            Message::Result { to, call, .. } => (to, call, true),
            Message::Hangup { .. } => return,
        };
        match loss {
            Loss::NotSent if !sent => self.fail_call(caller, call, CallError::NotSent),
            Loss::NotSent | Loss::NoAnswer => self.fail_call(caller, call, CallError::NoAnswer),
            Loss::Silent => self.oracles.saw("lost in silence"),
        }
    }

    fn fail_call(&mut self, to: Life, call: CallId, error: CallError) {
        let result: Result<Reply, CallError> = Err(error);
        self.messages.push(Message::Result { to, call, result });
    }

    fn repeat(&mut self, pick: usize) {
        if let Some(position) = choose(pick, self.past_results.len()) {
            let (to, call, result) = self.past_results[position].clone();
            self.hand_in(to, call, result);
        }
        if let Some(position) = choose(pick, self.past_jobs.len()) {
            let (life, job) = self.past_jobs[position];
            self.touch(life, |agent, now| agent.handle_job_result(now, job, Ok(output())));
        }
    }

    fn crash(&mut self, node: usize, told: bool) {
        let life = self.life(node);
        let Some(alive) = self.nodes[node].alive.take() else { return };
        if alive.agent.open() > 0 {
            self.oracles.saw("crash with open calls");
        }
        if !alive.running.is_empty() {
            self.oracles.saw("crash with jobs");
        }
        for caller in self.oracles.crashed(life) {
            if let Caller::Peer(from, call) = caller
                && told
            {
                self.fail_call(from, call, CallError::NoAnswer);
            }
        }
    }

    fn shut_down(&mut self, node: usize) {
        let life = self.life(node);
        if let Some(alive) = self.alive(life) {
            alive.stopping = true;
        }
        self.touch(life, Agent::handle_shutdown);
    }

    fn silence(&mut self, length: Duration) {
        let peers = |alive: &Alive| alive.agent.peers().len();
        let views: Vec<(Life, usize)> = (0..self.nodes.len())
            .filter_map(|node| Some((self.life(node), peers(self.nodes[node].alive.as_ref()?))))
            .collect();
        self.outage = true;
        self.advance_to(self.now + length);
        self.leases.clear();
        self.outage = false;
        self.advance_to(self.now + HEARD_AGAIN);
        for (life, before) in views {
            let now = self.alive(life).map_or(before, |alive| peers(alive));
            assert!(now >= before, "{life:?} has forgotten {} peers", before - now);
            if before > 0 {
                self.oracles.saw("kept in silence");
            }
        }
    }

    pub(super) fn registry_answers(
        &mut self,
        of: Life,
        request: &RegistryRequest,
    ) -> Option<RegistryReply> {
        if self.outage {
            return None;
        }
        Some(match request {
            RegistryRequest::Register(registration) => self.register(registration),
            RegistryRequest::List => {
                let leases = self.leases.values().cloned().collect();
                RegistryReply::Listed(Listing { epoch: self.epoch, leases })
            }
            RegistryRequest::Deregister { name, incarnation } => {
                assert_eq!(*name, self.nodes[of.0].name);
                if self.leases.get(name).is_some_and(|held| held.incarnation <= *incarnation) {
                    self.leases.remove(name);
                }
                RegistryReply::Deregistered
            }
        })
    }

    fn register(&mut self, asked: &Registration) -> RegistryReply {
        let incarnation = asked.incarnation.expect("agents say which life it is");
        let current = self.leases.get(&asked.name).map(|held| held.incarnation);
        match current {
            Some(current) if current > incarnation => {
                RegistryReply::StaleIncarnation { current, holder: None }
            }
            None if asked.renew => RegistryReply::UnknownLease,
            _ => {
                let Registration { name, url, load, .. } = asked.clone();
                let lease = ListedLease::new(name.clone(), url, incarnation, load);
                self.leases.insert(name, lease);
                RegistryReply::Registered { ttl: TTL, rival: None, drain: None }
            }
        }
    }

    /// Repairs everything, lets what is under way end, and waits until the views agree.
    pub(super) fn heal(&mut self) {
        self.outage = false;
        for node in 0..self.nodes.len() {
            self.restart(node);
        }
        self.settle();
        // A lease whose end the registry did not hear of runs out.
        for node in self.nodes.iter().filter(|n| n.alive.as_ref().is_some_and(|a| a.stopping)) {
            self.leases.remove(&node.name);
        }
        self.advance_to(self.now + CONVERGED);
        self.check_rest();
    }

    /// Asserts that no agent holds anything for a request.
    fn check_rest(&self) {
        for node in &self.nodes {
            let alive = node.alive.as_ref().expect("all were restarted");
            assert_eq!(alive.agent.open(), 0, "{} leaks", node.name);
            assert_eq!(alive.agent.load().in_flight, 0, "{} leaks", node.name);
            let left = alive.open.keys().find(|call| !alive.asks.contains(call));
            assert_eq!(left, None, "neither ended nor abandoned: {:?}", alive.open);
            assert_eq!(alive.agent.is_drained(), alive.stopping);
        }
    }

    /// Asserts that a healed mesh works: every agent is listed, and every delegation is done.
    pub(super) fn check_liveness(&mut self) {
        let serving = |world: &Self, node: usize| {
            world.nodes[node].alive.as_ref().is_some_and(|alive| !alive.stopping)
        };
        let all: Vec<usize> = (0..self.nodes.len()).filter(|node| serving(self, *node)).collect();
        for &node in &all {
            // Agents that ask for free slots have gone on meanwhile.
            self.settle();
            let peers = self.nodes[node].alive.as_ref().map_or(0, |a| a.agent.peers().len());
            let others = all.len() - usize::from(!self.setup.to_self);
            assert_eq!(peers, others, "{} sees another mesh", self.nodes[node].name);
            let done = self.oracles.seen.get("done").copied().unwrap_or_default();
            self.ask(node, true, ms(100), false);
            self.settle();
            let after = self.oracles.seen.get("done").copied().unwrap_or_default();
            // Both the job and the delegation count as done.
            let expected = if others > 0 { 2 } else { 0 };
            assert_eq!(after - done, expected, "{} cannot delegate", self.nodes[node].name);
        }
        self.check_rest();
    }
}

/// The position that `pick` means among `len` things; `None` if there are none.
fn choose(pick: usize, len: usize) -> Option<usize> {
    pick.checked_rem(len)
}
