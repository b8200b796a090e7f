//! Which files of a repository are meant.
//!
//! 1. A file is named: that file; if it is a part of a split GGUF, all parts. A glob (`*`, `?`, letter case ignored): all that match, but
//!    never two GGUF models.
//! 2. No file is named and there are GGUF models (a split one counts as one; `mmproj` and `imatrix` files do not count): the only one, else
//!    the one quantised to Q4_K_M, else the question goes back with the list.
//! 3. No GGUF: a diffusers folder (`model_index.json`) as a whole, without variants; else the only `.safetensors` at the top, or all of them
//!    where an index ties them together, with the configuration and tokenizer beside them.
//! 4. Pickles are never chosen.

use rixin_base::{Message, bytes_text};

use super::{Other, SourceError};
use crate::Sha256;

/// A file as a hub lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its path in the repository.
    pub path: String,
    /// Its length.
    pub size: Option<u64>,
    /// Its hash.
    pub sha256: Option<Sha256>,
    /// Git's name of its content.
    pub git_blob: Option<String>,
}

/// What was chosen.
#[derive(Debug)]
pub struct Chosen {
    /// The files, in order.
    pub files: Vec<Listed>,
    /// Other models of the repository.
    pub others: Vec<Other>,
    /// What the choice is called: a GGUF's name without parts and ending. `None` for a whole repository.
    pub name: Option<String>,
}

/// A GGUF model: one file, or all parts of one.
struct Gguf<'a> {
    name: String,
    parts: Vec<&'a Listed>,
}

impl Gguf<'_> {
    fn size(&self) -> Option<u64> {
        self.parts.iter().map(|part| part.size).sum()
    }

    fn file(&self) -> &str {
        self.parts.first().map_or("", |part| &part.path)
    }
}

/// Chooses among `listed`, for the URI `what`.
///
/// # Errors
/// [`SourceError::Ambiguous`], [`SourceError::NotThere`], [`SourceError::Nothing`], [`SourceError::Unsafe`].
pub fn choose(
    hub: &'static str,
    what: &str,
    listed: &[Listed],
    file: Option<&str>,
) -> Result<Chosen, SourceError> {
    let models = ggufs(what, listed)?;
    if let Some(file) = file {
        return named(hub, what, listed, &models, file);
    }
    let candidates: Vec<&Gguf> = models.iter().filter(|model| !is_side_file(&model.name)).collect();
    if candidates.is_empty() {
        return without_gguf(what, listed);
    }
    let preferred: Vec<&Gguf> = match candidates.as_slice() {
        [only] => vec![only],
        several => {
            several.iter().filter(|m| m.name.to_ascii_lowercase().contains("q4_k_m")).copied().collect()
        }
    };
    match preferred.as_slice() {
        [one] => Ok(pick(one, &candidates)),
        _ => Err(ambiguous(what, &candidates)),
    }
}

/// Whether a name promises a pickle.
pub fn is_pickle(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    matches!(ending, "ckpt" | "pt" | "pth" | "pkl" | "pickle" | "joblib")
        || (ending == "bin"
            && (name.starts_with("pytorch_model") || name.starts_with("diffusion_pytorch_model")))
}

fn pick(one: &Gguf, all: &[&Gguf]) -> Chosen {
    let others = all
        .iter()
        .filter(|other| other.name != one.name)
        .map(|other| Other { file: other.file().to_owned(), size: other.size() })
        .collect();
    let name = one.name.rsplit('/').next().unwrap_or(&one.name).to_owned();
    Chosen { files: one.parts.iter().map(|part| (*part).clone()).collect(), others, name: Some(name) }
}

fn ambiguous(what: &str, models: &[&Gguf]) -> SourceError {
    let show = |m: &&Gguf| match m.size() {
        Some(size) => format!("{} ({})", m.file(), bytes_text(size)),
        None => m.file().to_owned(),
    };
    let mut choices: Vec<String> = models.iter().take(40).map(show).collect();
    if models.len() > 40 {
        choices.push("…".into());
    }
    SourceError::Ambiguous { what: what.to_owned(), choices: choices.join(", ") }
}

/// Projectors and importance matrices are GGUF files, but no models of their own.
fn is_side_file(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    name.contains("mmproj") || name.contains("imatrix")
}

/// `x-00002-of-00005`: the name, the part and the count.
fn split_part(stem: &str) -> Option<(&str, u32, u32)> {
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (name, part) = rest.rsplit_once('-')?;
    let number = |digits: &str| (digits.len() == 5).then(|| digits.parse::<u32>().ok()).flatten();
    let (part, count) = (number(part)?, number(count)?);
    (part >= 1 && part <= count && count <= 1000).then_some((name, part, count))
}

/// All GGUF models, in the order of the list; split ones must be whole.
fn ggufs<'a>(what: &str, listed: &'a [Listed]) -> Result<Vec<Gguf<'a>>, SourceError> {
    let mut out: Vec<Gguf> = Vec::new();
    for file in listed {
        let Some(stem) = file.path.get(..file.path.len().saturating_sub(5)) else { continue };
        if !file.path[stem.len()..].eq_ignore_ascii_case(".gguf") {
            continue;
        }
        let Some((name, part, count)) = split_part(stem) else {
            out.push(Gguf { name: stem.to_owned(), parts: vec![file] });
            continue;
        };
        if part != 1 {
            continue;
        }
        let ending = &file.path[stem.len()..];
        let parts: Option<Vec<&Listed>> = (1..=count)
            .map(|part| {
                let path = format!("{name}-{part:05}-of-{count:05}{ending}");
                listed.iter().find(|other| other.path == path)
            })
            .collect();
        let Some(parts) = parts else {
            let why = Message::new(
                format!("parts of {name} are missing, there should be {count}"),
                format!("{name} 的分片不全，应有 {count} 个"),
            );
            return Err(SourceError::Nothing { what: what.to_owned(), why });
        };
        out.push(Gguf { name: name.to_owned(), parts });
    }
    Ok(out)
}

fn named(
    hub: &'static str,
    what: &str,
    listed: &[Listed],
    models: &[Gguf],
    file: &str,
) -> Result<Chosen, SourceError> {
    let all: Vec<&Gguf> = models.iter().collect();
    let exact = listed.iter().find(|entry| entry.path == file);
    let matching: Vec<&Listed> = match exact {
        Some(entry) => vec![entry],
        None if file.contains(['*', '?']) => listed.iter().filter(|entry| glob(file, &entry.path)).collect(),
        None => Vec::new(),
    };
    if matching.is_empty() {
        return Err(SourceError::NotThere { hub, what: format!("{what}:{file}") });
    }
    if let Some(bad) = matching.iter().find(|entry| is_pickle(&entry.path)) {
        return Err(SourceError::Unsafe { file: bad.path.clone() });
    }
    let hit: Vec<&Gguf> = all
        .iter()
        .filter(|model| model.parts.iter().any(|part| matching.iter().any(|entry| entry.path == part.path)))
        .copied()
        .collect();
    match hit.as_slice() {
        [] => {
            let name = match matching.as_slice() {
                [one] => stem(&one.path),
                _ => None,
            };
            Ok(Chosen { files: matching.into_iter().cloned().collect(), others: Vec::new(), name })
        }
        [one] => {
            Ok(pick(one, &all.iter().filter(|model| !is_side_file(&model.name)).copied().collect::<Vec<_>>()))
        }
        several => {
            match several.iter().filter(|model| !is_side_file(&model.name)).collect::<Vec<_>>().as_slice() {
                [one] => Ok(pick(one, &all)),
                _ => Err(ambiguous(what, several)),
            }
        }
    }
}

/// A file's name without folder and ending.
pub(super) fn stem(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(stem, _)| stem.to_owned()).filter(|stem| !stem.is_empty())
}

fn without_gguf(what: &str, listed: &[Listed]) -> Result<Chosen, SourceError> {
    let is_tensors = |file: &&Listed| file.path.ends_with(".safetensors");
    let is_config = |path: &str| {
        [".json", ".txt", ".jinja", "tokenizer.model", "spiece.model"]
            .iter()
            .any(|ending| path.ends_with(ending))
    };
    let whole = |files: Vec<&Listed>| Chosen {
        files: files.into_iter().cloned().collect(),
        others: Vec::new(),
        name: None,
    };
    if listed.iter().any(|file| file.path == "model_index.json") {
        let in_folder = |path: &str| path.contains('/') || path == "model_index.json";
        let plain = |path: &str| {
            let name = path.rsplit('/').next().unwrap_or(path);
            ![".fp16.", ".bf16.", ".non_ema.", ".ema."].iter().any(|variant| name.contains(variant))
        };
        let files = listed.iter().filter(|file| {
            in_folder(&file.path) && plain(&file.path) && (is_tensors(file) || is_config(&file.path))
        });
        let files: Vec<&Listed> = files.collect();
        if files.iter().any(is_tensors) {
            return Ok(whole(files));
        }
    }
    let top = |file: &&Listed| !file.path.contains('/');
    let tensors: Vec<&Listed> = listed.iter().filter(top).filter(is_tensors).collect();
    let index = listed.iter().any(|file| file.path == "model.safetensors.index.json");
    match tensors.as_slice() {
        [] => {}
        several if several.len() > 1 && !index => {
            let choices =
                several.iter().take(40).map(|file| file.path.as_str()).collect::<Vec<_>>().join(", ");
            return Err(SourceError::Ambiguous { what: what.to_owned(), choices });
        }
        _ => {
            let files = listed.iter().filter(top).filter(|file| is_tensors(file) || is_config(&file.path));
            return Ok(whole(files.collect()));
        }
    }
    if let Some(pickle) = listed.iter().find(|file| is_pickle(&file.path)) {
        return Err(SourceError::Unsafe { file: pickle.path.clone() });
    }
    let why = Message::new("neither GGUF nor safetensors is there", "既没有 GGUF，也没有 safetensors");
    Err(SourceError::Nothing { what: what.to_owned(), why })
}

/// Shell patterns: `*` is any text, slashes too, `?` any character; letter case is ignored.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star and the text that it has swallowed so far: the only place to come back to.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
