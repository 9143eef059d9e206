//! What is wrong with a scenario although it is valid: the rules, one function each.

use std::time::Duration;

use super::fleet::Limit;
use super::providers::ProviderLoad;
use super::words::{percent, rate};
use super::{Estimate, PhaseLoad, alone};
use crate::figures::{Figure, Measure};
use crate::format::{counted, seconds};
use crate::scenario::Scenario;
use crate::units::format_duration;

/// From this load on, work piles up for as long as it lasts. What is a hair above it comes from
/// rounding.
const FULL: f64 = 1.000_001;
/// Warns if a greater share of the jobs of a kind takes longer than its deadline without any
/// queue.
const LATE: f64 = 0.05;
/// Warns if a provider refuses more than this part of the jobs because they come together.
const REFUSED: f64 = 0.2;
/// A warm-up is too short if the mean job fits into it less often than this: the first jobs find
/// everybody idle. With exponential times 5 % of that effect is left after three.
const JOBS_IN_A_WARM_UP: f64 = 3.0;
/// A warm-up is too long if it takes more than this share of the run.
const LONGEST_WARM_UP: f64 = 0.5;
/// A quantile needs this many requests beyond it, or a few of them make it.
const BEYOND: f64 = 10.0;

/// All of them.
pub(super) fn all(estimate: &Estimate<'_>) -> Vec<String> {
    let mut warnings = overload(estimate);
    warnings.extend(full_skills(estimate));
    warnings.extend(full_providers(estimate));
    warnings.extend(small_bursts(estimate));
    warnings.extend(late_jobs(estimate));
    warnings.extend(warm_up(estimate));
    warnings.extend(few_requests(estimate));
    warnings
}

/// Phases in which more comes than all agents can do. Clients of a closed loop wait, so they can't
/// ask for too much.
fn overload(estimate: &Estimate<'_>) -> Vec<String> {
    let scenario = estimate.scenario;
    if scenario.workload.arrivals.open().is_none() {
        return Vec::new();
    }
    let share = |load: &PhaseLoad| load.peak_share().unwrap_or(0.0) * estimate.warm;
    let full: Vec<&PhaseLoad> = estimate.loads.iter().filter(|load| share(load) > FULL).collect();
    let Some(worst) = full.iter().max_by(|a, b| share(a).total_cmp(&share(b))) else {
        return Vec::new();
    };
    let lasts: Duration = full.iter().map(|load| load.phase.end - load.phase.begin).sum();
    let is_peak = worst.share().unwrap_or(0.0) * estimate.warm <= FULL;
    let when = match lasts == scenario.duration {
        true if is_peak => "at the peaks of its curve".to_owned(),
        true => "all the time".to_owned(),
        false => format!("for {}, from {} on", seconds(lasts), seconds(full[0].phase.begin)),
    };
    let agents = scenario.agents.len();
    let needed = (agents as f64 * share(worst)).ceil() as usize;
    let capacity = worst.capacity.unwrap_or_default() / estimate.warm;
    let by_providers =
        estimate.capacity.is_some_and(|capacity| capacity.limited_by == Limit::Providers);
    let (who, remedy) = match by_providers {
        // One of them is to blame, and has a warning of its own.
        true if !full_providers(estimate).is_empty() => return Vec::new(),
        true => ("all providers allow", "raise their limits, or take".to_owned()),
        false => {
            let needed = counted(needed.max(agents + 1), "agent");
            ("all agents can do", format!("take {needed} like these, or"))
        }
    };
    vec![format!(
        "more comes than {who}: up to {} of the capacity, {when}. No policy can answer all of it. \
         If that is not what you want to see, {remedy} at most {} requests/s.",
        percent(share(worst)),
        rate(capacity)
    )]
}

/// Skills whose agents have too much to do, although all agents together have not.
fn full_skills(estimate: &Estimate<'_>) -> Vec<String> {
    let offered = offered(estimate);
    let share = |capacity: f64| offered / capacity * estimate.warm;
    let full = estimate.skills.iter().filter(|load| share(load.capacity) > FULL);
    let text = |load: &super::SkillLoad| {
        format!(
            "the agents with the skill {} can't do their part: {} of what they can do. Give the \
             skill to more agents than {}.",
            load.skill,
            percent(share(load.capacity)),
            load.agents
        )
    };
    full.map(text).collect()
}

fn full_providers(estimate: &Estimate<'_>) -> Vec<String> {
    let offered = offered(estimate);
    let full = estimate.providers.iter().filter_map(|provider| {
        let share = offered * provider.jobs_per_request? / provider.jobs_per_second;
        (share > FULL).then(|| {
            format!(
                "the provider {} allows {} jobs/s, and requests need {} of that: it refuses the \
                 rest, and no other agent can do it.",
                provider.name,
                rate(provider.jobs_per_second),
                percent(share)
            )
        })
    });
    full.collect()
}

/// Providers that have room for all jobs on average, but not for those that come together.
fn small_bursts(estimate: &Estimate<'_>) -> Vec<String> {
    let offered = offered(estimate);
    // Where all agents have an account, each account gets its part.
    let of_all = estimate.capacity.filter(|capacity| capacity.limited_by == Limit::Providers);
    let of_all = of_all.map(|capacity| offered / capacity.requests_per_second);
    let share = |provider: &ProviderLoad| match provider.jobs_per_request {
        Some(jobs) => Some(offered * jobs / provider.jobs_per_second),
        None => of_all,
    };
    let small = estimate.providers.iter().filter_map(|provider| {
        let (burst, share) = (provider.burst?, share(provider)?);
        (share <= FULL && refused(share, burst) > REFUSED).then_some((provider, burst, share))
    });
    let small: Vec<(&ProviderLoad, u32, f64)> = small.collect();
    let Some(&(first, burst, share)) = small.first() else { return Vec::new() };
    let others = match small.len() {
        1 => String::new(),
        many => format!(" (and {} more like it)", many - 1),
    };
    vec![format!(
        "the provider {}{others} lets {} begin at once and refuses what comes together beyond that, \
         although requests need only {} of its rate. Set `burst` if the real one allows more, or \
         let clients try again (`[workload.client] retries`).",
        first.name,
        counted(burst as usize, "job"),
        percent(share)
    )]
}

/// About which part of the jobs finds a bucket of so many tokens empty that gets this share of its
/// rate: the loss of the queue M/M/1/K with K tokens (L. Kleinrock, "Queueing Systems", volume 1,
/// section 3.6). Tokens come evenly, so that it is somewhat less.
fn refused(share: f64, burst: u32) -> f64 {
    let tokens = f64::from(burst);
    match (1.0 - share).abs() < 1e-6 {
        true => 1.0 / (tokens + 1.0),
        false => {
            let power = libm::pow(share, tokens);
            (1.0 - share) * power / (1.0 - share * power)
        }
    }
}

/// The greatest rate that does not depend on the answers.
fn offered(estimate: &Estimate<'_>) -> f64 {
    match estimate.scenario.workload.arrivals.open() {
        Some(_) => estimate.greatest_rate(),
        None => 0.0,
    }
}

/// Kinds of which many jobs take longer than their deadline, even if nobody waits for others.
fn late_jobs(estimate: &Estimate<'_>) -> Vec<String> {
    let scenario = estimate.scenario;
    let network = alone::network(scenario);
    let mut warnings = Vec::new();
    for kind in scenario.workload.jobs.iter().filter(|kind| kind.share > 0.0) {
        let limit = kind.deadline.saturating_sub(network);
        let late = alone::share_longer(scenario, kind, limit);
        if late <= LATE {
            continue;
        }
        let whose = match scenario.workload.jobs.len() {
            1 => "the jobs".to_owned(),
            _ => format!("the jobs {}", kind.name),
        };
        let deadline = format_duration(kind.deadline);
        warnings.push(format!(
            "{} of {whose} take longer than their deadline of {deadline}, even if nothing is in \
             their way. Raise `deadline`.",
            percent(late)
        ));
    }
    warnings
}

fn warm_up(estimate: &Estimate<'_>) -> Option<String> {
    let Scenario { warm_up, duration, .. } = estimate.scenario;
    let needed = JOBS_IN_A_WARM_UP * estimate.fleet.mean_job(estimate.scenario);
    // Few tenths of a second are too little to be seen in a run of many.
    if needed > warm_up.as_secs_f64() && needed > duration.as_secs_f64() / 100.0 {
        return Some(format!(
            "the warm-up of {} is short for jobs of {} s on average: figures show an idle mesh \
             that fills. Set `warm_up` to {} or more.",
            seconds(*warm_up),
            rate(needed / JOBS_IN_A_WARM_UP),
            seconds(Duration::from_secs(needed.ceil() as u64))
        ));
    }
    (warm_up.as_secs_f64() > LONGEST_WARM_UP * duration.as_secs_f64()).then(|| {
        format!(
            "the warm-up of {} is more than half of the run: most requests count for nothing.",
            seconds(*warm_up)
        )
    })
}

/// A quantile that policies are compared by, or the 99th percentile, of which every table has a
/// column, but for which too few requests count.
fn few_requests(estimate: &Estimate<'_>) -> Option<String> {
    let by = estimate.scenario.objective.by().iter().filter_map(|figure| quantile(figure));
    let quantile = by.fold(0.99, f64::max);
    let needed = needed_requests(quantile);
    let found = estimate.counted_requests();
    if found >= needed || estimate.counted_rate <= 0.0 {
        return None;
    }
    Some(format!(
        "about {} requests count for each policy; p{} needs {} for {BEYOND} beyond it. Set \
         `duration` to {} or more, or run more seeds.",
        rate(found),
        quantile * 100.0,
        rate(needed),
        seconds(duration_for(estimate, needed))
    ))
}

/// The quantile that a figure is.
pub(super) fn quantile(figure: &Figure) -> Option<f64> {
    match figure.measure {
        Measure::Quantile(quantile) => Some(quantile),
        _ => None,
    }
}

/// How many requests a quantile needs.
pub(super) fn needed_requests(quantile: f64) -> f64 {
    (BEYOND / (1.0 - quantile)).round()
}

/// The duration with which this many requests count, over all seeds: a whole number of seconds.
pub(super) fn duration_for(estimate: &Estimate<'_>, requests: f64) -> Duration {
    let Scenario { warm_up, seeds, .. } = estimate.scenario;
    let each = requests / seeds.len() as f64 / estimate.counted_rate;
    // Counts vary from seed to seed, so there are some percent more.
    let whole = warm_up.as_secs_f64() + 1.05 * each;
    Duration::from_secs(whole.min(1e9).ceil() as u64)
}
