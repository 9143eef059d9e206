//! Each peer in turn, in proportion to what it can serve.

use std::time::Duration;

use crate::hash::{HashTable, TableEntry};
use crate::load::{LoadReport, ServiceReport};
use crate::parameter::{Parameter, ParameterKind, ParameterValues, Word};
use crate::protocol::{Name, Task};
use crate::roster::PeerId;
use crate::routing::{
    Candidate, ChoiceBasis, Eligible, Interests, LoadSource, Picks, Policy, PolicyDescription,
    PolicyEvent, PolicyNeeds, Shortlist, Signal,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const INTERVAL_MS: Parameter = Parameter {
    name: "report_interval_ms",
    summary: "How often every peer is asked for a report, in milliseconds.",
    kind: ParameterKind::Number { default: 1_000.0, min: 100.0, max: 3_600_000.0 },
};
const UPDATE_MS: Parameter = Parameter {
    name: "update_period_ms",
    summary: "How often the weights are computed anew, in milliseconds.",
    kind: ParameterKind::Number { default: 1_000.0, min: 100.0, max: 3_600_000.0 },
};
const BLACKOUT_MS: Parameter = Parameter {
    name: "blackout_ms",
    summary: "A peer has no weight until it has reported for this many milliseconds.",
    kind: ParameterKind::Number { default: 10_000.0, min: 0.0, max: 3_600_000.0 },
};
const EXPIRY_MS: Parameter = Parameter {
    name: "expiry_ms",
    summary: "A peer loses its weight if it has not reported for this many milliseconds.",
    kind: ParameterKind::Number { default: 180_000.0, min: 100.0, max: 86_400_000.0 },
};
const PENALTY: Parameter = Parameter {
    name: "error_penalty",
    summary: "How much utilisation one failed job for each served one counts for.",
    kind: ParameterKind::Number { default: 1.0, min: 0.0, max: 1_000.0 },
};
const CPU: Word = Word { name: "cpu", summary: "The busy share of the CPU." };
const SLOTS_IN_USE: Word = Word {
    name: "slots",
    summary: "Jobs in flight per slot; the CPU of a peer that has no limit.",
};
const UTILISATION: Parameter = Parameter {
    name: "utilisation",
    summary: "What a peer's served jobs are divided by.",
    kind: ParameterKind::Word { default: CPU.name, words: &[CPU, SLOTS_IN_USE] },
};

/// [`WeightedRoundRobin`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "weighted_round_robin",
    summary: "The peers in turn, as often as they serve jobs per second and utilisation.",
    parameters: &[UTILISATION, INTERVAL_MS, UPDATE_MS, BLACKOUT_MS, EXPIRY_MS, PENALTY],
    needs: |values| {
        let utilisation = values.word(&UTILISATION) == CPU.name;
        PolicyNeeds { signal: Signal::None, utilisation }
    },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, rng| Box::new(WeightedRoundRobin::new(values, rng)),
};

/// Sends to each peer in proportion to its weight, `served / (utilisation + failed / served x
/// penalty)`: gRPC's client-side weighted round robin (gRPC proposal A58), which is also the
/// baseline of the Prequal paper. Peers report out of band: the agent asks each of them at an
/// interval.
///
/// A peer's weight counts once it has reported for the blackout, so that the figures of a process
/// that has just started don't rule, and until its reports expire. A peer without a weight gets the
/// mean of the others. With fewer than two weights, all peers are equal.
#[derive(Debug)]
struct WeightedRoundRobin {
    settings: WrrSettings,
    /// All peers in the order of their names.
    members: Vec<(Name, PeerId)>,
    /// What they reported.
    reports: HashTable<ReportedWeight>,
    schedule: StrideSchedule,
    /// When the weights are computed next.
    update_at: Timestamp,
    /// When the peers are asked next, and the position of the one that is asked next.
    ask_at: Timestamp,
    next_asked: usize,
}

#[derive(Debug)]
struct WrrSettings {
    by_slots: bool,
    interval: Duration,
    update_period: Duration,
    blackout: Duration,
    expiry: Duration,
    penalty: f64,
}

#[derive(Debug)]
struct ReportedWeight {
    peer: PeerId,
    weight: f64,
    /// When the last report came that made a weight; `None` before the first one.
    reported: Option<Timestamp>,
    /// Since when it reports without a gap as long as the expiry.
    reports_since: Timestamp,
}

impl TableEntry for ReportedWeight {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, weight: 0.0, reported: None, reports_since: Timestamp::ZERO }
    }
}

impl WeightedRoundRobin {
    fn new(values: &ParameterValues, rng: &mut Rng) -> Self {
        let time = |parameter| Duration::from_secs_f64(values.number(parameter) / 1e3);
        let settings = WrrSettings {
            by_slots: values.word(&UTILISATION) == SLOTS_IN_USE.name,
            interval: time(&INTERVAL_MS),
            update_period: time(&UPDATE_MS),
            blackout: time(&BLACKOUT_MS),
            expiry: time(&EXPIRY_MS),
            penalty: values.number(&PENALTY),
        };
        Self {
            settings,
            members: Vec::new(),
            reports: HashTable::default(),
            schedule: StrideSchedule::starting_at(rng.next_u64() >> 32),
            update_at: Timestamp::ZERO,
            ask_at: Timestamp::MAX,
            next_asked: usize::MAX,
        }
    }

    /// A peer has reported.
    fn reported(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        load: &LoadReport,
        service: &ServiceReport,
    ) {
        let Some(weight) = self.settings.weight(load, service) else { return };
        let expiry = self.settings.expiry;
        let entry = self.reports.get_or_new(peer);
        if entry.reported.is_none_or(|last| now.since(last) >= expiry) {
            entry.reports_since = now;
        }
        (entry.weight, entry.reported) = (weight, Some(now));
    }

    fn update(&mut self, now: Timestamp) {
        let WrrSettings { blackout, expiry, .. } = self.settings;
        let weight = |(_, peer): &(Name, PeerId)| {
            let entry = self.reports.get(*peer)?;
            let is_known = entry.reported.is_some_and(|last| now.since(last) < expiry)
                && now.since(entry.reports_since) >= blackout;
            is_known.then_some(entry.weight)
        };
        let weights: Vec<Option<f64>> = self.members.iter().map(weight).collect();
        self.schedule.set_weights(&weights);
        self.update_at = now + self.settings.update_period;
    }
}

impl WrrSettings {
    /// The weight by a report; `None` if it says nothing, as that of an idle peer.
    fn weight(&self, load: &LoadReport, service: &ServiceReport) -> Option<f64> {
        let in_use = service.slots.filter(|_| self.by_slots && load.in_flight > 0);
        let utilisation = in_use.map_or(load.cpu_percent / 100.0, |slots| {
            f64::from(load.in_flight) / f64::from(slots.max(1))
        });
        let served = service.served_per_s;
        if served <= 0.0 || utilisation <= 0.0 {
            return None;
        }
        Some(served / (utilisation + service.failed_per_s / served * self.penalty))
    }
}

impl Policy for WeightedRoundRobin {
    fn signal(&self) -> Signal {
        Signal::None
    }

    fn interests(&self) -> Interests {
        Interests {
            probes: true,
            service: true,
            members: true,
            own_probes: true,
            timers: true,
            ..Interests::NONE
        }
    }

    fn shortlist(
        &mut self,
        now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        if self.update_at <= now || self.schedule.weights.len() != self.members.len() {
            self.update(now);
        }
        // Peers that are not eligible lose their turn. If it is many turns until one is, a random
        // peer is as good.
        for _ in 0..4 * self.members.len() {
            let Some(at) = self.schedule.turn() else { break };
            let (name, peer) = &self.members[at];
            if let Some(number) = eligible.find(name, *peer) {
                return Shortlist::Some(Picks::one(number));
            }
        }
        Shortlist::Some(Picks::one(rng.index(eligible.len())))
    }

    fn choose(&mut self, _now: Timestamp, _candidates: &[Candidate], _rng: &mut Rng) -> usize {
        0
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        match event {
            PolicyEvent::Load {
                peer,
                load,
                service: Some(service),
                source: LoadSource::Probe { .. },
            } => self.reported(now, *peer, load, service),
            PolicyEvent::Joined { peer, name } => {
                let at = self.members.partition_point(|(before, _)| before <= *name);
                self.members.insert(at, (Name::clone(name), *peer));
                self.schedule.weights.clear();
                if self.ask_at == Timestamp::MAX {
                    self.ask_at = now;
                }
            }
            PolicyEvent::Left { peer, .. } => {
                self.members.retain(|(_, member)| member != peer);
                self.reports.remove(*peer);
                self.schedule.weights.clear();
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Timestamp {
        self.ask_at
    }

    fn handle_timeout(&mut self, now: Timestamp, _rng: &mut Rng) {
        self.ask_at = now + self.settings.interval;
        self.next_asked = 0;
    }

    fn poll_probe(
        &mut self,
        _now: Timestamp,
        eligible: &Eligible<'_>,
        _rng: &mut Rng,
    ) -> Option<usize> {
        while let Some((name, peer)) = self.members.get(self.next_asked) {
            self.next_asked += 1;
            let number = eligible.find(name, *peer);
            if number.is_some() {
                return number;
            }
        }
        None
    }

    fn basis(&self) -> ChoiceBasis {
        if self.schedule.is_blind { ChoiceBasis::Chance } else { ChoiceBasis::Rule }
    }
}

/// The greatest weight in a [`StrideSchedule`].
const FULL_WEIGHT: u64 = u16::MAX as u64;

/// gRPC's static stride scheduler (A58): in each round over all peers, a peer has its turn if its
/// weight, as a share of the greatest one, has come round. In any row of rounds, each peer is
/// chosen exactly in proportion to its weight, give or take one. A choice takes O(1) if the mean
/// weight is not much smaller than the greatest.
#[derive(Debug)]
struct StrideSchedule {
    /// Counts the turns: round x number of peers + position.
    sequence: u64,
    /// By position, of [`FULL_WEIGHT`].
    weights: Vec<u16>,
    /// Whether too few weights are known to prefer any peer.
    is_blind: bool,
}

impl StrideSchedule {
    const fn starting_at(sequence: u64) -> Self {
        Self { sequence, weights: Vec::new(), is_blind: true }
    }

    /// Peers without a weight get the mean; with fewer than two weights, all are equal.
    fn set_weights(&mut self, weights: &[Option<f64>]) {
        let (count, sum, greatest) =
            weights.iter().flatten().fold((0, 0.0, 0.0_f64), |(count, sum, greatest), weight| {
                (count + 1, sum + weight, greatest.max(*weight))
            });
        self.is_blind = count < 2;
        if self.is_blind {
            self.weights = vec![u16::MAX; weights.len()];
            return;
        }
        let mean = sum / f64::from(count);
        let scaled = |weight: &Option<f64>| {
            let share = weight.unwrap_or(mean) / greatest * FULL_WEIGHT as f64;
            // Nobody is shut out.
            share.round().max(1.0) as u16
        };
        self.weights = weights.iter().map(scaled).collect();
    }

    /// The position of the peer whose turn it is; `None` if there are none.
    fn turn(&mut self) -> Option<usize> {
        if self.weights.is_empty() {
            return None;
        }
        let peers = self.weights.len() as u64;
        loop {
            let (round, position) = (self.sequence / peers, (self.sequence % peers) as usize);
            self.sequence = self.sequence.wrapping_add(1);
            let weight = u64::from(self.weights[position]);
            // Spreads the turns of peers with equal weights over the rounds.
            let offset = FULL_WEIGHT / 2 * position as u64;
            let phase = (weight.wrapping_mul(round).wrapping_add(offset)) % FULL_WEIGHT;
            if phase >= FULL_WEIGHT - weight {
                return Some(position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::{ListedLease, Roster};
    use crate::routing::{PolicyFactory, PolicySettings};
    use crate::seed::Seed;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from(Duration::from_secs(secs))
    }

    fn built(text: &str) -> (Box<dyn Policy>, Roster) {
        let settings: PolicySettings = text.parse().expect("a policy");
        let mut policy = settings.build(&mut Seed::root(3).rng());
        let lease = |name: &str| ListedLease::new(name, "h:1", 1, None);
        let roster: Roster = ["a", "b", "c"].into_iter().map(lease).collect();
        for lease in roster.iter() {
            let joined = PolicyEvent::Joined { peer: lease.id(), name: &lease.name };
            policy.on_event(at(0), &joined);
        }
        (policy, roster)
    }

    fn report(policy: &mut dyn Policy, now: Timestamp, roster: &Roster, at: usize, served: f64) {
        let load = LoadReport { cpu_percent: 50.0, ..LoadReport::default() };
        let service = ServiceReport { served_per_s: served, ..ServiceReport::default() };
        let peer = roster.get(at).expect("a peer").id();
        let source = LoadSource::Probe { round_trip: Duration::ZERO };
        policy.on_event(now, &PolicyEvent::Load { peer, load, service: Some(&service), source });
    }

    fn shares(policy: &mut dyn Policy, now: Timestamp, roster: &Roster, jobs: u32) -> [u32; 3] {
        let mut shares = [0; 3];
        let mut rng = Seed::root(4).rng();
        for _ in 0..jobs {
            let eligible = Eligible::all(roster);
            let Shortlist::Some(picks) = policy.shortlist(now, &Task::new(""), &eligible, &mut rng)
            else {
                panic!("one peer")
            };
            shares[picks.as_slice()[0]] += 1;
        }
        shares
    }

    #[test]
    fn equal_until_the_blackout_is_over_and_then_exact_shares() {
        let (mut policy, roster) = built("weighted_round_robin");
        for second in 0..30 {
            for (peer, served) in [(0, 10.0), (1, 30.0), (2, 60.0)] {
                report(&mut *policy, at(second), &roster, peer, served);
            }
            let shares = shares(&mut *policy, at(second), &roster, 1_000);
            let expected = if second < 10 { [333, 333, 333] } else { [100, 300, 600] };
            for (share, expected) in shares.into_iter().zip(expected) {
                // Weights have 16 bits, and a row of choices may begin and end within a round.
                assert!(share.abs_diff(expected) <= 2, "{shares:?} in second {second}");
            }
        }
        // Nobody reports any more: the weights hold for three minutes.
        assert_eq!(shares(&mut *policy, at(200), &roster, 1_000)[2].abs_diff(600) / 3, 0);
        assert!(shares(&mut *policy, at(209), &roster, 999).iter().all(|jobs| *jobs == 333));
    }

    #[test]
    fn a_peer_without_a_weight_gets_the_mean_and_one_weight_is_none() {
        let (mut policy, roster) = built("weighted_round_robin blackout_ms=0");
        report(&mut *policy, at(1), &roster, 0, 10.0);
        assert_eq!(shares(&mut *policy, at(1), &roster, 300), [100; 3]);
        report(&mut *policy, at(1), &roster, 2, 30.0);
        let shares = shares(&mut *policy, at(3), &roster, 600);
        for (share, expected) in shares.into_iter().zip([100, 200, 300]) {
            assert!(share.abs_diff(expected) <= 2, "{shares:?}");
        }
    }

    #[test]
    fn failed_jobs_count_as_utilisation() {
        let settings = WrrSettings {
            by_slots: false,
            interval: Duration::ZERO,
            update_period: Duration::ZERO,
            blackout: Duration::ZERO,
            expiry: Duration::ZERO,
            penalty: 1.0,
        };
        let load = LoadReport { cpu_percent: 50.0, in_flight: 3, ..LoadReport::default() };
        let service = ServiceReport {
            served_per_s: 10.0,
            failed_per_s: 5.0,
            slots: Some(4),
            ..ServiceReport::default()
        };
        assert_eq!(settings.weight(&load, &service), Some(10.0), "10 / (0.5 + 0.5)");
        let by_slots = WrrSettings { by_slots: true, ..settings };
        assert_eq!(by_slots.weight(&load, &service), Some(8.0), "10 / (0.75 + 0.5)");
        let idle = ServiceReport::default();
        assert_eq!(by_slots.weight(&load, &idle), None);
    }
}
