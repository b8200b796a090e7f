//! llama.cpp as a process-wide thing: started once, its log sent to `tracing`, its last errors kept for our messages.

use std::{
    collections::VecDeque,
    ffi::{CStr, c_char, c_void},
    sync::OnceLock,
};

use llama_cpp_2::llama_backend::LlamaBackend;
use parking_lot::Mutex;

/// The last lines that llama.cpp logged as errors, for the message of a failed load.
static LAST_ERRORS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// A line that has not ended yet, with its level.
static PARTIAL: Mutex<(u32, String)> = Mutex::new((0, String::new()));
const KEPT_ERRORS: usize = 8;

/// Starts llama.cpp at the first call. `None` if another user of llama-cpp-2 in this process holds its backend.
pub(crate) fn backend() -> Option<&'static LlamaBackend> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            // SAFETY: the callback has the signature that llama.cpp asks for and keeps no pointer.
            unsafe { llama_cpp_sys_2::llama_log_set(Some(on_log), std::ptr::null_mut()) };
            LlamaBackend::init().ok()
        })
        .as_ref()
}

/// What this build of llama.cpp can use of the processor.
pub fn system_info() -> String {
    backend();
    // SAFETY: llama.cpp returns a pointer to a static string that ends with zero.
    unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()) }.to_string_lossy().trim().to_owned()
}

/// Forgets older errors: called before an action whose reason we may want to tell.
pub(crate) fn clear_errors() {
    LAST_ERRORS.lock().clear();
}

/// The first error since [`clear_errors`], which is the cause of the others that follow.
pub(crate) fn first_error() -> Option<String> {
    LAST_ERRORS.lock().front().cloned()
}

unsafe extern "C" fn on_log(level: llama_cpp_sys_2::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a string that ends with zero and lives through the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let mut partial = PARTIAL.lock();
    if level != llama_cpp_sys_2::GGML_LOG_LEVEL_CONT {
        partial.0 = level;
    }
    partial.1.push_str(&text);
    while let Some(end) = partial.1.find('\n') {
        let line: String = partial.1.drain(..=end).collect();
        emit(partial.0, line.trim_end());
    }
    // A line without an end can't grow for ever.
    if partial.1.len() > 64 * 1024 {
        partial.1.clear();
    }
}

fn emit(level: llama_cpp_sys_2::ggml_log_level, line: &str) {
    if line.is_empty() || line.bytes().all(|b| b == b'.') {
        return;
    }
    match level {
        llama_cpp_sys_2::GGML_LOG_LEVEL_ERROR => {
            let mut errors = LAST_ERRORS.lock();
            if errors.len() < KEPT_ERRORS {
                errors.push_back(plain(line));
            }
            tracing::warn!(target: "llama.cpp", "{line}");
        }
        llama_cpp_sys_2::GGML_LOG_LEVEL_WARN => tracing::info!(target: "llama.cpp", "{line}"),
        llama_cpp_sys_2::GGML_LOG_LEVEL_INFO => tracing::debug!(target: "llama.cpp", "{line}"),
        _ => tracing::trace!(target: "llama.cpp", "{line}"),
    }
}

/// A line without the C++ function's name before it.
fn plain(line: &str) -> String {
    let is_name = |head: &str| !head.contains(' ') && head.bytes().any(|b| b == b'_');
    match line.split_once(": ") {
        Some((head, rest)) if is_name(head) => rest.trim().to_owned(),
        _ => line.trim().to_owned(),
    }
}

/// Resident memory of this process, in bytes; 0 where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_name_is_taken_off() {
        assert_eq!(plain("gguf_init_from_file_impl: invalid magic"), "invalid magic");
        assert_eq!(plain("cannot: open"), "cannot: open");
    }
}
