//! The stories of failures that `mesh-sim replay` found: time lines and sequence diagrams, for the
//! terminal, as a page, and as JSON.

mod chart;
mod diagram;
mod json;
mod page;
mod rows;
#[cfg(test)]
mod story_example;
mod time_line;

pub use self::json::json_line;
pub use self::page::{ReplayedRun, page};

use crate::replay::FailureStory;

/// A story for the terminal, in lines of at most 80 characters: the time line, whose last line is
/// the failure, and a sequence diagram if its hosts fit.
pub fn text(story: &FailureStory) -> String {
    time_line::render(story) + &diagram::render(story)
}
