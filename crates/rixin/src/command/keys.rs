//! `rixin keys`: straight on the store, with or without a running server.

use clap::{Args, Subcommand, ValueEnum};
use rixin_base::{Code, Fault, KeyId};
use rixin_store::{Key, KeyKind, Limits, Network, NewKey, Right, Role, Store, now_ms};
use serde_json::json;

use crate::{
    command::{members::scope, projects},
    context::{Context, by_operator},
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
        /// What it may do: docs/rights.md has the table
        #[arg(long, value_enum, default_value_t = RoleFlag::Member)]
        role: RoleFlag,
        #[command(flatten)]
        narrow: Box<Narrow>,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// List keys, without their secrets
    List {
        /// Revoked ones too
        #[arg(long)]
        all: bool,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// End a key; a running server refuses it within half a second
    Revoke {
        /// Its id or the start of the key, as `keys list` shows them
        #[arg(value_name = "ID")]
        id: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
}

/// What narrows a key beyond its role.
#[derive(Args, Clone, Debug)]
pub struct Narrow {
    /// The project that it is for, by name or id
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// The rights that it has at most, separated by commas
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
    scopes: Vec<String>,
    /// How long it works, such as 12h, 90d or 4w
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The models that it may ask, separated by commas
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    models: Vec<String>,
    /// The networks that it works from, separated by commas, such as 10.0.0.0/8
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    networks: Vec<String>,
}

impl Narrow {
    fn limits(&self) -> Result<Limits, Fault> {
        let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        let wrong = |zh: &str| {
            let zh = zh.to_owned();
            move |why: String| Fault::new(Code::InvalidValue, why.clone(), format!("{zh}：{why}"))
        };
        let scopes: Result<Vec<Right>, String> = self.scopes.iter().map(|word| word.trim().parse()).collect();
        let networks: Result<Vec<Network>, String> = self.networks.iter().map(|net| net.parse()).collect();
        let (scopes, networks) = (scopes.map_err(wrong("权限有误"))?, networks.map_err(wrong("网段有误"))?);
        Ok(Limits {
            scopes: (!scopes.is_empty()).then_some(scopes),
            models: some(&self.models),
            networks: (!networks.is_empty()).then_some(networks),
            expires_at: self.expires.as_deref().map(after).transpose()?,
        })
    }
}

/// The time that is so long from now.
fn after(text: &str) -> Result<i64, Fault> {
    let bad = || {
        Fault::new(
            Code::InvalidValue,
            format!("--expires {text:?} is no time: write 12h, 90d or 4w"),
            format!("--expires {text:?} 不是时长：请写 12h、90d 或 4w"),
        )
    };
    let (number, unit) = text.trim().split_at_checked(text.trim().len().saturating_sub(1)).ok_or_else(bad)?;
    let number: i64 = number.parse().map_err(|_| bad())?;
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 24 * 7,
        _ => return Err(bad()),
    };
    let ms = number.checked_mul(hours * 3_600_000).filter(|ms| *ms > 0).ok_or_else(bad)?;
    now_ms().checked_add(ms).ok_or_else(bad)
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RoleFlag {
    /// Everything in its organisation, and in the host organisation the machine
    #[value(alias = "admin")]
    Owner,
    /// Work that runs; in the host organisation models and replicas
    Operator,
    /// Ask models, and keep what is its own
    Member,
    /// See what was used and done
    Auditor,
}

impl From<RoleFlag> for Role {
    fn from(flag: RoleFlag) -> Self {
        match flag {
            RoleFlag::Owner => Role::Owner,
            RoleFlag::Operator => Role::Operator,
            RoleFlag::Member => Role::Member,
            RoleFlag::Auditor => Role::Auditor,
        }
    }
}

impl Keys {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = match self {
            Keys::Create { name, role, narrow, organisation } => {
                create(&context, &store, &name, role, &narrow, organisation.as_deref()).await
            }
            Keys::List { all, organisation } => list(&context, &store, all, organisation.as_deref()).await,
            Keys::Revoke { id, organisation } => revoke(&context, &store, &id, organisation.as_deref()).await,
        };
        store.close().await;
        done
    }
}

async fn create(
    context: &Context,
    store: &Store,
    name: &str,
    role: RoleFlag,
    narrow: &Narrow,
    organisation: Option<&str>,
) -> Done {
    let role = Role::from(role);
    let limits = narrow.limits()?;
    let scope = scope(store, organisation).await?;
    let project = match &narrow.project {
        Some(project) => Some(projects::find(store, &scope, project).await?),
        None => None,
    };
    let new = NewKey { project, limits, ..NewKey::new(name, role) };
    let created = by_operator(&scope, store.create_key_with(&scope, new)).await?;
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

async fn list(context: &Context, store: &Store, all: bool, organisation: Option<&str>) -> Done {
    let scope = scope(store, organisation).await?;
    let mut keys = store.keys(&scope).await?;
    // What members act through has no secret, and is listed as members are.
    keys.retain(|key| key.kind == KeyKind::Service && (all || key.revoked_at.is_none()));
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
            None if key.limits.are_over() => out.lang.pick("expired", "已过期").to_owned(),
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

async fn revoke(context: &Context, store: &Store, given: &str, organisation: Option<&str>) -> Done {
    let scope = scope(store, organisation).await?;
    let id = find(&store.keys(&scope).await?, given)?;
    let key = by_operator(&scope, store.revoke_key(&scope, id)).await?;
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
