//! Follows one JSON object character by character and picks a call's name and arguments out of it while they come.

/// What a character did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Go on.
    More,
    /// That was the object's last character.
    End,
    /// This is no JSON object.
    Wrong,
}

/// Deepest nesting.
const MAX_DEPTH: usize = 128;
/// Longest key or name that is kept, in bytes; a longer one is no call's.
const MAX_NAME: usize = 256;

/// Looks for `name` and `arguments` (or `parameters`) at the first level.
#[derive(Clone, Debug, Default)]
pub(super) struct CallScan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// At the first level: a key is complete and its colon has come.
    in_value: bool,
    key: String,
    /// The text of a string being read at the first level, with its quotes and escapes.
    text: String,
    /// Brackets that are open.
    open: Vec<char>,
    /// The function's name, once it is complete.
    pub name: Option<String>,
    /// The arguments so far, as they came.
    pub arguments: String,
    /// Whether arguments have begun.
    pub has_arguments: bool,
}

impl CallScan {
    fn wants_arguments(&self) -> bool {
        self.in_value && matches!(self.key.as_str(), "arguments" | "parameters")
    }

    /// Whether no value is open below the first level.
    pub(super) fn at_top(&self) -> bool {
        self.depth == 1 && !self.in_string
    }

    pub(super) fn push(&mut self, c: char) -> Step {
        if self.depth == 0 {
            return match c {
                '{' => {
                    self.depth = 1;
                    self.open.push('}');
                    Step::More
                }
                c if c.is_whitespace() => Step::More,
                _ => Step::Wrong,
            };
        }
        if self.in_string {
            return self.string(c);
        }
        let top = self.depth == 1;
        match c {
            '"' => {
                self.in_string = true;
                if top {
                    self.text.clear();
                }
                self.keep(c);
            }
            '{' | '[' => {
                if (top && !self.in_value) || self.depth >= MAX_DEPTH {
                    return Step::Wrong;
                }
                self.keep(c);
                self.depth += 1;
                self.open.push(if c == '{' { '}' } else { ']' });
            }
            '}' | ']' => {
                if self.open.pop() != Some(c) {
                    return Step::Wrong;
                }
                self.depth -= 1;
                if self.depth == 0 {
                    return Step::End;
                }
                self.keep(c);
            }
            ':' if top && !self.in_value => {
                self.key = serde_json::from_str(&self.text).unwrap_or_default();
                self.in_value = true;
                self.text.clear();
            }
            ',' if top => {
                if !self.in_value {
                    return Step::Wrong;
                }
                self.in_value = false;
                self.text.clear();
            }
            c if top && !self.in_value && !c.is_whitespace() => return Step::Wrong,
            // White space before and after the value is no part of it.
            c if top && c.is_whitespace() => {}
            c => self.keep(c),
        }
        Step::More
    }

    fn string(&mut self, c: char) -> Step {
        self.keep(c);
        if self.escaped {
            self.escaped = false;
        } else if c == '\\' {
            self.escaped = true;
        } else if c == '"' {
            self.in_string = false;
            if self.depth == 1
                && self.in_value
                && matches!(self.key.as_str(), "name" | "function")
                && self.name.is_none()
            {
                self.name = serde_json::from_str::<String>(&self.text).ok().filter(|name| !name.is_empty());
            }
        }
        Step::More
    }

    fn keep(&mut self, c: char) {
        if self.wants_arguments() {
            self.has_arguments = true;
            self.arguments.push(c);
        } else if self.depth == 1 && self.in_string && self.text.len() < MAX_NAME {
            self.text.push(c);
        }
    }

    /// Arguments that the model wrote as a JSON text inside a string, taken out of it. Only such a value waits for its end.
    pub(super) fn arguments_are_text(&self) -> bool {
        self.arguments.starts_with('"')
    }

    /// The text inside such a string.
    pub(super) fn unwrapped(&self) -> String {
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| self.arguments.clone())
    }
}
