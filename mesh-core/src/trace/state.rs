//! The field `tracestate`: `key=value` members, separated by commas.

use super::parent::trimmed;

/// The most members that a list may have. A longer one is not valid.
const MAX_MEMBERS: usize = 32;
/// How many characters are passed on, commas included.
const MAX_LENGTH: usize = 512;
/// Where a list is too long, members with more characters are the first to go.
const LONG_MEMBER: usize = 128;
/// The most characters of a key, and of a value.
const MAX_PART: usize = 256;

/// Puts the lines of the field together: all members, cut to what is passed on. `None` if there are
/// no members, or one is not valid: who knows what the others mean then.
pub(super) fn join<S: AsRef<[u8]>>(lines: impl IntoIterator<Item = S>) -> Option<String> {
    let mut members = Vec::new();
    for line in lines {
        for member in line.as_ref().split(|byte| *byte == b',') {
            // Empty members are valid: whoever joins an empty line to another one makes some.
            let member = trimmed(member);
            if member.is_empty() {
                continue;
            }
            if !is_member(member) || members.len() == MAX_MEMBERS {
                return None;
            }
            members.push(String::from_utf8_lossy(member).into_owned());
        }
    }
    cut(&mut members);
    (!members.is_empty()).then(|| members.join(","))
}

/// Takes members out until the list is short enough: long ones first, then any, each time the last.
fn cut(members: &mut Vec<String>) {
    let mut length = members.iter().map(|member| member.len() + 1).sum::<usize>();
    while length > MAX_LENGTH + 1 {
        let last_long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        let Some(last) = last_long.or(members.len().checked_sub(1)) else { return };
        length -= members.remove(last).len() + 1;
    }
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let is_key_byte =
        |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    // Spaces at the end of a value are gone already; those at its beginning are a part of it.
    let is_value_byte = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=MAX_PART).contains(&key.len())
        && matches!(key[0], b'a'..=b'z' | b'0'..=b'9')
        && key.iter().all(is_key_byte)
        && (1..=MAX_PART).contains(&value.len())
        && value.iter().all(is_value_byte)
}
