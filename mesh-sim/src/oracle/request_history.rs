//! What has happened to each request of a run, however many there are.

/// Requests of one page.
const PAGE: usize = 4096;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestStep {
    Due = 1,
    Ended = 2,
    /// Its first attempt began.
    Started = 4,
    Done = 8,
    /// Its first attempt was sent to a peer.
    Sent = 16,
}

/// A request of which nothing is left to happen.
const COMPLETE: u8 = 31;

/// The steps of each request, which are numbered from 0 without great gaps: one byte per request,
/// and none for a page on which all are complete.
#[derive(Debug, Default)]
pub(super) struct History {
    pages: Vec<HistoryPage>,
}

#[derive(Debug)]
enum HistoryPage {
    /// Every request of it has gone through every step.
    Complete,
    Open(Box<OpenPage>),
}

#[derive(Debug)]
struct OpenPage {
    steps: [u8; PAGE],
    complete: usize,
}

impl History {
    /// Notes a step; false if it had been noted before.
    pub(super) fn note(&mut self, request: u64, step: RequestStep) -> bool {
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

    /// Whether a step has been noted.
    pub(super) fn has(&self, request: u64, step: RequestStep) -> bool {
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
