//! Who may talk to a service of `mesh`, and whom it may call: the options, and what comes of them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::BoolishValueParser;
use mesh_core::reach::{AllowedUrls, host_of, is_loopback_host};
use mesh_core::registry::is_address;
use mesh_node::http::RequestChecks;
use mesh_node::net::{CallRules, GuardedListener};
use mesh_node::registry::RegistrationGuard;
use mesh_node::security::keys::{ClientKeys, KeyRing};
use mesh_node::security::{AccessDoor, AddressBook, BrowserDoor, Credentials};
use mesh_node::{AgentNode, DashboardNode, GuardedNet, Host, Net, Observer, RegistryNode};
use tokio::net::TcpListener;

use super::WrongUsage;
use super::tls::ProcessTls;

/// The options of services.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Who may call")]
pub(crate) struct SecurityArgs {
    /// A further name by which clients call this service, for example that of a proxy before it;
    /// may be given several times. Requests to other names are refused
    #[arg(long, env = "MESH_ALLOW_HOST", value_name = "HOST", value_delimiter = ',', value_parser = host)]
    pub(crate) allow_host: Vec<String>,
    /// An origin whose web pages may call this service; may be given several times
    #[arg(long, env = "MESH_ALLOW_ORIGIN", value_name = "https://HOST", value_delimiter = ',', value_parser = origin)]
    pub(crate) allow_origin: Vec<String>,
    /// Addresses that agents may have though they don't register from there: a network, such as
    /// 10.0.0.0/8, or a domain; may be given several times. An agent may call such loopback
    /// addresses, too
    #[arg(long, env = "MESH_ALLOW_URLS", value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) allow_urls: Vec<AllowedUrls>,
    /// The keys of those who may call this service, as `mesh keys` writes them; read again when it
    /// changes
    #[arg(long, env = "MESH_KEYS", value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Serve beyond this machine though everybody there may do everything
    #[arg(long, env = "MESH_INSECURE", value_parser = BoolishValueParser::new())]
    pub(crate) insecure: bool,
}

/// The options of everything that calls services.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Whom it calls")]
pub(crate) struct CredentialArgs {
    /// The own keys, one a line: a key with the role `register` is shown to the registry, and one
    /// with the role `call` to agents [default: the key in the variable MESH_KEY]
    #[arg(long, env = KEY_FILE_VARIABLE, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// The variable that may have a key, or several with spaces between them. It is no option, because
/// everybody on the machine sees the command lines of all processes.
pub(crate) const KEY_VARIABLE: &str = "MESH_KEY";
/// The variable that names a file with keys.
pub(crate) const KEY_FILE_VARIABLE: &str = "MESH_KEY_FILE";

impl CredentialArgs {
    /// What this process shows to others. Its file is read again for as long as the process runs.
    ///
    /// # Errors
    /// If the file or the variable has something else than keys, or others can read the file.
    pub(crate) fn open(&self) -> anyhow::Result<Arc<Credentials>> {
        let credentials = match (&self.key_file, std::env::var(KEY_VARIABLE)) {
            (Some(path), _) => {
                Credentials::open(path).with_context(|| path.display().to_string())?
            }
            (None, Ok(text)) if !text.trim().is_empty() => {
                let lines = text.split_whitespace().collect::<Vec<_>>().join("\n");
                let keys = ClientKeys::parse(&lines).map_err(|error| anyhow!(error));
                Credentials::of(keys.context(KEY_VARIABLE)?)
            }
            (None, _) => return Ok(Arc::default()),
        };
        let credentials = Arc::new(credentials);
        let kept = credentials.clone();
        tokio::spawn(async move { kept.keep_up().await });
        Ok(credentials)
    }
}

/// What stands around one service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceSecurity {
    door: BrowserDoor,
    tls: ProcessTls,
    access: Option<Arc<AccessDoor>>,
    allowed: Vec<AllowedUrls>,
}

impl SecurityArgs {
    /// The doors of a service that listens on `address`, and that others know by `own`, its host or
    /// `host:port`.
    ///
    /// # Errors
    /// If the keys can't be used; or if others could reach it, and nobody is asked who he is.
    pub(crate) fn service(
        &self,
        address: SocketAddr,
        own: &str,
        tls: ProcessTls,
    ) -> anyhow::Result<ServiceSecurity> {
        let ip = address.ip();
        let asks = self.keys.is_some() || tls.asks_clients();
        if !ip.is_loopback() && !asks && !self.insecure {
            return Err(WrongUsage(open_to_all(address)).into());
        }
        let own = (!own.is_empty()).then_some(own);
        let hosts = self.allow_host.iter().map(String::as_str).chain(own);
        let door = hosts.fold(BrowserDoor::new(ip), BrowserDoor::allow_host);
        let door = self.allow_origin.iter().fold(door, |door, it| door.allow_origin(it));
        let access = self.access(&tls)?;
        Ok(ServiceSecurity { door, tls, access, allowed: self.allow_urls.clone() })
    }

    fn access(&self, tls: &ProcessTls) -> anyhow::Result<Option<Arc<AccessDoor>>> {
        let keys = self.keys.as_ref().map(|path| {
            KeyRing::open(path).map(Arc::new).with_context(|| path.display().to_string())
        });
        let keys = keys.transpose()?;
        if let Some(keys) = keys.clone() {
            tokio::spawn(async move { keys.keep_up().await });
        }
        let door = match (keys, tls.identity()) {
            (None, None) => return Ok(None),
            (keys, None) => AccessDoor::new(keys).with_passes(random),
            (keys, Some(identity)) => {
                AccessDoor::new(keys).with_passes(random).with_tls(identity.clone())
            }
        };
        Ok(Some(Arc::new(door)))
    }
}

/// Fills a buffer with random bytes; false if the operating system has none.
fn random(bytes: &mut [u8]) -> bool {
    getrandom::fill(bytes).is_ok()
}

/// Why a service does not start that everybody in its network could use.
fn open_to_all(address: SocketAddr) -> anyhow::Error {
    anyhow!(
        "other machines reach {address}, and whoever reaches it could have jobs done: give \
         it --keys FILE (`mesh keys new` makes one) or --tls-ca, --tls-cert and --tls-key (`mesh \
         certs new`), or say --insecure if nobody but your own agents \
         can reach it, or listen on 127.0.0.1"
    )
}

impl ServiceSecurity {
    /// The same registry behind its doors.
    pub(crate) fn registry<O: Observer>(&self, node: RegistryNode<O>) -> RegistryNode<O> {
        let checks = RequestChecks::default().and(self.door.clone());
        let checks = match &self.access {
            Some(access) => checks.and(access.clone()),
            None => checks,
        };
        node.with_checks(checks).guarded_by(RegistrationGuard {
            addresses: Some(AddressBook::new(self.allowed.clone())),
            access: self.access.clone(),
        })
    }

    /// The same agent behind its doors.
    pub(crate) fn agent<N: Net, H: Host, O: Observer>(
        &self,
        node: AgentNode<N, H, O>,
    ) -> AgentNode<N, H, O> {
        let node = node.with_checks(RequestChecks::default().and(self.door.clone()));
        match &self.access {
            Some(access) => node.behind(access.clone()),
            None => node,
        }
    }

    /// The same dashboard behind its doors.
    pub(crate) fn dashboard<N: Net>(&self, node: DashboardNode<N>) -> DashboardNode<N> {
        let node = node.with_checks(RequestChecks::default().and(self.door.clone()));
        match &self.access {
            Some(access) => node.behind(access.clone()),
            None => node,
        }
    }

    /// How an agent calls its registries and its peers.
    pub(crate) fn net(&self, registries: &[String], credentials: Arc<Credentials>) -> GuardedNet {
        let rules = call_rules(registries, credentials);
        self.tls.client(CallRules { allowed: self.allowed.clone(), ..rules })
    }

    /// Serves on a socket that listens already.
    pub(crate) fn listen(&self, listener: TcpListener) -> GuardedListener {
        self.tls.client(CallRules::default()).listen(listener)
    }
}

/// The rules of a process that calls registries and the agents that they list. A registry on the
/// loopback interface takes addresses of that interface only from agents of this machine; if one
/// is elsewhere, such an address may be one of another machine.
pub(crate) fn call_rules(registries: &[String], credentials: Arc<Credentials>) -> CallRules {
    CallRules {
        registries: registries.to_owned(),
        is_local_mesh: registries.iter().all(|registry| is_loopback_host(host_of(registry))),
        credentials,
        ..CallRules::default()
    }
}

fn host(text: &str) -> Result<String, &'static str> {
    let is_host = is_address(text) || is_address(&format!("{text}:1"));
    if is_host { Ok(text.to_owned()) } else { Err("expected a host, such as mesh.example.com") }
}

fn origin(text: &str) -> Result<String, &'static str> {
    let parts = text.trim_end_matches('/').split_once("://");
    match parts.map(|(scheme, authority)| (scheme, host(authority))) {
        Some(("http" | "https", Ok(_))) => Ok(text.to_owned()),
        _ => Err("expected an origin, such as https://dashboard.example.com"),
    }
}
