//! The manifest of what was fetched: the catalogue's word, the hub's, and the file's own header.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rixin_base::ModelId;

use super::{PullRequest, target::Resolved};
use crate::{
    Acceptance, Described, Error, FilePath, Licence, Manifest, ModelFile, ModelKind, Origin, Result, Stage,
    describe_file, download::Fetched, formats::detect, source::choose::is_pickle,
};

/// Reads the staged files and writes down what is known of them.
pub(super) async fn make(
    resolved: &Resolved,
    id: ModelId,
    request: &PullRequest,
    stage: &Stage,
    fetched: Vec<Fetched>,
) -> Result<Manifest> {
    let plan = &resolved.plan;
    let files: Vec<ModelFile> = plan
        .files
        .iter()
        .zip(fetched)
        .map(|(file, got)| ModelFile { path: file.path.clone(), size: got.size, sha256: got.sha256 })
        .collect();
    let paths: Vec<FilePath> = files.iter().map(|file| file.path.clone()).collect();
    let folder = stage.files();
    let read = move || describe(&folder, &paths);
    let (main, weights) = crate::registry::blocking(read).await?;
    let entry = resolved.entry.as_ref();
    let said = request.licence.as_deref().map(|tag| Licence::from_tag(tag, None)).filter(Licence::is_known);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let accepted = request.accept_licence && (resolved.uri.is_remote() || entry.is_some() || said.is_some());
    let licence = match (resolved.licence(), said, weights.licence) {
        (known, ..) if known.is_known() => known.clone(),
        (_, Some(said), _) => said,
        (_, None, Some(own)) => own,
        (unknown, None, None) => unknown.clone(),
    };
    let tags = entry.map_or(&plan.tags, |entry| &entry.tags).iter().chain(&weights.tags);
    let mut manifest = Manifest {
        version: Manifest::VERSION,
        id,
        name: cut(
            entry.map_or_else(|| weights.name.as_deref().unwrap_or(&plan.name), |entry| &entry.name),
            200,
        ),
        kind: match resolved.kind() {
            Some(kind) if kind != ModelKind::Other => kind,
            _ => weights.kind,
        },
        architecture: weights.architecture,
        files,
        main,
        source: resolved.source(),
        licence,
        licence_accepted: accepted.then(|| Acceptance { at: now, by: cut(&request.by, 200) }),
        origin: Origin::Imported,
        base_model: entry
            .and_then(|e| e.base_model.clone())
            .or(plan.base_model.clone())
            .or(weights.base_model),
        languages: match entry {
            Some(entry) => entry.languages.clone(),
            None if plan.languages.is_empty() => weights.languages,
            None => plan.languages.clone(),
        },
        context_length: weights.context_length.or(entry.and_then(|entry| entry.context_length)),
        parameters: weights.parameters.or(entry.map(|entry| entry.parameters)),
        quantisation: weights.quantisation.or(entry.map(|entry| entry.quantisation.clone())),
        memory: weights.memory,
        chat_template: weights.chat_template,
        installed_at: now,
        tags: tags.cloned().collect(),
        description: entry.map(|entry| entry.description.clone()).unwrap_or_default(),
    };
    // Words of a hub may be of any length; those that do not fit a manifest are left out.
    let fits = |word: &String| (1..=64).contains(&word.len()) && !word.chars().any(char::is_control);
    manifest.tags.retain(fits);
    let mut seen = std::collections::HashSet::new();
    manifest.tags.retain(|tag| seen.insert(tag.clone()));
    manifest.tags.truncate(64);
    manifest.languages.retain(fits);
    manifest.languages.truncate(200);
    manifest.base_model =
        manifest.base_model.filter(|name| name.len() <= 300 && !name.chars().any(char::is_control));
    Ok(manifest)
}

/// The start of a text, on one line.
fn cut(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}

/// The file that an engine opens, and what the weights say of themselves. Every file that could be weights is looked at, so
/// that no pickle comes in beside them.
fn describe(folder: &Path, paths: &[FilePath]) -> Result<(FilePath, Described)> {
    const PLAIN: [&str; 6] = [".json", ".txt", ".jinja", ".md", ".model", ".yaml"];
    let plain = |path: &FilePath| PLAIN.iter().any(|ending| path.as_str().ends_with(ending));
    let weights: Vec<&FilePath> = paths.iter().filter(|path| paths.len() == 1 || !plain(path)).collect();
    for path in &weights {
        if is_pickle(path.as_str()) {
            return Err(Error::UnsafeFormat { path: folder.join(path), what: "a Python pickle" });
        }
        detect(&folder.join(path))?;
    }
    let size = |path: &FilePath| std::fs::metadata(folder.join(path)).map_or(0, |data| data.len());
    // Parts of a split GGUF open by the first one; of other weights the largest file says most.
    let split =
        weights.iter().find(|path| path.as_str().contains("-00001-of-") && path.as_str().ends_with(".gguf"));
    let chief = split.or_else(|| weights.iter().max_by_key(|path| size(path)));
    let Some(chief) = chief else {
        return Err(Error::bad_file(folder, "there are no weights", "没有权重文件"));
    };
    let described = describe_file(&folder.join(chief))?;
    let index = paths.iter().find(|path| path.as_str() == "model_index.json");
    Ok((index.unwrap_or(chief).clone(), described))
}
