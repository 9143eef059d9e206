//! `mesh up --secure`: the authority, the certificates and the keys of a mesh that lives as long as
//! its process.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use mesh_node::security::keys::{ApiKey, KeyRecord, KeySet, Role};
use mesh_node::security::{UtcTime, create_private};

use super::certs::Authority;
use super::security::{CredentialArgs, SecurityArgs};
use super::tls::TlsArgs;

/// The name in the registry's certificate.
pub(super) const REGISTRY_NAME: &str = "registry";
/// The name in the certificate of whoever uses the mesh.
const USER: &str = "me";
/// The names of the agents, which are random.
const AGENTS: &str = "agent-*";
/// How long certificates are good.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// A folder that only its owner can look into. Dropping it removes it.
pub(super) struct SecureFolder {
    folder: PathBuf,
    authority: Authority,
}

impl SecureFolder {
    /// A new folder, with an authority, the keys of the agents and those of the user.
    pub(super) fn make() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("mesh-secure-{}", std::process::id()));
        create_folder(&folder).with_context(|| folder.display().to_string())?;
        let authority = Authority::open(&folder)?;
        let this = Self { folder, authority };
        this.authority.issue(USER, &[], LIFETIME, false)?;
        let mut keys = KeySet::default();
        let agents = [this.key(&mut keys, Role::Register)?, this.key(&mut keys, Role::Call)?];
        let user = [this.key(&mut keys, Role::Call)?, this.key(&mut keys, Role::Observe)?];
        keys.write(&this.path("keys.toml"))?;
        this.write("agents.key", &lines(&agents))?;
        this.write("me.keys", &lines(&user))?;
        let [call, _] = user;
        this.write("me.header", &format!("authorization: Bearer {}\n", call.reveal()))?;
        Ok(this)
    }

    fn key(&self, keys: &mut KeySet, role: Role) -> anyhow::Result<ApiKey> {
        let key = ApiKey::generate(role, getrandom::fill)
            .map_err(|error| anyhow!("the operating system has no random bytes: {error}"))?;
        let mut record = KeyRecord::new(&key, UtcTime::now());
        if role == Role::Register {
            record.names = AGENTS.parse().into_iter().collect();
        }
        keys.insert(record);
        Ok(key)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        let written = create_private(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| path.display().to_string())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The options of a service in this mesh.
    pub(super) fn doors(&self, args: &SecurityArgs) -> SecurityArgs {
        SecurityArgs { keys: Some(self.path("keys.toml")), ..args.clone() }
    }

    /// The options of a process of this name, with a new certificate.
    pub(super) fn tls(&self, name: &str) -> anyhow::Result<TlsArgs> {
        self.authority.issue(name, &[], LIFETIME, false)?;
        Ok(TlsArgs {
            tls_cert: Some(self.path(&format!("{name}.pem"))),
            tls_key: Some(self.path(&format!("{name}.key"))),
            tls_ca: Some(self.path("ca.pem")),
            ..TlsArgs::default()
        })
    }

    /// What the agents show.
    pub(super) fn agents(&self) -> CredentialArgs {
        CredentialArgs { key_file: Some(self.path("agents.key")) }
    }

    /// The variables with which the user's commands get in.
    pub(super) fn exports(&self) -> String {
        let folder = self.folder.display();
        format!(
            "  export MESH_TLS_CA={folder}/ca.pem MESH_TLS_CERT={folder}/{USER}.pem \
             MESH_TLS_KEY={folder}/{USER}.key MESH_KEY_FILE={folder}/me.keys\n"
        )
    }

    /// The options with which curl gets in.
    pub(super) fn curl(&self) -> String {
        let folder = self.folder.display();
        format!(
            "--cacert {folder}/ca.pem --cert {folder}/{USER}.pem --key {folder}/{USER}.key \
             -H @{folder}/me.header "
        )
    }
}

impl Drop for SecureFolder {
    fn drop(&mut self) {
        // It holds nothing that is worth keeping, and this may be the end of the process.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn create_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn lines(keys: &[ApiKey]) -> String {
    keys.iter().map(|key| format!("{}\n", key.reveal())).collect()
}
