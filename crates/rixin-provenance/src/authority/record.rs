//! The authority's record: what it issued, what signs now, what is void.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::files;
use crate::{Error, Result};

/// The record in the authority's folder.
pub(super) const FILE: &str = "authority.json";

/// Why a certificate is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// Somebody else may have the key: nothing under it can be believed, whenever it was signed.
    KeyCompromise,
    /// A newer one took its place.
    Superseded,
    /// It is no longer used.
    CessationOfOperation,
}

/// A certificate that was declared void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// Its serial, hexadecimal digits.
    pub serial: String,
    /// From when on.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Why.
    pub reason: RevocationReason,
}

/// A leaf that was issued, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateStatus {
    /// Its serial, hexadecimal digits.
    pub serial: String,
    /// Whether it signs now.
    pub current: bool,
    /// Valid from.
    #[schema(value_type = String)]
    pub not_before: Timestamp,
    /// Valid until.
    #[schema(value_type = String)]
    pub not_after: Timestamp,
    /// Declared void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Revocation>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Certificate {
    pub serial: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// The serial of the leaf that signs.
    pub current: String,
    /// Oldest first.
    pub roots: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intermediate: Option<String>,
    pub certificates: Vec<Certificate>,
    #[serde(default)]
    pub revoked: Vec<Revocation>,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: 1,
            current: String::new(),
            roots: Vec::new(),
            intermediate: None,
            certificates: Vec::new(),
            revoked: Vec::new(),
        }
    }
}

impl Record {
    pub fn read(dir: &Path) -> Result<Option<Record>> {
        let path = dir.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let record: Record = serde_json::from_slice(&files::read_bounded(&path)?).map_err(|e| {
            Error::credential(
                path.display(),
                format!("the record of the certificate authority is damaged ({e}): restore it from a backup"),
                format!("证书机构的记录文件已损坏（{e}）：请从备份恢复"),
            )
        })?;
        if record.version != 1 {
            return Err(Error::credential(
                path.display(),
                format!("it has version {}, this build reads version 1: use a newer build", record.version),
                format!("版本为 {}，本程序只支持第 1 版：请使用更新的程序", record.version),
            ));
        }
        Ok(Some(record))
    }

    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(Error::sign)?;
        files::write_public(&dir.join(FILE), &text)
    }

    pub fn statuses(&self) -> Vec<CertificateStatus> {
        let status = |c: &Certificate| CertificateStatus {
            serial: c.serial.clone(),
            current: c.serial == self.current,
            not_before: c.not_before,
            not_after: c.not_after,
            revoked: self.revoked.iter().find(|r| r.serial == c.serial).cloned(),
        };
        self.certificates.iter().rev().map(status).collect()
    }
}
