//! The tables that a database says it has, and their rows as JSON.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    db::{Dialect, Row, Sql, Tx, sql},
};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Real,
    Text,
    Bytes,
}

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<(String, Kind)>,
    /// A column whose values the database makes.
    pub identity: Option<String>,
}

/// Tables that are not data: the schema's own, and counters by which processes find out that something changed.
const NOT_DATA: &[&str] = &["_sqlx_migrations", "epochs"];

fn kind(declared: &str) -> Option<Kind> {
    match declared.to_ascii_lowercase().as_str() {
        "integer" | "bigint" => Some(Kind::Int),
        "real" | "double precision" => Some(Kind::Real),
        "text" => Some(Kind::Text),
        "blob" | "bytea" => Some(Kind::Bytes),
        _ => None,
    }
}

/// Counts rows and compares them in any order: each database sorts and numbers as it likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub rows: u64,
    mixed: [u8; 32],
}

impl Sum {
    pub fn add(&mut self, line: &str) {
        self.rows += 1;
        let hash = Sha256::digest(line.as_bytes());
        self.mixed.iter_mut().zip(hash).for_each(|(mixed, byte)| *mixed ^= byte);
    }
}

/// All tables of the data, each after those that it refers to.
pub(super) async fn all(tx: &mut Tx, dialect: Dialect) -> Result<Vec<Table>, Error> {
    let (columns, references) = match dialect {
        Dialect::Sqlite => (
            "SELECT l.name AS name, c.name AS column_name, c.type AS declared, 0 AS identity FROM pragma_table_list l \
             JOIN pragma_table_info(l.name) c WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             ORDER BY l.name, c.cid",
            "SELECT l.name AS name, f.\"table\" AS referred FROM pragma_table_list l JOIN pragma_foreign_key_list(l.name) f \
             WHERE l.schema = 'main' AND l.type = 'table'",
        ),
        Dialect::Postgres => (
            "SELECT c.table_name::text AS name, c.column_name::text AS column_name, c.data_type::text AS declared, \
                 CASE WHEN c.is_identity = 'YES' THEN 1::bigint ELSE 0::bigint END AS identity \
             FROM information_schema.columns c JOIN information_schema.tables t \
                 ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE' \
             WHERE c.table_schema = current_schema() ORDER BY c.table_name COLLATE \"C\", c.ordinal_position",
            "SELECT a.relname::text AS name, b.relname::text AS referred FROM pg_constraint k \
             JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid \
             WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace",
        ),
    };
    let mut found: BTreeMap<String, Table> = BTreeMap::new();
    for row in tx.fetch_all(sql(columns)).await? {
        let (name, column): (String, String) =
            (tx.read(row.try_get("name"))?, tx.read(row.try_get("column_name"))?);
        if NOT_DATA.contains(&name.as_str()) {
            continue;
        }
        let declared: String = tx.read(row.try_get("declared"))?;
        let identity: i64 = tx.read(row.try_get("identity"))?;
        let Some(kind) = kind(&declared) else {
            return Err(Error::Backup {
                en: format!("the column {name}.{column} is a {declared}, which a backup can't hold"),
                zh: format!("列 {name}.{column} 的类型 {declared} 无法备份"),
            });
        };
        let table = found.entry(name.clone()).or_insert(Table { name, columns: Vec::new(), identity: None });
        if identity != 0 {
            table.identity = Some(column.clone());
        }
        table.columns.push((column, kind));
    }
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in tx.fetch_all(sql(references)).await? {
        let (name, referred): (String, String) =
            (tx.read(row.try_get("name"))?, tx.read(row.try_get("referred"))?);
        if name != referred {
            needs.entry(name).or_default().insert(referred);
        }
    }
    let mut ordered: Vec<Table> = Vec::new();
    while !found.is_empty() {
        let ready: Vec<String> = found
            .keys()
            .filter(|name| {
                needs.get(*name).is_none_or(|needs| !needs.iter().any(|need| found.contains_key(need)))
            })
            .cloned()
            .collect();
        if ready.is_empty() {
            return Err(Error::Backup {
                en: "tables refer to each other in a circle".into(),
                zh: "表之间存在循环引用".into(),
            });
        }
        ordered.extend(ready.iter().filter_map(|name| found.remove(name)));
    }
    Ok(ordered)
}

/// A name as SQL has it. It comes from the catalogue of a database or was found in one.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Table {
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The table of that name, if it has exactly these columns.
    pub fn same<'a>(tables: &'a [Table], name: &str, columns: &[String]) -> Result<&'a Table, Error> {
        let wanted: BTreeSet<&String> = columns.iter().collect();
        let fits = |table: &&Table| {
            table.name == name
                && wanted.len() == columns.len()
                && table.columns.iter().map(|(name, _)| name).collect::<BTreeSet<_>>() == wanted
        };
        tables.iter().find(fits).ok_or_else(|| Error::Backup {
            en: format!(
                "the table {name} is not the one of this schema: use the version of rixin that wrote it"
            ),
            zh: format!("表 {name} 与当前结构不符：请使用写入它的 rixin 版本"),
        })
    }

    fn kind_of(&self, column: &str) -> Option<Kind> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, kind)| *kind)
    }

    pub fn select(&self) -> Sql {
        self.select_as(&self.names())
    }

    /// In the order of the first column: messages after those that they answer.
    pub fn select_as(&self, names: &[String]) -> Sql {
        let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let mut text = sql("SELECT ");
        text.push(&columns.join(", ")).push(" FROM ").push(&quoted(&self.name)).push(" ORDER BY ");
        text.push(&quoted(self.columns.first().map_or("", |(name, _)| name)));
        text
    }

    pub fn read(&self, row: &Row) -> Result<Vec<Value>, sqlx::Error> {
        self.read_as(&self.names(), row)
    }

    pub fn read_as(&self, names: &[String], row: &Row) -> Result<Vec<Value>, sqlx::Error> {
        let value = |name: &String| {
            Ok(match self.kind_of(name) {
                Some(Kind::Int) => row.try_get::<Option<i64>>(name)?.map(Value::from),
                Some(Kind::Real) => row.try_get::<Option<f64>>(name)?.map(Value::from),
                Some(Kind::Bytes) => {
                    row.try_get::<Option<Vec<u8>>>(name)?.map(|bytes| BASE64_STANDARD.encode(bytes).into())
                }
                _ => row.try_get::<Option<String>>(name)?.map(Value::from),
            }
            .unwrap_or(Value::Null))
        };
        names.iter().map(value).collect()
    }

    /// The statement that adds a row.
    pub fn insert(&self, names: &[String], values: &[Value]) -> Result<Sql, Error> {
        let wrong = |column: &str| Error::Backup {
            en: format!("a value of {}.{column} has the wrong type", self.name),
            zh: format!("{}.{column} 中有类型错误的值", self.name),
        };
        if names.len() != values.len() {
            return Err(wrong("*"));
        }
        let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let mut text = sql("INSERT INTO ");
        text.push(&quoted(&self.name)).push(" (").push(&columns.join(", ")).push(") VALUES (");
        for (at, (name, value)) in names.iter().zip(values).enumerate() {
            if at > 0 {
                text.push(", ");
            }
            let kind = self.kind_of(name).ok_or_else(|| wrong(name))?;
            match (kind, value) {
                (Kind::Int, Value::Null) => text.push_bind(None::<i64>),
                (Kind::Real, Value::Null) => text.push_bind(None::<f64>),
                (Kind::Text, Value::Null) => text.push_bind(None::<String>),
                (Kind::Bytes, Value::Null) => text.push_bind(None::<Vec<u8>>),
                (Kind::Int, value) => text.push_bind(value.as_i64().ok_or_else(|| wrong(name))?),
                (Kind::Real, value) => text.push_bind(value.as_f64().ok_or_else(|| wrong(name))?),
                (Kind::Text, value) => text.push_bind(value.as_str().ok_or_else(|| wrong(name))?),
                (Kind::Bytes, value) => {
                    let coded = value.as_str().ok_or_else(|| wrong(name))?;
                    text.push_bind(BASE64_STANDARD.decode(coded).map_err(|_| wrong(name))?)
                }
            };
        }
        text.push(")");
        Ok(text)
    }
}
