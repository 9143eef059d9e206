//! Capacities, loads and warnings of small scenarios.

use super::*;

/// A scenario of two agents with two cores each: 40 jobs of 100 ms per second. Without a warning.
const CALM: &str = r#"
duration = "70s"
warm_up = "10s"
agents = [{ count = 2, cores = 2 }]
[workload]
rate = 20
demand = { kind = "exponential", mean = "100ms" }
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::parse(text, "x.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// The calm scenario with something else in it.
fn with(changes: &[(&str, &str)]) -> Scenario {
    let changed = changes.iter().fold(CALM.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replace(old, new)
    });
    scenario(&changed)
}

/// How many requests per second a scenario's agents can do.
fn capacity(scenario: &Scenario) -> f64 {
    let exact = Estimate::of(scenario).capacity().expect("something limits them");
    (exact * 1e4).round() / 1e4
}

/// The only warning of a scenario.
fn warning(scenario: &Scenario) -> String {
    let warnings = Estimate::of(scenario).warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    warnings[0].clone()
}

#[test]
fn a_calm_scenario_has_no_warning() {
    let calm = scenario(CALM);
    assert_eq!(Estimate::of(&calm).warnings(), Vec::<String>::new());
    assert_eq!(capacity(&calm), 40.0);
}

#[test]
fn slots_limit_jobs_that_wait() {
    let wait = ("demand = ", "wait = \"900ms\"\ndemand = ");
    assert_eq!(capacity(&with(&[wait])), 4.0);
    let more = ("cores = 2", "cores = 2, concurrency = 100");
    assert_eq!(capacity(&with(&[wait, more])), 40.0, "cores limit them now");
    let unlimited = ("cores = 2", "cores = 2, concurrency = \"unlimited\"");
    assert_eq!(capacity(&with(&[unlimited])), 40.0);
}

#[test]
fn unequal_agents_get_unequal_shares() {
    let unequal = ("[{ count = 2, cores = 2 }]", "[{ cores = 1 }, { name = \"b\", cores = 3 }]");
    assert_eq!(capacity(&with(&[unequal])), 40.0);
    let busy = ("cores = 2", "cores = 2, background = 0.5");
    assert_eq!(capacity(&with(&[busy])), 20.0);
    let gate = ("rate = 20", "rate = 20\nentry = \"agent-1\"");
    assert_eq!(capacity(&with(&[gate])), 20.0, "an agent does not hand jobs to itself");
}

/// Two agents can do everything, one only `a`; half of the jobs are of either kind.
const SKILLED: &str = r#"
duration = "70s"
warm_up = "10s"
agents = [{ name = "both", skills = ["a", "b"] }, { name = "some", count = 3, skills = ["a"] }]
[workload]
rate = 15
[[workload.jobs]]
name = "a"
skill = "a"
demand = "100ms"
[[workload.jobs]]
name = "b"
skill = "b"
demand = "100ms"
"#;

#[test]
fn jobs_go_to_who_can_do_them() {
    // Five requests of either kind per second and ten jobs per second and agent: `both` does all
    // of b, so twenty requests per second are its limit.
    assert_eq!(capacity(&scenario(SKILLED)), 20.0);
    let without = SKILLED.replace("[\"a\"]", "[\"a\", \"b\"]");
    assert_eq!(capacity(&scenario(&without)), 40.0);
    let estimate = scenario(SKILLED);
    let text = Estimate::of(&estimate).text();
    assert!(text.contains("b: 1 agent, 75 % busy with it alone"), "{text}");
}

#[test]
fn a_skill_that_is_too_busy_is_named() {
    let skilled = SKILLED.replace("rate = 15", "rate = 25");
    let skilled = scenario(&skilled);
    let warnings = Estimate::of(&skilled).warnings();
    assert!(warnings.iter().any(|text| text.contains("the skill b can't do their part: 125 %")));
}

#[test]
fn parts_are_work_too() {
    let parts = SKILLED.replace("skill = \"a\"", "calls = [{ job = \"b\", count = 2 }]");
    let parts = parts.replace("[\"a\"]", "[\"a\", \"b\"]");
    let parts = parts.replace("name = \"b\"\n", "name = \"b\"\nshare = 0.0\n");
    // Each request is three jobs of 100 ms. Their slots are taken for 200 + 2 x 100 ms.
    assert_eq!(capacity(&scenario(&parts)), 10.0);
}

#[test]
fn more_than_all_can_do_is_a_warning() {
    let text = warning(&with(&[("rate = 20", "rate = 50")]));
    assert!(text.contains("125 % of the capacity, all the time"), "{text}");
    assert!(text.contains("take 3 agents like these, or at most 40 requests/s"), "{text}");
    let burst = "rate = 20\nbursts = [{ at = \"30s\", for = \"5s\", factor = 3 }]";
    let text = warning(&with(&[("rate = 20", burst)]));
    assert!(text.contains("150 % of the capacity, for 5 s, from 30 s on"), "{text}");
    let curve = "rate = 20\n[workload.curve]\nperiod = \"70s\"\n\
                 points = [{ at = \"0s\", factor = 0.5 }, { at = \"40s\", factor = 2.5 }]";
    let peak = CALM.replace("rate = 20", "rate = 20.0").replace("rate = 20.0\n", "");
    let text = warning(&scenario(&format!("{peak}{curve}\n")));
    assert!(text.contains("125 % of the capacity"), "{text}");
}

#[test]
fn agents_that_leave_leave_less() {
    let leaving = "[{ cores = 2 }, { name = \"b\", cores = 2, leaves = \"40s\" }]";
    let leaving = [("[{ count = 2, cores = 2 }]", leaving), ("rate = 20", "rate = 30")];
    let text = warning(&with(&leaving));
    assert!(text.contains("150 % of the capacity, for 30 s, from 40 s on"), "{text}");
}

#[test]
fn closed_loops_never_ask_for_too_much() {
    let closed = "arrivals = \"closed\"\nclients = 40\nthink = \"896ms\"";
    let closed = with(&[("rate = 20", closed)]);
    let estimate = Estimate::of(&closed);
    assert_eq!(estimate.warnings(), Vec::<String>::new());
    // A round takes 896 + 100 + 4 ms.
    let text = estimate.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("closed loop: at most 40 requests/s, 100 % of the capacity"), "{text}");
}

#[test]
fn sessions_need_less_where_they_stay() {
    let sessions = "rate = 50\nsessions = { length = 10, pause = \"1s\", warm = 0.2 }";
    let sessions = with(&[("rate = 20", sessions)]);
    let estimate = Estimate::of(&sessions);
    assert_eq!(estimate.warnings(), Vec::<String>::new());
    assert!(estimate.text().contains("143 requests/s at best"), "{}", estimate.text());
}

#[test]
fn a_provider_that_all_need_may_allow_too_little() {
    let provider = |per_minute: u32, agents: &str| {
        let provider = format!(
            "[[providers]]\nname = \"model\"\nagents = \"{agents}\"\n\
             requests_per_minute = {per_minute}\n[workload]"
        );
        with(&[("[workload]", &provider)])
    };
    let text = warning(&provider(600, "*"));
    assert!(text.contains("model allows 10 jobs/s, and requests need 200 %"), "{text}");
    assert!(Estimate::of(&provider(1200, "*")).warnings().is_empty());
    assert!(Estimate::of(&provider(600, "agent-1")).warnings().is_empty(), "agent-2 has no limit");
    assert_eq!(Estimate::of(&provider(600, "*")).capacity(), Some(10.0));
}

#[test]
fn the_accounts_of_all_agents_limit_them_together() {
    let accounts = |first: u32, second: u32| {
        let account = |number: u32, per_minute: u32| {
            format!(
                "[[providers]]\nname = \"account-{number}\"\nagents = \"agent-{number}\"\n\
                 requests_per_minute = {per_minute}\n"
            )
        };
        let both = format!("{}{}[workload]", account(1, first), account(2, second));
        with(&[("[workload]", &both)])
    };
    // The second agent alone can do 20 jobs per second.
    let estimate = accounts(300, 60_000);
    let estimate = Estimate::of(&estimate);
    assert_eq!(estimate.capacity(), Some(25.0));
    assert!(estimate.text().contains("80 % of the capacity"), "{}", estimate.text());
    let text = warning(&accounts(300, 600));
    assert!(text.starts_with("more comes than all providers allow: up to 133 %"), "{text}");
}

#[test]
fn jobs_that_come_together_may_be_refused_although_there_is_room() {
    let warnings = |per_minute: u32, burst: &str, agents: [&str; 2]| {
        let account = |number: usize| {
            format!(
                "[[providers]]\nname = \"account-{}\"\nagents = \"{}\"\n\
                 requests_per_minute = {per_minute}\n{burst}\n",
                number + 1,
                agents[number]
            )
        };
        let both = format!("{}{}[workload]", account(0), account(1));
        Estimate::of(&with(&[("[workload]", &both)])).warnings()
    };
    // 20 jobs/s come to two accounts of 15 each: 67 %. Of those, 40 % find one token missing.
    let own = ["agent-1", "agent-2"];
    let one = warnings(900, "burst = 1", own);
    let text = one.first().expect("a warning");
    assert!(
        text.starts_with("the provider account-1 (and 1 more like it) lets 1 job begin"),
        "{text}"
    );
    assert!(text.contains("only 67 % of its rate"), "{text}");
    assert_eq!(warnings(900, "burst = 5", own), Vec::<String>::new());
    assert_eq!(warnings(900, "", own), Vec::<String>::new(), "15 at once");
    assert_eq!(warnings(9_000, "burst = 1", own), Vec::<String>::new(), "13 % busy");
}

#[test]
fn deadlines_that_the_jobs_alone_miss_are_a_warning() {
    let slow = "deadline = \"60ms\"\ndemand = ";
    let text = warning(&with(&[("demand = ", slow)]));
    // exp(-0.56), 4 ms of the deadline are the network's.
    assert!(text.starts_with("58 % of the jobs take longer") || text.starts_with("57 %"), "{text}");
    assert!(
        Estimate::of(&with(&[("demand = ", "deadline = \"500ms\"\ndemand = ")]))
            .warnings()
            .is_empty()
    );
}

#[test]
fn a_warm_up_has_a_sensible_length() {
    let long = [("\"exponential\", mean = \"100ms\"", "\"constant\", value = \"4s\"")];
    let few = [long[0], ("rate = 20", "rate = 0.7"), ("\"70s\"", "\"2000s\"")];
    let deadline = ("demand = ", "deadline = \"30s\"\ndemand = ");
    let calm = with(&[few[0], few[1], few[2], deadline, ("\"10s\"", "\"9s\"")]);
    assert!(Estimate::of(&calm).warnings().is_empty(), "9s of 2000s do not count");
    let text = with(&[few[0], few[1], ("\"70s\"", "\"900s\""), deadline, ("\"10s\"", "\"9s\"")]);
    let text = Estimate::of(&text).warnings().join(" ");
    assert!(text.contains("short for jobs of 4 s on average") && text.contains("12 s"), "{text}");
    let text = warning(&with(&[("\"10s\"", "\"40s\""), ("rate = 20", "rate = 36")]));
    assert!(text.contains("more than half of the run"), "{text}");
}

#[test]
fn too_few_requests_for_a_quantile_are_a_warning() {
    let text = warning(&with(&[("rate = 20", "rate = 10")]));
    assert!(
        text.contains("about 600 requests count") && text.contains("p99 needs 1,000"),
        "{text}"
    );
    assert!(text.contains("Set `duration` to 115 s or more"), "{text}");
    let seeds = [("rate = 20", "rate = 10"), ("warm_up", "seeds = [1, 2]\nwarm_up")];
    assert!(Estimate::of(&with(&seeds)).warnings().is_empty(), "seeds count together");
    let by = "objective = { by = [\"p99_9\"] }\nwarm_up";
    let text = warning(&with(&[("warm_up", by)]));
    assert!(text.contains("p99.9 needs 10,000"), "{text}");
}

#[test]
fn every_line_fits_a_terminal() {
    for text in [CALM, SKILLED] {
        let scenario = scenario(text);
        let report = Estimate::of(&scenario).report();
        assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");
        assert!(report.lines().all(|line| line.starts_with("  ")), "{report}");
    }
}
