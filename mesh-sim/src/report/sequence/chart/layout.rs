//! Where everything stands in a sequence diagram.

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use super::{CHARACTER, MAX_LIFELINES};
use crate::replay::{FailureStory, StoryFault, seconds_text};
use crate::report::sequence::rows::{RowKind, rows};

/// The distance between two lifelines, in pixels.
pub(super) const GAP: f64 = 168.0;
/// Where the first row stands, below the names of the hosts.
pub(super) const TOP: f64 = 62.0;
/// The room beside the times at the left side.
const MARGIN: f64 = 24.0;
/// The room for notes to the right of the last lifeline.
const NOTES: f64 = 64.0;
/// The least distance between two rows.
const ROW: f64 = 26.0;

/// The places of the rows and lifelines of one diagram, in pixels.
pub(super) struct Layout<'a> {
    pub(super) story: &'a FailureStory,
    rows: Vec<(Timestamp, RowKind, f64)>,
    left: f64,
}

impl<'a> Layout<'a> {
    pub(super) fn new(story: &'a FailureStory) -> Self {
        let mut placed: Vec<(Timestamp, RowKind, f64)> = Vec::new();
        for (at, kind) in rows(story) {
            let y = placed.last().map_or(TOP, |(last, _, y)| y + ROW + stretch(*last, at));
            placed.push((at, kind, y));
        }
        let times = seconds_text(story.failed_at, story.decimals()).len();
        Self { story, rows: placed, left: MARGIN + times as f64 * CHARACTER * 1.1 }
    }

    /// The hosts that have a lifeline.
    pub(super) fn hosts(&self) -> &'a [Name] {
        &self.story.hosts[..self.story.hosts.len().min(MAX_LIFELINES)]
    }

    /// Every row with its height.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Timestamp, RowKind, f64)> {
        self.rows.iter().copied()
    }

    pub(super) fn lifeline(&self, host: &str) -> Option<usize> {
        self.hosts().iter().position(|name| **name == *host)
    }

    /// The place of a lifeline.
    pub(super) fn x(&self, lifeline: usize) -> f64 {
        self.left + GAP * (lifeline as f64 + 0.5)
    }

    /// The height of what happens at a time.
    pub(super) fn y(&self, at: Timestamp) -> f64 {
        self.row(at, RowKind::Events).unwrap_or_else(|| self.failure_y())
    }

    pub(super) fn failure_y(&self) -> f64 {
        self.rows.last().map_or(TOP, |(_, _, y)| *y)
    }

    fn row(&self, at: Timestamp, kind: RowKind) -> Option<f64> {
        self.rows.iter().find(|row| (row.0, row.1) == (at, kind)).map(|row| row.2)
    }

    /// The left side of the lifelines' area; the times stand to the left of it.
    pub(super) const fn left(&self) -> f64 {
        self.left
    }

    pub(super) fn right(&self) -> f64 {
        self.left + GAP * self.hosts().len() as f64
    }

    /// The end of the lifelines.
    pub(super) fn bottom(&self) -> f64 {
        self.failure_y() + 28.0
    }

    pub(super) fn width(&self) -> f64 {
        self.right() + NOTES
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom() + 4.0
    }

    /// The top and the bottom of a fault; `None` if it is not drawn.
    pub(super) fn fault_span(&self, index: usize) -> Option<(f64, f64)> {
        let fault = &self.story.faults[index];
        let top = self.row(fault.from, RowKind::FaultBegins(index))?;
        let end = self.row(fault.until, RowKind::FaultEnds(index));
        Some((top - 6.0, end.unwrap_or(self.bottom())))
    }

    /// The lifelines that a fault hits, as ranges of neighbours on one side of it: first and last.
    pub(super) fn hit_groups(&self, fault: &StoryFault) -> Vec<(usize, usize)> {
        let mut groups: Vec<(usize, usize)> = Vec::new();
        let sides: Vec<_> = self.hosts().iter().map(|host| fault.side_of(host)).collect();
        for (index, side) in sides.iter().enumerate().filter(|(_, side)| side.is_some()) {
            match groups.last_mut() {
                Some((_, last)) if *last + 1 == index && sides[*last] == *side => *last = index,
                _ => groups.push((index, index)),
            }
        }
        groups
    }

    /// The left and the right side of the band around lifelines.
    pub(super) fn group_sides(&self, (first, last): &(usize, usize)) -> (f64, f64) {
        (self.x(*first) - GAP / 2.0 + 6.0, self.x(*last) + GAP / 2.0 - 6.0)
    }
}

/// How much further apart two rows stand because of the time between them. Times of a story reach
/// from microseconds to minutes, so this grows with the number of digits.
fn stretch(from: Timestamp, until: Timestamp) -> f64 {
    match until.since(from).as_micros() {
        0..1_000 => 0.0,
        1_000..10_000 => 6.0,
        10_000..100_000 => 12.0,
        100_000..1_000_000 => 20.0,
        _ => 30.0,
    }
}
