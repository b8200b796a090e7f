//! One runner a kind.

mod batch;
mod import;
mod lines;

use futures::future::BoxFuture;
use rixin_base::{Code, Fault};

use crate::work::{Failure, Outcome, Work};

type Runner = fn(Work) -> BoxFuture<'static, Outcome>;

/// The runner of each kind.
const RUNNERS: &[(&str, Runner)] =
    &[("import", |work| Box::pin(import::run(work))), ("batch", |work| Box::pin(batch::run(work)))];

/// Runs an attempt by its job's kind.
pub(crate) async fn run(work: Work) -> Outcome {
    let Some((_, runner)) = RUNNERS.iter().find(|(name, _)| *name == work.job.kind) else {
        let kind = &work.job.kind;
        return Err(Failure::input(Fault::new(
            Code::Unsupported,
            format!("this version has no job of kind {kind:?}: update rixin on this node"),
            format!("当前版本不支持 {kind:?} 类任务：请在该节点上升级 rixin"),
        )));
    };
    runner(work).await
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_kind_has_a_runner() {
        let mut kinds: Vec<&str> = rixin_jobs::KINDS.iter().map(|kind| kind.name).collect();
        let mut runners: Vec<&str> = super::RUNNERS.iter().map(|(name, _)| *name).collect();
        kinds.sort_unstable();
        runners.sort_unstable();
        assert_eq!(kinds, runners);
    }
}
