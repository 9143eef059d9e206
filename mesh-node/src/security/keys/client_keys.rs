//! The keys that a process shows to others.

use std::fmt;
use std::path::Path;

use hyper::header::HeaderValue;

use super::api_key::{ApiKey, Role};
use super::key_file::KeyFileError;
use crate::files::read_text;
use crate::security::private_file::check_private;

/// The largest file of a client's keys.
const MOST_BYTES: u64 = 1 << 16;

/// The keys that a process shows, at most one for each role.
///
/// A key that registers agents is shown to the registry only: a peer that got it could take its
/// owner's place.
#[derive(Clone, Default)]
pub struct ClientKeys {
    keys: Vec<ApiKey>,
    for_registry: Option<HeaderValue>,
    for_agents: Option<HeaderValue>,
}

impl ClientKeys {
    /// Reads a file with keys, one a line. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// If it can't be read, others can read it, or it has anything but keys in it.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        check_private(path)?;
        let keys = Self::parse(&read_text(path, MOST_BYTES)?);
        keys.map_err(|error| KeyFileError::Io(std::io::Error::other(error)))
    }

    /// Reads keys, one a line.
    ///
    /// # Errors
    /// A sentence that names the line, and repeats nothing of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let mut keys: Vec<ApiKey> = Vec::new();
        for (number, line) in lines {
            let key: ApiKey =
                line.parse().map_err(|error| format!("line {}: {error}", number + 1))?;
            if keys.iter().any(|known| known.role() == key.role()) {
                return Err(format!(
                    "line {}: there are two keys with the role {}: keep one of them",
                    number + 1,
                    key.role()
                ));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err("there is no key in it".to_owned()) } else { Ok(Self::of(keys)) }
    }

    /// These keys, of which each has another role.
    pub fn of(keys: Vec<ApiKey>) -> Self {
        use Role::{Admin, Call, Observe, Register};
        let for_registry = first_of(&keys, [Register, Admin, Call, Observe]);
        let for_agents = first_of(&keys, [Call]);
        Self { keys, for_registry, for_agents }
    }

    /// The value of `Authorization` for a registry; `None` without a key.
    pub fn for_registry(&self) -> Option<&HeaderValue> {
        self.for_registry.as_ref()
    }

    /// The value of `Authorization` for an agent; `None` without a key that is meant for agents.
    pub fn for_agents(&self) -> Option<&HeaderValue> {
        self.for_agents.as_ref()
    }

    /// The value of `Authorization` in a request for what only those see who may observe; `None`
    /// without a key for that.
    pub(crate) fn to_observe(&self) -> Option<HeaderValue> {
        first_of(&self.keys, [Role::Observe, Role::Admin])
    }

    /// The value of `Authorization` in a request for what only `admin` may do; `None` without a key
    /// for that.
    pub(crate) fn to_administer(&self) -> Option<HeaderValue> {
        first_of(&self.keys, [Role::Admin])
    }
}

fn first_of<const N: usize>(keys: &[ApiKey], roles: [Role; N]) -> Option<HeaderValue> {
    let find = |role: Role| keys.iter().find(|key| key.role() == role);
    let key = roles.into_iter().find_map(find)?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", key.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_shown_to_those_it_is_for() {
        let secret = "S3cretS3cretS3cretS3cretS3cretS3cret";
        let key = |role: &str| format!("mesh_{role}_a1_{secret}");
        let text = format!("# of agent-1\n\n {} \n{}\n", key("register"), key("call"));
        let keys = ClientKeys::parse(&text).expect("keys");
        let shown = |value: Option<&HeaderValue>| {
            value.map(|value| value.to_str().expect("text").replace(secret, ""))
        };
        assert_eq!(shown(keys.for_registry()).as_deref(), Some("Bearer mesh_register_a1_"));
        assert_eq!(shown(keys.for_agents()).as_deref(), Some("Bearer mesh_call_a1_"));
        assert!(!format!("{keys:?} {:?}", keys.for_agents()).contains(secret));
        let only = ClientKeys::parse(&key("register")).expect("keys");
        assert!(only.for_agents().is_none(), "no peer gets that");
        for (text, part) in [
            ("# nothing".to_owned(), "no key"),
            (format!("{}\n{}", key("call"), key("call")), "line 2: there are two"),
            (format!("\n{secret}"), "line 2: it is no key"),
        ] {
            let error = ClientKeys::parse(&text).expect_err("no keys");
            assert!(error.contains(part) && !error.contains(secret), "{error}");
        }
    }
}
