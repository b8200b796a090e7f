//! The prompt: line editing with history, completion of commands, and lines that go on after a backslash.

use std::path::{Path, PathBuf};

use rixin_base::Fault;
use rustyline::{
    Config, Context, Editor, Helper,
    completion::Completer,
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::{session::PARAMS, slash};

/// What a person did at the prompt.
#[derive(Debug)]
pub enum Input {
    /// Sent a message or a command.
    Line(String),
    /// Pressed Ctrl-C.
    Interrupt,
    /// Pressed Ctrl-D, or the terminal is gone.
    End,
}

/// The editor, with its history in a file that only its owner reads.
pub struct Prompt {
    editor: Option<Editor<Commands, FileHistory>>,
    history: PathBuf,
}

impl Prompt {
    /// Opens the terminal and the history of this data folder.
    ///
    /// # Errors
    /// No terminal.
    pub fn open(data_dir: &Path) -> Result<Self, Fault> {
        let config = Config::builder()
            .max_history_size(2000)
            .map_err(Fault::internal)?
            .auto_add_history(false)
            .build();
        let mut editor = Editor::with_config(config).map_err(Fault::internal)?;
        editor.set_helper(Some(Commands));
        let history = data_dir.join("chat_history");
        // No history yet is how everyone starts.
        let _ = editor.load_history(&history);
        Ok(Self { editor: Some(editor), history })
    }

    /// Waits for a line.
    ///
    /// # Errors
    /// The terminal failed.
    pub async fn read(&mut self, prompt: &'static str) -> Result<Input, Fault> {
        let Some(mut editor) = self.editor.take() else { return Ok(Input::End) };
        let (editor, line) = tokio::task::spawn_blocking(move || {
            let line = editor.readline(prompt);
            (editor, line)
        })
        .await
        .map_err(Fault::internal)?;
        let editor = self.editor.insert(editor);
        match line {
            Ok(line) => {
                if !line.trim().is_empty() {
                    let _ = editor.add_history_entry(line.as_str());
                    if editor.save_history(&self.history).is_ok() {
                        private(&self.history);
                    }
                }
                Ok(Input::Line(line.replace("\\\n", "\n")))
            }
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupt),
            Err(ReadlineError::Eof | ReadlineError::Signal(_)) => Ok(Input::End),
            Err(error) => Err(Fault::internal(error)),
        }
    }
}

/// What people ask a model is nobody else's business.
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
}

/// Completes commands after a slash, and lets a line that ends in a backslash go on.
struct Commands;

impl Helper for Commands {}
impl Highlighter for Commands {}

impl Hinter for Commands {
    type Hint = String;
}

impl Completer for Commands {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..pos];
        let (start, names): (usize, Vec<&str>) = match typed.strip_prefix("/set ") {
            Some(name) if !name.contains(' ') => ("/set ".len(), PARAMS.to_vec()),
            _ if typed.starts_with('/') && !typed.contains(' ') => {
                (0, slash::TABLE.iter().map(|(name, ..)| *name).collect())
            }
            _ => return Ok((pos, Vec::new())),
        };
        let begun = &typed[start..];
        let fits =
            names.into_iter().filter(|name| name.starts_with(begun)).map(|name| format!("{name} ")).collect();
        Ok((start, fits))
    }
}

impl Validator for Commands {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if context.input().ends_with('\\') {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_parameters_are_completed() {
        let history = FileHistory::new();
        let context = Context::new(&history);
        let complete = |line: &str| Commands.complete(line, line.len(), &context).expect("never fails");
        assert_eq!(complete("/mo"), (0, vec!["/model ".into(), "/models ".into()]));
        assert_eq!(complete("/set temp"), (5, vec!["temperature ".into()]));
        assert_eq!(complete("你好 /mo").1, Vec::<String>::new());
    }
}
