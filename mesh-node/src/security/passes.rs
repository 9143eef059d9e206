//! Passes: what a browser has after its user has shown a key, or a certificate whose owner has keys.
//!
//! A page can't send a key with everything that it asks for, and should not keep one. So it shows
//! the key once and gets a pass: 256 random bits in a cookie that scripts can't read, and that the
//! browser sends nowhere else. The service remembers which keys were shown with it. They are looked
//! up again at every request, so a revoked key ends what its passes may do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::header::{COOKIE, HOST};
use mesh_core::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::certificate::PeerCertificate;
use super::keys::ApiKey;
use crate::Clock;
use crate::http::Head;

/// How long a pass is good.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// The most passes at once. Of more, the one that ends first goes.
const MOST_PASSES: usize = 256;
/// The most passes at once that one key, or the owner of one certificate, may have. Of more, the one
/// that ends first goes, so that whoever has a key signs out nobody who has another.
const MOST_PASSES_OF_ONE: usize = 16;
/// The most keys of one pass: one for each role.
const MOST_KEYS: usize = 4;
/// The beginning of the cookie's name. The port follows, because browsers send the cookies of one
/// service to those on all other ports of its host.
const COOKIE_NAME: &str = "mesh_pass";

/// Fills a buffer with random bytes of the operating system; false if there are none.
pub type RandomSource = fn(&mut [u8]) -> bool;

/// The passes that a service has given out. A pass is known by the hash of its text, so how long
/// finding one takes says nothing about the texts of others.
#[derive(Debug)]
pub(super) struct PassBook {
    random: RandomSource,
    clock: Clock,
    passes: Mutex<BTreeMap<[u8; 32], Pass>>,
}

#[derive(Clone, Debug)]
struct Pass {
    keys: Vec<ApiKey>,
    /// The owner of the certificate that it was given for. It is good for that only together with
    /// the certificate.
    owner: Option<Arc<str>>,
    ends: Timestamp,
}

impl Pass {
    /// Whether the same was shown for it.
    fn is_for(&self, shown: &PassReason) -> bool {
        match shown {
            PassReason::Key(key) => self.keys.iter().any(|known| known.id() == key.id()),
            PassReason::Certificate(owner) => self.owner.as_ref() == Some(owner),
        }
    }
}

/// What somebody has shown to get a pass.
#[derive(Debug)]
pub(super) enum PassReason {
    Key(ApiKey),
    /// A certificate of this owner.
    Certificate(Arc<str>),
}

impl PassBook {
    pub(super) fn new(random: RandomSource) -> Self {
        Self { random, clock: Clock::start(), passes: Mutex::default() }
    }

    /// Gives out a pass for this, and for what the pass is for that the request has already. The
    /// text of the pass; `None` if there are no random bytes.
    pub(super) fn give(&self, head: &Head, shown: PassReason) -> Option<String> {
        let mut bytes = [0; 32];
        if !(self.random)(&mut bytes) {
            return None;
        }
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = self.clock.now();
        let before = self.pass(head);
        let mut owner = before.as_ref().and_then(|pass| pass.owner.clone());
        let mut keys = before.map(|pass| pass.keys).unwrap_or_default();
        // The old text ends here: whoever has seen it learns nothing from what is added.
        self.end(head);
        let mut passes = self.lock();
        passes.retain(|_, pass| pass.ends > now);
        remove_first(&mut passes, MOST_PASSES_OF_ONE, |pass| pass.is_for(&shown));
        remove_first(&mut passes, MOST_PASSES, |_| true);
        match shown {
            PassReason::Key(key) => {
                keys.retain(|known| known.role() != key.role());
                keys.truncate(MOST_KEYS - 1);
                keys.push(key);
            }
            PassReason::Certificate(shown) => owner = Some(shown),
        }
        let pass = Pass { keys, owner, ends: now + LIFETIME };
        passes.insert(Sha256::digest(text.as_bytes()).into(), pass);
        Some(text)
    }

    /// The keys that were shown with the pass of a request; none if it has no pass that is good.
    pub(super) fn keys(&self, head: &Head) -> Vec<ApiKey> {
        self.pass(head).map(|pass| pass.keys).unwrap_or_default()
    }

    /// The certificate of a request, if its pass was given for it.
    pub(super) fn certificate<'a>(&self, head: &'a Head) -> Option<&'a PeerCertificate> {
        let certificate = head.certificate.as_deref()?;
        let owner = self.pass(head)?.owner?;
        (certificate.owner() == owner).then_some(certificate)
    }

    /// The pass of a request, if it is good.
    fn pass(&self, head: &Head) -> Option<Pass> {
        let hash = shown(head)?;
        let now = self.clock.now();
        let passes = self.lock();
        let found = passes.get_key_value(&hash);
        let found = found.filter(|(known, _)| bool::from(known.ct_eq(&hash)));
        found.filter(|(_, pass)| pass.ends > now).map(|(_, pass)| pass.clone())
    }

    /// Ends the pass of a request.
    pub(super) fn end(&self, head: &Head) {
        if let Some(hash) = shown(head) {
            self.lock().remove(&hash);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Pass>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// If there are `most` passes of this kind already, the one of them that ends first makes room.
fn remove_first(
    passes: &mut BTreeMap<[u8; 32], Pass>,
    most: usize,
    is_one: impl Fn(&Pass) -> bool,
) {
    let of_kind = || passes.iter().filter(|(_, pass)| is_one(pass));
    if of_kind().count() < most {
        return;
    }
    if let Some(first) = of_kind().min_by_key(|(_, pass)| pass.ends).map(|(hash, _)| *hash) {
        passes.remove(&first);
    }
}

/// The name of the cookie for the service that a request is meant for.
pub(super) fn cookie_name(head: &Head) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{COOKIE_NAME}_{port}")
        }
        _ => COOKIE_NAME.to_owned(),
    }
}

/// The hash of the pass that a request carries.
fn shown(head: &Head) -> Option<[u8; 32]> {
    let name = cookie_name(head);
    let cookies = head.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|it| it.split_once('='));
    let (_, text) = pairs.find(|(found, _)| found.trim() == name)?;
    Some(Sha256::digest(text.trim().as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicU64, Ordering};

    use hyper::header::HeaderValue;
    use hyper::{HeaderMap, Method, Uri};

    use super::*;
    use crate::clock::run_paused;

    fn counted(bytes: &mut [u8]) -> bool {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes[..8].copy_from_slice(&number);
        true
    }

    fn key(role: &str) -> ApiKey {
        numbered(role, 1)
    }

    fn numbered(role: &str, number: usize) -> ApiKey {
        let secret = "S3cretS3cretS3cretS3cretS3cretS3cret";
        format!("mesh_{role}_{role}{number}_{secret}").parse().expect("a key")
    }

    fn head(cookie: &str) -> Head {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost:8500"));
        headers.insert(COOKIE, HeaderValue::from_str(cookie).expect("a value"));
        let (uri, client) = (Uri::from_static("/dashboard"), SocketAddr::from(([127, 0, 0, 1], 1)));
        Head { method: Method::GET, uri, headers, client, certificate: None }
    }

    fn give(book: &PassBook, head: &Head, key: ApiKey) -> Option<String> {
        book.give(head, PassReason::Key(key))
    }

    fn roles(book: &PassBook, cookie: &str) -> Vec<&'static str> {
        book.keys(&head(cookie)).iter().map(|key| key.role().as_str()).collect()
    }

    #[test]
    fn a_pass_collects_keys_and_ends() {
        run_paused(async {
            let book = PassBook::new(counted);
            let first = give(&book, &head(""), key("observe")).expect("a pass");
            assert_eq!(first.len(), 64);
            let cookie = format!("theme=dark; mesh_pass_8500={first}; mesh_pass_9=x");
            assert_eq!(roles(&book, &cookie), ["observe"]);
            let second = give(&book, &head(&cookie), key("call")).expect("a pass");
            assert_eq!(roles(&book, &cookie), [""; 0], "the text is new with every key");
            let cookie = format!("mesh_pass_8500={second}");
            assert_eq!(roles(&book, &cookie), ["observe", "call"]);
            for other in ["", "mesh_pass_8500=", "mesh_pass_8500=x"] {
                assert_eq!(roles(&book, other), [""; 0], "{other}");
            }
            assert_eq!(roles(&book, &format!("mesh_pass_8501={second}")), [""; 0], "another port");
            let again = give(&book, &head(&cookie), key("call")).expect("a pass");
            let cookie = format!("mesh_pass_8500={again}");
            assert_eq!(roles(&book, &cookie), ["observe", "call"], "one key of each role");
            book.end(&head(&cookie));
            assert_eq!(roles(&book, &cookie), [""; 0]);
            let late = give(&book, &head(""), key("observe")).expect("a pass");
            tokio::time::sleep(LIFETIME).await;
            assert_eq!(roles(&book, &format!("mesh_pass_8500={late}")), [""; 0], "it is over");
        });
    }

    #[test]
    fn passes_are_bounded_and_need_random_bytes() {
        run_paused(async {
            let book = PassBook::new(counted);
            let first = give(&book, &head(""), key("observe")).expect("a pass");
            tokio::time::sleep(Duration::from_secs(1)).await;
            for number in 0..MOST_PASSES {
                give(&book, &head(""), numbered("call", number)).expect("a pass");
            }
            assert_eq!(book.lock().len(), MOST_PASSES);
            assert_eq!(roles(&book, &format!("mesh_pass_8500={first}")), [""; 0], "the oldest");
            let other = give(&book, &head(""), key("observe")).expect("a pass");
            let mut passes = Vec::new();
            for _ in 0..MOST_PASSES {
                tokio::time::sleep(Duration::from_secs(1)).await;
                passes.push(give(&book, &head(""), numbered("admin", 7)).expect("a pass"));
            }
            let other = format!("mesh_pass_8500={other}");
            assert_eq!(roles(&book, &other), ["observe"], "one key signs out no other");
            let good = |pass: &&String| {
                let cookie = format!("mesh_pass_8500={pass}");
                !book.keys(&head(&cookie)).is_empty()
            };
            assert_eq!(passes.iter().filter(good).count(), MOST_PASSES_OF_ONE);
            assert!(good(&&passes[MOST_PASSES - 1]), "the oldest go first");
            assert!(give(&PassBook::new(|_| false), &head(""), key("observe")).is_none());
        });
    }

    #[test]
    fn a_pass_for_a_certificate_is_good_with_it_alone() {
        run_paused(async {
            let book = PassBook::new(counted);
            let certificate = |name: &str| {
                Some(Arc::new(PeerCertificate::new([name], []).expect("a certificate")))
            };
            let shows =
                |cookie: &str, name: &str| Head { certificate: certificate(name), ..head(cookie) };
            let owner = certificate("ann").expect("one").owner();
            let shown = PassReason::Certificate(owner);
            let first = book.give(&shows("", "ann"), shown).expect("a pass");
            let cookie = format!("mesh_pass_8500={first}");
            assert!(book.certificate(&shows(&cookie, "ann")).is_some());
            assert!(book.certificate(&shows(&cookie, "bob")).is_none(), "another certificate");
            assert!(book.certificate(&head(&cookie)).is_none(), "none");
            assert!(book.certificate(&shows("", "ann")).is_none(), "no pass");
            // A key comes on top of it.
            let both = give(&book, &shows(&cookie, "ann"), key("call")).expect("a pass");
            let cookie = format!("mesh_pass_8500={both}");
            assert!(book.certificate(&shows(&cookie, "ann")).is_some());
            assert_eq!(roles(&book, &cookie), ["call"]);
        });
    }
}
