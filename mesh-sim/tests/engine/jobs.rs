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
