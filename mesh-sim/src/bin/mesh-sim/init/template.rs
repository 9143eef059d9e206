//! The scenario file for a fleet, with a comment for each number.

use std::fmt::Write as _;
use std::time::Duration;

use mesh_core::routing::STARTER_POLICIES;
use mesh_sim::dist::Distribution;
use mesh_sim::estimate::Estimate;
use mesh_sim::scenario::Scenario;
use mesh_sim::units::format_duration;

use super::answers::FleetAnswers;

/// How busy agents are if nobody says how many jobs come: some room is left for bad times.
const USUAL_LOAD: f64 = 0.6;
/// How many requests count in a run: fifty of them are beyond p99.
const REQUESTS: f64 = 5_000.0;
/// A mesh is taken as filled when this many mean jobs fit in the time.
const JOBS_IN_A_WARM_UP: f64 = 5.0;
/// The shortest warm-up, in seconds: agents fetch the list of their peers every 5 s.
const SHORTEST_WARM_UP: f64 = 5.0;
/// The longest time that counts, in seconds: a scenario lasts a day at most.
const LONGEST_SPAN: f64 = 12.0 * 3_600.0;

/// The text of the file. `file` is its name in commands.
pub(super) fn scenario(answers: &FleetAnswers, file: &str) -> String {
    let rate = answers.rate.unwrap_or_else(|| usual_rate(answers));
    format!("{}{}", top(answers, rate, file), body(answers, rate))
}

/// The rate that keeps the agents as busy as [`USUAL_LOAD`] says, with two digits.
fn usual_rate(answers: &FleetAnswers) -> f64 {
    let text = format!("duration = \"1s\"\n{}", body(answers, 1.0));
    let capacity = Scenario::parse(&text, "fleet.toml")
        .ok()
        .and_then(|scenario| Estimate::of(&scenario).capacity());
    let rate = capacity.unwrap_or(1.0) * USUAL_LOAD;
    let mut digit = 0.001;
    while rate >= 100.0 * digit {
        digit *= 10.0;
    }
    // Written and read again, so that no digit comes from binary fractions.
    format!("{:.3}", (rate / digit).round() * digit).parse().unwrap_or(rate).max(0.001)
}

/// How long a job takes on average, in seconds.
fn mean_job(answers: &FleetAnswers) -> f64 {
    let (p50, p99) = (answers.p50.as_secs_f64(), answers.p99.as_secs_f64());
    Distribution::lognormal_by_median(p50, p99).mean().as_secs_f64()
}

/// The length of the warm-up, and of the rest of the run, in seconds.
fn spans(answers: &FleetAnswers, rate: f64) -> (f64, f64) {
    let warm_up = (JOBS_IN_A_WARM_UP * mean_job(answers)).max(SHORTEST_WARM_UP);
    let warm_up = warm_up.ceil().min(LONGEST_SPAN / 2.0);
    (warm_up, (REQUESTS / rate).clamp(warm_up, LONGEST_SPAN).ceil())
}

/// A burst in the middle of the time that counts.
fn burst(answers: &FleetAnswers, rate: f64) -> String {
    let (warm_up, span) = spans(answers, rate);
    let [at, lasts] = [warm_up + span / 3.0, span / 6.0]
        .map(|seconds| format_duration(Duration::from_secs(seconds.max(1.0) as u64)));
    format!("bursts = [{{ at = \"{at}\", for = \"{lasts}\", factor = 2.0 }}]")
}

fn top(answers: &FleetAnswers, rate: f64, file: &str) -> String {
    let FleetAnswers { agents, p50, p99, .. } = answers;
    let mean = mean_job(answers);
    let (warm_up, span) = spans(answers, rate);
    let time = |seconds: f64| format_duration(Duration::from_secs(seconds as u64));
    let (p50, p99) = (format_duration(*p50), format_duration(*p99));
    let mut text = format!(
        "# A fleet of agents, as `mesh-sim init` wrote it. Change what is different in yours.\n\
         #   mesh-sim check {file}              what the program understands\n\
         #   mesh-sim {file}                    compare the policies\n\
         #   mesh-sim recommend {file} --quick  which policy to take\n"
    );
    if let Some(name) = &answers.name {
        let _ = writeln!(text, "name = {name:?}");
    }
    let policies = STARTER_POLICIES.map(|policy| policy.name);
    let _ = write!(
        text,
        "description = \"{agents} agents, {rate} jobs/s, {p50} at the median, {p99} at p99\"\n\
         engine = \"event\"\n\n\
         # Simulated time, which passes much faster than yours. The first {warm} fill the mesh, and\n\
         # do not count: the mean job takes {mean:.2} s. About {counted:.0} requests count then,\n\
         # because p99 needs 1,000 or more.\n\
         warm_up = \"{warm}\"\n\
         duration = \"{duration}\"\n\n\
         # The policies to compare: how an agent chooses the peer that gets a job.\n\
         policies = {policies:?}\n\n",
        warm = time(warm_up),
        counted = span * rate,
        duration = time(warm_up + span),
    );
    text
}

/// The agents, the network and the jobs.
fn body(answers: &FleetAnswers, rate: f64) -> String {
    network(answers) + &agents(answers) + &workload(answers, rate)
}

fn network(answers: &FleetAnswers) -> String {
    let FleetAnswers { sites, between, .. } = answers;
    if *sites == 1 {
        return "# A message takes this long from one machine to another.\n\
                [network]\nlatency = \"1ms\"\n\n"
            .to_owned();
    }
    let mut text = "# Where the agents live. Within a site a message takes `one_way`.\n".to_owned();
    for site in 1..=*sites {
        let at_home = match site {
            1 => "# The clients and the registry live here.\nclient = true\nregistry = true\n",
            _ => "",
        };
        let _ = writeln!(text, "[[sites]]\nname = \"site-{site}\"\none_way = \"1ms\"\n{at_home}");
    }
    let between = format_duration(*between);
    let _ = write!(
        text,
        "# Between two sites, there and back. [[network.between]] gives two of them another time.\n\
         [network]\nround_trip = \"{between}\"\n\n"
    );
    text
}

fn agents(answers: &FleetAnswers) -> String {
    let FleetAnswers { agents, concurrency, sites, .. } = answers;
    let cores = cores(answers);
    let mut text = format!(
        "# Each agent does {concurrency} jobs at once, others wait in its queue. It has as many \
         cores as\n# these need, so they do not slow each other down.\n"
    );
    for site in 0..*sites {
        // The first sites have one more if the agents can't be shared equally.
        let count = agents / sites + u32::from(site < agents % sites);
        let (name, home) = match sites {
            1 => ("agent".to_owned(), String::new()),
            _ => (format!("agent-{}", letter(site)), format!("site = \"site-{}\"\n", site + 1)),
        };
        let _ = write!(
            text,
            "[[agents]]\nname = \"{name}\"\n{home}count = {count}\nconcurrency = {concurrency}\n\
             cores = {cores}\n"
        );
        if site == 0 {
            let unequal = commented(&unequal(&name));
            let _ = writeln!(text, "# Machines may differ:\n{unequal}");
        }
        text.push('\n');
    }
    text
}

/// What a fleet may have besides, as comments that can be taken out.
fn commented(lines: &str) -> String {
    lines.lines().map(|line| format!("# {line}\n")).collect::<String>().trim_end().to_owned()
}

/// A machine of half the speed.
fn unequal(group: &str) -> String {
    format!("each = {{ \"{group}-1\" = {{ speed = 0.5 }} }}")
}

/// An account at a provider, for all agents.
const ACCOUNT: &str = "[[providers]]\nname = \"account-1\"\nagents = \"agent-*\"\n\
                       requests_per_minute = 600\nburst = 20                   # at once after a pause\n\
                       concurrency = 50";

/// A letter instead of a number, because agents of a group have numbers themselves.
fn letter(position: u32) -> char {
    char::from(b'a' + (position % 26) as u8)
}

/// How many cores keep all jobs of an agent going.
fn cores(answers: &FleetAnswers) -> u32 {
    let busy = f64::from(answers.concurrency) * (1.0 - answers.waiting);
    // A hair above a whole number comes from rounding.
    (busy - 1e-9).ceil().clamp(1.0, 1024.0) as u32
}

fn workload(answers: &FleetAnswers, rate: f64) -> String {
    let (p50, p99) = (format_duration(answers.p50), format_duration(answers.p99));
    let percent = format!("{:.1}", answers.waiting * 100.0);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    let deadline = format_duration(answers.deadline);
    format!(
        "# Jobs per second of all clients, at random times; each goes to an agent at random, which\n\
         # hands it to a peer.\n\
         [workload]\narrivals = \"poisson\"\nrate = {rate}\n\
         # A job takes {p50} at the median and {p99} at p99 (lognormal). {percent} % of the median \
         job waits\n\
         # for models or tools (`wait`), the rest is CPU time (`demand`).\n\
         {}\
         # A client gives up after this time, and the job counts as failed.\n\
         deadline = \"{deadline}\"\n\
         # Twice as many jobs for a while:\n{}\n\n\
         # An account at a provider of models, with its limits. An agent whose account is exhausted\n\
         # refuses the job, and another one is tried. Agents may have accounts of their own.\n{}\n",
        times(answers),
        commented(&burst(answers, rate)),
        commented(ACCOUNT),
    )
}

/// The CPU time and the wait of a job. The smaller part of the two is always the same, so their
/// sum has the quantiles that were asked for.
fn times(answers: &FleetAnswers) -> String {
    let FleetAnswers { p50, p99, waiting, .. } = answers;
    let mostly_waits = *waiting >= 0.5;
    let less = p50.mul_f64(if mostly_waits { 1.0 - waiting } else { *waiting });
    // Whole microseconds read better.
    let less = Duration::from_micros(less.as_micros() as u64);
    let rest = [*p50 - less, *p99 - less].map(format_duration);
    let more = format!("{{ p50 = \"{}\", p99 = \"{}\" }}", rest[0], rest[1]);
    let (more_is, less_is) = if mostly_waits { ("wait", "demand") } else { ("demand", "wait") };
    match less.is_zero() {
        true => format!("{more_is} = {more}\n"),
        false => format!("{less_is} = \"{}\"\n{more_is} = {more}\n", format_duration(less)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> FleetAnswers {
        FleetAnswers {
            name: None,
            agents: 20,
            concurrency: 4,
            p50: Duration::from_secs(4),
            p99: Duration::from_secs(40),
            waiting: 0.99,
            rate: None,
            deadline: Duration::from_secs(120),
            sites: 1,
            between: Duration::from_millis(80),
        }
    }

    fn parsed(answers: &FleetAnswers) -> Scenario {
        let text = scenario(answers, "mine.toml");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        Scenario::parse(&text, "mine.toml").unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The time of a job that a share of the jobs stays below, in seconds. One part is constant.
    fn job(scenario: &Scenario, share: f64) -> f64 {
        let job = &scenario.workload.jobs[0];
        let wait = job.wait.as_ref().map(|wait| wait.quantile(share)).unwrap_or_default();
        (job.demand.quantile(share) + wait).as_secs_f64()
    }

    #[test]
    fn the_quantiles_are_those_that_were_asked_for() {
        for waiting in [0.0, 0.2, 0.5, 0.9, 0.99, 1.0] {
            let found = parsed(&FleetAnswers { waiting, ..answers() });
            assert!((job(&found, 0.5) - 4.0).abs() < 1e-6, "{waiting}");
            assert!((job(&found, 0.99) - 40.0).abs() < 1e-6, "{waiting}");
        }
    }

    #[test]
    fn a_fleet_has_no_warning_and_room_by_default() {
        for (agents, sites, waiting, p50) in
            [(20, 1, 0.99, 4_000), (2, 2, 0.0, 10), (501, 20, 0.5, 300), (5_000, 3, 1.0, 60_000)]
        {
            let (p50, p99) = (Duration::from_millis(p50), Duration::from_millis(10 * p50));
            let deadline = 3 * p99;
            let given = FleetAnswers { agents, sites, waiting, p50, p99, deadline, ..answers() };
            let found = parsed(&given);
            let estimate = Estimate::of(&found);
            assert_eq!(estimate.warnings(), Vec::<String>::new(), "{given:?}");
            assert_eq!((found.agents.len(), &*found.name), (agents as usize, "mine"));
            let share =
                found.workload.arrivals.open().unwrap().peak() / estimate.capacity().unwrap();
            assert!((0.55..0.65).contains(&share), "{share}: {given:?}");
        }
    }

    #[test]
    fn what_is_commented_out_is_sound() {
        let text = scenario(&answers(), "mine.toml");
        let mut whole = text.clone();
        let burst = burst(&answers(), usual_rate(&answers()));
        for lines in [&*unequal("agent"), &burst, ACCOUNT] {
            let comment = commented(lines);
            assert!(text.contains(&comment), "{comment}\n{text}");
            whole = whole.replace(&comment, lines);
        }
        let found = Scenario::parse(&whole, "mine.toml").unwrap_or_else(|e| panic!("{e}\n{whole}"));
        assert_eq!((found.agents[0].machine.speed, found.agents[1].machine.speed), (0.5, 1.0));
        assert_eq!(found.providers.len(), 1);
        assert!(!found.workload.arrivals.open().unwrap().changes().is_empty());
    }

    #[test]
    fn too_many_jobs_are_written_with_a_warning_that_says_what_is_needed() {
        let found = parsed(&FleetAnswers { rate: Some(20.0), ..answers() });
        let warnings = Estimate::of(&found).warnings();
        // 20 jobs/s of 6.53 s are 130.6 jobs at once: 33 agents.
        assert!(warnings[0].contains("33 agents"), "{warnings:?}");
    }
}
