use super::*;
use crate::scenario::Scenario;

const CONSTANT: &str = r#"
name = "x"
description = "x"
duration = "60s"
policies = ["random"]

[[agents]]
name = "a"
count = 4

[workload]
arrivals = "constant"
rate = 1
demand = { kind = "constant", value = "1ms" }
"#;

/// The hosts a-1 to a-4, at positions 1 to 4, so that `A[1]` is a-1.
const A: [HostId; 5] = [
    HostId::CLIENT,
    AgentId::new(0).host(),
    AgentId::new(1).host(),
    AgentId::new(2).host(),
    AgentId::new(3).host(),
];

fn schedule(extra: &str) -> FaultSchedule {
    schedule_of(&format!("{CONSTANT}{extra}"))
}

fn schedule_of(text: &str) -> FaultSchedule {
    let scenario = Scenario::parse(text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
    scenario.fault_schedule()
}

fn fault(kind: &str, at: u64, lasts: Option<u64>, rest: &str) -> String {
    let lasts = lasts.map(|lasts| format!("for = \"{lasts}s\"\n")).unwrap_or_default();
    format!("[[faults]]\nkind = \"{kind}\"\nat = \"{at}s\"\n{lasts}{rest}\n")
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from(Duration::from_secs(secs))
}

fn just_before(secs: u64) -> Timestamp {
    at(secs) - Duration::from_nanos(1)
}

/// The pairs of sender and receiver whose link is cut.
fn cuts(faults: &FaultSchedule, now: Timestamp) -> Vec<(HostId, HostId)> {
    pairs(faults, |a, b| faults.link(a, b, now).cut)
}

fn pairs(faults: &FaultSchedule, is_in: impl Fn(HostId, HostId) -> bool) -> Vec<(HostId, HostId)> {
    let hosts = || faults.hosts().ids();
    let all = hosts().flat_map(|a| hosts().map(move |b| (a, b)));
    all.filter(|(a, b)| a != b && is_in(*a, *b)).collect()
}

#[test]
fn hosts_are_the_registry_the_client_and_the_agents_in_order() {
    let faults = schedule("");
    let names: Vec<&str> = faults.hosts().iter().map(|(_, name)| &**name).collect();
    assert_eq!(names, ["registry", "client", "a-1", "a-2", "a-3", "a-4"]);
    assert_eq!(&*faults.hosts()[HostId::REGISTRY], "registry");
    assert_eq!(&*faults.hosts()[HostId::CLIENT], "client");
    assert_eq!(&*faults.hosts()[A[1]], "a-1");
    assert_eq!((faults.boundaries(), faults.last_change()), (&[][..], Timestamp::ZERO));
}

#[test]
fn a_partition_cuts_between_groups_and_leaves_everybody_else_alone() {
    let faults =
        schedule(&fault("partition", 10, Some(5), r#"groups = [["a-1", "a-2"], "registry"]"#));
    let expected = [
        (HostId::REGISTRY, A[1]),
        (HostId::REGISTRY, A[2]),
        (A[1], HostId::REGISTRY),
        (A[2], HostId::REGISTRY),
    ];
    assert_eq!(cuts(&faults, at(10)), expected);
    assert_eq!(cuts(&faults, just_before(15)), expected);
    assert_eq!(cuts(&faults, just_before(10)), []);
    assert_eq!(cuts(&faults, at(15)), []);
    assert_eq!(faults.boundaries(), [at(10), at(15)]);
    assert_eq!(faults.last_change(), at(15));
}

#[test]
fn a_one_way_partition_cuts_from_earlier_groups_to_later_ones() {
    let rest = "groups = [\"a-1\", \"a-2\", \"a-3\"]\none_way = true";
    let faults = schedule(&fault("partition", 0, Some(5), rest));
    assert_eq!(cuts(&faults, at(1)), [(A[1], A[2]), (A[1], A[3]), (A[2], A[3])]);
}

#[test]
fn a_hold_is_of_both_ways_and_a_cut_way_does_not_hold() {
    let hold = fault("hold", 10, Some(10), r#"between = ["a-1", "a-*"]"#);
    let rest = "groups = [\"a-1\", \"a-2\"]\none_way = true";
    let faults = schedule(&(hold + &fault("partition", 12, Some(2), rest)));
    let held = |now| pairs(&faults, |a, b| faults.link(a, b, now).held);
    let all = [(A[1], A[2]), (A[1], A[3]), (A[1], A[4]), (A[2], A[1]), (A[3], A[1]), (A[4], A[1])];
    assert_eq!(held(at(10)), all);
    assert_eq!(held(at(12)), all[1..]);
    assert_eq!(cuts(&faults, at(12)), [(A[1], A[2])]);
    assert_eq!(held(at(14)), all, "the hold outlives the partition");
    assert_eq!(held(at(20)), []);
}

#[test]
fn a_host_on_both_sides_is_between_all_the_others() {
    let faults = schedule(&fault("hold", 0, None, r#"between = ["*", "*"]"#));
    let held = pairs(&faults, |a, b| faults.link(a, b, at(1)).held);
    assert_eq!(held, pairs(&faults, |_, _| true));

    let overlapping = r#"between = ["a-1..2", "a-2..3"]"#;
    let faults = schedule(&fault("hold", 0, None, overlapping));
    let held = pairs(&faults, |a, b| a < b && faults.link(a, b, at(1)).held);
    assert_eq!(held, [(A[1], A[2]), (A[1], A[3]), (A[2], A[3])]);
}

#[test]
fn latencies_add_up_on_top_of_the_links_own() {
    let links = r#"
        [network]
        latency = "2ms"
        [[network.links]]
        from = "a-*"
        to = "registry"
        latency = "20ms"
        [[network.links]]
        from = "registry"
        to = "a-1"
        latency = "7ms"
    "#;
    let one = fault("add_latency", 10, Some(10), "between = [\"a-1\", \"*\"]\nlatency = \"100ms\"");
    let other =
        fault("add_latency", 15, Some(10), "between = [\"registry\", \"a-*\"]\nlatency = \"1s\"");
    let faults = schedule(&format!("{links}{one}{other}"));
    let ms = |a, b, now| faults.latency(a, b, now).as_millis();
    assert_eq!(ms(A[1], A[2], at(0)), 2);
    assert_eq!(ms(A[2], HostId::REGISTRY, at(0)), 20);
    assert_eq!(ms(A[1], HostId::REGISTRY, at(0)), 7, "the last override holds");
    assert_eq!(ms(HostId::REGISTRY, A[1], at(10)), 107);
    assert_eq!(ms(HostId::REGISTRY, A[1], at(15)), 1107);
    assert_eq!(ms(A[1], HostId::REGISTRY, at(20)), 1007);
    assert_eq!(ms(A[1], A[3], at(15)), 102);
    assert_eq!(ms(A[3], A[2], at(15)), 2);
    assert_eq!(faults.slowest(A[1], HostId::REGISTRY).as_millis(), 1107);
    assert_eq!(faults.slowest(A[3], A[2]).as_millis(), 2);
}

#[test]
fn hosts_of_two_sites_are_as_far_apart_as_the_sites() {
    let homes = "count = 4\nsite = \"eu\"\neach = { \"a-3..4\" = { site = \"asia\" } }";
    let sites = r#"
        [[sites]]
        name = "eu"
        one_way = "2ms"
        [[sites]]
        name = "us"
        registry = true
        [[sites]]
        name = "asia"
        round_trip = "6ms"
        [network]
        round_trip = "20ms"
        loss = 0.1
        [[network.between]]
        sites = ["us", "eu"]
        round_trip = "80ms"
        [[network.links]]
        from = "registry"
        to = "a-1"
        loss = 0.2
        [[network.links]]
        from = "a-1"
        to = "a-2"
        round_trip = "8ms"
        one_way = true
    "#;
    let faults = schedule_of(&format!("{}{sites}", CONSTANT.replace("count = 4", homes)));
    let ms = |a, b| faults.base_latency(a, b).as_millis();
    assert_eq!([ms(HostId::CLIENT, A[2]), ms(A[2], A[1])], [2, 2], "within a site");
    assert_eq!([ms(HostId::REGISTRY, A[2]), ms(A[2], HostId::REGISTRY)], [40, 40]);
    assert_eq!(ms(A[3], A[4]), 3, "half of the round trip");
    assert_eq!([ms(A[3], A[1]), ms(A[4], HostId::REGISTRY)], [10, 10], "as the network says");
    assert_eq!(ms(A[1], A[2]), 4, "the link's own");
    let link = faults.quality(A[1], HostId::REGISTRY);
    assert_eq!((link.latency.quantile(0.5).as_millis(), link.loss), (40, 0.2));
    assert_eq!(faults.quality(A[2], HostId::REGISTRY).loss, 0.1);
    assert_eq!(faults.slowest_of_all().as_millis(), 40);
}

#[test]
fn a_crash_lasts_from_its_start_until_just_before_its_end() {
    let once = fault("crash", 10, Some(5), r#"hosts = ["a-2", "registry"]"#);
    let faults = schedule(&(once + &fault("crash", 15, None, r#"hosts = "a-2""#)));
    let down =
        |now| faults.hosts().ids().filter(|host| faults.is_down(*host, now)).collect::<Vec<_>>();
    assert_eq!(down(just_before(10)), []);
    assert_eq!(down(at(10)), [HostId::REGISTRY, A[2]]);
    assert_eq!(down(at(15)), [A[2]]);
    let is_cut = |from, to, now| faults.link(from, to, now).cut;
    assert!(is_cut(A[2], A[1], at(15)) && is_cut(A[1], A[2], at(15)), "it is silent");
    assert!(!is_cut(A[2], A[1], just_before(10)) && !is_cut(A[1], HostId::REGISTRY, at(15)));
    assert_eq!(down(Timestamp::MAX - Duration::from_secs(1)), [A[2]]);
    assert_eq!(faults.boundaries(), [at(10), at(15)], "the last one has no end");
    assert_eq!(faults.last_change(), at(15));
}

#[test]
fn machines_slow_down_and_get_busy() {
    let slow = fault("slow_down", 10, Some(10), "agents = \"a-1\"\nfactor = 0.25");
    let busy = fault("background_load", 15, Some(10), "agents = \"a-*\"\nload = 0.5");
    let faults = schedule(&(slow + &busy));
    let usual = MachineState { speed_factor: 1.0, background: None, errors: None };
    let state = |name: u32, secs| faults.machine(AgentId::new(name - 1), at(secs));
    assert_eq!(state(1, 9), usual);
    assert_eq!(state(1, 10), MachineState { speed_factor: 0.25, ..usual });
    assert_eq!(state(2, 10), usual);
    assert_eq!(state(1, 15), MachineState { speed_factor: 0.25, background: Some(0.5), ..usual });
    assert_eq!(state(1, 20), MachineState { background: Some(0.5), ..usual });
    assert_eq!(state(2, 25), usual);
    assert!(!faults.has_broken(at(60)), "neither breaks a connection");
    assert_eq!(faults.last_disturbed(A[1], A[2], at(60)), None);
}

#[test]
fn a_disturbance_counts_from_its_start_through_its_end() {
    let one = fault("partition", 10, Some(5), r#"groups = ["a-1", "a-2"]"#);
    let other = fault("add_latency", 20, Some(5), "between = [\"a-2\", \"a-1\"]\nlatency = \"1s\"");
    let faults = schedule(&(one + &other));
    let disturbed = |now| faults.last_disturbed(A[2], A[1], now);
    assert_eq!(disturbed(just_before(10)), None);
    assert_eq!(disturbed(at(10)), Some(at(10)));
    assert_eq!(disturbed(at(12)), Some(at(12)), "it is still on");
    assert_eq!(disturbed(at(17)), Some(at(15)));
    assert_eq!(disturbed(at(22)), Some(at(22)));
    assert_eq!(disturbed(at(60)), Some(at(25)));
    assert_eq!(faults.last_broken(A[1], A[2], at(60)), Some(at(15)), "latency breaks nothing");
    assert_eq!(faults.last_disturbed(A[1], A[3], at(60)), None);
    assert!(!faults.has_broken(just_before(10)));
    assert!(faults.has_broken(at(10)) && faults.has_broken(at(60)));
}

#[test]
fn a_crash_disturbs_every_way_of_its_host() {
    let faults = schedule(&fault("crash", 10, None, r#"hosts = "a-1""#));
    assert_eq!(faults.last_broken(A[1], HostId::CLIENT, at(40)), Some(at(40)));
    assert_eq!(faults.last_broken(HostId::REGISTRY, A[1], at(40)), Some(at(40)));
    assert_eq!(faults.last_broken(HostId::REGISTRY, A[2], at(40)), None);
}
