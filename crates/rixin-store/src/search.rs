//! Search in titles and messages. Words of three and more characters are found by a trigram index (SQLite's FTS5; Postgres' pg_trgm
//! where the server has it); a shorter word, as most Chinese ones are, has no trigram and is looked for in the caller's own messages.

use crate::db::{Dialect, Sql};

const MAX_TERMS: usize = 8;

/// The words of a query, at most eight.
pub(crate) fn terms(text: &str) -> Vec<String> {
    text.split_whitespace()
        .take(MAX_TERMS)
        .map(|term| term.chars().filter(|c| *c != '\0').take(100).collect())
        .collect()
}

/// `LIKE` pattern for a literal text, with `\` as the escape.
pub(crate) fn like(term: &str) -> String {
    let mut pattern = String::with_capacity(term.len() + 2);
    pattern.push('%');
    for c in term.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Adds `AND (title or a message contains term)` to a query over `conversations`; case does not matter.
pub(crate) fn push_condition(list: &mut Sql, dialect: Dialect, term: &str) {
    let like_word = match dialect {
        Dialect::Sqlite => "LIKE ",
        Dialect::Postgres => "ILIKE ",
    };
    list.push(" AND (title ").push(like_word).push_bind(like(term)).push(" ESCAPE '\\' OR ");
    if dialect == Dialect::Sqlite && term.chars().count() >= 3 {
        // A phrase in quotes: nothing in it is FTS5's query language.
        let phrase = format!("\"{}\"", term.replace('"', "\"\""));
        list.push(
            "id IN (SELECT m.conversation_id FROM messages_fts f JOIN messages m ON m.seq = f.rowid \
             WHERE f.content MATCH ",
        );
        list.push_bind(phrase).push(")");
    } else {
        list.push(
            "EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = conversations.id AND m.content ",
        );
        list.push(like_word).push_bind(like(term)).push(" ESCAPE '\\')");
    }
    list.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_literal() {
        assert_eq!(like("50%_\\"), "%50\\%\\_\\\\%");
        assert_eq!(terms("  日新   chat ").as_slice(), ["日新", "chat"]);
        assert_eq!(terms(&"a ".repeat(20)).len(), MAX_TERMS);
    }
}
