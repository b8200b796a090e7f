//! Search in titles and messages. Words of three and more characters are found by the trigram index; a shorter word, as most
//! Chinese ones are, has no trigram and is looked for in the caller's own messages.

use sqlx::{QueryBuilder, Sqlite};

const MAX_TERMS: usize = 8;

/// The words of a query, at most eight.
pub(crate) fn terms(text: &str) -> Vec<String> {
    text.split_whitespace().take(MAX_TERMS).map(|term| term.chars().take(100).collect()).collect()
}

/// `LIKE` pattern for a literal text, with `\` as the escape.
fn like(term: &str) -> String {
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

/// Adds `AND (title or a message contains term)` to a query over `conversations`.
pub(crate) fn push_condition(sql: &mut QueryBuilder<Sqlite>, term: &str) {
    sql.push(" AND (title LIKE ").push_bind(like(term)).push(" ESCAPE '\\' OR ");
    if term.chars().count() >= 3 {
        // A phrase in quotes: nothing in it is FTS5's query language.
        let phrase = format!("\"{}\"", term.replace('"', "\"\""));
        sql.push(
            "id IN (SELECT m.conversation_id FROM messages_fts f JOIN messages m ON m.seq = f.rowid \
             WHERE f.content MATCH ",
        );
        sql.push_bind(phrase).push(")");
    } else {
        sql.push(
            "EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = conversations.id AND m.content LIKE ",
        );
        sql.push_bind(like(term)).push(" ESCAPE '\\')");
    }
    sql.push(")");
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
