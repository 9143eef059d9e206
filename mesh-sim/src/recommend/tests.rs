use std::collections::BTreeSet;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::engine::{Run, RunDetail, to_the_end};
use crate::figures::Objective;
use crate::judge::{Causes, Entrant, MeasuredFigures, Ranking};
use crate::runner::{RunProgress, run_each};
use crate::scenario::{EngineKind, Scenario, ScenarioFile};

/// Six agents of one slot each at 70 % of their capacity.
const FLEET: &str = r#"
name = "fleet"
description = "six agents"
engine = "event"
duration = "30s"
policies = ["random"]
[registry]
ttl = "6s"
heartbeat = "2s"
refresh = "1s"
[[agents]]
name = "agent"
count = 6
[network]
latency = "1ms"
[workload]
arrivals = "poisson"
rate = 42
demand = { kind = "exponential", mean = "100ms" }
"#;

/// Holds each stage to what those before it have announced.
#[derive(Default)]
struct Onlooker {
    most: Option<usize>,
}

impl Progress for Onlooker {
    fn begin(&mut self, stage: &str, runs: &[Run<'_>], later: usize) {
        // A second confirmation means that the first has contradicted the choice.
        let most = self.most.replace(later).filter(|_| stage != "confirmation");
        let now = runs.len() + later;
        assert!(most.is_none_or(|most| now <= most), "{stage}: {now} runs, {most:?} announced");
    }
    fn update(&mut self, news: RunProgress) -> ControlFlow<()> {
        to_the_end(news)
    }
    fn end(&mut self) {}
}

fn quick(policies: &[&str]) -> RecommendSpec {
    let policies = policies.iter().map(|policy| (*policy).to_owned()).collect();
    RecommendSpec { policies, is_quick: true, ..RecommendSpec::default() }
}

fn on(text: &str, spec: &RecommendSpec, threads: usize) -> Recommendation {
    let file = ScenarioFile::parse(text, "fleet.toml").unwrap_or_else(|found| panic!("{found}"));
    let threads = NonZero::new(threads).unwrap();
    recommend(&file, spec, threads, &mut Onlooker::default()).unwrap()
}

/// The policies of the fleet and those that are built in, as far as they are named.
fn among(text: &str, policies: &[&str]) -> Recommendation {
    on(text, &quick(policies), 2)
}

fn with_policies(policies: &str) -> String {
    FLEET.replace("policies = [\"random\"]", policies)
}

/// Agents of one slot are a case for one queue: nobody waits while another agent is free.
#[test]
fn one_slot_per_agent_is_no_case_for_chance() {
    let mut found = among(FLEET, &["random", "round_robin", "shortest_queue"]);
    assert_eq!(found.choice, "shortest_queue");
    // The card of figures is that of the scenario's own load, whatever other loads were run.
    let card = table(&found);
    let own = found.at_own_load("calm", "shortest_queue").expect("figures").clone();
    found.situations.insert(0, SituationFigures { load: 50, success: 0.25, ..own });
    assert_eq!(table(&found), card);
    found.situations.remove(0);
    assert!(found.is_clear, "{}", table(&found));
    let out: BTreeSet<&str> = found.eliminated.iter().map(|out| &*out.policy).collect();
    assert!(out.contains("random"), "{out:?}");

    // As long as nearly all are answered, limits do not decide.
    assert!(!card.contains("no policy answers more than"), "{card}");
    for calm in found.situations.iter_mut().filter(|one| one.trouble == TROUBLES[0].name) {
        calm.success = 0.7856;
    }
    let card = table(&found);
    let card = card.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(card.contains("no policy answers more than 78.56 % of the requests"), "{card}");
}

/// Nothing tells two equal policies apart, but chance is worse than both.
#[test]
fn where_nobody_wins_the_choice_still_has_a_merit() {
    let text = with_policies(
        "policies = [\"random\", { name = \"shortest_queue\", label = \"a\" }, { name = \
         \"shortest_queue\", label = \"b\" }]",
    );
    let found = among(&text, &["random", "a", "b"]);
    assert!(!found.is_clear, "{}", found.sentence);
    let merit = found.merit.as_ref().expect("a merit");
    let wins = format!("{} wins: ok ", found.choice);
    assert!(merit.than == "random" && merit.sentence.starts_with(&wins), "{merit:?}");
    let weakest = found.weakest.as_deref().expect("troubles make a difference");
    assert!(weakest.starts_with("It does worst in "), "{weakest}");
    let card = table(&found);
    assert!(card.contains("In comparison with random, ") && card.contains("It does worst in"));
}

/// Breaks off in the stage with this number, from 0 on.
struct BreaksOff(usize);

impl Progress for BreaksOff {
    fn begin(&mut self, _: &str, _: &[Run<'_>], _: usize) {
        self.0 = self.0.wrapping_sub(1);
    }
    fn update(&mut self, news: RunProgress) -> ControlFlow<()> {
        if self.0 == usize::MAX { ControlFlow::Break(()) } else { to_the_end(news) }
    }
    fn end(&mut self) {}
}

#[test]
fn what_is_known_is_said_when_a_recommendation_is_given_up() {
    let file = ScenarioFile::parse(FLEET, "fleet.toml").unwrap_or_else(|found| panic!("{found}"));
    let spec = quick(&["random", "shortest_queue"]);
    let up_to = |stage| {
        let one = NonZero::new(1).unwrap();
        match recommend(&file, &spec, one, &mut BreaksOff(stage)) {
            Err(RecommendError::Interrupted { so_far }) => so_far,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(up_to(0), None);
    let so_far = up_to(1).expect("all were screened");
    let whole = format!("by {0} of {0} situations, shortest_queue is first.", TROUBLES.len());
    assert!(so_far.starts_with(&whole), "{so_far}");
}

/// Twice 70 % of what the agents can do is too much for them, however long clients would wait.
#[test]
fn a_long_deadline_makes_no_agent_carry_more() {
    let patient = FLEET.replace("rate = 42", "rate = 42\ndeadline = \"30s\"");
    let patient = patient.replace("count = 6", "count = 6\nqueue = 10000");
    let found = among(&patient, &["random", "shortest_queue"]);
    for finalist in &found.finalists {
        assert!(finalist.carries.is_some_and(|load| load < 200), "{finalist:?}");
    }
}

/// Two agents have a quarter of the speed of the others, and get as many jobs.
#[test]
fn unequal_speeds_are_no_case_for_turns() {
    let slow = "name = \"agent\"\ncount = 6\neach = { \"agent-1..2\" = { speed = 0.25 } }";
    let text = FLEET.replace("name = \"agent\"\ncount = 6", slow).replace("rate = 42", "rate = 30");
    let found = among(&text, &["round_robin", "least_expected_work"]);
    assert_eq!((&*found.choice, found.is_clear), ("least_expected_work", true));
}

/// Who forgets that a peer fails at once sends it everything, because it is always idle.
#[test]
fn a_sinkhole_is_no_case_for_a_short_memory() {
    let text = with_policies(
        "policies = [{ name = \"power_of_two\", label = \"forgets\", set = { \
         \"delegation.max_failures\" = 0 } }, { name = \"power_of_two\", label = \"remembers\" }]",
    );
    let found = among(&text, &["forgets", "remembers"]);
    assert_eq!(found.choice, "remembers", "{}", table(&found));
    let answered = |policy: &str| {
        let here = |f: &&SituationFigures| f.trouble == "failing-peer" && f.policy == policy;
        found.confirmed().find(here).expect("figures").success
    };
    let (forgets, remembers) = (answered("forgets"), answered("remembers"));
    assert!(forgets < remembers - 0.1, "{forgets} {remembers}");
}

/// Who believes old reports runs to the peer that was idle some time ago, together with all others.
#[test]
fn old_reports_are_no_case_for_the_least_loaded() {
    let text = with_policies(
        "policies = [\"random\", { name = \"shortest_queue\", label = \"gossip\", signal = \
         \"reports\" }]",
    );
    let found = among(&text, &["random", "gossip"]);
    assert_eq!((&*found.choice, found.is_clear), ("random", true), "{}", table(&found));
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let small = FLEET.replace("count = 6", "count = 3").replace("rate = 42", "rate = 12");
    let spec = RecommendSpec { tunes: true, ..quick(&["power_of_two"]) };
    let one = results_json(&on(&small, &spec, 1));
    assert!(one.contains("power_of_two-t"), "it was tuned");
    assert_eq!(one, results_json(&on(&small, &spec, 3)));
    let schema: Value = serde_json::from_str(&results_schema()).unwrap();
    let json = serde_json::from_str(&one).unwrap();
    assert!(jsonschema::is_valid(&schema, &json));
}

#[test]
fn the_current_policy_is_compared_to_the_end() {
    let spec = RecommendSpec { current: Some("random".to_owned()), ..quick(&["power_of_two"]) };
    let found = on(FLEET, &spec, 2);
    assert_eq!(found.beats_current, Some(true));
    assert!(found.finalists.iter().any(|finalist| finalist.policy == "random"));
    let text = table(&found);
    assert!(text.starts_with(" Take power_of_two"), "{text}");
    assert!(text.contains("clearly better than the current policy"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn what_makes_no_sense_is_left_out_with_its_reason() {
    let closed =
        FLEET.replace("\"poisson\"\nrate = 42", "\"closed\"\nclients = 4\nthink = \"50ms\"");
    let found = among(&closed, &["random", "round_robin"]);
    for expected in ["load-step: a closed loop", "hedge: no job is", "locality: there are no sites"]
    {
        assert!(found.left_out.iter().any(|why| why.starts_with(expected)), "{:?}", found.left_out);
    }
    let alone = FLEET.replace("count = 6", "count = 1");
    let found = among(&alone, &["random"]);
    assert!(
        found.left_out.iter().any(|why| why.starts_with("crashed-peer: no agent has another one"))
    );
    assert!(found.is_clear && found.eliminated.is_empty());
}

/// However much is eliminated, the answer has a reason, and the figures that nobody chose by.
#[test]
fn the_last_one_is_confirmed_against_the_second() {
    let found = among(FLEET, &["random", "shortest_queue"]);
    assert_eq!(found.finalists.len(), 2);
    assert!(found.sentence.contains("shortest_queue wins: "), "{}", found.sentence);
    assert!(found.is_clear && found.eliminated.is_empty(), "{}", table(&found));
}

#[test]
fn labels_of_the_file_may_look_like_ours() {
    let text = with_policies(
        "policies = [\"random\", { name = \"round_robin\", label = \"random-eject\" }]",
    );
    let mut spec = quick(&["random", "random-eject"]);
    spec.modifiers = vec!["eject".to_owned()];
    let found = on(&text, &spec, 2);
    assert!(!found.modifiers.is_empty());
    assert!(found.modifiers.iter().all(|effect| effect.modifier == "eject"));
    spec.modifiers = vec!["reject".to_owned()];
    let file = ScenarioFile::parse(&text, "fleet.toml").unwrap();
    let error =
        recommend(&file, &spec, NonZero::<usize>::MIN, &mut Onlooker::default()).unwrap_err();
    assert!(error.to_string().starts_with("no modifier `reject`; there are: eject, "));
}

/// Equal policies are not called worse because only the best four are confirmed.
#[test]
fn what_is_not_told_apart_is_not_called_worse() {
    let policy = |number| format!("{{ name = \"random\", label = \"r{number}\" }}");
    let six: Vec<String> = (1..=6).map(policy).collect();
    let labels: Vec<String> = (1..=6).map(|number| format!("r{number}")).collect();
    let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
    let found = among(&with_policies(&format!("policies = [{}]", six.join(", "))), &labels);
    assert!(!found.is_clear && found.eliminated.is_empty(), "{}", table(&found));
    assert_eq!(found.unconfirmed.len(), 2);
}

#[test]
fn a_policy_that_is_not_there_is_named() {
    let file = ScenarioFile::parse(FLEET, "fleet.toml").unwrap();
    let ask = |spec| recommend(&file, &spec, NonZero::<usize>::MIN, &mut Onlooker::default());
    let error = ask(quick(&["rnadom"])).unwrap_err().to_string();
    assert!(
        error.starts_with("no policy `rnadom` here; did you mean `random`? there are: "),
        "{error}"
    );
    // With bursts it keeps its own length.
    let bursts = "rate = 0.00001\nbursts = [{ at = \"1s\", for = \"1s\", factor = 2 }]";
    let rare = FLEET.replace("rate = 42", bursts);
    let rare = ScenarioFile::parse(&rare, "rare.toml").unwrap();
    let error =
        recommend(&rare, &quick(&["random"]), NonZero::<usize>::MIN, &mut Onlooker::default());
    assert!(error.unwrap_err().to_string().starts_with("no request counted"));
    let spec = RecommendSpec { current: Some("mine".to_owned()), ..RecommendSpec::default() };
    assert!(ask(spec).unwrap_err().to_string().contains("`mine`"));
}

/// The scenario of each situation runs by itself, and says what it is.
#[test]
fn situations_are_scenarios_with_their_trouble() {
    let found = among(FLEET, &["random", "round_robin"]);
    assert_eq!(found.files.len(), TROUBLES.len());
    for situation in &found.files {
        let text = situation.file.whole_text();
        let scenario = Scenario::parse(text, "situation.toml").unwrap();
        assert!(scenario.description.contains(situation.trouble), "{}", scenario.description);
        let has_trouble = !scenario.faults.is_empty()
            || scenario.agents.iter().any(|agent| agent.errors.is_some())
            || scenario.agents.iter().any(|agent| agent.machine.speed < 1.0)
            || scenario.membership.heartbeat.as_secs() > 2
            || scenario.workload.arrivals.open().is_some_and(|open| !open.bursts.is_empty());
        assert_eq!(has_trouble, situation.trouble != "calm", "{text}");
    }
}

/// Two policies that are equal in law, but draw differently: chance, and the best of one that is
/// drawn. The seed is fixed; 5 % of 200 are 10.
#[test]
fn equal_policies_win_in_at_most_one_trial_of_twenty() {
    let text = with_policies(
        "policies = [\"random\", { name = \"score\", label = \"same\", formula = \"mem\", drawn = \
         1 }]",
    )
    .replace("duration = \"30s\"", "duration = \"3s\"");
    let scenario = Scenario::parse(&text, "equal.toml").unwrap();
    const TRIALS: u64 = 200;
    const SEEDS: u64 = 10;
    let policies = &scenario.policies;
    let run = |number: u64| Run {
        scenario: &scenario,
        policy: &policies[(number % 2) as usize],
        seed: number / 2 + 1,
        detail: RunDetail::Figures,
    };
    let runs: Vec<Run<'_>> = (0..2 * TRIALS * SEEDS).map(run).collect();
    let mut figures = vec![None; runs.len()];
    let threads = NonZero::new(2).unwrap();
    run_each(&runs, EngineKind::Event, threads, to_the_end, |number, record| {
        figures[number] = Some(MeasuredFigures::new(&record.requests, &record.latency));
    })
    .unwrap();
    let (mut winners, mut differences) = (0, 0);
    for trial in 0..TRIALS {
        let of = |policy: u64| {
            let by_seed = (0..SEEDS).filter_map(|seed| {
                let number = 2 * (trial * SEEDS + seed) + policy;
                Some((seed, figures[number as usize]?))
            });
            let label = &*policies[policy as usize].label;
            Entrant {
                label,
                by_seed: by_seed.collect(),
                probes: Some(0.0),
                causes: Causes::default(),
                is_bound: false,
            }
        };
        let both = [of(0), of(1)];
        differences += u32::from(both[0].by_seed != both[1].by_seed);
        winners += u32::from(Ranking::of(&Objective::default(), &both).winner().is_some());
    }
    assert!(differences > 190, "the two must not be the same runs: {differences}");
    assert!(winners <= 10, "{winners} winners among equal policies");
}

#[test]
fn the_committed_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recommendation.schema.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, results_schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == results_schema(),
        "docs/recommendation.schema.json has drifted; run the tests with UPDATE_SCHEMAS=1 to renew it"
    );
}
