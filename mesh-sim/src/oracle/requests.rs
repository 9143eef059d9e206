//! Every request ends exactly once and in time, and no job is done twice unless a retry said so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::Note;
use mesh_core::protocol::Name;

use super::Found;
use crate::engine::faults::FaultSchedule;
use crate::record::Outcome;
use crate::scenario::Scenario;

const ENDS_ONCE: &str = "every request ends exactly once";
const IN_TIME: &str = "every request ends by its deadline";
const LOST_TO_A_FAULT: &str = "a request is lost only to a fault";
const WORKS_ONCE: &str = "no attempt is worked on twice";
const RETRY_SAID: &str = "a further attempt is one that a retry announced";
const DONE_ONCE: &str = "a request that is not idempotent is done at most once";

#[derive(Debug)]
pub(super) struct Requests {
    faults: Arc<FaultSchedule>,
    deadline: Duration,
    resolution: Duration,
    idempotent: bool,
    last_due: Timestamp,
    open: BTreeMap<u64, Timestamp>,
    seen: u64,
    /// Jobs begun, by request and attempt.
    started: BTreeSet<(u64, u32)>,
    /// The next attempt that a retry announced, by request.
    announced: BTreeMap<u64, u32>,
    done: BTreeSet<u64>,
}

impl Requests {
    pub(super) fn new(
        scenario: &Scenario,
        faults: Arc<FaultSchedule>,
        resolution: Duration,
    ) -> Self {
        Self {
            faults,
            deadline: scenario.workload.deadline,
            resolution,
            idempotent: scenario.workload.idempotent,
            last_due: Timestamp::from(scenario.duration),
            open: BTreeMap::new(),
            seen: 0,
            started: BTreeSet::new(),
            announced: BTreeMap::new(),
            done: BTreeSet::new(),
        }
    }

    /// By then even the last request has ended.
    pub(super) fn end(&self) -> Timestamp {
        self.last_due + self.deadline + self.resolution
    }

    pub(super) fn due(&mut self, request: u64, intended: Timestamp, found: &mut Found) {
        self.seen += 1;
        if self.open.insert(request, intended).is_some() {
            found.add(ENDS_ONCE, intended, format!("request {request} was sent twice"));
        }
    }

    pub(super) fn ended(
        &mut self,
        now: Timestamp,
        request: u64,
        outcome: &Outcome,
        found: &mut Found,
    ) {
        let Some(intended) = self.open.remove(&request) else {
            found.add(ENDS_ONCE, now, format!("request {request} ended again: {outcome:?}"));
            return;
        };
        let took = now.since(intended);
        if took > self.deadline + self.resolution {
            let detail = format!("request {request} took {took:?} of {:?}", self.deadline);
            found.add(IN_TIME, now, detail);
        }
        // A connection broken by a fault may be found out one deadline after it healed.
        if matches!(outcome, Outcome::Lost(_))
            && !self.faults.may_lose(intended - self.deadline, now)
        {
            let detail =
                format!("request {request} was lost ({outcome:?}) while nothing was broken");
            found.add(LOST_TO_A_FAULT, now, detail);
        }
    }

    pub(super) fn agent(&mut self, now: Timestamp, agent: &Name, note: &Note, found: &mut Found) {
        match *note {
            Note::Retrying { request, attempt, .. } => {
                self.announced.insert(request, attempt + 1);
            }
            Note::JobStarted { request, attempt } => {
                if !self.started.insert((request, attempt)) {
                    let detail =
                        format!("{agent} began attempt {attempt} of request {request} again");
                    found.add(WORKS_ONCE, now, detail);
                }
                let announced = self.announced.get(&request).copied().unwrap_or_default();
                if attempt > announced {
                    let detail = format!("{agent} began attempt {attempt} of request {request}");
                    found.add(RETRY_SAID, now, detail);
                }
            }
            Note::JobEnded { request, outcome: "done", .. }
                if !self.done.insert(request) && !self.idempotent =>
            {
                let detail = format!("{agent} did request {request}, which had been done before");
                found.add(DONE_ONCE, now, detail);
            }
            _ => {}
        }
    }

    pub(super) fn finish(&mut self, now: Timestamp, found: &mut Found) {
        for (request, intended) in &self.open {
            let detail = format!("request {request}, due at {intended}, never ended");
            found.add(ENDS_ONCE, now, detail);
        }
    }
}
