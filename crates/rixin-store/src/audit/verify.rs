//! Verifying a chain, from the database or from an exported file: which rows were removed, changed, inserted or moved.

use rixin_base::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AuditHead, AuditHeadLine, AuditQuery, AuditRow,
    chain::{self, Hash},
};
use crate::{Error, Store, TenantScope};

/// The most findings that a report lists; the rest is counted.
const MOST: usize = 100;
/// Rows that are read at a time.
const PIECE: u32 = 500;

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum AuditFinding {
    /// Rows are missing.
    Removed {
        /// The first one.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// A row is not what was written, or it stands where another one stood.
    Changed {
        /// The row.
        seq: u64,
    },
    /// A row that was never part of the chain, or stands there twice.
    Inserted {
        /// The row.
        seq: u64,
    },
    /// A row that stands after one that came later.
    Moved {
        /// The row.
        seq: u64,
    },
    /// The log is not the one that is remembered: its row of that number has another hash, or it does not reach that far.
    Head {
        /// The remembered row.
        seq: u64,
    },
}

impl AuditFinding {
    /// For a person.
    pub fn message(&self) -> Message {
        match self {
            Self::Removed { from, to } if from == to => {
                Message::new(format!("row {from} was removed"), format!("第 {from} 行已被删除"))
            }
            Self::Removed { from, to } => Message::new(
                format!("rows {from} to {to} were removed"),
                format!("第 {from} 到 {to} 行已被删除"),
            ),
            Self::Changed { seq } => Message::new(
                format!("row {seq} was changed, or put in another one's place"),
                format!("第 {seq} 行已被修改，或占了另一行的位置"),
            ),
            Self::Inserted { seq } => Message::new(
                format!("row {seq} was inserted: it is not part of the chain"),
                format!("第 {seq} 行是插入的：它不属于该链"),
            ),
            Self::Moved { seq } => Message::new(
                format!("row {seq} was moved: it stands after a later one"),
                format!("第 {seq} 行被移动：它排在更晚的行之后"),
            ),
            Self::Head { seq } => Message::new(
                format!("the log is not the one whose row {seq} is remembered: it was rewritten or cut off"),
                format!("日志与所记住的第 {seq} 行不符：它被重写或截断"),
            ),
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditReport {
    /// Whether every row is as it was written.
    pub ok: bool,
    /// Rows that were read.
    pub rows: u64,
    /// The last row.
    pub head: AuditHead,
    /// What is wrong, at most the first 100.
    pub findings: Vec<AuditFinding>,
    /// How many more there are.
    pub more: u64,
}

/// Looks at one row after the other.
pub struct AuditVerifier {
    tenant: String,
    before: Hash,
    last: u64,
    remembered: Vec<AuditHead>,
    report: AuditReport,
}

impl AuditVerifier {
    /// For the log of a tenant; `remembered` are heads that the log must still hold.
    pub fn new(tenant: &str, remembered: Vec<AuditHead>) -> Self {
        Self {
            tenant: tenant.to_owned(),
            before: Hash::default(),
            last: 0,
            remembered: remembered.into_iter().filter(|head| head.seq > 0).collect(),
            report: AuditReport::default(),
        }
    }

    /// What an exported file begins with.
    ///
    /// # Errors
    /// It is no export, or only an excerpt.
    pub fn of_export(line: &str, mut remembered: Vec<AuditHead>) -> Result<(Self, AuditHeadLine), Error> {
        let head: AuditHeadLine = serde_json::from_str(line).map_err(|_| NOT_AN_EXPORT)?;
        if head.rixin_audit != 1 {
            return Err(NOT_AN_EXPORT);
        }
        if !head.whole {
            return Err(Error::Invalid {
                param: "file",
                en: "it is an excerpt, and only a whole log can be verified: export without filters",
                zh: "这是节选，只有完整日志可以校验：请不带筛选条件导出",
            });
        }
        remembered.push(head.head.clone());
        Ok((Self::new(&head.tenant, remembered), head))
    }

    /// The next line of an exported file.
    ///
    /// # Errors
    /// It is no row.
    pub fn line(&mut self, line: &str) -> Result<(), Error> {
        let row: AuditRow = serde_json::from_str(line).map_err(|_| NOT_AN_EXPORT)?;
        self.row(&row);
        Ok(())
    }

    fn found(&mut self, finding: AuditFinding) {
        if self.report.findings.len() < MOST {
            self.report.findings.push(finding);
        } else {
            self.report.more += 1;
        }
    }

    /// The next row.
    pub fn row(&mut self, row: &AuditRow) {
        self.report.rows += 1;
        let stored = chain::from_hex(&row.hash);
        if row.seq <= self.last {
            let again = row.seq == self.last;
            self.found(if again {
                AuditFinding::Inserted { seq: row.seq }
            } else {
                AuditFinding::Moved { seq: row.seq }
            });
            return;
        }
        if row.seq > self.last + 1 {
            // What follows a gap can't be checked against what is gone; its own hash is where the chain goes on.
            self.found(AuditFinding::Removed { from: self.last + 1, to: row.seq - 1 });
        } else if stored != Some(chain::hash(&self.before, &self.tenant, row)) {
            self.found(AuditFinding::Changed { seq: row.seq });
        }
        self.last = row.seq;
        self.before = stored.unwrap_or_default();
        self.report.head = AuditHead { seq: row.seq, hash: row.hash.clone() };
        let wrong = |head: &AuditHead| head.seq == row.seq && head.hash != row.hash;
        if self.remembered.iter().any(wrong) {
            self.found(AuditFinding::Head { seq: row.seq });
        }
        self.remembered.retain(|head| head.seq != row.seq);
    }

    /// The report, after the last row.
    pub fn finish(mut self) -> AuditReport {
        let mut left: Vec<u64> =
            self.remembered.iter().map(|head| head.seq).filter(|seq| *seq > self.last).collect();
        left.sort_unstable();
        if let Some(last) = left.last() {
            self.found(AuditFinding::Removed { from: self.last + 1, to: *last });
        }
        self.report.ok = self.report.findings.is_empty();
        self.report
    }
}

const NOT_AN_EXPORT: Error = Error::Invalid {
    param: "file",
    en: "it is not an exported audit log: use the JSON lines of `rixin audit export` or /api/audit/export",
    zh: "它不是导出的审计日志：请使用 `rixin audit export` 或 /api/audit/export 的 JSON 行",
};

impl Store {
    /// Reads a tenant's whole log and checks its chain; `remembered` is a head that somebody kept.
    ///
    /// # Errors
    /// The database failed.
    pub async fn verify_audit(
        &self,
        scope: &TenantScope,
        remembered: Option<AuditHead>,
    ) -> Result<AuditReport, Error> {
        // Before the rows: what is added meanwhile only comes after it.
        let head = self.audit_head(scope).await?;
        let known = head.seq;
        let mut verifier =
            AuditVerifier::new(&scope.tenant_text(), remembered.into_iter().chain([head]).collect());
        loop {
            let query = AuditQuery::default();
            let rows = self.audit_piece(scope, &query, verifier.last, PIECE).await?;
            if rows.is_empty() {
                break;
            }
            rows.iter().for_each(|row| verifier.row(row));
        }
        let beyond = verifier.last > known && self.audit_head(scope).await?.seq < verifier.last;
        if beyond {
            for seq in known + 1..=verifier.last {
                verifier.found(AuditFinding::Inserted { seq });
            }
        }
        Ok(verifier.finish())
    }
}
