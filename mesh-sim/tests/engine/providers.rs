//! Providers, whose limits agents share: on both engines.

use super::*;

const ENGINES: [EngineKind; 2] = [EngineKind::Event, EngineKind::Turmoil];

/// A provider of the three agents that do the jobs.
fn provider(limits: &str) -> String {
    format!("[[providers]]\nname = \"model\"\nagents = \"agent-2..4\"\n{limits}\n")
}

/// [`SCENARIO`] with other jobs.
fn with_jobs(jobs: &str) -> String {
    let whole = "demand = { kind = \"constant\", value = \"20ms\" }";
    let scenario = SCENARIO.replace(whole, jobs);
    assert_ne!(scenario, SCENARIO);
    scenario
}

#[test]
fn agents_get_together_what_their_provider_gives() {
    for engine in ENGINES {
        let limits = provider("requests_per_minute = 600\nburst = 5");
        let Ran { record, .. } = run_on(engine, r#""random""#, SCENARIO, &limits);
        let answered = record.requests.answered;
        // Ten jobs a second for 13 s.
        assert!((128..=132).contains(&answered), "{engine:?}: {:?}", record.requests);
        let [counts] = record.providers[..] else { panic!("one provider") };
        let admitted = counts.asked - counts.refused();
        let done: u64 = record.work_per_agent.iter().sum();
        assert!(admitted.abs_diff(done) <= 1, "{engine:?}: {counts:?}, {done} done");
        // Each of the others was tried at all three agents.
        assert!(counts.over_rate > 2 * record.requests.refused, "{engine:?}: {counts:?}");
        assert_eq!(counts.over_concurrency, 0);
    }
}

#[test]
fn a_job_that_is_cancelled_or_dies_with_its_process_frees_its_place() {
    let jobs = with_jobs("wait = \"3s\"");
    // No job waits for a slot of its agent.
    let jobs = jobs.replace("count = 4", "count = 4\nconcurrency = \"unlimited\"");
    let limits = provider("concurrency = 1");
    for engine in ENGINES {
        // Every job is cancelled after two seconds, and another one begins.
        let Ran { record, .. } = run_on(engine, r#""random""#, &jobs, &limits);
        let [counts] = record.providers[..] else { panic!("one provider") };
        let admitted = counts.asked - counts.over_concurrency;
        assert!((6..=7).contains(&admitted), "{engine:?}: {counts:?}");

        let crash = "[[faults]]\nkind = \"crash\"\nmode = \"process\"\nhosts = \"agent-2..4\"\n\
                     at = \"5s\"\nfor = \"1s\"\n";
        let long = jobs.replace("deadline = \"2s\"", "deadline = \"4s\"");
        let Ran { record, .. } = run_on(engine, r#""random""#, &long, &format!("{limits}{crash}"));
        let late: u64 = record.timeline[8..].iter().map(|second| second.ended.answered).sum();
        assert!((2..=3).contains(&late), "{engine:?}: {late}");
    }
}

#[test]
fn only_jobs_of_some_kinds_use_it() {
    let kinds = with_jobs(
        "jobs = [{ name = \"chat\", demand = \"1ms\" }, { name = \"summary\", demand = \"1ms\" }]",
    );
    let limits = provider("requests_per_minute = 1\njobs = [\"summary\"]");
    for engine in ENGINES {
        let Ran { record, .. } = run_on(engine, r#""round_robin""#, &kinds, &limits);
        let [chat, summary] = &record.by_job[..] else { panic!("two kinds") };
        assert_eq!(chat.requests.failed(), 0, "{engine:?}: {chat:?}");
        assert_eq!(summary.requests.answered, 0, "{engine:?}: the token was taken before");
    }
}

#[test]
fn a_job_that_waits_for_its_parts_uses_nothing() {
    let tree = with_jobs(
        "jobs = [{ name = \"report\", wait = \"5ms\", calls = [{ job = \"search\" }] }, \
         { name = \"search\", share = 0, wait = \"5ms\" }]",
    );
    let tree =
        tree.replace("arrivals = \"poisson\"\nrate = 40", "arrivals = \"constant\"\nrate = 2");
    for engine in ENGINES {
        let Ran { record, .. } = run_on(engine, r#""random""#, &tree, &provider("concurrency = 1"));
        let [counts] = record.providers[..] else { panic!("one provider") };
        assert_eq!((record.requests.failed(), counts.refused()), (0, 0), "{engine:?}");
        // A part that the entry agent does itself is not the provider's.
        assert!(counts.asked > 40, "{engine:?}: {counts:?}");
    }
}
