//! One scenario on both engines, compared request by request.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use mesh_sim::engine::{Run, RunDetail, to_the_end};
use mesh_sim::record::{OutcomeCounts, RunRecord};
use mesh_sim::scenario::{EngineKind, Scenario, ScenarioFile};
use serde_json::Value;

/// One step of a request: what happened to it at one time.
#[derive(Clone, Debug)]
struct TracedStep {
    at_ns: i64,
    host: String,
    what: String,
}

impl TracedStep {
    fn is(&self, event: &str) -> bool {
        self.what.contains(&format!("\"event\":\"{event}\""))
    }
}

/// A run on one engine.
struct TracedRun {
    record: RunRecord,
    /// The steps of each request, by its number. The steps at one host are in their order.
    requests: BTreeMap<u64, Vec<TracedStep>>,
    /// When the view of each agent changed, by its name.
    views: BTreeMap<String, Vec<i64>>,
}

/// The same run on both engines.
pub(crate) struct EnginePair {
    policy: String,
    event: TracedRun,
    turmoil: TracedRun,
    /// Requests that were due before are not compared.
    from_ns: i64,
}

/// Runs every policy of a scenario on both engines; no run may violate an oracle.
pub(crate) fn run(text: &str) -> Vec<EnginePair> {
    let loaded = ScenarioFile::parse(text, "agreement.toml").unwrap_or_else(|e| panic!("{e}"));
    loaded.check_engine(EngineKind::Turmoil).unwrap_or_else(|e| panic!("{e}"));
    let scenario = &loaded.scenario;
    let pair = |policy: usize| EnginePair {
        policy: scenario.policies[policy].label.clone(),
        event: tell(scenario, policy, EngineKind::Event),
        turmoil: tell(scenario, policy, EngineKind::Turmoil),
        from_ns: scenario.warm_up.as_nanos() as i64,
    };
    (0..scenario.policies.len()).map(pair).collect()
}

fn tell(scenario: &Scenario, policy: usize, engine: EngineKind) -> TracedRun {
    let run =
        Run { scenario, policy: &scenario.policies[policy], seed: 42, detail: RunDetail::Trace };
    let mut record = run.execute(engine, &to_the_end).expect("it runs");
    assert_eq!(record.violations, [], "{engine:?} {}", run.policy.label);
    let trace = record.trace.take().expect("it was traced");
    let (mut requests, mut views) =
        (BTreeMap::<u64, Vec<TracedStep>>::new(), BTreeMap::<String, Vec<i64>>::new());
    let mut last_ns = 0;
    for line in trace.lines() {
        let mut event: Value = serde_json::from_str(line).expect("JSON");
        let fields = event.as_object_mut().expect("an object");
        let at_ms = fields.remove("at_ms").and_then(|at| at.as_f64()).expect("a time");
        let at_ns = (at_ms * 1e6).round() as i64;
        assert!(at_ns >= last_ns, "{engine:?}, after {last_ns} ns: {line}");
        last_ns = at_ns;
        let host = fields.remove("host").and_then(|host| Some(host.as_str()?.to_owned()));
        let host = host.expect("a host");
        if fields["event"] == "job_queued" {
            // The start of the job says the same.
        } else if let Some(number) = fields.remove("request").and_then(|number| number.as_u64()) {
            // The end of the client's connection and the deadline that it gave reach an agent at
            // the same time, and the order of the two differs.
            let what = event.to_string().replace("cancelled", "deadline_exceeded");
            requests.entry(number).or_default().push(TracedStep { at_ns, host, what });
        } else if fields["event"] == "view_changed" {
            views.entry(host).or_default().push(at_ns);
        }
    }
    let deadline_ns = scenario.workload.longest_deadline().as_nanos() as i64;
    for steps in requests.values() {
        let at = |event| steps.iter().find(|step| step.is(event)).map(|step| step.at_ns);
        let (Some(due), Some(end)) = (at("due"), at("timed_out")) else { continue };
        let rounding = if engine == EngineKind::Turmoil { 999_999 } else { 0 };
        assert!((0..=rounding).contains(&(end - due - deadline_ns)), "{engine:?} {steps:#?}");
    }
    requests.values_mut().for_each(|steps| steps.sort_by(|a, b| a.host.cmp(&b.host)));
    TracedRun { record, requests, views }
}

impl EnginePair {
    /// Checks that every request met the same hosts in the same order, for the same reasons and
    /// with the same outcome, and that every step of it came later in turmoil by a time within
    /// `late_ms`.
    pub(crate) fn same(&self, late_ms: RangeInclusive<f64>) {
        self.views_settle();
        for (number, steps, others) in self.requests() {
            let words = |steps: &[TracedStep]| -> Vec<(String, String)> {
                steps.iter().map(|step| (step.host.clone(), step.what.clone())).collect()
            };
            let late = |(a, b): (&TracedStep, &TracedStep)| (b.at_ns - a.at_ns) as f64 / 1e6;
            assert!(
                words(steps) == words(others)
                    && steps.iter().zip(others).map(late).all(|late| late_ms.contains(&late)),
                "{}, request {number}\nevent: {steps:#?}\nturmoil: {others:#?}",
                self.policy,
            );
        }
        let (event, turmoil) = (&self.event.record, &self.turmoil.record);
        assert_eq!(event.requests, turmoil.requests, "{}", self.policy);
        assert_eq!(event.sent_again, turmoil.sent_again, "{}", self.policy);
        assert_eq!(event.by_window, turmoil.by_window, "{}", self.policy);
        assert_eq!(event.work_per_agent, turmoil.work_per_agent, "{}", self.policy);
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            let ms = |run: &RunRecord| run.latency.quantile_ns(quantile) as f64 / 1e6;
            let late = ms(turmoil) - ms(event);
            assert!(late_ms.contains(&late), "{}, p{quantile}: {late} ms", self.policy);
        }
    }

    /// Checks that the counts of outcomes are equal, and that each of turmoil's quantiles lies
    /// where that of a second sample would: the share of requests below it has a standard deviation
    /// of sqrt(2 q (1 - q) / n) if latencies are independent. Four of them leave room for queues,
    /// in which latencies depend on each other. What turmoil rounds comes on top: the send and the
    /// end of the job.
    pub(crate) fn same_distribution(&self) {
        let (event, turmoil) = (&self.event.record, &self.turmoil.record);
        assert_eq!(event.requests, turmoil.requests, "{}", self.policy);
        let count = event.requests.sent as f64;
        for q in [0.25_f64, 0.5, 0.75, 0.9, 0.99] {
            let spread = 4.0 * (2.0 * q * (1.0 - q) / count).sqrt();
            let ms = |run: &RunRecord, q: f64| run.latency.quantile_ns(q) as f64 / 1e6;
            let (low, high) = (ms(event, q - spread), ms(event, (q + spread).min(1.0)) + 2.0);
            let found = ms(turmoil, q);
            assert!(
                (low..=high).contains(&found),
                "{} p{q}: {found} ms, not {low} to {high}",
                self.policy,
            );
        }
    }

    /// Outcomes under the first fault, or outside of faults if there is none.
    pub(crate) fn counts(&self) -> &OutcomeCounts {
        &self.event.record.by_window[0].requests
    }

    /// How often clients retried requests.
    pub(crate) fn retries(&self) -> u64 {
        self.event.record.sent_again.retries
    }

    /// Every agent that sent an attempt after the warm-up, or got one.
    pub(crate) fn agents(&self) -> BTreeSet<String> {
        let routed = self.requests().flat_map(|(_, steps, _)| steps).filter(|s| s.is("routed"));
        let peer = |step: &TracedStep| {
            let step: Value = serde_json::from_str(&step.what).expect("JSON");
            step["peer"].as_str().map(str::to_owned)
        };
        routed.flat_map(|step| [Some(step.host.clone()), peer(step)]).flatten().collect()
    }

    /// The least latency.
    pub(crate) fn fastest_ms(&self) -> f64 {
        self.event.record.latency.min_ns() as f64 / 1e6
    }

    /// The requests that were due after the warm-up: the steps of each on either engine.
    fn requests(&self) -> impl Iterator<Item = (u64, &[TracedStep], &[TracedStep])> {
        let (event, turmoil) = (&self.event.requests, &self.turmoil.requests);
        assert!(event.keys().eq(turmoil.keys()), "{}", self.policy);
        let both = event.iter().zip(turmoil.values());
        both.map(|((number, steps), others)| (*number, &steps[..], &others[..])).filter(
            |(_, steps, _)| steps.iter().any(|step| step.is("due") && step.at_ns >= self.from_ns),
        )
    }

    /// Checks that the comparison is fair. The time between two refreshes is not whole, and turmoil
    /// rounds each one up, so an agent's view changes some milliseconds later there. A choice that
    /// an agent makes between the two times is made from another list on each engine and can't be
    /// compared, nor can the choices that follow from it. The scenario must be one in which that
    /// does not happen.
    fn views_settle(&self) {
        let (event, turmoil) = (&self.event.views, &self.turmoil.views);
        for (number, steps, _) in self.requests() {
            let decides =
                |step: &&TracedStep| ["delegating", "routed"].iter().any(|word| step.is(word));
            for step in steps.iter().filter(decides) {
                let [event, turmoil] = [event, turmoil].map(|views| views.get(&step.host));
                let views = event.into_iter().flatten().zip(turmoil.into_iter().flatten());
                let unsure =
                    views.clone().find(|(a, b)| (*a.min(b)..=*a.max(b)).contains(&&step.at_ns));
                assert_eq!(unsure, None, "{}: give request {number} another time", self.policy);
            }
        }
    }
}
