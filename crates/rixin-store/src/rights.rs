//! Roles and rights: the one table of who may do what. The gateway's routes ask it, the authorisation-matrix test is made from it,
//! and so is `docs/rights.md`.

use rixin_base::Lang;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a member is, or a key may do at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyRole)]
pub enum Role {
    /// Everything in its organisation, and in the host organisation everything on the machine. `admin`, its first name, is read too.
    #[serde(alias = "admin")]
    Owner,
    /// Looks after work that runs, and in the host organisation after models, replicas and nodes.
    Operator,
    /// Uses models; keeps conversations, files, jobs and artifacts of its own.
    Member,
    /// Sees what was used and done, and changes nothing.
    Auditor,
}

impl Role {
    /// All of them, the most powerful first.
    pub const ALL: [Role; 4] = [Role::Owner, Role::Operator, Role::Member, Role::Auditor];

    /// The word in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Operator => "operator",
            Role::Member => "member",
            Role::Auditor => "auditor",
        }
    }

    /// What people call it.
    pub fn name(self, lang: Lang) -> &'static str {
        let zh = match self {
            Role::Owner => "所有者",
            Role::Operator => "运维",
            Role::Member => "成员",
            Role::Auditor => "审计",
        };
        lang.pick(self.as_str(), zh)
    }

    pub(crate) fn from_word(text: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Its rights, in the host organisation or in another.
    pub fn rights(self, host: bool) -> Rights {
        TABLE
            .iter()
            .filter(|line| (host || !line.host) && line.roles.contains(&self))
            .map(|line| line.right)
            .collect()
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text == "admin" { "owner" } else { text };
        Role::from_word(text)
            .ok_or_else(|| format!("{text:?} is not a role: owner, operator, member or auditor"))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Line {
    right: Right,
    /// Whether it is about the machine, so that only the host organisation has it.
    host: bool,
    roles: &'static [Role],
    about: (&'static str, &'static str),
}

macro_rules! rights {
    ($($name:ident = $word:literal, $host:literal, [$($role:ident),*], $en:literal, $zh:literal;)*) => {
        /// Something that a caller may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Right { $(#[doc = $en] $name,)* }

        impl Right {
            /// All of them, in the table's order.
            pub const ALL: &'static [Right] = &[$(Right::$name,)*];

            /// The word in the database and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Right::$name => $word,)* }
            }
        }

        const TABLE: &[Line] = &[$(Line {
            right: Right::$name, host: $host, roles: &[$(Role::$role),*], about: ($en, $zh),
        },)*];
    };
}

// The one table: the word, whether only the host organisation has it, the roles, what it is in both languages.
rights! {
    Ask = "ask", false, [Owner, Operator, Member], "ask models, and keep conversations and responses", "向模型提问，保存会话与回答";
    Browse = "browse", false, [Owner, Operator, Member, Auditor], "see the models, the catalogue and the kinds of jobs", "查看模型、模型目录与任务类型";
    Files = "files", false, [Owner, Operator, Member], "upload files, and see and remove the own ones", "上传文件，查看和删除自己的文件";
    Jobs = "jobs", false, [Owner, Operator, Member], "submit jobs, and see and end the own ones", "提交任务，查看和结束自己的任务";
    AllJobs = "all_jobs", false, [Owner, Operator], "see and end everybody's jobs, and put jobs first", "查看和结束所有人的任务，提高任务优先级";
    Artifacts = "artifacts", false, [Owner, Operator, Member], "make artifacts, and see and remove the own ones", "生成作品，查看和删除自己的作品";
    Policy = "policy", false, [Owner], "set how artifacts are labelled", "设置作品的标识策略";
    OwnUsage = "own_usage", false, [Owner, Operator, Member, Auditor], "see what one has used", "查看自己的用量";
    Usage = "usage", false, [Owner, Operator, Auditor], "see what everybody has used", "查看所有人的用量";
    OwnKeys = "own_keys", false, [Owner, Operator, Member], "make and end keys of one's own", "创建和吊销自己的密钥";
    People = "people", false, [Owner, Operator, Auditor], "see the members, projects and keys", "查看成员、项目与密钥";
    Keys = "keys", false, [Owner], "make and end the keys of projects and of others, and projects", "创建和吊销项目与他人的密钥，管理项目";
    Members = "members", false, [Owner], "invite, change and remove members, and end their sessions", "邀请、变更和移除成员，结束其会话";
    Quotas = "quotas", false, [Owner], "set quotas", "设置配额";
    Audit = "audit", false, [Owner, Auditor], "read and export the audit log", "查看和导出审计日志";
    Machine = "machine", true, [Owner, Operator, Member, Auditor], "see replicas, memory and downloads", "查看副本、内存与下载";
    Models = "models", true, [Owner, Operator], "download, import, verify and remove models", "下载、导入、校验和删除模型";
    Replicas = "replicas", true, [Owner, Operator], "start and stop replicas, and name external engines", "启动和停止副本，管理外部引擎";
    Cluster = "cluster", true, [Owner, Operator], "see the nodes and metrics of the machine, and look after them", "查看和管理节点与监控指标";
    Prices = "prices", true, [Owner], "set prices", "设置价格";
    Organisations = "organisations", true, [Owner], "make, see and disable organisations", "创建、查看和停用组织";
}

impl Right {
    fn line(self) -> &'static Line {
        &TABLE[self as usize]
    }

    /// What it is.
    pub fn about(self, lang: Lang) -> &'static str {
        lang.pick(self.line().about.0, self.line().about.1)
    }

    /// Whether it is about the machine, so that only the host organisation has it.
    pub fn needs_host(self) -> bool {
        self.line().host
    }

    /// The roles that have it.
    pub fn roles(self) -> &'static [Role] {
        self.line().roles
    }
}

impl std::str::FromStr for Right {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Right::ALL.iter().copied().find(|right| right.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Right::ALL.iter().map(|right| right.as_str()).collect();
            format!("{text:?} is not a right: {}", all.join(", "))
        })
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// Whether it holds one.
    pub fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u32) != 0
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// Whether it holds all of another's.
    pub fn covers(self, other: Rights) -> bool {
        other.0 & !self.0 == 0
    }

    /// Those that it holds, in the table's order.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.iter().copied().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Rights(rights.into_iter().fold(0, |all, right| all | 1 << right as u32))
    }
}

/// The table for people, in Markdown.
pub fn rights_markdown(lang: Lang) -> String {
    let mut text = lang.pick("| right | what it allows |", "| 权限 | 含义 |").to_owned();
    for role in Role::ALL {
        text.push_str(&match lang {
            Lang::En => format!(" {role} |"),
            Lang::Zh => format!(" {}（{role}） |", role.name(lang)),
        });
    }
    text.push_str("\n|---|---|---|---|---|---|\n");
    for line in TABLE {
        let host = lang.pick(" (host organisation)", "（仅主组织）");
        let host = if line.host { host } else { "" };
        text.push_str(&format!("| `{}` | {}{host} |", line.right, line.right.about(lang)));
        for role in Role::ALL {
            text.push_str(if line.roles.contains(&role) { " ✓ |" } else { "  |" });
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_rights_and_an_owner_has_all() {
        assert!(Right::ALL.len() <= 32, "they fit a set");
        for (right, line) in Right::ALL.iter().zip(TABLE) {
            assert_eq!(*right, line.right);
            assert!(line.roles.contains(&Role::Owner), "{right}");
            assert_eq!(right.as_str().parse(), Ok(*right));
            assert_eq!(serde_json::to_value(right).expect("JSON"), right.as_str());
        }
        for role in Role::ALL {
            assert!(role.rights(true).covers(role.rights(false)), "{role}");
            assert!(Role::Owner.rights(false).covers(role.rights(false)), "{role}");
        }
        assert!(!Role::Owner.rights(false).has(Right::Models));
        assert_eq!("admin".parse(), Ok(Role::Owner));
    }

    /// `RIXIN_WRITE_DOCS=1` writes the tables anew.
    #[test]
    fn the_documents_have_the_table() {
        const BEGIN: &str = "<!-- table -->\n";
        const END: &str = "<!-- end -->\n";
        for (file, lang) in [("rights.md", Lang::En), ("rights.zh-CN.md", Lang::Zh)] {
            let path = format!("{}/../../docs/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).expect("the document");
            let (head, rest) = text.split_once(BEGIN).expect("a table begins");
            let (found, tail) = rest.split_once(END).expect("a table ends");
            let table = rights_markdown(lang);
            if std::env::var_os("RIXIN_WRITE_DOCS").is_some() {
                std::fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("written");
            } else {
                assert_eq!(found, table, "{file}: RIXIN_WRITE_DOCS=1 cargo test -p rixin-store rights");
            }
        }
    }
}
