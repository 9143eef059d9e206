//! `GET /services?wait=10s&index=7`: an answer when the list is another one.

use std::time::Duration;

use mesh_core::duration::parse_duration;

/// Longest wait that is granted; a longer one is cut down to it.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a client wants to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poll {
    /// The index that it has seen.
    pub(super) index: u64,
    /// How long it is willing to wait for another.
    pub(super) wait: Duration,
}

impl Poll {
    /// Reads a query; `None`: the client does not wait. Fields of other names are ignored.
    ///
    /// # Errors
    /// A sentence that says what is wrong with a field.
    pub(super) fn parse(query: Option<&str>) -> Result<Option<Self>, String> {
        let (mut index, mut wait) = (None, None);
        for field in query.unwrap_or_default().split('&') {
            match field.split_once('=').unwrap_or((field, "")) {
                ("index", value) => {
                    let number = value.parse::<u64>();
                    index = Some(number.map_err(|_| format!("index: {value:?} is no number"))?);
                }
                ("wait", value) => {
                    let duration = parse_duration(value);
                    let duration = duration.map_err(|error| format!("wait: {value:?}: {error}"))?;
                    wait = Some(duration.min(MAX_WAIT));
                }
                _ => {}
            }
        }
        // Without an index there is nothing to compare with: any list is news.
        Ok(index.zip(wait).map(|(index, wait)| Self { index, wait }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_needs_both_fields() {
        let poll = |wait| Some(Poll { index: 7, wait });
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("wait=10s"), None),
            (Some("index=7"), None),
            (Some("wait=10s&index=7"), poll(Duration::from_secs(10))),
            (Some("index=7&x&wait=250ms"), poll(Duration::from_millis(250))),
            (Some("index=7&wait=2h"), poll(MAX_WAIT)),
        ] {
            assert_eq!(Poll::parse(query), Ok(expected), "{query:?}");
        }
        for bad in ["index=-1&wait=1s", "index=", "index=1&wait=1", "wait=soon"] {
            assert!(Poll::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
