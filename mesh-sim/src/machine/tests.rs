use proptest::prelude::*;

use super::*;

pub(super) fn spec(cores: u32) -> MachineSpec {
    MachineSpec {
        cores,
        speed: 1.0,
        wait_speed: 1.0,
        background: Vec::new(),
        memory_base_percent: 20.0,
        memory_per_job_percent: 5.0,
        cpu_window: Duration::from_secs(1),
    }
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(ms * 1_000_000)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Calls the machine at its own timeouts until no job is left. Returns each job with the time of
/// its end.
fn run(machine: &mut Machine<u32>) -> Vec<(u32, Timestamp)> {
    let mut ends = Vec::new();
    let mut now = Timestamp::ZERO;
    loop {
        ends.extend(std::iter::from_fn(|| machine.poll_finished()).map(|job| (job, now)));
        let Some(next) = machine.poll_timeout() else { return ends };
        now = next;
        machine.handle_timeout(now);
    }
}

#[test]
fn a_core_each_runs_at_full_speed_and_ends_exactly() {
    let mut machine = Machine::new(&spec(2));
    machine.start(at(0), 1, Duration::from_nanos(333), Duration::ZERO);
    machine.start(at(0), 2, ms(7), Duration::ZERO);
    assert_eq!(run(&mut machine), [(1, Timestamp::from_nanos(333)), (2, at(7))]);
}

#[test]
fn jobs_share_the_cores_equally() {
    let mut machine = Machine::new(&spec(2));
    machine.start(at(0), 1, ms(10), Duration::ZERO);
    machine.start(at(0), 2, ms(20), Duration::ZERO);
    machine.start(at(0), 3, ms(40), Duration::ZERO);
    // Each gets 2/3 of a core until 15 ms; then two are left, with a core each.
    assert_eq!(run(&mut machine), [(1, at(15)), (2, at(25)), (3, at(45))]);
}

#[test]
fn uneven_shares_stay_exact_for_hours() {
    let mut machine = Machine::new(&spec(2));
    for job in 1..=3 {
        machine.start(at(0), job, ms(3_600_000), Duration::ZERO);
    }
    assert_eq!(run(&mut machine), [(1, at(5_400_000)), (2, at(5_400_000)), (3, at(5_400_000))]);
}

#[test]
fn an_arrival_slows_the_running_job() {
    let mut machine = Machine::new(&spec(1));
    machine.start(at(0), 1, ms(10), Duration::ZERO);
    machine.start(at(5), 2, ms(10), Duration::ZERO);
    assert_eq!(run(&mut machine), [(1, at(15)), (2, at(20))]);
}

#[test]
fn equal_jobs_end_in_the_order_they_started() {
    let mut machine = Machine::new(&spec(1));
    for job in [3, 1, 2] {
        machine.start(at(0), job, ms(2), Duration::ZERO);
    }
    assert_eq!(run(&mut machine), [(3, at(6)), (1, at(6)), (2, at(6))]);
}

#[test]
fn a_job_without_demand_ends_at_once() {
    let mut machine = Machine::new(&spec(1));
    machine.start(at(3), 1, Duration::ZERO, Duration::ZERO);
    assert_eq!(machine.poll_finished(), Some(1));
    assert_eq!((machine.running(), machine.poll_timeout()), (0, None));
}

#[test]
fn a_late_driver_changes_no_result() {
    let mut machine = Machine::new(&spec(1));
    machine.start(at(0), 1, ms(10), Duration::ZERO);
    // Job 1 was over at 10 ms, so job 2 has the core to itself.
    machine.start(at(20), 2, ms(10), Duration::ZERO);
    assert_eq!(machine.poll_finished(), Some(1));
    assert_eq!(machine.poll_timeout(), Some(at(30)));
}

#[test]
fn speed_and_its_factor_scale_the_rate() {
    let mut machine = Machine::new(&MachineSpec { speed: 2.0, ..spec(1) });
    machine.start(at(0), 1, ms(40), Duration::ZERO);
    machine.set_speed_factor(at(10), 0.25);
    assert_eq!(machine.poll_timeout(), Some(at(50)));
    machine.set_speed_factor(at(30), 1.0);
    assert_eq!(run(&mut machine), [(1, at(35))]);
}

#[test]
fn background_load_takes_its_share_by_schedule() {
    let background = vec![
        ScheduleStep { at: ms(0), value: 0.5 },
        ScheduleStep { at: ms(20), value: 1.0 },
        ScheduleStep { at: ms(30), value: 0.0 },
    ];
    let mut machine = Machine::new(&MachineSpec { background, ..spec(2) });
    // One core is left for two jobs, then none, then both.
    machine.start(at(0), 1, ms(15), Duration::ZERO);
    machine.start(at(0), 2, ms(20), Duration::ZERO);
    assert_eq!(machine.poll_timeout(), Some(at(20)), "the step may move the end");
    assert_eq!(run(&mut machine), [(1, at(35)), (2, at(40))]);
}

#[test]
fn half_of_two_cores_is_enough_for_one_job() {
    let background = vec![ScheduleStep { at: ms(0), value: 0.5 }];
    let mut machine = Machine::new(&MachineSpec { background, ..spec(2) });
    machine.start(at(0), 1, ms(15), Duration::ZERO);
    assert_eq!(run(&mut machine), [(1, at(15))]);
}

#[test]
fn an_override_replaces_the_schedule_until_it_is_lifted() {
    let background = vec![ScheduleStep { at: ms(5), value: 0.75 }];
    let mut machine = Machine::new(&MachineSpec { background, ..spec(1) });
    machine.set_background_override(at(0), Some(0.5));
    machine.start(at(0), 1, ms(10), Duration::ZERO);
    // 5 ms of work by 10 ms, and the rest at the quarter that the schedule has left meanwhile.
    machine.set_background_override(at(10), None);
    assert_eq!(run(&mut machine), [(1, at(30))]);
}

#[test]
fn a_machine_without_free_cores_waits_for_the_next_step() {
    let mut machine = Machine::new(&spec(1));
    machine.set_background_override(at(0), Some(1.0));
    machine.start(at(0), 1, ms(1), Duration::ZERO);
    assert_eq!(machine.poll_timeout(), None);
    machine.handle_timeout(Timestamp::MAX - ms(5));
    assert_eq!(machine.poll_finished(), None);
    machine.set_background_override(Timestamp::MAX - ms(5), None);
    assert_eq!(machine.poll_timeout(), Some(Timestamp::MAX - ms(4)));
}

#[test]
fn a_job_longer_than_the_clock_never_ends() {
    let mut machine = Machine::new(&spec(1));
    machine.start(at(1), 1, Duration::MAX, Duration::ZERO);
    assert_eq!(machine.poll_timeout(), None);
    machine.handle_timeout(Timestamp::MAX);
    assert_eq!(machine.running(), 1);
}

#[test]
fn cancel_frees_the_share() {
    let mut machine = Machine::new(&spec(1));
    machine.start(at(0), 1, ms(10), Duration::ZERO);
    machine.start(at(0), 2, ms(10), Duration::ZERO);
    machine.cancel(at(10), 1);
    machine.cancel(at(10), 7);
    assert_eq!(run(&mut machine), [(2, at(15))]);
}

#[test]
fn crash_drops_running_and_finished_jobs() {
    let mut machine = Machine::new(&spec(1));
    machine.start(at(0), 1, ms(1), Duration::ZERO);
    machine.start(at(0), 2, ms(10), Duration::ZERO);
    machine.switch_off(at(5));
    assert_eq!(
        (machine.running(), machine.poll_finished(), machine.poll_timeout()),
        (0, None, None)
    );
    machine.start(at(6), 3, ms(1), Duration::ZERO);
    assert_eq!(run(&mut machine), [(3, at(7))]);
}

#[test]
fn cpu_is_the_busy_share_since_the_last_sample() {
    let mut machine = Machine::new(&spec(4));
    machine.start(at(0), 1, ms(50), Duration::ZERO);
    assert_eq!(machine.sample_cpu(at(0)), 25.0, "no time has passed: the share now");
    assert_eq!(machine.sample_cpu(at(100)), 12.5);
    assert_eq!(machine.sample_cpu(at(200)), 0.0);
    for job in 0..40 {
        machine.start(at(200), job, ms(50), Duration::ZERO);
    }
    assert_eq!(machine.sample_cpu(at(300)), 100.0, "saturates");
}

#[test]
fn cpu_counts_background_load() {
    let mut machine = Machine::<u32>::new(&spec(4));
    machine.set_background_override(at(0), Some(0.5));
    assert_eq!(machine.sample_cpu(at(10)), 50.0);
    machine.start(at(10), 1, ms(100), Duration::ZERO);
    assert_eq!(machine.sample_cpu(at(20)), 75.0);
}

#[test]
fn memory_grows_with_jobs_up_to_all_of_it() {
    let machine = Machine::<u32>::new(&spec(1));
    assert_eq!(machine.memory_percent(0), 20.0);
    assert_eq!(machine.memory_percent(4), 40.0);
    assert_eq!(machine.memory_percent(1_000), 100.0);
}

#[test]
fn jobs_that_wait_slow_nobody_down_and_keep_no_core_busy() {
    let mut machine = Machine::new(&MachineSpec { wait_speed: 2.0, ..spec(1) });
    machine.start(at(0), 1, ms(10), ms(40));
    machine.start(at(0), 2, ms(10), ms(80));
    machine.start(at(0), 3, Duration::ZERO, ms(100));
    // 1 and 2 share the core until 20 ms.
    assert_eq!(run(&mut machine), [(1, at(40)), (3, at(50)), (2, at(60))]);
    assert_eq!(machine.sample_cpu(at(100)), 20.0);
    // What jobs wait for can slow down, too, in the middle of a wait.
    machine.start(at(100), 4, Duration::ZERO, ms(100));
    machine.set_speed_factor(at(120), 0.5);
    assert_eq!((machine.poll_timeout(), machine.running()), (Some(at(180)), 1));
    machine.cancel(at(150), 4);
    assert_eq!((machine.poll_timeout(), machine.running()), (None, 0));
}

#[derive(Clone, Debug)]
enum Op {
    Start(u64, u64),
    Cancel(u32),
    Background(Option<f64>),
    Speed(f64),
    Crash,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0u64..5_000_000, 0u64..5_000_000).prop_map(|(demand, wait)| {
            Op::Start(demand.saturating_sub(1_000_000), wait.saturating_sub(2_500_000))
        }),
        2 => (0u32..50).prop_map(Op::Cancel),
        1 => proptest::option::of(0.0..=1.0).prop_map(Op::Background),
        1 => (0.0..3.0).prop_map(Op::Speed),
        1 => Just(Op::Crash),
    ]
}

impl Op {
    fn apply(&self, machine: &mut Machine<u32>, now: Timestamp, job: u32) {
        match *self {
            Self::Start(demand, wait) => {
                let [demand, wait] = [demand, wait].map(Duration::from_nanos);
                machine.start(now, job, demand, wait);
            }
            Self::Cancel(job) => machine.cancel(now, job),
            Self::Background(share) => machine.set_background_override(now, share),
            Self::Speed(factor) => machine.set_speed_factor(now, factor),
            Self::Crash => machine.switch_off(now),
        }
    }
}

proptest! {
    #[test]
    fn many_small_steps_equal_one_big_step(
        ops in proptest::collection::vec((op(), 0u64..4_000_000), 1..60),
        cores in 1u32..5,
        steps in proptest::collection::btree_map(0u64..100, 0.0..=1.0, 0..5),
        small in 1u64..100_000,
    ) {
        let background =
            steps.into_iter().map(|(at, value)| ScheduleStep { at: ms(at), value }).collect();
        let mut coarse = Machine::new(&MachineSpec { background, speed: 0.7, ..spec(cores) });
        let mut fine = coarse.clone();
        let mut now = Timestamp::ZERO;
        for (job, (op, gap)) in ops.iter().enumerate() {
            let next = now + Duration::from_nanos(*gap);
            while now < next {
                fine.handle_timeout(now);
                now += Duration::from_nanos(small);
            }
            now = next;
            op.apply(&mut coarse, now, job as u32);
            op.apply(&mut fine, now, job as u32);
            prop_assert_eq!(coarse.poll_timeout(), fine.poll_timeout());
            let finished = |machine: &mut Machine<u32>| {
                std::iter::from_fn(|| machine.poll_finished()).collect::<Vec<_>>()
            };
            prop_assert_eq!(finished(&mut coarse), finished(&mut fine));
        }
        prop_assert_eq!(coarse.cores_station.attained(), fine.cores_station.attained());
        prop_assert_eq!(coarse.wait_station.attained(), fine.wait_station.attained());
        prop_assert_eq!(coarse.sample_cpu(now).to_bits(), fine.sample_cpu(now).to_bits());
    }
}

/// CPU % of each second until `now`, the second that is not over last.
fn seconds(machine: &mut Machine<u32>, now: Timestamp) -> Vec<(u64, f64)> {
    machine.handle_timeout(now);
    let passed: Vec<_> = std::iter::from_fn(|| machine.poll_second()).collect();
    passed.into_iter().chain(machine.present_second()).collect()
}

#[test]
fn a_second_has_the_cpu_share_of_what_happened_within_it() {
    let mut machine = Machine::new(&spec(2));
    machine.start(at(2_000), 1, ms(1_000), Duration::ZERO);
    assert_eq!(seconds(&mut machine, at(4_000)), [(2, 50.0)]);
    // Across several seconds at once; samples leave no trace.
    machine.start(at(4_500), 2, ms(3_000), Duration::ZERO);
    machine.sample_cpu(at(5_250));
    let expected = [(4, 25.0), (5, 50.0), (6, 50.0), (7, 25.0), (8, 0.0)];
    assert_eq!(seconds(&mut machine, at(8_500)), expected);
}

#[test]
fn a_crash_keeps_the_busy_share_until_then_and_ends_it() {
    let background = vec![ScheduleStep { at: ms(0), value: 0.5 }];
    let mut machine = Machine::new(&MachineSpec { background, ..spec(1) });
    machine.set_background_override(at(0), Some(0.0));
    machine.start(at(2_000), 1, ms(1_000), Duration::ZERO);
    machine.switch_off(at(2_500));
    // Nothing runs on a machine that is off.
    machine.set_background_override(at(3_000), None);
    machine.boot(at(5_500));
    assert_eq!(machine.sample_cpu(at(6_000)), 50.0, "what was before the boot is not in it");
    assert_eq!(seconds(&mut machine, at(6_000)), [(2, 50.0), (5, 25.0)]);
}
