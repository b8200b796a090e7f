//! The talk: reads lines, asks, shows answers, until the person leaves.

use std::path::Path;

use rixin_base::{Code, Fault};
use rixin_protocol::chat::{ChatMessage, Role};

use super::{
    answer::Answer,
    backend::Backend,
    input::{Input, Prompt},
    once::{ask, usage_line, with_hint},
    session::Session,
    slash::{self, Slash},
};
use crate::{
    context::Context,
    out::{Done, Exit, Out},
};

/// What the loop does next.
enum Next {
    Ask,
    Wait,
    End,
}

/// Talks until the person leaves.
pub async fn run(context: &Context, backend: &Backend, session: &mut Session) -> Done {
    let out = context.out;
    if out.json {
        return Err(Fault::new(
            Code::InvalidValue,
            "--json needs one question: write it after -p, or send it through a pipe",
            "--json 需要单个问题：请写在 -p 之后，或通过管道传入",
        ));
    }
    // A name that does not exist is better said now than after the first question.
    let models = backend.models().await?;
    if !models.is_empty()
        && !models.contains(&session.model)
        && session.model == context.settings().default_model
    {
        session.model.clone_from(&models[0]);
    }
    if !models.contains(&session.model) {
        let fault = Fault::new(
            Code::ModelNotFound,
            format!(
                "there is no model {:?} at {}; there is: {}",
                session.model,
                backend.place(),
                list(&models)
            ),
            format!("{} 中没有模型 {:?}；可用：{}", backend.place(), session.model, list(&models)),
        );
        return Err(with_hint(fault, backend, &session.model));
    }
    let mut prompt = Prompt::open(&context.settings().data_dir)?;
    out.note(
        format!("{} · /help lists commands, Ctrl-D ends", session.model),
        format!("{} · /help 查看命令，Ctrl-D 退出", session.model),
    );
    let mut answer = Answer::default();
    let mut interrupts = 0;
    loop {
        let next = match prompt.read("> ").await? {
            Input::End => Next::End,
            Input::Interrupt if interrupts > 0 => Next::End,
            Input::Interrupt => {
                interrupts += 1;
                out.note(
                    "(Ctrl-C again, Ctrl-D or /exit ends)",
                    "（再按一次 Ctrl-C，或按 Ctrl-D、输入 /exit 退出）",
                );
                continue;
            }
            Input::Line(line) => said(out, backend, session, &answer, &line).await,
        };
        interrupts = 0;
        match next {
            Next::End => return Ok(Exit::Ok),
            Next::Wait => {}
            Next::Ask => {
                answer = Answer::default();
                turn(context, backend, session, &mut answer).await;
            }
        }
    }
}

/// One answer. What goes wrong is shown, and the talk goes on.
async fn turn(context: &Context, backend: &Backend, session: &mut Session, answer: &mut Answer) {
    let out = context.out;
    let done = ask(out, backend, session, answer, true).await;
    if !answer.text.is_empty() && !answer.text.ends_with('\n') {
        out.raw("\n");
    }
    if answer.text.is_empty() && done.is_err() {
        // The question got no answer: it can be sent again by /retry or written anew.
        if let Err(fault) = done {
            out.error(&with_hint(fault, backend, &session.model));
        }
        return;
    }
    let mut said = ChatMessage::new(Role::Assistant, answer.text.as_str());
    if !answer.thinking.is_empty() {
        said.reasoning_content = Some(answer.thinking.clone());
    }
    session.messages.push(said);
    session.usage = answer.usage;
    match done {
        Err(fault) => out.error(&fault),
        Ok(true) => out.note("(stopped)", "（已停止）"),
        Ok(false) if answer.finish.as_deref() == Some("length") => out.note(
            "(cut at the longest answer: /set max_tokens, or say: go on)",
            "（已达回答长度上限：可用 /set max_tokens 调整，或请它继续）",
        ),
        Ok(false) => {}
    }
    // An answer that was stopped has no counts.
    if context.verbose > 0 && answer.usage.is_some() {
        out.note(usage_line(out, answer), usage_line(out, answer));
    }
}

/// A line: a message or a command.
async fn said(out: Out, backend: &Backend, session: &mut Session, answer: &Answer, line: &str) -> Next {
    if line.trim().is_empty() {
        return Next::Wait;
    }
    let Some(command) = slash::parse(line) else {
        // A question without an answer is replaced, not followed by a second one.
        if session.messages.last().is_some_and(|message| message.role == Role::User) {
            session.messages.pop();
        }
        let text = line.strip_prefix('/').filter(|rest| rest.starts_with('/')).unwrap_or(line);
        session.messages.push(ChatMessage::new(Role::User, text.trim()));
        return Next::Ask;
    };
    match run_command(out, backend, session, answer, command).await {
        Ok(next) => next,
        Err(fault) => {
            out.error(&fault);
            Next::Wait
        }
    }
}

async fn run_command(
    out: Out,
    backend: &Backend,
    session: &mut Session,
    answer: &Answer,
    command: Slash,
) -> Result<Next, Fault> {
    match command {
        Slash::Exit => return Ok(Next::End),
        Slash::Help => out.raw(&slash::help(out.lang)),
        Slash::Models => {
            for name in backend.models().await? {
                out.line(&format!("{} {name}", if name == session.model { "*" } else { " " }));
            }
        }
        Slash::Model(None) => out.line(&session.model),
        Slash::Model(Some(name)) => {
            let models = backend.models().await?;
            if !models.contains(&name) {
                let fault = Fault::new(
                    Code::ModelNotFound,
                    format!("there is no model {name:?}; there is: {}", list(&models)),
                    format!("没有模型 {name:?}；可用：{}", list(&models)),
                );
                return Err(with_hint(fault, backend, &name));
            }
            session.model = name;
        }
        Slash::System(None) => match &session.system {
            Some(text) => out.line(text),
            None => out.note("(none)", "（无）"),
        },
        Slash::System(Some(text)) => session.system = (text != "-").then_some(text),
        Slash::Set(name, value) => session.set(&name, &value)?,
        Slash::Params => {
            for (name, value) in session.params() {
                let value = value.unwrap_or_else(|| out.lang.pick("default", "默认").to_owned());
                out.line(&format!("{name:<20} {value}"));
            }
        }
        Slash::Clear => {
            session.messages.clear();
            session.usage = None;
        }
        Slash::Retry if session.drop_answer() => return Ok(Next::Ask),
        Slash::Retry => out.note("(nothing was asked yet)", "（还没有提过问题）"),
        Slash::History => history(out, session),
        Slash::Save(file) => {
            session.save(Path::new(&file))?;
            out.note(format!("saved: {file}"), format!("已保存：{file}"));
        }
        Slash::Load(file) => {
            *session = Session::load(Path::new(&file))?;
            history(out, session);
        }
        Slash::Tokens => out.note(usage_line(out, answer), usage_line(out, answer)),
        Slash::Unknown(line) => {
            let name = line.split_whitespace().next().unwrap_or_default();
            let entry = slash::TABLE.iter().find(|(known, ..)| *known == name);
            match entry {
                Some((name, value, ..)) => {
                    out.note(format!("it is used so: {name} {value}"), format!("用法：{name} {value}"));
                }
                None => out.note(
                    format!("there is no command {name}: /help lists them, // starts a message with a slash"),
                    format!("没有命令 {name}：/help 查看全部；以 // 开头可发送以斜杠开头的消息"),
                ),
            }
        }
    }
    Ok(Next::Wait)
}

fn history(out: Out, session: &Session) {
    for message in &session.messages {
        let text = message.content.as_ref().and_then(|content| content.text().ok()).unwrap_or_default();
        let mark = if message.role == Role::User { "> " } else { "" };
        out.line(&format!("{mark}{text}"));
    }
}

fn list(models: &[String]) -> String {
    if models.is_empty() { "-".to_owned() } else { models.join(", ") }
}
