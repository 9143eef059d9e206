//! The page's words and picture about the requests: how many, when, and how much work each is.

use std::time::Duration;

use super::simulated::distribution;
use crate::estimate::rate_at;
use crate::format;
use crate::page::{Axis, AxisUnit, LineChart, LinePoint, LineSeries, LineStyle, grid};
use crate::scenario::{Arrivals, EntryChoice, JobKind, OpenArrivals, Scenario};
use crate::units::format_duration;

/// How many points the picture of the rate has.
const POINTS: u32 = 240;

/// The lines about the requests.
pub(super) fn words(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let workload = &scenario.workload;
    let kind = match &workload.arrivals {
        Arrivals::Poisson(_) => " at random times (Poisson)".to_owned(),
        Arrivals::Constant(_) => " at equal distances".to_owned(),
        Arrivals::Closed { think, .. } => {
            format!("; each thinks between two requests: {}", distribution(think))
        }
    };
    let mut lines = vec![("workload", workload.arrivals.opening_workload() + &kind)];
    let changes = workload.arrivals.open().map(OpenArrivals::changes).unwrap_or_default();
    lines.extend(changes.into_iter().map(|change| ("workload", change)));
    let shares: f64 = workload.jobs.iter().map(|job| job.share).sum();
    for job in &workload.jobs {
        lines.push(("jobs", job_words(scenario, job, shares)));
    }
    if let Some(sessions) = &workload.sessions {
        lines.push(("sessions", format!(
            "{} % of the requests, {} requests each on average, pauses: {}; {} % of the work is \
             left at the agent that did the last one",
            format::share(sessions.share),
            sessions.length,
            distribution(&sessions.pause),
            format::share(sessions.warm)
        )));
    }
    lines.push((
        "entry",
        match &workload.entry {
            EntryChoice::Random => "an agent at random".to_owned(),
            EntryChoice::RoundRobin => "the agents in turn".to_owned(),
            EntryChoice::Fixed(id) => format!("always {}", scenario.agent(*id).name),
            EntryChoice::Weighted(_) => "an agent at random, by weight".to_owned(),
        },
    ));
    if let Some(retries) = workload.client.retries {
        lines.push((
            "clients",
            format!("send a request again up to {}", format::counted(retries.max as usize, "time")),
        ));
    }
    lines
}

fn job_words(scenario: &Scenario, job: &JobKind, shares: f64) -> String {
    let mut words = Vec::new();
    if scenario.workload.jobs.len() > 1 {
        let share = format::share(job.share / shares.max(f64::MIN_POSITIVE));
        words.push(format!("{}: {share} % of the requests", job.name));
    }
    words.push(format!("CPU time {}", distribution(&job.demand)));
    words.extend(job.wait.as_ref().map(|wait| format!("then waits: {}", distribution(wait))));
    words.extend(job.skill.as_ref().map(|skill| format!("needs the skill {skill}")));
    if !job.calls.is_empty() {
        let parts = job.calls.iter().map(|kind| scenario.workload.job(*kind).name.to_string());
        let how = if job.in_turn { "one after the other" } else { "all at once" };
        words.push(format!("has {} done by others, {how}", parts.collect::<Vec<_>>().join(", ")));
    }
    words.push(format!("deadline {}", format_duration(job.deadline)));
    words.extend(job.idempotent.then(|| "may be done twice".to_owned()));
    words.join("; ")
}

/// The rate of the requests over time; empty if it is always the same or follows the answers.
pub(super) fn picture(scenario: &Scenario) -> String {
    let Some(open) = scenario.workload.arrivals.open() else { return String::new() };
    if open.steady_rate().is_some() {
        return String::new();
    }
    let points = points(open, scenario.duration);
    let seconds = scenario.duration.as_secs_f64();
    let tops = points.iter().map(|point| point.band.map_or(point.y, |(_, high)| high));
    let y = Axis::from_zero(tops.fold(0.0, f64::max), AxisUnit::Number);
    let label = "requests per second".to_owned();
    let series = vec![LineSeries { label, style: LineStyle::new(0), points }];
    let caption = match open.on_off {
        Some(_) => "Requests per second: the mean, with the two rates between which it changes",
        None => "Requests per second that are due",
    };
    let x = Axis::of_time(seconds);
    grid(&LineChart { caption, x_title: "", x, y, has_marks: false, series }.render())
}

fn points(open: &OpenArrivals, duration: Duration) -> Vec<LinePoint> {
    let mut points: Vec<LinePoint> = Vec::new();
    for number in 0..=POINTS {
        let at = duration * number / POINTS;
        let (rate, low, high) = rate_at(open, at);
        let seconds = at.as_secs_f64();
        // A rate jumps, so the line goes on at the old rate until the new one holds.
        if let Some(last) = points.last().filter(|last| last.y != rate).cloned() {
            points.push(LinePoint { x: seconds, title: None, ..last });
        }
        let title = Some(format!("{seconds:.0} s: {} per second", AxisUnit::Number.text(rate)));
        let band = open.on_off.map(|_| (low, high));
        points.push(LinePoint { x: seconds, y: rate, band, title });
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Burst, OnOff, RateCurve, ScheduleStep};

    #[test]
    fn the_picture_follows_steps_bursts_curves_and_chance() {
        let second = Duration::from_secs;
        let step = |at, value| ScheduleStep { at: second(at), value };
        let mut open = OpenArrivals::with_rates(vec![step(0, 10.0), step(50, 20.0)]);
        open.bursts = vec![Burst { at: second(10), lasts: second(5), factor: 3.0 }];
        open.curve =
            Some(RateCurve { period: second(40), points: vec![step(0, 1.0), step(20, 0.5)] });
        let rate = |open: &OpenArrivals, at| rate_at(open, second(at)).0;
        assert_eq!([0, 12, 25, 45, 65].map(|at| rate(&open, at)), [10.0, 30.0, 5.0, 10.0, 10.0]);
        open.on_off =
            Some(OnOff { on: second(1), off: second(3), on_factor: 4.0, off_factor: 0.0 });
        assert_eq!(rate_at(&open, second(0)), (10.0, 0.0, 40.0));
        let drawn = points(&open, second(60));
        assert!(drawn.len() > POINTS as usize + 4, "jumps are upright");
    }
}
