//! Whose certificate it is: the names in it, and what its owner may do.

use std::sync::Arc;

use super::keys::Role;

/// What the certificates of the mesh are called in URIs.
const SPIFFE: &str = "spiffe://";

/// The names in the certificate of somebody else, whose chain has been verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The DNS names, as they stand there. Wildcards are left out: they name nobody.
    dns: Vec<String>,
    spiffe: Option<SpiffeId>,
    /// Whether it is a certificate of the host that was called.
    pub(crate) is_of_host: bool,
}

/// `spiffe://TRUST-DOMAIN/PATH`: who somebody is, whatever its addresses are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeId(String);

/// Why a certificate says nothing about its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It has several identities, so nobody could say which one counts.
    #[error("the certificate has more than one URI")]
    Several,
    /// Its URI is not `spiffe://TRUST-DOMAIN/PATH`.
    #[error("the URI in the certificate is not spiffe://TRUST-DOMAIN/PATH")]
    NoSpiffeId,
    /// It has neither a DNS name nor a URI.
    #[error("the certificate has no names")]
    None,
}

impl SpiffeId {
    /// Reads an id by the rules of SPIFFE: a trust domain, and a path without empty or relative
    /// segments.
    fn parse(text: &str) -> Result<Self, IdentityError> {
        let rest = text.strip_prefix(SPIFFE).ok_or(IdentityError::NoSpiffeId)?;
        let (domain, path) = rest.split_once('/').ok_or(IdentityError::NoSpiffeId)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_domain = !domain.is_empty()
            && domain.bytes().all(|byte| is_plain(byte) && !byte.is_ascii_uppercase());
        let is_segment =
            |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain);
        if is_domain && path.split('/').all(is_segment) && text.len() <= 2048 {
            return Ok(Self(text.to_owned()));
        }
        Err(IdentityError::NoSpiffeId)
    }

    /// The segments of the path.
    fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0[SPIFFE.len()..].split('/').skip(1).collect::<Vec<_>>().into_iter()
    }
}

impl PeerCertificate {
    /// The certificate with these DNS names and URIs.
    ///
    /// # Errors
    /// If it does not say who its owner is.
    pub fn new<'a>(
        dns: impl IntoIterator<Item = &'a str>,
        uris: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, IdentityError> {
        let mut uris = uris.into_iter();
        let spiffe = uris.next().map(SpiffeId::parse).transpose()?;
        if uris.next().is_some() {
            return Err(IdentityError::Several);
        }
        let is_name = |name: &&str| !name.is_empty() && !name.contains('*');
        let dns = dns.into_iter().filter(is_name).map(str::to_owned);
        let dns: Vec<String> = dns.collect();
        if dns.is_empty() && spiffe.is_none() {
            return Err(IdentityError::None);
        }
        Ok(Self { dns, spiffe, is_of_host: false })
    }

    /// The DNS names.
    pub fn dns_names(&self) -> &[String] {
        &self.dns
    }

    /// Whether its owner may be an agent of this name: one of its DNS names, or the last segment of
    /// its SPIFFE id. The common name never counts.
    pub fn has_name(&self, name: &str) -> bool {
        let last = self.spiffe.as_ref().and_then(|id| id.segments().next_back());
        last == Some(name) || self.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name))
    }

    /// Who it is, for as long as its certificates follow each other.
    pub fn owner(&self) -> Arc<str> {
        match (&self.spiffe, self.dns.first()) {
            (Some(SpiffeId(id)), _) => id.as_str().into(),
            (None, Some(name)) => name.as_str().into(),
            (None, None) => "".into(),
        }
    }

    /// What its owner may do: everything if its SPIFFE id is `spiffe://TRUST-DOMAIN/admin/NAME`,
    /// else everything that is not for administrators.
    pub fn may(&self, role: Role) -> bool {
        let first = self.spiffe.as_ref().and_then(|id| id.segments().next());
        role != Role::Admin || first == Some("admin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dns: &[&str], uris: &[&str]) -> Result<PeerCertificate, IdentityError> {
        PeerCertificate::new(dns.iter().copied(), uris.iter().copied())
    }

    #[test]
    fn names_are_dns_names_and_the_end_of_one_spiffe_id() {
        let both = read(&["Worker.example", "*.example"], &["spiffe://mesh/agent/ann"]).unwrap();
        for (name, expected) in [
            ("ann", true),
            ("worker.example", true),
            ("agent", false),
            ("mesh", false),
            ("Ann", false),
            ("*.example", false),
            ("other.example", false),
            ("", false),
        ] {
            assert_eq!(both.has_name(name), expected, "{name}");
        }
        assert_eq!(&*both.owner(), "spiffe://mesh/agent/ann");
        assert_eq!(&*read(&["a", "b"], &[]).unwrap().owner(), "a");
        assert!(both.may(Role::Call) && both.may(Role::Register) && !both.may(Role::Admin));
        assert!(read(&[], &["spiffe://mesh/admin/root"]).unwrap().may(Role::Admin));
        assert!(!read(&["admin"], &["spiffe://mesh/agent/admin"]).unwrap().may(Role::Admin));
    }

    #[test]
    fn what_says_nothing_or_too_much_is_refused() {
        for (dns, uris, expected) in [
            (&[][..], &[][..], IdentityError::None),
            (&["*.example"], &[], IdentityError::None),
            (&[""], &[], IdentityError::None),
            (&["a"], &["spiffe://mesh/a", "spiffe://mesh/b"], IdentityError::Several),
            (&["a"], &["spiffe://mesh/a", "https://a"], IdentityError::Several),
            (&["a"], &["https://mesh/a"], IdentityError::NoSpiffeId),
            (&[], &["spiffe://mesh"], IdentityError::NoSpiffeId),
            (&[], &["spiffe:///a"], IdentityError::NoSpiffeId),
            (&[], &["spiffe://mesh/"], IdentityError::NoSpiffeId),
            (&[], &["spiffe://mesh//a"], IdentityError::NoSpiffeId),
            (&[], &["spiffe://mesh/../a"], IdentityError::NoSpiffeId),
            (&[], &["spiffe://mesh/a?b"], IdentityError::NoSpiffeId),
            (&[], &["spiffe://user@mesh/a"], IdentityError::NoSpiffeId),
            (&[], &["SPIFFE://mesh/a"], IdentityError::NoSpiffeId),
        ] {
            assert_eq!(read(dns, uris), Err(expected), "{dns:?} {uris:?}");
        }
    }
}
