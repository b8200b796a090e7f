//! `rixin organisations`: who shares this suite, straight on the store.

use clap::Subcommand;
use rixin_base::{Code, Fault};
use rixin_store::{NewOrganisation, Organisation, Store};
use serde_json::json;

use crate::{
    command::members::invited,
    context::Context,
    out::{Done, Exit, Out},
    table::{Side, Table},
    time::minute,
};

/// The commands under `rixin organisations`.
#[derive(Debug, Subcommand)]
pub enum Organisations {
    /// Make an organisation; prints a one-time link's text for its first owner
    Create {
        /// Its name, which its members sign in with
        #[arg(value_name = "NAME")]
        name: String,
        /// What its first owner signs in with
        #[arg(long, value_name = "NAME")]
        owner: String,
    },
    /// List organisations; the first is the host
    List,
    /// Disable an organisation: nobody of it gets in, and its jobs are cancelled; its data stay
    Disable {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Let an organisation work again
    Enable {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl Organisations {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = self.on(&context.out, &store).await;
        store.close().await;
        done
    }

    async fn on(self, out: &Out, store: &Store) -> Done {
        let host = store.operator().host_scope();
        match self {
            Organisations::Create { name, owner } => {
                let new = NewOrganisation { name, owner };
                let (organisation, invitation) = store.create_organisation(&host, &new).await?;
                invited(out, &json!({"organisation": organisation, "invitation": invitation}), &invitation)
            }
            Organisations::List => list(out, &store.organisations(&host).await?),
            Organisations::Disable { name } => set(out, store, &name, true).await,
            Organisations::Enable { name } => set(out, store, &name, false).await,
        }
    }
}

async fn set(out: &Out, store: &Store, name: &str, disabled: bool) -> Done {
    let host = store.operator().host_scope();
    let all = store.organisations(&host).await?;
    let found = all.iter().find(|one| one.name == name.trim() || one.id.to_string() == name);
    let found = found.ok_or_else(|| {
        Fault::new(
            Code::NotFound,
            format!("there is no organisation {name:?}: `rixin organisations list` shows them"),
            format!("没有名为 {name:?} 的组织：`rixin organisations list` 可查看"),
        )
    })?;
    let organisation = store.disable_organisation(&host, found.id, disabled).await?;
    if out.json {
        out.document(&organisation);
    } else {
        let name = &organisation.name;
        let (en, zh) = if disabled { ("is disabled", "已停用") } else { ("works again", "已恢复") };
        out.say(format!("organisation {name:?} {en}"), format!("组织 {name:?} {zh}"));
    }
    Ok(Exit::Ok)
}

fn list(out: &Out, organisations: &[Organisation]) -> Done {
    if out.json {
        out.document(&json!({"data": organisations}));
        return Ok(Exit::Ok);
    }
    let heads =
        out.lang.pick(["NAME", "MADE (UTC)", "STATE", "ID"], ["名称", "创建时间（UTC）", "状态", "编号"]);
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for one in organisations {
        let state = match one.disabled_at {
            None if one.host => out.lang.pick("host", "主组织").to_owned(),
            None => out.lang.pick("works", "正常").to_owned(),
            Some(at) => format!("{} {}", out.lang.pick("disabled", "已停用"), minute(at)),
        };
        table.row([one.name.clone(), minute(one.created_at), state, one.id.to_string()]);
    }
    out.raw(&table.render(None));
    Ok(Exit::Ok)
}
