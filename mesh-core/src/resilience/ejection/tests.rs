use super::*;

fn at(secs: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(secs)
}

fn lease(number: usize) -> Arc<ListedLease> {
    Arc::new(ListedLease::new(format!("agent-{number}"), "h:1", 1, None))
}

/// An agent's ejection, with all of its peers.
struct Mesh {
    ejection: OutlierEjection,
    peers: Vec<Arc<ListedLease>>,
}

impl Mesh {
    fn new(peers: usize, config: EjectionConfig) -> Self {
        let config = EjectionConfig { eject: true, ..config };
        let ejection = OutlierEjection::new(at(0), &config).expect("it is switched on");
        let mut mesh = Self { ejection, peers: (0..peers).map(lease).collect() };
        mesh.choose(at(0));
        mesh
    }

    fn end(&mut self, now: Timestamp, peer: usize, is_well: bool) -> Option<HealthChange> {
        let failed = Symptom::Failed(PassOverReason::JobFailed);
        let symptom = if is_well { Symptom::Well } else { failed };
        let lease = &self.peers[peer];
        let time = crate::resilience::JobTime::Unknown;
        let end = EndedCall { lease, symptom, skill: None, able: self.peers.len(), time };
        self.ejection.on_end(now, &end)
    }

    /// Ends this many jobs of a peer with a failure.
    fn fail(&mut self, now: Timestamp, peer: usize, jobs: usize) {
        for _ in 0..jobs {
            self.end(now, peer, false);
        }
    }

    /// Ends this many jobs of a peer, of which so many failed, never two in a row if possible.
    fn jobs(&mut self, now: Timestamp, peer: usize, (jobs, failures): (usize, usize)) {
        for job in 0..jobs {
            let is_well = (job + 1) * failures / jobs == job * failures / jobs;
            self.end(now, peer, is_well);
        }
    }

    /// Makes a choice; gives back who is passed over.
    fn choose(&mut self, now: Timestamp) -> Vec<usize> {
        let (peers, changed) = (self.peers.len(), &mut |_: &_, _| {});
        self.ejection.before_choice(now, &mut Choosing { peers, changed });
        let mut over = Vec::new();
        self.ejection.passed_over(now, &mut |lease| {
            over.extend(self.peers.iter().position(|peer| peer.id() == lease.id()));
        });
        over.sort_unstable();
        over
    }
}

/// 10 % of the peers, with and without the one that may always go: Envoy 1.31 and gRPC A50.
#[test]
fn how_many_may_go_at_a_time() {
    for (peers, strictly, expected) in [
        (4, false, 1),
        (9, false, 1),
        (10, false, 1),
        (11, false, 1),
        (20, false, 2),
        (4, true, 0),
        (9, true, 0),
        (10, true, 1),
        (11, true, 1),
        (19, true, 1),
        (20, true, 2),
    ] {
        let mut mesh =
            Mesh::new(peers, EjectionConfig { eject_strictly: strictly, ..Default::default() });
        for peer in 0..peers {
            mesh.fail(at(1), peer, 5);
        }
        let ejected = mesh.choose(at(1));
        assert_eq!(ejected, (0..expected).collect::<Vec<_>>(), "{peers} {strictly}");
    }
}

#[test]
fn five_failures_in_a_row_eject_for_longer_each_time() {
    let mut mesh = Mesh::new(10, EjectionConfig::default());
    let mut now = 1;
    for expected in [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300] {
        for failure in 0..5 {
            assert!(mesh.choose(at(now)).is_empty(), "after {failure} failures");
            let change = mesh.end(at(now), 3, false);
            let penalty = Duration::from_secs(expected);
            let reason = PassOverReason::JobFailed;
            let out = (failure == 4).then_some(HealthChange::PassedOver { penalty, reason });
            assert_eq!(change, out);
        }
        assert_eq!(mesh.end(at(now), 3, false), None, "it is out already");
        assert_eq!(mesh.choose(at(now + expected - 1)), [3]);
        now += expected;
        // The choice at the end lets it back, before the sweep that is due finds it well.
        mesh.ejection.end_ejections(at(now));
        mesh.ejection.next_sweep = at(now + 10);
    }
    assert_eq!(mesh.end(at(now), 3, true), Some(HealthChange::Recovered));
    assert_eq!(mesh.end(at(now), 3, true), None);
    // Eleven ejections: eleven sweeps that find it well, and all is forgiven.
    now += 110;
    mesh.choose(at(now));
    mesh.fail(at(now), 3, 4);
    mesh.end(at(now), 3, true);
    mesh.fail(at(now), 3, 4);
    assert!(mesh.choose(at(now)).is_empty(), "a success ends a row");
    let penalty = Duration::from_secs(30);
    let reason = PassOverReason::JobFailed;
    assert_eq!(mesh.end(at(now), 3, false), Some(HealthChange::PassedOver { penalty, reason }));
}

#[test]
fn success_rates_are_compared_with_the_mean() {
    // Nine peers without failures and one with a fourth: mean .975, sigma .075, limit .8325.
    for (failures, jobs, expected) in
        [(25, 100, vec![9]), (25, 99, vec![]), (1, 100, vec![9]), (0, 100, vec![])]
    {
        let mut mesh = Mesh::new(10, EjectionConfig::default());
        (0..9).for_each(|peer| mesh.jobs(at(1), peer, (100, 0)));
        mesh.jobs(at(1), 9, (jobs, failures));
        assert!(mesh.choose(at(9)).is_empty(), "only a sweep compares");
        assert_eq!(mesh.choose(at(10)), expected, "{failures} of {jobs}");
    }
    // Two halves: sigma is as large as half of their distance, and nobody is an outlier.
    let mut mesh = Mesh::new(10, EjectionConfig::default());
    (0..10).for_each(|peer| mesh.jobs(at(1), peer, (100, if peer < 5 { 50 } else { 0 })));
    assert!(mesh.choose(at(10)).is_empty());
}

#[test]
fn a_failure_percentage_needs_no_comparison() {
    let config = || EjectionConfig {
        eject_errors: 0,
        eject_deviations: 0.0,
        eject_max_percent: 100.0,
        ..EjectionConfig::default()
    };
    let mut mesh = Mesh::new(10, config());
    let failures = [100, 85, 84, 50, 0];
    for (peer, failures) in failures.into_iter().enumerate() {
        mesh.jobs(at(1), peer, (100, failures));
    }
    mesh.jobs(at(1), 5, (49, 49));
    assert_eq!(mesh.choose(at(10)), [0, 1], "85 % of 50 jobs or more");
    let mut few = Mesh::new(10, config());
    (0..4).for_each(|peer| few.jobs(at(1), peer, (100, 100)));
    assert!(few.choose(at(10)).is_empty(), "only four peers had jobs");
}

#[test]
fn when_too_few_are_left_ejections_are_ignored() {
    let config = EjectionConfig { eject_max_percent: 100.0, ..EjectionConfig::default() };
    let mut mesh = Mesh::new(10, config);
    for peer in 0..10 {
        mesh.fail(at(1), peer, 5);
        let expected: Vec<usize> = if peer < 5 { (0..=peer).collect() } else { vec![] };
        assert_eq!(mesh.choose(at(1)), expected, "at least half must be left");
    }
}

#[test]
fn the_worst_go_first_and_who_leaves_is_forgotten() {
    let config = EjectionConfig { eject_errors: 0, ..EjectionConfig::default() };
    let mut mesh = Mesh::new(12, config);
    for (peer, failures) in [90, 95, 99, 97, 86].into_iter().enumerate() {
        mesh.jobs(at(1), peer, (100, failures));
    }
    assert_eq!(mesh.choose(at(10)), [2], "there is room for one");
    mesh.ejection.on_list(&|lease| &*lease.name != "agent-2");
    assert!(mesh.choose(at(11)).is_empty());
    assert_eq!(mesh.ejection.counts.len(), 4);
}
