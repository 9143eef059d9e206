//! What an agent writes down for its telemetry.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::message::{Edge, Telemetry, TelemetryEntry, TelemetryEvent};
use super::window::{JobWindow, covered, rounded_millis};
use crate::load::LoadReport;
use crate::protocol::Name;
use crate::registry::is_name;
use crate::time::Timestamp;
use crate::trace::TraceId;

/// The most peers that a book remembers. Of more, it forgets the one that it has dealt with least
/// recently.
pub const MAX_PEERS: usize = 256;
/// The most entries that a book remembers: the newest.
pub const MAX_RECENT: usize = 16;
/// The most edges that are told of.
const MOST_TOLD: usize = 48;
/// For how long the shortest round trip counts: after it, a longer one takes its place.
const FRESH: Duration = Duration::from_secs(5);
/// A round trip to a peer that gets jobs is measured again after this time, before those to others.
const DUE: Duration = Duration::from_secs(30);
/// Entries and round trips that are older are forgotten. It is far less than the greatest age that
/// readers take, because they refuse telemetry as a whole.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How the job ended that an agent sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// With a result.
    Done,
    /// Without one, for this reason: a word such as `busy`.
    Failed(&'static str),
}

/// Counts what an agent tells in its [`Telemetry`].
///
/// ```
/// use std::time::Duration;
/// use mesh_core::Timestamp;
/// use mesh_core::telemetry::{AttemptEnd, TelemetryBook};
///
/// let mut book = TelemetryBook::new(Timestamp::ZERO);
/// let later = Timestamp::ZERO + Duration::from_secs(1);
/// book.attempt_ended(later, &"bob".into(), (AttemptEnd::Done, None), Duration::from_millis(300));
/// book.round_trip(later, &"bob".into(), Duration::from_millis(2));
/// let telemetry = book.report(later);
/// assert_eq!((&*telemetry.edges[0].to, telemetry.edges[0].rtt_ms), ("bob", Some(2.0)));
/// ```
#[derive(Clone, Debug)]
pub struct TelemetryBook {
    started: Timestamp,
    policy: Option<Name>,
    load: Option<LoadReport>,
    served: JobWindow,
    edges: BTreeMap<Name, KnownEdge>,
    recent: VecDeque<(Timestamp, TelemetryEntry)>,
    /// How many entries there were.
    entries: u64,
    /// The peer whose round trip was measured last.
    measured: Option<Name>,
}

#[derive(Clone, Debug)]
struct KnownEdge {
    touched: Timestamp,
    jobs: JobWindow,
    /// The shortest of the newest round trips, and when the first of them was measured.
    rtt: Option<(Duration, Timestamp)>,
    /// When the peer was last named to be measured. It may have had no answer.
    tried: Option<Timestamp>,
}

impl TelemetryBook {
    /// The book of an agent that starts now.
    pub fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            policy: None,
            load: None,
            served: JobWindow::default(),
            edges: BTreeMap::new(),
            recent: VecDeque::new(),
            entries: 0,
            measured: None,
        }
    }

    /// The same book, of an agent with this routing policy. A policy whose name no agent could have
    /// is not told.
    #[must_use]
    pub fn with_policy(self, policy: &str) -> Self {
        Self { policy: is_name(policy).then(|| policy.into()), ..self }
    }

    /// The agent has sampled its load.
    pub fn loaded(&mut self, load: LoadReport) {
        self.load = Some(load);
    }

    /// A job that the agent was asked to do itself has ended after this time.
    pub fn served(&mut self, now: Timestamp, is_done: bool, took: Duration) {
        self.served.ended(now, is_done, took);
    }

    /// A job of this trace that the agent sent to a peer has ended after this time.
    pub fn attempt_ended(
        &mut self,
        now: Timestamp,
        peer: &Name,
        (end, trace): (AttemptEnd, Option<TraceId>),
        took: Duration,
    ) {
        self.edge(now, peer).jobs.ended(now, end == AttemptEnd::Done, took);
        let (event, reason) = match end {
            AttemptEnd::Done => (TelemetryEvent::Done, None),
            AttemptEnd::Failed(reason) => (TelemetryEvent::Failed, Some(reason)),
        };
        self.note(now, event, Some(peer), reason, Some(took));
        if let (Some(trace), Some((_, entry))) = (trace, self.recent.back_mut()) {
            entry.trace = Some(trace.to_string().into());
        }
    }

    /// A delegation has failed for this reason, without a peer that got the job.
    pub fn undelivered(&mut self, now: Timestamp, reason: &'static str, took: Duration) {
        self.note(now, TelemetryEvent::Failed, None, Some(reason), Some(took));
    }

    /// A round trip to a peer was measured, in which the peer did no job.
    pub fn round_trip(&mut self, now: Timestamp, peer: &Name, rtt: Duration) {
        let edge = self.edge(now, peer);
        edge.rtt = match edge.rtt {
            Some((shortest, since)) if now.since(since) < FRESH => Some((shortest.min(rtt), since)),
            _ => Some((rtt, now)),
        };
    }

    /// The agent passes a peer over for a while, for this reason.
    pub fn ejected(&mut self, now: Timestamp, peer: &Name, reason: &'static str) {
        self.note(now, TelemetryEvent::Ejected, Some(peer), Some(reason), None);
    }

    /// A peer that was passed over works again.
    pub fn recovered(&mut self, now: Timestamp, peer: &Name) {
        self.note(now, TelemetryEvent::Recovered, Some(peer), None, None);
    }

    /// The peer whose round trip should be measured next: one that gets jobs and was not measured
    /// for long, or else each of these peers in turn. They must be sorted by name. A peer that can't
    /// be measured is not named again at once.
    pub fn next_to_measure<'a>(
        &mut self,
        now: Timestamp,
        peers: impl Iterator<Item = &'a Name> + Clone,
    ) -> Option<Name> {
        let is_due = |name: &&Name| {
            let edge = self.edges.get(*name);
            edge.is_some_and(|edge| {
                let is_busy = now.since(edge.touched) < DUE;
                let is_long_ago = |then: Timestamp| now.since(then) > DUE;
                is_busy
                    && edge.rtt.is_none_or(|(_, since)| is_long_ago(since))
                    && edge.tried.is_none_or(is_long_ago)
            })
        };
        let next = match peers.clone().find(is_due) {
            Some(due) => due.clone(),
            None => self.next_in_turn(peers)?,
        };
        if let Some(edge) = self.edges.get_mut(&next) {
            edge.tried = Some(now);
        }
        Some(next)
    }

    fn next_in_turn<'a>(&mut self, peers: impl Iterator<Item = &'a Name> + Clone) -> Option<Name> {
        let last = self.measured.take();
        let next = peers.clone().find(|name| last.as_ref().is_none_or(|last| *name > last));
        self.measured = next.or_else(|| peers.clone().next()).cloned();
        self.measured.clone()
    }

    /// Forgets the peers that are not listed any more.
    pub fn keep_only(&mut self, is_listed: impl Fn(&Name) -> bool) {
        self.edges.retain(|name, _| is_listed(name));
    }

    /// The telemetry as it is now.
    pub fn report(&mut self, now: Timestamp) -> Telemetry {
        self.recent.retain(|(at, _)| now.since(*at) < KEPT);
        for edge in self.edges.values_mut() {
            edge.rtt = edge.rtt.filter(|(_, since)| now.since(*since) < KEPT);
        }
        let tell = |(to, edge): (&Name, &mut KnownEdge)| Edge {
            to: to.clone(),
            jobs: edge.jobs.figures(now),
            rtt_ms: edge.rtt.map(|(rtt, _)| rounded_millis(rtt)),
            rtt_age_ms: edge.rtt.map(|(_, since)| now.since(since).as_millis() as f64),
        };
        let mut edges: Vec<Edge> = self.edges.iter_mut().map(tell).collect();
        let count = |edge: &Edge| edge.jobs.done.saturating_add(edge.jobs.failed);
        edges.retain(|edge| count(edge) > 0 || edge.rtt_ms.is_some());
        let peers = edges.iter().filter(|edge| count(edge) > 0).count() as u32;
        // By magnitude and then by name, so that peers which get about the same don't come and go
        // from one heartbeat to the next.
        edges.sort_by_key(|edge| Reverse(count(edge).checked_ilog2()));
        edges.truncate(MOST_TOLD);
        let aged = |(at, entry): &(Timestamp, TelemetryEntry)| TelemetryEntry {
            age_ms: now.since(*at).as_millis() as f64,
            ..entry.clone()
        };
        Telemetry {
            window_ms: covered(now, self.started).as_millis() as f64,
            load: self.load,
            served: self.served.figures(now),
            policy: self.policy.clone(),
            peers,
            edges,
            recent: self.recent.iter().map(aged).collect(),
        }
    }

    fn edge(&mut self, now: Timestamp, peer: &Name) -> &mut KnownEdge {
        if self.edges.len() >= MAX_PEERS && !self.edges.contains_key(peer) {
            let oldest = self.edges.iter().min_by_key(|(_, edge)| edge.touched);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.edges.remove(&oldest);
            }
        }
        let new = || KnownEdge { touched: now, jobs: JobWindow::default(), rtt: None, tried: None };
        let edge = self.edges.entry(peer.clone()).or_insert_with(new);
        edge.touched = now;
        edge
    }

    fn note(
        &mut self,
        now: Timestamp,
        event: TelemetryEvent,
        to: Option<&Name>,
        reason: Option<&'static str>,
        took: Option<Duration>,
    ) {
        self.entries += 1;
        let (to, reason) = (to.cloned(), reason.map(Name::from));
        let took_ms = took.map(rounded_millis);
        let entry = TelemetryEntry {
            number: self.entries,
            age_ms: 0.0,
            event,
            to,
            reason,
            took_ms,
            trace: None,
        };
        if self.recent.len() >= MAX_RECENT {
            // Jobs that went well are many, and must not push out those that did not.
            let is_done =
                |(_, entry): &(Timestamp, TelemetryEntry)| entry.event == TelemetryEvent::Done;
            let done = self.recent.iter().filter(|entry| is_done(entry)).count();
            let first_done = self.recent.iter().position(is_done);
            let leaves = first_done.filter(|_| done > MAX_RECENT / 2).unwrap_or(0);
            self.recent.remove(leaves);
        }
        self.recent.push_back((now, entry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::MAX_BYTES;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from(Duration::from_millis(ms))
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn edges_have_what_their_jobs_and_round_trips_show() {
        let mut book = TelemetryBook::new(at(0)).with_policy("random");
        let (b, c): (Name, Name) = ("b".into(), "c".into());
        for _ in 0..10 {
            book.attempt_ended(at(1000), &b, (AttemptEnd::Done, None), ms(80));
        }
        book.attempt_ended(at(2000), &b, (AttemptEnd::Failed("no_answer"), None), ms(900));
        book.round_trip(at(2000), &c, ms(9));
        book.round_trip(at(3000), &c, ms(4));
        book.round_trip(at(4000), &c, ms(7));
        book.served(at(4000), true, ms(50));
        book.undelivered(at(4500), "no_peers", ms(1));
        book.ejected(at(4600), &b, "no_answer");
        let told = book.report(at(5000));
        let names: Vec<&str> = told.edges.iter().map(|edge| &*edge.to).collect();
        assert_eq!((names, told.peers), (vec!["b", "c"], 1));
        let [busy, idle] = &told.edges[..] else { panic!("{told:?}") };
        assert_eq!((busy.jobs.done, busy.jobs.failed, busy.rtt_ms), (10, 1, None));
        assert!((80.0..91.0).contains(&busy.jobs.p99_ms.expect("latencies")));
        assert_eq!((idle.rtt_ms, idle.rtt_age_ms), (Some(4.0), Some(3000.0)), "the shortest");
        assert_eq!((told.served.done, told.window_ms), (1, 5000.0));
        let last = told.recent.last().expect("entries");
        assert_eq!((last.number, last.event), (13, TelemetryEvent::Ejected));
        let lost = &told.recent[told.recent.len() - 2];
        assert_eq!((lost.to.as_deref(), lost.reason.as_deref()), (None, Some("no_peers")));
        // Later, a longer round trip is the truth.
        book.round_trip(at(9000), &c, ms(200));
        assert_eq!(book.report(at(9000)).edges[1].rtt_ms, Some(200.0));
        book.keep_only(|name| *name == c);
        assert_eq!(book.report(at(9000)).edges.len(), 1);
    }

    #[test]
    fn a_large_mesh_fits_and_the_busiest_edges_are_told() {
        let mut book = TelemetryBook::new(at(0));
        for peer in 0..1000_u64 {
            let name: Name = format!("agent-{peer:03}").into();
            for _ in 0..1 + 9 * u64::from(peer % 100 == 99) {
                book.attempt_ended(at(peer), &name, (AttemptEnd::Done, None), ms(peer));
                book.round_trip(at(peer), &name, ms(2));
            }
        }
        assert_eq!((book.edges.len(), book.recent.len()), (MAX_PEERS, MAX_RECENT));
        let told = book.report(at(1000));
        assert_eq!(&*told.edges[0].to, "agent-799");
        assert_eq!(&*told.edges[3].to, "agent-744", "then by name");
        let json = told.to_json();
        let told = Telemetry::read(&json).expect("telemetry");
        assert!(json.len() <= MAX_BYTES && told.edges.len() >= 20, "{}", told.edges.len());
    }

    #[test]
    fn every_peer_is_measured_in_turn_and_busy_ones_before() {
        let mut book = TelemetryBook::new(at(0));
        let names: Vec<Name> = ["a", "b", "c"].into_iter().map(Name::from).collect();
        let next = |book: &mut TelemetryBook, now| {
            book.next_to_measure(at(now), names.iter()).map(|name| name.to_string())
        };
        let turns: Vec<_> = (0..4).filter_map(|_| next(&mut book, 0)).collect();
        assert_eq!(turns, ["a", "b", "c", "a"]);
        book.attempt_ended(at(10), &"c".into(), (AttemptEnd::Done, None), ms(1));
        assert_eq!(next(&mut book, 20).as_deref(), Some("c"), "it gets jobs");
        book.round_trip(at(20), &"c".into(), ms(1));
        assert_eq!(next(&mut book, 30).as_deref(), Some("b"), "in turn again");
        assert_eq!(book.next_to_measure(at(0), [].iter()), None);
    }

    #[test]
    fn a_peer_that_can_not_be_measured_does_not_keep_others_from_it() {
        let mut book = TelemetryBook::new(at(0));
        let names: Vec<Name> = ["a", "b", "c"].into_iter().map(Name::from).collect();
        let next = |book: &mut TelemetryBook, now| {
            book.next_to_measure(at(now), names.iter()).map(|name| name.to_string())
        };
        for now in [0, 40_000] {
            for busy in &names[..2] {
                book.attempt_ended(at(now), busy, (AttemptEnd::Failed("no_answer"), None), ms(1));
            }
            // Nobody answers.
            let turns: Vec<_> = (0..5).filter_map(|step| next(&mut book, now + step)).collect();
            assert_eq!(turns[..2], ["a", "b"], "those with jobs first, after {now} ms");
            assert!(turns.iter().any(|name| name == "c"), "{turns:?} after {now} ms");
        }
    }

    #[test]
    fn what_is_old_is_forgotten_so_that_readers_take_the_rest() {
        let mut book = TelemetryBook::new(at(0));
        let (a, b): (Name, Name) = ("a".into(), "b".into());
        for peer in [&a, &b] {
            book.attempt_ended(at(1), peer, (AttemptEnd::Done, None), ms(1));
            book.round_trip(at(1), peer, ms(2));
        }
        let day = 24 * 3_600_000;
        let read = |telemetry: Telemetry| Telemetry::read(&telemetry.to_json()).expect("telemetry");
        let told = read(book.report(at(day)));
        assert_eq!((told.recent.len(), told.edges.len()), (2, 2), "less than a day");
        book.attempt_ended(at(31 * day), &b, (AttemptEnd::Done, None), ms(1));
        book.served(at(31 * day), true, Duration::MAX);
        let told = read(book.report(at(31 * day)));
        assert_eq!((told.recent.len(), told.edges.len()), (1, 1));
        assert_eq!((&*told.edges[0].to, told.edges[0].rtt_age_ms), ("b", None));
    }
}
