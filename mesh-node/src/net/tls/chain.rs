//! Verifies that a server's certificate comes from the own authority. Whose certificate it is, is
//! asked afterwards, in own code.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptionsBuilder,
};

use crate::security::{IdentityError, PeerCertificate};

/// Verifies chains and revocation, and no names.
///
/// The libraries know DNS names and IP addresses only, and refuse a certificate that has nothing
/// but a SPIFFE id. Beside that, the name that matters is the agent's in the registry, and not the
/// host's.
#[derive(Debug)]
pub(super) struct ChainVerifier {
    roots: Vec<TrustAnchor<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ChainVerifier {
    pub(super) fn new(
        roots: &RootCertStore,
        revoked: Vec<CertRevocationList<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self { roots: roots.roots.clone(), revoked, provider }
    }
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = EndEntityCert::try_from(end_entity).map_err(translated)?;
        let revoked: Vec<_> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&revoked).ok().map(|options| {
            options
                .with_depth(RevocationCheckDepth::EndEntity)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let algorithms = self.provider.signature_verification_algorithms.all;
        let usage = KeyUsage::server_auth();
        certificate
            .verify_for_usage(algorithms, &self.roots, intermediates, now, usage, revocation, None)
            .map_err(translated)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The error as rustls tells it to the other end.
fn translated(error: webpki::Error) -> Error {
    let error = match error {
        webpki::Error::CertExpired { .. } => CertificateError::Expired,
        webpki::Error::CertNotValidYet { .. } => CertificateError::NotValidYet,
        webpki::Error::CertRevoked => CertificateError::Revoked,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        webpki::Error::CrlExpired { .. } => CertificateError::UnknownRevocationStatus,
        webpki::Error::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        webpki::Error::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        _ => CertificateError::BadEncoding,
    };
    Error::InvalidCertificate(error)
}

/// The names in a certificate whose chain is good. `host` is the host that was called, if it is the
/// certificate of a server. Such a one may have nothing but the host's IP address or a wildcard.
///
/// # Errors
/// If it does not say who its owner is. The message is for people.
pub(super) fn names_of(
    certificate: &CertificateDer<'_>,
    host: Option<&str>,
) -> Result<PeerCertificate, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    let names = PeerCertificate::new(parsed.valid_dns_names(), parsed.valid_uri_names());
    let mut names = match names {
        Err(IdentityError::None) if host.is_some() => PeerCertificate::default(),
        names => names.map_err(|error| error.to_string())?,
    };
    let host = host.and_then(|host| ServerName::try_from(host).ok());
    names.is_of_host =
        host.is_some_and(|host| parsed.verify_is_valid_for_subject_name(&host).is_ok());
    Ok(names)
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_have_nothing_but_its_address_and_is_then_no_agent() {
        let made = rcgen::generate_simple_self_signed(vec!["10.0.0.3".to_owned()]);
        let made = made.expect("a certificate");
        let names = |host| names_of(made.cert.der(), host);
        let server = names(Some("10.0.0.3")).expect("it is of that host");
        assert!(server.is_of_host && !server.has_name("10.0.0.3") && server.dns_names().is_empty());
        assert!(!names(Some("10.0.0.4")).expect("it names nobody").is_of_host);
        assert!(names(None).is_err(), "nobody knows which client it is");
    }
}
