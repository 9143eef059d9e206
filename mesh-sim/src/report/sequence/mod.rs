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

use self::time_line::paragraph;
use crate::replay::FailureStory;

/// Stories for the terminal, in lines of at most 80 characters. Each has a time line, whose last line
/// is the failure, and a sequence diagram if its hosts fit.
pub fn text(stories: &[FailureStory]) -> String {
    let mut out = String::new();
    for (index, story) in stories.iter().enumerate() {
        match told_before(stories, index) {
            Some(sentence) => {
                out.push_str(&paragraph(" ", &story.failure));
                out.push_str(&paragraph(" ", &sentence));
            }
            None => out.push_str(&(time_line::render(story) + &diagram::render(story))),
        }
        out.push('\n');
    }
    out
}

/// Says that an earlier failure has the same story as the one at `index`; `None` if none has.
fn told_before(stories: &[FailureStory], index: usize) -> Option<String> {
    let story = &stories[index];
    let is_same = |other: &FailureStory| {
        (&other.events, other.failed_at, other.request)
            == (&story.events, story.failed_at, story.request)
    };
    stories[..index].iter().any(is_same).then(|| match story.request {
        Some(request) => format!("Request {request} shows this, too: see above."),
        None => "The same events led to it: see above.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::story_example::partition;
    use super::*;

    #[test]
    fn a_story_is_told_once() {
        let mut again = partition();
        again.failure = "missed: max_p99".to_owned();
        let (once, twice) = (text(&[partition()]), text(&[partition(), again.clone()]));
        let rest = twice.strip_prefix(&*once).unwrap();
        assert_eq!(rest, " missed: max_p99\n Request 812 shows this, too: see above.\n\n");
        again.request = None;
        assert!(text(&[partition(), again]).matches("### FAILED").count() == 2);
    }
}
