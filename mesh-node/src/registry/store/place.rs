//! Where a store is, as an option says it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::registry::is_name;

use super::{LIST_TIMEOUT, Store, StoreContents, StoreError};

/// Where a store is. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// A directory of this machine.
    Directory(PathBuf),
    /// A Redis server: its url without the name of the mesh, and that name.
    Redis {
        /// `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`.
        url: String,
        /// Keeps meshes apart that share the database.
        mesh: String,
    },
    /// An etcd cluster.
    Etcd {
        /// `HOST:PORT` of each member that is asked.
        endpoints: Vec<String>,
        /// Name and password, if the cluster asks for them.
        user: Option<(String, String)>,
        /// Keeps meshes apart that share the cluster.
        mesh: String,
        /// Whether the connections have TLS.
        is_tls: bool,
    },
}

/// The files with which a registry and its store know each other, in PEM.
#[derive(Clone, Debug, Default)]
pub struct StoreCertificates {
    /// The certificates of the authorities that the store must have its own from. A store with TLS
    /// needs it, and no other one may have it.
    pub ca: Option<PathBuf>,
    /// What the registry shows, with the file of its key; `None` if the store asks for nothing.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Why a text does not say where a store is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorePlaceError {
    /// It is none of the known kinds.
    #[error(
        "expected redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or \
         etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...], perhaps with ?mesh=NAME; with TLS, \
         rediss:// or etcds://"
    )]
    Kind,
    /// The name of the mesh is none.
    #[error("{0:?} is no name of a mesh: expected 1 to 64 of A-Z a-z 0-9 . _ -")]
    Mesh(String),
}

/// The mesh whose records are looked at, unless the url names another one.
const MESH: &str = "mesh";

impl FromStr for StorePlace {
    type Err = StorePlaceError;

    fn from_str(text: &str) -> Result<Self, StorePlaceError> {
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let mesh = match query.split_once('=') {
            Some(("mesh", mesh)) => mesh,
            None if query.is_empty() => MESH,
            _ => return Err(StorePlaceError::Kind),
        };
        if !is_name(mesh) {
            return Err(StorePlaceError::Mesh(mesh.to_owned()));
        }
        let mesh = mesh.to_owned();
        let (scheme, rest) = place.split_once("://").ok_or(StorePlaceError::Kind)?;
        let is_tls = match scheme {
            // A fragment would mean something to the library: not to look at certificates.
            "redis" | "rediss" if !rest.is_empty() && !rest.contains('#') => {
                return Ok(Self::Redis { url: place.to_owned(), mesh });
            }
            "etcd" => false,
            "etcds" => true,
            _ => return Err(StorePlaceError::Kind),
        };
        let (user, hosts) = match rest.rsplit_once('@') {
            Some((user, hosts)) => {
                let (name, password) = user.split_once(':').ok_or(StorePlaceError::Kind)?;
                (Some((name.to_owned(), password.to_owned())), hosts)
            }
            None => (None, rest),
        };
        let endpoints: Vec<String> =
            hosts.trim_end_matches('/').split(',').map(str::to_owned).collect();
        if !endpoints.iter().all(|endpoint| mesh_core::registry::is_address(endpoint)) {
            return Err(StorePlaceError::Kind);
        }
        Ok(Self::Etcd { endpoints, user, mesh, is_tls })
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(out),
            Self::Redis { url, .. } => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("redis", url));
                write!(out, "{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
            }
            Self::Etcd { endpoints, is_tls, .. } => {
                let scheme = if *is_tls { "etcds" } else { "etcd" };
                write!(out, "{scheme}://{}", endpoints.join(","))
            }
        }
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl From<&Path> for StorePlace {
    fn from(directory: &Path) -> Self {
        Self::Directory(directory.to_owned())
    }
}

impl StorePlace {
    /// Whether the connections to it have TLS.
    pub fn is_tls(&self) -> bool {
        match self {
            Self::Directory(_) => false,
            Self::Redis { url, .. } => url.starts_with("rediss://"),
            Self::Etcd { is_tls, .. } => *is_tls,
        }
    }

    /// As [`Self::open_with`], for a store without TLS.
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub async fn open(&self, ttl: Duration) -> Result<(Arc<dyn Store>, StoreContents), StoreError> {
        self.open_with(ttl, &StoreCertificates::default()).await
    }

    /// Opens the store and lists its records. `ttl` is how long leases last: a store that others
    /// write to forgets what no registry has asked it to keep for three TTLs; etcd for four.
    ///
    /// # Errors
    /// A sentence that names the place and says what is wrong with it. It comes within 10 s, and
    /// the store is as it was.
    pub async fn open_with(
        &self,
        ttl: Duration,
        certificates: &StoreCertificates,
    ) -> Result<(Arc<dyn Store>, StoreContents), StoreError> {
        let opened = async {
            let store = self.connect(ttl, certificates).await?;
            let contents = store.list().await?;
            Ok::<_, StoreError>((store, contents))
        };
        let unavailable =
            |why: String| StoreError::Unavailable(format!("the store {self} can't be used: {why}"));
        match tokio::time::timeout(LIST_TIMEOUT, opened).await {
            Ok(Ok(opened)) => Ok(opened),
            Ok(Err(error)) => Err(unavailable(error.to_string())),
            Err(_) => {
                Err(unavailable(format!("it has not answered for {} s", LIST_TIMEOUT.as_secs())))
            }
        }
    }

    async fn connect(
        &self,
        ttl: Duration,
        certificates: &StoreCertificates,
    ) -> Result<Arc<dyn Store>, StoreError> {
        // After three TTLs without a registry nobody could say any more who is alive.
        let keep_for = ttl.saturating_mul(3);
        match self {
            #[cfg(feature = "store-redb")]
            Self::Directory(path) => {
                let path = path.clone();
                // Opening may have to repair the file, which reads all of it.
                let opened =
                    tokio::task::spawn_blocking(move || super::FileStore::open(&path)).await;
                let store =
                    opened.map_err(|error| StoreError::Unavailable(error.to_string()))??;
                Ok(Arc::new(store))
            }
            #[cfg(feature = "store-redis")]
            Self::Redis { url, mesh } => {
                let tls = self.is_tls().then_some(certificates);
                Ok(Arc::new(super::redis::RedisStore::connect(url, tls, mesh, keep_for).await?))
            }
            #[cfg(feature = "store-etcd")]
            Self::Etcd { endpoints, user, mesh, is_tls } => {
                let cluster = super::etcd::EtcdCluster {
                    endpoints,
                    user: user.as_ref(),
                    tls: is_tls.then_some(certificates),
                };
                // Here each record is kept once in two TTLs.
                let keep_for = keep_for + ttl;
                Ok(Arc::new(super::etcd::EtcdStore::connect(cluster, mesh, keep_for).await?))
            }
            #[allow(unreachable_patterns, reason = "all kinds are built in, as a rule")]
            _ => {
                let _ = (keep_for, certificates);
                Err(StoreError::Unusable("this program was built without such stores".to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_and_shown_without_its_password() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost"),
            ("redis://:secret@h:1/2?mesh=blue", "redis://h:1/2"),
            ("etcd://h:2379", "etcd://h:2379"),
            ("etcd://me:se@cret@h:1,g:2", "etcd://h:1,g:2"),
            ("rediss://:secret@h", "rediss://h"),
            ("etcds://me:secret@h:1?mesh=blue", "etcds://h:1"),
        ] {
            let place: StorePlace = text.parse().expect(text);
            assert_eq!((place.to_string(), format!("{place:?}")), (shown.into(), shown.into()));
            let is_tls = text.starts_with("rediss://") || text.starts_with("etcds://");
            assert_eq!(place.is_tls(), is_tls, "{text}");
        }
        let place: StorePlace = "redis://:secret@h:1/2?mesh=blue".parse().expect("a place");
        let url = "redis://:secret@h:1/2".to_owned();
        assert_eq!(place, StorePlace::Redis { url, mesh: "blue".into() });
        for bad in
            ["", "redis://", "h:1", "etcd://h", "etcd://u@h:1", "http://h:1", "etcd://h:1?x=1"]
                .into_iter()
                .chain(["rediss://", "etcds://h", "rediss://h/#insecure"])
        {
            assert_eq!(bad.parse::<StorePlace>(), Err(StorePlaceError::Kind), "{bad}");
        }
        assert!("redis://h?mesh=two words".parse::<StorePlace>().is_err());
    }
}
