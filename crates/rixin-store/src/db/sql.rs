//! A statement and its values, before it is known which database runs it.

use std::borrow::Cow;

use sqlx::{AssertSqlSafe, Postgres, Sqlite, postgres::PgArguments, query::Query, sqlite::SqliteArguments};

use crate::Error;

/// A value of one of the types that the store keeps. Null has a type too: Postgres asks for it.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Real(Option<f64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! arg {
    ($variant:ident, $($from:ty),*) => {$(
        impl From<$from> for Arg {
            fn from(value: $from) -> Self {
                Arg::$variant(Some(value.into()))
            }
        }
        impl From<Option<$from>> for Arg {
            fn from(value: Option<$from>) -> Self {
                Arg::$variant(value.map(Into::into))
            }
        }
    )*};
}
arg!(Int, i64, i32, u32, bool);
arg!(Real, f64);
arg!(Text, String, &str, &String);
arg!(Bytes, Vec<u8>, &[u8]);

impl From<&Option<String>> for Arg {
    fn from(value: &Option<String>) -> Self {
        Arg::Text(value.clone())
    }
}

/// A statement with its values. The text is the program's own: whatever comes from outside is bound.
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    args: Vec<Arg>,
    locking: &'static str,
}

/// A statement; its values follow with [`Sql::bind`] in the order of `$1`, `$2` ...
pub(crate) fn sql(text: &'static str) -> Sql {
    Sql { text: Cow::Borrowed(text), args: Vec::new(), locking: "" }
}

impl Sql {
    /// The next value.
    pub fn bind(mut self, value: impl Into<Arg>) -> Self {
        self.args.push(value.into());
        self
    }

    /// More text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// A placeholder and its value.
    pub fn push_bind(&mut self, value: impl Into<Arg>) -> &mut Self {
        self.args.push(value.into());
        let number = self.args.len();
        self.text.to_mut().push_str(&format!("${number}"));
        self
    }

    /// Locks the rows that are read until the transaction ends; rows that only refer to them can still be added. On SQLite the
    /// transaction is alone anyway.
    pub fn locking(mut self) -> Self {
        self.locking = " FOR NO KEY UPDATE";
        self
    }

    /// The same, leaving out rows that somebody else has locked.
    pub fn claiming(mut self) -> Self {
        self.locking = " FOR NO KEY UPDATE SKIP LOCKED";
        self
    }

    /// Refuses what Postgres can't keep and SQLite would cut off in some of its functions: a text with a zero character.
    pub(super) fn check(&self) -> Result<(), Error> {
        let has_zero = |arg: &Arg| matches!(arg, Arg::Text(Some(text)) if text.contains('\0'));
        if self.args.iter().any(has_zero) {
            return Err(Error::Invalid {
                param: "text",
                en: "it has the character U+0000, which can't be stored",
                zh: "其中含有无法存储的字符 U+0000",
            });
        }
        Ok(())
    }

    pub(super) fn sqlite(self) -> Query<'static, Sqlite, SqliteArguments> {
        let mut query = match self.text {
            Cow::Borrowed(text) => sqlx::query(text),
            Cow::Owned(text) => sqlx::query(AssertSqlSafe(text)),
        };
        for arg in self.args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Real(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }

    pub(super) fn postgres(self) -> Query<'static, Postgres, PgArguments> {
        let mut query = match self.text {
            Cow::Borrowed(text) if self.locking.is_empty() => sqlx::query(text),
            text => sqlx::query(AssertSqlSafe(format!("{text}{}", self.locking))),
        };
        for arg in self.args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Real(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }
}
