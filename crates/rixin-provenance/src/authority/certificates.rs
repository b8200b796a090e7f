//! X.509: the root, the intermediate and the leaves, as C2PA's certificate profile wants them.
//!
//! Source: C2PA 2.3, 14.5.1 (certificate profile); RFC 5280; RFC 9336 (document signing).

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};

use super::AuthorityOptions;
use crate::{Error, Result, hex};

/// id-kp-documentSigning, RFC 9336.
const DOCUMENT_SIGNING: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 3, 36];
/// c2pa-kp-claimSigning, C2PA 2.3, 14.5.1.
const CLAIM_SIGNING: &[u64] = &[1, 3, 6, 1, 4, 1, 62558, 2, 1];

pub(super) struct Issued {
    pub serial: String,
    pub pem: String,
    pub key_pem: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

fn failed(error: rcgen::Error) -> Error {
    Error::sign(format!("making a certificate: {error}"))
}

pub(super) fn issue_root(options: &AuthorityOptions) -> Result<Issued> {
    let mut params = ca(options, "Content Credentials Root", options.root_days, 1)?;
    params.use_authority_key_identifier_extension = false;
    let key = new_key()?;
    let cert = params.self_signed(&key).map_err(failed)?;
    Ok(issued(&params, cert.pem(), &key))
}

pub(super) fn issue_intermediate(
    options: &AuthorityOptions,
    root_pem: &str,
    root_key: &str,
) -> Result<Issued> {
    let params = ca(options, "Content Credentials Issuing CA", options.root_days / 2, 0)?;
    let key = new_key()?;
    let cert = params.signed_by(&key, &issuer(root_pem, root_key)?).map_err(failed)?;
    Ok(issued(&params, cert.pem(), &key))
}

pub(super) fn issue_leaf(options: &AuthorityOptions, issuer_pem: &str, issuer_key: &str) -> Result<Issued> {
    let mut params = common(options, "Content Credentials Signer", options.leaf_days)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Validators that were given no list of usages take e-mail protection alone, so a leaf has all three.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::EmailProtection,
        ExtendedKeyUsagePurpose::Other(DOCUMENT_SIGNING.to_vec()),
        ExtendedKeyUsagePurpose::Other(CLAIM_SIGNING.to_vec()),
    ];
    let key = new_key()?;
    params.custom_extensions.push(subject_key_identifier(&key));
    let cert = params.signed_by(&key, &issuer(issuer_pem, issuer_key)?).map_err(failed)?;
    Ok(issued(&params, cert.pem(), &key))
}

fn ca(options: &AuthorityOptions, name: &str, days: u32, below: u8) -> Result<CertificateParams> {
    let mut params = common(options, name, days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn common(options: &AuthorityOptions, name: &str, days: u32) -> Result<CertificateParams> {
    let mut serial = [0u8; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| Error::sign("the system gave no random bytes"))?;
    // Positive, and without a leading zero byte (RFC 5280, 4.1.2.2).
    serial[0] = serial[0] & 0x3f | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, options.organisation.as_str());
    // Names tell the generations of a root apart.
    subject.push(DnType::CommonName, format!("{} {name} {}", options.organisation, &hex(&serial)[..8]));
    params.distinguished_name = subject;
    params.use_authority_key_identifier_extension = true;
    let now = Timestamp::now().as_second();
    // Clocks differ by a little.
    let from = now - 300;
    let until = now + i64::from(days) * 86_400;
    params.not_before = moment(from)?;
    params.not_after = moment(until)?;
    Ok(params)
}

fn moment(second: i64) -> Result<time::OffsetDateTime> {
    time::OffsetDateTime::from_unix_timestamp(second).map_err(Error::sign)
}

fn new_key() -> Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)
}

fn issuer(pem: &str, key: &str) -> Result<Issuer<'static, KeyPair>> {
    let key = KeyPair::from_pem(key).map_err(failed)?;
    Issuer::from_ca_cert_pem(pem, key).map_err(failed)
}

/// rcgen writes it for authorities alone; a leaf has one too, so that every validator can build its path.
fn subject_key_identifier(key: &KeyPair) -> CustomExtension {
    use rcgen::PublicKeyData;
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, key.der_bytes());
    let mut octets = vec![0x04, digest.as_ref().len() as u8];
    octets.extend_from_slice(digest.as_ref());
    CustomExtension::from_oid_content(&[2, 5, 29, 14], octets)
}

fn issued(params: &CertificateParams, pem: String, key: &KeyPair) -> Issued {
    let time = |t: time::OffsetDateTime| {
        Timestamp::UNIX_EPOCH
            .checked_add(SignedDuration::from_secs(t.unix_timestamp()))
            .unwrap_or(Timestamp::MAX)
    };
    Issued {
        serial: params.serial_number.as_ref().map(|s| hex(s.as_ref())).unwrap_or_default(),
        pem,
        key_pem: key.serialize_pem(),
        not_before: time(params.not_before),
        not_after: time(params.not_after),
    }
}
