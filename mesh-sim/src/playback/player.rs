//! The page that plays recordings: one document that opens by itself.

use mesh_core::Timestamp;
use mesh_node::dashboard::playback_page;
use serde::Serialize;

use super::RecordedRun;
use crate::page::escape;
use crate::replay::StoryFault;

const DOCUMENT: &str = include_str!("player.html");
const STYLE: &str = include_str!("player.css");
const SCRIPT: &str = include_str!("player.js");

/// A fault, as it is marked at the slider.
#[derive(Clone, Debug, Serialize)]
pub struct PlaybackFault {
    /// The kind of fault: "partition".
    label: String,
    /// Which hosts it hits, and how.
    detail: String,
    from_ms: u64,
    /// `None` if it lasts to the end of the run.
    until_ms: Option<u64>,
}

impl From<StoryFault> for PlaybackFault {
    fn from(fault: StoryFault) -> Self {
        let StoryFault { label, detail, from, until, .. } = fault;
        let millis = |at: Timestamp| at.elapsed().as_millis() as u64;
        let until_ms = (until != Timestamp::MAX).then(|| millis(until));
        Self { label, detail, from_ms: millis(from), until_ms }
    }
}

/// What the page has of the runs.
#[derive(Serialize)]
struct Recording<'a> {
    end_ms: u64,
    period_ms: u64,
    faults: &'a [PlaybackFault],
    runs: &'a [RecordedRun],
    /// The document of each frame.
    page: String,
}

/// A page that plays these runs of one scenario: the first two side by side, in step. `lead` says in
/// a line what was simulated.
pub fn player_page(
    title: &str,
    lead: &str,
    faults: &[PlaybackFault],
    runs: &[RecordedRun],
) -> serde_json::Result<String> {
    let frames = || runs.iter().flat_map(|run| &run.frames);
    let end_ms = frames().map(|frame| frame.at_ms).max().unwrap_or_default();
    let period_ms = runs.first().and_then(|run| run.frames.get(1)).map_or(1, |frame| frame.at_ms);
    let recording = Recording { end_ms, period_ms, faults, runs, page: playback_page() };
    // Within a script, `<` could only begin the end of it, or a comment.
    let json = serde_json::to_string(&recording)?.replace('<', "\\u003c");
    let (title, lead) = (escape(title), escape(lead));
    let parts: [(&str, &str); 5] = [
        ("TITLE", &title),
        ("LEAD", &lead),
        ("STYLE", STYLE),
        ("SCRIPT", SCRIPT),
        ("RECORDING", &json),
    ];
    Ok(filled(DOCUMENT, &parts))
}

/// The template with these texts in place of its markers. What a text has in it is no marker.
fn filled(template: &str, parts: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::new(), template);
    let next = |rest: &str| {
        let found =
            parts.iter().filter_map(|(marker, text)| Some((rest.find(marker)?, *marker, *text)));
        found.min_by_key(|(at, ..)| *at)
    };
    while let Some((at, marker, text)) = next(rest) {
        out.push_str(&rest[..at]);
        out.push_str(text);
        rest = &rest[at + marker.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_text_is_no_marker() {
        let page = player_page("SCRIPT <b>", "RECORDING", &[], &[]).expect("a page");
        assert!(page.contains("<h1>SCRIPT &lt;b&gt;</h1>") && page.contains(">RECORDING</p>"));
    }
}
