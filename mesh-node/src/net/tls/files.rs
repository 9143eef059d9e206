//! The files with certificates and keys, and the configurations that they make.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use webpki::{CertRevocationList, OwnedCertRevocationList};

use super::chain::ChainVerifier;
use super::der::CertificateFacts;
use crate::files::read_bytes;
use crate::security::{UtcTime, check_private};

/// The largest file of certificates or keys, in bytes.
const MOST_BYTES: u64 = 4 << 20;
/// The only protocol that is spoken inside of TLS.
const PROTOCOL: &[u8] = b"http/1.1";

/// Where certificates and keys are, in PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The own certificate, with those between it and the authority; without it, the process only
    /// calls others, and shows them none.
    pub cert: Option<PathBuf>,
    /// The key of the own certificate. Only its owner may be able to read the file.
    pub key: Option<PathBuf>,
    /// The certificates of the authorities that others must have theirs from.
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates. If there are any, there must be one of each authority, and
    /// none may be out of date.
    pub crls: Vec<PathBuf>,
    /// Whether clients must show a certificate of `ca`.
    pub asks_clients: bool,
}

/// Why certificates can't be used. The message names the file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct TlsError {
    path: PathBuf,
    problem: String,
}

impl TlsError {
    fn new(path: &Path, problem: impl ToString) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string() }
    }
}

/// What the files make.
#[derive(Debug)]
pub(super) struct TlsConfigs {
    /// For those that call this process; `None` without an own certificate.
    pub(super) server: Option<Arc<ServerConfig>>,
    /// For those that this process calls; `None` without an authority.
    pub(super) client: Option<Arc<ClientConfig>>,
    /// When the own certificate expires.
    pub(super) not_after: Option<UtcTime>,
}

/// An own certificate with its chain, and the key to it.
type OwnCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl TlsFiles {
    /// All files, to watch them.
    pub(super) fn all(&self) -> Vec<PathBuf> {
        let own = [&self.cert, &self.key, &self.ca].into_iter().flatten();
        own.chain(&self.crls).cloned().collect()
    }

    /// Reads all files.
    pub(super) fn load(&self, now: UtcTime) -> Result<TlsConfigs, TlsError> {
        let provider = Arc::new(default_provider());
        let own = self.own(now, &provider)?;
        let not_after = own.as_ref().and_then(|((chain, _), _)| expiry(chain));
        let roots = self.ca.as_deref().map(authorities).transpose()?;
        let crls: Vec<_> = self.crls.iter().map(|path| crl(path)).collect::<Result<_, _>>()?;
        let client = roots.as_ref().map(|roots| {
            let own = own.as_ref().map(|((chain, key), _)| (chain.clone(), key.clone_key()));
            self.client(roots, &crls, own, &provider)
        });
        let roots = roots.filter(|_| self.asks_clients);
        let server = own.map(|(own, path)| self.server(own, path, roots, crls, &provider));
        Ok(TlsConfigs { server: server.transpose()?, client: client.transpose()?, not_after })
    }

    /// The own certificate, checked as far as can be done without asking others.
    fn own(
        &self,
        now: UtcTime,
        provider: &CryptoProvider,
    ) -> Result<Option<(OwnCertificate, &Path)>, TlsError> {
        let (Some(cert), Some(key_path)) = (&self.cert, &self.key) else { return Ok(None) };
        let chain = certificates(cert)?;
        check_private(key_path).map_err(|error| TlsError::new(key_path, error))?;
        let bytes = read(key_path)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes)
            .map_err(|_| TlsError::new(key_path, "it has no private key in PEM"))?;
        let facts = chain.first().and_then(|leaf| CertificateFacts::read(leaf));
        let facts = facts.ok_or_else(|| TlsError::new(cert, "its certificate is malformed"))?;
        if facts.not_after <= now {
            let problem = format!("the certificate has expired, at {}", facts.not_after);
            return Err(TlsError::new(cert, problem));
        }
        if facts.not_before > now {
            let problem = format!("the certificate is not valid before {}", facts.not_before);
            return Err(TlsError::new(cert, problem));
        }
        let signing = provider.key_provider.load_private_key(key.clone_key());
        let signing = signing.map_err(|error| TlsError::new(key_path, error))?;
        if CertifiedKey::new(chain.clone(), signing).keys_match().is_err() {
            let problem = format!("this key is not that of the certificate in {}", cert.display());
            return Err(TlsError::new(key_path, problem));
        }
        Ok(Some(((chain, key), cert)))
    }

    fn client(
        &self,
        roots: &RootCertStore,
        crls: &[CertificateRevocationListDer<'static>],
        own: Option<OwnCertificate>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let parsed = crls.iter().zip(&self.crls).map(|(crl, path)| {
            let parsed = OwnedCertRevocationList::from_der(crl);
            parsed.map(CertRevocationList::from).map_err(|error| TlsError::new(path, error))
        });
        let revoked = parsed.collect::<Result<_, _>>()?;
        let verifier = ChainVerifier::new(roots, revoked, provider.clone());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failure(error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match own {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key),
            None => Ok(builder.with_no_client_auth()),
        };
        let mut config = config.map_err(|error| self.failure(error))?;
        // A resumed session would skip the verification.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }

    fn server(
        &self,
        (chain, key): OwnCertificate,
        path: &Path,
        roots: Option<RootCertStore>,
        crls: Vec<CertificateRevocationListDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.failure(error))?;
        let builder = match roots {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
                    .with_crls(crls)
                    .only_check_end_entity_revocation()
                    .enforce_revocation_expiration()
                    .build()
                    .map_err(|error| self.failure(error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, key);
        let mut config = config.map_err(|error| TlsError::new(path, error))?;
        // A resumed session would skip the verification.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }

    /// A failure that no single file is to blame for.
    fn failure(&self, error: impl ToString) -> TlsError {
        TlsError::new(self.ca.as_deref().unwrap_or(Path::new("TLS")), error)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    read_bytes(path, MOST_BYTES).map_err(|error| TlsError::new(path, error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(TlsError::new(path, "it has no certificate in PEM")),
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| TlsError::new(path, error))?;
    }
    Ok(roots)
}

fn crl(path: &Path) -> Result<CertificateRevocationListDer<'static>, TlsError> {
    let bytes = read(path)?;
    let crl = CertificateRevocationListDer::from_pem_slice(&bytes);
    crl.map_err(|_| TlsError::new(path, "it has no list of revoked certificates in PEM"))
}

fn expiry(chain: &[CertificateDer<'_>]) -> Option<UtcTime> {
    chain.first().and_then(|leaf| CertificateFacts::read(leaf)).map(|facts| facts.not_after)
}
