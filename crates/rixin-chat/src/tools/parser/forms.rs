//! The ways between and after calls, one a form.

use super::{
    super::tagged::{Tagged, TaggedStep},
    ARGS, After, DS_CALL, DS_CALL_END, DS_END, DS_SEP, MAX_NAME, Parser, State,
};

impl Parser {
    pub(super) fn mistral(&mut self, in_list: bool, last: bool) -> bool {
        let waiting = State::Mistral { in_list };
        let trimmed = self.buffer.trim_start_matches(|c: char| c.is_whitespace() || (in_list && c == ','));
        let skipped = self.buffer.len() - trimmed.len();
        match trimmed.chars().next() {
            None => {
                self.state = waiting;
                return false;
            }
            Some('[') if !in_list && !trimmed.starts_with(ARGS) => {
                self.take_raw(skipped + 1);
                self.state = State::Mistral { in_list: true };
                return true;
            }
            Some('{') => {
                self.take_raw(skipped);
                return self.open_json(if in_list { After::MistralList } else { After::Mistral }, false);
            }
            Some(']') if in_list => {
                self.buffer.drain(..skipped + 1);
                self.raw.clear();
                self.end_calls();
                return true;
            }
            Some(_) if in_list => {
                self.give_up();
                return true;
            }
            Some(_) => {}
        }
        // `name[ARGS]{..}`, with an id in between in some versions: `name[CALL_ID]id[ARGS]`.
        if let Some(at) = self.buffer.find(ARGS) {
            let name = self.buffer[..at].split('[').next().unwrap_or_default().trim().to_owned();
            self.take_raw(at + ARGS.len());
            if name.is_empty() || name.len() > MAX_NAME {
                self.give_up();
            } else {
                self.open_arguments(&name, After::Mistral);
            }
            return true;
        }
        if self.buffer.len() > 2 * MAX_NAME || last {
            self.give_up();
            return true;
        }
        self.state = waiting;
        false
    }

    pub(super) fn llama(&mut self, last: bool) -> bool {
        let trimmed = self.buffer.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        if trimmed.is_empty() && !last {
            self.state = State::Llama;
            return false;
        }
        let skipped = self.buffer.len() - trimmed.len();
        if trimmed.starts_with('{') {
            self.take_raw(skipped);
            return self.open_json(After::Llama, true);
        }
        self.buffer.drain(..skipped);
        self.end_calls();
        true
    }

    pub(super) fn deepseek(&mut self, last: bool) -> bool {
        let trimmed = self.buffer.trim_start();
        if let Some(rest) = trimmed.strip_prefix(DS_END) {
            self.buffer = rest.to_owned();
            self.raw.clear();
            self.end_calls();
            return true;
        }
        if !trimmed.starts_with(DS_CALL) {
            if (DS_CALL.starts_with(trimmed) || DS_END.starts_with(trimmed)) && !last {
                self.state = State::DeepSeek;
                return false;
            }
            self.give_up();
            return true;
        }
        // `function<sep>name\n```json\n{` or `name<sep>{`
        let start = self.buffer.len() - trimmed.len() + DS_CALL.len();
        let body = &self.buffer[start..];
        let Some(open) = body.find('{') else {
            if body.len() > 2 * MAX_NAME || last {
                self.give_up();
                return true;
            }
            self.state = State::DeepSeek;
            return false;
        };
        let (before, after) = body[..open].split_once(DS_SEP).unwrap_or((&body[..open], ""));
        let name = match after.split_whitespace().next() {
            Some(name) if before.trim() == "function" => name,
            _ => before.trim(),
        };
        let name = name.to_owned();
        self.take_raw(start + open);
        if name.is_empty() || name.len() > MAX_NAME {
            self.give_up();
        } else {
            self.open_arguments(&name, After::DeepSeek);
        }
        true
    }

    pub(super) fn deepseek_close(&mut self) -> bool {
        if let Some(at) = self.buffer.find(DS_CALL_END) {
            self.buffer.drain(..at + DS_CALL_END.len());
            self.state = State::DeepSeek;
            return true;
        }
        // Only the fence stands between the arguments and the mark.
        if self.buffer.len() > 2 * MAX_NAME {
            self.end_calls();
            return true;
        }
        self.state = State::DeepSeekClose;
        false
    }

    pub(super) fn tagged(&mut self, mut tagged: Box<Tagged>) -> bool {
        match tagged.step(&mut self.buffer, &mut self.raw, &self.options.functions) {
            TaggedStep::Wait => {
                self.state = State::Tagged(tagged);
                false
            }
            TaggedStep::Start(name) => {
                self.start_call(name);
                self.state = State::Tagged(tagged);
                true
            }
            TaggedStep::Arguments(text) => {
                self.arguments(self.calls.saturating_sub(1), text);
                self.state = State::Tagged(tagged);
                true
            }
            TaggedStep::End(text) => {
                self.arguments(self.calls.saturating_sub(1), text);
                self.end_calls();
                true
            }
            TaggedStep::Wrong => {
                self.give_up();
                true
            }
        }
    }
}
