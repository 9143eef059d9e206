//! `replay.html`: what led to each failure of a run, on one page, which needs no other file and no
//! script.

use std::fmt::Write as _;

use super::chart::{self, MAX_LIFELINES};
use super::time_line::left_out;
use super::told_before;
use crate::format;
use crate::page::{STYLE, escape};
use crate::replay::{FailureStory, seconds_text};
use crate::scenario::{EngineKind, Scenario};

const OWN_STYLE: &str = include_str!("style.css");

/// The run whose failures a page tells.
#[derive(Debug)]
pub struct ReplayedRun<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The engine that ran it.
    pub engine: EngineKind,
    /// The policy's label.
    pub policy: &'a str,
    /// The seed.
    pub seed: u64,
}

/// The text of the page.
pub fn page(run: &ReplayedRun<'_>, stories: &[FailureStory]) -> String {
    let name = escape(&run.scenario.name);
    let (policy, seed, engine) = (escape(run.policy), run.seed, run.engine.name());
    let failures = format::counted(stories.len(), "failure");
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: {failures} - Agentic Mesh</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n\
         </head>\n<body>\n<header>\n<h1>{name}: {failures}</h1>\n\
         <p class=\"lead\">{}</p>\n\
         <dl><dt>policy</dt><dd>{policy}</dd><dt>seed</dt><dd>{seed}</dd>\
         <dt>clock</dt><dd>virtual: engine {engine}; times are simulated, not measured</dd></dl>\n\
         </header>\n",
        escape(&run.scenario.description)
    );
    for (index, story) in stories.iter().enumerate() {
        out.push_str(&match told_before(stories, index) {
            Some(sentence) => heading(story) + &format!("<p>{sentence}</p>\n</section>\n"),
            None => section(story),
        });
    }
    out + "</body>\n</html>\n"
}

/// The beginning of a section.
fn heading(story: &FailureStory) -> String {
    format!("<section>\n<h2 class=\"bad\">{}</h2>\n", escape(&story.failure))
}

fn section(story: &FailureStory) -> String {
    let mut out = heading(story);
    for sentence in [story.about.clone().unwrap_or_default(), left_out(story), hidden(story)] {
        if !sentence.is_empty() {
            let _ = writeln!(out, "<p>{}</p>", escape(&sentence));
        }
    }
    if !story.hosts.is_empty() {
        let _ = write!(
            out,
            "<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" \
             aria-label=\"Sequence diagram\">{}</div>\n{}</figure>\n",
            chart::render(story),
            key()
        );
    }
    out + &table(story) + "</section>\n"
}

/// Says which hosts the diagram does not show; empty if it shows all.
fn hidden(story: &FailureStory) -> String {
    let (shown, all) = (MAX_LIFELINES, story.hosts.len());
    match all > shown {
        true => format!("The diagram has the first {shown} of {all} hosts."),
        false => String::new(),
    }
}

/// Explains the diagram.
fn key() -> String {
    let entries = [
        (
            "<path class=\"arrow whole\" d=\"M0 3L22 8\"/><path class=\"head\" d=\"M30 10L20 11L22 4Z\"/>",
            "message: sent, arrived",
        ),
        (
            "<path class=\"arrow lost\" d=\"M0 6H20\"/><path class=\"cross\" d=\"M18 2l8 8m0 -8l-8 8\"/>",
            "lost message",
        ),
        (
            "<path class=\"arrow open\" d=\"M0 6H30\"/>",
            "not there yet, or its arrival is not recorded",
        ),
        ("<rect class=\"job\" x=\"10\" y=\"1\" width=\"10\" height=\"10\"/>", "a job runs"),
        ("<rect class=\"fault-band\" x=\"1\" y=\"1\" width=\"28\" height=\"10\"/>", "fault"),
        ("<path class=\"failure-sign\" d=\"M15 0l6 6l-6 6l-6 -6Z\"/>", "failure"),
    ];
    let mut out = "<figcaption><ul class=\"key\">".to_owned();
    for (sample, name) in entries {
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 30 12\" aria-hidden=\"true\">{sample}</svg>{name}</li>"
        );
    }
    out + "</ul>\n<p class=\"soft\">Time goes down, not to scale: a longer time is a longer way, but \
           far less than in proportion. Heartbeats, lists and probes are not recorded.</p>\
           </figcaption>\n"
}

/// The time line, with the failure as its last row.
fn table(story: &FailureStory) -> String {
    let decimals = story.decimals();
    let mut out = "<div class=\"scroll\"><table class=\"story\">\n<tr><th>time</th><th>where</th>\
                   <th>what</th></tr>\n"
        .to_owned();
    let mut row = |class: &str, at, place: &str, words: &str| {
        let at = seconds_text(at, decimals);
        // A name is not broken at its hyphen.
        let hosts = place.split(" -> ").map(|host| format!("<span>{}</span>", escape(host)));
        let place = hosts.collect::<Vec<_>>().join(" \u{2192} ");
        let words = escape(words);
        let _ = writeln!(out, "<tr{class}><td>{at}</td><td>{place}</td><td>{words}</td></tr>");
    };
    for line in story.lines() {
        let class = if line.is_fault { " class=\"is-fault\"" } else { "" };
        row(class, line.at, &line.place, &line.words);
    }
    row(" class=\"is-failure\"", story.failed_at, "\u{25c6} FAILED", &story.failure);
    out + "</table></div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example::scenario;
    use crate::report::sequence::story_example::partition;

    fn rendered(stories: &[FailureStory]) -> String {
        let mut scenario = scenario(3, std::time::Duration::from_secs(30), &["random"]);
        scenario.description = "A <script> & more".to_owned();
        let engine = EngineKind::Event;
        page(&ReplayedRun { scenario: &scenario, engine, policy: "<i>random", seed: 7 }, stories)
    }

    #[test]
    fn the_page_stands_alone_and_tells_every_story() {
        let mut other = partition();
        other.failure = "violated: <b>\"this\"</b> & that".to_owned();
        (other.left_out, other.faults_left_out) = (40, 2);
        other.hosts.extend((0..9).map(|number| format!("other-{number}").into()));
        other.events[0].words = "sends it".to_owned();
        let page = rendered(&[partition(), other.clone(), partition()]);
        for foreign in ["http://", "https://", "<script", "url(", "@import", "<i>", "<b>"] {
            assert!(!page.contains(foreign), "{foreign} in the page");
        }
        for part in [
            "A &lt;script&gt; &amp; more",
            ": 3 failures",
            "Request 812 shows this, too: see above.",
            "<h2 class=\"bad\">violated: &lt;b&gt;&quot;this&quot;&lt;/b&gt; &amp; that</h2>",
            "Left out: 40 events, 2 earlier faults.",
            "The diagram has the first 12 of 13 hosts.",
            "<span>agent-3</span> \u{2192} <span>agent-1</span></td>\
             <td>sends the job; LOST: the link is cut</td>",
            "partition, in effect since 20 s: agent-1 | registry, agent-3",
        ] {
            assert!(page.contains(part), "no {part} in\n{page}");
        }
        assert_eq!(page.matches("class=\"is-failure\"").count(), 2);
        for tag in ["svg", "table", "div", "ul", "section", "figure", "g", "tr", "td", "li", "p"] {
            let opened = page.matches(&format!("<{tag} ")).count()
                + page.matches(&format!("<{tag}>")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"));
        assert_eq!(page, rendered(&[partition(), other, partition()]), "the same bytes again");
    }

    #[test]
    fn a_failure_about_which_nothing_is_known_has_a_section() {
        let mut story = partition();
        story.hosts.clear();
        story.events.clear();
        story.faults.clear();
        let page = rendered(&[story]);
        assert!(page.contains("class=\"is-failure\"") && !page.contains("class=\"seq\""));
    }
}
