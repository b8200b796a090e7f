//! `rixin keys`: straight on the store, with or without a running server.

use clap::{Subcommand, ValueEnum};
use rixin_base::{Code, Fault, KeyId};
use rixin_store::{Key, Role, Store};
use serde_json::json;

use crate::{
    context::Context,
    out::{Done, Exit},
    table::{Side, Table},
    time::minute,
};

/// The commands under `rixin keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key; it is shown this once and stored nowhere
    Create {
        /// What its holder or use is called
        #[arg(value_name = "NAME")]
        name: String,
        /// What it may do: everything, or ask models and keep its own conversations
        #[arg(long, value_enum, default_value_t = RoleFlag::Member)]
        role: RoleFlag,
    },
    /// List keys, without their secrets
    List {
        /// Revoked ones too
        #[arg(long)]
        all: bool,
    },
    /// End a key; a running server refuses it within half a second
    Revoke {
        /// Its id or the start of the key, as `keys list` shows them
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleFlag {
    /// Everything
    Admin,
    /// Ask models
    Member,
}

impl Keys {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open(&context.settings().data_dir).await?;
        let done = match self {
            Keys::Create { name, role } => create(&context, &store, &name, role).await,
            Keys::List { all } => list(&context, &store, all).await,
            Keys::Revoke { id } => revoke(&context, &store, &id).await,
        };
        store.close().await;
        done
    }
}

async fn create(context: &Context, store: &Store, name: &str, role: RoleFlag) -> Done {
    let role = match role {
        RoleFlag::Admin => Role::Admin,
        RoleFlag::Member => Role::Member,
    };
    let scope = store.operator().default_scope().await?;
    let created = store.create_key(&scope, name, role).await?;
    let out = context.out;
    if out.json {
        out.document(&created);
    } else {
        out.line(&created.secret);
        out.note(
            format!(
                "key {:?} ({}) was made. It is shown this once: keep it now.",
                created.key.name,
                role.as_str()
            ),
            format!("已创建密钥 {:?}（{}）。密钥只显示这一次，请立即保存。", created.key.name, role.as_str()),
        );
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context, store: &Store, all: bool) -> Done {
    let scope = store.operator().default_scope().await?;
    let mut keys = store.keys(&scope).await?;
    keys.retain(|key| all || key.revoked_at.is_none());
    let out = context.out;
    if out.json {
        out.document(&json!({"data": keys}));
        return Ok(Exit::Ok);
    }
    if keys.is_empty() {
        out.note("there are no keys yet: rixin keys create NAME", "还没有密钥：rixin keys create 名称");
        return Ok(Exit::Ok);
    }
    let heads = out.lang.pick(
        ["KEY", "ROLE", "MADE (UTC)", "LAST USED", "STATE", "ID", "NAME"],
        ["密钥", "角色", "创建时间（UTC）", "最近使用", "状态", "编号", "名称"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for key in &keys {
        let state = match key.revoked_at {
            None => out.lang.pick("works", "有效").to_owned(),
            Some(at) => format!("{} {}", out.lang.pick("revoked", "已吊销"), minute(at)),
        };
        table.row([
            format!("{}…", key.prefix),
            key.role.as_str().into(),
            minute(key.created_at),
            key.last_used.map_or_else(|| out.lang.pick("never", "从未").into(), minute),
            state,
            key.id.to_string(),
            key.name.clone(),
        ]);
    }
    out.raw(&table.render(None));
    Ok(Exit::Ok)
}

async fn revoke(context: &Context, store: &Store, given: &str) -> Done {
    let scope = store.operator().default_scope().await?;
    let id = find(&store.keys(&scope).await?, given)?;
    let key = store.revoke_key(&scope, id).await?;
    let out = context.out;
    if out.json {
        out.document(&key);
    } else {
        out.say(
            format!("key {:?} ({}…) is revoked", key.name, key.prefix),
            format!("密钥 {:?}（{}…）已吊销", key.name, key.prefix),
        );
    }
    Ok(Exit::Ok)
}

/// The key of an id, or the one key whose secret starts with what was given.
fn find(keys: &[Key], given: &str) -> Result<KeyId, Fault> {
    if let Ok(id) = given.parse() {
        return Ok(id);
    }
    let start = given.trim_end_matches('…');
    let fits = |key: &&Key| key.prefix.starts_with(start) || start.starts_with(&key.prefix);
    let found: Vec<&Key> = keys.iter().filter(fits).collect();
    match found[..] {
        [key] if start.len() > "rx-".len() => Ok(key.id),
        [] | [_] => Err(Fault::new(
            Code::NotFound,
            format!("no key has the id or start {given:?}: `rixin keys list` shows them"),
            format!("没有编号或开头为 {given:?} 的密钥：`rixin keys list` 可查看"),
        )),
        _ => Err(Fault::new(
            Code::InvalidValue,
            format!("{} keys start with {given:?}: give more of it, or the id", found.len()),
            format!("有 {} 个密钥以 {given:?} 开头：请多写几位，或使用编号", found.len()),
        )),
    }
}
