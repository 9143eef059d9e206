//! The output of a simulated job that had others done: its own, and what came of its parts.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::millis;

/// A subjob that was answered.
#[derive(Clone, Debug)]
pub struct AnsweredSubjob {
    /// Its [text](crate::protocol::Subjob::text).
    pub text: Arc<str>,
    /// From its delegation to its answer.
    pub latency: Duration,
    /// Its result.
    pub result: Arc<RawValue>,
}

#[derive(Serialize, Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    output: Cow<'a, RawValue>,
    #[serde(borrow)]
    calls: Vec<Part<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Part<'a> {
    job: Cow<'a, str>,
    #[serde(with = "millis")]
    latency_ms: Duration,
    #[serde(borrow)]
    result: Cow<'a, RawValue>,
}

/// The output of a job whose own is `own`, and which had these done.
pub fn with_parts(own: &RawValue, answered: &[AnsweredSubjob]) -> Arc<RawValue> {
    let part = |subjob: &AnsweredSubjob| Part {
        job: Cow::Owned(subjob.text.to_string()),
        latency_ms: subjob.latency,
        result: Cow::Owned((*subjob.result).to_owned()),
    };
    let calls = answered.iter().map(part).collect();
    let output = Output { output: Cow::Borrowed(own), calls };
    to_raw_value(&output).map_or_else(|_| own.to_owned().into(), Into::into)
}

/// The subjobs that a job's result tells of, those below them included: the text and the latency of
/// each. None for the result of any other job.
pub fn parts(result: &RawValue) -> Vec<(String, Duration)> {
    let mut found = Vec::new();
    collect(result, &mut found);
    found
}

fn collect(result: &RawValue, found: &mut Vec<(String, Duration)>) {
    let Ok(Output { calls, .. }) = serde_json::from_str(result.get()) else { return };
    for Part { job, latency_ms, result } in calls {
        found.push((job.into_owned(), latency_ms));
        collect(&result, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Arc<RawValue> {
        RawValue::from_string(json.to_owned()).expect("JSON").into()
    }

    #[test]
    fn a_result_tells_of_all_jobs_below_it() {
        let answered = |text: &str, ms, result| AnsweredSubjob {
            text: text.into(),
            latency: Duration::from_millis(ms),
            result,
        };
        let deep = with_parts(&raw("1"), &[answered("deep", 3, raw("[]"))]);
        let all =
            with_parts(&raw("\"x\""), &[answered("a \"b\"", 7, deep), answered("c", 2, raw("{}"))]);
        let ms = Duration::from_millis;
        let expected = [("a \"b\"".into(), ms(7)), ("deep".into(), ms(3)), ("c".into(), ms(2))];
        assert_eq!(parts(&all), expected);
        assert_eq!(parts(&raw(r#"{"output": 1}"#)), []);
    }
}
