//! `rixin chat`.

mod answer;
mod backend;
mod input;
mod once;
mod repl;
mod session;
mod slash;

use std::{
    io::{IsTerminal, Read},
    path::PathBuf,
};

use clap::Args;
use rixin_base::{Code, Fault};
use rixin_protocol::chat::SamplingFields;

use self::{backend::Backend, session::Session};
use crate::{context::Context, out::Done};

/// Flags of `rixin chat`.
#[derive(Args, Debug)]
pub struct Chat {
    /// The model; the setting default_model if left out
    #[arg(value_name = "MODEL")]
    model: Option<String>,
    /// Ask this one question, print the answer and end; - reads it from standard input
    #[arg(long, short = 'p', value_name = "TEXT")]
    prompt: Option<String>,
    /// Put this text file before the question; with -p
    #[arg(long, short = 'f', value_name = "FILE", requires = "prompt")]
    file: Vec<PathBuf>,
    /// Instructions for the model
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Ask a running server, or any engine that speaks OpenAI's protocol, instead of loading the model here
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The server's key (RIXIN_KEY)
    #[arg(long, value_name = "KEY", env = "RIXIN_KEY", hide_env = true, requires = "server")]
    key: Option<String>,
    /// 0: always the likeliest word; higher: freer
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<f32>,
    /// Choose among the likeliest words with this probability together, 0 to 1
    #[arg(long, value_name = "NUMBER")]
    top_p: Option<f32>,
    /// Longest answer, in tokens
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<u32>,
    /// Same seed, same answer
    #[arg(long, value_name = "NUMBER")]
    seed: Option<i64>,
}

impl Chat {
    /// Talks.
    pub async fn run(self, context: Context) -> Done {
        let prompt = self.question()?;
        let mut session =
            Session::new(self.model.unwrap_or_else(|| context.settings().default_model.clone()));
        session.system = self.system;
        session.sampling = SamplingFields {
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            ..SamplingFields::default()
        };
        session.max_tokens = self.max_tokens;
        session.check()?;
        let backend = match &self.server {
            Some(url) => Backend::remote(context.settings(), url, self.key.as_deref())?,
            None => Backend::local(context.settings()).await?,
        };
        let done = match prompt {
            Some(prompt) => once::run(&context, &backend, &mut session, prompt).await,
            None => repl::run(&context, &backend, &mut session).await,
        };
        backend.close().await;
        done
    }

    /// The one question, where there is just one: `-p`, or what comes through a pipe.
    fn question(&self) -> Result<Option<String>, Fault> {
        let asked = match self.prompt.as_deref() {
            Some("-") => stdin()?,
            Some(text) => text.to_owned(),
            None if std::io::stdin().is_terminal() => return Ok(None),
            None => stdin()?,
        };
        let mut whole = String::new();
        for path in &self.file {
            let text = std::fs::read_to_string(path)
                .map_err(|error| unreadable(&path.display().to_string(), &error))?;
            whole.push_str(text.trim_end());
            whole.push_str("\n\n");
        }
        whole.push_str(asked.trim());
        if whole.trim().is_empty() {
            return Err(Fault::new(
                Code::InvalidValue,
                "the question is empty: write it after -p, or send it through a pipe",
                "问题为空：请写在 -p 之后，或通过管道传入",
            ));
        }
        Ok(Some(whole))
    }
}

fn stdin() -> Result<String, Fault> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| unreadable("stdin", &error))?;
    Ok(text)
}

fn unreadable(what: &str, error: &std::io::Error) -> Fault {
    let code = if error.kind() == std::io::ErrorKind::NotFound { Code::NotFound } else { Code::InvalidValue };
    Fault::new(code, format!("can't read {what}: {error}"), format!("无法读取 {what}：{error}"))
}
