//! Kinds of jobs: waits, skills, shares and deadlines of their own, in both engines.

use super::*;

const ENGINES: [EngineKind; 2] = [EngineKind::Turmoil, EngineKind::Event];

/// [`SCENARIO`] with another workload and other agents.
fn scenario(agents: &str, workload: &str) -> String {
    let (head, rest) = SCENARIO.split_once("[[agents]]").expect("agents");
    let (_, rest) = rest.split_once("[workload]").expect("a workload");
    let load = rest.replace("demand = { kind = \"constant\", value = \"20ms\" }\n", "");
    format!("{head}{agents}\n[workload]{load}{workload}\n")
}

#[test]
fn jobs_that_wait_hold_their_slots_and_leave_the_cpu_idle() {
    let agents = "[[agents]]\nname = \"agent\"\ncount = 4\nconcurrency = 2";
    let workload = "demand = { kind = \"constant\", value = \"1ms\" }\n\
                    wait = { kind = \"constant\", value = \"100ms\" }";
    for engine in ENGINES {
        let ran = run_on(engine, "\"least_loaded\"", &scenario(agents, workload), "");
        assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
        let cpu = ran.record.timeline[3..14].iter().flat_map(|second| &second.cpu_percent);
        // 40 requests a second of 1 ms each are 4 % of one core; in a second, even one agent alone
        // can begin no more than 20 jobs.
        assert!(cpu.clone().all(|percent| *percent <= 3.0), "{:?}", cpu.collect::<Vec<_>>());
        // The others have 6 slots, of which 4 are busy on average: some jobs have to wait.
        let least = ran.record.latency.quantile_ns(0.01);
        let most = ran.record.latency.quantile_ns(0.99);
        assert!(least > 101_000_000 && most > 150_000_000, "{least} {most}");
    }
}

#[test]
fn each_kind_goes_to_those_who_have_its_skill() {
    let agents = "[[agents]]\nname = \"gateway\"\n\
                  [[agents]]\nname = \"drawer\"\ncount = 2\nskills = [\"draw\"]\n\
                  [[agents]]\nname = \"singer\"\nskills = [\"sing\", \"model:x\"]\nwait_speed = 2.0";
    let workload = r#"
        [[workload.jobs]]
        name = "picture"
        skill = "draw"
        demand = { kind = "constant", value = "10ms" }
        [[workload.jobs]]
        name = "song"
        share = 3
        skill = "model:x"
        wait = { kind = "constant", value = "20ms" }
        "#;
    let text = scenario(agents, workload).replace("agent-1", "gateway");
    for engine in ENGINES {
        let ran = run_on(engine, "\"random\"", &text, "");
        assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
        let [pictures, songs] = &ran.record.by_job[..] else { panic!("two kinds") };
        let sent = (pictures.requests.sent, songs.requests.sent);
        assert_eq!(sent.0 + sent.1, ran.record.requests.sent);
        assert!(sent.1 > 2 * sent.0, "{sent:?}");
        let work = &ran.record.work_per_agent;
        assert_eq!(work[0], 0, "the gateway has no skill");
        assert!(work[1] > 20 && work[2] > 20, "{work:?}");
        // Jobs in flight at the ends of the warm-up and of the run may differ.
        assert!(work[3].abs_diff(sent.1) <= 3, "{work:?} {sent:?}");
        // Half of 20 ms, and never more than the wait of a job before it on one core.
        let p50 = songs.latency.quantile_ns(0.5);
        assert!((10_000_000..20_000_000).contains(&p50), "{p50}");
    }
}

#[test]
fn a_kind_has_a_deadline_of_its_own() {
    let agents = "[[agents]]\nname = \"agent\"\ncount = 4\nconcurrency = \"unlimited\"";
    let workload = r#"
        [[workload.jobs]]
        name = "patient"
        wait = { kind = "constant", value = "300ms" }
        [[workload.jobs]]
        name = "hasty"
        deadline = "200ms"
        wait = { kind = "constant", value = "300ms" }
        "#;
    for engine in ENGINES {
        let ran = run_on(engine, "\"random\"", &scenario(agents, workload), "");
        let [patient, hasty] = &ran.record.by_job[..] else { panic!("two kinds") };
        assert_eq!(patient.requests.failed(), 0);
        assert_eq!((hasty.requests.answered, hasty.latency.quantile_ns(1.0)), (0, 200_000_000));
    }
}

/// Agents with room for whatever comes, and a workload of two requests per second of the kind
/// "root".
fn tree(root: &str, others: &str) -> String {
    let agents = "[[agents]]\nname = \"agent\"\ncount = 5\nconcurrency = \"unlimited\"\n\
                  cpu_window = \"100ms\"";
    let kind = "[[workload.jobs]]\nname = \"root\"\n";
    scenario(agents, &format!("{kind}{root}\n{others}")).replace("rate = 40", "rate = 2")
}

/// A kind of jobs that are only parts of others, and wait this many milliseconds.
fn part(name: &str, wait: u64, more: &str) -> String {
    format!(
        "[[workload.jobs]]\nname = \"{name}\"\nshare = 0\n\
         wait = {{ kind = \"constant\", value = \"{wait}ms\" }}\n{more}\n"
    )
}

/// The latencies of all requests, in milliseconds: the least and the greatest.
fn span(ran: &Ran) -> (u64, u64) {
    assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
    let latency = &ran.record.latency;
    (latency.min_ns() / 1_000_000, latency.quantile_ns(1.0) / 1_000_000)
}

#[test]
fn a_job_has_others_done_at_once_or_in_turn_and_waits_for_as_many_as_it_needs() {
    let parts = part("slow", 300, "") + &part("quick", 100, "");
    let calls = "calls = [{ job = \"quick\", count = 2 }, { job = \"slow\" }]";
    let wait = "wait = { kind = \"constant\", value = \"50ms\" }";
    for engine in ENGINES {
        let run = |more: &str| {
            let text = tree(&format!("{wait}\n{calls}\n{more}"), &parts);
            run_on(engine, "\"random\"", &text, "")
        };
        // Each hop over the network takes a few milliseconds, the more in ticks of 1 ms.
        let all = run("");
        let (least, most) = span(&all);
        assert!(least >= 350 && most < 400, "{least} {most}");
        let [root, slow, quick] = &all.record.by_job[..] else { panic!("three kinds") };
        assert_eq!(root.as_part.count(), 0);
        assert_eq!(slow.requests.sent, 0, "they come as parts only");
        assert_eq!(quick.as_part.count(), 2 * root.requests.sent);
        assert_eq!(slow.as_part.count(), root.requests.sent);
        let p50 = slow.as_part.quantile_ns(0.5) / 1_000_000;
        assert!((300..350).contains(&p50), "{p50}");

        let first = run("join = 2");
        let (least, most) = span(&first);
        assert!(least >= 150 && most < 200, "{least} {most}");
        assert_eq!(first.record.by_job[1].as_part.count(), 0, "nobody waited for them");
        assert!(first.count("cancelled") + first.count("job_ended") > 0);

        let (least, most) = span(&run("in_turn = true"));
        assert!(least >= 550 && most < 630, "{least} {most}");
    }
}

#[test]
fn parts_have_parts_and_end_with_the_whole() {
    let deep =
        part("middle", 20, "calls = [{ job = \"leaf\", count = 2 }]") + &part("leaf", 40, "");
    for engine in ENGINES {
        let text = tree("calls = [{ job = \"middle\" }]", &deep);
        let ran = run_on(engine, "\"power_of_two\"", &text, "");
        let (least, most) = span(&ran);
        assert!(least >= 60 && most < 120, "{least} {most}");
        let [root, middle, leaf] = &ran.record.by_job[..] else { panic!("three kinds") };
        let sent = root.requests.sent;
        assert_eq!((middle.as_part.count(), leaf.as_part.count()), (sent, 2 * sent));

        // Nobody waits longer than the request: its parts are told what is left of its time.
        let late = text.replace("deadline = \"2s\"", "deadline = \"50ms\"");
        let ran = run_on(engine, "\"random\"", &late, "");
        assert_eq!(ran.record.requests.answered, 0);
        assert!(ran.record.requests.timed_out > 0, "{:?}", ran.record.failures);
    }
}

#[test]
fn a_job_is_cheaper_at_the_agent_that_did_the_last_of_its_session() {
    let agents = |count| {
        format!("[[agents]]\nname = \"agent\"\ncount = {count}\nconcurrency = \"unlimited\"")
    };
    let workload = r#"
        wait = { kind = "constant", value = "100ms" }
        [workload.sessions]
        length = 1000
        pause = { kind = "constant", value = "0s" }
        warm = 0.4
        "#;
    for engine in ENGINES {
        let latency = |count: u32| {
            let text = scenario(&agents(count), workload).replace("rate = 40", "rate = 4");
            let ran = run_on(engine, "\"round_robin\"", &text, "");
            assert_eq!(ran.record.requests.failed(), 0, "{:?}", ran.record.failures);
            let latency = &ran.record.latency;
            (latency.min_ns() / 1_000_000, latency.quantile_ns(1.0) / 1_000_000)
        };
        // One agent does all jobs of the only session; two take turns, and are always cold.
        let (warm, cold) = (latency(2), latency(3));
        assert!(warm.0 >= 40 && warm.1 < 60, "{warm:?}");
        assert!(cold.0 >= 100 && cold.1 < 120, "{cold:?}");
    }
}
