//! The keys that a service takes, while it runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};

use super::api_key::{ApiKey, KeyId, Role, is_generated_id};
use super::failed_attempts::FailedAttempts;
use super::key_file::{KeyFileError, KeyRecord, KeySet};
use crate::Clock;
use crate::http::Head;
use crate::metrics::MetricsPage;
use crate::security::certificate::PeerCertificate;
use crate::security::utc::UtcTime;
use crate::security::watched_file::WatchedFile;

/// Another name of the header field that carries a key, for clients that can set no `Authorization`.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthFailure {
    /// It shows neither a key nor a certificate.
    Missing,
    /// What it shows is no key of this service, or stands there twice.
    Invalid,
    /// Its key was good once.
    Expired,
    /// It is known, and may not do this.
    Forbidden,
    /// It has failed too often, and shall wait for this many seconds.
    Limited(u64),
}

impl AuthFailure {
    /// The word for it in metrics and logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
            Self::Forbidden => "forbidden",
            Self::Limited(_) => "limited",
        }
    }
}

/// The keys that a service takes. It reads its file again when that changes; a file that can't be
/// used leaves the keys as they are.
#[derive(Debug)]
pub struct KeyRing {
    file: Option<WatchedFile>,
    keys: RwLock<Arc<KeySet>>,
    clock: Clock,
    used: Mutex<BTreeMap<KeyId, KeyUse>>,
    failed: FailedAttempts,
    failures: Mutex<BTreeMap<&'static str, u64>>,
    reload_failures: AtomicU64,
}

/// How often a key was used, and when last.
#[derive(Clone, Copy, Debug, Default)]
struct KeyUse {
    count: u64,
    last: u64,
}

impl KeyRing {
    /// The keys of a file.
    ///
    /// # Errors
    /// If the file can't be used, or has no keys.
    pub fn open(path: &Path) -> Result<Self, KeyFileError> {
        let file = WatchedFile::new(vec![path.to_owned()]);
        let keys = KeySet::read(path)?;
        if keys.is_empty() {
            return Err(KeyFileError::Empty);
        }
        Ok(Self { file: Some(file), ..Self::of(keys) })
    }

    /// These keys, which stay as they are.
    pub fn of(keys: KeySet) -> Self {
        Self {
            file: None,
            keys: RwLock::new(Arc::new(keys)),
            clock: Clock::start(),
            used: Mutex::default(),
            failed: FailedAttempts::default(),
            failures: Mutex::default(),
            reload_failures: AtomicU64::new(0),
        }
    }

    /// Reads the file again whenever it changes. Never ready.
    pub async fn keep_up(&self) {
        let Some(file) = &self.file else { return std::future::pending().await };
        loop {
            file.changed().await;
            // The file is small, and this happens seldom.
            let path = file.paths().first().map(PathBuf::as_path).unwrap_or(Path::new(""));
            match KeySet::read(path) {
                Ok(keys) => {
                    let count = keys.iter().count();
                    tracing::info!(file = %path.display(), keys = count, "keys read again");
                    self.replace(keys);
                }
                Err(error) => {
                    self.reload_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        file = %path.display(), %error,
                        "the keys stay as they were: the file can't be used"
                    );
                }
            }
        }
    }

    fn replace(&self, keys: KeySet) {
        self.used().retain(|id, _| keys.get(id).is_some());
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Looks up the key that a request carries, and hands what is known of it to `see`. Failures are
    /// counted for the caller's address.
    ///
    /// # Errors
    /// If there is no key, or no good one. A good key is taken however often others have failed
    /// from the same address: secrets can't be guessed, so the limit only has to bound the cost.
    pub fn authenticate<R>(
        &self,
        head: &Head,
        see: impl FnOnce(&KeyRecord) -> R,
    ) -> Result<R, AuthFailure> {
        let (keys, now) = (self.keys(), UtcTime::now());
        let found = shown(&head.headers).and_then(|key| find(&keys, &key, now));
        match found {
            Ok(record) => {
                let mut used = self.used();
                // A key that is used is as a rule known already.
                let key_use = match used.get_mut(&record.id) {
                    Some(known) => known,
                    None => used.entry(record.id.clone()).or_default(),
                };
                (key_use.count, key_use.last) = (key_use.count + 1, now.as_unix());
                drop(used);
                Ok(see(record))
            }
            Err(failure) => Err(self.count_failure(head, failure)),
        }
    }

    /// What is known of the key that a request carries, without counting anything.
    ///
    /// # Errors
    /// If there is no key, or no good one.
    pub(crate) fn record(&self, head: &Head) -> Result<KeyRecord, AuthFailure> {
        let keys = self.keys();
        let found = shown(&head.headers).and_then(|key| find(&keys, &key, UtcTime::now()));
        found.cloned()
    }

    /// What the owner of this key may do.
    ///
    /// # Errors
    /// If it is no good key of this service.
    pub(crate) fn role(&self, key: &ApiKey) -> Result<Role, AuthFailure> {
        find(&self.keys(), key, UtcTime::now()).map(|record| record.role)
    }

    /// What the keys of the owner of this certificate let him do. A key is his if its owner was
    /// named when it was made, and the certificate has that name. Without a name, the owner is the
    /// key's id, or, after a rotation, that of the first key.
    pub(crate) fn roles_of(&self, certificate: &PeerCertificate) -> Vec<Role> {
        let now = UtcTime::now();
        let keys = self.keys();
        let is_his = |key: &&KeyRecord| {
            let is_named = key.owner != key.id.as_str() && !is_generated_id(&key.owner);
            is_named && certificate.has_name(&key.owner) && !key.is_over(now)
        };
        keys.iter().filter(is_his).map(|key| key.role).collect()
    }

    fn keys(&self) -> Arc<KeySet> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a failure, and says what its caller is told.
    pub(crate) fn count_failure(&self, head: &Head, failure: AuthFailure) -> AuthFailure {
        let wait = self.failed.count(head.client.ip(), self.clock.now());
        let told = match wait {
            None => failure,
            Some(wait) => AuthFailure::Limited(wait.max(Duration::from_secs(1)).as_secs()),
        };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures.entry(told.word()).or_default() += 1;
        drop(failures);
        let (client, path, reason) = (head.client, head.path(), failure.word());
        match (wait, shown(&head.headers)) {
            (Some(_), _) => tracing::debug!(%client, path, reason, "turned away"),
            // The id is for finding whose key it is; the secret is never logged.
            (None, Ok(key)) => {
                tracing::warn!(%client, path, reason, key = %key.id(), "turned away");
            }
            (None, Err(_)) => tracing::warn!(%client, path, reason, "turned away"),
        }
        told
    }

    pub(crate) fn write_metrics(&self, page: &mut MetricsPage) {
        let keys = self.keys();
        let labels = |id: &KeyId| {
            let role = keys.get(id).map_or("", |key| key.role.as_str());
            format!("id=\"{id}\",role=\"{role}\"")
        };
        let used = self.used().clone();
        let counts = used.iter().map(|(id, key_use)| (labels(id), key_use.count));
        page.counters("mesh_key_requests_total", "Requests with a good key, by key.", counts);
        let last = used.iter().map(|(id, key_use)| (labels(id), key_use.last));
        let help = "When a key was last used, in seconds since 1970.";
        page.gauges("mesh_key_last_used_timestamp_seconds", help, last);
        let ends = keys.iter().filter_map(|key| Some((labels(&key.id), key.expires?.as_unix())));
        let help = "When a key expires, in seconds since 1970.";
        page.gauges("mesh_key_expires_timestamp_seconds", help, ends);
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let failures = failures.iter().map(|(word, count)| (format!("reason=\"{word}\""), *count));
        page.counters("mesh_auth_failures_total", "Requests turned away, by reason.", failures);
        let failed = self.reload_failures.load(Ordering::Relaxed);
        let help = "Times that the changed key file could not be used.";
        page.counter("mesh_key_reload_failures_total", help, failed);
    }

    fn used(&self) -> MutexGuard<'_, BTreeMap<KeyId, KeyUse>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The record of a key. The id finds it, so how long that takes tells nothing about secrets.
fn find<'a>(keys: &'a KeySet, key: &ApiKey, now: UtcTime) -> Result<&'a KeyRecord, AuthFailure> {
    let record = keys.get(key.id()).ok_or(AuthFailure::Invalid)?;
    if record.digest != key.digest() || record.role != key.role() {
        return Err(AuthFailure::Invalid);
    }
    if record.is_over(now) { Err(AuthFailure::Expired) } else { Ok(record) }
}

/// The key that a request carries.
pub(crate) fn shown(headers: &HeaderMap) -> Result<ApiKey, AuthFailure> {
    let mut values = headers.get_all(AUTHORIZATION).iter().map(|value| (value, true));
    let mut aliases = headers.get_all(X_API_KEY).iter().map(|value| (value, false));
    let first = values.next().or_else(|| aliases.next());
    let (value, has_scheme) = first.ok_or(AuthFailure::Missing)?;
    if values.next().is_some() || aliases.next().is_some() {
        return Err(AuthFailure::Invalid);
    }
    let text = value.to_str().map_err(|_| AuthFailure::Invalid)?;
    let text = match (has_scheme, text.split_once(' ')) {
        (false, _) => text,
        (true, Some((scheme, key))) if scheme.eq_ignore_ascii_case("bearer") => key,
        (true, _) => return Err(AuthFailure::Invalid),
    };
    text.trim().parse().map_err(|_| AuthFailure::Invalid)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hyper::header::HeaderValue;
    use hyper::{Method, Uri};

    use super::*;

    const SECRET: &str = "S3cretS3cretS3cretS3cretS3cretS3cret";

    fn ring(role: Role, expires: Option<&str>) -> KeyRing {
        let key: ApiKey = format!("mesh_{role}_a1_{SECRET}").parse().expect("a key");
        let mut record = KeyRecord::new(&key, UtcTime::from_unix(0));
        record.expires = expires.map(|text| text.parse().expect("a time"));
        let mut keys = KeySet::default();
        keys.insert(record);
        KeyRing::of(keys)
    }

    fn head(fields: &[(&'static str, String)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let (method, uri) = (Method::POST, Uri::from_static("/rpc"));
        Head {
            method,
            uri,
            headers,
            client: SocketAddr::from(([10, 0, 0, 1], 1)),
            certificate: None,
        }
    }

    fn tried(ring: &KeyRing, fields: &[(&'static str, String)]) -> Result<Role, AuthFailure> {
        ring.authenticate(&head(fields), |record| record.role)
    }

    #[tokio::test]
    async fn only_a_whole_good_key_gets_in() {
        let good = format!("mesh_call_a1_{SECRET}");
        let keys = || ring(Role::Call, Some("2999-01-01"));
        for fields in [
            vec![("authorization", format!("Bearer {good}"))],
            vec![("authorization", format!("bearer  {good}"))],
            vec![("x-api-key", good.clone())],
        ] {
            assert_eq!(tried(&keys(), &fields), Ok(Role::Call), "{fields:?}");
        }
        assert_eq!(tried(&keys(), &[]), Err(AuthFailure::Missing));
        for fields in [
            vec![("authorization", good.clone())],
            vec![("authorization", format!("Basic {good}"))],
            vec![("authorization", format!("Bearer {good}x"))],
            vec![("authorization", format!("Bearer mesh_admin_a1_{SECRET}"))],
            vec![("authorization", format!("Bearer mesh_call_a2_{SECRET}"))],
            vec![("authorization", format!("Bearer mesh_call_a1_{}", SECRET.to_uppercase()))],
            vec![("authorization", format!("Bearer {good}")), ("x-api-key", good.clone())],
            vec![("x-api-key", good.clone()), ("x-api-key", good.clone())],
            vec![("x-api-key", String::new())],
        ] {
            assert_eq!(tried(&keys(), &fields), Err(AuthFailure::Invalid), "{fields:?}");
        }
        let fields = [("x-api-key", good)];
        assert_eq!(
            tried(&ring(Role::Call, Some("2020-01-01")), &fields),
            Err(AuthFailure::Expired)
        );
    }

    #[tokio::test]
    async fn who_fails_often_is_told_to_wait_and_a_good_key_still_works() {
        let keys = ring(Role::Call, None);
        let bad = [("x-api-key", format!("mesh_call_a1_{}", SECRET.to_lowercase()))];
        let good = [("x-api-key", format!("mesh_call_a1_{SECRET}"))];
        let failures: Vec<_> = (0..12).map(|_| tried(&keys, &bad).expect_err("wrong")).collect();
        assert!(failures[..10].iter().all(|failure| *failure == AuthFailure::Invalid));
        assert!(matches!(failures[11], AuthFailure::Limited(1..=6)), "{failures:?}");
        assert_eq!(tried(&keys, &good), Ok(Role::Call));
        let mut page = MetricsPage::default();
        keys.write_metrics(&mut page);
        let page = format!("{page:?}");
        assert!(
            page.contains("mesh_key_requests_total{id=\\\"a1\\\",role=\\\"call\\\"} 1"),
            "{page}"
        );
        assert!(page.contains("mesh_auth_failures_total{reason=\\\"limited\\\"} 2"), "{page}");
        assert!(!page.contains(SECRET));
    }
}
