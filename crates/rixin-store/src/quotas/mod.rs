//! Quotas: what a tenant, a project or a key may use, in a window of time or standing.
//!
//! Tokens, requests and images are decided by reservation in [`gate`], in memory, out of slices that are claimed from the database.
//! Storage, jobs at a time and job seconds are decided in the transaction that adds the file or the job ([`rooms`]).

mod gate;
mod rooms;
mod rules;
mod window;

use rixin_base::KeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(crate) use gate::Gate;
pub use gate::{Limit, Reservation, Want};
pub(crate) use rooms::{check_file, check_job, counted_as};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name { $($(#[$one])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The word in the database and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            pub(crate) fn from_word(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::from_word(text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|one| one.as_str()).collect();
                    format!("{text:?} is none of {}", all.join(", "))
                })
            }
        }
    };
}

words! {
    /// What is measured.
    Measure {
        /// Prompt and answer.
        Tokens = "tokens",
        /// Requests to models.
        Requests = "requests",
        /// Images that are made.
        Images = "images",
        /// Seconds of jobs, times their accelerators.
        JobSeconds = "job_seconds",
        /// Bytes of files that are kept.
        StorageBytes = "storage_bytes",
        /// Jobs that are not over.
        ConcurrentJobs = "concurrent_jobs",
    }
}

words! {
    /// When it renews (UTC).
    Period {
        /// With the minute.
        Minute = "minute",
        /// With the hour.
        Hour = "hour",
        /// At midnight.
        Day = "day",
        /// At the first of a month.
        Month = "month",
        /// Never: what goes makes room.
        Standing = "standing",
    }
}

words! {
    /// Who shares it.
    Subject {
        /// The whole tenant.
        Tenant = "tenant",
        /// A project.
        Project = "project",
        /// One key.
        Key = "key",
        /// Every key of the tenant by itself.
        EachKey = "each_key",
    }
}

/// A quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// Its id.
    pub id: String,
    /// Who shares it.
    pub subject: Subject,
    /// The project's or the key's id; empty for others.
    pub subject_id: String,
    /// What is measured.
    pub measure: Measure,
    /// Only on accelerators of this type, for job seconds; empty: on all, and on none.
    pub accelerator: String,
    /// When it renews.
    pub period: Period,
    /// How much.
    pub amount: u64,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// What is needed to set one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewQuota {
    /// Who shares it.
    pub subject: Subject,
    /// The project's or the key's id; empty for others.
    #[serde(default)]
    pub subject_id: String,
    /// What is measured.
    pub measure: Measure,
    /// Only on accelerators of this type, for job seconds.
    #[serde(default)]
    pub accelerator: String,
    /// When it renews.
    pub period: Period,
    /// How much.
    pub amount: u64,
}

/// A quota and what was used of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    /// The quota.
    #[serde(flatten)]
    pub quota: Quota,
    /// Used in the window that runs, by those who share it. Of `each_key`, the key that asks.
    pub used: u64,
    /// When it renews, in milliseconds since 1970; absent where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renews_at: Option<i64>,
}

/// A quota that does not allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The quota.
    pub quota: Quota,
    /// What is used of it.
    pub used: u64,
    /// What was asked for.
    pub wanted: u64,
    /// When it renews; `None`: never by itself, or it could never allow so much.
    pub renews_at: Option<i64>,
}

/// Whose use it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub(crate) tenant: rixin_base::TenantId,
    pub(crate) key: Option<KeyId>,
    pub(crate) project: Option<String>,
}

impl Holder {
    /// A scope's, in a project.
    pub fn new(scope: &crate::TenantScope, project: Option<String>) -> Self {
        Self { tenant: scope.tenant, key: scope.key, project }
    }

    /// Under which name a quota counts it; `None`: the quota is not about it.
    pub(crate) fn of(&self, quota: &Quota) -> Option<String> {
        let key = || self.key.map(|key| key.to_string());
        match quota.subject {
            Subject::Tenant => Some(String::new()),
            Subject::EachKey => key(),
            Subject::Key => key().filter(|key| *key == quota.subject_id),
            Subject::Project => self.project.clone().filter(|project| *project == quota.subject_id),
        }
    }
}
