//! Calls from host to host: connect, request, answer, and what can go wrong between them.
//!
//! A call is an [`Exchange`]. The methods here send its messages, handle those that arrive, and
//! tell caller and callee how it ended. Bytes and TCP are not simulated; what they would do to a
//! call (a refused connection, a reset, a message that a partition swallows) is.

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, RegistryReply};
use mesh_node::http::ClientLimits;

use super::exchange::{Exchange, ExchangeId, Payload, ReplyTo};
use super::idle_pool::IdlePool;
use super::network::Delivery;
use super::queue::Lane;
use super::registry::SecondCopy;
use super::{Event, EventSimulation};
use crate::host::{AgentId, HostId};
use crate::journal::RequestOutcome;
use crate::workload::IDLE_CONNECTIONS;

/// A message of an exchange, as it goes over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The caller opens a connection.
    Connect,
    /// The callee accepts the connection.
    Accept,
    /// The callee refuses the connection, because nothing listens there.
    Refuse,
    /// The caller sends its request.
    Request,
    /// The caller closes the connection before it has an answer.
    ///
    /// This is the only message that may overtake another of the same sender: every other one is
    /// sent only after the message before it has arrived. If a cancel overtakes its request, or
    /// arrives together with it, the request is not begun.
    Cancel,
    /// The callee sends its answer.
    Answer,
    /// The callee's end of the connection is gone: its process has ended or started again.
    Closed,
}

impl Message {
    const fn is_from_caller(self) -> bool {
        matches!(self, Self::Connect | Self::Request | Self::Cancel)
    }

    /// The message's position in [`Exchange::sent`].
    const fn sent_index(self) -> usize {
        match self {
            Self::Connect | Self::Request => 0,
            Self::Cancel => 1,
            Self::Accept | Self::Refuse | Self::Answer | Self::Closed => 2,
        }
    }
}

impl EventSimulation<'_> {
    /// Begins a call to another host, over an idle connection if there is one.
    pub(super) fn call(
        &mut self,
        now: Timestamp,
        caller: HostId,
        callee: HostId,
        reply_to: ReplyTo,
        request: Payload,
    ) -> ExchangeId {
        let mut exchange = Exchange::new(caller, callee, reply_to, request, now);
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

    /// The idle connections of a host; `None` for a registry, which calls nobody.
    fn pool_of(&mut self, caller: HostId) -> Option<&mut IdlePool> {
        match caller {
            HostId::CLIENT => Some(&mut self.client_pool),
            _ => caller.agent().map(|agent| self.agent_hosts[agent].pool()),
        }
    }

    fn drop_unused_since(&mut self, caller: HostId, callee: HostId, since: Timestamp) {
        if let Some(pool) = self.pool_of(caller) {
            pool.drop_unused_since(callee, since);
        }
    }

    /// The callee answers a request. The answer is sent only if the caller still waits.
    pub(super) fn answer(&mut self, now: Timestamp, id: ExchangeId, answer: Payload) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        exchange.callee_done = true;
        exchange.handle = None;
        // The caller has given up meanwhile, so no answer is sent.
        if exchange.caller_done {
            return self.exchanges.remove_if_over(id);
        }
        exchange.payload = answer;
        self.send(now, id, Message::Answer);
    }

    /// The caller stops waiting for an answer and closes the connection.
    pub(super) fn abandon(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        exchange.caller_done = true;
        if !exchange.connected {
            // The request was never sent, so the callee has nothing to do.
            exchange.callee_done = true;
        } else if !exchange.callee_done {
            self.send(now, id, Message::Cancel);
        }
        self.exchanges.remove_if_over(id);
    }

    fn send(&mut self, now: Timestamp, id: ExchangeId, message: Message) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        exchange.sent[message.sent_index()] = now;
        let (from, to) = sender_and_receiver(exchange, message);
        let (began, fate) = (exchange.began, self.network.send(now, from, to));
        let Delivery::Arrives(at) = fate else {
            return self.lost(now, id, message);
        };
        if let (Message::Request, Payload::RegistryRequest(request)) = (message, &exchange.payload)
            && let Some(again) = self.network.copy(now, (from, to), at)
        {
            let copy = SecondCopy { from, to, sent: now, request: request.clone() };
            self.queue.push(again, Event::ArrivesAgain(Box::new(copy)));
        }
        if message == Message::Cancel {
            exchange.cancel_at = at;
        }
        // A timer is pushed only if the message comes too late for it: most calls are in time, and
        // a timer for each would fill the queue.
        let connect_by = began + self.run.scenario.delegation.connect_timeout;
        if matches!(message, Message::Connect | Message::Accept | Message::Refuse)
            && at > connect_by
        {
            self.queue.push(connect_by, Event::ConnectFailed(id));
        }
        let give_up = began + self.run.scenario.membership.timeout;
        if matches!(exchange.reply_to, ReplyTo::Registry(_)) && at > give_up {
            self.queue.push(give_up.max(now), Event::GiveUp(id));
        }
        // A message that an endless hold keeps never arrives.
        if at < Timestamp::MAX {
            self.queue.push_in(Lane::Message, at, Event::Arrives(message, id));
        }
    }

    /// A message is lost: it will never arrive.
    fn lost(&mut self, now: Timestamp, id: ExchangeId, message: Message) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let began = exchange.began;
        match message {
            Message::Connect | Message::Accept | Message::Refuse => {
                let connect_by = began + self.run.scenario.delegation.connect_timeout;
                self.queue.push(connect_by.max(now), Event::ConnectFailed(id));
                self.schedule_timeout(now, id);
            }
            Message::Request => {
                exchange.callee_done = true;
                self.schedule_timeout(now, id);
            }
            Message::Answer | Message::Closed => self.schedule_timeout(now, id),
            Message::Cancel => {}
        }
        self.exchanges.remove_if_over(id);
    }

    /// Schedules the timeout of a call to the registry that can't be answered any more. Other calls
    /// need none: agents time their calls to peers themselves, and the client has its deadline.
    fn schedule_timeout(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if matches!(exchange.reply_to, ReplyTo::Registry(_)) {
            let until = exchange.began + self.run.scenario.membership.timeout;
            self.queue.push(until.max(now), Event::GiveUp(id));
        }
    }

    pub(super) fn arrives(&mut self, now: Timestamp, message: Message, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let (from, to) = sender_and_receiver(exchange, message);
        // A partition or crash may have begun while the message was on its way.
        if self.network.was_lost(now, from, to, exchange.sent[message.sent_index()]) {
            return self.lost(now, id, message);
        }
        match message {
            Message::Connect => self.connect_arrives(now, id),
            Message::Accept => self.accept_arrives(now, id),
            Message::Refuse => self.connect_failed(now, id),
            Message::Request => self.request_arrives(now, id),
            Message::Cancel => self.cancel_arrives(now, id),
            Message::Answer => self.answer_arrives(now, id),
            Message::Closed => self.fail(now, id, CallError::NoAnswer),
        }
    }

    fn connect_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        // Otherwise the caller has given up before the connect arrived.
        if !exchange.connected && !exchange.caller_done {
            let callee = exchange.callee;
            exchange.life = self.hosts[callee].life;
            let listens = match callee.agent() {
                Some(agent) => self.agent_hosts[agent].presence.has_process(),
                None => self.registry_at(callee).talk.is_loaded,
            };
            let is_taken = !self.hosts[callee].is_down && listens;
            self.send(now, id, if is_taken { Message::Accept } else { Message::Refuse });
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
        // The cancel overtook the request, or a hold released both at the same time: the server
        // finds the connection closed before it begins.
        if exchange.cancel_at <= now {
            exchange.callee_done = true;
            return self.exchanges.remove_if_over(id);
        }
        let callee = exchange.callee;
        // The connection led to a process that has ended since.
        if self.hosts[callee].life != exchange.life {
            exchange.callee_done = true;
            return self.send(now, id, Message::Closed);
        }
        if self.takes_cpu(now, callee, id) {
            return;
        }
        let Some(exchange) = self.exchanges.get(id) else { return };
        match std::mem::replace(&mut exchange.payload, Payload::None) {
            Payload::RegistryRequest(request) => {
                if let Some(reply) = self.ask_registry(now, callee, Some(id), request) {
                    self.answer(now, id, Payload::RegistryReply(reply));
                }
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
        self.exchanges.remove_if_over(id);
        if let (false, Some(handle)) = (was_done, handle) {
            self.with_host(now, callee, |agent, local| agent.handle_cancel(local, handle));
        }
    }

    fn answer_arrives(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if exchange.caller_done {
            return self.exchanges.remove_if_over(id);
        }
        exchange.caller_done = true;
        let (caller, callee) = (exchange.caller, exchange.callee);
        let (life, reply_to, stays_open) = (exchange.life, exchange.reply_to, exchange.connected);
        let payload = std::mem::replace(&mut exchange.payload, Payload::None);
        self.exchanges.remove_if_over(id);
        let max = match caller {
            HostId::CLIENT => IDLE_CONNECTIONS,
            _ => ClientLimits::default().idle_per_destination,
        };
        if stays_open && let Some(pool) = self.pool_of(caller) {
            pool.put(callee, life, now, max);
        }
        match payload {
            Payload::Reply(answer) => {
                let result = answer.map_err(CallError::Answered);
                self.hand_over_result(now, caller, (id, reply_to), result);
            }
            Payload::RegistryReply(reply) => {
                self.hand_over_registry_reply(now, caller, reply_to, reply);
            }
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

    /// The caller gives up: the client because its deadline has passed, an agent because its call
    /// to the registry has timed out.
    pub(super) fn give_up(&mut self, now: Timestamp, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        if exchange.caller_done {
            return;
        }
        let reply_to = exchange.reply_to;
        let (caller, callee, began) = (exchange.caller, exchange.callee, exchange.began);
        self.drop_unused_since(caller, callee, began);
        self.abandon(now, id);
        match reply_to {
            ReplyTo::Client(request) => self.request_ended(now, request, RequestOutcome::TimedOut),
            reply_to => self.hand_over_registry_reply(now, caller, reply_to, RegistryReply::Failed),
        }
    }

    /// A call fails before it times out.
    fn fail(&mut self, now: Timestamp, id: ExchangeId, error: CallError) {
        let Some(exchange) = self.exchanges.get(id) else { return };
        let was_done = std::mem::replace(&mut exchange.caller_done, true);
        let (caller, callee, began) = (exchange.caller, exchange.callee, exchange.began);
        let reply_to = exchange.reply_to;
        self.exchanges.remove_if_over(id);
        if was_done {
            return;
        }
        // The callee may have restarted, so its other connections may be broken too.
        if error == CallError::NoAnswer {
            self.drop_unused_since(caller, callee, began);
        }
        match reply_to {
            ReplyTo::Registry(_) => {
                self.hand_over_registry_reply(now, caller, reply_to, RegistryReply::Failed);
            }
            reply_to => self.hand_over_result(now, caller, (id, reply_to), Err(error)),
        }
    }

    /// Gives the result of a call to the agent, job or client that made it.
    fn hand_over_result(
        &mut self,
        now: Timestamp,
        caller: HostId,
        (id, reply_to): (ExchangeId, ReplyTo),
        result: Result<mesh_core::protocol::Reply, CallError>,
    ) {
        match reply_to {
            ReplyTo::Peer(call) => {
                self.with_host(now, caller, |agent, local| {
                    agent.handle_call_result(local, call, result);
                });
            }
            ReplyTo::Client(request) => self.request_answered(now, request, result),
            ReplyTo::Subjob(job) => {
                if let Some(agent) = caller.agent() {
                    self.subjob_ended(now, agent, job, id, result);
                }
            }
            ReplyTo::Registry(_) => {}
        }
    }

    /// Gives the registry's reply to the agent that called it.
    fn hand_over_registry_reply(
        &mut self,
        now: Timestamp,
        caller: HostId,
        reply_to: ReplyTo,
        reply: RegistryReply,
    ) {
        if let ReplyTo::Registry(call) = reply_to {
            self.with_host(now, caller, |agent, local| {
                agent.handle_registry_reply(local, call, reply);
            });
        }
    }

    /// Closes the connections of a host whose process ends, after a shutdown or in a crash, while
    /// its machine stays up. The hosts at their other ends are told.
    pub(super) fn close_connections(&mut self, now: Timestamp, host: HostId) {
        for id in self.exchanges.of_host(host) {
            let Some(exchange) = self.exchanges.get(id) else { continue };
            if exchange.caller == host {
                self.abandon(now, id);
            } else if exchange.callee_done {
                // Its answer is on the way, and the end of the connection follows it.
                exchange.connected = false;
            } else if exchange.connected {
                exchange.callee_done = true;
                exchange.handle = None;
                self.send(now, id, Message::Closed);
            }
        }
        let agents = self.agent_hosts.ids().map(AgentId::host);
        let callers: Vec<HostId> = agents.chain([HostId::CLIENT]).collect();
        for caller in callers {
            let has_idle = self.pool_of(caller).is_some_and(|pool| pool.has_connection(host));
            if has_idle && let Delivery::Arrives(at) = self.network.send(now, host, caller) {
                self.queue.push(at, Event::IdleClosed { caller, callee: host });
            }
        }
    }

    /// A caller learns that its idle connections to a callee are closed.
    pub(super) fn idle_closed(&mut self, caller: HostId, callee: HostId) {
        if let Some(pool) = self.pool_of(caller) {
            pool.forget(callee);
        }
    }

    /// Breaks the connections of a host whose machine crashes. The hosts at their other ends are not
    /// told: they wait until they time out.
    pub(super) fn break_connections(&mut self, now: Timestamp, host: HostId) {
        for id in self.exchanges.of_host(host) {
            let Some(exchange) = self.exchanges.get(id) else { continue };
            if exchange.caller == host {
                exchange.caller_done = true;
                // A request that was never sent needs no answer.
                exchange.callee_done |= !exchange.connected;
            }
            if exchange.callee == host && exchange.connected && !exchange.callee_done {
                exchange.callee_done = true;
                exchange.handle = None;
                self.schedule_timeout(now, id);
            }
            self.exchanges.remove_if_over(id);
        }
    }
}

/// The sender and the receiver of a message of an exchange.
pub(super) fn sender_and_receiver(exchange: &Exchange, message: Message) -> (HostId, HostId) {
    let (caller, callee) = (exchange.caller, exchange.callee);
    if message.is_from_caller() { (caller, callee) } else { (callee, caller) }
}
