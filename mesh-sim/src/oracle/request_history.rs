//! Which steps each request of a run has gone through, in little memory for any number of requests.

use mesh_core::hash::FastMap;
use mesh_core::subjobs::is_subjob;

/// How many requests a page has.
const PAGE: usize = 4096;

/// A step of a request. Each is one bit, so that a byte holds the steps of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestStep {
    Due = 1,
    Ended = 2,
    /// A peer began the first attempt.
    Started = 4,
    /// An agent did the job.
    Done = 8,
    /// The first attempt was sent to a peer.
    Sent = 16,
}

/// All steps: nothing is left to happen to such a request.
const COMPLETE: u8 = 31;

/// The steps of all requests of a run. Requests are numbered from 0 without great gaps. A page
/// takes one byte per request, and no memory once all of its requests have gone through all steps.
#[derive(Debug, Default)]
pub(super) struct History {
    pages: Vec<HistoryPage>,
    /// The steps of each subjob, whose numbers are spread.
    subjobs: FastMap<u64, u8>,
}

#[derive(Debug)]
enum HistoryPage {
    /// Every request of the page has gone through every step.
    Complete,
    Open(Box<OpenPage>),
}

#[derive(Debug)]
struct OpenPage {
    /// The steps of each request, as the sum of its [`RequestStep`]s.
    steps: [u8; PAGE],
    /// How many of the requests are complete.
    complete: usize,
}

impl History {
    /// Notes a step of a request. Returns false if it was noted before.
    pub(super) fn note(&mut self, request: u64, step: RequestStep) -> bool {
        if is_subjob(request) {
            let steps = self.subjobs.entry(request).or_default();
            let is_new = *steps & step as u8 == 0;
            *steps |= step as u8;
            return is_new;
        }
        let (number, place) = (request as usize / PAGE, request as usize % PAGE);
        while self.pages.len() <= number {
            self.pages
                .push(HistoryPage::Open(Box::new(OpenPage { steps: [0; PAGE], complete: 0 })));
        }
        let HistoryPage::Open(page) = &mut self.pages[number] else { return false };
        let steps = &mut page.steps[place];
        if *steps & step as u8 != 0 {
            return false;
        }
        *steps |= step as u8;
        page.complete += usize::from(*steps == COMPLETE);
        if page.complete == PAGE {
            self.pages[number] = HistoryPage::Complete;
        }
        true
    }

    /// Whether this step of a request has been noted.
    pub(super) fn has(&self, request: u64, step: RequestStep) -> bool {
        if is_subjob(request) {
            return self.subjobs.get(&request).is_some_and(|steps| steps & step as u8 != 0);
        }
        match self.pages.get(request as usize / PAGE) {
            None => false,
            Some(HistoryPage::Complete) => true,
            Some(HistoryPage::Open(page)) => page.steps[request as usize % PAGE] & step as u8 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEPS: [RequestStep; 5] = [
        RequestStep::Due,
        RequestStep::Ended,
        RequestStep::Sent,
        RequestStep::Started,
        RequestStep::Done,
    ];

    #[test]
    fn a_complete_page_takes_no_memory_and_knows_all() {
        let mut history = History::default();
        for request in 0..PAGE as u64 {
            for step in STEPS {
                assert!(matches!(history.pages.first(), None | Some(HistoryPage::Open(_))));
                assert!(history.note(request, step));
            }
        }
        assert!(matches!(history.pages[..], [HistoryPage::Complete]));
        assert!(history.has(17, RequestStep::Done) && !history.note(17, RequestStep::Done));
    }

    proptest! {
        #[test]
        fn behaves_like_a_set(notes in prop::collection::vec((0u64..9000, 0usize..5), 0..500)) {
            let mut history = History::default();
            let mut model = std::collections::BTreeSet::new();
            for (request, step) in notes {
                prop_assert_eq!(history.has(request, STEPS[step]), model.contains(&(request, step)));
                prop_assert_eq!(history.note(request, STEPS[step]), model.insert((request, step)));
            }
        }
    }
}
