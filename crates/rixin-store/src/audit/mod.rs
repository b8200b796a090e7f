//! The audit log: who did what to what, append-only, each row chained to the one before by its hash.
//!
//! Whoever serves a request says once who is acting ([`acting`]). A change that was made for it inside a transaction of the store takes its row
//! with it ([`noted`]); for anything else the server writes the row right after ([`Acting::write`]). Either way one change is one row.

mod chain;
mod read;
mod verify;

use std::{
    future::Future,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rixin_base::{KeyId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use chain::AuditHead;
pub(crate) use read::AUDIT_COLUMNS;
pub use read::{AuditHeadLine, AuditQuery};
pub use verify::{AuditFinding, AuditReport, AuditVerifier};

use crate::{
    Error, Store, TenantScope,
    db::{Tx, sql},
    now_ms,
};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// `key`, `member`, `operator` (the person at the machine) or `system`.
    pub kind: String,
    /// The key's or member's id; of the person at the machine the user's name there.
    pub id: String,
    /// The name at that time.
    pub name: String,
    /// The network address that the request came from; empty at the machine itself.
    pub address: String,
}

impl Actor {
    /// A key.
    pub fn key(id: KeyId, name: &str, address: &str) -> Self {
        Self { kind: "key".into(), id: id.to_string(), name: name.into(), address: address.into() }
    }

    /// The person at the machine.
    pub fn operator() -> Self {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
        Self { kind: "operator".into(), id: user.clone(), name: user, address: String::new() }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused; the details have the code.
    Refused,
    /// It failed; the details have the code.
    Failed,
}

impl AuditOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    fn from_word(text: &str) -> Option<Self> {
        [Self::Done, Self::Refused, Self::Failed].into_iter().find(|one| one.as_str() == text)
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditRow {
    /// Counts the tenant's rows from 1.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who.
    pub actor: Actor,
    /// What was done, in a stable word: `key.create`, `model.pull` ...
    pub action: String,
    /// To what: an id or a name.
    pub target: String,
    /// The project that it was done in.
    #[serde(default)]
    pub project_id: Option<String>,
    /// How it went.
    pub outcome: AuditOutcome,
    /// More about it, as JSON; never a secret.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// SHA-256 over the row before's hash and this row, in hexadecimal.
    pub hash: String,
}

/// Who is acting, and where.
#[derive(Debug)]
struct Who {
    tenant: TenantId,
    actor: Actor,
    project: Option<String>,
}

/// One thing that is being done. Who does it may come to be known only on the way; what is done before that leaves no row.
#[derive(Clone, Debug, Default)]
pub struct Acting {
    who: Arc<OnceLock<Who>>,
    about: Arc<Mutex<(String, Map<String, Value>)>>,
    written: Arc<AtomicBool>,
}

tokio::task_local! {
    static ACTING: Acting;
}

impl Acting {
    /// Somebody who does something in a tenant.
    pub fn new(scope: &TenantScope, actor: Actor) -> Self {
        let acting = Self::default();
        acting.is(scope, actor, None);
        acting
    }

    /// What the task that asks is doing, where that is [`acting`].
    pub fn current() -> Option<Self> {
        ACTING.try_with(Clone::clone).ok()
    }

    /// Says who it is. Only the first word counts.
    pub fn is(&self, scope: &TenantScope, actor: Actor, project: Option<String>) {
        let _first = self.who.set(Who { tenant: scope.tenant, actor, project });
    }

    /// Says what it is about, for the row that is written afterwards.
    pub fn about(&self, target: impl ToString, details: &Value) {
        let details = details.as_object().cloned().unwrap_or_default();
        *self.about.lock().unwrap_or_else(PoisonError::into_inner) = (target.to_string(), details);
    }

    /// What was said of it.
    pub fn told(&self) -> (String, Map<String, Value>) {
        self.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is known who is acting, and the change has not taken its row along.
    pub fn is_open(&self) -> bool {
        self.who.get().is_some() && !self.written.load(Ordering::Acquire)
    }

    /// Writes the row of something that was done outside of the database, or that was refused.
    ///
    /// # Errors
    /// The database failed.
    pub async fn write(
        &self,
        store: &Store,
        action: &str,
        target: &str,
        outcome: AuditOutcome,
        details: Map<String, Value>,
    ) -> Result<(), Error> {
        let Some(who) = self.who.get() else { return Ok(()) };
        let mut tx = store.db().write().await?;
        who.append(&mut tx, action, target, outcome, details).await?;
        tx.commit().await?;
        self.written.store(true, Ordering::Release);
        Ok(())
    }
}

impl Who {
    async fn append(
        &self,
        tx: &mut Tx,
        action: &str,
        target: &str,
        outcome: AuditOutcome,
        details: Map<String, Value>,
    ) -> Result<(), Error> {
        let row = AuditRow {
            seq: 0,
            at: now_ms(),
            actor: Actor {
                kind: plain(&self.actor.kind),
                id: plain(&self.actor.id),
                name: plain(&self.actor.name),
                address: plain(&self.actor.address),
            },
            action: plain(action),
            target: plain(target),
            project_id: self.project.as_deref().map(plain),
            outcome,
            details,
            hash: String::new(),
        };
        chain::append(tx, self.tenant, row).await
    }
}

/// What neither database would keep, or would keep at any length.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).take(1000).collect()
}

/// Runs something in somebody's name: what it changes in the store is noted in the transaction of the change.
pub async fn acting<T>(acting: Acting, work: impl Future<Output = T>) -> T {
    ACTING.scope(acting, work).await
}

/// The last thing before a transaction's commit: the row of the change, where it is made in somebody's name and has none yet.
pub(crate) async fn noted(
    tx: &mut Tx,
    action: &str,
    target: impl ToString,
    details: Value,
) -> Result<Noted, Error> {
    let Some(acting) = Acting::current().filter(Acting::is_open) else { return Ok(Noted(None)) };
    let details = match details {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if let Some(who) = acting.who.get() {
        who.append(tx, action, &target.to_string(), AuditOutcome::Done, details).await?;
    }
    Ok(Noted(Some(acting)))
}

/// A row that is there once its transaction is.
#[must_use = "the row is there only after the commit: commit through it"]
pub(crate) struct Noted(Option<Acting>);

impl Noted {
    /// Commits; only then is the row written.
    pub async fn commit(self, tx: Tx) -> Result<(), Error> {
        tx.commit().await?;
        if let Some(acting) = self.0 {
            acting.written.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Store {
    /// The last row of a tenant's chain; what somebody remembers to find out later whether the log was cut off.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit_head(&self, scope: &TenantScope) -> Result<AuditHead, Error> {
        let row = self
            .db()
            .fetch_optional(
                sql("SELECT seq, hash FROM audit_heads WHERE tenant_id = $1").bind(scope.tenant_text()),
            )
            .await?;
        row.map_or(Ok(AuditHead::default()), |row| {
            chain::head_of(&row).map_err(|error| self.db().failed(error))
        })
    }
}
