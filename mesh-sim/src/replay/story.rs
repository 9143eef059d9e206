//! The story of a failure: what led to it, ready to be told and drawn.

use mesh_core::Timestamp;
use mesh_core::protocol::Name;

use crate::format::exact_seconds;

/// What led to a failure. [`LoggedFacts::story`](super::LoggedFacts::story) makes it after a run;
/// the terminal, the page and programs all get the same story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureStory {
    /// What failed, in a sentence: the failure as it is printed.
    pub failure: String,
    /// The end of the story: when it failed, or when the request ended that shows the failure.
    pub failed_at: Timestamp,
    /// The host at which the failure shows; `None` if it concerns the run as a whole.
    pub failed_host: Option<Name>,
    /// The request that the story is about, if it is about one.
    pub request: Option<u64>,
    /// Why the story is about that request, in a sentence, if the failure doesn't name it.
    pub about: Option<String>,
    /// The hosts that take part, as their lifelines stand side by side: the client, the agents in
    /// the order in which they come in, the registry.
    pub hosts: Vec<Name>,
    /// What happened, in the order of time.
    pub events: Vec<StoryEvent>,
    /// How many events were left out because there were too many.
    pub left_out: usize,
    /// The faults that were active in the story or shortly before, in the order in which they began.
    pub faults: Vec<StoryFault>,
    /// How many of these faults were left out because there were too many.
    pub faults_left_out: usize,
}

/// What became of one request, from the client to the peers and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestWay {
    /// The request's number.
    pub request: u64,
    /// What happened to it, in the order of time.
    pub events: Vec<StoryEvent>,
}

/// One event of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryEvent {
    /// When it happened.
    pub at: Timestamp,
    /// The host at which it happened.
    pub host: Name,
    /// What the host did, without the name of the host: "starts the job".
    pub words: String,
    /// The same in two or three words, for a picture. Empty if the event's message, or one that
    /// arrives, says enough.
    pub note: String,
    /// What the event changes about the host.
    pub step: StoryStep,
    /// The message that the host sent.
    pub message: Option<StoryMessage>,
    /// The event as the event log has it: a JSON object.
    pub json: String,
}

/// What an event changes about a host in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoryStep {
    /// Nothing.
    Plain,
    /// A job begins to run.
    JobStarts,
    /// A job ends, or is refused.
    JobEnds,
    /// The host, or the process on it, begins to run.
    HostStarts,
    /// The host, or the process on it, stops.
    HostStops,
}

/// A message from one host to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryMessage {
    /// The receiver.
    pub to: Name,
    /// When it was sent: later than its event if a client pauses before it sends again.
    pub sent: Timestamp,
    /// What it brings, in a word or two: "job".
    pub label: String,
    /// What became of it.
    pub fate: MessageFate,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageFate {
    /// It arrived at this time.
    Arrived(Timestamp),
    /// It arrived, as what its sender did next shows. When is not known.
    ArrivedSometime,
    /// It had not arrived when the story ended.
    UnderWay,
    /// It came when nobody waited for it any more.
    TooLate,
    /// It never arrived, for this reason.
    Lost(String),
}

impl MessageFate {
    /// What became of a message that was sent at `sent`, in words.
    fn words(&self, sent: Timestamp) -> String {
        match self {
            Self::Arrived(at) => {
                format!("arrives after {}", super::words::brief_duration(at.since(sent)))
            }
            Self::ArrivedSometime => "it arrives".to_owned(),
            Self::UnderWay => "not there yet".to_owned(),
            Self::TooLate => "nobody waits for it any more".to_owned(),
            Self::Lost(why) => format!("LOST: {why}"),
        }
    }
}

/// A fault that may have had a part in a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryFault {
    /// The kind of fault: "partition".
    pub label: String,
    /// Which hosts it hits, and how: "agent-1..3 | registry".
    pub detail: String,
    /// The hosts that it hits. What is between hosts, as a partition is, has several sides.
    pub sides: Vec<Vec<Name>>,
    /// When it began.
    pub from: Timestamp,
    /// When it ended; [`Timestamp::MAX`] if it lasts to the end of the run.
    pub until: Timestamp,
}

/// One line of the time line of a story: when, where, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryLine {
    /// When it happened.
    pub at: Timestamp,
    /// The host, both hosts of a message (`agent-3 -> agent-5`), or "fault".
    pub place: String,
    /// What happened.
    pub words: String,
    /// Whether a fault begins or ends.
    pub is_fault: bool,
}

impl FailureStory {
    /// When the first event happened; the end of the story if there is none.
    pub fn began(&self) -> Timestamp {
        self.events.first().map_or(self.failed_at, |event| event.at)
    }

    /// The time line: what happened, and which faults began and ended, in the order of time. Faults
    /// that hold when the first event happens come first.
    pub fn lines(&self) -> Vec<StoryLine> {
        let mut lines = Vec::new();
        for fault in &self.faults {
            lines.extend(fault.lines(self.began(), self.failed_at));
        }
        lines.extend(self.events.iter().map(StoryEvent::line));
        // This sort keeps the order of equal times: a fault comes before what it causes.
        lines.sort_by_key(|line| line.at);
        lines
    }

    /// Whether a picture of the story needs this fault: it was not over before, or it had hit one of
    /// the hosts.
    pub fn is_drawn(&self, fault: &StoryFault) -> bool {
        fault.until >= self.began() || self.hosts.iter().any(|host| fault.side_of(host).is_some())
    }

    /// How many decimals of a second are needed to tell the times of the story apart: 3 or 6.
    pub fn decimals(&self) -> usize {
        let ends = self.faults.iter().flat_map(|fault| [fault.from, fault.until]);
        let mut times: Vec<Timestamp> = self.events.iter().map(|event| event.at).collect();
        times.extend(ends.filter(|at| *at <= self.failed_at));
        times.sort_unstable();
        times.dedup();
        let look_alike = |pair: &[Timestamp]| seconds_text(pair[0], 3) == seconds_text(pair[1], 3);
        if times.windows(2).any(look_alike) { 6 } else { 3 }
    }
}

/// A time in seconds, with its unit and this many decimals, not rounded up: "12.403 s".
pub fn seconds_text(at: Timestamp, decimals: usize) -> String {
    let (seconds, rest) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
    let digits = format!("{rest:09}");
    format!("{seconds}.{} s", &digits[..decimals.min(9)])
}

impl StoryEvent {
    /// The event as a line, with what became of its message.
    pub fn line(&self) -> StoryLine {
        let (place, words) = match &self.message {
            None => (self.host.to_string(), self.words.clone()),
            Some(message) => (
                format!("{} -> {}", self.host, message.to),
                format!("{}; {}", self.words, message.fate.words(message.sent)),
            ),
        };
        StoryLine { at: self.at, place, words, is_fault: false }
    }
}

impl StoryFault {
    /// The lines for its beginning and its end, in a story from `began` to `failed_at`. A fault that
    /// was over before has one line.
    fn lines(&self, began: Timestamp, failed_at: Timestamp) -> impl Iterator<Item = StoryLine> {
        let line = |at, words| StoryLine { at, place: "fault".to_owned(), words, is_fault: true };
        let Self { label, detail, from, until, .. } = self;
        let is_past = *until < began;
        let begins = if is_past {
            format!("{label} until {}: {detail}", self.end())
        } else if *from < began {
            format!("{label}, in effect since {} s: {detail}", exact_seconds(from.elapsed()))
        } else {
            format!("{label} begins: {detail}")
        };
        let has_end = *until <= failed_at && !is_past;
        let ends = has_end.then(|| line(*until, format!("{label} ends: {detail}")));
        [line(*from, begins)].into_iter().chain(ends)
    }

    /// The side of the fault on which a host is; `None` if the fault does not hit it.
    pub fn side_of(&self, host: &Name) -> Option<usize> {
        self.sides.iter().position(|side| side.contains(host))
    }

    /// When it ends, in words.
    pub fn end(&self) -> String {
        match self.until {
            Timestamp::MAX => "the end of the run".to_owned(),
            until => format!("{} s", exact_seconds(until.elapsed())),
        }
    }
}
