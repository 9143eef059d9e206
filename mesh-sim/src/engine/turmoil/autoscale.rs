//! How the engine asks the autoscaler of a run, and carries out its orders.

use std::collections::VecDeque;

use mesh_core::Timestamp;
use mesh_core::scaling::ScalingAction;
use mesh_node::wire::DrainBody;
use tokio::sync::mpsc::UnboundedSender;

use super::TurmoilSimulation;
use crate::engine::simulated_scaler::{ScalingOrder, SimulatedScaler};
use crate::host::{AgentId, HostId};
use crate::journal::Fact;

/// The autoscaler of a run, and what it has ordered.
pub(super) struct Scaling {
    scaler: SimulatedScaler,
    /// When it decides next, if it does.
    next: Option<Timestamp>,
    /// The agents whose processes start, in order.
    starts: VecDeque<(Timestamp, AgentId)>,
    /// What registries are to mark. It is sent from the host of the client.
    marks: UnboundedSender<DrainBody>,
}

impl Scaling {
    pub(super) fn new(scaler: SimulatedScaler, marks: UnboundedSender<DrainBody>) -> Self {
        let next = scaler.after(Timestamp::ZERO);
        Self { scaler, next, starts: VecDeque::new(), marks }
    }
}

impl TurmoilSimulation {
    /// Starts the agents that are due, and lets the autoscaler decide if it is its turn.
    pub(super) fn scale(&mut self, now: Timestamp) {
        let Some(mut scaling) = self.scaling.take() else { return };
        while scaling.starts.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, agent)) = scaling.starts.pop_front() {
                self.join(now, agent);
            }
        }
        if let Some(due) = scaling.next.filter(|next| *next <= now) {
            scaling.next = scaling.scaler.after(due);
            let (decision, orders) = scaling.scaler.decide(now);
            if !matches!(decision.action, ScalingAction::Hold(_)) {
                self.journal.record(now, HostId::CLIENT, Fact::Scaled(decision.into()));
            }
            for order in orders {
                self.carry_out(now, order, &mut scaling);
            }
        }
        self.scaling = Some(scaling);
    }

    fn carry_out(&mut self, now: Timestamp, order: ScalingOrder, scaling: &mut Scaling) {
        match order {
            ScalingOrder::Start(agent) => {
                scaling.starts.push_back((now + scaling.scaler.start_up(), agent));
            }
            ScalingOrder::End(agent) => self.leave(now, agent),
            // If nobody takes it any more, the run is over.
            ScalingOrder::Drain { name, draining } => {
                let _ = scaling.marks.send(DrainBody { name, draining });
            }
        }
    }
}
