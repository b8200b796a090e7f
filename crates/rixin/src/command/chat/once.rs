//! One question, one answer.

use std::io::IsTerminal;

use rixin_base::{Code, Fault};
use rixin_protocol::chat::{ChatMessage, Role};
use serde_json::json;

use super::{
    answer::{self, Answer, Piece},
    backend::Backend,
    session::Session,
};
use crate::{
    context::Context,
    out::{Done, Exit, Out, eprint_line, eprint_piece},
};

/// Asks and prints.
pub async fn run(context: &Context, backend: &Backend, session: &mut Session, prompt: String) -> Done {
    session.messages.push(ChatMessage::new(Role::User, prompt));
    let out = context.out;
    let mut answer = Answer::default();
    let cut = ask(out, backend, session, &mut answer, !out.json).await;
    if !out.json && !answer.text.is_empty() && !answer.text.ends_with('\n') {
        out.raw("\n");
    }
    let cut = cut.map_err(|fault| with_hint(fault, backend, &session.model))?;
    if cut {
        return Err(Fault::new(Code::Cancelled, "stopped", "已停止"));
    }
    if out.json {
        out.document(&json!({
            "model": answer.model.as_deref().unwrap_or(&session.model),
            "content": answer.text,
            "reasoning_content": (!answer.thinking.is_empty()).then_some(&answer.thinking),
            "finish_reason": answer.finish,
            "usage": answer.usage,
        }));
    } else if context.verbose > 0 {
        eprint_line(&usage_line(out, &answer));
    }
    Ok(Exit::Ok)
}

/// Asks; prints the text as it comes where `show` says so. Gives whether Ctrl-C cut it.
///
/// # Errors
/// See [`Backend::ask`] and [`answer::read`].
pub async fn ask(
    out: Out,
    backend: &Backend,
    session: &Session,
    answer: &mut Answer,
    show: bool,
) -> Result<bool, Fault> {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let mut interrupted = std::pin::pin!(interrupted);
    let request = session.request();
    let status = Status::new(out, show);
    let stream = tokio::select! {
        biased;
        () = &mut interrupted => {
            status.clear();
            return Ok(true);
        }
        stream = backend.ask(&request, |fraction| status.loading(fraction)) => stream,
    };
    status.clear();
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut thinking = false;
    let print = |piece: &Piece| {
        if !show {
            return;
        }
        // A pipe gets the answer alone; a terminal also the thinking, dimmed.
        match piece {
            Piece::Thinking(text) if colour => {
                out.raw(&format!("\x1b[2m{}\x1b[0m", printable(text)));
                thinking = true;
            }
            Piece::Thinking(_) => {}
            Piece::Text(text) => {
                if std::mem::take(&mut thinking) {
                    out.raw("\n\n");
                }
                out.raw(&if colour { printable(text) } else { text.clone() });
            }
        }
    };
    answer::read(answer, stream?, interrupted, print).await
}

/// A model's text can't move the cursor or set colours of a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Tokens of an answer, for `-v` and `/tokens`.
pub fn usage_line(out: Out, answer: &Answer) -> String {
    match answer.usage {
        None => out.lang.pick("the server sent no token counts", "服务器未返回词元数").to_owned(),
        Some(usage) => {
            let cached = usage.prompt_tokens_details.map_or(0, |details| details.cached_tokens);
            let (prompt, completion) = (usage.prompt_tokens, usage.completion_tokens);
            out.lang.pick(
                format!("[{prompt} prompt tokens ({cached} cached), {completion} answer tokens]"),
                format!("[提示 {prompt} 词元（缓存 {cached}），回答 {completion} 词元]"),
            )
        }
    }
}

/// A model that is not there but in the catalogue: says how it comes.
pub fn with_hint(mut fault: Fault, backend: &Backend, model: &str) -> Fault {
    if let Some(command) = backend.hint(model).filter(|_| fault.code == Code::ModelNotFound)
        && !fault.message.en.contains(&command)
    {
        fault.message.en.push_str(&format!("\n  it is in the catalogue: {command}"));
        fault.message.zh.push_str(&format!("\n  目录中有此模型：{command}"));
    }
    fault
}

/// "loading 40 %" on the terminal's last line, while a model comes up.
struct Status {
    out: Out,
    shown: std::cell::Cell<bool>,
    wanted: bool,
}

impl Status {
    fn new(out: Out, wanted: bool) -> Self {
        Self { out, shown: std::cell::Cell::new(false), wanted: wanted && std::io::stderr().is_terminal() }
    }

    fn loading(&self, fraction: f32) {
        if self.wanted {
            self.shown.set(true);
            let percent = (fraction * 100.0).round() as u32;
            eprint_piece(&format!(
                "\r{} {percent:>3} %",
                self.out.lang.pick("loading the model", "正在加载模型")
            ));
        }
    }

    fn clear(&self) {
        if self.shown.take() {
            eprint_piece("\r\x1b[K");
        }
    }
}
