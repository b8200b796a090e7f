//! What a runner works with, and what it can end with.

use std::{path::PathBuf, sync::Arc};

use rixin_base::{Cancel, Code, Explain, Fault, Settings};
use rixin_store::{Also, AttemptScope, Blobs, Cause, Fenced, Job};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{gateway::Gateway, report::Reporter};

/// An attempt at work.
pub(crate) struct Work {
    pub scope: AttemptScope,
    pub job: Job,
    pub settings: Arc<Settings>,
    pub blobs: Blobs,
    pub gateway: Gateway,
    pub reporter: Reporter,
    /// The job's folder: what is in it survives an attempt.
    pub folder: PathBuf,
    /// Fires when somebody asked for the end, or the time is over.
    pub cancel: Cancel,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Done {
    pub result: Value,
    /// What becomes visible with it.
    pub also: Vec<Also>,
}

/// Why nothing came out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The attempt has been given up: nothing may be written any more.
    GivenUp,
    /// Told, with its cause.
    Because(Cause, Fault),
}

pub(crate) type Outcome<T = Done> = Result<T, Failure>;

impl Failure {
    /// The input can't give a result.
    pub fn input(fault: impl Into<Fault>) -> Self {
        Failure::Because(Cause::BadInput, fault.into())
    }

    /// Somebody asked for the end.
    pub fn cancelled() -> Self {
        Failure::Because(Cause::Cancelled, Fault::new(Code::Cancelled, "the job was cancelled", "任务已取消"))
    }

    /// Something that it depends on did not answer.
    pub fn unavailable(fault: impl Into<Fault>) -> Self {
        Failure::Because(Cause::Unavailable, fault.into())
    }
}

impl From<Fenced> for Failure {
    fn from(error: Fenced) -> Self {
        match error {
            Fenced::GivenUp => Failure::GivenUp,
            Fenced::Store(error) => error.into(),
        }
    }
}

impl From<rixin_store::Error> for Failure {
    fn from(error: rixin_store::Error) -> Self {
        by_code(error)
    }
}

impl From<rixin_store::BlobError> for Failure {
    fn from(error: rixin_store::BlobError) -> Self {
        by_code(error)
    }
}

/// Errors of libraries, by what their code says of another try.
pub(crate) fn by_code(error: impl Explain) -> Failure {
    let cause = cause_of(error.code());
    Failure::Because(cause, error.into())
}

/// What another try would meet.
fn cause_of(code: Code) -> Cause {
    match code {
        Code::Cancelled => Cause::Cancelled,
        Code::OutOfMemory => Cause::OutOfMemory,
        Code::SourceFailed
        | Code::SourceBusy
        | Code::QueueFull
        | Code::RateLimited
        | Code::DeadlineExceeded
        | Code::LoadFailed
        | Code::ReplicaLost
        | Code::BadUpstream
        | Code::ShuttingDown
        | Code::DiskFull
        | Code::ReadOnly => Cause::Unavailable,
        Code::Internal => Cause::Crashed,
        _ => Cause::BadInput,
    }
}

impl Work {
    /// The job's parameters; they were checked when it was submitted, perhaps by an earlier version.
    pub fn params<P: DeserializeOwned>(&self) -> Outcome<P> {
        serde_json::from_value(Value::Object(self.job.params.clone())).map_err(|error| {
            Failure::input(Fault::new(
                Code::InvalidValue,
                format!("this version can't read the job's parameters ({error}): submit it again"),
                format!("当前版本无法读取任务参数（{error}）：请重新提交"),
            ))
        })
    }

    /// The checkpoint that an earlier attempt left, if this version can read it.
    #[allow(dead_code, reason = "kinds whose state is not in rows of the store go on from it")]
    pub fn checkpoint<C: DeserializeOwned>(&self) -> Option<C> {
        self.job.checkpoint.clone().and_then(|value| serde_json::from_value(value).ok())
    }

    /// A file of the job's owner, in the job's folder; verified against its hash.
    pub async fn input_file(&self, id: rixin_base::FileId, name: &str) -> Outcome<(PathBuf, u64)> {
        let file = self.scope.store().file(self.scope.owner(), id).await?;
        let sha256 =
            file.sha256.parse().map_err(|_| Failure::input(Fault::internal("a file's hash is none")))?;
        let path = self.folder.join(name);
        let there = tokio::fs::metadata(&path).await.is_ok_and(|meta| meta.len() == file.bytes);
        if !there {
            self.blobs.fetch_to(&sha256, &path).await?;
        }
        Ok((path, file.bytes))
    }
}
