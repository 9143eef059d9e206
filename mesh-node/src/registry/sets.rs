//! The sets of agents that a registry knows: who belongs to which, and which autoscaler may change
//! it. Kept in memory only, because both say it again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{LeaseNote, LeaseNoteKind};

use super::driver::RegistryDriver;
use super::http::{body, invalid, json};
use crate::Observer;
use crate::http::{Request, Response, StatusCode};
use crate::scaling::{
    BoardSet, DecisionBody, ListedMember, MAX_SETS, MemberBody, PendingAgent, ScaleBody, ScaledBody,
};
use crate::wire::RefusedBody;

/// The right to change a set outlasts this many periods of its autoscaler without a request.
const PERIODS: u32 = 3;
/// A set whose autoscaler was silent for this long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// What is known of sets.
#[derive(Debug, Default)]
pub(super) struct SetDesk {
    members: Mutex<BTreeMap<Name, MemberBody>>,
    sets: Mutex<BTreeMap<Name, HeldSet>>,
}

/// A set that an autoscaler holds, or has held.
#[derive(Debug)]
struct HeldSet {
    holder: Arc<str>,
    heard: Timestamp,
    until: Timestamp,
    said: ScaleBody,
}

impl SetDesk {
    fn members(&self) -> MutexGuard<'_, BTreeMap<Name, MemberBody>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sets(&self) -> MutexGuard<'_, BTreeMap<Name, HeldSet>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An agent that has a lease has told this. One that belongs to no set any more is forgotten.
    pub(super) fn told(&self, name: &Name, member: Option<MemberBody>) {
        match member {
            Some(member) => drop(self.members().insert(name.clone(), member)),
            None => drop(self.members().remove(name)),
        }
    }

    /// An agent whose lease has ended is forgotten.
    pub(super) fn noted(&self, note: &LeaseNote) {
        if let LeaseNoteKind::Replaced
        | LeaseNoteKind::Deregistered
        | LeaseNoteKind::Expired { .. } = note.kind
        {
            self.members().remove(&note.name);
        }
    }

    /// An autoscaler asks for its set. `None`: there are too many sets.
    fn ask(
        &self,
        now: Timestamp,
        mut said: ScaleBody,
    ) -> Option<(bool, Arc<str>, Vec<PendingAgent>)> {
        let mut sets = self.sets();
        sets.retain(|_, held| now.since(held.heard) < FORGOTTEN_AFTER);
        let is_known = sets.contains_key(&said.set);
        if !is_known && sets.len() >= MAX_SETS {
            return None;
        }
        let period = Duration::from_millis(said.period_ms);
        let (holder, until) = (said.holder.clone(), now + period * PERIODS);
        if let Some(held) = sets.get(&said.set) {
            if held.holder != holder && now < held.until {
                return Some((false, held.holder.clone(), Vec::new()));
            }
            said.pending = said.pending.or_else(|| Some(held.aged(now)));
        }
        let pending = said.pending.clone().unwrap_or_default();
        let held = HeldSet { holder: holder.clone(), heard: now, until, said };
        sets.insert(held.said.set.clone(), held);
        Some((true, holder, pending))
    }
}

impl HeldSet {
    /// The pending agents, as old as they are now.
    fn aged(&self, now: Timestamp) -> Vec<PendingAgent> {
        let more = now.since(self.heard).as_millis() as u64;
        let aged = |agent: &PendingAgent| PendingAgent {
            age_ms: agent.age_ms.saturating_add(more),
            ..agent.clone()
        };
        self.said.pending.iter().flatten().map(aged).collect()
    }
}

impl<O: Observer> RegistryDriver<O> {
    /// Answers an autoscaler. Only `admin` gets here.
    pub(super) fn scale(&self, request: &Request) -> Result<Response, Box<Response>> {
        let said: ScaleBody = body(request)?;
        if let Some(mistake) = said.mistake() {
            return Err(invalid(&mistake));
        }
        let set = said.set.clone();
        let Some((granted, holder, pending)) = self.sets.ask(self.clock.now(), said) else {
            let refusal = RefusedBody::new(format!("there are {MAX_SETS} sets"), "registry_full");
            return Ok(json(StatusCode::SERVICE_UNAVAILABLE, &refusal));
        };
        let members = if granted { self.members_of(&set) } else { Vec::new() };
        let (ttl_ms, epoch) = (self.ttl.as_millis() as u64, self.epoch);
        let answer = ScaledBody { granted, holder, pending, ttl_ms, epoch, members };
        Ok(json(StatusCode::OK, &answer))
    }

    /// The agents of a set that have a lease.
    fn members_of(&self, set: &str) -> Vec<ListedMember> {
        let members = self.sets.members();
        let of_set: Vec<(Name, MemberBody)> = members
            .iter()
            .filter(|(_, member)| *member.set == *set)
            .map(|(name, member)| (name.clone(), member.clone()))
            .collect();
        drop(members);
        self.with(|registry, now| {
            let listed = |(name, member): (Name, MemberBody)| {
                let lease = registry.get(now, &name)?;
                let report_age_ms = now.since(lease.renewed_at).as_millis() as u64;
                let (draining, load) = (lease.draining, lease.load);
                Some(ListedMember { name, draining, report_age_ms, load, member })
            };
            of_set.into_iter().filter_map(listed).collect()
        })
    }

    /// All sets, for the board.
    pub(super) fn board_sets(&self) -> Vec<BoardSet> {
        let now = self.clock.now();
        let held: Vec<(Timestamp, ScaleBody)> = {
            let sets = self.sets.sets();
            sets.values().map(|held| (held.heard, held.said.clone())).collect()
        };
        let shown = |(heard, mut said): (Timestamp, ScaleBody)| {
            let silent_ms = now.since(heard).as_millis() as u64;
            let older = |decision: DecisionBody| DecisionBody {
                age_ms: decision.age_ms.saturating_add(silent_ms),
                ..decision
            };
            said.decisions = said.decisions.into_iter().map(older).collect();
            let members = self.members_of(&said.set);
            let draining = members.iter().filter(|member| member.draining).count() as u32;
            let ready = members.len() as u32 - draining;
            let pending = said.pending.take().unwrap_or_default();
            let starting = pending.iter().filter(|agent| !agent.leaving).count() as u32;
            BoardSet { ready, draining, starting, silent_ms, said }
        };
        held.into_iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(ms)
    }

    fn said(set: &str, holder: &str, pending: Option<Vec<PendingAgent>>) -> ScaleBody {
        ScaleBody {
            set: set.into(),
            holder: holder.into(),
            period_ms: 100,
            min: 1,
            max: 2,
            desired: 1,
            pending,
            problem: None,
            latest: None,
            decisions: Vec::new(),
        }
    }

    #[test]
    fn a_set_is_one_autoscalers_until_it_is_silent_for_three_periods() {
        let desk = SetDesk::default();
        let agent = |age_ms| PendingAgent { name: "s-1".into(), leaving: false, age_ms };
        let ask = |ms, holder: &str, pending| desk.ask(at(ms), said("s", holder, pending)).unwrap();
        assert_eq!(ask(0, "one", None), (true, "one".into(), Vec::new()));
        assert_eq!(ask(100, "one", Some(vec![agent(5)])), (true, "one".into(), vec![agent(5)]));
        assert_eq!(ask(399, "two", None), (false, "one".into(), Vec::new()));
        // The next one learns what the last one has begun, however often it asks.
        assert_eq!(ask(400, "two", None), (true, "two".into(), vec![agent(305)]));
        assert_eq!(ask(450, "two", None), (true, "two".into(), vec![agent(355)]));
        assert!(!ask(460, "one", Some(Vec::new())).0);
        assert_eq!(ask(470, "two", Some(Vec::new())), (true, "two".into(), Vec::new()));
    }

    #[test]
    fn sets_are_bounded_and_forgotten() {
        let desk = SetDesk::default();
        let hour = 3_600_000;
        for number in 0..MAX_SETS {
            assert!(desk.ask(at(1), said(&format!("s{number}"), "one", None)).is_some());
        }
        assert!(desk.ask(at(hour), said("more", "one", None)).is_none());
        assert!(desk.ask(at(hour), said("s0", "one", None)).is_some(), "it is known");
        assert!(desk.ask(at(hour + 1), said("more", "one", None)).is_some());
    }

    #[test]
    fn what_an_autoscaler_says_is_bounded() {
        let good = said("s", "one", None);
        assert_eq!(good.mistake(), None);
        let text = "x".repeat(crate::scaling::MAX_TEXT_BYTES + 1);
        let decision = DecisionBody { age_ms: 0, text: "x".into() };
        let agent = PendingAgent { name: "a b".into(), leaving: true, age_ms: 0 };
        for bad in [
            said(&"s".repeat(49), "one", None),
            said("s", "o n e", None),
            said("s", "one", Some(vec![agent])),
            ScaleBody { period_ms: 60_001, ..good.clone() },
            ScaleBody { problem: Some(text.into()), ..good.clone() },
            ScaleBody { decisions: vec![decision; 9], ..good },
        ] {
            assert!(bad.mistake().is_some(), "{bad:?}");
        }
    }
}
