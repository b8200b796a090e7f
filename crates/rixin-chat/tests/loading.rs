//! Files that are no models, and loads that are given up.

mod common;

use std::{io::Write as _, path::PathBuf};

use common::*;
use rixin_base::{Explain, Lang};
use rixin_chat::{Engine, EngineOptions, Error};

/// A file of its own for a test, removed at the end.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("rixin-chat-{}-{name}.gguf", std::process::id()));
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(bytes))
            .expect("the temp folder is writable");
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn error_of(name: &str, bytes: &[u8]) -> Error {
    let file = TempFile::new(name, bytes);
    let error = Engine::load(EngineOptions::new(&file.0), |_| true).expect_err("not a model");
    let message = error.message();
    assert!(message.text(Lang::En).contains(name) && message.text(Lang::Zh).contains(name), "{message:?}");
    error
}

#[test]
fn files_that_are_no_models() {
    assert!(matches!(
        Engine::load(EngineOptions::new("/nowhere.gguf"), |_| true),
        Err(Error::LoadFailed { .. })
    ));
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("text", b"Hello, this is no model at all."),
        ("magic-alone", b"GGUF"),
        ("version", b"GGUF\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("counts", b"GGUF\x03\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f"),
        (
            "key-length",
            b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7fabc",
        ),
    ] {
        assert!(matches!(error_of(name, bytes), Error::BadModelFile { .. }), "{name}");
    }
}

#[test]
fn a_model_cut_short_or_with_a_lying_header() {
    let Some(path) = model() else { return };
    let whole = std::fs::read(path).expect("readable");
    for keep in [5_000, 2_000_000, whole.len() - 4096] {
        let error = error_of("cut", &whole[..keep]);
        assert!(matches!(error, Error::BadModelFile { .. }), "{error:?}");
    }
    // The first key's length, and the number of tensors.
    for at in [24, 8] {
        let mut lying = whole.clone();
        lying[at] = lying[at].wrapping_add(3);
        let error = error_of("lying", &lying);
        assert!(matches!(error, Error::BadModelFile { .. }), "{error:?}");
    }
}

#[test]
fn a_load_can_be_cancelled_and_tells_its_progress() {
    let Some(path) = model() else { return };
    let error = Engine::load(options(path.clone()), |_| false).expect_err("cancelled");
    assert_eq!(error, Error::LoadCancelled);
    let mut seen = Vec::new();
    let engine = Engine::load(options(path), |fraction| {
        seen.push(fraction);
        true
    })
    .expect("loads");
    assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
    let info = engine.info();
    assert_eq!((info.vocab_size, info.embedding_size), (49152, 576));
    assert_eq!((info.architecture.as_str(), info.train_context_length), ("llama", 8192));
    assert_eq!(info.eos_text, "<|im_end|>");
    assert!(info.chat_template.as_deref().is_some_and(|template| template.contains("im_start")));
    // The weights alone; other tests of this process may give memory back meanwhile, so that what was resident before is no measure.
    assert!(info.memory_bytes > 96_000_000, "{}", info.memory_bytes);
}
