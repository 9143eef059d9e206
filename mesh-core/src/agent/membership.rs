//! Membership: the agent keeps its lease with heartbeats, and fetches the list of peers.
//!
//! An agent may know several registries, so that the mesh outlives any one of them. It holds a lease
//! at each, fetches each one's list, and its view is what the lists say together (`known_lists`).
//! Each registry has its own times, failures and doubts; but the agent's name and incarnation are
//! one, so what one registry refuses is a fact for all:
//!
//! - A registry that knows a newer incarnation makes the agent go beyond it, at every registry.
//! - A registry at which another process has taken the name makes the agent leave the name to that
//!   process everywhere. It asks for the name only there, until that registry grants it again, or
//!   does not answer.
//! - A registry that has lost the lease, while others hold it, gets the same incarnation once more:
//!   a restart of one registry of several makes no agent a new peer. If that registry remembers the
//!   end of the incarnation, it refuses, and the incarnation rises.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::config::{AgentConfig, Identity, MembershipConfig};
use super::effect::{Effect, RegistryReply, RegistryRequest};
use super::known_lists::KnownLists;
use super::known_registry::{KnownRegistry, RegistryCall};
use super::note::Note;
use super::trust::ListTrust;
use crate::load::LoadReport;
use crate::protocol::Name;
use crate::registry::{Registration, address, heartbeat_period};
use crate::roster::{Listing, Roster};
use crate::seed::SparseRng;
use crate::time::{Timestamp, nanos};

/// The first wait after the registry could not be reached. It doubles with each further failure, up
/// to the time between heartbeats.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// While another process holds an agent's name, the agent asks for it ever less often: the wait
/// doubles up to this many heartbeats.
const LONGEST_YIELD: u32 = 8;
/// The wait after the first list from a registry that has just started; it doubles with each of the
/// next lists. Agents that start together, or register anew with a restarted registry, find few
/// peers in its first list, and must not overload those few for a whole refresh period.
const FIRST_REFRESH: Duration = Duration::from_millis(500);
/// How many lists are fetched so quickly, before the refresh period applies.
const QUICK_LISTS: u32 = 4;
/// Jitter is counted in whole parts of a period, this many to one period, so that time never passes
/// through a float.
const JITTER_UNITS: u64 = 1_000_000;

/// The agent's side of its lease and of the list of peers: when it calls the registries, and what it
/// makes of the answers.
///
/// At most one registration (or deregistration) and one list are under way at a time with each
/// registry. Each is repeated after its period with jitter, sooner after a failure. A lost lease is
/// replaced by registering with a greater incarnation; a name that another process has taken is left
/// to it.
#[derive(Debug)]
pub(super) struct Membership {
    config: Arc<AgentConfig>,
    name: Name,
    url: Arc<str>,
    /// The current incarnation. It rises when the lease is lost.
    incarnation: u64,
    /// Whether any registry has granted this incarnation a lease.
    is_listed: bool,
    /// Whether any registry has ever granted this process a lease, under whatever incarnation.
    has_held: bool,
    /// The registry at which another process has taken the name.
    pub(super) taken_at: Option<usize>,
    /// The last TTL that was too short for the heartbeats as set. The agent reports it once.
    short_ttl: Option<Duration>,
    /// For the jitter.
    rng: SparseRng,
    /// Calls to the registries so far; the last one's number.
    calls: u64,
    stopping: bool,
    /// Whether the agent drains, which its registrations say.
    pub(super) draining: bool,
    /// What a registry has told it to do about that, until the agent takes it.
    pub(super) drain_order: Option<bool>,
    pub(super) registries: Vec<KnownRegistry>,
    lists: KnownLists,
}

impl Membership {
    pub(super) fn new(
        now: Timestamp,
        identity: Identity,
        config: Arc<AgentConfig>,
        rng: SparseRng,
    ) -> Self {
        let Identity { name, url, incarnation } = identity;
        let first = |_| KnownRegistry::new(now, config.membership.heartbeat, FIRST_RETRY);
        Self {
            name,
            url,
            incarnation,
            is_listed: false,
            has_held: false,
            taken_at: None,
            short_ttl: None,
            rng,
            calls: 0,
            stopping: false,
            draining: false,
            drain_order: None,
            registries: (0..config.registries.get()).map(first).collect(),
            lists: KnownLists::new(now, config.registries.get()),
            config,
        }
    }

    fn config(&self) -> &MembershipConfig {
        &self.config.membership
    }

    /// Time between heartbeats to a registry, before jitter.
    fn period(&self, at: usize) -> Duration {
        heartbeat_period(self.config().heartbeat, self.registries[at].ttl)
    }

    /// When it wants to be woken: for its next call, or when an open call counts as failed.
    pub(super) fn poll_timeout(&self) -> Timestamp {
        let timeouts = self.registries.iter().map(KnownRegistry::poll_timeout);
        timeouts.min().unwrap_or(Timestamp::MAX)
    }

    /// Gives up calls without an answer, and makes the calls that are due. `load` goes into the
    /// heartbeats. Gives back the peers for the view, if a registry is silent for so long that its
    /// list counts no more.
    pub(super) fn handle_timeout(
        &mut self,
        now: Timestamp,
        load: LoadReport,
        effects: &mut VecDeque<Effect>,
    ) -> Option<(Roster, ListTrust)> {
        let mut listing = None;
        for at in 0..self.registries.len() {
            let known = &mut self.registries[at];
            let has_lost_register =
                known.register_call.take_if(|pending| pending.until <= now).is_some();
            let has_lost_list = known.list_call.take_if(|pending| pending.until <= now).is_some();
            if has_lost_register {
                self.register_failed(now, at);
            }
            if has_lost_list {
                listing = self.list_failed(now, at).or(listing);
            }
            self.call_if_due(now, at, load, effects);
        }
        listing
    }

    /// Makes the calls to one registry that are due.
    fn call_if_due(
        &mut self,
        now: Timestamp,
        at: usize,
        load: LoadReport,
        effects: &mut VecDeque<Effect>,
    ) {
        let known = &self.registries[at];
        if known.register_call.is_none() && known.next_register <= now {
            let renew = known.registered;
            // Periods count from one heartbeat to the next, and not from the answer. An answer may
            // bring the next one forward.
            self.registries[at].next_register = now + self.jittered(self.period(at));
            let registration = Registration {
                name: self.name.clone(),
                url: self.url.clone(),
                incarnation: Some(self.incarnation),
                // A heartbeat says so: then a registry that has lost the lease refuses it.
                renew,
                load: Some(load),
                profile: self.config.profile.clone(),
                owner: None,
                draining: self.draining,
            };
            let request = RegistryRequest::Register(registration);
            self.registries[at].register_call = Some(self.send(now, at, request, effects));
        }
        let known = &self.registries[at];
        if known.list_call.is_none() && known.next_list <= now {
            self.registries[at].next_list = now + self.jittered(self.config().refresh);
            self.registries[at].list_call =
                Some(self.send(now, at, RegistryRequest::List, effects));
        }
    }

    /// Takes an answer of a registry. Gives back the peers for the view, if they may have changed,
    /// and whether they are to be believed. An answer to a call that was given up is ignored.
    pub(super) fn handle_reply(
        &mut self,
        now: Timestamp,
        call: u64,
        reply: RegistryReply,
        effects: &mut VecDeque<Effect>,
    ) -> Option<(Roster, ListTrust)> {
        let at = self.registries.iter().position(|known| known.awaits(call))?;
        let known = &mut self.registries[at];
        let registered = known.register_call.take_if(|pending| pending.call == call);
        if registered.is_none() {
            known.list_call.take_if(|pending| pending.call == call)?;
        }
        // A refusal is an answer as well: it shows that the registry can be reached.
        if !matches!(reply, RegistryReply::Failed) {
            known.trust.answered(now, known.ttl);
        }
        match (registered, reply) {
            (Some(asked), reply) => {
                self.register_answered(now, at, asked, reply, effects);
                None
            }
            (None, RegistryReply::Listed(listing)) => self.list_answered(now, at, listing),
            // Anything but a list makes no sense as an answer here.
            _ => self.list_failed(now, at),
        }
    }

    /// Gives the leases back, and makes no further calls.
    pub(super) fn stop(&mut self, now: Timestamp, effects: &mut VecDeque<Effect>) {
        self.stopping = true;
        for at in 0..self.registries.len() {
            let (name, incarnation) = (self.name.clone(), self.incarnation);
            let request = RegistryRequest::Deregister { name, incarnation };
            let goodbye = self.send(now, at, request, effects);
            // A registration that is under way is forgotten as well; its answer will be ignored.
            self.registries[at].stop(goodbye);
        }
    }

    /// Whether [`Self::stop`] is done: the registries have answered, or the wait for them is over.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopping && self.registries.iter().all(|known| known.register_call.is_none())
    }

    /// Takes the answer of registry number `at` to the registration `asked`.
    fn register_answered(
        &mut self,
        now: Timestamp,
        at: usize,
        asked: RegistryCall,
        reply: RegistryReply,
        effects: &mut VecDeque<Effect>,
    ) {
        if self.stopping {
            // This answers the deregistration: there is nothing left to do.
            return;
        }
        if self.taken_at.is_some_and(|taken_at| taken_at != at) {
            // The name was lost at another registry meanwhile, so a lease here is of no use.
            return;
        }
        if asked.incarnation != self.incarnation {
            // Another registry made the incarnation rise meanwhile: this answer is about the former
            // one.
            self.registries[at].next_register = now;
            return;
        }
        self.registries[at].is_unheard = false;
        match reply {
            RegistryReply::Registered { ttl, rival, drain } => {
                self.drain_order = drain.or(self.drain_order);
                self.granted(now, at, ttl, rival, effects);
            }
            // The registry has lost the lease, or ended it because it heard nothing for too long.
            RegistryReply::UnknownLease if self.registries[at].registered => {
                self.registries[at].registered = false;
                if !self.registries.iter().any(|known| known.registered) {
                    self.begin_new_life(now, at, self.incarnation, effects);
                }
                self.registries[at].next_register = now;
            }
            // Until that lease is over, no incarnation would do.
            RegistryReply::Held { holder } => self.yield_to(now, at, holder, effects),
            // Another process has taken the name from this one.
            RegistryReply::StaleIncarnation { holder: Some(holder), .. }
                if self.has_held && address(&holder) != address(&self.url) =>
            {
                self.yield_to(now, at, holder, effects);
            }
            // As a rule a former process of this name had a greater incarnation, for example
            // because this machine's clock is behind. Go beyond it.
            RegistryReply::StaleIncarnation { current, .. } => {
                self.begin_new_life(now, at, current, effects);
                self.retry_register(now, at);
            }
            _ => self.register_failed(now, at),
        }
    }

    /// A registry has granted or renewed the lease.
    fn granted(
        &mut self,
        now: Timestamp,
        at: usize,
        ttl: Duration,
        rival: Option<Arc<str>>,
        effects: &mut VecDeque<Effect>,
    ) {
        self.adapt_to(now, at, ttl, effects);
        let period = self.period(at);
        let known = &mut self.registries[at];
        known.retry_after = FIRST_RETRY.min(period);
        known.yield_for = period;
        known.registered = true;
        self.has_held = true;
        self.ask_everywhere(now, at);
        if !self.is_listed {
            self.is_listed = true;
            let incarnation = self.incarnation;
            effects.push_back(Effect::Note(Note::Registered { incarnation }));
        }
        if let Some(rival) = rival {
            let own = self.url.clone();
            effects.push_back(Effect::Note(Note::NameContested { own, rival }));
        }
    }

    /// Follows the TTL that a registry tells: heartbeats come at least three times as often.
    fn adapt_to(
        &mut self,
        now: Timestamp,
        at: usize,
        ttl: Duration,
        effects: &mut VecDeque<Effect>,
    ) {
        if ttl == self.registries[at].ttl {
            // The usual case.
            return;
        }
        self.registries[at].ttl = ttl;
        let (heartbeat, period) = (self.config().heartbeat, self.period(at));
        // The time of the next heartbeat was set for the former TTL, and may be too late for this
        // one.
        let next = now + self.jittered(period);
        self.registries[at].register_by(next);
        if period < heartbeat && self.short_ttl.replace(ttl) != Some(ttl) {
            effects.push_back(Effect::Note(Note::HeartbeatShortened { ttl, heartbeat, period }));
        }
    }

    /// Leaves the name to the process that has taken it from this one at registry number `at`, and
    /// asks for it there again later.
    ///
    /// A process that starts takes its name from whichever process holds it, because that one is
    /// dead as a rule. If it is alive and took the name back, the two would take it from each other
    /// for ever. Nor does this agent go on under the name at other registries, which the other
    /// process may not reach: they would list two processes under one name.
    fn yield_to(
        &mut self,
        now: Timestamp,
        at: usize,
        holder: Arc<str>,
        effects: &mut VecDeque<Effect>,
    ) {
        // The lease is lost once, however often the agent asks for it in vain.
        if self.is_listed {
            self.is_listed = false;
            let incarnation = self.incarnation;
            effects.push_back(Effect::Note(Note::LeaseLost { incarnation }));
        }
        let own = self.url.clone();
        effects.push_back(Effect::Note(Note::NameTaken { own, holder }));
        self.taken_at = Some(at);
        for known in &mut self.registries {
            known.registered = false;
            known.next_register = Timestamp::MAX;
        }
        let next = now + self.jittered(self.registries[at].yield_for);
        let longest = self.config().heartbeat.saturating_mul(LONGEST_YIELD);
        let known = &mut self.registries[at];
        known.next_register = next;
        known.yield_for = known.yield_for.saturating_mul(2).min(longest);
    }

    /// If the agent asked for its name only at registry number `at`, asks at the others again.
    fn ask_everywhere(&mut self, now: Timestamp, at: usize) {
        if self.taken_at.take().is_some() {
            self.register_elsewhere(now, at);
        }
    }

    /// The lease is lost: the next registrations ask for new ones, under an incarnation greater than
    /// the own one and than `newest`, which registry number `at` has told.
    fn begin_new_life(
        &mut self,
        now: Timestamp,
        at: usize,
        newest: u64,
        effects: &mut VecDeque<Effect>,
    ) {
        effects.push_back(Effect::Note(Note::LeaseLost { incarnation: self.incarnation }));
        self.incarnation = self.incarnation.max(newest).saturating_add(1);
        self.is_listed = false;
        self.taken_at = None;
        self.registries.iter_mut().for_each(|known| known.registered = false);
        self.register_elsewhere(now, at);
    }

    /// Registers at once with all registries but number `at`.
    fn register_elsewhere(&mut self, now: Timestamp, at: usize) {
        let others = self.registries.iter_mut().enumerate().filter(|(other, _)| *other != at);
        others.for_each(|(_, known)| known.register_by(now));
    }

    /// A registration was not answered, or with nonsense.
    fn register_failed(&mut self, now: Timestamp, at: usize) {
        self.registries[at].is_unheard = true;
        self.registries[at].trust.failed();
        if !self.stopping && self.taken_at.is_none_or(|taken_at| taken_at == at) {
            self.ask_everywhere(now, at);
            self.retry_register(now, at);
        }
    }

    /// Registers again after a pause that doubles each time, unless a heartbeat is due before.
    fn retry_register(&mut self, now: Timestamp, at: usize) {
        let period = self.period(at);
        let next = now + self.jittered(self.registries[at].retry_after);
        let known = &mut self.registries[at];
        known.register_by(next);
        known.retry_after = known.retry_after.saturating_mul(2).min(period);
    }

    /// A list came: sets the time of the next one, and gives back the peers for the view.
    fn list_answered(
        &mut self,
        now: Timestamp,
        at: usize,
        listing: Listing,
    ) -> Option<(Roster, ListTrust)> {
        let known = &mut self.registries[at];
        let list_trust = known.trust.judge(now, known.ttl, &listing, &self.name, known.registered);
        if list_trust != ListTrust::Believed {
            known.lists = 0;
        }
        // The registry can be reached, but it missed the last heartbeat or may have lost this
        // agent. Register at once: the sooner all agents do, the sooner its lists are complete
        // again. But not if another process has the name.
        let may_register = self.taken_at.is_none_or(|taken_at| taken_at == at);
        if (known.is_unheard || list_trust != ListTrust::Believed) && may_register {
            known.is_unheard = false;
            known.register_by(now);
        }
        // 0.5, 1, 2 and 4 s after each other.
        let lists = known.lists;
        known.lists = lists.saturating_add(1);
        if lists < QUICK_LISTS {
            let soon = now + self.jittered(FIRST_REFRESH * (1 << lists));
            self.registries[at].list_by(soon);
        }
        self.lists.came(now, at, listing.leases, list_trust, self.period(at))
    }

    /// A list was not answered: the agent keeps its view, and asks again soon. If the registry is
    /// silent for long, gives back what the lists of the others say.
    fn list_failed(&mut self, now: Timestamp, at: usize) -> Option<(Roster, ListTrust)> {
        self.registries[at].trust.failed();
        let soon = self.config().refresh.min(FIRST_RETRY);
        let soon = now + self.jittered(soon);
        self.registries[at].list_by(soon);
        // A peer that died while the registry listed it leaves the other lists a TTL later. With
        // this limit, it leaves the view by one heartbeat and one refresh after that.
        let limit = self.config().refresh.saturating_add(self.period(at));
        self.lists.failed(now, at, limit)
    }

    fn send(
        &mut self,
        now: Timestamp,
        at: usize,
        request: RegistryRequest,
        effects: &mut VecDeque<Effect>,
    ) -> RegistryCall {
        self.calls += 1;
        let call = self.calls;
        effects.push_back(Effect::Registry { call, registry: at, request });
        let until = now + self.config().timeout;
        RegistryCall { call, until, incarnation: self.incarnation }
    }

    /// `period` with jitter, so that agents that start together do not stay in step.
    fn jittered(&mut self, period: Duration) -> Duration {
        let period = nanos(period);
        let share = u128::from((self.config().jitter * JITTER_UNITS as f64).round() as u64);
        let part =
            |times: u128| (u128::from(period) * times * share / u128::from(JITTER_UNITS)) as u64;
        let (earliest, spread) = (period.saturating_sub(part(1)), part(2) as usize);
        let offset = if spread == 0 { 0 } else { self.rng.index(spread) as u64 };
        Duration::from_nanos(earliest.saturating_add(offset))
    }
}
