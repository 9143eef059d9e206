//! Times of the wall clock: in files as RFC 3339 writes them, in code as seconds since 1970.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const DAY_S: u64 = 24 * 3600;

/// A second of the wall clock, `2026-12-01T05:00:00Z`. Keys and certificates expire by it; nothing
/// else in the mesh depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcTime(u64);

impl UtcTime {
    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "keys and certificates expire by the wall clock")]
    pub fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(now.unwrap_or_default().as_secs())
    }

    /// The time this many seconds after the beginning of 1970.
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The seconds since the beginning of 1970.
    pub const fn as_unix(self) -> u64 {
        self.0
    }

    /// The beginning of a second of a day, as calendars and clocks count them. `None` if there is no
    /// such day or second, or if it is before 1970.
    pub fn from_parts(date: (u64, u64, u64), time: (u64, u64, u64)) -> Option<Self> {
        let ((year, month, day), (hour, minute, second)) = (date, time);
        let is_valid = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !is_valid {
            return None;
        }
        let days: u64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
        let days = days + (1..month).map(|month| days_of(year, month)).sum::<u64>() + day - 1;
        Some(Self(days * DAY_S + hour * 3600 + minute * 60 + second))
    }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut days, in_day) = (self.0 / DAY_S, self.0 % DAY_S);
        let mut year = 1970;
        while days >= if is_leap(year) { 366 } else { 365 } {
            days -= if is_leap(year) { 366 } else { 365 };
            year += 1;
        }
        let mut month = 1;
        while days >= days_of(year, month) {
            days -= days_of(year, month);
            month += 1;
        }
        let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
    }
}

impl FromStr for UtcTime {
    type Err = String;

    /// Reads `2026-12-01T05:00:00Z`, or `2026-12-01` for the beginning of that day.
    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected a time such as 2026-12-01T05:00:00Z, and not {text:?}");
        let numbers = |text: &str, by: char, widths: [usize; 3]| -> Option<(u64, u64, u64)> {
            let mut parts = text.split(by).zip(widths).map(|(part, width)| {
                let is_number = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
                is_number.then(|| part.parse().ok()).flatten()
            });
            let all = (parts.next()??, parts.next()??, parts.next()??);
            (text.matches(by).count() == 2).then_some(all)
        };
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, time.strip_suffix('Z').ok_or_else(expected)?),
            None => (text, "00:00:00"),
        };
        let date = numbers(date, '-', [4, 2, 2]).ok_or_else(expected)?;
        let time = numbers(time, ':', [2, 2, 2]).ok_or_else(expected)?;
        Self::from_parts(date, time).ok_or_else(expected)
    }
}

impl TryFrom<String> for UtcTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<UtcTime> for String {
    fn from(time: UtcTime) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_764_565_200, "2025-12-01T05:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(UtcTime::from_unix(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(UtcTime::from_unix(seconds)));
        }
        assert_eq!("1970-01-02".parse(), Ok(UtcTime::from_unix(DAY_S)));
        for bad in [
            "",
            "now",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "1969-12-31",
            "2026-12-01T24:00:00Z",
            "2026-12-01T05:00:00",
            "2026-12-01T05:00:00+01:00",
            "2026-12-01-01",
            "+026-12-01",
        ] {
            assert!(bad.parse::<UtcTime>().is_err(), "{bad}");
        }
    }
}
