//! Who signs: the instance's own certificate authority, an organisation's chain and key, or a security module.

mod certificates;
mod files;
#[cfg(feature = "pkcs11")]
mod module;
mod record;
mod source;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

#[cfg(feature = "pkcs11")]
pub use self::module::{ModuleKeys, ModuleOptions};
pub use self::record::{CertificateStatus, Revocation, RevocationReason};
pub use self::source::{FileKeys, SignerSource};
pub(crate) use self::source::{certificate_serial, signature_holds};
use self::{
    certificates::{Issued, issue_intermediate, issue_leaf, issue_root},
    record::{Certificate, Record},
};
use crate::{Error, Result, hex};

/// How the instance's own authority is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorityOptions {
    /// The organisation's name, as the certificates and every report show it.
    pub organisation: String,
    /// Whether a certificate stands between the root and the leaves, so that the root's key can be taken off this machine.
    pub intermediate: bool,
    /// Life of a leaf, in days.
    pub leaf_days: u32,
    /// Life of the root, in days.
    pub root_days: u32,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self {
            organisation: "Rixin".to_owned(),
            intermediate: false,
            leaf_days: 5 * 365,
            root_days: 30 * 365,
        }
    }
}

/// The instance's own certificate authority: a folder of certificates, keys (mode 0600) and one record.
///
/// Old roots stay trusted for verifying; the key of a leaf is removed when a newer leaf takes its place.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    options: AuthorityOptions,
}

impl Authority {
    /// Opens the authority in `dir`, and makes it there if there is none.
    ///
    /// # Errors
    /// When a private key's mode lets others read it, and when the folder can't be read or written.
    pub fn open(dir: &Path, options: AuthorityOptions) -> Result<Self> {
        files::make_dir(dir)?;
        let authority = Self { dir: dir.to_owned(), options };
        let _lock = lock(dir)?;
        match Record::read(dir)? {
            Some(_) => authority.check_modes()?,
            None => authority.make()?,
        }
        Ok(authority)
    }

    /// Whether there is an authority in `dir`; nothing is made.
    pub fn exists(dir: &Path) -> bool {
        dir.join(record::FILE).exists()
    }

    /// The keys that sign now.
    pub fn keys(&self) -> Result<FileKeys> {
        let record = self.record()?;
        FileKeys::open(&self.leaf_chain(&record.current), &self.leaf_key(&record.current))
    }

    /// A new leaf takes over; the old one's key is removed, its signatures stay valid. Gives the new serial.
    pub fn rotate(&self) -> Result<String> {
        let _lock = lock(&self.dir)?;
        let mut record = self.record()?;
        let old = record.current.clone();
        let issuer = if record.intermediate.is_some() { "intermediate" } else { "root" };
        let leaf = self.issue_leaf_from(issuer)?;
        self.keep_leaf(&mut record, &leaf)?;
        record.write(&self.dir)?;
        let key = self.leaf_key(&old);
        std::fs::remove_file(&key).or_else(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(Error::io("remove", &key)(e)),
        })?;
        Ok(leaf.serial)
    }

    /// A new root, and leaves under it. What was signed under the old root stays trusted. Gives the new root's serial.
    pub fn rotate_root(&self) -> Result<String> {
        let _lock = lock(&self.dir)?;
        let mut record = self.record()?;
        let old = record.current.clone();
        let root = self.make_chain(&mut record)?;
        record.write(&self.dir)?;
        let key = self.leaf_key(&old);
        if key.exists() {
            std::fs::remove_file(&key).map_err(Error::io("remove", &key))?;
        }
        Ok(root)
    }

    /// Declares a leaf void. After a key was copied, everything under it is; otherwise what was time-stamped before stays valid.
    pub fn revoke(&self, serial: &str, reason: RevocationReason, at: Timestamp) -> Result<()> {
        let _lock = lock(&self.dir)?;
        let mut record = self.record()?;
        if !record.certificates.iter().any(|c| c.serial == serial) {
            return Err(Error::credential(
                format!("certificate {serial}"),
                "this authority did not issue it: `certificates` lists those that it did",
                "本机构未签发过该证书：请在证书列表中查看",
            ));
        }
        record.revoked.retain(|r| r.serial != serial);
        record.revoked.push(Revocation { serial: serial.to_owned(), at, reason });
        record.write(&self.dir)
    }

    /// All leaves that were issued, newest first.
    pub fn certificates(&self) -> Result<Vec<CertificateStatus>> {
        Ok(self.record()?.statuses())
    }

    /// The leaves that were declared void.
    pub fn revocations(&self) -> Result<Vec<Revocation>> {
        Ok(self.record()?.revoked)
    }

    /// Every root that this instance ever had, as PEM: what others need to trust its signatures.
    pub fn roots_pem(&self) -> Result<String> {
        let mut all = String::new();
        for serial in self.record()?.roots {
            let path = self.dir.join("roots").join(format!("{serial}.pem"));
            all.push_str(&std::fs::read_to_string(&path).map_err(Error::io("read", &path))?);
        }
        Ok(all)
    }

    fn make(&self) -> Result<()> {
        let mut record = Record::default();
        self.make_chain(&mut record)?;
        record.write(&self.dir)
    }

    /// Root, perhaps an intermediate, and a leaf. The record is changed, not yet written. Gives the root's serial.
    fn make_chain(&self, record: &mut Record) -> Result<String> {
        let root = issue_root(&self.options)?;
        files::make_dir(&self.dir.join("roots"))?;
        files::write_public(
            &self.dir.join("roots").join(format!("{}.pem", root.serial)),
            root.pem.as_bytes(),
        )?;
        files::write_public(&self.dir.join("root.pem"), root.pem.as_bytes())?;
        files::write_secret(&self.dir.join("root.key"), root.key_pem.as_bytes())?;
        record.roots.push(root.serial.clone());
        record.intermediate = None;
        let mut issuer = "root";
        if self.options.intermediate {
            let middle = issue_intermediate(&self.options, &root.pem, &root.key_pem)?;
            files::write_public(&self.dir.join("intermediate.pem"), middle.pem.as_bytes())?;
            files::write_secret(&self.dir.join("intermediate.key"), middle.key_pem.as_bytes())?;
            record.intermediate = Some(middle.serial);
            issuer = "intermediate";
        }
        let leaf = self.issue_leaf_from(issuer)?;
        self.keep_leaf(record, &leaf)?;
        Ok(root.serial)
    }

    fn issue_leaf_from(&self, issuer: &str) -> Result<Issued> {
        let cert = self.dir.join(format!("{issuer}.pem"));
        let pem = std::fs::read_to_string(&cert).map_err(Error::io("read", &cert))?;
        let key = files::read_secret_text(&self.dir.join(format!("{issuer}.key")))?;
        issue_leaf(&self.options, &pem, &key)
    }

    fn keep_leaf(&self, record: &mut Record, leaf: &Issued) -> Result<()> {
        files::make_dir(&self.dir.join("leaves"))?;
        let mut chain = leaf.pem.clone();
        if record.intermediate.is_some() {
            let path = self.dir.join("intermediate.pem");
            chain.push_str(&std::fs::read_to_string(&path).map_err(Error::io("read", &path))?);
        }
        files::write_secret(&self.leaf_key(&leaf.serial), leaf.key_pem.as_bytes())?;
        files::write_public(&self.leaf_chain(&leaf.serial), chain.as_bytes())?;
        record.certificates.push(Certificate {
            serial: leaf.serial.clone(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
        });
        record.current = leaf.serial.clone();
        Ok(())
    }

    fn leaf_chain(&self, serial: &str) -> PathBuf {
        self.dir.join("leaves").join(format!("{serial}.pem"))
    }

    fn leaf_key(&self, serial: &str) -> PathBuf {
        self.dir.join("leaves").join(format!("{serial}.key"))
    }

    fn record(&self) -> Result<Record> {
        Record::read(&self.dir)?.ok_or_else(|| {
            Error::credential(
                self.dir.display(),
                "the record of the certificate authority is gone: restore the folder from a backup",
                "证书机构的记录文件已丢失：请从备份恢复该文件夹",
            )
        })
    }

    /// Every private key in the folder must be the owner's alone.
    fn check_modes(&self) -> Result<()> {
        for dir in [self.dir.clone(), self.dir.join("leaves")] {
            for entry in std::fs::read_dir(&dir).map_err(Error::io("read", &dir))? {
                let path = entry.map_err(Error::io("read", &dir))?.path();
                if path.extension().is_some_and(|e| e == "key") {
                    files::check_mode(&path)?;
                }
            }
        }
        Ok(())
    }
}

/// The key in `dir` that tenants' pseudonyms are made with; made at first use.
pub(crate) fn pseudonym_key(dir: &Path) -> Result<Vec<u8>> {
    files::make_dir(dir)?;
    let _lock = lock(dir)?;
    let path = dir.join("pseudonym.key");
    if !path.exists() {
        let mut key = [0u8; 32];
        SystemRandom::new().fill(&mut key).map_err(|_| Error::sign("the system gave no random bytes"))?;
        files::write_secret(&path, hex(&key).as_bytes())?;
    }
    files::read_secret(&path)
}

/// Two processes that open the folder at once make one authority.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    file.lock().map_err(Error::io("lock", &path))?;
    Ok(file)
}
