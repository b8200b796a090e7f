//! Downloads of models: several at a time, one for each target, watched by whoever wants to, remembered for a while.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use parking_lot::Mutex;
use rixin_base::{Cancel, Code, Fault, Lang, Message, ModelId, Progress, ProgressEvent, PullId, Unit};
use rixin_models::{PullRequest, Puller};
use rixin_protocol::error::ErrorObject;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;

use crate::{Error, Result, status::error_object};

/// Pulls that run at the same time; more wait.
const AT_ONCE: usize = 2;
/// Pulls that have ended and are remembered.
const REMEMBERED: usize = 100;
/// Pulls that run or wait.
const UNDER_WAY_MOST: usize = 100;

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PullState {
    /// It waits for another one.
    Queued,
    /// It runs.
    Running,
    /// The model is installed.
    Done,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl PullState {
    /// Whether nothing more will happen.
    pub fn is_over(self) -> bool {
        !matches!(self, PullState::Queued | PullState::Running)
    }
}

/// A pull.
#[derive(Clone, Debug)]
pub struct Pull {
    /// Its id.
    pub id: PullId,
    /// What is pulled.
    pub target: String,
    /// The name it is or will be installed under, where that is known.
    pub model_id: Option<ModelId>,
    /// The licence that was named with it, for a source that names none.
    pub licence: Option<String>,
    /// How far it is.
    pub state: PullState,
    /// The last progress.
    pub progress: ProgressEvent,
    /// Why it failed.
    pub error: Option<Fault>,
    /// When it was asked for, in milliseconds since 1970.
    pub created_at_ms: i64,
}

/// [`Pull`] as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Pull)]
pub struct PullView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: PullId,
    /// What is pulled.
    pub target: String,
    /// The name it is or will be installed under, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub model_id: Option<ModelId>,
    /// The licence that was named with it, for a source that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// How far it is.
    pub state: PullState,
    /// A stable word for what is being done: `resolve`, `download`, `verify`, `install` ...
    pub stage: String,
    /// What the stage works on, such as a file name; may be empty.
    pub item: String,
    /// Done so far in this stage.
    pub done: u64,
    /// All of it, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What is counted: `bytes`, `items` or `steps`.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorObject>,
    /// When it was asked for, in milliseconds since 1970.
    pub created_at: i64,
}

impl Pull {
    /// For the API, in the caller's language.
    pub fn view(&self, lang: Lang) -> PullView {
        PullView {
            id: self.id,
            target: self.target.clone(),
            model_id: self.model_id.clone(),
            licence: self.licence.clone(),
            state: self.state,
            stage: self.progress.stage.clone(),
            item: self.progress.item.clone(),
            done: self.progress.done,
            total: self.progress.total,
            unit: self.progress.unit,
            error: self.error.as_ref().map(|fault| error_object(fault, lang)),
            created_at: self.created_at_ms,
        }
    }
}

type Fetched = Pin<Box<dyn Future<Output = std::result::Result<ModelId, Fault>> + Send>>;
type Fetch = dyn Fn(PullRequest, Progress, Cancel) -> Fetched + Send + Sync;

struct Job {
    now: watch::Sender<Pull>,
    cancel: Cancel,
}

/// The downloads of this server.
pub struct Pulls {
    fetch: Arc<Fetch>,
    jobs: Mutex<VecDeque<Arc<Job>>>,
    room: Arc<Semaphore>,
}

impl Pulls {
    /// Downloads by a puller.
    pub(crate) fn with(puller: Puller) -> Arc<Self> {
        Self::new(move |request: PullRequest, progress, cancel| {
            let puller = puller.clone();
            async move {
                puller
                    .pull(&request, &progress, &cancel)
                    .await
                    .map(|manifest| manifest.id)
                    .map_err(Fault::from)
            }
        })
    }

    /// Downloads by `fetch`.
    pub(crate) fn new<F, A>(fetch: F) -> Arc<Self>
    where
        F: Fn(PullRequest, Progress, Cancel) -> A + Send + Sync + 'static,
        A: Future<Output = std::result::Result<ModelId, Fault>> + Send + 'static,
    {
        Arc::new(Self {
            fetch: Arc::new(move |request, progress, cancel| Box::pin(fetch(request, progress, cancel))),
            jobs: Mutex::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Begins a pull.
    ///
    /// # Errors
    /// The target is being pulled already, or too many pulls are under way.
    pub fn start(&self, request: PullRequest) -> Result<Pull> {
        let target = request.target.trim().to_owned();
        if target.is_empty() || target.len() > 2000 {
            return Err(Error::Invalid {
                param: "target",
                why: Message::new("it has 1 to 2000 bytes", "长度为 1 到 2000 字节"),
            });
        }
        let mut jobs = self.jobs.lock();
        let under_way = jobs.iter().filter(|job| !job.now.borrow().state.is_over());
        if let Some(same) = under_way.clone().find(|job| job.now.borrow().target == target) {
            return Err(Error::AlreadyPulling { target, id: same.now.borrow().id.to_string() });
        }
        if under_way.count() >= UNDER_WAY_MOST {
            return Err(Error::Invalid {
                param: "target",
                why: Message::new(
                    format!("{UNDER_WAY_MOST} pulls are under way: wait until one is done"),
                    format!("已有 {UNDER_WAY_MOST} 个拉取任务：请等待其中之一完成"),
                ),
            });
        }
        let pull = Pull {
            id: PullId::new(),
            target: target.clone(),
            model_id: request.id.clone(),
            licence: request.licence.clone(),
            state: PullState::Queued,
            progress: ProgressEvent {
                stage: "queued".into(),
                item: String::new(),
                done: 0,
                total: None,
                unit: Unit::Items,
            },
            error: None,
            created_at_ms: rixin_store::now_ms(),
        };
        let job = Arc::new(Job { now: watch::Sender::new(pull.clone()), cancel: Cancel::new() });
        jobs.push_back(job.clone());
        forget_oldest(&mut jobs);
        drop(jobs);
        tokio::spawn(run(self.fetch.clone(), self.room.clone(), job, PullRequest { target, ..request }));
        Ok(pull)
    }

    /// All that run, wait or are remembered, newest first.
    pub fn list(&self) -> Vec<Pull> {
        self.jobs.lock().iter().rev().map(|job| job.now.borrow().clone()).collect()
    }

    /// One.
    ///
    /// # Errors
    /// It does not exist, or is forgotten.
    pub fn get(&self, id: PullId) -> Result<Pull> {
        Ok(self.job(id)?.now.borrow().clone())
    }

    /// Follows one: its present state, then every change, until its state is over. Slow readers see the latest only.
    ///
    /// # Errors
    /// It does not exist, or is forgotten.
    pub fn watch(&self, id: PullId) -> Result<watch::Receiver<Pull>> {
        Ok(self.job(id)?.now.subscribe())
    }

    /// Cancels one; what has ended stays as it is. It is over when its state says so.
    ///
    /// # Errors
    /// It does not exist, or is forgotten.
    pub fn cancel(&self, id: PullId) -> Result<Pull> {
        let job = self.job(id)?;
        job.cancel.cancel();
        Ok(job.now.borrow().clone())
    }

    /// Cancels all, and waits until they have let go of their files.
    pub(crate) async fn shutdown(&self) {
        let jobs: Vec<Arc<Job>> = self.jobs.lock().iter().cloned().collect();
        for job in &jobs {
            job.cancel.cancel();
        }
        for job in jobs {
            let _ = job.now.subscribe().wait_for(|pull| pull.state.is_over()).await;
        }
    }

    fn job(&self, id: PullId) -> Result<Arc<Job>> {
        let jobs = self.jobs.lock();
        let job = jobs.iter().find(|job| job.now.borrow().id == id).cloned();
        job.ok_or_else(|| Error::NotFound { what: Message::new("pull", "拉取任务"), id: id.to_string() })
    }
}

fn forget_oldest(jobs: &mut VecDeque<Arc<Job>>) {
    let over = |job: &Arc<Job>| job.now.borrow().state.is_over();
    let mut surplus = jobs.iter().filter(|job| over(job)).count().saturating_sub(REMEMBERED);
    jobs.retain(|job| {
        let goes = surplus > 0 && over(job);
        surplus -= usize::from(goes);
        !goes
    });
}

async fn run(fetch: Arc<Fetch>, room: Arc<Semaphore>, job: Arc<Job>, request: PullRequest) {
    let cancelled = || Fault::new(Code::Cancelled, "the pull was cancelled", "拉取已取消");
    let outcome = tokio::select! {
        biased;
        () = job.cancel.cancelled() => Err(cancelled()),
        permit = room.acquire() => {
            job.now.send_modify(|pull| pull.state = PullState::Running);
            let reporting = job.clone();
            let progress = Progress::new(move |event| {
                reporting.now.send_modify(|pull| {
                    if !pull.state.is_over() {
                        pull.progress = event;
                    }
                });
            });
            // a task of its own: a panic in there ends this pull and nothing else
            let task = tokio::spawn(fetch(request, progress, job.cancel.clone()));
            let outcome = task.await.unwrap_or_else(|error| Err(Fault::internal(error)));
            drop(permit);
            outcome
        }
    };
    job.now.send_modify(|pull| match outcome {
        Ok(id) => {
            tracing::info!(pull = %pull.id, target = %pull.target, model = %id, "pulled");
            pull.state = PullState::Done;
            pull.model_id = Some(id);
        }
        Err(fault) => {
            tracing::warn!(pull = %pull.id, target = %pull.target, %fault, "a pull did not finish");
            let cancelled = fault.code == Code::Cancelled;
            pull.state = if cancelled { PullState::Cancelled } else { PullState::Failed };
            pull.error = (!cancelled).then_some(fault);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str) -> PullRequest {
        PullRequest {
            target: target.into(),
            id: None,
            accept_licence: true,
            licence: None,
            by: "test".into(),
        }
    }

    async fn over(pulls: &Pulls, id: PullId) -> Pull {
        let mut watch = pulls.watch(id).expect("known");
        let pull = watch.wait_for(|pull| pull.state.is_over()).await.expect("the job lives");
        pull.clone()
    }

    /// `good` installs, `bad` fails, `panic` panics, anything else runs until it is cancelled.
    fn pulls() -> Arc<Pulls> {
        Pulls::new(|request: PullRequest, progress: Progress, cancel: Cancel| async move {
            progress.bytes("download", &request.target, 1, Some(2));
            match request.target.as_str() {
                "good" => Ok("good".parse().expect("an id")),
                "bad" => Err(Fault::new(Code::SourceFailed, "no such package", "没有这个包")),
                "panic" => panic!("a defect"),
                _ => {
                    cancel.cancelled().await;
                    Err(Fault::new(Code::Cancelled, "cancelled", "已取消"))
                }
            }
        })
    }

    #[tokio::test]
    async fn each_outcome_is_told_and_the_manager_survives() {
        let pulls = pulls();
        for (target, state) in
            [("bad", PullState::Failed), ("panic", PullState::Failed), ("good", PullState::Done)]
        {
            let id = pulls.start(request(target)).expect("room").id;
            let pull = over(&pulls, id).await;
            assert_eq!(pull.state, state, "{target}");
            assert_eq!(pull.error.is_some(), state == PullState::Failed);
            assert_eq!(pull.progress.total, Some(2));
        }
        assert_eq!(pulls.list().len(), 3);
        assert_eq!(pulls.list()[0].target, "good", "newest first");
        assert!(pulls.get(PullId::new()).is_err());
        let view = pulls.list()[2].view(Lang::Zh);
        assert_eq!(view.error.expect("failed").message, "没有这个包");
    }

    #[tokio::test]
    async fn one_for_each_target_and_cancelled_wherever_it_is() {
        let pulls = pulls();
        let ids: Vec<PullId> =
            ["a", "b", "waits"].iter().map(|t| pulls.start(request(t)).expect("room").id).collect();
        let again = pulls.start(request(" a ")).expect_err("runs already");
        assert!(matches!(again, Error::AlreadyPulling { .. }), "{again}");
        pulls.cancel(ids[2]).expect("known");
        assert_eq!(over(&pulls, ids[2]).await.state, PullState::Cancelled, "while it was queued");
        pulls.cancel(ids[0]).expect("known");
        assert_eq!(over(&pulls, ids[0]).await.state, PullState::Cancelled);
        assert!(pulls.start(request("a")).is_ok(), "it may be tried again");
        pulls.shutdown().await;
        assert!(pulls.list().iter().all(|pull| pull.state.is_over()));
    }

    #[tokio::test]
    async fn history_is_bounded() {
        let pulls = pulls();
        for _ in 0..REMEMBERED + 20 {
            let id = pulls.start(request("good")).expect("room").id;
            over(&pulls, id).await;
        }
        assert!(pulls.list().len() <= REMEMBERED + 1);
    }
}
