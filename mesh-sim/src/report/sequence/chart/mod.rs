//! The sequence diagram of a failure as SVG: one vertical lifeline per host, time from top to
//! bottom, messages as slanted arrows, faults as bands.

mod layout;
mod marks;

use std::fmt::Write as _;

use self::layout::{GAP, Layout, TOP};
use self::marks::{arrow, cross, note};
use super::rows::RowKind;
use crate::format;
use crate::page::escape;
use crate::replay::{FailureStory, StoryEvent, StoryFault, StoryStep, seconds_text};

/// The most lifelines of a diagram: a reader can't follow more.
pub(super) const MAX_LIFELINES: usize = 12;
/// A width that a character of the diagram hardly ever exceeds.
const CHARACTER: f64 = 6.4;

/// The diagram, as an `svg` element.
pub(super) fn render(story: &FailureStory) -> String {
    let layout = Layout::new(story);
    let (width, height) = (layout.width(), layout.height());
    let label = escape(&format!("Sequence diagram: {}", story.failure));
    let mut out = format!(
        "<svg class=\"seq\" viewBox=\"0 0 {width:.0} {height:.0}\" style=\"width:{width:.0}px\" \
         role=\"img\" aria-label=\"{label}\">"
    );
    for (index, fault) in story.faults.iter().enumerate() {
        out.push_str(&band(&layout, index, fault));
    }
    out.push_str(&times(&layout));
    out.push_str(&lifelines(&layout));
    out.push_str(&jobs(&layout));
    for event in &story.events {
        out.push_str(&message(&layout, event));
    }
    // Texts come last, so that no line crosses them.
    for (index, fault) in story.faults.iter().enumerate() {
        out.push_str(&fault_label(&layout, index, fault));
    }
    out.push_str(&notes(&layout));
    out.push_str(&failure(&layout));
    out + "</svg>\n"
}

/// A fault as a band around each group of neighbouring lifelines that it hits.
fn band(layout: &Layout<'_>, index: usize, fault: &StoryFault) -> String {
    let mut out = String::new();
    let Some((top, bottom)) = layout.fault_span(index) else { return out };
    let title = escape(&format!("{}: {}, until {}", fault.label, fault.detail, fault.end()));
    for group in layout.hit_groups(fault) {
        let (left, right) = layout.group_sides(&group);
        let (width, height) = (right - left, bottom - top);
        let _ = write!(
            out,
            "<rect class=\"fault-band\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"><title>{title}</title></rect>"
        );
    }
    out
}

/// The name of a fault at the top of its first band. A fault that hits none of the lifelines has no
/// band, so its name and its end stand at the left side.
fn fault_label(layout: &Layout<'_>, index: usize, fault: &StoryFault) -> String {
    let Some((top, bottom)) = layout.fault_span(index) else { return String::new() };
    let name = |x: f64, y: f64, room: f64, words: &str| {
        let text = escape(&format::ellipsis(words, (room / CHARACTER) as usize));
        format!("<text class=\"fault-name\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>")
    };
    let StoryFault { label, detail, .. } = fault;
    let words = format!("{label}: {detail}");
    let groups = layout.hit_groups(fault);
    if let (Some(first), Some(last)) = (groups.first(), groups.last()) {
        let (left, _) = layout.group_sides(first);
        let (_, right) = layout.group_sides(last);
        return name(left + 5.0, top + 13.0, right - left - 10.0, &words);
    }
    let (left, room) = (layout.left(), layout.right() - layout.left());
    let mut out = name(left, top + 10.0, room, &words);
    if fault.until <= layout.story.failed_at {
        out.push_str(&name(left, bottom + 4.0, room, &format!("{label} ends: {detail}")));
    }
    out
}

/// The times at the left side, each with a faint line.
fn times(layout: &Layout<'_>) -> String {
    let mut out = String::new();
    let (mut last, decimals) = (None, layout.story.decimals());
    for (at, kind, y) in layout.rows() {
        let (x, right) = (layout.left() - 12.0, layout.right());
        let start = layout.left() - 6.0;
        let _ = write!(out, "<path class=\"grid\" d=\"M{start:.1} {y:.1}H{right:.1}\"/>");
        if last == Some(at) && kind != RowKind::Failure {
            continue;
        }
        last = Some(at);
        let (text, y) = (seconds_text(at, decimals), y + 4.0);
        let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>");
    }
    out
}

/// The names of the hosts and their lifelines, which are dotted while a host is down.
fn lifelines(layout: &Layout<'_>) -> String {
    let mut out = String::new();
    for (index, host) in layout.hosts().iter().enumerate() {
        let (x, bottom) = (layout.x(index), layout.bottom());
        let mut from = TOP - 12.0;
        let mut is_up = true;
        let mut draw = |from: f64, until: f64, is_up: bool| {
            let class = if is_up { "lifeline" } else { "lifeline down" };
            let _ = write!(out, "<path class=\"{class}\" d=\"M{x:.1} {from:.1}V{until:.1}\"/>");
        };
        for event in layout.story.events.iter().filter(|event| event.host == *host) {
            let now_up = match event.step {
                StoryStep::HostStops => false,
                StoryStep::HostStarts => true,
                StoryStep::Plain | StoryStep::JobStarts | StoryStep::JobEnds => continue,
            };
            let y = layout.y(event.at);
            draw(from, y, is_up);
            (from, is_up) = (y, now_up);
        }
        draw(from, bottom, is_up);
        let room = ((GAP - 26.0) / CHARACTER) as usize;
        let (full, name) = (escape(host), escape(&format::ellipsis(host, room)));
        let (left, width) = (x - (GAP - 18.0) / 2.0, GAP - 18.0);
        let _ = write!(
            out,
            "<rect class=\"host\" x=\"{left:.1}\" y=\"8\" width=\"{width:.1}\" height=\"26\" \
             rx=\"4\"><title>{full}</title></rect>\
             <text class=\"host-name\" x=\"{x:.1}\" y=\"25\" text-anchor=\"middle\">{name}</text>"
        );
    }
    out
}

/// A bar on the lifeline while a job runs; a cross where a host stops.
fn jobs(layout: &Layout<'_>) -> String {
    let mut out = String::new();
    let events = &layout.story.events;
    for (position, event) in events.iter().enumerate() {
        let Some(host) = layout.lifeline(&event.host) else { continue };
        let (x, y) = (layout.x(host), layout.y(event.at));
        match event.step {
            StoryStep::JobStarts => {
                let ends = |later: &&StoryEvent| {
                    later.host == event.host
                        && matches!(later.step, StoryStep::JobEnds | StoryStep::HostStops)
                };
                let end = events[position + 1..].iter().find(ends);
                let height = end.map_or(layout.bottom(), |end| layout.y(end.at)) - y;
                let left = x - 5.0;
                let _ = write!(
                    out,
                    "<rect class=\"job\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"10\" \
                     height=\"{height:.1}\"/>"
                );
            }
            StoryStep::HostStops => out.push_str(&cross(x, y, 6.0)),
            StoryStep::HostStarts => {
                let _ =
                    write!(out, "<circle class=\"starts\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>");
            }
            StoryStep::Plain | StoryStep::JobEnds => {}
        }
    }
    out
}

fn message(layout: &Layout<'_>, event: &StoryEvent) -> String {
    let Some(message) = &event.message else { return String::new() };
    let ends = layout.lifeline(&event.host).zip(layout.lifeline(&message.to));
    match ends {
        // The last end of the story comes before a client's pause is over.
        Some((from, to)) if message.sent <= layout.story.failed_at => {
            arrow(layout, from, to, message)
        }
        _ => String::new(),
    }
}

/// What hosts did, beside their lifelines. Several notes of a host at one time share a line.
fn notes(layout: &Layout<'_>) -> String {
    let mut out = String::new();
    for (at, kind, _) in layout.rows() {
        if kind != RowKind::Events {
            continue;
        }
        for (index, host) in layout.hosts().iter().enumerate() {
            let is_here = |event: &&StoryEvent| {
                event.at == at && event.host == *host && !event.note.is_empty()
            };
            let here: Vec<&StoryEvent> = layout.story.events.iter().filter(is_here).collect();
            if !here.is_empty() {
                out.push_str(&note(layout, index, at, &here));
            }
        }
    }
    out
}

/// The failure: a line across the diagram, and a filled sign at the host at which it shows.
fn failure(layout: &Layout<'_>) -> String {
    let story = layout.story;
    let y = layout.failure_y();
    let host = story.failed_host.as_ref().and_then(|host| layout.lifeline(host));
    let x = host.map_or(layout.left() + 12.0, |host| layout.x(host));
    let (left, right) = (layout.left() - 6.0, layout.right());
    let sign = format!("M{x:.1} {:.1}l11 11l-11 11l-11 -11Z", y - 11.0);
    let stroke = format!("M{:.1} {:.1}l8 8m0 -8l-8 8", x - 4.0, y - 4.0);
    let room = ((right - x - 30.0) / CHARACTER) as usize;
    let text = escape(&format::ellipsis(&format!("FAILED: {}", story.failure), room.max(8)));
    let title = escape(&story.failure);
    format!(
        "<g class=\"failure\"><title>{title}</title>\
         <path class=\"failure-line\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
         <path class=\"failure-sign\" d=\"{sign}\"/><path class=\"failure-stroke\" d=\"{stroke}\"/>\
         <text class=\"failure-name\" x=\"{:.1}\" y=\"{:.1}\">{text}</text></g>",
        x + 16.0,
        y + 18.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::MessageFate;
    use crate::report::sequence::story_example::partition;

    #[test]
    fn a_lost_message_ends_in_a_cross_and_a_fault_is_a_band() {
        let chart = render(&partition());
        let lost = chart.matches("class=\"arrow lost\"").count();
        // One cross for the lost message, one for the host that stops.
        assert_eq!((lost, chart.matches("class=\"cross\"").count()), (1, 2));
        // Both sides of the partition, and the crash.
        assert_eq!(chart.matches("class=\"fault-band\"").count(), 3);
        assert!(chart.contains(">partition: agent-1 | registry, agent-3</text>"), "{chart}");
        assert_eq!(chart.matches("class=\"failure-sign\"").count(), 1);
        assert_eq!(chart.matches("class=\"lifeline down\"").count(), 1);
        assert_eq!(chart.matches("class=\"job\"").count(), 1);
        assert_eq!(chart, render(&partition()), "the same bytes again");
    }

    #[test]
    fn an_arrow_comes_down_where_its_message_arrives() {
        let mut story = partition();
        let sent = &story.events[0];
        let layout = Layout::new(&story);
        let (from, to) = (layout.y(sent.at), layout.y(story.events[1].at));
        assert!(to > from);
        let line = format!("M{:.1} {from:.1}L{:.1} {to:.1}", layout.x(0) + 2.0, layout.x(1) - 3.0);
        assert!(render(&story).contains(&line), "{line}");
        story.events[0].message.as_mut().unwrap().fate = MessageFate::UnderWay;
        let open = render(&story);
        assert!(!open.contains(&line) && open.contains("class=\"arrow open\""));
    }

    #[test]
    fn markup_in_labels_is_text_and_too_many_hosts_are_cut() {
        let mut story = partition();
        let evil = "<script>&\"x\"";
        story.failure = evil.to_owned();
        story.hosts.extend((0..30).map(|number| format!("<b>{number}").into()));
        story.hosts[0] = evil.into();
        story.events[0].host = evil.into();
        story.events[2].note = evil.to_owned();
        story.faults[0].detail = evil.to_owned();
        story.events[3].message.as_mut().unwrap().label = evil.to_owned();
        let chart = render(&story);
        assert!(!chart.contains("<script") && !chart.contains("<b>"), "{chart}");
        assert_eq!(chart.matches("class=\"host\"").count(), MAX_LIFELINES);
    }
}
