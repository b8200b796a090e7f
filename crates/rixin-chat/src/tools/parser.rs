//! Splits a model's text, in whatever pieces it comes, into thinking, answer and calls.
//!
//! What comes out does not depend on the pieces. What might be the start of a mark is held back until it is one or not; what looked
//! like a call and is none comes out as content, so that nothing is lost.

mod forms;

use super::{
    Format,
    json_scan::{CallScan, Step},
    tagged::Tagged,
};

/// Most calls of one answer; more are dropped.
const MAX_CALLS: u32 = 128;
/// Longest name of a function in a mark, in bytes.
const MAX_NAME: usize = 256;

const THINK: &str = "<think>";
const END_THINK: &str = "</think>";
const PYTHON_TAG: &str = "<|python_tag|>";
const CALL_END: &str = "</tool_call>";
const ARGS: &str = "[ARGS]";
const DS_CALL: &str = "<｜tool▁call▁begin｜>";
const DS_SEP: &str = "<｜tool▁sep｜>";
const DS_CALL_END: &str = "<｜tool▁call▁end｜>";
const DS_END: &str = "<｜tool▁calls▁end｜>";

/// A piece of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Text for the person.
    Content(String),
    /// The model's thinking.
    Reasoning(String),
    /// A call begins.
    CallStart {
        /// Its place, from 0.
        index: u32,
        /// The function.
        name: String,
    },
    /// More of a call's arguments, as JSON text.
    CallArguments {
        /// The call's place.
        index: u32,
        /// The piece.
        text: String,
    },
}

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct ParserOptions {
    /// The form of calls; `None` where there are no tools: then no text is taken for a call.
    pub format: Option<Format>,
    /// The functions, each with the names of its parameters that are texts.
    pub functions: Vec<(String, Vec<String>)>,
    /// The model thinks aloud between `<think>` and `</think>`.
    pub reasoning: bool,
    /// The prompt ended inside `<think>`.
    pub in_reasoning: bool,
    /// One call at most.
    pub single: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Before anything but white space.
    Start,
    Reasoning,
    Content,
    /// A call's JSON.
    Json(Box<JsonCall>),
    /// White space, then `</tool_call>`.
    Close,
    /// After Mistral's mark.
    Mistral {
        in_list: bool,
    },
    /// Between Llama's calls.
    Llama,
    /// Between DeepSeek's calls.
    DeepSeek,
    /// After a DeepSeek call's arguments.
    DeepSeekClose,
    Tagged(Box<Tagged>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Close,
    MistralList,
    Mistral,
    Llama,
    DeepSeek,
}

#[derive(Clone, Debug)]
struct JsonCall {
    scan: CallScan,
    /// Bytes of the arguments that are out.
    sent: usize,
    index: Option<u32>,
    after: After,
    /// Without a mark: only a function that exists makes it a call.
    bare: bool,
    /// Name came before the JSON; the JSON is the arguments alone.
    arguments_alone: bool,
}

/// The parser. Feed it with [`Parser::push`], end it with [`Parser::finish`].
#[derive(Clone, Debug)]
pub struct Parser {
    options: ParserOptions,
    state: State,
    /// Text that is not decided yet.
    buffer: String,
    /// What a call that is not certain yet was read from.
    raw: String,
    out: Vec<Delta>,
    calls: u32,
    has_content: bool,
    after_call: bool,
    /// Drop white space before more thinking or content.
    trim: bool,
}

impl Parser {
    /// A parser at the start of an answer.
    pub fn new(options: ParserOptions) -> Self {
        let state = match (options.reasoning, options.in_reasoning) {
            (true, true) => State::Reasoning,
            (true, false) => State::Start,
            _ => State::Content,
        };
        let trim = matches!(state, State::Reasoning);
        Self {
            options,
            state,
            buffer: String::new(),
            raw: String::new(),
            out: Vec::new(),
            calls: 0,
            has_content: false,
            after_call: false,
            trim,
        }
    }

    /// How many calls have begun.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// Takes more text; gives what is certain.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        self.buffer.push_str(text);
        while self.step(false) {}
        self.flush_arguments();
        std::mem::take(&mut self.out)
    }

    /// The end of the text: gives what was held back.
    pub fn finish(&mut self) -> Vec<Delta> {
        while self.step(true) {}
        self.flush_arguments();
        let rest = std::mem::take(&mut self.buffer);
        let raw = std::mem::take(&mut self.raw);
        match &self.state {
            State::Json(call) if call.index.is_some() => {}
            State::Tagged(tagged) if tagged.started() => {
                let tail = tagged.finish();
                self.arguments(self.calls.saturating_sub(1), tail);
            }
            // An answer that was cut off inside its second call: the start of a call is no news for the person.
            State::Json(_) | State::Mistral { .. } | State::DeepSeek | State::DeepSeekClose
                if self.calls > 0 => {}
            _ => self.content(raw + &rest),
        }
        self.state = State::Content;
        std::mem::take(&mut self.out)
    }

    fn content(&mut self, text: String) {
        let text = if self.trim { text.trim_start().to_owned() } else { text };
        if text.is_empty() {
            return;
        }
        self.trim = false;
        self.has_content = true;
        match self.out.last_mut() {
            Some(Delta::Content(last)) => last.push_str(&text),
            _ => self.out.push(Delta::Content(text)),
        }
    }

    fn reasoning(&mut self, text: &str) {
        let text = if self.trim { text.trim_start() } else { text };
        if text.is_empty() {
            return;
        }
        self.trim = false;
        self.out.push(Delta::Reasoning(text.to_owned()));
    }

    fn arguments(&mut self, index: u32, text: String) {
        if text.is_empty() || self.suppressed(index) {
            return;
        }
        match self.out.last_mut() {
            Some(Delta::CallArguments { index: last, text: more }) if *last == index => more.push_str(&text),
            _ => self.out.push(Delta::CallArguments { index, text }),
        }
    }

    fn suppressed(&self, index: u32) -> bool {
        index >= if self.options.single { 1 } else { MAX_CALLS }
    }

    fn start_call(&mut self, name: String) -> u32 {
        let index = self.calls;
        if !self.suppressed(index) {
            self.out.push(Delta::CallStart { index, name });
        }
        self.calls += 1;
        self.raw.clear();
        index
    }

    /// One decision; false when more text is needed.
    fn step(&mut self, last: bool) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        match std::mem::replace(&mut self.state, State::Content) {
            State::Start => self.start(last),
            State::Reasoning => self.think(last),
            State::Content => self.text(last),
            State::Json(call) => self.json(call),
            State::Close => {
                if self.expect(CALL_END, last, State::Close) == Some(true) {
                    self.end_calls();
                }
                self.moved(&State::Close)
            }
            State::Mistral { in_list } => self.mistral(in_list, last),
            State::Llama => self.llama(last),
            State::DeepSeek => self.deepseek(last),
            State::DeepSeekClose => self.deepseek_close(),
            State::Tagged(tagged) => self.tagged(tagged),
        }
    }

    /// Whether the state differs from the one that waits.
    fn moved(&self, waiting: &State) -> bool {
        std::mem::discriminant(&self.state) != std::mem::discriminant(waiting)
    }

    fn end_calls(&mut self) {
        self.after_call = true;
        self.trim = true;
        self.state = State::Content;
    }

    /// Skips white space and takes `mark`: true when it was there, false when something else is, `None` (and the state
    /// `waiting`) while it can't be told.
    fn expect(&mut self, mark: &str, last: bool, waiting: State) -> Option<bool> {
        let trimmed = self.buffer.trim_start();
        if let Some(rest) = trimmed.strip_prefix(mark) {
            self.buffer = rest.to_owned();
            return Some(true);
        }
        if mark.starts_with(trimmed) && !last {
            self.state = waiting;
            return None;
        }
        self.end_calls();
        Some(false)
    }

    fn start(&mut self, last: bool) -> bool {
        let trimmed = self.buffer.trim_start();
        if let Some(rest) = trimmed.strip_prefix(THINK) {
            self.buffer = rest.to_owned();
            self.trim = true;
            self.state = State::Reasoning;
            return true;
        }
        let waits = THINK.starts_with(trimmed) && !last;
        self.state = if waits { State::Start } else { State::Content };
        !waits
    }

    fn think(&mut self, last: bool) -> bool {
        if let Some(at) = self.buffer.find(END_THINK) {
            let text = self.buffer[..at].trim_end().to_owned();
            self.reasoning(&text);
            self.buffer.drain(..at + END_THINK.len());
            self.trim = true;
            self.state = State::Content;
            return true;
        }
        let keep = if last { 0 } else { held(&self.buffer, &[END_THINK]) };
        let ready = self.buffer.len() - keep;
        let text: String = self.buffer.drain(..ready).collect();
        self.reasoning(&text);
        self.state = State::Reasoning;
        false
    }

    fn text(&mut self, last: bool) -> bool {
        let Some(format) = self.options.format else {
            let text = std::mem::take(&mut self.buffer);
            // After thinking only: white space there may go on in the next piece, and `trim` stays set.
            self.content(text);
            return false;
        };
        if matches!(format, Format::Llama3 | Format::Generic) && !self.has_content && self.calls == 0 {
            let trimmed = self.buffer.trim_start();
            if trimmed.is_empty() && !last {
                return false;
            }
            if trimmed.starts_with('{') {
                let after = if format == Format::Llama3 { After::Llama } else { After::Close };
                return self.open_json(after, true);
            }
        }
        let marks: &[&str] = match format.opening() {
            Some(mark) => &[mark],
            None => &[PYTHON_TAG],
        };
        let found = marks.iter().filter_map(|mark| self.buffer.find(mark).map(|at| (at, *mark))).min();
        if let Some((at, mark)) = found {
            let text = self.buffer[..at].trim_end().to_owned();
            self.content(text);
            self.raw = mark.to_owned();
            self.buffer.drain(..at + mark.len());
            self.state = match format {
                Format::Hermes | Format::Generic => return self.open_json(After::Close, false),
                Format::Llama3 => return self.open_json(After::Llama, false),
                Format::Mistral | Format::MistralArgs => State::Mistral { in_list: false },
                Format::DeepSeek | Format::DeepSeek31 => State::DeepSeek,
                Format::Glm | Format::QwenXml => State::Tagged(Box::new(Tagged::new(format == Format::Glm))),
            };
            return true;
        }
        let keep = if last { 0 } else { held(&self.buffer, marks) };
        let ready = self.buffer.len() - keep;
        let text: String = self.buffer.drain(..ready).collect();
        self.content(text);
        false
    }

    fn open_json(&mut self, after: After, bare: bool) -> bool {
        self.state = State::Json(Box::new(JsonCall {
            scan: CallScan::default(),
            sent: 0,
            index: None,
            after,
            bare,
            arguments_alone: false,
        }));
        true
    }

    /// The JSON after a name that stood outside it.
    fn open_arguments(&mut self, name: &str, after: After) {
        let mut scan = CallScan::default();
        let head = format!("{{\"name\":{},\"arguments\":", serde_json::Value::from(name));
        for c in head.chars() {
            scan.push(c);
        }
        let call = JsonCall { scan, sent: 0, index: None, after, bare: false, arguments_alone: true };
        self.state = State::Json(Box::new(call));
    }

    fn json(&mut self, mut call: Box<JsonCall>) -> bool {
        let mut used = 0;
        let mut step = Step::More;
        for c in self.buffer.chars() {
            if call.arguments_alone && !call.scan.has_arguments && !c.is_whitespace() && c != '{' {
                step = Step::Wrong;
                break;
            }
            step = call.scan.push(c);
            if step == Step::Wrong {
                break;
            }
            used += c.len_utf8();
            if call.arguments_alone && call.scan.has_arguments && call.scan.at_top() {
                step = Step::End;
            }
            if step == Step::End {
                break;
            }
        }
        let taken: String = self.buffer.drain(..used).collect();
        if call.index.is_none() {
            self.raw.push_str(&taken);
            if let Some(name) = &call.scan.name {
                if call.bare && !self.options.functions.iter().any(|(known, _)| known == name) {
                    step = Step::Wrong;
                } else {
                    call.index = Some(self.start_call(name.clone()));
                }
            } else if step == Step::End {
                step = Step::Wrong;
            }
        }
        match step {
            Step::More => {
                self.state = State::Json(call);
                false
            }
            Step::End => {
                if let Some(index) = call.index {
                    let text = if !call.scan.has_arguments {
                        "{}".to_owned()
                    } else if call.scan.arguments_are_text() {
                        call.scan.unwrapped()
                    } else {
                        call.scan.arguments[call.sent..].to_owned()
                    };
                    self.arguments(index, text);
                }
                self.state = match call.after {
                    After::Close => State::Close,
                    After::MistralList => State::Mistral { in_list: true },
                    After::Mistral => {
                        self.end_calls();
                        State::Content
                    }
                    After::Llama => State::Llama,
                    After::DeepSeek => State::DeepSeekClose,
                };
                true
            }
            Step::Wrong => {
                if let Some(index) = call.index {
                    let text = call.scan.arguments[call.sent..].to_owned();
                    self.arguments(index, text);
                    self.end_calls();
                } else {
                    let raw = std::mem::take(&mut self.raw);
                    self.content(raw);
                    // What follows is read as content; a bare object is not tried twice.
                    self.has_content = true;
                    self.state = State::Content;
                }
                true
            }
        }
    }

    /// Arguments that came since the last piece.
    fn flush_arguments(&mut self) {
        let State::Json(call) = &mut self.state else { return };
        let Some(index) = call.index else { return };
        if call.scan.arguments_are_text() {
            return;
        }
        let text = call.scan.arguments[call.sent..].to_owned();
        call.sent = call.scan.arguments.len();
        self.arguments(index, text);
    }

    /// Moves what was read of an uncertain call.
    fn take_raw(&mut self, bytes: usize) {
        let taken: String = self.buffer.drain(..bytes).collect();
        self.raw.push_str(&taken);
    }

    /// Gives up on a call: what was read of it is content.
    fn give_up(&mut self) {
        let raw = std::mem::take(&mut self.raw);
        self.content(raw);
        self.state = State::Content;
    }
}

/// How many bytes at the end must wait: the longest end of `text` that starts one of the marks, and white space before it.
fn held(text: &str, marks: &[&str]) -> usize {
    let partial = marks
        .iter()
        .filter_map(|mark| {
            let longest = mark.len().min(text.len());
            (1..=longest).rev().find(|n| {
                let at = text.len() - n;
                text.is_char_boundary(at) && mark.starts_with(&text[at..])
            })
        })
        .max()
        .unwrap_or(0);
    let before = &text[..text.len() - partial];
    partial + before.len() - before.trim_end().len()
}
