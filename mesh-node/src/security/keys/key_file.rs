//! The file by which a service knows keys: hashes of their secrets, and what each may do.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use mesh_core::registry::is_name;
use serde::{Deserialize, Serialize};

use super::api_key::{ApiKey, KeyDigest, KeyId, Role};
use crate::files::read_text;
use crate::security::private_file::{PrivateReplacement, check_private};
use crate::security::utc::UtcTime;

/// The largest key file that is read: some 10,000 keys.
const MOST_BYTES: u64 = 4 << 20;
/// The most bytes of a note.
const MOST_NOTE_BYTES: usize = 200;

const HEADER: &str = "\
# Keys of an Agentic Mesh: hashes of their secrets, and what each may do. Written by `mesh keys`,
# which keeps no other comments. Services that have this file read it again when it changes.
";

/// Names of agents: one name, or all that begin alike (`worker-*`, or `*` for every name).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AgentNames {
    /// This name.
    One(String),
    /// All names that begin with this.
    Prefix(String),
}

impl AgentNames {
    /// Whether the name is one of these.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Prefix(prefix) => name.starts_with(&**prefix),
        }
    }
}

impl FromStr for AgentNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bare, make): (_, fn(String) -> Self) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, Self::Prefix),
            None => (text, Self::One),
        };
        if is_name(bare) || text == "*" {
            return Ok(make(bare.to_owned()));
        }
        Err(format!(
            "expected a name, or the beginning of names such as worker-*, and not {text:?}"
        ))
    }
}

impl fmt::Display for AgentNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl TryFrom<String> for AgentNames {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<AgentNames> for String {
    fn from(pattern: AgentNames) -> Self {
        pattern.to_string()
    }
}

/// What a service knows of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key's name.
    pub id: KeyId,
    /// What its owner may do.
    pub role: Role,
    /// Who has the key. Keys that follow each other at a rotation have the same owner, so that the
    /// later one takes over the names that were registered with the earlier one.
    pub owner: String,
    /// The names under which its owner may register agents.
    pub names: Vec<AgentNames>,
    /// The hash of its secret.
    pub digest: KeyDigest,
    /// When it was made.
    pub created: UtcTime,
    /// From when on it is not taken any more; `None` for never.
    pub expires: Option<UtcTime>,
    /// What its makers want to remember.
    pub note: String,
}

impl KeyRecord {
    /// The record of a new key, without names, end and note.
    pub fn new(key: &ApiKey, created: UtcTime) -> Self {
        Self {
            id: key.id().clone(),
            role: key.role(),
            owner: key.id().to_string(),
            names: Vec::new(),
            digest: key.digest(),
            created,
            expires: None,
            note: String::new(),
        }
    }

    /// Whether the key has expired.
    pub fn is_over(&self, now: UtcTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// A key as the file has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeyRecord {
    id: KeyId,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<AgentNames>,
    created: UtcTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<UtcTime>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    /// The last field, so that a record that was cut off has none.
    sha256: String,
}

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeyFile {
    /// How many keys there are, so that a file that was cut off between two of them is noticed. A
    /// file that people write may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    /// A file without this is one that is just being written: `mesh keys` writes an empty list when
    /// the last key is revoked.
    #[serde(default)]
    key: Option<Vec<RawKeyRecord>>,
}

/// Why a file of keys can't be used. The messages fit after the name of the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It can't be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a file of keys.
    #[error("line {line}: {message}")]
    Toml {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A key of it is wrong.
    #[error("key {id}: {problem}")]
    Key {
        /// The key.
        id: KeyId,
        /// What is wrong.
        problem: String,
    },
    /// It was cut off.
    #[error("it has {found} of its {count} keys")]
    CutOff {
        /// How many keys it has.
        found: usize,
        /// How many it says that it has.
        count: usize,
    },
    /// Nobody could do anything with it. A file that is just being written may be empty, too.
    #[error("it has no keys; make one with `mesh keys new`")]
    Empty,
}

/// All keys that a service knows, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(BTreeMap<KeyId, KeyRecord>);

impl KeySet {
    /// Reads a file that only its owner may read.
    ///
    /// # Errors
    /// If it can't be read or others can read it, and as [`KeySet::parse`].
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        check_private(path)?;
        Self::parse(&read_text(path, MOST_BYTES)?)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// If it is not TOML, has not even an empty list of keys, a key in it is malformed, or two have
    /// the same id.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let raw: RawKeyFile = toml::from_str(text).map_err(|error| {
            let before = text.get(..error.span().unwrap_or_default().start).unwrap_or_default();
            // A message may have several lines, and an error is told in one.
            let message = error.message().replace('\n', "; ");
            KeyFileError::Toml { line: before.matches('\n').count() + 1, message }
        })?;
        let mut keys = BTreeMap::new();
        let records = raw.key.ok_or(KeyFileError::Empty)?;
        let found = records.len();
        if let Some(count) = raw.count.filter(|count| *count != found) {
            return Err(KeyFileError::CutOff { found, count });
        }
        for raw in records {
            let record = checked(raw)?;
            let id = record.id.clone();
            if keys.insert(id.clone(), record).is_some() {
                let problem = "there are two keys with this id".to_owned();
                return Err(KeyFileError::Key { id, problem });
            }
        }
        Ok(Self(keys))
    }

    /// Writes the file anew, all at once, so that no reader sees a part of it. Only its owner may
    /// read it.
    ///
    /// # Errors
    /// If it can't be written, or somebody else is writing it.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        self.replace(PrivateReplacement::begin(path)?)
    }

    /// Writes the file whose replacement has begun: so the keys may have been read and changed in
    /// between.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn replace(&self, file: PrivateReplacement) -> Result<(), KeyFileError> {
        let (count, key) = (Some(self.0.len()), Some(self.0.values().map(raw).collect()));
        let text = toml::to_string(&RawKeyFile { count, key });
        let text = text.map_err(|error| io::Error::other(error.to_string()))?;
        let text = format!("{HEADER}\n{text}");
        Ok(file.finish(text.as_bytes())?)
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this name.
    pub fn get(&self, id: &KeyId) -> Option<&KeyRecord> {
        self.0.get(id)
    }

    /// All keys, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &KeyRecord> {
        self.0.values()
    }

    /// Adds a key. Gives back whether it was new.
    pub fn insert(&mut self, record: KeyRecord) -> bool {
        self.0.insert(record.id.clone(), record).is_none()
    }

    /// Takes a key out.
    pub fn remove(&mut self, id: &KeyId) -> Option<KeyRecord> {
        self.0.remove(id)
    }
}

fn checked(raw: RawKeyRecord) -> Result<KeyRecord, KeyFileError> {
    let RawKeyRecord { id, role, owner, names, sha256, created, expires, note } = raw;
    let wrong = |problem: String| KeyFileError::Key { id: id.clone(), problem };
    let digest = sha256.parse().map_err(|error| wrong(format!("sha256: {error}")))?;
    let owner = owner.unwrap_or_else(|| id.to_string());
    if !is_name(&owner) {
        return Err(wrong("owner: expected 1 to 64 of A-Z a-z 0-9 . _ -".to_owned()));
    }
    if note.len() > MOST_NOTE_BYTES || note.chars().any(char::is_control) {
        return Err(wrong(format!("note: expected a line of at most {MOST_NOTE_BYTES} bytes")));
    }
    if role == Role::Register && names.is_empty() {
        return Err(wrong("a key that registers agents needs `names`".to_owned()));
    }
    Ok(KeyRecord { id, role, owner, names, digest, created, expires, note })
}

fn raw(record: &KeyRecord) -> RawKeyRecord {
    let KeyRecord { id, role, owner, names, digest, created, expires, note } = record.clone();
    let sha256 = digest.to_string();
    let owner = (owner != id.as_str()).then_some(owner);
    RawKeyRecord { id, role, owner, names, sha256, created, expires, note }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn parse(fields: &str) -> Result<KeySet, String> {
        let text = format!("[[key]]\nid = \"a1\"\nsha256 = \"{DIGEST}\"\n{fields}\n");
        KeySet::parse(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("keys.toml");
        let mut keys = parse("role = \"call\"\ncreated = \"2026-12-01\"").expect("keys");
        let mut record = keys.get(&"a1".parse().unwrap()).expect("a key").clone();
        assert_eq!((record.role, &*record.owner, record.expires), (Role::Call, "a1", None));
        record.id = "b2".parse().unwrap();
        record.role = Role::Register;
        record.names = vec!["worker-*".parse().unwrap(), "box".parse().unwrap()];
        record.owner = "fleet".to_owned();
        record.expires = Some("2027-01-01".parse().unwrap());
        record.note = "of the \"fleet\"".to_owned();
        assert!(keys.insert(record));
        keys.write(&path).expect("written");
        // Wherever the file is cut off, it is not taken for a whole one.
        let whole = std::fs::read_to_string(&path).expect("a file");
        for end in (0..whole.trim_end().len()).filter(|end| whole.is_char_boundary(*end)) {
            assert!(KeySet::parse(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
        assert_eq!(KeySet::read(&path).expect("read"), keys);
        keys.remove(&"a1".parse().unwrap());
        keys.write(&path).expect("written over the first");
        assert_eq!(KeySet::read(&path).expect("read").iter().count(), 1);
        KeySet::default().write(&path).expect("written without keys");
        assert!(KeySet::read(&path).expect("the last one was revoked").is_empty());
        assert!(matches!(KeySet::parse("# half"), Err(KeyFileError::Empty)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let created = "created = \"2026-12-01\"";
        for (fields, part) in [
            (format!("role = \"root\"\n{created}"), "unknown variant `root`"),
            ("role = \"call\"".to_owned(), "missing field `created`"),
            (format!("role = \"register\"\n{created}"), "key a1: a key that registers"),
            (format!("role = \"call\"\n{created}\nname = \"x\""), "unknown field `name`"),
            (format!("role = \"call\"\n{created}\nowner = \"a b\""), "key a1: owner"),
            (format!("role = \"call\"\n{created}\nnote = \"a\\u001bb\""), "key a1: note"),
            (format!("role = \"call\"\n{created}\nnames = [\"a b\"]"), "expected a name"),
            (format!("role = \"call\"\ncreated = \"{DIGEST}\""), "expected a time"),
            ("role = \"ca".to_owned(), "invalid basic string"),
        ] {
            let error = parse(&fields).expect_err(&fields);
            assert!(error.contains(part), "{fields}: {error}");
        }
        let one = format!("[[key]]\nid=\"a\"\nrole=\"call\"\nsha256=\"{DIGEST}\"\n{created}\n");
        let error = KeySet::parse(&format!("{one}{one}")).expect_err("twice").to_string();
        assert!(error.contains("two keys"), "{error}");
    }

    #[test]
    fn names_are_one_or_all_that_begin_alike() {
        let has = |pattern: &str, name: &str| pattern.parse::<AgentNames>().unwrap().has(name);
        assert!(has("a", "a") && !has("a", "ab") && has("a*", "ab") && has("*", "x"));
        assert!(!has("a*", "ba") && !has("worker-*", "worker"));
        assert!("a*b".parse::<AgentNames>().is_err() && "".parse::<AgentNames>().is_err());
    }
}
