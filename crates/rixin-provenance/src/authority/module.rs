//! Keys in a security module, through PKCS#11: the private key never leaves it. Source: OASIS PKCS #11 3.0.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use c2pa::SigningAlg;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    mechanism::Mechanism,
    mechanism::rsa::{PkcsMgfType, PkcsPssParams},
    object::{Attribute, ObjectClass},
    session::{Session, UserType},
    types::AuthPin,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::{
    SignerSource, files,
    source::{algorithm_of, check_pair, pem_certificates},
};
use crate::{Error, Result};

/// Where a key lies in a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleOptions {
    /// The module's library, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The private key's label on the token.
    pub key: String,
    /// A file with the user's PIN, mode 0600.
    pub pin_file: PathBuf,
    /// The chain of certificates, PEM, the signing one first.
    pub chain: PathBuf,
}

/// A key in a security module.
///
/// Every signature opens a session, so that a module that was restarted or a session that it dropped costs nothing.
pub struct ModuleKeys {
    options: ModuleOptions,
    module: Pkcs11,
    pin: AuthPin,
    chain: Vec<Vec<u8>>,
    algorithm: SigningAlg,
}

impl std::fmt::Debug for ModuleKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleKeys").field("options", &self.options).finish_non_exhaustive()
    }
}

impl ModuleKeys {
    /// Loads the module, signs in, and checks that the key belongs to the first certificate.
    ///
    /// # Errors
    /// When others can read the PIN's file; when the module, the token or the key is not there; when it is an Ed25519 key.
    pub fn open(options: ModuleOptions) -> Result<Self> {
        let chain = pem_certificates(&files::read_bounded(&options.chain)?, &options.chain)?;
        let algorithm = algorithm_of(&chain[0], &options.chain)?;
        if algorithm == SigningAlg::Ed25519 {
            return Err(Error::credential(
                options.chain.display(),
                "Ed25519 keys in security modules are not supported: use P-256, P-384, P-521 or RSA",
                "不支持安全模块中的 Ed25519 密钥：请使用 P-256、P-384、P-521 或 RSA",
            ));
        }
        let pin = files::read_secret_text(&options.pin_file)?;
        let pin = AuthPin::new(pin.trim_end_matches(['\r', '\n']).into());
        let module = load(&options.module)?;
        let keys = Self { module, pin, chain, algorithm, options };
        check_pair(&keys, &keys.options.chain)?;
        Ok(keys)
    }

    fn session(&self) -> Result<Session> {
        let wrong = |why: String| Error::Module { module: self.options.module.clone(), why };
        let slots = self.module.get_slots_with_token().map_err(|e| wrong(e.to_string()))?;
        for slot in slots {
            let info = self.module.get_token_info(slot).map_err(|e| wrong(e.to_string()))?;
            if info.label().trim_end() == self.options.token {
                let session = self.module.open_ro_session(slot).map_err(|e| wrong(e.to_string()))?;
                use cryptoki::error::{Error as E, RvError};
                return match session.login(UserType::User, Some(&self.pin)) {
                    Ok(()) | Err(E::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
                    Err(e) => Err(wrong(e.to_string())),
                };
            }
        }
        Err(wrong(format!("it has no token labelled {:?}", self.options.token)))
    }
}

/// A process loads and initialises a module once; it stays until the process ends, as finalising it would end the sessions of
/// every other signer.
fn load(path: &Path) -> Result<Pkcs11> {
    static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
    let failed = |e: cryptoki::error::Error| Error::Module { module: path.to_owned(), why: e.to_string() };
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(path) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(path).map_err(failed)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(failed)?;
    loaded.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// Hash and length of it; modules sign what was hashed here, so that every mechanism they have is the raw one.
fn mechanism(algorithm: SigningAlg, data: &[u8]) -> (Mechanism<'static>, Vec<u8>) {
    use cryptoki::mechanism::MechanismType as M;
    let pss =
        |hash_alg, mgf, len: u64| Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len: len.into() });
    match algorithm {
        SigningAlg::Es384 => (Mechanism::Ecdsa, Sha384::digest(data).to_vec()),
        SigningAlg::Es512 => (Mechanism::Ecdsa, Sha512::digest(data).to_vec()),
        SigningAlg::Ps256 => (pss(M::SHA256, PkcsMgfType::MGF1_SHA256, 32), Sha256::digest(data).to_vec()),
        SigningAlg::Ps384 => (pss(M::SHA384, PkcsMgfType::MGF1_SHA384, 48), Sha384::digest(data).to_vec()),
        SigningAlg::Ps512 => (pss(M::SHA512, PkcsMgfType::MGF1_SHA512, 64), Sha512::digest(data).to_vec()),
        _ => (Mechanism::Ecdsa, Sha256::digest(data).to_vec()),
    }
}

impl SignerSource for ModuleKeys {
    fn algorithm(&self) -> SigningAlg {
        self.algorithm
    }

    fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>> {
        let wrong = |why: String| Error::Module { module: self.options.module.clone(), why };
        let session = self.session()?;
        let template = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Label(self.options.key.as_bytes().to_vec()),
        ];
        let found = session.find_objects(&template).map_err(|e| wrong(e.to_string()))?;
        let [key] = found.as_slice() else {
            return Err(wrong(format!("{} private keys are labelled {:?}", found.len(), self.options.key)));
        };
        let (mechanism, digest) = mechanism(self.algorithm, data);
        session.sign(&mechanism, *key, &digest).map_err(|e| wrong(e.to_string()))
    }
}
