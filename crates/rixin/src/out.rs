//! What the command writes: results to standard output, everything else to standard error.
//!
//! A reader that goes away (`rixin models list | head -1`) ends the process quietly.

use std::io::{self, IsTerminal, Write};

use rixin_base::{Code, Fault, Lang};
use serde::Serialize;
use serde_json::json;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work.
    Failed = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// The model, key or file that was named is not there.
    NotFound = 3,
    /// The user interrupted it.
    Interrupted = 130,
}

impl Exit {
    /// The exit code of a fault.
    pub fn of(code: Code) -> Exit {
        match code {
            Code::InvalidValue | Code::MissingField | Code::BadSetting => Exit::Usage,
            Code::ModelNotFound | Code::NotFound => Exit::NotFound,
            Code::Cancelled => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// What a command gives back.
pub type Done = Result<Exit, Fault>;

/// The two streams, the language and the form of the output.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// The language of people.
    pub lang: Lang,
    /// One JSON document instead of text.
    pub json: bool,
}

impl Out {
    /// A line of the result, in the language of the caller.
    pub fn say(&self, en: impl AsRef<str>, zh: impl AsRef<str>) {
        self.line(self.lang.pick(en.as_ref(), zh.as_ref()));
    }

    /// A line of the result.
    pub fn line(&self, text: &str) {
        self.raw(&format!("{text}\n"));
    }

    /// A piece of the result, written at once.
    pub fn raw(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        gone(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
    }

    /// The result as one JSON document.
    pub fn document(&self, value: &impl Serialize) {
        self.line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// A remark beside the result; scripts that asked for JSON don't get it.
    pub fn note(&self, en: impl AsRef<str>, zh: impl AsRef<str>) {
        if !self.json {
            eprint_line(self.lang.pick(en.as_ref(), zh.as_ref()));
        }
    }

    /// A line of JSON on standard error: progress, for scripts.
    pub fn event(&self, value: &impl Serialize) {
        eprint_line(&serde_json::to_string(value).unwrap_or_default());
    }

    /// Why it did not work.
    pub fn error(&self, fault: &Fault) {
        self.failure(fault.code.as_str(), fault.text(self.lang));
    }

    /// Why it did not work, where the reason has no code of the suite's table.
    pub fn failure(&self, code: &str, message: &str) {
        if self.json {
            self.event(&json!({"error": {"code": code, "message": message}}));
        } else {
            eprint_line(&format!("{}{message}", self.lang.pick("error: ", "错误：")));
        }
    }

    /// Asks a yes-or-no question on the terminal; without one the answer is no.
    pub fn ask(&self, en: &str, zh: &str) -> bool {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return false;
        }
        eprint_piece(&format!("{} [y/N] ", self.lang.pick(en, zh)));
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer).is_err() {
            return false;
        }
        matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是" | "好" | "同意")
    }
}

/// A line on standard error; a reader that is gone is no reason to stop.
pub fn eprint_line(text: &str) {
    eprint_piece(&format!("{text}\n"));
}

/// A piece of a line on standard error.
pub fn eprint_piece(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Ends the process where nobody reads any more; other trouble with standard output is told and ends it with a failure.
fn gone(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        Err(error) => {
            eprint_line(&format!("rixin: {error}"));
            std::process::exit(Exit::Failed as i32)
        }
    }
}
