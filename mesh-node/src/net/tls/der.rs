//! Reads of a certificate what the libraries don't tell: its serial number and when it is valid.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::security::UtcTime;

/// The tags of DER (X.690) that are met on the way.
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The serial number, which its authority gave it.
    pub serial: Vec<u8>,
    /// From when on it is valid.
    pub not_before: UtcTime,
    /// Until when it is valid.
    pub not_after: UtcTime,
}

impl CertificateFacts {
    /// Reads the first certificate of a file in PEM; `None` if there is none.
    pub fn read_pem(pem: &[u8]) -> Option<Self> {
        Self::read(&CertificateDer::from_pem_slice(pem).ok()?)
    }

    /// Reads a certificate in DER (RFC 5280, section 4.1); `None` if it is malformed.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (body, _) = element(certificate, SEQUENCE)?;
        let rest = element(body, VERSION).map_or(body, |(_, rest)| rest);
        let (serial, rest) = element(rest, INTEGER)?;
        let (_algorithm, rest) = element(rest, SEQUENCE)?;
        let (_issuer, rest) = element(rest, SEQUENCE)?;
        let (validity, _) = element(rest, SEQUENCE)?;
        let (not_before, rest) = time(validity)?;
        let (not_after, _) = time(rest)?;
        Some(Self { serial: serial.to_vec(), not_before, not_after })
    }
}

/// The content of the element that the bytes begin with, if it has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The number of bytes that hold the length. No certificate needs more than four.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

/// The time that the bytes begin with, and what follows it.
fn time(bytes: &[u8]) -> Option<(UtcTime, &[u8])> {
    let (text, rest, century) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, None),
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, rest, Some(())))?,
    };
    let digits = text.strip_suffix(b"Z")?;
    let number = |part: &[u8]| {
        let is_number = part.iter().all(u8::is_ascii_digit);
        is_number.then(|| part.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
    };
    let (year, rest_of_time) = match century {
        Some(()) => (number(digits.get(..4)?)?, digits.get(4..)?),
        // RFC 5280, section 4.1.2.5.1.
        None => {
            let year = number(digits.get(..2)?)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
    };
    if rest_of_time.len() != 10 {
        return None;
    }
    let part = |at: usize| number(&rest_of_time[2 * at..2 * at + 2]);
    let date = (year, part(0)?, part(1)?);
    // Certificates of other people may begin before 1970; for them it is always after that.
    let time = UtcTime::from_parts(date, (part(2)?, part(3)?, part(4)?));
    Some((time.unwrap_or(UtcTime::from_unix(0)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_nothing() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x02, 0x30, 0x00],
            &[0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x01],
        ] {
            assert_eq!(CertificateFacts::read(bytes), None, "{bytes:x?}");
        }
        let utc = [&[UTC_TIME, 13][..], b"491231235959Z"].concat();
        assert_eq!(
            time(&utc).map(|(time, _)| time.to_string()).as_deref(),
            Some("2049-12-31T23:59:59Z")
        );
        let general = [&[GENERALIZED_TIME, 15][..], b"20500101000000Z"].concat();
        let general = time(&general).map(|(time, _)| time.to_string());
        assert_eq!(general.as_deref(), Some("2050-01-01T00:00:00Z"));
    }
}
