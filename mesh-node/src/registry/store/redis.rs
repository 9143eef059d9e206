//! A store in Redis.
//!
//! Each record is one key, which a script changes by compare and set; the same script numbers the
//! change and adds it to a stream, from which other registries read it without a gap. The keys
//! expire by themselves, but only as a backstop, long after the registries have given the lease up:
//! Redis counts by the wall clock of its machine, and gives no time of grace after a restart.
//!
//! All keys share the hash tag `{NAME}` of the mesh, so that a Redis Cluster keeps them together.

use std::collections::BTreeMap;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use ::redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, RedisError, Script, cmd, pipe};
#[cfg(feature = "tls")]
use ::redis::{ClientTlsConfig, TlsCertificates};
use futures_util::future::BoxFuture;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, Keeping, LeaseRecord, StoreChange};
use tokio::sync::Mutex;

use super::{
    CHANGE_TIMEOUT, LIST_TIMEOUT, LastFailure, MOST_AT_ONCE, Store, StoreCertificates,
    StoreContents, StoreError, StoreNews,
};

/// How many changes the stream keeps at least, for registries that read slowly.
const STREAM_LENGTH: usize = 10_000;
/// How long a read of the stream waits for a change, before the revision is looked at.
const BLOCK: Duration = Duration::from_secs(1);
/// How many changes are read at once.
const MAX_NEWS: usize = 1_000;
/// How many keys are kept with one request.
const MAX_KEEP: usize = 500;
/// How often an attempt to connect again is repeated before a command fails.
const RETRIES: usize = 1;

/// Compare and set. Keys: record, names, revision, stream. Arguments: the expected and the new
/// record (empty: none), the name, the record's time to live in milliseconds, the stream's length.
/// Gives back whether the record is the new one, and the revision.
const CHANGE: &str = r"
local present = redis.call('GET', KEYS[1]) or ''
local revision = tonumber(redis.call('GET', KEYS[3]) or '0')
if present == ARGV[2] then return {1, revision} end
if present ~= ARGV[1] then return {0, revision} end
revision = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], revision .. '-0', 'name', ARGV[3], 'record', ARGV[2])
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
  redis.call('SREM', KEYS[2], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
  redis.call('SADD', KEYS[2], ARGV[3])
end
return {1, revision}
";

/// All records. Keys: names, revision. Argument: what stands before a name in a record's key.
const LIST: &str = r"
local records = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local record = redis.call('GET', ARGV[1] .. name)
  if record then
    records[#records + 1] = record
  else
    redis.call('SREM', KEYS[1], name)
  end
end
return {tonumber(redis.call('GET', KEYS[2]) or '0'), records}
";

/// A store in a Redis server.
pub(super) struct RedisStore {
    client: Client,
    connection: ConnectionManager,
    /// The connection on which reads of the stream wait. Others would wait behind them.
    waiting: Mutex<Option<MultiplexedConnection>>,
    change: Script,
    list: Script,
    /// `{NAME}:`
    prefix: String,
    keep_for: Duration,
    failure: LastFailure,
}

impl RedisStore {
    /// Connects to a server, which forgets what it is not asked to keep for `keep_for`. If the url
    /// says that it has TLS, there are certificates, which are read now and not again.
    ///
    /// # Errors
    /// If the url is none, a file can't be used, the server can't be reached, or does not let this
    /// program in.
    pub(super) async fn connect(
        url: &str,
        tls: Option<&StoreCertificates>,
        mesh: &str,
        keep_for: Duration,
    ) -> Result<Self, StoreError> {
        let client = match tls {
            None => Client::open(url),
            Some(certificates) => client_with_tls(url, certificates)?,
        };
        // The message of the library may quote the url, which may have a password.
        let client =
            client.map_err(|_| StoreError::Unusable("its url is no url of a Redis".to_owned()))?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(RETRIES)
            .set_response_timeout(Some(LIST_TIMEOUT))
            .set_connection_timeout(Some(CHANGE_TIMEOUT));
        let connection = client.get_connection_manager_with_config(config);
        let connection = connection.await.map_err(|error| problem(&error))?;
        Ok(Self {
            client,
            connection,
            waiting: Mutex::new(None),
            change: Script::new(CHANGE),
            list: Script::new(LIST),
            prefix: format!("{{{mesh}}}:"),
            keep_for,
            failure: LastFailure::default(),
        })
    }

    fn key(&self, kind: &str) -> String {
        format!("{}{kind}", self.prefix)
    }

    fn keep_for_ms(&self) -> u64 {
        (self.keep_for.as_millis() as u64).max(1)
    }

    async fn listed(&self) -> Result<StoreContents, StoreError> {
        let mut connection = self.connection.clone();
        let mut list = self.list.prepare_invoke();
        list.key(self.key("names")).key(self.key("revision")).arg(self.key("lease:"));
        let listed: Result<(u64, Vec<String>), RedisError> =
            list.invoke_async(&mut connection).await;
        let (revision, texts) = listed.map_err(|error| problem(&error))?;
        let records = texts.iter().map(|text| LeaseRecord::decode(text.as_bytes()));
        let records = records.collect::<Result<_, _>>();
        let records = records.map_err(|error| StoreError::Unusable(error.to_string()))?;
        Ok(StoreContents { records, revision })
    }

    async fn changed(&self, change: StoreChange) -> Result<ChangeOutcome, RedisError> {
        let text = |record: &Option<LeaseRecord>| {
            record.as_ref().map(LeaseRecord::encode).unwrap_or_default()
        };
        let mut connection = self.connection.clone();
        let mut script = self.change.prepare_invoke();
        script.key(self.key(&format!("lease:{}", change.name)));
        ["names", "revision", "changes"].iter().for_each(|kind| {
            script.key(self.key(kind));
        });
        script.arg(text(&change.expected)).arg(text(&change.record)).arg(&*change.name);
        script.arg(self.keep_for_ms()).arg(STREAM_LENGTH);
        let (is_made, revision): (u8, u64) = script.invoke_async(&mut connection).await?;
        Ok(match is_made {
            1 => ChangeOutcome::Stored(revision),
            _ => ChangeOutcome::Outdated(revision),
        })
    }

    async fn read_news(&self, after: u64) -> Result<StoreNews, StoreError> {
        let mut waiting = self.waiting.lock().await;
        // Taken out: a read that is given up leaves an answer behind that nobody may mistake.
        let mut connection = match waiting.take() {
            Some(connection) => connection,
            None => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CHANGE_TIMEOUT))
                    .set_response_timeout(Some(BLOCK + CHANGE_TIMEOUT));
                let opened = self.client.get_multiplexed_async_connection_with_config(&config);
                opened.await.map_err(|error| problem(&error))?
            }
        };
        let news = loop {
            let mut read = cmd("XREAD");
            read.arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("COUNT").arg(MAX_NEWS);
            read.arg("STREAMS").arg(self.key("changes")).arg(format!("{after}-0"));
            let read: Option<StreamReply> =
                read.query_async(&mut connection).await.map_err(|error| problem(&error))?;
            if let Some(entries) = read.and_then(|streams| streams.into_iter().next()) {
                break news(after, entries.1)?;
            }
            // Nothing new, or the server has lost its last changes and counts from a lower number.
            let revision: Option<u64> = cmd("GET")
                .arg(self.key("revision"))
                .query_async(&mut connection)
                .await
                .map_err(|error| problem(&error))?;
            if revision.unwrap_or_default() < after {
                return Err(StoreError::Forgotten);
            }
        };
        *waiting = Some(connection);
        Ok(news)
    }

    async fn kept(&self, names: Vec<Name>) -> Result<Vec<Name>, StoreError> {
        self.without_record(names, |key| {
            let mut expire = cmd("PEXPIRE");
            expire.arg(key).arg(self.keep_for_ms());
            expire
        })
        .await
    }

    /// Sends a command for the record of each name. Gives back the names for which Redis answers 0,
    /// because it has no record.
    async fn without_record(
        &self,
        names: Vec<Name>,
        command: impl Fn(String) -> Cmd,
    ) -> Result<Vec<Name>, StoreError> {
        let mut missing = Vec::new();
        for part in names.chunks(MAX_KEEP) {
            let mut requests = pipe();
            for name in part {
                requests.add_command(command(self.key(&format!("lease:{name}"))));
            }
            let mut connection = self.connection.clone();
            let found: Result<Vec<u8>, RedisError> = requests.query_async(&mut connection).await;
            let found = found.map_err(|error| problem(&error))?;
            let gone = part.iter().zip(found).filter(|(_, found)| *found == 0);
            missing.extend(gone.map(|(name, _)| name.clone()));
        }
        Ok(missing)
    }

    async fn promises(&self) -> String {
        let mut connection = self.connection.clone();
        let mut setting = async |name: &str| -> Option<String> {
            let setting: Result<BTreeMap<String, String>, RedisError> =
                cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await;
            setting.ok()?.remove(name)
        };
        match (setting("appendonly").await.as_deref(), setting("appendfsync").await.as_deref()) {
            (Some("yes"), Some("always")) => "Redis writes each change to its disk (appendonly \
                                              yes, appendfsync always)"
                .to_owned(),
            (Some("yes"), fsync) => format!(
                "a Redis that is killed may lose its last second (appendonly yes, appendfsync {}); \
                 the agents' next heartbeats bring that back",
                fsync.unwrap_or("unknown")
            ),
            (Some(_), _) => "a Redis that is killed loses what came after its last snapshot, \
                             because appendonly is off; set `appendonly yes`"
                .to_owned(),
            (None, _) => {
                "Redis does not tell whether it writes to its disk (appendonly)".to_owned()
            }
        }
    }
}

/// A client of a server with TLS, which must have a certificate of the host in the url.
#[cfg(feature = "tls")]
fn client_with_tls(
    url: &str,
    certificates: &StoreCertificates,
) -> Result<Result<Client, RedisError>, StoreError> {
    // Says which file is wrong, and how.
    super::identity(certificates)?;
    let read = |path: &std::path::Path| {
        let bytes = std::fs::read(path);
        bytes.map_err(|error| StoreError::Unusable(format!("{}: {error}", path.display())))
    };
    // The library takes the provider of the process. It fails if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = certificates.own.as_ref().map(|(cert, key)| {
        Ok::<_, StoreError>(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? })
    });
    let root_cert = certificates.ca.as_deref().map(read).transpose()?;
    let certificates = TlsCertificates { client_tls: own.transpose()?, root_cert };
    Ok(Client::build_with_tls(url, certificates))
}

#[cfg(not(feature = "tls"))]
fn client_with_tls(
    _: &str,
    _: &StoreCertificates,
) -> Result<Result<Client, RedisError>, StoreError> {
    Err(super::no_tls())
}

/// What XREAD answers: for each stream its name and its entries, each with its number and fields.
type StreamReply = Vec<(String, Vec<(String, Vec<String>)>)>;

/// The changes in entries of the stream, if none is missing between `after` and the first.
fn news(after: u64, entries: Vec<(String, Vec<String>)>) -> Result<StoreNews, StoreError> {
    let mut news = StoreNews { changes: Vec::new(), revision: after };
    for (id, fields) in entries {
        let number = id.split('-').next().and_then(|number| number.parse().ok());
        if number != Some(news.revision + 1) {
            return Err(StoreError::Forgotten);
        }
        news.revision += 1;
        let [_, name, _, record] = &fields[..] else { return Err(StoreError::Forgotten) };
        let record = match &**record {
            "" => None,
            text => match LeaseRecord::decode(text.as_bytes()) {
                Ok(record) => Some(record),
                Err(error) => {
                    tracing::warn!(%error, %name, "a record of the store is passed over");
                    continue;
                }
            },
        };
        news.changes.push((name.as_str().into(), record));
    }
    Ok(news)
}

fn problem(error: &RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::AuthenticationFailed => {
            StoreError::Unusable("Redis refuses the user name or the password".to_owned())
        }
        _ if error.code().is_some_and(|code| ["NOAUTH", "WRONGPASS"].contains(&code)) => {
            StoreError::Unusable("Redis asks for another user name or password".to_owned())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

impl Store for RedisStore {
    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        Box::pin(self.listed())
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        Box::pin(async move {
            let changed = self.changed(change).await;
            self.failure.known(changed.map_err(|error| problem(&error)))
        })
    }

    fn most_at_once(&self) -> usize {
        MOST_AT_ONCE
    }

    fn why_it_failed(&self) -> Option<String> {
        self.failure.why()
    }

    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(self.read_news(after))
    }

    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        Box::pin(self.kept(names))
    }

    fn forgotten(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        Box::pin(async move {
            self.without_record(names, |key| {
                let mut exists = cmd("EXISTS");
                exists.arg(key);
                exists
            })
            .await
        })
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        Box::pin(self.promises())
    }
}
