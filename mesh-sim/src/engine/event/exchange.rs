//! Exchanges: the calls that are under way, each from its first message to its last.

use mesh_core::Timestamp;
use mesh_core::agent::{CallId, Failure, JobId, RegistryReply, RegistryRequest, RequestHandle};
use mesh_core::protocol::{Reply, Request};

use super::client::RequestId;
use crate::host::HostId;

/// Slots in one block of [`Exchanges`].
const BLOCK: usize = 64;

/// Names an exchange. The name is never used for another exchange: its slot is used again, but with
/// another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExchangeId {
    slot: u32,
    generation: u32,
}

impl ExchangeId {
    /// The id as a ticket, the number by which an agent knows a request or a call.
    pub(super) fn ticket(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    pub(super) fn of_ticket(ticket: u64) -> Self {
        Self { slot: ticket as u32, generation: (ticket >> 32) as u32 }
    }
}

/// Who gets the answer of an exchange.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReplyTo {
    /// An agent, for its call to a peer.
    Peer(CallId),
    /// An agent, for its call to the registry with this number.
    Registry(u64),
    /// The client, for its request.
    Client(RequestId),
    /// An agent's job, for one of its subjobs.
    Subjob(JobId),
}

/// The content of the message that is on its way or will be sent next.
#[derive(Debug)]
pub(super) enum Payload {
    /// Nothing: the content has been handed over to the receiver.
    None,
    Request(Request),
    RegistryRequest(RegistryRequest),
    Reply(Result<Reply, Failure>),
    RegistryReply(RegistryReply),
}

/// One call from one host to another, or one request of the client, with the connection that it
/// uses.
///
/// It exists until both sides are done with it: the caller has its result or gave up, and the
/// callee has answered or never will.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) caller: HostId,
    pub(super) callee: HostId,
    pub(super) reply_to: ReplyTo,
    pub(super) payload: Payload,
    pub(super) began: Timestamp,
    /// Whether the connection is open.
    pub(super) connected: bool,
    /// The life of the callee that the connection leads to, as in
    /// [`HostState::life`](super::HostState::life).
    pub(super) life: u32,
    /// Cancels the request at the callee; `None` if the callee has nothing to cancel.
    pub(super) handle: Option<RequestHandle>,
    /// When the last message of each kind was sent: the caller's, the caller's cancel, the
    /// callee's.
    pub(super) sent: [Timestamp; 3],
    /// When the caller's cancel arrives; [`Timestamp::MAX`] if none was sent.
    pub(super) cancel_at: Timestamp,
    /// The caller has its result, or has given up.
    pub(super) caller_done: bool,
    /// The callee has answered, or never will.
    pub(super) callee_done: bool,
}

impl Exchange {
    pub(super) fn new(
        caller: HostId,
        callee: HostId,
        reply_to: ReplyTo,
        payload: Payload,
        began: Timestamp,
    ) -> Self {
        Self {
            caller,
            callee,
            reply_to,
            payload,
            began,
            connected: false,
            life: 0,
            handle: None,
            sent: [began; 3],
            cancel_at: Timestamp::MAX,
            caller_done: false,
            callee_done: false,
        }
    }
}

/// The exchanges that are not over, by id. The id of an exchange that is over finds nothing.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// Blocks of slots. A block stays where it is in memory; a single vector would move every
    /// exchange when it grows.
    blocks: Vec<Box<[ExchangeSlot; BLOCK]>>,
    /// Slots without an exchange. The one that was left last is used first, while it is in the
    /// cache.
    free: Vec<u32>,
}

/// Room for one exchange. It begins at a cache line, so that it spans as few lines as possible.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct ExchangeSlot {
    generation: u32,
    exchange: Option<Exchange>,
}

impl Exchanges {
    pub(super) fn insert(&mut self, exchange: Exchange) -> ExchangeId {
        let number = self.free.pop().unwrap_or_else(|| self.add_block());
        let slot = &mut self.blocks[number as usize / BLOCK][number as usize % BLOCK];
        slot.exchange = Some(exchange);
        ExchangeId { slot: number, generation: slot.generation }
    }

    /// Adds a block of slots. Returns the number of the first, which is not in the list of free
    /// ones.
    fn add_block(&mut self) -> u32 {
        let first = (self.blocks.len() * BLOCK) as u32;
        self.blocks.push(Box::new(std::array::from_fn(|_| ExchangeSlot::default())));
        self.free.extend((first + 1..first + BLOCK as u32).rev());
        first
    }

    /// The slot of an exchange, even if the exchange is over and another one is there.
    pub(super) fn slot(&self, id: ExchangeId) -> Option<&ExchangeSlot> {
        Some(&self.blocks.get(id.slot as usize / BLOCK)?[id.slot as usize % BLOCK])
    }

    pub(super) fn get(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.current(id)?.exchange.as_mut()
    }

    /// As [`Self::get`], to look at only.
    pub(super) fn peek(&self, id: ExchangeId) -> Option<&Exchange> {
        let slot = self.slot(id)?;
        if slot.generation == id.generation { slot.exchange.as_ref() } else { None }
    }

    /// The slot of an exchange, if no other exchange has taken it over.
    fn current(&mut self, id: ExchangeId) -> Option<&mut ExchangeSlot> {
        let slot = &mut self.blocks.get_mut(id.slot as usize / BLOCK)?[id.slot as usize % BLOCK];
        (slot.generation == id.generation).then_some(slot)
    }

    /// Removes an exchange if both sides are done with it.
    pub(super) fn remove_if_over(&mut self, id: ExchangeId) {
        let Some(slot) = self.current(id) else { return };
        let is_over = |exchange: &mut Exchange| exchange.caller_done && exchange.callee_done;
        if slot.exchange.take_if(is_over).is_some() {
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(id.slot);
        }
    }

    /// The exchanges of which a host is the caller or the callee.
    pub(super) fn of_host(&self, host: HostId) -> Vec<ExchangeId> {
        let takes_part = |exchange: &Exchange| exchange.caller == host || exchange.callee == host;
        let slots = self.blocks.iter().flat_map(|block| block.iter()).enumerate();
        slots
            .filter(|(_, slot)| slot.exchange.as_ref().is_some_and(takes_part))
            .map(|(number, slot)| ExchangeId { slot: number as u32, generation: slot.generation })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_the_last_left_first() {
        let exchange = || {
            Exchange::new(
                HostId::new(2),
                HostId::new(3),
                ReplyTo::Registry(0),
                Payload::None,
                Timestamp::ZERO,
            )
        };
        let mut exchanges = Exchanges::default();
        let count = 2 * BLOCK + 1;
        let ids: Vec<ExchangeId> = (0..count).map(|_| exchanges.insert(exchange())).collect();
        assert!(ids.iter().map(|id| id.slot as usize).eq(0..count));
        assert_eq!(exchanges.of_host(HostId::new(3)), ids);
        for id in [ids[1], ids[BLOCK]] {
            exchanges.remove_if_over(id);
            assert!(exchanges.get(id).is_some(), "neither side is done");
            let exchange = exchanges.get(id).unwrap();
            (exchange.caller_done, exchange.callee_done) = (true, true);
            exchanges.remove_if_over(id);
            assert!(exchanges.get(id).is_none() && exchanges.peek(id).is_none());
        }
        let again = [0, 1, 2].map(|_| exchanges.insert(exchange()));
        assert_eq!(again.map(|id| id.slot as usize), [BLOCK, 1, count]);
        assert!(exchanges.get(ids[1]).is_none(), "another exchange is in its slot");
    }
}
