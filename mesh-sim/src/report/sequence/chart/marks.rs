//! The marks of a sequence diagram: arrows, crosses and notes.

use mesh_core::Timestamp;

use super::CHARACTER;
use super::layout::{GAP, Layout};
use crate::format;
use crate::page::escape;
use crate::replay::{MessageFate, StoryEvent, StoryMessage};

/// How a message's line ends.
struct ArrowEnd {
    class: &'static str,
    x: f64,
    y: f64,
    sign: String,
}

/// A message, from its sender's lifeline to its receiver's.
pub(super) fn arrow(layout: &Layout<'_>, from: usize, to: usize, message: &StoryMessage) -> String {
    let side = if to > from { 1.0 } else { -1.0 };
    let (x, y) = (layout.x(from) + side * 2.0, layout.y(message.sent));
    let target = layout.x(to) - side * 3.0;
    let end = arrow_end(layout, (x, y), target, side, message);
    let ArrowEnd { class, x: end_x, y: end_y, sign } = end;
    // Below a line that ends in a cross, because the message before it came from above.
    let is_lost = matches!(message.fate, MessageFate::Lost(_));
    let offset = if is_lost { 16.0 } else { -5.0 };
    // In the middle of the first gap, where no lifeline and no note of a host between is.
    let share = 0.5 / from.abs_diff(to).max(1) as f64;
    let (label_x, label_y) = (x + share * (end_x - x), y + share * (end_y - y) + offset);
    let room = (GAP / CHARACTER) as usize;
    let label = match message.fate {
        MessageFate::TooLate => format!("{}, too late", message.label),
        MessageFate::Lost(_) => format!("{}, lost", message.label),
        _ => message.label.clone(),
    };
    let label = escape(&format::ellipsis(&label, room));
    format!(
        "<path class=\"arrow {class}\" d=\"M{x:.1} {y:.1}L{end_x:.1} {end_y:.1}\"/>{sign}\
         <text class=\"label\" x=\"{label_x:.1}\" y=\"{label_y:.1}\" text-anchor=\"middle\">{label}\
         </text>"
    )
}

fn arrow_end(
    layout: &Layout<'_>,
    (x, y): (f64, f64),
    target: f64,
    side: f64,
    message: &StoryMessage,
) -> ArrowEnd {
    match message.fate {
        MessageFate::Arrived(at) => {
            let end = layout.y(at);
            ArrowEnd { class: "whole", x: target, y: end, sign: head((x, y), (target, end)) }
        }
        MessageFate::ArrivedSometime | MessageFate::TooLate => {
            let end = y + 12.0;
            ArrowEnd { class: "open", x: target, y: end, sign: head((x, y), (target, end)) }
        }
        MessageFate::UnderWay => {
            let (x, end) = (x + (target - x) * 0.8, layout.failure_y());
            ArrowEnd { class: "open", x, y: end, sign: String::new() }
        }
        MessageFate::Lost(_) => {
            // It ends near its receiver, but clear of the receiver's lifeline and notes.
            let (x, end) = (target - side * GAP * 0.3, y + 12.0);
            ArrowEnd { class: "lost", x, y: end, sign: cross(x, end, 6.0) }
        }
    }
}

/// The head of an arrow that ends at `tip`.
fn head(from: (f64, f64), tip: (f64, f64)) -> String {
    let (dx, dy) = (tip.0 - from.0, tip.1 - from.1);
    let length = libm::hypot(dx, dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    let back = (tip.0 - 9.0 * ux, tip.1 - 9.0 * uy);
    format!(
        "<path class=\"head\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\"/>",
        tip.0,
        tip.1,
        back.0 - 4.0 * uy,
        back.1 + 4.0 * ux,
        back.0 + 4.0 * uy,
        back.1 - 4.0 * ux
    )
}

/// A cross: a message is lost, a host stops.
pub(super) fn cross(x: f64, y: f64, size: f64) -> String {
    let (left, top, side) = (x - size, y - size, 2.0 * size);
    format!(
        "<path class=\"cross\" d=\"M{left:.1} {top:.1}l{side:.1} {side:.1}m0 -{side:.1}\
         l-{side:.1} {side:.1}\"/>"
    )
}

/// What a host did at a time, beside its lifeline: to the right, unless only the left is free.
pub(super) fn note(
    layout: &Layout<'_>,
    host: usize,
    at: Timestamp,
    events: &[&StoryEvent],
) -> String {
    let name = &layout.hosts()[host];
    let (mut on_left, mut on_right) = (false, false);
    for event in &layout.story.events {
        let Some(message) = &event.message else { continue };
        let arrives = matches!(message.fate, MessageFate::Arrived(then) if then == at);
        let other = if event.host == *name && message.sent == at {
            layout.lifeline(&message.to)
        } else if message.to == *name && arrives {
            layout.lifeline(&event.host)
        } else {
            None
        };
        on_left |= other.is_some_and(|other| other < host);
        on_right |= other.is_some_and(|other| other > host);
    }
    let is_left = on_right && !on_left && host > 0;
    // With arrows on both sides the note stands below them.
    let below = if on_right && (on_left || !is_left) { 14.0 } else { 0.0 };
    let (x, anchor) = match is_left {
        true => (layout.x(host) - 10.0, "end"),
        false => (layout.x(host) + 10.0, "start"),
    };
    let y = layout.y(at) + 4.0 + below;
    let texts: Vec<&str> = events.iter().map(|event| &*event.note).collect();
    let text = texts.join(", ");
    let room = ((GAP - 24.0) / CHARACTER) as usize;
    let words: Vec<&str> = events.iter().map(|event| &*event.words).collect();
    let (text, title) = (escape(&format::ellipsis(&text, room)), escape(&words.join("; ")));
    format!(
        "<text class=\"note\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">\
         <title>{title}</title>{text}</text>"
    )
}
