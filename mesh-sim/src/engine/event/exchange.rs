//! One call from host to host, from its first message to the last.

use mesh_core::Timestamp;
use mesh_core::agent::{CallId, Failure, RegistryReply, RegistryRequest, RequestHandle};
use mesh_core::protocol::{Reply, Request};

use super::load::RequestId;
use crate::host::HostId;

/// Places of one block.
const BLOCK: usize = 64;

/// Names an exchange, for ever: a place is used again, but with another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExchangeId {
    place: u32,
    generation: u32,
}

impl ExchangeId {
    /// As the number that an agent is given with a request.
    pub(super) fn ticket(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.place)
    }

    pub(super) fn of_ticket(ticket: u64) -> Self {
        Self { place: ticket as u32, generation: (ticket >> 32) as u32 }
    }
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// An agent that called a peer.
    Peer(CallId),
    /// An agent that called the registry, by the number of its call.
    Registry(u64),
    /// The client, for a request of its load.
    Client(RequestId),
}

/// What is under way, or waits to be.
#[derive(Debug)]
pub(super) enum Payload {
    /// Nothing: it has arrived.
    None,
    Request(Request),
    RegistryRequest(RegistryRequest),
    Reply(Result<Reply, Failure>),
    RegistryReply(RegistryReply),
}

/// One call.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) caller: HostId,
    pub(super) callee: HostId,
    pub(super) who: Caller,
    pub(super) payload: Payload,
    pub(super) began: Timestamp,
    /// The connection is open.
    pub(super) connected: bool,
    /// The life of the callee that the connection leads to.
    pub(super) life: u32,
    /// Cancels the request at the callee.
    pub(super) handle: Option<RequestHandle>,
    /// When the last message of each kind was sent: by the caller, its goodbye, by the callee.
    pub(super) sent: [Timestamp; 3],
    /// When the caller's goodbye arrives; at the end of time if it has not said one.
    pub(super) cancel_at: Timestamp,
    /// The caller has its result, or wants none.
    pub(super) caller_done: bool,
    /// The callee has answered, or never will.
    pub(super) callee_done: bool,
}

impl Exchange {
    pub(super) fn new(
        caller: HostId,
        callee: HostId,
        who: Caller,
        payload: Payload,
        began: Timestamp,
    ) -> Self {
        Self {
            caller,
            callee,
            who,
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

/// The exchanges that are not over. One that is over, is found no more.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    /// In blocks that stay where they are: a table that grows would move all.
    blocks: Vec<Box<[Place; BLOCK]>>,
    free: Vec<u32>,
}

/// Begins with a cache line, so that it takes no more of them than it must.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Place {
    generation: u32,
    exchange: Option<Exchange>,
}

impl Exchanges {
    pub(super) fn insert(&mut self, exchange: Exchange) -> ExchangeId {
        let place = self.free.pop().unwrap_or_else(|| self.add_block());
        let slot = &mut self.blocks[place as usize / BLOCK][place as usize % BLOCK];
        slot.exchange = Some(exchange);
        ExchangeId { place, generation: slot.generation }
    }

    /// Makes room; gives back the first new place.
    fn add_block(&mut self) -> u32 {
        let first = (self.blocks.len() * BLOCK) as u32;
        self.blocks.push(Box::new(std::array::from_fn(|_| Place::default())));
        self.free.extend((first + 1..first + BLOCK as u32).rev());
        first
    }

    /// Where an exchange is kept, or was.
    pub(super) fn place(&self, id: ExchangeId) -> Option<&Place> {
        Some(&self.blocks.get(id.place as usize / BLOCK)?[id.place as usize % BLOCK])
    }

    pub(super) fn get(&mut self, id: ExchangeId) -> Option<&mut Exchange> {
        self.current(id)?.exchange.as_mut()
    }

    /// The same, to look at only.
    pub(super) fn peek(&self, id: ExchangeId) -> Option<&Exchange> {
        let place = self.place(id)?;
        if place.generation == id.generation { place.exchange.as_ref() } else { None }
    }

    /// The place of an exchange, if no other has taken it over.
    fn current(&mut self, id: ExchangeId) -> Option<&mut Place> {
        let place = &mut self.blocks.get_mut(id.place as usize / BLOCK)?[id.place as usize % BLOCK];
        (place.generation == id.generation).then_some(place)
    }

    /// Forgets an exchange that neither side has a use for.
    pub(super) fn settle(&mut self, id: ExchangeId) {
        let Some(place) = self.current(id) else { return };
        let is_over = |exchange: &mut Exchange| exchange.caller_done && exchange.callee_done;
        if place.exchange.take_if(is_over).is_some() {
            place.generation = place.generation.wrapping_add(1);
            self.free.push(id.place);
        }
    }

    /// Those that a host takes part in.
    pub(super) fn of_host(&self, host: HostId) -> Vec<ExchangeId> {
        let takes_part = |exchange: &Exchange| exchange.caller == host || exchange.callee == host;
        let places = self.blocks.iter().flat_map(|block| block.iter()).enumerate();
        places
            .filter(|(_, place)| place.exchange.as_ref().is_some_and(takes_part))
            .map(|(number, place)| ExchangeId {
                place: number as u32,
                generation: place.generation,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_for_others_from_the_last_left_on() {
        let exchange = || {
            Exchange::new(
                HostId::new(2),
                HostId::new(3),
                Caller::Registry(0),
                Payload::None,
                Timestamp::ZERO,
            )
        };
        let mut exchanges = Exchanges::default();
        let count = 2 * BLOCK + 1;
        let ids: Vec<ExchangeId> = (0..count).map(|_| exchanges.insert(exchange())).collect();
        assert!(ids.iter().map(|id| id.place as usize).eq(0..count));
        assert_eq!(exchanges.of_host(HostId::new(3)), ids);
        for id in [ids[1], ids[BLOCK]] {
            exchanges.settle(id);
            assert!(exchanges.get(id).is_some(), "neither side is done");
            let exchange = exchanges.get(id).unwrap();
            (exchange.caller_done, exchange.callee_done) = (true, true);
            exchanges.settle(id);
            assert!(exchanges.get(id).is_none() && exchanges.peek(id).is_none());
        }
        let again = [0, 1, 2].map(|_| exchanges.insert(exchange()));
        assert_eq!(again.map(|id| id.place as usize), [BLOCK, 1, count]);
        assert!(exchanges.get(ids[1]).is_none(), "another exchange is at its place");
    }
}
