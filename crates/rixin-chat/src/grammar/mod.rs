//! Grammars that an answer follows: GBNF as the user wrote it, or made from a JSON schema.
//!
//! llama.cpp's own parser and sampler trust what they are given: a repetition `{3,2}` loops for ever, nested rules overflow the
//! stack, `a ::= b | b` chains take exponential time, an empty loop eats all memory. So nothing reaches them that
//! [`gbnf::Rules::parse`] has not read, expanded and measured first, and an ambiguous grammar is watched by a [`Matcher`].

mod gbnf;
mod literal;
mod matcher;
mod recursion;
mod schema;

use std::sync::Arc;

use rixin_base::{Code, Explain, Message};

pub use gbnf::{Place, Rules};
pub use literal::{literal, prefixed};
pub use matcher::Matcher;
pub use schema::{MAX_SCHEMA_BYTES, schema_rules};

/// A grammar that llama.cpp can take without harm. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ValidGrammar {
    source: Arc<str>,
    triggers: Arc<[String]>,
    rules: Arc<Rules>,
}

impl ValidGrammar {
    /// The name of the first rule.
    pub const ROOT: &str = "root";

    /// Reads a user's GBNF.
    ///
    /// # Errors
    /// [`GrammarError`] with the line at fault, or the limit that it breaks.
    pub fn gbnf(source: &str) -> Result<Self, GrammarError> {
        let rules = Rules::parse(source)?;
        Ok(Self { source: source.into(), triggers: Arc::new([]), rules: Arc::new(rules) })
    }

    /// Makes a grammar of a JSON schema.
    ///
    /// # Errors
    /// [`GrammarError::Schema`] with the path inside the schema.
    pub fn json_schema(schema: &serde_json::Value) -> Result<Self, GrammarError> {
        Self::gbnf(&schema_rules(schema)?)
    }

    /// Any JSON object.
    ///
    /// # Errors
    /// Only if llama.cpp's own rules for JSON were broken.
    pub fn json_object() -> Result<Self, GrammarError> {
        Self::json_schema(&serde_json::json!({"type": "object"}))
    }

    /// The same grammar, asleep until one of these texts appears in the answer; it then holds from that text's first character on.
    pub fn lazy(mut self, triggers: Vec<String>) -> Self {
        self.triggers = triggers.into();
        self
    }

    /// The grammar as the engine takes it.
    pub fn to_request(&self) -> crate::Grammar {
        let escape = |text: &String| {
            let mut out = String::with_capacity(text.len() + 8);
            for c in text.chars() {
                if c.is_ascii_punctuation() {
                    out.push('\\');
                }
                out.push(c);
            }
            out
        };
        crate::Grammar {
            gbnf: self.source.to_string(),
            root: Self::ROOT.to_owned(),
            triggers: self.triggers.iter().map(escape).collect(),
        }
    }

    /// The GBNF text, with a rule `root`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The texts that wake a lazy grammar; empty for one that holds from the start.
    pub fn triggers(&self) -> &[String] {
        &self.triggers
    }

    /// A matcher at the start of the grammar.
    pub fn matcher(&self) -> Matcher {
        Matcher::new(self.rules.clone())
    }

    /// Whether a whole text follows the grammar.
    ///
    /// # Errors
    /// [`GrammarError::Ambiguous`].
    pub fn matches(&self, text: &str) -> Result<bool, GrammarError> {
        let mut matcher = self.matcher();
        Ok(matcher.push(text)? && matcher.can_end())
    }
}

/// Why a grammar or a schema can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// A mistake in the text.
    #[error("the grammar is wrong at line {line}, column {column} (near {near:?}): {en}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What stands there.
        near: String,
        /// The reason in English.
        en: String,
        /// The reason in Chinese.
        zh: String,
    },
    /// Right in form, but of a kind that can't be used.
    #[error("the grammar can't be used: {en}")]
    Unusable {
        /// The reason in English.
        en: String,
        /// The reason in Chinese.
        zh: String,
    },
    /// A schema that has no grammar.
    #[error("the JSON schema is wrong at {path}: {en}")]
    Schema {
        /// Where, as a JSON pointer with `#` in front.
        path: String,
        /// The reason in English.
        en: String,
        /// The reason in Chinese.
        zh: String,
    },
    /// An answer for which the grammar has too many readings at once.
    #[error("the grammar has over {limit} readings of this answer")]
    Ambiguous {
        /// The most readings that are followed.
        limit: usize,
    },
}

impl GrammarError {
    fn unusable(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::Unusable { en: en.into(), zh: zh.into() }
    }

    fn schema(path: &str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::Schema { path: path.to_owned(), en: en.into(), zh: zh.into() }
    }
}

impl Explain for GrammarError {
    fn code(&self) -> Code {
        Code::InvalidGrammar
    }

    fn message(&self) -> Message {
        let zh = match self {
            Self::Syntax { line, column, near, zh, .. } => {
                format!("语法（GBNF）第 {line} 行第 {column} 列（{near:?} 附近）有误：{zh}")
            }
            Self::Unusable { zh, .. } => format!("该语法（GBNF）无法使用：{zh}"),
            Self::Schema { path, zh, .. } => format!("JSON schema 在 {path} 处有误：{zh}"),
            Self::Ambiguous { limit } => {
                format!("该语法对这段回答有超过 {limit} 种解读：请消除规则之间的歧义")
            }
        };
        let mut en = self.to_string();
        if matches!(self, Self::Ambiguous { .. }) {
            en.push_str(": make its rules unambiguous");
        }
        Message::new(en, zh)
    }
}

#[cfg(test)]
mod tests;
