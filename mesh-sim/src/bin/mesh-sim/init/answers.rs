//! The answers about a fleet: from flags, from questions, or the usual ones.

use std::fmt::Display;
use std::io::BufRead;
use std::time::Duration;

use mesh_node::process::console::say_bytes;
use mesh_sim::units::{format_duration, parse_duration};

use crate::args::InitArgs;

/// How often a question is asked until it has an answer that makes sense.
const TRIES: usize = 5;
/// The limits keep a first run within seconds, or a minute.
const MOST_AGENTS: u32 = 5_000;
const MOST_AT_ONCE: u32 = 1_000;
const MOST_SITES: u32 = 20;
const GREATEST_RATE: f64 = 10_000.0;
const LONGEST_JOB: Duration = Duration::from_secs(3_600);
/// The longest p99 and deadline.
const LATEST: Duration = Duration::from_secs(8 * 3_600);
const SHORTEST_JOB: Duration = Duration::from_millis(1);

/// What somebody knows who runs a fleet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FleetAnswers {
    pub(super) name: Option<String>,
    pub(super) agents: u32,
    /// How many jobs an agent does at once.
    pub(super) concurrency: u32,
    /// The median time of a job, and the time that 99 % of the jobs stay below.
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// The share of a median job that waits and needs no CPU, 0 to 1.
    pub(super) waiting: f64,
    /// Jobs per second; `None`: what leaves the agents some room.
    pub(super) rate: Option<f64>,
    pub(super) deadline: Duration,
    pub(super) sites: u32,
    /// The time of a message between two sites, there and back.
    pub(super) between: Duration,
}

impl FleetAnswers {
    /// Takes each answer from the flags, else from a question, else the usual one.
    ///
    /// # Errors
    /// The flag that makes no sense, and what was expected; or that questions had no answer.
    pub(super) fn collect(args: &InitArgs, mut ask: Questions<'_>) -> Result<Self, String> {
        let agents = ask.answer("agents", &args.agents, "How many agents?", "20", |text| {
            whole(text, 2, MOST_AGENTS)
        })?;
        let p50 = ask.answer("p50", &args.p50, "How long does a job take (median)?", "4s", job)?;
        let tenfold = format_duration((p50 * 10).min(2 * LONGEST_JOB));
        let question = "How long at most do 99 % of the jobs take (p99)?";
        let p99 = ask.answer("p99", &args.p99, question, &tenfold, |text| later(text, p50))?;
        let question = "How many jobs does an agent do at once?";
        let concurrency = ask.answer("concurrency", &args.concurrency, question, "4", |text| {
            whole(text, 1, MOST_AT_ONCE)
        })?;
        let question = "How much of a job is waiting for models, tools, ... (percent)?";
        let waiting = ask.answer("waiting", &args.waiting, question, "99", percent)?;
        let question = "How many jobs come per second, all agents together (auto: 60 % busy)?";
        let rate = ask.answer("rate", &args.rate, question, "auto", rate)?;
        let usual = format_duration((p99 * 3).min(LATEST));
        let question = "When does a client give up?";
        let deadline =
            ask.answer("deadline", &args.deadline, question, &usual, |text| later(text, p50))?;
        let sites =
            ask.answer("sites", &args.sites, "At how many sites are they?", "1", |text| {
                whole(text, 1, MOST_SITES.min(agents))
            })?;
        let usual = "80ms";
        let between = match (sites, &args.between) {
            (1, None) => link(usual)?,
            (1, Some(_)) => return Err("--between needs two sites, like --sites 2".to_owned()),
            _ => {
                let question = "How far are two sites apart (round trip)?";
                ask.answer("between", &args.between, question, usual, link)?
            }
        };
        let name = args.name.clone();
        Ok(Self { name, agents, concurrency, p50, p99, waiting, rate, deadline, sites, between })
    }
}

/// Asks for what no flag says.
pub(super) struct Questions<'a>(Option<&'a mut dyn BufRead>);

impl<'a> Questions<'a> {
    /// Somebody answers.
    pub(super) fn asking(reader: &'a mut dyn BufRead) -> Self {
        say_bytes(b"An empty answer takes what stands in brackets.\n");
        Self(Some(reader))
    }

    /// Nobody is there: everything has its usual value.
    pub(super) fn silent() -> Self {
        Self(None)
    }

    fn answer<T>(
        &mut self,
        flag: &str,
        given: &Option<String>,
        question: &str,
        usual: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        if let Some(given) = given {
            return parse(given).map_err(|expected| format!("--{flag} {given}: {expected}"));
        }
        let Some(reader) = &mut self.0 else { return parse(usual) };
        for _ in 0..TRIES {
            say_bytes(format!("{question} [{usual}] ").as_bytes());
            let mut line = String::new();
            let read = reader.read_line(&mut line);
            let ended = read.map_err(|error| format!("failed to read the answer: {error}"))? == 0;
            let text = if line.trim().is_empty() { usual } else { line.trim() };
            match parse(text) {
                Ok(answer) => return Ok(answer),
                Err(expected) if ended => return Err(format!("{question} {expected}")),
                Err(expected) => say_bytes(format!("  {expected}\n").as_bytes()),
            }
        }
        Err(format!("{question} No answer made sense; use --{flag}"))
    }
}

fn within<T: PartialOrd + Display>(value: T, least: T, most: T) -> Result<T, String> {
    match value >= least && value <= most {
        true => Ok(value),
        false => Err(format!("expected {least} to {most}")),
    }
}

fn whole(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let number = text.parse().map_err(|_| format!("expected a whole number, {least} to {most}"))?;
    within(number, least, most)
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim_end().parse::<f64>();
    let number = number.map_err(|_| "expected a number of percent, 0 to 100".to_owned())?;
    Ok(within(number, 0.0, 100.0)? / 100.0)
}

/// A number of jobs per second; `None` for "auto".
fn rate(text: &str) -> Result<Option<f64>, String> {
    if text == "auto" {
        return Ok(None);
    }
    let expected = "expected a number of jobs per second, like 3 or 0.5, or auto";
    let rate: f64 = text.parse().map_err(|_| expected.to_owned())?;
    within(rate, 0.001, GREATEST_RATE).map(Some)
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .map_err(|_| "expected a duration with its unit, like 300ms or 4s".to_owned())
}

fn between(value: Duration, least: Duration, most: Duration) -> Result<Duration, String> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(format!("expected {} to {}", format_duration(least), format_duration(most))),
    }
}

fn job(text: &str) -> Result<Duration, String> {
    between(duration(text)?, SHORTEST_JOB, LONGEST_JOB)
}

fn link(text: &str) -> Result<Duration, String> {
    between(duration(text)?, Duration::ZERO, Duration::from_secs(10))
}

/// A duration above the median of a job.
fn later(text: &str, median: Duration) -> Result<Duration, String> {
    let value = duration(text)?;
    if value <= median {
        let median = format_duration(median);
        return Err(format!("expected more than {median}, the median time of a job"));
    }
    between(value, SHORTEST_JOB, LATEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_again_until_the_answer_makes_sense() {
        let mut typed = &b"12\n6s\n2s\n30s\n\nhalf\n90%\n\n\n2\n20ms\n"[..];
        let found = FleetAnswers::collect(&InitArgs::default(), Questions::asking(&mut typed));
        let found = found.unwrap();
        assert_eq!((found.agents, found.concurrency, found.sites), (12, 4, 2));
        assert_eq!((found.p50.as_secs(), found.p99.as_secs()), (6, 30), "2s is below the median");
        assert_eq!((found.waiting, found.rate), (0.9, None));
        assert_eq!((found.deadline.as_secs(), found.between.as_millis()), (90, 20));
        assert!(typed.is_empty());
    }

    #[test]
    fn flags_are_not_asked_for_and_an_end_of_input_takes_the_rest() {
        let args = InitArgs { agents: Some("7".to_owned()), ..InitArgs::default() };
        let mut typed = &b"1s\n"[..];
        let found = FleetAnswers::collect(&args, Questions::asking(&mut typed)).unwrap();
        assert_eq!((found.agents, found.p50.as_secs(), found.p99.as_secs()), (7, 1, 10));
        let mut typed = &b"no\nno\nno\nno\nno\n"[..];
        let mistake = FleetAnswers::collect(&args, Questions::asking(&mut typed)).unwrap_err();
        assert!(mistake.contains("--p50"), "{mistake}");
    }

    #[test]
    fn impossible_flags_say_what_was_expected() {
        let flag = |set: fn(&mut InitArgs, String), value: &str| {
            let mut args = InitArgs::default();
            set(&mut args, value.to_owned());
            FleetAnswers::collect(&args, Questions::silent()).unwrap_err()
        };
        for (mistake, expected) in [
            (flag(|args, v| args.p99 = Some(v), "4s"), "--p99 4s: expected more than 4s"),
            (flag(|args, v| args.agents = Some(v), "1"), "--agents 1: expected 2 to 5000"),
            (flag(|args, v| args.rate = Some(v), "-3"), "--rate -3: expected 0.001 to 10000"),
            (flag(|args, v| args.p50 = Some(v), "4"), "--p50 4: expected a duration"),
            (flag(|args, v| args.waiting = Some(v), "120"), "--waiting 120: expected 0 to 100"),
            (flag(|args, v| args.sites = Some(v), "21"), "--sites 21: expected 1 to 20"),
            (flag(|args, v| args.deadline = Some(v), "1s"), "--deadline 1s: expected more than"),
            (flag(|args, v| args.between = Some(v), "1s"), "--between needs two sites"),
        ] {
            assert!(mistake.starts_with(expected), "{mistake}");
        }
    }
}
