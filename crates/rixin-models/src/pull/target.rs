//! What a pull's target means: a name of the catalogue, with its alternatives tried in order, or a source.

use std::path::Path;

use rixin_base::{Cancel, Code, Explain, Fault, ModelId, Progress};

use super::Puller;
use crate::{
    CatalogEntry, Error, Licence, ModelKind, Result, hash_file,
    registry::blocking,
    source::{FORMS, Location, Plan, SourceError, SourceUri},
};

/// A target that was found.
pub(super) struct Resolved {
    pub uri: SourceUri,
    pub plan: Plan,
    pub entry: Option<CatalogEntry>,
}

impl Resolved {
    /// The name in the registry: as asked for, else the catalogue's, else one made from the file's.
    pub fn id(&self, asked: Option<ModelId>) -> Result<ModelId> {
        let entry = self.entry.as_ref().map(|entry| entry.id.clone());
        asked.or(entry).or_else(|| self.plan.id.clone()).ok_or_else(|| {
            let fault = Fault::new(
                Code::MissingField,
                format!("no name for the registry can be made from {:?}: give one with id", self.plan.name),
                format!("无法由 {:?} 得出模型名：请用 id 指定", self.plan.name),
            );
            fault.with_param("id").into()
        })
    }

    /// The catalogue's licence, which was looked up by a person, before the hub's.
    pub fn licence(&self) -> &Licence {
        self.entry.as_ref().map_or(&self.plan.licence, |entry| &entry.licence)
    }

    /// The source as it stands in the manifest: a file that the catalogue knows came from where the catalogue has it.
    pub fn source(&self) -> String {
        match self.recognised() {
            Some(entry) => entry.source().to_owned(),
            None => self.uri.to_string(),
        }
    }

    /// The entry that a file of this machine turned out to be.
    pub fn recognised(&self) -> Option<&CatalogEntry> {
        self.entry.as_ref().filter(|_| !self.uri.is_remote())
    }

    pub fn kind(&self) -> Option<ModelKind> {
        self.entry.as_ref().map(|entry| entry.kind).or(self.plan.kind)
    }

    pub fn name(&self) -> &str {
        self.entry.as_ref().map_or(&self.plan.name, |entry| &entry.name)
    }
}

impl Puller {
    /// Finds a target and asks its source.
    pub(super) async fn resolve(&self, target: &str, cancel: &Cancel) -> Result<Resolved> {
        let target = target.trim();
        if let Some(entry) = self.catalog.get(target) {
            return self.resolve_entry(entry, cancel).await;
        }
        let uri = if SourceUri::looks_like(target) {
            target.parse::<SourceUri>()?
        } else if !target.is_empty() && Path::new(target).exists() {
            SourceUri::from_path(Path::new(target))?
        } else {
            return Err(self.unknown(target));
        };
        let mut plan = self.sources.open(&uri)?.resolve(cancel).await?;
        let entry = if uri.is_remote() { None } else { self.recognise(&mut plan, cancel).await? };
        Ok(Resolved { uri, plan, entry })
    }

    /// The entry whose file this is, told by its hash. Only a file that is as long as one of the catalogue's is read.
    async fn recognise(&self, plan: &mut Plan, cancel: &Cancel) -> Result<Option<CatalogEntry>> {
        let [file] = plan.files.as_mut_slice() else { return Ok(None) };
        let (Location::Local(path), Some(size)) = (&file.from, file.size) else { return Ok(None) };
        if self.catalog.of_size(size).next().is_none() {
            return Ok(None);
        }
        let (path, cancel) = (path.clone(), cancel.clone());
        let (size, sha256) =
            blocking(move || hash_file(&path, "resolve", &Progress::none(), &cancel)).await?;
        let mut known = self.catalog.of_size(size);
        let Some((entry, known)) = known.find_map(|entry| {
            let known = entry.file.as_ref().filter(|known| known.sha256 == sha256)?;
            Some((entry, known))
        }) else {
            return Ok(None);
        };
        file.path = known.path.clone();
        file.sha256 = Some(sha256);
        Ok(Some(entry.clone()))
    }

    /// The first of an entry's sources that answers. Where none does, the first one's reason is told.
    async fn resolve_entry(&self, entry: &CatalogEntry, cancel: &Cancel) -> Result<Resolved> {
        let mut first: Option<Error> = None;
        for text in &entry.sources {
            match self.resolve_source(entry, text, cancel).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    let error = Error::from(error);
                    if !may_be_elsewhere(&error) {
                        return Err(first.unwrap_or(error));
                    }
                    tracing::info!(source = %text, %error, "trying the next source");
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or_else(|| self.unknown(entry.id.as_str())))
    }

    async fn resolve_source(
        &self,
        entry: &CatalogEntry,
        text: &str,
        cancel: &Cancel,
    ) -> std::result::Result<Resolved, SourceError> {
        let uri: SourceUri = text.parse()?;
        let mut plan = self.sources.open(&uri)?.resolve(cancel).await?;
        if let Some(known) = &entry.file {
            plan.expect(Some(known.size), Some(known.sha256))?;
            if let [file] = plan.files.as_mut_slice() {
                file.path = known.path.clone();
            }
        }
        Ok(Resolved { uri, plan, entry: Some(entry.clone()) })
    }

    fn unknown(&self, target: &str) -> Error {
        let shown: String = target.chars().take(120).collect();
        let near = self.catalog.search(target, None);
        let near: Vec<&str> = near.iter().take(3).map(|entry| entry.id.as_str()).collect();
        let (hint_en, hint_zh) = match near.as_slice() {
            [] => (String::new(), String::new()),
            near => {
                (format!("did you mean {}? ", near.join(", ")), format!("您是否想要 {}？", near.join("、")))
            }
        };
        Fault::new(
            Code::ModelNotFound,
            format!(
                "{shown:?} is neither in the catalogue nor a source nor a path of this machine: {hint_en}\
                 `rixin models search` lists the catalogue; sources are {FORMS}"
            ),
            format!(
                "{shown:?} 既不在目录中，也不是模型来源或本机路径：{hint_zh}用 `rixin models search` 查看目录；来源写法：{FORMS}"
            ),
        )
        .with_param("target")
        .into()
    }
}

/// Whether another source may have what this one refused.
fn may_be_elsewhere(error: &Error) -> bool {
    matches!(error.code(), Code::SourceFailed | Code::SourceBusy | Code::SourceDenied | Code::NotFound)
}
