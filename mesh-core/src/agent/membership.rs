//! Keeping a lease and a fresh list of peers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::config::{AgentConfig, Identity, MembershipConfig};
use super::effect::{Effect, RegistryRequest};
use super::note::Note;
use super::trust::{RegistryTrust, ListTrust};
use crate::load::LoadReport;
use crate::protocol::Name;
use crate::registry::{HEARTBEATS_PER_TTL, Registration, address, heartbeat_period};
use crate::roster::{Listing, Roster};
use crate::seed::SparseRng;
use crate::time::{Timestamp, nanos};

/// First wait after the registry could not be reached; it doubles up to the heartbeat's period.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// An agent whose name another process holds waits for up to so many heartbeats before it asks again.
const LONGEST_YIELD: u32 = 8;
/// Wait after the first list of a registry's life; it doubles with each of the next ones. Agents
/// that start together, or register anew with a registry that restarted, find few peers in its
/// first list, and must not overload those few for a whole refresh period.
const FIRST_REFRESH: Duration = Duration::from_millis(500);
/// So many lists come sooner than the refresh period says.
const QUICK_LISTS: u32 = 4;
/// Jitter is a whole number of these parts of a period.
const JITTER_UNITS: u64 = 1_000_000;

/// The registry's answer, as a driver hands it in.
#[derive(Clone, Debug)]
pub enum RegistryReply {
    /// The lease is granted or renewed.
    Registered {
        /// It lasts this long unless renewed.
        ttl: Duration,
        /// The address of another process that has asked for the name, if the registry says so.
        rival: Option<Arc<str>>,
    },
    /// A heartbeat for a lease that the registry does not hold.
    UnknownLease,
    /// Another life of this name is newer.
    StaleIncarnation {
        /// The newest that the registry knows.
        current: u64,
        /// The address of the lease under this name; `None` if nothing is live, or the registry
        /// does not say.
        holder: Option<Arc<str>>,
    },
    /// The list of live leases.
    Listed(Listing),
    /// The lease is over.
    Deregistered,
    /// No answer, or one that makes no sense.
    Failed,
}

/// The agent's side of its lease.
#[derive(Debug)]
pub(super) struct Membership {
    config: Arc<AgentConfig>,
    name: Name,
    url: Arc<str>,
    incarnation: u64,
    /// The registry has granted this incarnation a lease.
    registered: bool,
    /// The last heartbeat was not answered.
    is_unheard: bool,
    /// The registry has granted some life of this process a lease.
    has_held: bool,
    ttl: Duration,
    /// The last TTL that was too short for the heartbeats that were set.
    short_ttl: Option<Duration>,
    retry_after: Duration,
    /// Wait before the name is asked for again when another process holds it.
    yield_for: Duration,
    trust: RegistryTrust,
    /// Lists since one was in doubt.
    lists: u32,
    rng: SparseRng,
    next_register: Timestamp,
    next_list: Timestamp,
    register_call: Option<RegistryCall>,
    list_call: Option<RegistryCall>,
    calls: u64,
    stopping: bool,
}

#[derive(Clone, Copy, Debug)]
struct RegistryCall {
    call: u64,
    until: Timestamp,
}

impl Membership {
    pub(super) fn new(
        now: Timestamp,
        identity: Identity,
        config: Arc<AgentConfig>,
        rng: SparseRng,
    ) -> Self {
        let Identity { name, url, incarnation } = identity;
        let MembershipConfig { heartbeat, .. } = config.membership;
        Self {
            config,
            name,
            url,
            incarnation,
            registered: false,
            is_unheard: false,
            has_held: false,
            ttl: heartbeat.saturating_mul(HEARTBEATS_PER_TTL),
            short_ttl: None,
            retry_after: FIRST_RETRY.min(heartbeat),
            yield_for: heartbeat,
            trust: RegistryTrust::new(now),
            lists: 0,
            rng,
            next_register: now,
            next_list: now,
            register_call: None,
            list_call: None,
            calls: 0,
            stopping: false,
        }
    }

    fn config(&self) -> &MembershipConfig {
        &self.config.membership
    }

    /// Time between heartbeats, before jitter.
    fn period(&self) -> Duration {
        heartbeat_period(self.config().heartbeat, self.ttl)
    }

    pub(super) fn poll_timeout(&self) -> Timestamp {
        let due = |next: Timestamp, pending: Option<RegistryCall>| pending.map_or(next, |p| p.until);
        due(self.next_register, self.register_call).min(due(self.next_list, self.list_call))
    }

    pub(super) fn handle_timeout(
        &mut self,
        now: Timestamp,
        load: LoadReport,
        effects: &mut VecDeque<Effect>,
    ) {
        if self.register_call.take_if(|pending| pending.until <= now).is_some() {
            self.register_failed(now);
        }
        if self.list_call.take_if(|pending| pending.until <= now).is_some() {
            self.list_failed(now);
        }
        if self.register_call.is_none() && self.next_register <= now {
            self.next_register = now + self.jittered(self.period());
            let registration = Registration {
                name: self.name.clone(),
                url: self.url.clone(),
                incarnation: Some(self.incarnation),
                renew: self.registered,
                load: Some(load),
            };
            let request = RegistryRequest::Register(registration);
            self.register_call = Some(self.send(now, request, effects));
        }
        if self.list_call.is_none() && self.next_list <= now {
            self.next_list = now + self.jittered(self.config().refresh);
            self.list_call = Some(self.send(now, RegistryRequest::List, effects));
        }
    }

    /// Takes an answer; a list of peers is handed back for the view, with what it is worth.
    pub(super) fn handle_reply(
        &mut self,
        now: Timestamp,
        call: u64,
        reply: RegistryReply,
        effects: &mut VecDeque<Effect>,
    ) -> Option<(Roster, ListTrust)> {
        let is_register = self.register_call.take_if(|pending| pending.call == call).is_some();
        if !is_register {
            self.list_call.take_if(|pending| pending.call == call)?;
        }
        if !matches!(reply, RegistryReply::Failed) {
            self.trust.answered(now, self.ttl);
        }
        match reply {
            _ if is_register => self.register_answered(now, reply, effects),
            RegistryReply::Listed(listing) => {
                let list_trust = self.list_answered(now, &listing);
                return Some((listing.leases, list_trust));
            }
            _ => self.list_failed(now),
        }
        None
    }

    /// Ends the lease; no heartbeat follows.
    pub(super) fn stop(&mut self, now: Timestamp, effects: &mut VecDeque<Effect>) {
        self.stopping = true;
        self.next_register = Timestamp::MAX;
        self.next_list = Timestamp::MAX;
        self.list_call = None;
        let request =
            RegistryRequest::Deregister { name: self.name.clone(), incarnation: self.incarnation };
        self.register_call = Some(self.send(now, request, effects));
    }

    /// After [`Self::stop`]: the registry has answered, or the wait for it is over.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopping && self.register_call.is_none()
    }

    fn register_answered(
        &mut self,
        now: Timestamp,
        reply: RegistryReply,
        effects: &mut VecDeque<Effect>,
    ) {
        if self.stopping {
            return;
        }
        self.is_unheard = false;
        match reply {
            RegistryReply::Registered { ttl, rival } => {
                self.adapt_to(now, ttl, effects);
                self.retry_after = FIRST_RETRY.min(self.period());
                self.yield_for = self.period();
                self.has_held = true;
                if !self.registered {
                    self.registered = true;
                    let incarnation = self.incarnation;
                    effects.push_back(Effect::Note(Note::Registered { incarnation }));
                }
                if let Some(rival) = rival {
                    let own = self.url.clone();
                    effects.push_back(Effect::Note(Note::NameContested { own, rival }));
                }
            }
            RegistryReply::UnknownLease if self.registered => {
                self.begin_new_life(self.incarnation, effects);
                self.next_register = now;
            }
            RegistryReply::StaleIncarnation { holder: Some(holder), .. }
                if self.has_held && address(&holder) != address(&self.url) =>
            {
                self.yield_to(now, holder, effects);
            }
            RegistryReply::StaleIncarnation { current, .. } => {
                self.begin_new_life(current, effects);
                self.retry_register(now);
            }
            _ => self.register_failed(now),
        }
    }

    /// The registry has said how long leases last.
    fn adapt_to(&mut self, now: Timestamp, ttl: Duration, effects: &mut VecDeque<Effect>) {
        if ttl == self.ttl {
            return;
        }
        self.ttl = ttl;
        let (heartbeat, period) = (self.config().heartbeat, self.period());
        // The next heartbeat was set by the TTL before.
        self.next_register = self.next_register.min(now + self.jittered(period));
        if period < heartbeat && self.short_ttl.replace(ttl) != Some(ttl) {
            effects.push_back(Effect::Note(Note::HeartbeatShortened { ttl, heartbeat, period }));
        }
    }

    /// The name is held by a process that took it from this one. A process that starts takes its
    /// name from whoever holds it, for that one is dead as a rule; but if it is not, and took the
    /// name back, the two would go on like that for ever.
    fn yield_to(&mut self, now: Timestamp, holder: Arc<str>, effects: &mut VecDeque<Effect>) {
        if self.registered {
            self.registered = false;
            let incarnation = self.incarnation;
            effects.push_back(Effect::Note(Note::LeaseLost { incarnation }));
        }
        let own = self.url.clone();
        effects.push_back(Effect::Note(Note::NameTaken { own, holder }));
        self.next_register = now + self.jittered(self.yield_for);
        let longest = self.config().heartbeat.saturating_mul(LONGEST_YIELD);
        self.yield_for = self.yield_for.saturating_mul(2).min(longest);
    }

    fn begin_new_life(&mut self, newest: u64, effects: &mut VecDeque<Effect>) {
        effects.push_back(Effect::Note(Note::LeaseLost { incarnation: self.incarnation }));
        self.incarnation = self.incarnation.max(newest).saturating_add(1);
        self.registered = false;
    }

    fn register_failed(&mut self, now: Timestamp) {
        self.is_unheard = true;
        self.trust.failed();
        if !self.stopping {
            self.retry_register(now);
        }
    }

    fn retry_register(&mut self, now: Timestamp) {
        self.next_register = self.next_register.min(now + self.jittered(self.retry_after));
        self.retry_after = self.retry_after.saturating_mul(2).min(self.period());
    }

    fn list_answered(&mut self, now: Timestamp, listing: &Listing) -> ListTrust {
        let list_trust = self.trust.judge(now, self.ttl, listing, &self.name, self.registered);
        if list_trust != ListTrust::Believed {
            self.lists = 0;
        }
        // The registry answers, and did not hear the last heartbeat or may have lost this agent: the
        // sooner it is told, the sooner are lists whole again.
        if self.is_unheard || list_trust != ListTrust::Believed {
            self.is_unheard = false;
            self.next_register = self.next_register.min(now);
        }
        if self.lists < QUICK_LISTS {
            let soon = FIRST_REFRESH * (1 << self.lists);
            self.next_list = self.next_list.min(now + self.jittered(soon));
        }
        self.lists = self.lists.saturating_add(1);
        list_trust
    }

    fn list_failed(&mut self, now: Timestamp) {
        self.trust.failed();
        let soon = self.config().refresh.min(FIRST_RETRY);
        self.next_list = self.next_list.min(now + self.jittered(soon));
    }

    fn send(
        &mut self,
        now: Timestamp,
        request: RegistryRequest,
        effects: &mut VecDeque<Effect>,
    ) -> RegistryCall {
        self.calls += 1;
        let call = self.calls;
        effects.push_back(Effect::Registry { call, request });
        RegistryCall { call, until: now + self.config().timeout }
    }

    /// `period` with jitter, so that agents started together do not stay in step.
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
