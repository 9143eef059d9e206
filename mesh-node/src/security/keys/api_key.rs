//! One API key: `mesh_<role>_<id>_<secret>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every key begins with, so that scanners find keys that were published by mistake.
const PREFIX: &str = "mesh";
/// The letters of ids and secrets.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How many letters a new secret has: together they have more than 256 random bits.
const SECRET_LETTERS: usize = 43;
/// How many letters a new id has: among a million ids, two are the same once in 10,000 times.
const ID_LETTERS: usize = 9;
/// The fewest letters of a secret. A shorter one was chosen by hand, and could be guessed.
const LEAST_SECRET: usize = 32;
/// The most letters of an id or a secret.
const MOST_LETTERS: usize = 128;

/// Whether a text looks like an id that was drawn for a key.
pub(super) fn is_generated_id(text: &str) -> bool {
    text.len() == ID_LETTERS && is_word(text, ID_LETTERS)
}

/// What the owner of a key, or of a certificate, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Register agents, under the names that the key is bound to, and list agents.
    Register,
    /// Call agents, and list them.
    Call,
    /// Read metrics, and list agents.
    Observe,
    /// Everything.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Register, Self::Call, Self::Observe, Self::Admin];

    /// The word for the role, in keys and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Call => "call",
            Self::Observe => "observe",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| "expected register, call, observe or admin".to_owned())
    }
}

/// Names a key in logs, metrics and files. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// The text of the id: letters and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        if is_word(&text, 1) { Ok(Self(text)) } else { Err(KeyError::Id) }
    }
}

impl FromStr for KeyId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.to_owned().try_into()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

/// Why a text is no key. The messages never have the text in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has not the form of one.
    #[error("it is no key: a key is mesh_ROLE_ID_SECRET, as `mesh keys new` makes them")]
    Form,
    /// The role is unknown.
    #[error("the key's role is none of register, call, observe and admin")]
    Role,
    /// The id is malformed.
    #[error("a key's id must be 1 to 128 letters and digits")]
    Id,
    /// The secret could be guessed.
    #[error("the key's secret must be 32 to 128 letters and digits: make one with `mesh keys new`")]
    Secret,
}

/// A key as its owner has it. It shows itself without its secret.
#[derive(Clone)]
pub struct ApiKey {
    role: Role,
    id: KeyId,
    secret: String,
}

impl ApiKey {
    /// A new key, whose letters are chosen by these random bytes.
    ///
    /// # Errors
    /// If the source of random bytes fails.
    pub fn generate<E>(
        role: Role,
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let id = KeyId(random_word(ID_LETTERS, &mut fill)?);
        Ok(Self { role, id, secret: random_word(SECRET_LETTERS, &mut fill)? })
    }

    /// What the key is for, as it says itself. What it may do is for the service to know.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The key's name.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// The hash by which a service knows the key. A plain hash is enough, because the secret is
    /// random and long; a slow one would let strangers keep the service busy.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.secret.as_bytes()).into())
    }

    /// The whole key, to be shown or sent.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}_{}", self.role, self.id, self.secret)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}_{}_{}_...", self.role, self.id)
    }
}

impl FromStr for ApiKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.split('_');
        let (Some(PREFIX), Some(role), Some(id), Some(secret), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(KeyError::Form);
        };
        let role = role.parse().map_err(|_| KeyError::Role)?;
        let id = id.parse()?;
        if !is_word(secret, LEAST_SECRET) {
            return Err(KeyError::Secret);
        }
        Ok(Self { role, id, secret: secret.to_owned() })
    }
}

/// The SHA-256 of a key's secret. It is compared in a time that does not depend on where two differ.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyDigest {}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA-256")
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyDigest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected 64 hexadecimal digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(expected);
        }
        let mut digest = [0; 32];
        for (place, byte) in digest.iter_mut().enumerate() {
            let digits = &text[2 * place..2 * place + 2];
            let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or(expected)?;
        }
        Ok(Self(digest))
    }
}

fn is_word(text: &str, least: usize) -> bool {
    (least..=MOST_LETTERS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A word of random letters, each as likely as every other.
fn random_word<E>(
    length: usize,
    fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<String, E> {
    let mut word = String::with_capacity(length);
    let mut bytes = [0; 64];
    while word.len() < length {
        fill(&mut bytes)?;
        // 248 is the greatest multiple of 62 in a byte: of the others, some letters get fewer.
        let letters = bytes.iter().filter(|byte| **byte < 248);
        let letters = letters.map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]));
        word.extend(letters.take(length - word.len()));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting() -> impl FnMut(&mut [u8]) -> Result<(), ()> {
        let mut next = 0_u8;
        move |bytes| {
            bytes.fill_with(|| {
                next = next.wrapping_add(7);
                next
            });
            Ok(())
        }
    }

    #[test]
    fn a_key_is_read_as_it_was_made_and_never_shown() {
        let key = ApiKey::generate(Role::Call, counting()).expect("a key");
        let text = key.reveal();
        assert!(text.starts_with("mesh_call_"), "{text}");
        let read: ApiKey = text.parse().expect("a key");
        assert_eq!((read.role(), read.id(), read.digest()), (Role::Call, key.id(), key.digest()));
        assert_eq!(read.reveal(), text);
        let secret = text.rsplit('_').next().expect("a secret");
        assert_eq!(secret.len(), SECRET_LETTERS);
        assert!(!format!("{key:?} {:?}", key.digest()).contains(secret));
        let digest: KeyDigest = key.digest().to_string().parse().expect("a digest");
        assert_eq!(digest, key.digest());
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let secret = "S3cretS3cretS3cretS3cretS3cretS3cret";
        for (text, expected) in [
            (String::new(), KeyError::Form),
            ("hunter2".to_owned(), KeyError::Form),
            (format!("mesh_call_{secret}"), KeyError::Form),
            (format!("mesh_call_a_{secret}_b"), KeyError::Form),
            (format!("Mesh_call_a_{secret}"), KeyError::Form),
            (format!("mesh_root_a_{secret}"), KeyError::Role),
            (format!("mesh_call__{secret}"), KeyError::Id),
            (format!("mesh_call_a-b_{secret}"), KeyError::Id),
            ("mesh_call_a_hunter2".to_owned(), KeyError::Secret),
            (format!("mesh_call_a_{secret} "), KeyError::Secret),
            (format!("mesh_call_a_{}", "x".repeat(129)), KeyError::Secret),
        ] {
            let error = text.parse::<ApiKey>().expect_err("no key");
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("S3cret"));
        }
        for bad in ["", "ab", &"g".repeat(64), &"é".repeat(32), &"+f".repeat(32)] {
            assert!(bad.parse::<KeyDigest>().is_err(), "{bad}");
        }
    }
}
