//! What can be told of a model from its file: the ground of its manifest.

use std::path::{Path, PathBuf};

use crate::{
    Error, Licence, MemoryNeed, ModelKind, Result,
    formats::{Format, detect, gguf, safetensors},
};

/// What a file says of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The file's format.
    pub format: Format,
    /// What the model does.
    pub kind: ModelKind,
    /// The name that the header has.
    pub name: Option<String>,
    /// The architecture's name.
    pub architecture: Option<String>,
    /// The context that it was trained for, in tokens.
    pub context_length: Option<u32>,
    /// The number of weights.
    pub parameters: Option<u64>,
    /// The form of the weights.
    pub quantisation: Option<String>,
    /// What memory a replica needs.
    pub memory: Option<MemoryNeed>,
    /// Whether the file carries a chat template.
    pub chat_template: bool,
    /// The licence, where the header names one.
    pub licence: Option<Licence>,
    /// What it was made from.
    pub base_model: Option<String>,
    /// Languages, as tags.
    pub languages: Vec<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// The file's length in bytes, all parts together.
    pub size: u64,
    /// Every file of the model, the one to open first: more than one where it is split into parts.
    pub files: Vec<PathBuf>,
}

/// Most parts of a split model.
const MAX_PARTS: u64 = 1000;

/// Reads the header of a model's file, and of its other parts where it is split. Blocking: call it on a thread that may wait.
///
/// # Errors
/// [`Error::UnsafeFormat`], [`Error::BadFile`] with the reason, [`Error::Io`].
pub fn describe_file(path: &Path) -> Result<Described> {
    match detect(path)? {
        Format::Gguf => describe_gguf(path),
        Format::Safetensors => describe_safetensors(path),
        Format::Onnx => {
            let size = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
            Ok(Described::bare(Format::Onnx, path, size))
        }
    }
}

impl Described {
    fn bare(format: Format, path: &Path, size: u64) -> Self {
        Self {
            format,
            kind: ModelKind::Other,
            name: None,
            architecture: None,
            context_length: None,
            parameters: None,
            quantisation: None,
            memory: None,
            chat_template: false,
            licence: None,
            base_model: None,
            languages: Vec::new(),
            tags: Vec::new(),
            size,
            files: vec![path.to_path_buf()],
        }
    }
}

fn describe_gguf(path: &Path) -> Result<Described> {
    let header = gguf::read_header(path)?;
    let facts = header.facts();
    let mut described = Described {
        kind: facts.kind,
        name: facts.name,
        architecture: facts.architecture,
        context_length: facts.context_length,
        parameters: facts.parameters,
        quantisation: facts.quantisation,
        memory: facts.memory,
        chat_template: facts.chat_template,
        licence: facts.licence,
        base_model: facts.base_model,
        languages: facts.languages,
        tags: facts.tags,
        ..Described::bare(Format::Gguf, path, header.file_len)
    };
    if facts.parts > 1 {
        described.files = parts(path, facts.parts, header.number("split.no"))?;
        for part in &described.files[1..] {
            let more = gguf::read_header(part)?;
            described.size = described.size.saturating_add(more.file_len);
            let weights = more.tensors.iter().map(gguf::Tensor::elements).fold(0, u64::saturating_add);
            described.parameters = Some(described.parameters.unwrap_or(0).saturating_add(weights));
            if let Some(memory) = &mut described.memory {
                memory.weights_bytes = memory.weights_bytes.saturating_add(more.tensor_bytes());
                memory.overhead_bytes = memory.overhead_bytes.saturating_add(more.tensor_bytes() / 50);
            }
        }
    }
    Ok(described)
}

/// The files of a model in parts, named `NAME-00001-of-00003.gguf` beside each other as llama.cpp needs them.
fn parts(path: &Path, count: u64, number: Option<u64>) -> Result<Vec<PathBuf>> {
    let bad = |en: String, zh: String| Error::bad_file(path, en, zh);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if number.is_some_and(|number| number != 0) {
        return Err(bad(
            format!(
                "it is not the first of the {count} parts of its model: name the one that ends in -00001-of-{count:05}.gguf"
            ),
            format!("这不是模型 {count} 个分片中的第一个：请指定以 -00001-of-{count:05}.gguf 结尾的文件"),
        ));
    }
    let stem = name.strip_suffix(&format!("-00001-of-{count:05}.gguf")).filter(|_| count <= MAX_PARTS);
    let stem = stem.ok_or_else(|| {
        bad(
            format!("it says that it is the first of {count} parts, but its name does not end in -00001-of-{count:05}.gguf"),
            format!("文件自称是 {count} 个分片中的第一个，但文件名不以 -00001-of-{count:05}.gguf 结尾"),
        )
    })?;
    let files: Vec<PathBuf> =
        (1..=count).map(|part| path.with_file_name(format!("{stem}-{part:05}-of-{count:05}.gguf"))).collect();
    match files.iter().find(|file| !file.is_file()) {
        Some(missing) => Err(bad(
            format!("its part {} is missing: fetch all {count} parts into one folder", missing.display()),
            format!("缺少分片 {}：请将全部 {count} 个分片下载到同一文件夹", missing.display()),
        )),
        None => Ok(files),
    }
}

fn describe_safetensors(path: &Path) -> Result<Described> {
    let header = safetensors::read_header(path)?;
    let text = |key: &str| {
        header
            .metadata
            .get(key)
            .map(|text| text.chars().filter(|c| !c.is_control()).take(60).collect::<String>())
    };
    Ok(Described {
        kind: header.kind(),
        name: text("modelspec.title").filter(|name| !name.is_empty()),
        architecture: text("modelspec.architecture").filter(|name| !name.is_empty()),
        parameters: Some(header.parameters()).filter(|count| *count > 0),
        quantisation: header.main_form().map(str::to_owned),
        licence: header.licence(),
        ..Described::bare(Format::Safetensors, path, header.file_len)
    })
}
