//! What the lines of a worker mean.

use mesh_core::codec::limits::OUTPUT_LEVELS;
use mesh_core::jsonrpc::is_deeper;
use mesh_core::text;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::report::JobTrouble;
use super::queue::WorkerResult;

/// A line of a worker.
#[derive(Debug)]
pub(super) enum WorkerMessage {
    /// It is ready for jobs.
    Ready,
    /// The answer to the job with this id.
    Answer { id: u64, result: WorkerResult },
}

#[derive(Deserialize)]
struct MessageFields {
    ready: Option<bool>,
    id: Option<u64>,
    #[serde(default, deserialize_with = "null_too")]
    result: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

/// Reads a member that is present, also if it is null.
fn null_too<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

impl WorkerMessage {
    /// Reads a line. A result may have `output_bytes`.
    ///
    /// # Errors
    /// If the line is none that a worker may write; the text says why. An answer with a result that
    /// can't be passed on is no error: its job has failed.
    pub(super) fn read(line: &[u8], output_bytes: usize) -> Result<Self, String> {
        let line = text::read(line).map_err(|error| error.to_string())?;
        let MessageFields { ready, id, result, error } = serde_json::from_str(line)
            .map_err(|error| format!("it is not a message of a worker: {error}"))?;
        let Some(id) = id else {
            let is_ready = ready == Some(true);
            return is_ready.then_some(Self::Ready).ok_or_else(|| "it has no id".to_owned());
        };
        let result = match (result, error) {
            (Some(result), None) => checked(result, output_bytes),
            // Some programs write a null for the one of them that does not apply.
            (result, Some(error))
                if result.as_ref().is_none_or(|result| result.get() == "null") =>
            {
                Err(JobTrouble::failed(reason(&error)))
            }
            _ => return Err("it has neither a result nor an error, or both".to_owned()),
        };
        Ok(Self::Answer { id, result })
    }
}

/// The trouble of a job whose result is too long.
pub(super) fn too_long(output_bytes: usize) -> JobTrouble {
    JobTrouble::failed(format!("its result exceeds {output_bytes} bytes (--output-limit)"))
}

/// A result that every agent and client of the mesh can read.
fn checked(result: Box<RawValue>, output_bytes: usize) -> WorkerResult {
    if is_deeper(result.get().as_bytes(), OUTPUT_LEVELS) {
        let why = format!("its result nests deeper than {OUTPUT_LEVELS} levels");
        return Err(JobTrouble::failed(format!("{why}, the most there may be")));
    }
    if result.get().len() > output_bytes {
        return Err(too_long(output_bytes));
    }
    Ok(result.into())
}

/// The reason of a failed job: the text of a string, or other JSON as it is.
fn reason(error: &RawValue) -> String {
    serde_json::from_str(error.get()).unwrap_or_else(|_| error.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<WorkerMessage, String> {
        WorkerMessage::read(line.as_bytes(), 100)
    }

    fn result(line: &str) -> Result<String, JobTrouble> {
        match read(line) {
            Ok(WorkerMessage::Answer { id: 7, result }) => result.map(|json| json.get().to_owned()),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn an_answer_has_a_result_or_an_error() {
        let failed = |why: &str| Err(JobTrouble::failed(why));
        assert!(matches!(read(r#"{"ready": true}"#), Ok(WorkerMessage::Ready)));
        assert_eq!(result(r#"{"id":7,"result":[1.50],"more":{}}"#), Ok("[1.50]".to_owned()));
        assert_eq!(result(r#"{"result":null,"id":7}"#), Ok("null".to_owned()));
        assert_eq!(result(r#"{"id":7,"result":1,"error":null}"#), Ok("1".to_owned()));
        assert_eq!(result(r#"{"id":7,"error":"no \u0041"}"#), failed("no A"));
        assert_eq!(result(r#"{"id":7,"result":null,"error":{"why":1}}"#), failed(r#"{"why":1}"#));
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let answer = |result: String| format!(r#"{{"id":7,"result":{result}}}"#);
        let levels = OUTPUT_LEVELS.min(50);
        assert_eq!(result(&answer(deep(levels))), Ok(deep(levels)));
        let why = |line: String| result(&line).expect_err("it can't be passed on").why;
        assert!(why(answer(deep(OUTPUT_LEVELS + 1))).contains("64 levels"));
        assert!(why(answer(deep(10_000))).contains("64 levels"), "deeper than a parser goes");
        assert!(why(answer(format!("\"{}\"", "x".repeat(99)))).contains("exceeds 100 bytes"));
    }

    #[test]
    fn other_lines_are_none_of_a_worker() {
        for line in [
            "",
            "loading the model ...",
            "7",
            "{}",
            r#"{"ready": false}"#,
            r#"{"id": "7", "result": 1}"#,
            r#"{"id": 7}"#,
            r#"{"id": 7, "error": null}"#,
            r#"{"id": 7, "result": 1, "error": "a"}"#,
            r#"{"id": 7, "result": 1, "result": 2}"#,
            r#"{"id": 7, "result": 1} {}"#,
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        assert!(WorkerMessage::read(b"\xff\xfe{", 100).is_err());
    }
}
