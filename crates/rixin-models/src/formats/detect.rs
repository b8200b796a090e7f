//! Telling what a file is from its first bytes, and saying why it is refused where it is.

use std::{io::Read, path::Path};

use crate::{Error, Result};

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GGUF: models for llama.cpp.
    Gguf,
    /// Safetensors: weights of any kind.
    Safetensors,
    /// ONNX: small models for speech and faces.
    Onnx,
}

impl Format {
    /// The name for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Gguf => "GGUF",
            Format::Safetensors => "safetensors",
            Format::Onnx => "ONNX",
        }
    }
}

const LOOK_AT: usize = 4096;

/// Tells the format of a file.
///
/// # Errors
/// [`Error::UnsafeFormat`] for pickles in any wrapping; [`Error::BadFile`] for what only looks like a model: an empty file, a
/// pointer of Git LFS, an error page, an archive; [`Error::Io`].
pub fn detect(path: &Path) -> Result<Format> {
    let mut file = std::fs::File::open(path).map_err(|e| Error::io("read", path, e))?;
    let len = file.metadata().map_err(|e| Error::io("read", path, e))?.len();
    let mut head = Vec::with_capacity(LOOK_AT);
    (&mut file).take(LOOK_AT as u64).read_to_end(&mut head).map_err(|e| Error::io("read", path, e))?;
    of_bytes(&head, len, path)
}

/// Tells the format from the first bytes of a file of `len` bytes; the path is for messages and its ending.
///
/// # Errors
/// As [`detect`].
pub(crate) fn of_bytes(head: &[u8], len: u64, path: &Path) -> Result<Format> {
    let bad = |en: &str, zh: &str| Err(Error::bad_file(path, en, zh));
    let unsafe_format = |what| Err(Error::UnsafeFormat { path: path.to_path_buf(), what });
    if len == 0 {
        return bad("it is empty: fetch it again", "文件为空：请重新下载");
    }
    if head.starts_with(b"GGUF") {
        return Ok(Format::Gguf);
    }
    if [b"ggml", b"ggjt", b"ggmf", b"ggla"]
        .iter()
        .any(|magic| head.starts_with(&reversed(magic)) || head.starts_with(*magic))
    {
        return bad(
            "it has a format from before GGUF: convert it with a current llama.cpp",
            "这是 GGUF 之前的旧格式：请用新版 llama.cpp 转换",
        );
    }
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return bad(
            "it is a pointer of Git LFS, not the file itself: run `git lfs pull` there, or fetch the model with `rixin models pull`",
            "这是 Git LFS 指针，不是文件本身：请在原仓库运行 `git lfs pull`，或用 `rixin models pull` 拉取模型",
        );
    }
    if is_page(head) {
        return bad(
            "it is a web page, most likely the error page of a hub that asks to sign in: set the hub's token and fetch it again",
            "这是网页，很可能是要求登录的错误页面：请设置访问令牌后重新下载",
        );
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return zip(head, path);
    }
    if is_pickle(head) {
        return unsafe_format("a Python pickle");
    }
    if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        return unsafe_format("a Keras HDF5 file");
    }
    if is_safetensors(head, len) {
        return Ok(Format::Safetensors);
    }
    if is_onnx(head, path) {
        return Ok(Format::Onnx);
    }
    if is_archive(head) {
        return bad(
            "it is an archive: unpack it and import the model file in it",
            "这是压缩包：请解压后导入其中的模型文件",
        );
    }
    let first = head.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') {
        return bad(
            "it is JSON: an index or an error message, not the weights themselves",
            "这是 JSON：是索引或错误信息，不是权重文件",
        );
    }
    bad(
        "its format is unknown: GGUF, safetensors and ONNX are read. If it was saved with PyTorch, convert it to safetensors",
        "格式未知：支持 GGUF、safetensors 和 ONNX。若由 PyTorch 保存，请转换为 safetensors",
    )
}

fn reversed(magic: &[u8; 4]) -> [u8; 4] {
    let mut out = *magic;
    out.reverse();
    out
}

fn is_page(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(512)]).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    ["<!doctype html", "<html", "<head", "<?xml", "<body"].iter().any(|tag| text.starts_with(tag))
}

/// PyTorch saves a ZIP whose first entry is `.../data.pkl`; NumPy's `.npz` may hold pickles as well.
fn zip(head: &[u8], path: &Path) -> Result<Format> {
    let has = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
    let ending = ending(path);
    if has(b"data.pkl") || has(b"/version") || ["pt", "pth", "ckpt", "bin", "pkl"].contains(&ending.as_str())
    {
        return Err(Error::UnsafeFormat {
            path: path.to_path_buf(),
            what: "a PyTorch checkpoint (a pickle in a ZIP)",
        });
    }
    if has(b".npy") || ending == "npz" {
        return Err(Error::UnsafeFormat { path: path.to_path_buf(), what: "a NumPy archive" });
    }
    Err(Error::bad_file(
        path,
        "it is an archive: unpack it and import the model file in it",
        "这是压缩包：请解压后导入其中的模型文件",
    ))
}

/// Protocols 2 to 5 begin with a PROTO opcode. Protocol 0 and 1 begin with one that makes a tuple, list, dict or string,
/// and PyTorch's old files with the pickled magic number.
fn is_pickle(head: &[u8]) -> bool {
    match head {
        [0x80, 2..=5, rest @ ..] => rest.first().is_some_and(|opcode| PICKLE_OPCODES.contains(opcode)),
        [b'(', next, ..] => b"lditcI(".contains(next),
        [b'c', rest @ ..] => {
            let mut lines = rest.split(|byte| *byte == b'\n');
            let name = |line: Option<&[u8]>| {
                line.is_some_and(|l| {
                    !l.is_empty()
                        && l.len() < 200
                        && l.iter().all(|b| b.is_ascii_alphanumeric() || b"._".contains(b))
                })
            };
            name(lines.next()) && name(lines.next())
        }
        _ => false,
    }
}

/// Opcodes that a pickle can have after its PROTO.
const PICKLE_OPCODES: &[u8] = b"\x8a\x8b\x95}])(cXJKMNGBCTUVFIL\x88\x89\x8c\x8d\x8e\x96.";

fn is_safetensors(head: &[u8], len: u64) -> bool {
    let Some((prefix, rest)) = head.split_first_chunk::<8>() else { return false };
    let header = u64::from_le_bytes(*prefix);
    rest.first() == Some(&b'{') && (2..=super::safetensors::MAX_HEADER.max(len)).contains(&header)
}

/// ONNX is a protobuf without a magic number: field 1 (`ir_version`) first, then a producer's name or a graph.
fn is_onnx(head: &[u8], path: &Path) -> bool {
    match head {
        [0x08, version, next, ..] if (1..=20).contains(version) => {
            [0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42].contains(next)
                && (ending(path) == "onnx"
                    || head.windows(4).any(|w| w == b"onnx")
                    || head.windows(7).any(|w| w == b"pytorch"))
        }
        _ => false,
    }
}

fn is_archive(head: &[u8]) -> bool {
    const MAGICS: [&[u8]; 6] =
        [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\x28\xb5\x2f\xfd"];
    MAGICS.iter().any(|magic| head.starts_with(magic)) || head.get(257..262) == Some(b"ustar")
}

fn ending(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rixin_base::{Code, Explain};

    fn code(head: &[u8], name: &str) -> (Code, String) {
        let error = of_bytes(head, head.len() as u64, Path::new(name)).expect_err("refused");
        (error.code(), error.to_string())
    }

    #[test]
    fn pickles_are_refused_in_any_wrapping() {
        let pickles: [(&[u8], &str); 6] = [
            (b"\x80\x02}q\x00X\x05\x00\x00\x00", "m.bin"),
            (b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "old.pt"),
            (b"cos\nsystem\n(S'id'\ntR.", "evil.gguf"),
            (b"(dp0\nS'a'\n", "m.ckpt"),
            (b"PK\x03\x04..............archive/data.pkl", "m.safetensors"),
            (b"PK\x03\x04..............x/byteorder", "m.pt"),
        ];
        for (head, name) in pickles {
            let (code, text) = code(head, name);
            assert_eq!(code, Code::UnsafeFormat, "{name}");
            assert!(text.contains("run code") && text.contains("safetensors"), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_model_is_named() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS"),
            (b"\n<!DOCTYPE html><html>", "web page"),
            (b"\x1f\x8b\x08", "archive"),
            (b"PK\x03\x04..............readme.txt", "archive"),
            (b"{\"error\":\"x\"}", "JSON"),
            (b"tjgg\x01\x00\x00\x00", "before GGUF"),
            (b"lmgg\x01\x00\x00\x00", "before GGUF"),
            (b"hello world", "unknown"),
        ];
        for (head, word) in cases {
            let (code, text) = code(head, "m.gguf");
            assert_eq!(code, Code::BadModelFile, "{text}");
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn formats_are_told() {
        let of = |head: &[u8], name: &str| of_bytes(head, 1 << 20, Path::new(name)).expect("known");
        assert_eq!(of(b"GGUF\x03\0\0\0", "x"), Format::Gguf);
        assert_eq!(of(b"\x10\0\0\0\0\0\0\0{\"a\":", "x"), Format::Safetensors);
        assert_eq!(of(b"\x08\x08\x12\x07pytorch", "x.onnx"), Format::Onnx);
    }
}
