//! Busy peers: a peer that is full says after how long it may have room again, and until then it gets
//! no job as long as others are left.
//!
//! This is no failure: it is not counted, no time doubles, and the peer needs no trial afterwards. So
//! it is no part of the memory of peers that failed, and a busy peer is chosen before a peer that is
//! passed over because it failed. The time that it asks for is honoured up to `max_penalty`.

use std::sync::Arc;
use std::time::Duration;

use super::{Choosing, Decorator, EndedCall, HealthChange, HealthConfig, Symptom};
use crate::roster::{IsListed, ListedLease};
use crate::time::Timestamp;

/// The peers that are full and have said for how long. As a rule there are none.
#[derive(Clone, Debug)]
pub(crate) struct BusyPeers {
    longest: Duration,
    busy: Vec<(Arc<ListedLease>, Timestamp)>,
}

impl Decorator for BusyPeers {
    fn before_choice(&mut self, now: Timestamp, _: &mut Choosing<'_>) {
        self.busy.retain(|(_, until)| *until > now);
    }

    fn held_back<'a>(&'a self, _: Timestamp, hold_back: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.busy.iter().for_each(|(lease, _)| hold_back(lease));
    }

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        let known = self.busy.iter().position(|(lease, _)| lease.id() == end.lease.id());
        match (end.symptom, known) {
            (Symptom::Full(room_after), known) => {
                // The last answer counts: it is of the peer as it is now.
                known.into_iter().for_each(|at| drop(self.busy.remove(at)));
                self.busy.push((end.lease.clone(), now + room_after.min(self.longest)));
            }
            // It has taken a job and done it meanwhile.
            (Symptom::Well, Some(at)) => drop(self.busy.remove(at)),
            _ => {}
        }
        None
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.busy.retain(|(lease, _)| is_listed(lease));
    }
}

impl BusyPeers {
    pub(super) fn new(health: &HealthConfig) -> Self {
        Self { longest: health.max_penalty, busy: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::JobTime;

    #[test]
    fn a_full_peer_is_held_back_until_it_may_have_room() {
        let at = |secs| Timestamp::ZERO + Duration::from_secs(secs);
        let mut busy = BusyPeers::new(&HealthConfig::default());
        let [a, b] = ["a", "b"].map(|name| Arc::new(ListedLease::new(name, "h:1", 1, None)));
        let end = |busy: &mut BusyPeers, lease: &Arc<ListedLease>, symptom| {
            let (skill, able, time) = (None, 2, JobTime::Unknown);
            busy.on_end(at(0), &EndedCall { lease, symptom, skill, able, time });
        };
        let held_back = |busy: &mut BusyPeers, now| {
            busy.before_choice(at(now), &mut Choosing { peers: 2, changed: &mut |_, _| {} });
            let mut names = String::new();
            busy.held_back(at(now), &mut |lease| names.push_str(&lease.name));
            names
        };
        end(&mut busy, &a, Symptom::Full(Duration::from_secs(9)));
        end(&mut busy, &a, Symptom::Full(Duration::from_secs(2)));
        end(&mut busy, &b, Symptom::Full(Duration::from_secs(1_000)));
        assert_eq!(held_back(&mut busy, 1), "ab");
        assert_eq!(held_back(&mut busy, 2), "b", "the last answer counts");
        assert_eq!(held_back(&mut busy, 60), "", "at most as long as the longest penalty");
        end(&mut busy, &b, Symptom::Full(Duration::from_secs(9)));
        end(&mut busy, &b, Symptom::None);
        assert_eq!(held_back(&mut busy, 1), "b");
        end(&mut busy, &b, Symptom::Well);
        assert_eq!(held_back(&mut busy, 1), "", "it has room");
    }
}
