//! `mesh certs`: a development authority, certificates of it, and the list of those revoked.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, Subcommand};
use mesh_core::registry::is_address;
use mesh_node::net::CertificateFacts;
use mesh_node::process::console::print;
use mesh_node::security::{
    PrivateReplacement, UtcTime, check_private, create_private, replace_privately,
};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use super::WrongUsage;
use super::args::USUAL;
use super::keys::lifetime;
use super::values::name;

/// The name of the authority, by which certificates say whose they are.
const AUTHORITY: &str = "Agentic Mesh development CA";
/// How long the authority is good.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How far in the past certificates begin, because clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "\
Examples:
  mesh certs new registry agent-1 agent-2             for services on this machine
  mesh certs new agent-3 --host 10.0.0.3 --host box   for a service on another one
  mesh certs new me --admin                           for whoever may do everything
  mesh certs revoke agent-2                           writes crl.pem

The first call makes the authority, ca.pem and ca.key. Keep ca.key where no service runs: whoever \
has it can be everybody. Services that run follow changed files within two seconds.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CertsArgs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    /// Make certificates: NAME.pem and NAME.key for each name
    New(NewCertsArgs),
    /// Revoke certificates: adds them to the list crl.pem, for --tls-crl
    Revoke(RevokeCertsArgs),
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct CertsFolder {
    /// The folder of the authority
    #[arg(long = "dir", value_name = "FOLDER", default_value = "certs")]
    path: PathBuf,
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct NewCertsArgs {
    #[command(flatten)]
    folder: CertsFolder,
    /// Whose certificates: names of agents, or any other words
    #[arg(value_name = "NAME", required = true, value_parser = name)]
    names: Vec<String>,
    /// A host on which they serve; may be given several times [default: localhost, 127.0.0.1, ::1]
    #[arg(long, value_name = "HOST", value_delimiter = ',', value_parser = host)]
    host: Vec<String>,
    /// How long they are good
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = lifetime)]
    expires: Duration,
    /// Their owners may do everything
    #[arg(long)]
    admin: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = USUAL)]
struct RevokeCertsArgs {
    #[command(flatten)]
    folder: CertsFolder,
    /// Whose certificates
    #[arg(value_name = "NAME", required = true, value_parser = name)]
    names: Vec<String>,
    /// How long the list is good; services refuse everybody when it is out of date
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = lifetime)]
    expires: Duration,
}

pub(super) fn run(args: &CertsArgs) -> anyhow::Result<()> {
    match &args.command {
        CertsCommand::New(args) => {
            let folder = &args.folder.path;
            let is_new = !folder.join("ca.key").exists();
            let authority = Authority::open(folder)?;
            if is_new {
                print(&format!("{0}/ca.pem {0}/ca.key\n", folder.display()));
            }
            for name in &args.names {
                authority.issue(name, &args.host, args.expires, args.admin)?;
                let path = folder.join(name);
                print(&format!("{0}.pem {0}.key\n", path.display()));
            }
            Ok(())
        }
        CertsCommand::Revoke(args) => {
            let authority = Authority::open(&args.folder.path)?;
            authority.revoke(&args.names, args.expires)?;
            print(&format!("{}\n", authority.path("crl.pem").display()));
            Ok(())
        }
    }
}

/// A development authority, and the folder where its files are.
pub(super) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of a folder; a new one if the folder has none.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let (key_path, cert_path) = (folder.join("ca.key"), folder.join("ca.pem"));
        if key_path.exists() {
            let named = || key_path.display().to_string();
            check_private(&key_path).with_context(named)?;
            let key = fs::read_to_string(&key_path).with_context(named)?;
            let key = KeyPair::from_pem(&key).with_context(named)?;
            let issuer = Issuer::new(authority_params()?, key);
            return Ok(Self { folder: folder.to_owned(), issuer });
        }
        ensure!(!cert_path.exists(), "{} has no key beside it", cert_path.display());
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let key = KeyPair::generate()?;
        let params = authority_params()?;
        let certificate = params.self_signed(&key)?;
        write_key(&key_path, &key)?;
        write(&cert_path, &certificate.pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Makes a certificate and its key: `NAME.pem` and `NAME.key`.
    pub(super) fn issue(
        &self,
        name: &str,
        hosts: &[String],
        expires: Duration,
        is_admin: bool,
    ) -> anyhow::Result<()> {
        ensure!(name != "ca" && name != "crl", "{name} is a file of the authority");
        let now = now();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (now - CLOCK_SKEW, now + expires);
        params.distinguished_name = subject(name);
        params.serial_number = Some(serial()?);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let kind = if is_admin { "admin" } else { "agent" };
        let id = format!("spiffe://mesh/{kind}/{name}");
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(id)?)];
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        for host in if hosts.is_empty() { &local[..] } else { hosts } {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(Ia5String::try_from(&**host)?),
            });
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        write_key(&self.path(&format!("{name}.key")), &key)?;
        write(&self.path(&format!("{name}.pem")), &certificate.pem())
    }

    /// Adds certificates to the list of those revoked.
    fn revoke(&self, names: &[String], expires: Duration) -> anyhow::Result<()> {
        let list = self.path("revoked");
        // Before the list is read, so that no other revocation comes in between.
        let replacement = PrivateReplacement::begin(&list)
            .with_context(|| format!("failed to write {}", list.display()))?;
        let mut serials = match fs::read_to_string(&list) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).context(list.display().to_string()),
        };
        for name in names {
            let path = self.path(&format!("{name}.pem"));
            let pem = fs::read(&path).with_context(|| path.display().to_string());
            let facts = CertificateFacts::read_pem(&pem.map_err(WrongUsage)?);
            let facts =
                facts.ok_or_else(|| anyhow!("{}: it has no certificate in PEM", path.display()))?;
            let hex: String = facts.serial.iter().map(|byte| format!("{byte:02x}")).collect();
            serials.push_str(&format!("{hex} {name}\n"));
        }
        let serials_of = |line: &str| line.split(' ').next().map(unhex);
        let revoked = serials.lines().filter_map(serials_of).map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&serial),
            revocation_time: now(),
            reason_code: None,
            invalidity_date: None,
        });
        let crl = CertificateRevocationListParams {
            this_update: now() - CLOCK_SKEW,
            next_update: now() + expires,
            crl_number: SerialNumber::from(UtcTime::now().as_unix()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let crl = crl.signed_by(&self.issuer)?.pem()?;
        replacement.finish(serials.as_bytes())?;
        write(&self.path("crl.pem"), &crl)
    }
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let now = now();
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (now - CLOCK_SKEW, now + AUTHORITY_LIFETIME);
    params.distinguished_name = subject(AUTHORITY);
    params.serial_number = Some(serial()?);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// A random serial number. Its first bit is 0, so that it is positive without another byte.
fn serial() -> anyhow::Result<SerialNumber> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the operating system has no random bytes: {error}"))?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    digits.chunks(2).filter_map(byte).collect()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(UtcTime::now().as_unix())
}

/// Writes a key in place of an old one.
fn write_key(path: &Path, key: &KeyPair) -> anyhow::Result<()> {
    let written = match path.exists() {
        true => replace_privately(path, key.serialize_pem().as_bytes()),
        false => {
            create_private(path).and_then(|mut file| file.write_all(key.serialize_pem().as_bytes()))
        }
    };
    written.with_context(|| format!("failed to write {}", path.display()))
}

/// Writes a file that everybody may read, in place of an old one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn host(text: &str) -> Result<String, &'static str> {
    let bare = text.parse::<IpAddr>().is_ok();
    if bare || is_address(&format!("{text}:1")) {
        return Ok(text.to_owned());
    }
    Err("expected a host, such as agents.example.com or 10.0.0.3")
}
