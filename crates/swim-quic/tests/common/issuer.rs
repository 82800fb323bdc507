//! An authority that issues what ours does not: any common name, any alternative names.

use boring::asn1::Asn1Time;
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::extension::BasicConstraints;
use boring::x509::{X509, X509Builder, X509Extension, X509Name, X509NameRef};
use swim_quic::{Fingerprint, Identity};

pub(crate) struct Issuer {
    certificate: X509,
    key: PKey<Private>,
    /// From itself up to the root, without that: what members below it send.
    chain: Vec<X509>,
    root: X509,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        Self::named("test authority")
    }

    /// Two that one member trusts need different names: there are no key identifiers here.
    pub(crate) fn named(name: &str) -> Self {
        let key = key();
        let name = subject(name);
        let certificate = certificate(&name, &name, &key, &key, may_issue);
        Self { root: certificate.clone(), certificate, key, chain: Vec::new() }
    }

    /// An intermediate below this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = key();
        let issuer = self.certificate.subject_name();
        let certificate = certificate(&subject(name), issuer, &key, &self.key, may_issue);
        let chain = [&certificate].into_iter().chain(&self.chain).cloned().collect();
        Self { certificate, key, chain, root: self.root.clone() }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let digest = self.certificate.digest(MessageDigest::sha256()).unwrap();
        <[u8; 32]>::try_from(&digest[..]).unwrap().into()
    }

    pub(crate) fn root_pem(&self) -> Vec<u8> {
        self.root.to_pem().unwrap()
    }

    /// `alternatives` as openssl's configuration has them: `DNS:ada,IP:127.0.0.1`.
    pub(crate) fn identity(&self, common_name: &str, alternatives: &str) -> Identity {
        let key = key();
        let issuer = self.certificate.subject_name();
        let leaf = certificate(&subject(common_name), issuer, &key, &self.key, |builder| {
            let kind = Nid::SUBJECT_ALT_NAME;
            let extension = X509Extension::new_nid(None, None, kind, alternatives).unwrap();
            builder.append_extension(&extension).unwrap();
        });
        let chain = [&leaf].into_iter().chain(&self.chain);
        let chain: Vec<_> = chain.map(|certificate| certificate.to_pem().unwrap()).collect();
        Identity::from_pem(
            &self.root.to_pem().unwrap(),
            &chain.concat(),
            &key.private_key_to_pem_pkcs8().unwrap(),
        )
        .unwrap()
    }
}

fn may_issue(builder: &mut X509Builder) {
    let extension = BasicConstraints::new().critical().ca().build().unwrap();
    builder.append_extension(&extension).unwrap();
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn subject(common_name: &str) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    name.build()
}

fn certificate(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    issuer_key: &PKey<Private>,
    extend: impl Fn(&mut X509Builder),
) -> X509 {
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    extend(&mut builder);
    builder.sign(issuer_key, MessageDigest::sha256()).unwrap();
    builder.build()
}
