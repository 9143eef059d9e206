//! The options of TLS, and what comes of them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use clap::builder::BoolishValueParser;
use mesh_node::GuardedNet;
use mesh_node::net::{CallRules, TlsFiles, TlsIdentity};
use mesh_node::registry::store::{StoreCertificates, StorePlace};

use super::WrongUsage;

/// The certificates of a process. They hold for those that call it and for those that it calls.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsArgs {
    /// The own certificate and those between it and the authority, in PEM; with it, only TLS is
    /// spoken. All files of TLS are read again when they change
    #[arg(long, env = "MESH_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the own certificate, in PEM
    #[arg(long, env = "MESH_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The certificates of the authorities that others must have theirs from, in PEM. A service
    /// then serves nobody without one
    #[arg(long, env = "MESH_TLS_CA", value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// A list of revoked certificates of an authority, in PEM; may be given several times
    #[arg(long, env = "MESH_TLS_CRL", value_name = "FILE", value_delimiter = ',')]
    pub(crate) tls_crl: Vec<PathBuf>,
    /// Serve clients without a certificate, too; give them --keys
    #[arg(long, env = "MESH_TLS_NO_CLIENT_CERTS", value_parser = BoolishValueParser::new())]
    pub(crate) tls_no_client_certs: bool,
}

/// The certificates with which a registry and its store know each other.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StoreTlsArgs {
    /// The certificates of the authorities that a store with TLS must have its own from, in PEM
    #[arg(long, env = "MESH_STORE_CA", value_name = "FILE", help_heading = "TLS")]
    store_ca: Option<PathBuf>,
    /// The certificate that is shown to the store, in PEM, if it asks for one
    #[arg(
        long,
        env = "MESH_STORE_CERT",
        value_name = "FILE",
        help_heading = "TLS",
        requires = "store_key"
    )]
    store_cert: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(
        long,
        env = "MESH_STORE_KEY",
        value_name = "FILE",
        help_heading = "TLS",
        requires = "store_cert"
    )]
    store_key: Option<PathBuf>,
}

impl StoreTlsArgs {
    /// The files, if they go together with a store at this place.
    ///
    /// # Errors
    /// If one is missing, or they have no effect.
    pub(crate) fn files(&self, place: Option<&StorePlace>) -> anyhow::Result<StoreCertificates> {
        let Self { store_ca: ca, store_cert: cert, store_key: key } = self.clone();
        let is_tls = place.is_some_and(StorePlace::is_tls);
        ensure!(
            is_tls || (ca.is_none() && cert.is_none()),
            "--store-ca and --store-cert have no effect without --store rediss://... or etcds://..."
        );
        ensure!(
            !is_tls || ca.is_some(),
            "--store with TLS needs --store-ca FILE: the certificates of the authorities that the \
             store must have its own from"
        );
        Ok(StoreCertificates { ca, own: cert.zip(key) })
    }
}

/// The certificates of this process; none if it speaks plain HTTP.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessTls(Option<Arc<TlsIdentity>>);

impl TlsArgs {
    /// Reads the certificates, and goes on reading them when they change.
    ///
    /// # Errors
    /// If options are missing, or files can't be used.
    pub(crate) fn open(&self) -> anyhow::Result<ProcessTls> {
        let Some(files) = self.files().map_err(WrongUsage)? else { return Ok(ProcessTls(None)) };
        let identity = Arc::new(TlsIdentity::load(files)?);
        let kept = identity.clone();
        tokio::spawn(async move { kept.keep_up().await });
        Ok(ProcessTls(Some(identity)))
    }

    /// As [`Self::open`], for a process that others call.
    ///
    /// # Errors
    /// Also if there is no own certificate, or no authority to ask clients for.
    pub(crate) fn open_service(&self) -> anyhow::Result<ProcessTls> {
        let tls = self.open()?;
        if tls.0.as_ref().is_some_and(|identity| !identity.can_serve()) {
            let error = anyhow!("a service with TLS needs --tls-cert and --tls-key");
            return Err(WrongUsage(error).into());
        }
        Ok(tls)
    }

    /// The certificates for calls of an upstream, which must have its own from the authorities in
    /// `ca`, or else from those of this process.
    ///
    /// # Errors
    /// If a file can't be used.
    pub(crate) fn open_upstream(&self, ca: Option<&PathBuf>) -> anyhow::Result<Arc<TlsIdentity>> {
        let crls = if ca.is_some() { Vec::new() } else { self.tls_crl.clone() };
        let ca = ca.or(self.tls_ca.as_ref()).cloned();
        let (cert, key) = (self.tls_cert.clone(), self.tls_key.clone());
        let files = TlsFiles { cert, key, ca, crls, asks_clients: false };
        let identity = Arc::new(TlsIdentity::load(files)?);
        let kept = identity.clone();
        tokio::spawn(async move { kept.keep_up().await });
        Ok(identity)
    }

    fn files(&self) -> anyhow::Result<Option<TlsFiles>> {
        let Self { tls_cert: cert, tls_key: key, tls_ca: ca, tls_crl: crls, .. } = self.clone();
        match (&cert, &key) {
            (Some(_), None) => bail!("--tls-cert needs the key of the certificate: --tls-key"),
            (None, Some(_)) => bail!("--tls-key needs the certificate of the key: --tls-cert"),
            _ => {}
        }
        if cert.is_none() && ca.is_none() {
            ensure!(crls.is_empty(), "--tls-crl has no effect without --tls-ca");
            ensure!(!self.tls_no_client_certs, "--tls-no-client-certs needs --tls-cert");
            return Ok(None);
        }
        ensure!(crls.is_empty() || ca.is_some(), "--tls-crl has no effect without --tls-ca");
        let asks_clients = !self.tls_no_client_certs;
        Ok(Some(TlsFiles { cert, key, ca, crls, asks_clients }))
    }
}

impl ProcessTls {
    /// The certificates, if there are any.
    pub(crate) fn identity(&self) -> Option<&Arc<TlsIdentity>> {
        self.0.as_ref()
    }

    /// Whether clients must show a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        self.0.as_ref().is_some_and(|identity| identity.asks_clients())
    }

    /// How this process calls others, and serves.
    pub(crate) fn client(&self, rules: CallRules) -> GuardedNet {
        let net = GuardedNet::new(rules);
        match &self.0 {
            Some(identity) => net.with_tls(identity.clone()),
            None => net,
        }
    }
}
