//! Calls from host to host: connect, request, answer, and what can go wrong between them.

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, RegistryReply};
use mesh_node::http::ClientLimits;

use super::exchange::{Caller, Exchange, ExchangeId, Payload};
use super::network::Fate;
use super::pool::Pool;
use super::queue::Lane;
use super::registry::SecondCopy;
use super::{Event, Simulation};
use crate::host::HostId;
use crate::journal::RequestOutcome;

/// Idle connections that the client keeps per agent, as in the turmoil engine.
const CLIENT_IDLE: usize = 1024;

/// What goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The caller opens a connection.
    Connect,
    /// The callee takes it.
    Accept,
    /// The caller asks.
    Request,
    /// The caller closes the connection before it has an answer. One that overtakes its request
    /// makes of it what one does that comes with it: it is not begun. All else that is said over a
    /// connection waits for the last word, so that messages keep their order by themselves.
    Cancel,
    /// The callee answers.
    Answer,
    /// The callee's end of the connection is gone.
    Closed,
}

impl Message {
    const fn is_from_caller(self) -> bool {
        matches!(self, Self::Connect | Self::Request | Self::Cancel)
    }

    /// Position in [`Exchange::sent`].
    const fn slot(self) -> usize {
        match self {
            Self::Connect | Self::Request => 0,
            Self::Cancel => 1,
            Self::Accept | Self::Answer | Self::Closed => 2,
        }
    }
}

impl Simulation<'_> {
    /// Calls another host, over an idle connection if there is one.
    pub(super) fn call(
        &mut self,
        now: Timestamp,
        caller: HostId,
        callee: HostId,
        who: Caller,
        request: Payload,
    ) -> ExchangeId {
        let mut exchange = Exchange::new(caller, callee, who, request, now);
        let first = match self.pool_of(caller).and_then(|pool| pool.take(callee, now)) {
            Some(life) => {
                (exchange.connected, exchange.life) = (true, life);
                Message::Request
            }
            None => Message::Connect,
        };
        let id = self.exchanges.insert(exchange);
        self.send(now, id, first);
        id
    }

    /// The idle connections of a host, if it calls others at all.
    fn pool_of(&mut self, caller: HostId) -> Option<&mut Pool> {
        match caller {
            HostId::CLIENT => Some(&mut self.pool),
            _ => caller.agent().map(|agent| self.nodes[agent].pool()),
        }
    }

    fn distrust(&mut self, caller: HostId, callee: HostId, since: Timestamp) {
        if let Some(pool) = self.pool_of(caller) {
            pool.distrust(callee, since);
        }
    }

    /// The callee answers a request, unless nobody waits any more.
    pub(super) fn answer(&mut self, now: Timestamp, id: ExchangeId, answer: Payload) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        exchange.callee_done = true;
        exchange.handle = None;
        if exchange.caller_done {
            return self.exchanges.settle(id);
        }
        exchange.payload = answer;
        self.send(now, id, Message::Answer);
    }

    /// The caller wants no answer any more: it closes the connection.
    pub(super) fn abandon(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        exchange.caller_done = true;
        if !exchange.connected {
            exchange.callee_done = true;
        } else if !exchange.callee_done {
            self.send(now, id, Message::Cancel);
        }
        self.exchanges.settle(id);
    }

    fn send(&mut self, now: Timestamp, id: ExchangeId, message: Message) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        exchange.sent[message.slot()] = now;
        let (from, to) = ends(exchange, message);
        let (began, fate) = (exchange.began, self.network.send(now, from, to));
        let Fate::Arrives(at) = fate else {
            return self.lost(now, id, message);
        };
        if let (Message::Request, Payload::RegistryRequest(request)) = (message, &exchange.payload)
            && let Some(again) = self.network.copy(now, (from, to), at)
        {
            let copy = SecondCopy { from, sent: now, request: request.clone() };
            self.queue.push(again, Event::ArrivesAgain(Box::new(copy)));
        }
        if message == Message::Cancel {
            exchange.cancel_at = at;
        }
        let connect_by = began + self.run.scenario.delegation.connect_timeout;
        if matches!(message, Message::Connect | Message::Accept) && at > connect_by {
            self.queue.push(connect_by, Event::ConnectFailed(id));
        }
        let give_up = began + self.run.scenario.membership.timeout;
        if matches!(exchange.who, Caller::Registry(_)) && at > give_up {
            self.queue.push(give_up.max(now), Event::GiveUp(id));
        }
        if at < Timestamp::MAX {
            self.queue.push_in(Lane::Message, at, Event::Arrives(message, id));
        }
    }

    /// A message will never arrive.
    fn lost(&mut self, now: Timestamp, id: ExchangeId, message: Message) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let began = exchange.began;
        match message {
            Message::Connect | Message::Accept => {
                let connect_by = began + self.run.scenario.delegation.connect_timeout;
                self.queue.push(connect_by.max(now), Event::ConnectFailed(id));
                self.wait_in_vain(now, id);
            }
            Message::Request => {
                exchange.callee_done = true;
                self.wait_in_vain(now, id);
            }
            Message::Answer | Message::Closed => self.wait_in_vain(now, id),
            Message::Cancel => {}
        }
        self.exchanges.settle(id);
    }

    /// Agents time their calls to peers themselves and the client has its deadline; calls to the
    /// registry need a timer only if no answer can come, or none in time.
    fn wait_in_vain(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if matches!(exchange.who, Caller::Registry(_)) {
            let until = exchange.began + self.run.scenario.membership.timeout;
            self.queue.push(until.max(now), Event::GiveUp(id));
        }
    }

    pub(super) fn arrives(&mut self, now: Timestamp, message: Message, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let (from, to) = ends(exchange, message);
        if self.network.was_lost(now, from, to, exchange.sent[message.slot()]) {
            return self.lost(now, id, message);
        }
        match message {
            Message::Connect => self.connect_arrives(now, id),
            Message::Accept => self.accept_arrives(now, id),
            Message::Request => self.request_arrives(now, id),
            Message::Cancel => self.cancel_arrives(now, id),
            Message::Answer => self.answer_arrives(now, id),
            Message::Closed => self.fail(now, id, CallError::NoAnswer),
        }
    }

    fn connect_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if !exchange.connected && !exchange.caller_done {
            exchange.life = self.hosts[exchange.callee].life;
            self.send(now, id, Message::Accept);
        }
    }

    fn accept_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if !exchange.connected && !exchange.caller_done {
            exchange.connected = true;
            self.send(now, id, Message::Request);
        }
    }

    fn request_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let is_request =
            matches!(exchange.payload, Payload::Request(_) | Payload::RegistryRequest(_));
        if exchange.callee_done || !is_request {
            return;
        }
        // Let go together by a hold: the server finds the connection closed before it has begun.
        if exchange.cancel_at <= now {
            exchange.callee_done = true;
            return self.exchanges.settle(id);
        }
        let callee = exchange.callee;
        if self.hosts[callee].life != exchange.life {
            exchange.callee_done = true;
            return self.send(now, id, Message::Closed);
        }
        match std::mem::replace(&mut exchange.payload, Payload::None) {
            Payload::RegistryRequest(request) => {
                let reply = self.ask_registry(now, request);
                self.answer(now, id, Payload::RegistryReply(reply));
            }
            Payload::Request(request) => {
                let mut handle = None;
                self.with_host(now, callee, |agent, local| {
                    handle = agent.handle_request(local, id.ticket(), request);
                });
                if let (Some(exchange), Some(_)) = (self.exchanges.get(id), handle) {
                    exchange.handle = handle;
                }
            }
            _ => {}
        }
    }

    fn cancel_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let (callee, handle) = (exchange.callee, exchange.handle.take());
        let was_done = std::mem::replace(&mut exchange.callee_done, true);
        self.exchanges.settle(id);
        if let (false, Some(handle)) = (was_done, handle) {
            self.with_host(now, callee, |agent, local| agent.handle_cancel(local, handle));
        }
    }

    fn answer_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if exchange.caller_done {
            return self.exchanges.settle(id);
        }
        exchange.caller_done = true;
        let (caller, callee) = (exchange.caller, exchange.callee);
        let (life, who) = (exchange.life, exchange.who);
        let payload = std::mem::replace(&mut exchange.payload, Payload::None);
        self.exchanges.settle(id);
        let max = match caller {
            HostId::CLIENT => CLIENT_IDLE,
            _ => ClientLimits::default().idle_per_destination,
        };
        if let Some(pool) = self.pool_of(caller) {
            pool.put(callee, life, now, max);
        }
        match payload {
            Payload::Reply(answer) => {
                self.hand_over(now, caller, who, answer.map_err(CallError::Answered));
            }
            Payload::RegistryReply(reply) => self.hand_over_listing(now, caller, who, reply),
            _ => {}
        }
    }

    pub(super) fn connect_failed(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if !exchange.connected {
            exchange.callee_done = true;
            self.fail(now, id, CallError::NotSent);
        }
    }

    /// The client's deadline has passed, or an agent has waited for the registry in vain.
    pub(super) fn give_up(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if exchange.caller_done {
            return;
        }
        let who = exchange.who;
        let (caller, callee, began) = (exchange.caller, exchange.callee, exchange.began);
        self.distrust(caller, callee, began);
        self.abandon(now, id);
        match who {
            Caller::Client(request) => self.request_ended(now, request, RequestOutcome::TimedOut),
            who => self.hand_over_listing(now, caller, who, RegistryReply::Failed),
        }
    }

    /// A call has failed before its time was over.
    fn fail(&mut self, now: Timestamp, id: ExchangeId, error: CallError) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let was_done = std::mem::replace(&mut exchange.caller_done, true);
        let (caller, callee, began) = (exchange.caller, exchange.callee, exchange.began);
        let who = exchange.who;
        self.exchanges.settle(id);
        if was_done {
            return;
        }
        if error == CallError::NoAnswer {
            self.distrust(caller, callee, began);
        }
        match who {
            Caller::Registry(_) => {
                self.hand_over_listing(now, caller, who, RegistryReply::Failed);
            }
            who => self.hand_over(now, caller, who, Err(error)),
        }
    }

    fn hand_over(
        &mut self,
        now: Timestamp,
        caller: HostId,
        who: Caller,
        result: Result<mesh_core::protocol::Reply, CallError>,
    ) {
        match who {
            Caller::Peer(call) => {
                self.with_host(now, caller, |agent, local| {
                    agent.handle_call_result(local, call, result);
                });
            }
            Caller::Client(request) => self.request_answered(now, request, result),
            Caller::Registry(_) => {}
        }
    }

    fn hand_over_listing(
        &mut self,
        now: Timestamp,
        caller: HostId,
        who: Caller,
        reply: RegistryReply,
    ) {
        if let Caller::Registry(call) = who {
            self.with_host(now, caller, |agent, local| {
                agent.handle_registry_reply(local, call, reply);
            });
        }
    }

    /// A host dies without a word to those whom it was connected with.
    pub(super) fn break_connections(&mut self, now: Timestamp, host: HostId) {
        for id in self.exchanges.of_host(host) {
            let Some(exchange) = self.exchanges.get(id) else { continue };
            if exchange.caller == host {
                exchange.caller_done = true;
                exchange.callee_done |= !exchange.connected;
            }
            if exchange.callee == host && exchange.connected && !exchange.callee_done {
                exchange.callee_done = true;
                exchange.handle = None;
                self.wait_in_vain(now, id);
            }
            self.exchanges.settle(id);
        }
    }
}

/// From which host to which a message of an exchange goes.
pub(super) fn ends(exchange: &Exchange, message: Message) -> (HostId, HostId) {
    let (caller, callee) = (exchange.caller, exchange.callee);
    if message.is_from_caller() { (caller, callee) } else { (callee, caller) }
}
