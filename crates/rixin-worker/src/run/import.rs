//! `import`: bring a model into the registry. What was fetched by an earlier attempt is kept in the registry's staging folder.

use std::sync::Arc;

use rixin_jobs::ImportParams;
use rixin_models::{PullRequest, Puller, Registry};
use serde_json::json;

use crate::work::{Done, Outcome, Work, by_code};

pub(super) async fn run(work: Work) -> Outcome {
    let params: ImportParams = work.params()?;
    let registry = Registry::open(&work.settings.data_dir).await.map_err(by_code)?;
    let puller = Puller::new(Arc::clone(&work.settings), registry).map_err(by_code)?;
    let request = PullRequest {
        target: params.target,
        id: params.id,
        accept_licence: params.accept_licence,
        licence: params.licence,
        by: params.by,
    };
    let manifest =
        puller.pull(&request, &work.reporter.as_progress(), &work.cancel).await.map_err(by_code)?;
    tracing::info!(model = %manifest.id, "installed");
    Ok(Done {
        result: json!({ "model": manifest.id, "source": manifest.source, "files": manifest.files }),
        also: Vec::new(),
    })
}
