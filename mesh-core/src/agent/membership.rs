//! Membership: the agent keeps its lease with heartbeats, and fetches the list of peers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::config::{AgentConfig, Identity, MembershipConfig};
use super::effect::{Effect, RegistryRequest};
use super::note::Note;
use super::trust::{ListTrust, RegistryTrust};
use crate::load::LoadReport;
use crate::protocol::Name;
use crate::registry::{HEARTBEATS_PER_TTL, Registration, address, heartbeat_period};
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

/// The registry's answer to a [`RegistryRequest`], as a driver hands it in.
#[derive(Clone, Debug)]
pub enum RegistryReply {
    /// The lease is granted or renewed.
    Registered {
        /// How long the lease lasts from now on unless it is renewed.
        ttl: Duration,
        /// The address of another process that has asked for the name, if there is one and the
        /// registry says so.
        rival: Option<Arc<str>>,
    },
    /// The heartbeat is refused: the registry does not hold this lease.
    UnknownLease,
    /// The registration is refused: the registry knows a newer incarnation of this name.
    StaleIncarnation {
        /// The newest incarnation that the registry knows.
        current: u64,
        /// The address of the live lease under this name; `None` if there is none, or the registry
        /// does not say.
        holder: Option<Arc<str>>,
    },
    /// The registration is refused: the name is held by somebody else, whatever the incarnation.
    Held {
        /// The address of the live lease under this name.
        holder: Arc<str>,
    },
    /// The list of live leases.
    Listed(Listing),
    /// The lease has ended, as the agent asked.
    Deregistered,
    /// No answer came, or one that makes no sense.
    Failed,
}

/// The agent's side of its lease and of the list of peers: when it calls the registry, and what it
/// makes of the answers.
///
/// At most one registration (or deregistration) and one list are under way at a time. Each is
/// repeated after its period with jitter, sooner after a failure. A lost lease is replaced by
/// registering with a greater incarnation; a name that another process has taken is left to it.
#[derive(Debug)]
pub(super) struct Membership {
    config: Arc<AgentConfig>,
    name: Name,
    url: Arc<str>,
    /// The current incarnation. It rises when a lease is lost.
    incarnation: u64,
    /// Whether the registry has granted this incarnation a lease.
    registered: bool,
    /// Whether the last heartbeat was not answered.
    is_unheard: bool,
    /// Whether the registry has ever granted this process a lease, under whatever incarnation.
    has_held: bool,
    /// How long a lease lasts, as the registry said last; until then three heartbeats.
    ttl: Duration,
    /// The last TTL that was too short for the heartbeats as set. The agent reports it once.
    short_ttl: Option<Duration>,
    /// The wait after the next failed registration.
    retry_after: Duration,
    /// The wait before the next attempt to get the name back from another process.
    yield_for: Duration,
    trust: RegistryTrust,
    /// How many lists have come since the start, or since one was in doubt.
    lists: u32,
    /// For the jitter.
    rng: SparseRng,
    next_register: Timestamp,
    next_list: Timestamp,
    /// The registration or deregistration that has no answer yet.
    register_call: Option<RegistryCall>,
    /// The list that has no answer yet.
    list_call: Option<RegistryCall>,
    /// Calls to the registry so far; the last one's number.
    calls: u64,
    stopping: bool,
}

/// A call to the registry that has no answer yet.
#[derive(Clone, Copy, Debug)]
struct RegistryCall {
    /// Its number, as in [`Effect::Registry`].
    call: u64,
    /// It counts as failed then.
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

    /// When it wants to be woken: for its next call, or when an open call counts as failed.
    pub(super) fn poll_timeout(&self) -> Timestamp {
        let due =
            |next: Timestamp, pending: Option<RegistryCall>| pending.map_or(next, |p| p.until);
        due(self.next_register, self.register_call).min(due(self.next_list, self.list_call))
    }

    /// Gives up calls without an answer, and makes the calls that are due. `load` goes into the
    /// heartbeat.
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
            // Periods count from one heartbeat to the next, and not from the answer. An answer may
            // bring the next one forward.
            self.next_register = now + self.jittered(self.period());
            let registration = Registration {
                name: self.name.clone(),
                url: self.url.clone(),
                incarnation: Some(self.incarnation),
                // A heartbeat says so: then a registry that has lost the lease refuses it.
                renew: self.registered,
                load: Some(load),
                profile: self.config.profile.clone(),
            };
            let request = RegistryRequest::Register(registration);
            self.register_call = Some(self.send(now, request, effects));
        }
        if self.list_call.is_none() && self.next_list <= now {
            self.next_list = now + self.jittered(self.config().refresh);
            self.list_call = Some(self.send(now, RegistryRequest::List, effects));
        }
    }

    /// Takes an answer of the registry. If it is a list of peers, hands it back for the view, and
    /// whether it is to be believed. An answer to a call that was given up is ignored.
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
        // A refusal is an answer as well: it shows that the registry can be reached.
        if !matches!(reply, RegistryReply::Failed) {
            self.trust.answered(now, self.ttl);
        }
        match reply {
            _ if is_register => self.register_answered(now, reply, effects),
            RegistryReply::Listed(listing) => {
                let list_trust = self.list_answered(now, &listing);
                return Some((listing.leases, list_trust));
            }
            // Anything but a list makes no sense as an answer here.
            _ => self.list_failed(now),
        }
        None
    }

    /// Gives the lease back, and makes no further calls.
    pub(super) fn stop(&mut self, now: Timestamp, effects: &mut VecDeque<Effect>) {
        self.stopping = true;
        self.next_register = Timestamp::MAX;
        self.next_list = Timestamp::MAX;
        // A registration that is under way is forgotten as well; its answer will be ignored.
        self.list_call = None;
        let request =
            RegistryRequest::Deregister { name: self.name.clone(), incarnation: self.incarnation };
        self.register_call = Some(self.send(now, request, effects));
    }

    /// Whether [`Self::stop`] is done: the registry has answered, or the wait for it is over.
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
            // This answers the deregistration: there is nothing left to do.
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
            // The registry has lost the lease, or ended it because it heard nothing for too long.
            RegistryReply::UnknownLease if self.registered => {
                self.begin_new_life(self.incarnation, effects);
                self.next_register = now;
            }
            // Until that lease is over, no incarnation would do.
            RegistryReply::Held { holder } => self.yield_to(now, holder, effects),
            // Another process has taken the name from this one.
            RegistryReply::StaleIncarnation { holder: Some(holder), .. }
                if self.has_held && address(&holder) != address(&self.url) =>
            {
                self.yield_to(now, holder, effects);
            }
            // As a rule a former process of this name had a greater incarnation, for example
            // because this machine's clock is behind. Go beyond it.
            RegistryReply::StaleIncarnation { current, .. } => {
                self.begin_new_life(current, effects);
                self.retry_register(now);
            }
            _ => self.register_failed(now),
        }
    }

    /// Follows the TTL that the registry tells: heartbeats come at least three times as often.
    fn adapt_to(&mut self, now: Timestamp, ttl: Duration, effects: &mut VecDeque<Effect>) {
        if ttl == self.ttl {
            // The usual case.
            return;
        }
        self.ttl = ttl;
        let (heartbeat, period) = (self.config().heartbeat, self.period());
        // The time of the next heartbeat was set for the former TTL, and may be too late for this
        // one.
        self.next_register = self.next_register.min(now + self.jittered(period));
        if period < heartbeat && self.short_ttl.replace(ttl) != Some(ttl) {
            effects.push_back(Effect::Note(Note::HeartbeatShortened { ttl, heartbeat, period }));
        }
    }

    /// Leaves the name to the process that has taken it from this one, and asks for it again later.
    ///
    /// A process that starts takes its name from whichever process holds it, because that one is
    /// dead as a rule. If it is alive and took the name back, the two would take it from each other
    /// for ever.
    fn yield_to(&mut self, now: Timestamp, holder: Arc<str>, effects: &mut VecDeque<Effect>) {
        // The lease is lost once, however often the agent asks for it in vain.
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

    /// The lease is lost: the next registration asks for a new one, under an incarnation greater
    /// than the own one and than `newest`.
    fn begin_new_life(&mut self, newest: u64, effects: &mut VecDeque<Effect>) {
        effects.push_back(Effect::Note(Note::LeaseLost { incarnation: self.incarnation }));
        self.incarnation = self.incarnation.max(newest).saturating_add(1);
        self.registered = false;
    }

    /// A registration was not answered, or with nonsense.
    fn register_failed(&mut self, now: Timestamp) {
        self.is_unheard = true;
        self.trust.failed();
        if !self.stopping {
            self.retry_register(now);
        }
    }

    /// Registers again after a pause that doubles each time, unless a heartbeat is due before.
    fn retry_register(&mut self, now: Timestamp) {
        self.next_register = self.next_register.min(now + self.jittered(self.retry_after));
        self.retry_after = self.retry_after.saturating_mul(2).min(self.period());
    }

    /// A list came: says whether it is to be believed, and sets the time of the next one.
    fn list_answered(&mut self, now: Timestamp, listing: &Listing) -> ListTrust {
        let list_trust = self.trust.judge(now, self.ttl, listing, &self.name, self.registered);
        if list_trust != ListTrust::Believed {
            self.lists = 0;
        }
        // The registry can be reached, but it missed the last heartbeat or may have lost this
        // agent. Register at once: the sooner all agents do, the sooner its lists are complete
        // again.
        if self.is_unheard || list_trust != ListTrust::Believed {
            self.is_unheard = false;
            self.next_register = self.next_register.min(now);
        }
        // 0.5, 1, 2 and 4 s after each other.
        if self.lists < QUICK_LISTS {
            let soon = FIRST_REFRESH * (1 << self.lists);
            self.next_list = self.next_list.min(now + self.jittered(soon));
        }
        self.lists = self.lists.saturating_add(1);
        list_trust
    }

    /// A list was not answered: the agent keeps its view, and asks again soon.
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
