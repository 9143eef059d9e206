//! The query of a long poll: `GET /services?wait=10s&index=7`.

use std::time::Duration;

use mesh_core::duration::parse_duration;

/// The longest wait that is granted. A longer one is cut down to it.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(60);

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongPoll {
    /// The index that the client knows.
    pub(super) index: u64,
    /// How long the client is willing to wait for another index.
    pub(super) wait: Duration,
}

impl LongPoll {
    /// Reads a query. `None` if the client does not want to wait. Fields of other names are
    /// ignored.
    ///
    /// # Errors
    /// A sentence for people that says what is wrong with a field.
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
        // Without an index there is nothing to compare with, so the client gets the list at once.
        Ok(index.zip(wait).map(|(index, wait)| Self { index, wait }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_poll_needs_both_fields() {
        let long_poll = |wait| Some(LongPoll { index: 7, wait });
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("wait=10s"), None),
            (Some("index=7"), None),
            (Some("wait=10s&index=7"), long_poll(Duration::from_secs(10))),
            (Some("index=7&x&wait=250ms"), long_poll(Duration::from_millis(250))),
            (Some("index=7&wait=2h"), long_poll(MAX_WAIT)),
        ] {
            assert_eq!(LongPoll::parse(query), Ok(expected), "{query:?}");
        }
        for bad in ["index=-1&wait=1s", "index=", "index=1&wait=1", "wait=soon"] {
            assert!(LongPoll::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
