//! Keys that sign, wherever they lie.

use std::path::Path;

use c2pa::{SigningAlg, crypto::raw_signature::validator_for_signing_alg};
use x509_parser::{pem::Pem, prelude::*};

use super::files;
use crate::{Error, Result, hex};

/// A key with its chain of certificates: in a file, in a security module, or anywhere else.
pub trait SignerSource: Send + Sync {
    /// The algorithm.
    fn algorithm(&self) -> SigningAlg;
    /// The certificates, DER, the signing one first, the root left out.
    fn chain(&self) -> &[Vec<u8>];
    /// Signs; ECDSA signatures are `r || s`, each of the curve's length.
    fn sign(&self, data: &[u8]) -> Result<Vec<u8>>;
}

/// A chain and its PKCS#8 key in two PEM files.
pub struct FileKeys {
    chain: Vec<Vec<u8>>,
    signer: c2pa::BoxedSigner,
}

impl std::fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileKeys").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl FileKeys {
    /// Reads both files and checks that they belong together.
    ///
    /// # Errors
    /// When others can read the key, and when the chain or the key can't be used.
    pub fn open(chain: &Path, key: &Path) -> Result<Self> {
        let key_pem = files::read_secret(key)?;
        let chain_pem = files::read_bounded(chain)?;
        let chain_der = pem_certificates(&chain_pem, chain)?;
        let leaf = chain_der.first().ok_or_else(|| no_certificate(chain))?;
        let algorithm = algorithm_of(leaf, chain)?;
        let signer =
            c2pa::create_signer::from_keys(&chain_pem, &key_pem, algorithm, None).map_err(|e| {
                Error::credential(
                    key.display(),
                    format!("{e}. It has to be a PKCS#8 key without a password: `openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW`"),
                    format!("{e}。须为不带口令的 PKCS#8 私钥：`openssl pkcs8 -topk8 -nocrypt -in 旧文件 -out 新文件`"),
                )
            })?;
        let keys = Self { chain: chain_der, signer };
        check_pair(&keys, chain)?;
        Ok(keys)
    }

    /// The serial of the signing certificate in a file of PEM certificates; its key is not needed for that.
    pub fn serial_of(chain: &Path) -> Result<Option<String>> {
        let certificates = pem_certificates(&files::read_bounded(chain)?, chain)?;
        Ok(certificates.first().and_then(|leaf| certificate_serial(leaf)))
    }
}

impl SignerSource for FileKeys {
    fn algorithm(&self) -> SigningAlg {
        self.signer.alg()
    }

    fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        Ok(self.signer.sign(data)?)
    }
}

/// A signature that the certificate confirms: else every file that follows would be signed in vain.
pub(crate) fn check_pair(keys: &dyn SignerSource, named: &Path) -> Result<()> {
    let trial = b"do the key and the certificate belong together";
    let leaf = keys.chain().first().ok_or_else(|| no_certificate(named))?;
    if !signature_holds(leaf, keys.algorithm(), &keys.sign(trial)?, trial) {
        return Err(Error::credential(
            named.display(),
            "the private key is not that of the first certificate: put the signing certificate first",
            "私钥与第一张证书不匹配：请把签名证书放在最前",
        ));
    }
    Ok(())
}

/// Whether the public key of a certificate confirms a signature.
pub(crate) fn signature_holds(leaf: &[u8], algorithm: SigningAlg, signature: &[u8], data: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(leaf) else { return false };
    let Some(validator) = validator_for_signing_alg(algorithm) else { return false };
    validator.validate(signature, data, certificate.public_key().raw).is_ok()
}

pub(crate) fn pem_certificates(pem: &[u8], named: &Path) -> Result<Vec<Vec<u8>>> {
    let mut out = Vec::new();
    for one in Pem::iter_from_buffer(pem) {
        let one = one.map_err(|e| {
            Error::credential(
                named.display(),
                format!("it is not PEM ({e})"),
                format!("不是 PEM 文件（{e}）"),
            )
        })?;
        if one.label == "CERTIFICATE" {
            out.push(one.contents);
        }
    }
    if out.is_empty() {
        return Err(no_certificate(named));
    }
    Ok(out)
}

fn no_certificate(named: &Path) -> Error {
    Error::credential(named.display(), "it holds no certificate", "其中没有证书")
}

/// A certificate's serial, hexadecimal digits.
pub(crate) fn certificate_serial(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(hex(certificate.raw_serial()))
}

/// The one algorithm that C2PA takes for a key of this kind.
pub(crate) fn algorithm_of(leaf: &[u8], named: &Path) -> Result<SigningAlg> {
    let unusable = || {
        Error::credential(
            named.display(),
            "C2PA takes P-256, P-384, P-521, Ed25519 and RSA keys from 2048 bits",
            "C2PA 只接受 P-256、P-384、P-521、Ed25519 以及 2048 位以上的 RSA 密钥",
        )
    };
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| unusable())?;
    let key = certificate.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok()).map(|o| o.to_id_string());
    match (key.algorithm.algorithm.to_id_string().as_str(), curve.as_deref()) {
        ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7")) => Ok(SigningAlg::Es256),
        ("1.2.840.10045.2.1", Some("1.3.132.0.34")) => Ok(SigningAlg::Es384),
        ("1.2.840.10045.2.1", Some("1.3.132.0.35")) => Ok(SigningAlg::Es512),
        ("1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10", _) => Ok(SigningAlg::Ps256),
        ("1.3.101.112", _) => Ok(SigningAlg::Ed25519),
        _ => Err(unusable()),
    }
}
