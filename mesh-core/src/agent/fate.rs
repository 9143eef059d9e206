//! What the end of a call says of the job that it was for.

use super::failure::{CallError, Failure};

/// What a caller saw of a job that it handed on: to a peer or to the service behind an agent, both
/// over HTTP, or to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedEnd {
    /// It never left: no connection, or one that closed before the request went out over it; a
    /// command that could not be started.
    NotSent,
    /// It left, and nothing that can be read came back: the connection was lost, time ran out, the
    /// answer is too long, no JSON-RPC or to another call; a command was killed by a signal.
    NoAnswer,
    /// An HTTP answer of this status without a JSON-RPC answer to the call in it.
    Status(u16),
    /// A JSON-RPC answer to the call, whatever the HTTP status; a command that ended by itself,
    /// whatever its exit status.
    Answer,
}

/// What is certain of a job once a call for it has ended.
///
/// One table for every hop, be it from agent to peer, to upstream or to command. "Never begun" is
/// said only where nothing can have begun: a job that is done twice costs more than one that is
/// not done.
///
/// | what the caller saw | fate | why |
/// |---|---|---|
/// | no connection, a command that can't be started | never begun | |
/// | 429, 503 | never begun | the server takes nothing now |
/// | 401, 403, 404, 405, 407, 410, 411, 414, 415, 417, 421, 425, 426, 428, 431, 501, 505, 511 | never begun | a server, or a proxy before it, turned the request away before anybody did the job: nothing is served there, not to this caller or not in this form |
/// | 413 | answered | the job is too large for it, and will be so for others of its kind |
/// | 301, 307, 308 | never begun | it is done elsewhere, and redirects are not followed |
/// | 302, 303 | unknown | what many frameworks answer when a form has been carried out |
/// | 400, 409, 422 and every other 4xx | unknown | applications say so of jobs that they began |
/// | 408 | unknown | it should say that the request came too slowly, but some frameworks say so of a handler |
/// | 500, 502, 504 and every other 5xx | unknown | what failed may have failed half way |
/// | 2xx and all else | unknown | an answer that can't be read |
/// | connection lost, no answer in time, an answer that can't be read, a command killed by a signal | unknown | |
/// | a JSON-RPC answer with any status, a command that ended by itself | answered | |
///
/// The statuses are those of answers without a JSON-RPC answer to the call. Where there is one, it
/// counts: many servers send their JSON-RPC errors with 400 or 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was never begun: doing it elsewhere does no harm.
    NeverBegun,
    /// It may have been done, in part or in whole: only the request can say whether doing it again
    /// does harm.
    Unknown,
    /// It was answered, and the answer is the caller's.
    Answered,
}

impl ObservedEnd {
    /// What has become of the job.
    pub const fn fate(self) -> Fate {
        match self {
            Self::NotSent => Fate::NeverBegun,
            Self::NoAnswer => Fate::Unknown,
            Self::Status(status) => of_status(status),
            Self::Answer => Fate::Answered,
        }
    }
}

const fn of_status(status: u16) -> Fate {
    match status {
        429 | 503 => Fate::NeverBegun,
        301 | 307 | 308 => Fate::NeverBegun,
        401 | 403..=405 | 407 | 410 | 411 | 414 | 415 | 417 | 421 | 425 | 426 | 428 | 431 => {
            Fate::NeverBegun
        }
        501 | 505 | 511 => Fate::NeverBegun,
        413 => Fate::Answered,
        _ => Fate::Unknown,
    }
}

impl Fate {
    /// The failure of a job that an agent handed to what does its work, and that brought no result.
    /// `whom` names that, and `why` says what happened, both for people.
    pub fn failure(self, whom: impl Into<String>, why: impl Into<String>) -> Failure {
        match self {
            Self::NeverBegun => Failure::Unavailable(why.into()),
            Self::Unknown => Failure::OutcomeUnknown { peer: whom.into() },
            Self::Answered => Failure::JobFailed(why.into()),
        }
    }
}

impl CallError {
    /// What has become of the job. A peer's word that it does not know counts as not knowing.
    pub const fn fate(&self) -> Fate {
        match self {
            Self::NotSent => ObservedEnd::NotSent.fate(),
            Self::NoAnswer => ObservedEnd::NoAnswer.fate(),
            Self::Answered(failure) if failure.is_refusal() => Fate::NeverBegun,
            Self::Answered(Failure::OutcomeUnknown { .. }) => Fate::Unknown,
            Self::Answered(_) => ObservedEnd::Answer.fate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_without_an_answer_says_what_has_become_of_the_job() {
        let expected = |status: u16| match status {
            301 | 307 | 308 | 401 | 403 | 404 | 405 | 415 | 429 | 431 | 501 | 503 => {
                Some(Fate::NeverBegun)
            }
            413 => Some(Fate::Answered),
            200 | 202 | 204 | 302 | 303 | 400 | 408 | 409 | 422 | 500 | 502 | 504 | 599 => {
                Some(Fate::Unknown)
            }
            _ => None,
        };
        for status in 100..600 {
            let fate = ObservedEnd::Status(status).fate();
            assert!(expected(status).is_none_or(|expected| expected == fate), "{status}: {fate:?}");
            assert!(fate != Fate::Answered || status == 413, "{status}");
        }
    }

    #[test]
    fn each_fate_is_told_in_its_own_way() {
        let told = |seen: ObservedEnd| seen.fate().failure("its command", "no such file");
        assert_eq!(told(ObservedEnd::NotSent), Failure::Unavailable("no such file".into()));
        assert_eq!(told(ObservedEnd::NoAnswer), Failure::OutcomeUnknown { peer: "its command".into() });
        assert_eq!(told(ObservedEnd::Answer), Failure::JobFailed("no such file".into()));
        // The agent that is told so comes to the same conclusion.
        for seen in [ObservedEnd::NotSent, ObservedEnd::NoAnswer, ObservedEnd::Answer] {
            assert_eq!(CallError::Answered(told(seen)).fate(), seen.fate());
        }
    }
}
