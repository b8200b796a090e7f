//! A kind, and the way from a caller's parameters to a job that can be submitted.

use rixin_base::{Code, Fault};
use rixin_store::{JobInput, NewJob, Resources};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::kinds::KINDS;

/// What a kind makes of parameters that are right.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The parameters with every default filled in.
    pub params: Map<String, Value>,
    /// What people call the job.
    pub title: String,
    /// What it reads.
    pub inputs: Vec<JobInput>,
    /// What an attempt takes, where the caller says nothing else.
    pub resources: Resources,
}

/// A kind of long work.
pub struct Kind {
    /// The word in the API and the store.
    pub name: &'static str,
    /// What it does, in English and Chinese.
    pub about: (&'static str, &'static str),
    /// Whether anybody may submit it under `/api/jobs`; other kinds have a route of their own that does.
    pub open: bool,
    /// Whether only administrators may.
    pub admin: bool,
    /// Checks parameters.
    pub check: fn(&Map<String, Value>) -> Result<Prepared, Fault>,
}

/// Parameters of a kind.
pub(crate) trait Params: Serialize + DeserializeOwned {
    /// What is wrong beyond types: the field, and what it has to be, in both languages.
    fn check(&self) -> Result<(), (&'static str, String, String)>;
    fn title(&self) -> String;
    fn inputs(&self) -> Vec<JobInput>;
    fn resources(&self) -> Resources;
}

/// [`Kind::check`] of a kind with these parameters.
pub(crate) fn checked<P: Params>(given: &Map<String, Value>) -> Result<Prepared, Fault> {
    let params: P = serde_path_to_error::deserialize(Value::Object(given.clone())).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { "params".to_owned() } else { format!("params.{path}") };
        let why = error.inner().to_string();
        let code = if why.starts_with("missing field") { Code::MissingField } else { Code::InvalidValue };
        Fault::new(code, format!("'{at}' is wrong: {why}"), format!("'{at}' 有误：{why}")).with_param(at)
    })?;
    params.check().map_err(|(field, en, zh)| {
        let at = format!("params.{field}");
        Fault::new(Code::InvalidValue, format!("'{at}' is wrong: {en}"), format!("'{at}' 有误：{zh}"))
            .with_param(at)
    })?;
    let filled = match serde_json::to_value(&params) {
        Ok(Value::Object(filled)) => filled,
        Ok(_) => Map::new(),
        Err(error) => return Err(Fault::internal(error)),
    };
    Ok(Prepared {
        params: filled,
        title: params.title(),
        inputs: params.inputs(),
        resources: params.resources(),
    })
}

/// Checks what a caller wants to have done.
///
/// # Errors
/// There is no such kind; the parameters or resources are wrong.
pub fn prepare(kind: &str, params: &Map<String, Value>, wanted: Option<Resources>) -> Result<NewJob, Fault> {
    let found = KINDS.iter().find(|known| known.name == kind).ok_or_else(|| {
        let all: Vec<&str> = KINDS.iter().filter(|kind| kind.open).map(|kind| kind.name).collect();
        let kind: String = kind.chars().take(80).collect();
        Fault::new(
            Code::InvalidValue,
            format!("there is no kind of job {kind:?}: the kinds are {}", all.join(", ")),
            format!("没有 {kind:?} 这种任务：可用的种类有 {}", all.join("、")),
        )
        .with_param("kind")
    })?;
    let prepared = (found.check)(params)?;
    let resources = resources(wanted.unwrap_or_default(), prepared.resources)?;
    Ok(NewJob {
        kind: found.name.to_owned(),
        title: prepared.title,
        params: prepared.params,
        inputs: prepared.inputs,
        resources,
        priority: 0,
        needs: Vec::new(),
    })
}

/// What the caller says, else what the kind thinks.
fn resources(wanted: Resources, usual: Resources) -> Result<Resources, Fault> {
    let wrong = |field: &str, en: &str, zh: &str| {
        let at = format!("resources.{field}");
        Err(Fault::new(Code::InvalidValue, format!("'{at}' is wrong: {en}"), format!("'{at}' 有误：{zh}"))
            .with_param(at))
    };
    if wanted.cores > 1024 {
        return wrong("cores", "at most 1024", "最多 1024");
    }
    if wanted.time_limit_secs.is_some_and(|secs| secs == 0 || secs > 366 * 86_400) {
        return wrong("time_limit_secs", "1 second to 366 days", "1 秒到 366 天");
    }
    let word = |text: &str| {
        !text.is_empty()
            && text.len() <= 32
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    if wanted.accelerators.len() > 8
        || wanted.accelerators.iter().any(|a| {
            !word(&a.family)
                || a.model.as_deref().is_some_and(|model| !word(model))
                || a.count == 0
                || a.count > 4096
        })
    {
        return wrong(
            "accelerators",
            "each has a family such as gpu, dcu, npu, mlu, musa, perhaps a model, and a count of at least 1",
            "每项须有类别（如 gpu、dcu、npu、mlu、musa）、可选型号和至少为 1 的数量",
        );
    }
    let or = |wanted: u64, usual: u64| if wanted == 0 { usual } else { wanted };
    Ok(Resources {
        cores: if wanted.cores == 0 { usual.cores.max(1) } else { wanted.cores },
        memory_bytes: or(wanted.memory_bytes, usual.memory_bytes),
        accelerators: if wanted.accelerators.is_empty() { usual.accelerators } else { wanted.accelerators },
        time_limit_secs: wanted.time_limit_secs.or(usual.time_limit_secs),
        scratch_bytes: or(wanted.scratch_bytes, usual.scratch_bytes),
    })
}
