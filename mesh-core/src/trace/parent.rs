//! The field `traceparent`: `version-trace-parent-flags`, in lower-case hexadecimal digits.

use super::{SpanId, TraceId};

/// The length of the field in version 00, and the least in later ones.
const LENGTH: usize = 55;
/// The version that is forbidden.
const NO_VERSION: u8 = 0xff;

/// Reads the field: trace, parent and flags. `None` if it is not valid.
///
/// Of versions after 00 only the part is read that 00 has, as the rules demand.
pub(super) fn parse(line: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    let line = trimmed(line);
    let (known, rest) = line.split_at_checked(LENGTH)?;
    let dashes = [known[2], known[35], known[52]];
    let [version] = hex::<1>(&known[..2])?;
    let is_whole = rest.is_empty() || (version > 0 && rest[0] == b'-');
    if dashes != [b'-'; 3] || version == NO_VERSION || !is_whole {
        return None;
    }
    let trace = TraceId::new(hex(&known[3..35])?)?;
    let parent = SpanId::new(hex(&known[36..52])?)?;
    let [flags] = hex(&known[53..])?;
    Some((trace, parent, flags))
}

/// The bytes without the spaces and tabs around them, which HTTP allows.
pub(super) fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The bytes that these digits mean, two for each; `None` if one is not a lower-case digit.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
