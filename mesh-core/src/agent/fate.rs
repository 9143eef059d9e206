//! What the end of a call means for the job that the call was for: was it begun?

use super::failure::{CallError, Failure};

/// What a caller saw when it handed a job on: to a peer or to an upstream service, both over HTTP,
/// or to a command. [`Self::fate`] says what that means for the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedEnd {
    /// The job was never sent: no connection could be opened, or it closed before the request was
    /// written; or a command could not be started, or a worker ended before it had taken the job.
    NotSent,
    /// The job was sent, and no readable answer came back: the connection was lost, time ran out,
    /// or the answer is too long, not JSON-RPC or to another call; or a signal killed the command;
    /// or a worker ended in mid-job.
    NoAnswer,
    /// An HTTP response with this status came, without a JSON-RPC response to the call in it.
    Status(u16),
    /// A JSON-RPC response to the call came, with whatever HTTP status; or a command ended by
    /// itself, with whatever exit status.
    Answer,
}

/// What is certain about a job once a call for it has ended.
///
/// This table holds for every hop: from an agent to a peer, to an upstream service and to a
/// command. It says "never begun" only where that is certain, because a job that is done twice does
/// more harm than one that is not done.
///
/// | what the caller saw | fate | why |
/// |---|---|---|
/// | no connection, a command that can't be started, a worker that ended before it took the job | never begun | |
/// | 429, 503 | never begun | the server takes nothing now |
/// | 401, 403, 404, 405, 407, 410, 411, 414, 415, 417, 421, 425, 426, 428, 431, 501, 505, 511 | never begun | a server, or a proxy before it, turned the request away before the job began: it serves nothing there, or not to this caller, or not in this form |
/// | 413 | answered | the job is too large for it, and will be so for others of its kind |
/// | 301, 307, 308 | never begun | the job would be done elsewhere, and redirects are not followed |
/// | 302, 303 | unknown | many frameworks answer so after they have processed a form |
/// | 400, 409, 422 and every other 4xx | unknown | applications answer so about jobs that they began |
/// | 408 | unknown | it should mean that the request arrived too slowly, but some frameworks answer so when a handler takes too long |
/// | 500, 502, 504 and every other 5xx | unknown | the job may have failed half way |
/// | 2xx and all else | unknown | the answer can't be read |
/// | connection lost, no answer in time, an answer that can't be read, a command killed by a signal, a worker that ended in mid-job | unknown | |
/// | a JSON-RPC answer with any status, a command that ended by itself | answered | |
///
/// The rows with a status are for HTTP responses without a JSON-RPC response to the call. Where
/// there is one, it alone counts: many servers send their JSON-RPC errors with 400 or 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The job was certainly never begun: doing it elsewhere does no harm.
    NeverBegun,
    /// The job may have been done, in part or in whole. Whether doing it again does harm, only the
    /// request can say (`idempotent`).
    Unknown,
    /// The job was answered, and the caller gets this answer.
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
        // The reasons stand in the table at `Fate`, one arm per row.
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
    /// The failure that an agent answers with when its upstream service or command has brought no
    /// result. `whom` names the service or command, `why` says what happened; both are for people.
    pub fn failure(self, whom: impl Into<String>, why: impl Into<String>) -> Failure {
        match self {
            Self::NeverBegun => Failure::Unavailable(why.into().into()),
            Self::Unknown => Failure::OutcomeUnknown { peer: whom.into() },
            Self::Answered => Failure::JobFailed(why.into()),
        }
    }
}

impl CallError {
    /// What has become of the job. If the peer answers that it doesn't know, this agent doesn't
    /// know either.
    pub const fn fate(&self) -> Fate {
        match self {
            Self::NotSent => ObservedEnd::NotSent.fate(),
            Self::NoAnswer => ObservedEnd::NoAnswer.fate(),
            Self::Answered(failure) if failure.is_refusal() => Fate::NeverBegun,
            // The peer has handed the job on itself, and got no answer.
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
        assert_eq!(
            told(ObservedEnd::NoAnswer),
            Failure::OutcomeUnknown { peer: "its command".into() }
        );
        assert_eq!(told(ObservedEnd::Answer), Failure::JobFailed("no such file".into()));
        // The agent that is told so comes to the same conclusion.
        for seen in [ObservedEnd::NotSent, ObservedEnd::NoAnswer, ObservedEnd::Answer] {
            assert_eq!(CallError::Answered(told(seen)).fate(), seen.fate());
        }
    }
}
