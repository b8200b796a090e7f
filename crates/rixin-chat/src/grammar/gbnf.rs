//! The reader of GBNF, equal to llama.cpp's (src/llama-grammar.cpp) in what it accepts, but for token terminals (`<[42]>`),
//! which are refused; it measures before it builds.

use std::collections::HashMap;

use super::GrammarError;

/// The longest grammar, in bytes.
const MAX_BYTES: usize = 512 << 10;
/// Most elements after repetitions are written out.
const MAX_ELEMENTS: usize = 200_000;
/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 64;
/// llama.cpp's limit of one repetition.
const MAX_REPEAT: u64 = 2000;

/// One element of an alternative.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Element {
    /// Another rule.
    Rule(u32),
    /// One character in (or, negated, outside) these inclusive ranges.
    Char { ranges: Vec<(u32, u32)>, negated: bool },
}

pub(super) type Sequence = Vec<Element>;

/// A place in the rules: rule, alternative, element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub(super) rule: u32,
    pub(super) alternative: u32,
    pub(super) element: u32,
}

/// The rules of a grammar, with repetitions and groups written out as rules of their own.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) rules: Vec<Vec<Sequence>>,
    pub(super) root: u32,
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    names: HashMap<String, u32>,
    rules: Vec<Option<Vec<Sequence>>>,
    first_use: Vec<usize>,
    elements: usize,
    /// How many rules the item before a repetition stands for, as llama.cpp counts it.
    weight: u64,
}

impl Rules {
    /// Reads and measures.
    ///
    /// # Errors
    /// See [`GrammarError`].
    pub fn parse(source: &str) -> Result<Self, GrammarError> {
        if source.len() > MAX_BYTES {
            return Err(GrammarError::unusable(
                format!("it has {} bytes, at most {MAX_BYTES} are possible", source.len()),
                format!("共 {} 字节，最多 {MAX_BYTES} 字节", source.len()),
            ));
        }
        if source.contains('\0') {
            return Err(GrammarError::unusable("it holds a NUL character", "含有 NUL 字符"));
        }
        let mut reader = Reader {
            source,
            at: 0,
            names: HashMap::new(),
            rules: Vec::new(),
            first_use: Vec::new(),
            elements: 0,
            weight: 1,
        };
        reader.space(true);
        while !reader.rest().is_empty() {
            reader.rule()?;
        }
        reader.finish()
    }
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn fail<T>(&self, at: usize, en: impl Into<String>, zh: impl Into<String>) -> Result<T, GrammarError> {
        let before = &self.source[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Err(GrammarError::Syntax {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            near: self.source[at..].chars().take(24).take_while(|c| *c != '\n').collect(),
            en: en.into(),
            zh: zh.into(),
        })
    }

    /// Skips blanks and comments, and line ends where they mean nothing.
    fn space(&mut self, newlines: bool) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\r' | b'\n' if newlines => self.at += 1,
                b'#' => {
                    let rest = self.rest();
                    self.at += rest.find(['\r', '\n']).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
    }

    fn name(&mut self) -> Result<&'a str, GrammarError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(rest.len());
        if end == 0 {
            return self.fail(
                self.at,
                "a rule's name is needed here: letters a-z, A-Z, digits and '-' (no '_')",
                "此处需要规则名：由 a-z、A-Z、数字和 '-' 组成（不能用 '_'）",
            );
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn id(&mut self, name: &str) -> u32 {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.fresh();
        self.names.insert(name.to_owned(), id);
        id
    }

    fn fresh(&mut self) -> u32 {
        self.rules.push(None);
        self.first_use.push(self.at);
        (self.rules.len() - 1) as u32
    }

    fn grow(&mut self, by: usize) -> Result<(), GrammarError> {
        self.elements = self.elements.saturating_add(by);
        if self.elements > MAX_ELEMENTS {
            return self.fail(
                self.at,
                format!("up to here the rules, with their repetitions written out, have over {MAX_ELEMENTS} elements: repeat less"),
                format!("展开重复后，到此处规则已超过 {MAX_ELEMENTS} 个元素：请减少重复"),
            );
        }
        Ok(())
    }

    fn rule(&mut self) -> Result<(), GrammarError> {
        let start = self.at;
        let name = self.name()?;
        let id = self.id(name);
        self.space(false);
        if !self.rest().starts_with("::=") {
            return self.fail(self.at, "'::=' is needed after a rule's name", "规则名之后需要 '::='");
        }
        if self.rules[id as usize].is_some() {
            return self.fail(start, "this rule is defined twice", "该规则重复定义");
        }
        self.at += 3;
        self.space(true);
        let alternatives = self.alternatives(0)?;
        self.rules[id as usize] = Some(alternatives);
        match self.peek() {
            None | Some(b'\r' | b'\n') => {
                self.space(true);
                Ok(())
            }
            Some(_) => self.fail(
                self.at,
                "this can't stand here: an item, '|' or a line end is needed",
                "此处不能出现该内容：需要规则项、'|' 或换行",
            ),
        }
    }

    fn alternatives(&mut self, depth: usize) -> Result<Vec<Sequence>, GrammarError> {
        if depth > MAX_DEPTH {
            return self.fail(
                self.at,
                format!("parentheses are nested over {MAX_DEPTH} deep"),
                format!("括号嵌套超过 {MAX_DEPTH} 层"),
            );
        }
        let mut all = vec![self.sequence(depth)?];
        while self.peek() == Some(b'|') {
            self.at += 1;
            self.space(true);
            all.push(self.sequence(depth)?);
        }
        Ok(all)
    }

    fn sequence(&mut self, depth: usize) -> Result<Sequence, GrammarError> {
        let nested = depth > 0;
        let mut out: Sequence = Vec::new();
        let mut last = 0;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    last = out.len();
                    self.weight = 1;
                    self.at += 1;
                    while self.peek() != Some(b'"') {
                        let c = self.character()?;
                        self.grow(1)?;
                        out.push(Element::Char { ranges: vec![(c, c)], negated: false });
                    }
                    self.at += 1;
                }
                b'[' => {
                    last = out.len();
                    self.weight = 1;
                    let class = self.class()?;
                    out.push(class);
                }
                b'.' => {
                    last = out.len();
                    self.weight = 1;
                    self.at += 1;
                    self.grow(1)?;
                    out.push(Element::Char { ranges: vec![(0, 0x10_FFFF)], negated: false });
                }
                b'(' => {
                    self.at += 1;
                    self.space(true);
                    let before = self.rules.len();
                    let id = self.fresh();
                    let start = self.at;
                    let inner = self.alternatives(depth + 1)?;
                    self.rules[id as usize] = Some(inner);
                    self.weight = (self.rules.len() - before).max(1) as u64;
                    if self.peek() != Some(b')') {
                        return self.fail(
                            start.saturating_sub(1),
                            "this '(' is never closed",
                            "该 '(' 没有闭合",
                        );
                    }
                    self.at += 1;
                    self.grow(1)?;
                    last = out.len();
                    out.push(Element::Rule(id));
                }
                b'*' | b'+' | b'?' | b'{' => self.repetition(byte, &mut out, last)?,
                b'<' | b'!' => {
                    return self.fail(
                        self.at,
                        "token terminals (<...>) are not supported: write the text as a literal",
                        "不支持词元终结符（<...>）：请改用字面文本",
                    );
                }
                b if b.is_ascii_alphanumeric() || b == b'-' => {
                    let name = self.name()?;
                    let id = self.id(name);
                    self.weight = 1;
                    self.grow(1)?;
                    last = out.len();
                    out.push(Element::Rule(id));
                }
                _ => break,
            }
            self.space(nested);
        }
        Ok(out)
    }

    fn class(&mut self) -> Result<Element, GrammarError> {
        let start = self.at;
        self.at += 1;
        let negated = self.peek() == Some(b'^');
        if negated {
            self.at += 1;
        }
        let mut ranges = Vec::new();
        while self.peek() != Some(b']') {
            let low = self.character()?;
            let mut high = low;
            let rest = self.rest().as_bytes();
            if rest.first() == Some(&b'-') && rest.get(1).is_some_and(|b| *b != b']') {
                self.at += 1;
                high = self.character()?;
                if high < low {
                    return self.fail(
                        start,
                        "a range of this class runs backwards",
                        "该字符类中有反向的范围",
                    );
                }
            }
            self.grow(2)?;
            ranges.push((low, high));
        }
        self.at += 1;
        if ranges.is_empty() {
            return self.fail(start, "a character class is empty", "字符类为空");
        }
        Ok(Element::Char { ranges, negated })
    }

    fn character(&mut self) -> Result<u32, GrammarError> {
        let start = self.at;
        let Some(c) = self.rest().chars().next() else {
            return self.fail(
                start,
                "the grammar ends inside a literal or a character class",
                "语法在字面文本或字符类中间结束",
            );
        };
        self.at += c.len_utf8();
        if c != '\\' {
            return Ok(u32::from(c));
        }
        let escape = self.peek();
        self.at += usize::from(escape.is_some_and(|b| b.is_ascii()));
        let digits = match escape {
            Some(b't') => return Ok(9),
            Some(b'r') => return Ok(13),
            Some(b'n') => return Ok(10),
            Some(b @ (b'\\' | b'"' | b'[' | b']' | b'-')) => return Ok(u32::from(b)),
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => {
                return self.fail(
                    start,
                    "this escape is unknown; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\xNN \\uNNNN \\UNNNNNNNN",
                    "未知的转义；可用 \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\xNN \\uNNNN \\UNNNNNNNN",
                );
            }
        };
        let value = self.rest().get(..digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match value.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
            Some(value) if value <= 0x10_FFFF => {
                self.at += digits;
                Ok(value)
            }
            _ => self.fail(
                start,
                format!("{digits} hexadecimal digits of a character's code are needed"),
                format!("需要 {digits} 位十六进制字符编码"),
            ),
        }
    }

    fn number(&mut self) -> Result<u64, GrammarError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match rest[..end].parse::<u64>() {
            Ok(number) if number <= MAX_REPEAT => {
                self.at += end;
                self.space(true);
                Ok(number)
            }
            Ok(_) => self.over_repeat(),
            Err(_) if end > 0 => self.over_repeat(),
            Err(_) => self.fail(self.at, "a number is needed here", "此处需要一个数字"),
        }
    }

    fn over_repeat<T>(&self) -> Result<T, GrammarError> {
        self.fail(
            self.at,
            format!("a repetition has at most {MAX_REPEAT} times"),
            format!("重复次数最多为 {MAX_REPEAT}"),
        )
    }

    /// `S{m,n}` becomes m times S and a chain of n-m optional rules, `S*` a rule that refers to itself, as in llama.cpp.
    fn repetition(&mut self, mark: u8, out: &mut Sequence, last: usize) -> Result<(), GrammarError> {
        let start = self.at;
        if last == out.len() {
            return self.fail(start, "nothing stands before this repetition", "该重复符号之前没有内容");
        }
        self.at += 1;
        let (min, max) = match mark {
            b'*' => (0, None),
            b'+' => (1, None),
            b'?' => (0, Some(1)),
            _ => {
                self.space(true);
                let min = self.number()?;
                let mut max = Some(min);
                if self.peek() == Some(b',') {
                    self.at += 1;
                    self.space(true);
                    max = if self.peek().is_some_and(|b| b.is_ascii_digit()) {
                        Some(self.number()?)
                    } else {
                        None
                    };
                }
                if self.peek() != Some(b'}') {
                    return self.fail(self.at, "'}' is needed here", "此处需要 '}'");
                }
                self.at += 1;
                (min, max)
            }
        };
        if max.is_some_and(|max| max < min) {
            return self.fail(start, "the most times are fewer than the least times", "最多次数小于最少次数");
        }
        let times = max.filter(|max| *max > 0).unwrap_or(min).max(1);
        self.weight = self.weight.saturating_mul(times);
        if self.weight > MAX_REPEAT {
            return self.fail(
                start,
                format!("repetitions inside each other make over {MAX_REPEAT} rules: repeat less"),
                format!("嵌套的重复展开后超过 {MAX_REPEAT} 条规则：请减少重复"),
            );
        }
        let item: Sequence = out[last..].to_vec();
        let size: usize = item.iter().map(element_size).sum();
        let optional = max.map_or(1, |max| max - min);
        self.grow(size.saturating_mul((min + optional) as usize) + 2 * optional as usize)?;
        if min == 0 {
            out.truncate(last);
        }
        for _ in 1..min {
            out.extend(item.iter().cloned());
        }
        let mut chain: Option<u32> = None;
        for _ in 0..optional {
            let id = self.fresh();
            let mut sequence = item.clone();
            if max.is_none() {
                sequence.push(Element::Rule(id));
            } else if let Some(next) = chain {
                sequence.push(Element::Rule(next));
            }
            self.rules[id as usize] = Some(vec![sequence, Vec::new()]);
            chain = Some(id);
        }
        out.extend(chain.map(Element::Rule));
        Ok(())
    }

    fn finish(self) -> Result<Rules, GrammarError> {
        let Some(root) = self.names.get("root").copied() else {
            return Err(GrammarError::unusable("it has no rule 'root'", "缺少规则 'root'"));
        };
        let names: HashMap<u32, &str> = self.names.iter().map(|(name, id)| (*id, name.as_str())).collect();
        let mut rules = Vec::with_capacity(self.rules.len());
        for (id, rule) in self.rules.iter().enumerate() {
            match rule {
                Some(rule) => rules.push(rule.clone()),
                None => {
                    let name = names.get(&(id as u32)).copied().unwrap_or_default();
                    return self.fail(
                        self.first_use[id].saturating_sub(name.len()),
                        format!("the rule '{name}' is used and not defined"),
                        format!("规则 '{name}' 被引用但没有定义"),
                    );
                }
            }
        }
        let rules = Rules { rules, root };
        rules.check_recursion(&names)?;
        Ok(rules)
    }
}

fn element_size(element: &Element) -> usize {
    match element {
        Element::Rule(_) => 1,
        Element::Char { ranges, .. } => 2 * ranges.len(),
    }
}
