//! Reading bytes as UTF-8 text, with or without a byte order mark; and suggestions for mistyped
//! words.

use std::str::Utf8Error;

/// The byte order mark of UTF-8, which editors and shells of some systems put before the text.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The byte order marks of other encodings. The longer ones come first: that of UTF-32 (little
/// endian) begins with that of UTF-16.
const FOREIGN: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
];

/// Why bytes can't be read as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// They begin with the byte order mark of another encoding.
    #[error("it is {0}, as its byte order mark says, and must be UTF-8")]
    Foreign(&'static str),
    /// They are not UTF-8 throughout.
    #[error("it is not UTF-8 text: {0}")]
    Utf8(#[from] Utf8Error),
}

/// The bytes after the byte order mark of UTF-8, if there is one.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// The bytes as text, without a byte order mark. A reader of JSON may skip the mark (RFC 8259,
/// section 8.1), and files that Windows saves as "UTF-8" begin with one.
///
/// # Errors
/// If the bytes are not UTF-8, or begin with the byte order mark of another encoding.
pub fn read(bytes: &[u8]) -> Result<&str, TextError> {
    if let Some((_, encoding)) = FOREIGN.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Err(TextError::Foreign(encoding));
    }
    Ok(std::str::from_utf8(without_mark(bytes))?)
}

/// The candidate that was probably meant by `text`: the first of the [`similar`] ones.
pub fn closest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    similar(text, candidates).into_iter().next()
}

/// The candidates that may be meant by `text`, the closest first: those in which at most a third of
/// the letters are different.
pub fn similar<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = text.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let distance =
        |candidate: &str| strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase());
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort_by_key(|(distance, _)| *distance);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The name that `text` stands for: the same one, or else the only one that differs from it in
/// nothing but capitals, or dashes instead of underscores.
///
/// ```
/// use mesh_core::text::find_name;
///
/// assert_eq!(find_name("Power-of-Two", &["random", "power_of_two"]), Some("power_of_two"));
/// assert_eq!(find_name("A", &["a", "A"]), Some("A"));
/// assert_eq!(find_name("a-b", &["a_b", "A_b"]), None, "either could be meant");
/// ```
pub fn find_name<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    if let Some(same) = names.iter().find(|name| **name == text) {
        return Some(same);
    }
    let folded = |name: &str| name.to_lowercase().replace('-', "_");
    let wanted = folded(text);
    let mut alike = names.iter().filter(|name| folded(name) == wanted);
    alike.next().filter(|_| alike.next().is_none()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_skipped_once_and_others_are_named() {
        assert_eq!(read(b"\xef\xbb\xbf{}"), Ok("{}"));
        assert_eq!(read(b"{}"), Ok("{}"));
        assert_eq!(read(b"\xef\xbb\xbf\xef\xbb\xbf"), Ok("\u{feff}"));
        for (bytes, encoding) in [
            (&b"\xff\xfe{\0}\0"[..], "UTF-16"),
            (b"\xfe\xff\0{\0}", "UTF-16"),
            (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
            (b"\0\0\xfe\xff\0\0\0{", "UTF-32"),
        ] {
            assert_eq!(read(bytes), Err(TextError::Foreign(encoding)));
        }
        assert!(matches!(read(b"a\xff"), Err(TextError::Utf8(_))));
    }

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        let fields = ["ttl", "heartbeat", "sweep"];
        assert_eq!(closest("hearbeat", fields), Some("heartbeat"));
        assert_eq!(closest("TTL", fields), Some("ttl"));
        assert_eq!(closest("tll", fields), Some("ttl"));
        assert_eq!(closest("cores", fields), None);
        assert_eq!(similar("swep", ["sleep", "sweep", "x"]), ["sweep"]);
        assert_eq!(similar("agent1", ["agent12", "agent1", "x"]), ["agent1", "agent12"]);
    }
}
