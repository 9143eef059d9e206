use std::time::Duration;

use super::*;
use crate::Timestamp;

fn at(seconds: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(seconds)
}

/// An agent of four slots that holds so many jobs.
fn agent(number: u32, in_flight: u32) -> SetMember {
    SetMember {
        name: format!("agent-{number}").into(),
        state: MemberState::Ready,
        age: Duration::from_secs(10_000 - u64::from(number)),
        report_age: Some(Duration::from_secs(1)),
        cpu_percent: 5.0,
        in_flight,
        queued: in_flight.saturating_sub(4),
        slots: Some(4),
        refused: 0,
        sessions: 0,
        machine: None,
    }
}

fn set(jobs: &[u32]) -> Vec<SetMember> {
    (1..).zip(jobs).map(|(number, jobs)| agent(number, *jobs)).collect()
}

fn scaler() -> Scaler {
    Scaler::new(ScalingConfig::default())
}

/// What is decided when the set looks the same for a while, asked every second; the first decision
/// that is no hold, and when.
fn first_change(scaler: &mut Scaler, members: &[SetMember], from: u64) -> Option<(u64, String)> {
    (from..from + 1_000).find_map(|second| {
        let decision = scaler.decide(at(second), members);
        let holds = matches!(decision.action, ScalingAction::Hold(_));
        (!holds).then(|| (second - from, decision.to_string()))
    })
}

#[test]
fn agents_that_wait_are_busy_though_their_cpu_is_not() {
    let expected = "grow to 3: 1.43 times as busy as it should be (CPU 0.07, slots 1.43); start 1";
    assert_eq!(first_change(&mut scaler(), &set(&[4, 4]), 0), Some((20, expected.to_owned())));
    let by_cpu = ScalingConfig { signal: ScalingSignal::Cpu, min: 2, ..ScalingConfig::default() };
    assert_eq!(first_change(&mut Scaler::new(by_cpu), &set(&[4, 4]), 0), None);
}

#[test]
fn the_seeds_rule_is_kept_for_agents_that_compute() {
    let mut members = set(&[1, 1]);
    members.iter_mut().for_each(|member| (member.cpu_percent, member.slots) = (95.0, None));
    let (after, why) = first_change(&mut scaler(), &members, 0).expect("it grows");
    assert_eq!(after, 20);
    assert!(why.starts_with("grow to 3: 1.36 times as busy"), "{why}");
    // 75 % is above the target, but within the tolerance.
    members.iter_mut().for_each(|member| member.cpu_percent = 75.0);
    assert_eq!(first_change(&mut scaler(), &members, 0), None);
}

#[test]
fn a_break_begins_the_window_anew() {
    let mut scaler = scaler();
    let (busy, calm) = (set(&[4, 4]), set(&[2, 2]));
    for second in 0..200 {
        let members = if second % 20 == 19 { &calm } else { &busy };
        let decision = scaler.decide(at(second), members);
        assert!(matches!(decision.action, ScalingAction::Hold(_)), "{second}: {decision}");
    }
}

#[test]
fn queues_at_twice_the_target_double_the_set_at_once() {
    let (after, why) = first_change(&mut scaler(), &set(&[9, 9]), 0).expect("it grows");
    assert_eq!(after, 6);
    assert!(why.starts_with("grow to 4 at once") && why.ends_with("start 2"), "{why}");
}

#[test]
fn agents_on_order_are_not_ordered_twice() {
    let mut members = set(&[4, 4]);
    members.push(SetMember { state: MemberState::Starting, report_age: None, ..agent(3, 0) });
    let mut scaler = scaler();
    for second in 0..100 {
        let decision = scaler.decide(at(second), &members);
        assert!(matches!(decision.action, ScalingAction::Hold(_)), "{decision}");
    }
    let decision = scaler.decide(at(100), &members);
    assert_eq!(decision.action, ScalingAction::Hold(HoldReason::Starting(1)));
}

#[test]
fn the_bounds_hold_whatever_is_reported() {
    let config = ScalingConfig { min: 2, max: 3, ..ScalingConfig::default() };
    let mut scaler = Scaler::new(config);
    let grown = scaler.decide(at(0), &[]);
    let start = ScalingAction::Grow { cancel: Vec::new(), start: 2, is_panic: false };
    assert_eq!((grown.desired, grown.action), (2, start));
    let shrunk = scaler.decide(at(1), &set(&[9, 3, 9, 1, 9]));
    let drain = vec!["agent-4".into(), "agent-2".into()];
    assert_eq!((shrunk.desired, shrunk.action), (3, ScalingAction::Shrink { drain }));
    let full = set(&[20, 20, 20]);
    assert_eq!(first_change(&mut scaler, &full, 10), None);
    assert_eq!(first_change(&mut scaler, &set(&[0, 0]), 2_000), None);
}

#[test]
fn the_cheapest_agent_drains_after_a_long_calm() {
    let mut members = set(&[1, 0, 0, 1]);
    members[1].sessions = 5;
    let (after, why) = first_change(&mut scaler(), &members, 0).expect("it shrinks");
    assert_eq!(after, 300);
    assert!(why.starts_with("shrink to 3") && why.ends_with("drain agent-3"), "{why}");
    // Without one of two, the other one would have too much to do.
    assert_eq!(first_change(&mut scaler(), &set(&[1, 2]), 0), None);
}

#[test]
fn nothing_drains_while_something_is_unclear() {
    let quiet = set(&[0, 0, 0]);
    let mut deaf = quiet.clone();
    deaf[1].report_age = None;
    assert_eq!(first_change(&mut scaler(), &deaf, 0), None);
    let mut stale = quiet.clone();
    stale.iter_mut().for_each(|member| member.report_age = Some(Duration::from_secs(31)));
    let mut scaler = scaler();
    assert_eq!(first_change(&mut scaler, &stale, 0), None);
    let held = scaler.decide(at(1_000), &stale);
    assert_eq!((held.ratios, held.action), (None, ScalingAction::Hold(HoldReason::NoReports)));
    // An agent refuses a job every 100 s: the calm never lasts long enough.
    for second in 2_000..4_000 {
        let mut members = quiet.clone();
        members[0].refused = second / 100;
        let decision = scaler.decide(at(second), &members);
        assert!(matches!(decision.action, ScalingAction::Hold(_)), "{decision}");
    }
}

#[test]
fn a_drain_is_cancelled_before_an_agent_is_started() {
    let mut members = set(&[4, 4, 1, 2]);
    members[2].state = MemberState::Draining;
    members[3].state = MemberState::Draining;
    let (_, why) = first_change(&mut scaler(), &members, 0).expect("it grows");
    assert!(why.ends_with("cancel the drain of agent-4"), "{why}");
}

#[test]
fn one_machine_does_not_get_faster_by_more_agents() {
    let mut members = set(&[1, 1]);
    for member in &mut members {
        (member.cpu_percent, member.machine) = (99.0, Some("box".into()));
    }
    let mut scaler = scaler();
    assert_eq!(first_change(&mut scaler, &members, 0), None);
    let held = scaler.decide(at(1_000), &members);
    assert_eq!(held.action, ScalingAction::Hold(HoldReason::OneMachine));
    // Two machines, or slots as what makes them busy, are another matter.
    members[1].machine = Some("other".into());
    assert!(first_change(&mut scaler, &members, 2_000).is_some());
    members[1].machine = Some("box".into());
    members.iter_mut().for_each(|member| member.in_flight = 8);
    assert!(first_change(&mut scaler, &members, 4_000).is_some());
}

#[test]
fn agents_that_start_compute_for_themselves() {
    let mut members = set(&[1, 1]);
    (members[0].cpu_percent, members[1].cpu_percent) = (60.0, 100.0);
    members[1].age = Duration::from_secs(19);
    let decision = scaler().decide(at(0), &members);
    assert!((decision.ratios.unwrap().cpu - 60.0 / 70.0).abs() < 1e-9, "{decision}");
    members[1].age = Duration::from_secs(20);
    let decision = scaler().decide(at(0), &members);
    assert!((decision.ratios.unwrap().cpu - 80.0 / 70.0).abs() < 1e-9, "{decision}");
}

#[test]
fn nothing_drains_while_queues_grow() {
    let by_cpu = ScalingConfig { signal: ScalingSignal::Cpu, ..ScalingConfig::default() };
    let mut scaler = Scaler::new(by_cpu);
    for second in 0..1_000 {
        let mut members = set(&[0, 0, 0]);
        (members[0].in_flight, members[0].queued) = (4 + second / 100, second / 100);
        let decision = scaler.decide(at(u64::from(second)), &members);
        assert!(matches!(decision.action, ScalingAction::Hold(_)), "{second}: {decision}");
    }
}

/// A load that stays the same, with agents that take a minute to start: the set comes to rest.
#[test]
fn the_same_load_changes_direction_at_most_once() {
    for jobs in [1_u32, 7, 13, 22, 31, 40, 60] {
        let config = ScalingConfig { max: 30, ..ScalingConfig::default() };
        let mut scaler = Scaler::new(config);
        let (mut ready, mut ordered): (u32, Vec<u64>) = (6, Vec::new());
        let mut directions = Vec::new();
        for second in 0..3_600 {
            ready += ordered.iter().filter(|due| **due == second).count() as u32;
            ordered.retain(|due| *due > second);
            let share = |number| jobs / ready + u32::from(number < jobs % ready);
            let mut members: Vec<SetMember> =
                (0..ready).map(|number| agent(number, share(number))).collect();
            members.extend((0..ordered.len() as u32).map(|number| SetMember {
                state: MemberState::Starting,
                report_age: None,
                ..agent(1_000 + number, 0)
            }));
            match scaler.decide(at(second), &members).action {
                ScalingAction::Hold(_) => {}
                ScalingAction::Grow { start, .. } => {
                    ordered.extend((0..start).map(|_| second + 60));
                    directions.push(true);
                }
                ScalingAction::Shrink { drain } => {
                    ready -= drain.len() as u32;
                    directions.push(false);
                }
            }
        }
        directions.dedup();
        assert!(directions.len() <= 2, "{jobs} jobs: {directions:?}");
        let busy = f64::from(jobs) / (4.0 * 0.7 * f64::from(ready));
        assert!(busy <= 1.1, "{jobs} jobs, {ready} agents");
    }
}

#[test]
fn a_signal_that_never_reaches_its_target_is_refused() {
    let conflicts = |config: ScalingConfig, slots, queue| -> Vec<&str> {
        config.conflicts(slots, queue).into_iter().map(|conflict| conflict.setting).collect()
    };
    let config = ScalingConfig::default;
    assert!(conflicts(config(), Some(4), 0).is_empty());
    let full = ScalingConfig { slots_target: 0.95, ..config() };
    assert_eq!(conflicts(full.clone(), Some(4), 0), ["slots_target"]);
    assert!(conflicts(full, Some(4), 16).is_empty(), "the queue makes room for more");
    let slots = ScalingConfig { signal: ScalingSignal::Slots, ..config() };
    assert_eq!(conflicts(slots, None, 0), ["signal"]);
    let cpu = ScalingConfig { signal: ScalingSignal::Cpu, cpu_target: 95.0, ..config() };
    assert_eq!(conflicts(cpu, None, 0), ["cpu_target"]);
    let odd = ScalingConfig { min: 5, max: 4, calm: Duration::from_secs(1), ..config() };
    assert_eq!(conflicts(odd, None, 0), ["max", "calm"]);
}
