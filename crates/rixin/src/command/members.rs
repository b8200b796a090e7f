//! `rixin members`: the people of an organisation, straight on the store, with or without a running server.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Subcommand;
use rixin_base::{Code, Fault, MemberId};
use rixin_store::{Invitation, Member, MemberPatch, NewMember, Role, Store, TenantScope};
use serde_json::json;

use crate::{
    command::keys::RoleFlag,
    context::Context,
    out::{Done, Exit, Out, eprint_piece},
    table::{Side, Table},
    time::minute,
};

/// The commands under `rixin members`.
#[derive(Debug, Subcommand)]
pub enum Members {
    /// Add a member; the password is asked for, or read from standard input
    Add {
        /// What they sign in with
        #[arg(value_name = "NAME")]
        name: String,
        /// What they may do: docs/rights.md has the table
        #[arg(long, value_enum, default_value_t = RoleFlag::Member)]
        role: RoleFlag,
        /// What people call them
        #[arg(long, value_name = "TITLE", default_value = "")]
        title: String,
        /// Print a one-time link's text instead of asking for a password
        #[arg(long)]
        invite: bool,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// List members
    List {
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Change a member's role
    Role {
        /// Their name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// What they may do from now on
        #[arg(value_name = "ROLE", value_enum)]
        role: RoleFlag,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Set a member's password; it is asked for, or read from standard input
    Password {
        /// Their name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Keep a member out: sessions, keys and jobs stop at once
    Disable {
        /// Their name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Let a member in again
    Enable {
        /// Their name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Remove a member; what they made stays
    Remove {
        /// Their name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
}

impl Members {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = self.on(&context.out, &store).await;
        store.close().await;
        done
    }

    async fn on(self, out: &Out, store: &Store) -> Done {
        match self {
            Members::Add { name, role, title, invite, organisation } => {
                let scope = scope(store, organisation.as_deref()).await?;
                add(out, store, &scope, NewMember { name, title, role: role.into() }, invite).await
            }
            Members::List { organisation } => {
                list(out, &store.members(&scope(store, organisation.as_deref()).await?).await?)
            }
            Members::Role { name, role, organisation } => {
                let role = Role::from(role);
                let patch = MemberPatch { role: Some(role), ..MemberPatch::default() };
                let member = change(store, organisation, &name, patch).await?;
                told(out, &member, format!("is {role} now"), &format!("的角色现为 {role}"))
            }
            Members::Password { name, organisation } => {
                let scope = scope(store, organisation.as_deref()).await?;
                let id = find(&store.members(&scope).await?, &name)?.id;
                let member = store.set_password(&scope, id, &password(out)?).await?;
                told(out, &member, "has a new password, and was signed out", "的密码已更新，并已退出登录")
            }
            Members::Disable { name, organisation } => {
                let patch = MemberPatch { disabled: Some(true), ..MemberPatch::default() };
                let member = change(store, organisation, &name, patch).await?;
                told(out, &member, "is kept out", "已停用")
            }
            Members::Enable { name, organisation } => {
                let patch = MemberPatch { disabled: Some(false), ..MemberPatch::default() };
                let member = change(store, organisation, &name, patch).await?;
                told(out, &member, "may sign in again", "可以重新登录")
            }
            Members::Remove { name, organisation } => {
                let scope = scope(store, organisation.as_deref()).await?;
                let id = find(&store.members(&scope).await?, &name)?.id;
                let member = store.remove_member(&scope, id).await?;
                told(out, &member, "was removed", "已移除")
            }
        }
    }
}

/// The scope of an organisation by its name; the host's where none is named.
pub(crate) async fn scope(store: &Store, organisation: Option<&str>) -> Result<TenantScope, Fault> {
    Ok(match organisation {
        Some(name) => store.operator().scope(name).await?,
        None => store.operator().default_scope().await?,
    })
}

async fn change(
    store: &Store,
    organisation: Option<String>,
    name: &str,
    patch: MemberPatch,
) -> Result<Member, Fault> {
    let scope = scope(store, organisation.as_deref()).await?;
    let id = find(&store.members(&scope).await?, name)?.id;
    Ok(store.change_member(&scope, id, patch).await?)
}

fn told(out: &Out, member: &Member, en: impl AsRef<str>, zh: &str) -> Done {
    if out.json {
        out.document(member);
    } else {
        out.say(format!("{} {}", member.name, en.as_ref()), format!("{} {zh}", member.name));
    }
    Ok(Exit::Ok)
}

async fn add(out: &Out, store: &Store, scope: &TenantScope, new: NewMember, invite: bool) -> Done {
    // Asked before anything is made: somebody who changes their mind leaves nothing behind.
    let secret = if invite { None } else { Some(password(out)?) };
    let name = new.name.clone();
    let (member, invitation) = store.add_member(scope, new).await?;
    let Some(secret) = secret else {
        return invited(out, &json!({"member": member, "invitation": invitation}), &invitation);
    };
    let member = match store.set_password(scope, member.id, &secret).await {
        Ok(member) => member,
        Err(error) => {
            store.remove_member(scope, member.id).await?;
            return Err(error.into());
        }
    };
    if out.json {
        out.document(&member);
    } else {
        out.say(
            format!("{name} was added as {}; they sign in by name and password", member.role),
            format!("已添加 {name}，角色为 {}；可用名称和密码登录", member.role),
        );
    }
    Ok(Exit::Ok)
}

/// Shows a one-time link's text, which the console's address takes after `#/invitation/`.
pub(crate) fn invited(out: &Out, document: &serde_json::Value, invitation: &Invitation) -> Done {
    if out.json {
        out.document(document);
        return Ok(Exit::Ok);
    }
    out.line(&format!("#/invitation/{}", invitation.token));
    let until = minute(invitation.expires_at);
    out.note(
        format!("Put the console's address before it and send it to them: it sets their password, once, until {until} UTC. It is shown this once."),
        format!("请在前面加上控制台地址后发给本人：可用于设置一次密码，{until}（UTC）前有效。只显示这一次。"),
    );
    Ok(Exit::Ok)
}

fn list(out: &Out, members: &[Member]) -> Done {
    if out.json {
        out.document(&json!({"data": members}));
        return Ok(Exit::Ok);
    }
    if members.is_empty() {
        out.note("there are no members yet: rixin members add NAME", "还没有成员：rixin members add 名称");
        return Ok(Exit::Ok);
    }
    let heads = out.lang.pick(
        ["NAME", "ROLE", "STATE", "ADDED (UTC)", "LAST SIGN-IN", "ID"],
        ["名称", "角色", "状态", "添加时间（UTC）", "最近登录", "编号"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for member in members {
        let state = match (member.disabled_at, member.has_password || member.last_seen.is_some()) {
            (Some(_), _) => out.lang.pick("kept out", "已停用"),
            (None, true) => out.lang.pick("active", "正常"),
            (None, false) => out.lang.pick("invited", "已邀请"),
        };
        table.row([
            member.name.clone(),
            member.role.as_str().into(),
            state.into(),
            minute(member.created_at),
            member.last_seen.map_or_else(|| out.lang.pick("never", "从未").into(), minute),
            member.id.to_string(),
        ]);
    }
    out.raw(&table.render(None));
    Ok(Exit::Ok)
}

/// The member of a name or an id.
fn find<'a>(members: &'a [Member], given: &str) -> Result<&'a Member, Fault> {
    let id = given.parse::<MemberId>().ok();
    let name = given.trim().to_lowercase();
    members.iter().find(|member| Some(member.id) == id || member.name == name).ok_or_else(|| {
        Fault::new(
            Code::NotFound,
            format!("there is no member {given:?}: `rixin members list` shows them"),
            format!("没有名为 {given:?} 的成员：`rixin members list` 可查看"),
        )
    })
}

/// Twice from the terminal, unseen; or a line of standard input.
fn password(out: &Out) -> Result<String, Fault> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let first = unseen(out.lang.pick("Password (at least 10 characters): ", "密码（至少 10 个字符）："))?;
    if first == unseen(out.lang.pick("The same again: ", "再次输入："))? {
        return Ok(first);
    }
    Err(Fault::new(Code::InvalidValue, "the two passwords differ: try again", "两次输入的密码不一致：请重试"))
}

fn line() -> Result<String, Fault> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text).map_err(|error| {
        Fault::new(
            Code::InvalidValue,
            format!("the password can't be read: {error}"),
            format!("无法读取密码：{error}"),
        )
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A line of the terminal that it does not show.
fn unseen(prompt: &str) -> Result<String, Fault> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    eprint_piece(prompt);
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).map_err(Fault::internal)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(Fault::internal)?;
    let text = line();
    tcsetattr(&stdin, OptionalActions::Flush, &before).map_err(Fault::internal)?;
    eprint_piece("\n");
    text
}
