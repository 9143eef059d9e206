//! Changes under way, and who waits for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{CallerId, ChangeOutcome, DurableRegistry, StoreEffect, StoreReply};
use crate::protocol::Name;
use crate::registry::lease::{
    DeregisterError, DrainError, RegisterError, Registered, Registration,
};
use crate::registry::record::{ChangeId, Keeping, LeaseRecord, StoreChange};
use crate::time::Timestamp;

/// How long a caller waits for the store. Less than the time that agents wait for their registry by
/// default, so that they learn why.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long a change that the store has made may wait for the store's news of it. After that, the
/// store has lost the change, or tells no news any more.
const NEWS_PATIENCE: Duration = Duration::from_secs(2);

/// How many callers wait for one name. An agent has one call under way; more are retries, and
/// processes that share the name.
const MAX_CALLERS: usize = 16;

/// What a caller has asked for.
#[derive(Clone, Debug)]
pub(super) enum CallerWish {
    Register(Registration),
    /// The incarnation and the caller, if they are known.
    Deregister(Option<u64>, Option<Arc<str>>),
    Drain(bool),
}

impl CallerWish {
    fn unavailable(&self) -> StoreReply {
        match self {
            Self::Register(_) => StoreReply::Registered(Err(RegisterError::StoreUnavailable)),
            Self::Deregister(..) => {
                StoreReply::Deregistered(Err(DeregisterError::StoreUnavailable))
            }
            Self::Drain(_) => StoreReply::Drained(Err(DrainError::StoreUnavailable)),
        }
    }
}

/// Who waits for a change.
#[derive(Clone, Debug)]
pub(super) struct WaitingCaller {
    caller: CallerId,
    asked: CallerWish,
    /// When it is told that the store takes too long.
    until: Timestamp,
}

/// A change of a name's record that is under way.
#[derive(Debug)]
pub(super) struct PendingChange {
    /// The record that the store must have.
    expected: Option<LeaseRecord>,
    /// The new record; `None`: the record goes.
    pub(super) record: Option<LeaseRecord>,
    pub(super) stage: ChangeStage,
    /// Since when it waits for news of the store.
    waits_since: Option<Timestamp>,
    /// Those who wait, the first one first; what they want is decided when the change is done.
    pub(super) callers: VecDeque<WaitingCaller>,
    /// The caller for whom the change is made, if it still waits; then it is the first.
    first: Option<CallerId>,
    /// The answer to that caller, if the change has come back from the store before the store has
    /// answered.
    pub(super) reply: Option<StoreReply>,
    deadline: Timestamp,
}

/// How far a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeStage {
    /// The store was asked.
    Writing,
    /// It is made, and waits until the changes up to its own are taken over.
    Made,
    /// The store has another record than was expected. It waits for the change that made that one.
    Outdated,
}

impl DurableRegistry {
    /// Begins a change for a caller, or lets the caller wait for the one that is under way. Hands
    /// the question back if the store is not there.
    pub(super) fn ask(
        &mut self,
        now: Timestamp,
        name: Name,
        caller: CallerId,
        asked: CallerWish,
    ) -> Result<(), CallerWish> {
        if !self.is_up {
            return Err(asked);
        }
        let Some(pending) = self.pending.get_mut(&name) else {
            let caller = WaitingCaller { caller, asked, until: now + PATIENCE };
            self.begin(name, VecDeque::from([caller]));
            return Ok(());
        };
        if pending.callers.len() >= MAX_CALLERS {
            return Err(asked);
        }
        let until = now + PATIENCE;
        // The first one who waits for a change that nobody waited for.
        if pending.callers.is_empty() {
            pending.deadline = until;
            self.deadlines.insert((until, name));
        }
        pending.callers.push_back(WaitingCaller { caller, asked, until });
        Ok(())
    }

    /// Begins the change that the first of these callers needs. There is one.
    fn begin(&mut self, name: Name, callers: VecDeque<WaitingCaller>) {
        let Some(WaitingCaller { asked, until, .. }) = callers.front() else { return };
        let deadline = *until;
        let last = self.mirror.get(&name);
        let live = self.registry.leases.get(&name);
        let record = match asked {
            CallerWish::Register(registration) => LeaseRecord::granted(registration, last),
            CallerWish::Deregister(..) => match (last, live) {
                (Some(last), _) => last.end(),
                (None, Some(live)) => LeaseRecord::of(live, None).end(),
                (None, None) => return,
            },
            CallerWish::Drain(draining) => {
                let Some(live) = live else { return };
                LeaseRecord { draining: *draining, ..LeaseRecord::of(live, last) }
            }
        };
        self.deadlines.insert((deadline, name.clone()));
        self.persist(name, Some(record), callers, deadline);
    }

    fn persist(
        &mut self,
        name: Name,
        record: Option<LeaseRecord>,
        callers: VecDeque<WaitingCaller>,
        deadline: Timestamp,
    ) {
        self.changes += 1;
        let id = ChangeId(self.changes);
        let expected = self.mirror.get(&name).cloned();
        let change = StoreChange {
            id,
            name: name.clone(),
            expected: expected.clone(),
            record: record.clone(),
        };
        self.effects.push_back(StoreEffect::Persist(change));
        self.writing.insert(id, name.clone());
        let stage = ChangeStage::Writing;
        let first = callers.front().map(|first| first.caller);
        let (reply, waits_since) = (None, None);
        let pending =
            PendingChange { expected, record, stage, waits_since, callers, first, reply, deadline };
        self.pending.insert(name, pending);
    }

    /// Changes a record for which nobody waits, if it is not what it should be.
    pub(super) fn put_right(&mut self, name: Name) {
        if self.pending.contains_key(&name) {
            // Looked at again when that change is done.
            return;
        }
        let last = self.mirror.get(&name);
        let live = self.registry.leases.get(&name).filter(|lease| !lease.recovering);
        let record = match (live, last) {
            (Some(live), last) => Some(LeaseRecord::of(live, last)),
            (None, Some(last)) if self.ending.contains(&name) && !last.ended => Some(last.end()),
            (None, Some(last)) if last.ended && self.excess.contains(&name) => None,
            (None, _) => {
                self.ending.remove(&name);
                return;
            }
        };
        let is_right = match (&record, last) {
            (Some(record), Some(last)) => record.says_the_same(last),
            (record, last) => record.is_none() && last.is_none(),
        };
        if !is_right {
            self.persist(name, record, VecDeque::new(), Timestamp::MAX);
        }
    }

    /// The driver tells what became of a change.
    pub fn handle_persisted(&mut self, now: Timestamp, id: ChangeId, outcome: ChangeOutcome) {
        self.registry.handle_timeout(now);
        let Some(name) = self.writing.remove(&id) else { return };
        let Some(pending) = self.pending.get_mut(&name) else { return };
        if let Some(reply) = pending.reply.take() {
            // It has come back from the store, so it is there, whatever this answer says.
            self.reply_to_first(&name, reply);
            return self.settle(now, name);
        }
        match outcome {
            ChangeOutcome::Stored(revision) if self.keeping == Keeping::Alone => {
                let record = pending.record.clone();
                self.take_over(now, &name, record.as_ref());
                self.revision = revision;
                if let Some(reply) = self.pending.get_mut(&name).and_then(|it| it.reply.take()) {
                    self.reply_to_first(&name, reply);
                }
                self.settle(now, name);
            }
            // Nobody else writes there: what the registry knows is wrong.
            ChangeOutcome::Outdated(_) if self.keeping == Keeping::Alone => self.lose(&name),
            ChangeOutcome::Failed | ChangeOutcome::Unknown => self.lose(&name),
            ChangeOutcome::Stored(revision) => self.wait(now, (revision, name), ChangeStage::Made),
            ChangeOutcome::Outdated(revision) => {
                self.wait(now, (revision, name), ChangeStage::Outdated);
            }
        }
    }

    /// A change counts when all changes up to a revision are taken over.
    fn wait(&mut self, now: Timestamp, (revision, name): (u64, Name), stage: ChangeStage) {
        if let Some(pending) = self.pending.get_mut(&name) {
            pending.stage = stage;
            pending.waits_since = Some(now);
            self.behind.insert((revision, name));
            self.settle_behind(now);
        }
    }

    /// The store does not have the record that a change expected, and all changes that led there
    /// are taken over: decides again, with what the registry knows now.
    fn look_again(&mut self, now: Timestamp, name: Name) {
        let Some(pending) = self.pending.get(&name) else { return };
        let known = self.mirror.get(&name);
        // As a rule another registry has changed the record.
        if known == pending.expected.as_ref() {
            if known.is_none() {
                // It has a record of which it has told nothing, so it may have lost changes.
                return self.lose(&name);
            }
            // Not every store tells that it has forgotten a record. If it has another one instead,
            // the next attempt shows that.
            self.take_over(now, &name, None);
        }
        self.settle(now, name);
    }

    /// The store has failed a change.
    fn lose(&mut self, name: &Name) {
        self.fail(name);
        self.handle_lost();
    }

    /// The store does not answer, or its changes don't come any more: until all records are listed
    /// again, registrations are refused, and heartbeats are answered as ever.
    pub fn handle_lost(&mut self) {
        if !self.is_up {
            return;
        }
        self.is_up = false;
        self.effects.push_back(StoreEffect::List);
        // What waits for changes to come would wait for long.
        let behind = std::mem::take(&mut self.behind);
        behind.iter().for_each(|(_, name)| self.fail(name));
    }

    /// A change has not been made, or nobody knows.
    fn fail(&mut self, name: &Name) {
        self.disappoint(name);
        if let Some(pending) = self.pending.remove(name) {
            self.deadlines.remove(&(pending.deadline, name.clone()));
        }
        self.dirty.insert(name.clone());
    }

    /// Tells those who wait for a change that the store does not answer. A lease that one of them
    /// wants to end leaves the list nevertheless.
    pub(super) fn disappoint(&mut self, name: &Name) {
        let Some(pending) = self.pending.get_mut(name) else { return };
        pending.first = None;
        if let Some(reply) = pending.reply.take() {
            // What the first one wants has come back from the store.
            self.reply_to_first(name, reply);
        }
        let Some(pending) = self.pending.get_mut(name) else { return };
        for WaitingCaller { caller, asked, .. } in std::mem::take(&mut pending.callers) {
            let mut reply = asked.unavailable();
            match asked {
                CallerWish::Register(registration) => {
                    self.registry.refuse(registration, &RegisterError::StoreUnavailable);
                }
                CallerWish::Deregister(incarnation, leaver) => {
                    match self.may_leave(name, incarnation, leaver.as_ref()) {
                        Ok(()) => self.end_unstored(name.clone()),
                        refused => reply = StoreReply::Deregistered(refused),
                    }
                }
                CallerWish::Drain(_) => {}
            }
            self.effects.push_back(StoreEffect::Reply { caller, reply });
        }
    }

    /// Callers have waited in vain for a change. If its news are long overdue, they won't come.
    pub(super) fn expect_no_news(&mut self, now: Timestamp, name: &Name) {
        let since = self.pending.get(name).and_then(|pending| pending.waits_since);
        if since.is_some_and(|since| now.since(since) >= NEWS_PATIENCE) {
            self.lose(name);
        }
    }

    /// Whether a caller may end the lease of a name.
    fn may_leave(
        &self,
        name: &Name,
        incarnation: Option<u64>,
        caller: Option<&Arc<str>>,
    ) -> Result<(), DeregisterError> {
        let live = self.registry.leases.get(name).ok_or(DeregisterError::UnknownLease)?;
        super::may_end(live, incarnation, caller)
    }

    fn reply_to_first(&mut self, name: &Name, reply: StoreReply) {
        let Some(pending) = self.pending.get_mut(name) else { return };
        if let Some(WaitingCaller { caller, .. }) = pending.callers.pop_front() {
            self.effects.push_back(StoreEffect::Reply { caller, reply });
        }
    }

    /// Ends the wait for changes that are taken over by now.
    pub(super) fn settle_behind(&mut self, now: Timestamp) {
        while let Some((revision, _)) = self.behind.first()
            && *revision <= self.revision
            && let Some((_, name)) = self.behind.pop_first()
        {
            let Some(pending) = self.pending.get_mut(&name) else { continue };
            let (stage, reply) = (pending.stage, pending.reply.take());
            if let Some(reply) = reply {
                self.reply_to_first(&name, reply);
            }
            match stage {
                ChangeStage::Outdated => self.look_again(now, name),
                ChangeStage::Made | ChangeStage::Writing => self.settle(now, name),
            }
        }
    }

    /// A change is over: decides again what the others want who wait.
    fn settle(&mut self, now: Timestamp, name: Name) {
        let Some(pending) = self.pending.remove(&name) else { return };
        self.deadlines.remove(&(pending.deadline, name.clone()));
        let mut callers = pending.callers;
        while let Some(WaitingCaller { caller, asked, .. }) = callers.front() {
            let caller = *caller;
            let Some(reply) = self.answer(now, &name, asked.clone()) else {
                return self.begin(name, callers);
            };
            callers.pop_front();
            self.effects.push_back(StoreEffect::Reply { caller, reply });
        }
        self.dirty.insert(name);
    }

    /// The answer to a question that needs no change any more.
    fn answer(&mut self, now: Timestamp, name: &Name, asked: CallerWish) -> Option<StoreReply> {
        Some(match asked {
            CallerWish::Register(registration) => match self.decide(now, &registration) {
                Ok(decision) => {
                    StoreReply::Registered(Ok(self.accept(now, decision?, registration)))
                }
                Err(error) => {
                    self.registry.refuse(registration, &error);
                    StoreReply::Registered(Err(error))
                }
            },
            CallerWish::Deregister(incarnation, caller) => {
                match self.may_leave(name, incarnation, caller.as_ref()) {
                    Ok(()) => return None,
                    refused => StoreReply::Deregistered(refused),
                }
            }
            CallerWish::Drain(draining) => match self.registry.leases.get(name) {
                None => StoreReply::Drained(Err(DrainError::UnknownLease)),
                Some(live) if live.draining == draining => StoreReply::Drained(Ok(())),
                Some(_) => return None,
            },
        })
    }

    /// The change under way for this name has come back from the store: does what its first caller
    /// has asked for. False if it is another change.
    pub(super) fn take_over_own(&mut self, now: Timestamp, record: &LeaseRecord) -> bool {
        let Some(pending) = self.pending.get_mut(&record.name) else { return false };
        if pending.record.as_ref() != Some(record) || pending.reply.is_some() {
            return false;
        }
        if pending.first.is_none() {
            return false;
        }
        let Some(WaitingCaller { asked, .. }) = pending.callers.front().cloned() else {
            return false;
        };
        let reply = match asked {
            CallerWish::Register(registration) => {
                StoreReply::Registered(Ok(self.grant(now, registration)))
            }
            CallerWish::Deregister(..) => {
                self.registry.strike(record);
                StoreReply::Deregistered(Ok(()))
            }
            CallerWish::Drain(draining) => {
                // The lease may have run out meanwhile.
                let drained = self.registry.handle_drain(now, &record.name, draining);
                StoreReply::Drained(drained)
            }
        };
        if let Some(pending) = self.pending.get_mut(&record.name) {
            pending.reply = Some(reply);
        }
        true
    }

    /// Lists the lease of an agent, which is in the store now.
    fn grant(&mut self, now: Timestamp, registration: Registration) -> Registered {
        let live = self.registry.leases.get(&registration.name);
        let moves = live.is_some_and(|live| {
            live.incarnation == registration.incarnation && live.incarnation.is_none()
        });
        let decision = if moves { super::Decision::Renew } else { super::Decision::Grant };
        self.registry.accept(now, decision, registration)
    }
}
