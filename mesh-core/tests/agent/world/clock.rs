//! Passing time, and the checks that must hold at any time.

use mesh_core::Timestamp;
use mesh_core::agent::Agent;

use super::plan::Setup;
use super::{Alive, RATIO, World};
use crate::driver::ms;

impl World {
    /// When the first of all agents wants to be woken.
    pub(super) fn next_wake(&mut self) -> Timestamp {
        let alive = self.nodes.iter_mut().filter_map(|node| node.alive.as_mut());
        alive.map(|alive| alive.agent.poll_timeout()).min().unwrap_or(Timestamp::MAX)
    }

    /// Lets time pass until `target`, and wakes each agent when it wants to be woken.
    pub(super) fn advance_to(&mut self, target: Timestamp) {
        loop {
            let due = self.next_wake();
            assert!(due >= self.now, "{due} has passed at {}", self.now);
            if due > target {
                break;
            }
            self.now = due;
            for node in 0..self.nodes.len() {
                let life = self.life(node);
                let wants = |alive: &mut Alive| alive.agent.poll_timeout() <= due;
                if self.alive(life).is_some_and(wants) {
                    self.touch(life, Agent::handle_timeout);
                    assert!(!self.alive(life).is_some_and(wants), "busy loop");
                }
            }
            self.check();
        }
        self.now = target;
    }

    /// Checks what must hold of every live agent at any time.
    pub(super) fn check(&mut self) {
        self.oracles.check_deadlines(self.now);
        for node in 0..self.nodes.len() {
            let life = self.life(node);
            let Setup { concurrency, queue, retry_floor, .. } = self.setup;
            let now = self.now;
            let Some(alive) = self.alive(life) else { continue };
            let load = alive.agent.load();
            assert_eq!(alive.running.len() as u32, load.in_flight - load.queued);
            assert!(load.in_flight - load.queued <= concurrency && load.queued <= queue);
            let idle_slots = concurrency - alive.running.len() as u32;
            assert!(load.queued == 0 || idle_slots == 0, "jobs wait beside a free slot");
            let age = now.since(alive.born);
            self.oracles.check_budget(life, age, RATIO, retry_floor);
        }
    }

    /// Lets all messages arrive and all jobs end, a millisecond apart, until nothing is under way.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.advance_to(self.now + ms(1));
            if !self.messages.is_empty() {
                let message = self.messages.remove(0);
                self.deliver(message);
            }
            for node in 0..self.nodes.len() {
                let life = self.life(node);
                if self.alive(life).is_some_and(|alive| !alive.running.is_empty()) {
                    self.end_job(life, 0, None);
                }
            }
            self.check();
            let mut open = self.oracles.open_requests();
            if self.messages.is_empty() && open.all(|(_, asked)| asked.waits) {
                return;
            }
        }
        panic!("the mesh does not come to rest");
    }
}
