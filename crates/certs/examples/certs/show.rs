//! What the certificates of a file hold, for people.

use std::net::IpAddr;
use std::path::PathBuf;

use boring::nid::Nid;
use boring::pkey::{Id, PKey, Public};
use boring::x509::X509;
use certs::{EncodedCertificate, NameFields, NameReading, SpiffePattern};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::failure::Failure;

#[derive(clap::Args)]
pub(crate) struct Show {
    /// A file of certificates in PEM
    file: PathBuf,
    /// SPIFFE IDs like this prove names, and nothing else does: spiffe://example.org/member/{name}
    #[arg(long, value_name = "PATTERN")]
    spiffe: Option<SpiffePattern>,
}

pub(crate) fn run(arguments: &Show) -> Result<String, Failure> {
    let certificates = EncodedCertificate::read(&arguments.file).map_err(Failure::input)?;
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::input(format!("{} does not parse: {error}", arguments.file.display()))
    };
    let count = certificates.len();
    let mut report = String::new();
    for (index, encoded) in certificates.iter().enumerate() {
        let parsed = Certificate::from_der(&encoded.der).map_err(|error| unreadable(&error))?;
        let spiffe = arguments.spiffe.clone();
        let fields = spiffe.map_or_else(NameFields::default, NameFields::spiffe);
        let names =
            NameReading::from_der(&encoded.der, &fields).map_err(|error| unreadable(&error))?;
        let leaf = X509::from_der(&encoded.der).map_err(|error| unreadable(&error))?;
        let key = leaf.public_key().map_err(|error| unreadable(&error))?;
        let rows = [
            ("subject", parsed.tbs_certificate().subject().to_string()),
            ("issuer", parsed.tbs_certificate().issuer().to_string()),
            ("alternative names", alternative_names(&parsed)),
            ("proves the names", listed(names.proven().to_vec())),
            ("by its fields", names.to_string()),
            ("key", key_kind(&key)),
            ("usages", usages(&parsed)),
            ("valid", format!("from {} until {}", leaf.not_before(), leaf.not_after())),
            ("SHA-256", encoded.fingerprint.to_string()),
        ];
        report += &format!("certificate {} of {count}\n", index + 1);
        for (label, value) in rows {
            report += &format!("  {label:<18}{value}\n");
        }
    }
    Ok(report)
}

fn listed(values: Vec<String>) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

/// An extension that does not parse is told in its place.
fn extension<'a, T>(parsed: &'a Certificate, text: impl Fn(T) -> String) -> Option<String>
where
    T: Decode<'a, Error = x509_cert::der::Error> + x509_cert::der::oid::AssociatedOid,
{
    match parsed.tbs_certificate().get_extension::<T>() {
        Ok(found) => found.map(|(_, extension)| text(extension)),
        Err(error) => Some(format!("unreadable ({error})")),
    }
}

fn alternative_names(parsed: &Certificate) -> String {
    let text =
        |SubjectAltName(names): SubjectAltName| listed(names.iter().map(general_name).collect());
    extension(parsed, text).unwrap_or_else(|| "none".to_owned())
}

fn general_name(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("DNS {:?}", name.as_str()),
        GeneralName::UniformResourceIdentifier(uri) => format!("URI {:?}", uri.as_str()),
        GeneralName::Rfc822Name(name) => format!("email {:?}", name.as_str()),
        GeneralName::IpAddress(bytes) => match *bytes.as_bytes() {
            [a, b, c, d] => format!("IP {}", IpAddr::from([a, b, c, d])),
            ref bytes => match <[u8; 16]>::try_from(bytes) {
                Ok(bytes) => format!("IP {}", IpAddr::from(bytes)),
                Err(_) => format!("IP of {} bytes", bytes.len()),
            },
        },
        GeneralName::DirectoryName(name) => format!("directory {name}"),
        GeneralName::RegisteredId(id) => format!("registered {id}"),
        GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) => "of another kind".to_owned(),
    }
}

fn usages(parsed: &Certificate) -> String {
    let key_usage = extension(parsed, |KeyUsage(usages)| {
        let usages = usages.into_iter().map(|usage| lower_camel(&format!("{usage:?}")));
        listed(usages.collect())
    });
    let extended =
        extension(parsed, |ExtendedKeyUsage(usages)| listed(usages.iter().map(purpose).collect()));
    let authority = extension(parsed, |constraints: BasicConstraints| match constraints {
        BasicConstraints { ca: true, path_len_constraint: None } => "an authority".to_owned(),
        BasicConstraints { ca: true, path_len_constraint: Some(most) } => {
            format!("an authority above at most {most} others")
        }
        BasicConstraints { ca: false, .. } => "no authority".to_owned(),
    });
    let any = || "any".to_owned();
    format!(
        "{}; extended: {}; {}",
        key_usage.unwrap_or_else(any),
        extended.unwrap_or_else(any),
        authority.unwrap_or_else(|| "no authority".to_owned())
    )
}

fn purpose(id: &ObjectIdentifier) -> String {
    match id.to_string().as_str() {
        "1.3.6.1.5.5.7.3.1" => "serverAuth".to_owned(),
        "1.3.6.1.5.5.7.3.2" => "clientAuth".to_owned(),
        "2.5.29.37.0" => "any".to_owned(),
        other => other.to_owned(),
    }
}

/// `DigitalSignature` as RFC 5280 writes it.
fn lower_camel(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn key_kind(key: &PKey<Public>) -> String {
    match key.id() {
        Id::ED25519 => "Ed25519".to_owned(),
        Id::RSA => format!("RSA, {} bits", key.bits()),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name());
            match curve {
                Some(Nid::X9_62_PRIME256V1) => "EC P-256".to_owned(),
                Some(Nid::SECP384R1) => "EC P-384".to_owned(),
                Some(Nid::SECP521R1) => "EC P-521".to_owned(),
                Some(_) | None => "EC on another curve".to_owned(),
            }
        }
        other => format!("type {}", other.as_raw()),
    }
}
