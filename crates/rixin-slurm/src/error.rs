//! Why a cluster could not do it: the one error of this crate, told in both languages.

use rixin_base::{Code, Explain, Message};

use crate::{SlurmJobId, SubmitToken};

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// What was being done, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reading the OpenAPI document.
    Connect,
    /// Asking whether slurmctld lives.
    Ping,
    /// Submitting a job.
    Submit,
    /// Reading a job.
    ReadJob,
    /// Listing jobs.
    ListJobs,
    /// Cancelling or signalling a job.
    Cancel,
    /// Listing nodes.
    ListNodes,
    /// Reading or changing accounts.
    Accounts,
}

impl Act {
    fn text(self) -> Message {
        let (en, zh) = match self {
            Act::Connect => ("reading its OpenAPI document", "读取其 OpenAPI 文档"),
            Act::Ping => ("asking for slurmctld", "查询 slurmctld 状态"),
            Act::Submit => ("submitting a job", "提交作业"),
            Act::ReadJob => ("reading a job", "读取作业"),
            Act::ListJobs => ("listing jobs", "列出作业"),
            Act::Cancel => ("cancelling a job", "取消作业"),
            Act::ListNodes => ("listing nodes", "列出节点"),
            Act::Accounts => ("keeping accounts", "维护账户"),
        };
        Message::new(en, zh)
    }
}

/// Slurm's reason, sorted by its error number (slurm/slurm_errno.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such partition, or the user may not use it.
    Partition,
    /// No such account, or the user has no association with it.
    Account,
    /// No node could ever give what is asked for.
    Resources,
    /// A limit of the account, the quality of service or the partition.
    Limit,
    /// The job that it waits for is unknown.
    Dependency,
    /// The user may not do this.
    Permission,
    /// The job has ended.
    Ended,
    /// Anything else.
    Other,
}

impl Refusal {
    pub(crate) fn of(number: i64) -> Self {
        match number {
            2000 | 2001 | 2006 | 2007 | 2008 => Refusal::Partition,
            2045 => Refusal::Account,
            2003 | 2014 | 2015 | 2016 | 2072 => Refusal::Resources,
            2009 | 2046 | 2047 | 2050 | 2051 | 2066 => Refusal::Limit,
            2063 => Refusal::Dependency,
            2002 | 2010 => Refusal::Permission,
            2021 => Refusal::Ended,
            _ => Refusal::Other,
        }
    }

    fn mend(self) -> Message {
        let (en, zh) = match self {
            Refusal::Partition => (
                "choose a partition that `sinfo` lists and this user may use",
                "请选择 `sinfo` 列出且当前用户可用的分区",
            ),
            Refusal::Account => (
                "create the account and the user's association with it (`sacctmgr show assoc` lists them)",
                "请创建该账户并为用户建立关联（可用 `sacctmgr show assoc` 查看）",
            ),
            Refusal::Resources => (
                "ask for less, or for an accelerator that `sinfo -o '%N %G'` lists",
                "请减少资源用量，或申请 `sinfo -o '%N %G'` 中列出的加速卡",
            ),
            Refusal::Limit => (
                "wait for other jobs of the account to end, or raise its limit with sacctmgr",
                "请等待该账户的其他作业结束，或用 sacctmgr 提高限额",
            ),
            Refusal::Dependency => ("submit it without that dependency", "请去掉该依赖后重新提交"),
            Refusal::Permission => ("use the token of a user who may do this", "请换用有相应权限的用户令牌"),
            Refusal::Ended => ("nothing is left to do for it", "无需再对其操作"),
            Refusal::Other => ("the log of slurmctld has the details", "详情见 slurmctld 日志"),
        };
        Message::new(en, zh)
    }
}

/// Why a cluster could not do it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An address that is none.
    #[error("{text:?} is no address of slurmrestd: write http://HOST:PORT, https://HOST:PORT or unix:/PATH")]
    BadServer {
        /// As written.
        text: String,
    },
    /// A value that Slurm would not take, found before it was sent.
    #[error("'{param}' is wrong: {}", why.en)]
    Invalid {
        /// The field.
        param: &'static str,
        /// What is wrong, and what would be right.
        why: Message,
    },
    /// Nobody answers.
    #[error(
        "slurmrestd at {server} can't be reached: {why}; check that it runs and that its address is right"
    )]
    Unreachable {
        /// Where.
        server: String,
        /// The system's words.
        why: String,
    },
    /// No answer in time.
    #[error("slurmrestd at {server} did not answer within {secs} s while {}: try again, or raise the time-out", act.text().en)]
    TimedOut {
        /// Where.
        server: String,
        /// What was being done.
        act: Act,
        /// The limit.
        secs: u64,
    },
    /// slurmrestd answers, and slurmctld behind it does not.
    #[error("slurmrestd at {server} failed at {}: {why}; slurmctld is down, or does not take the token (`scontrol ping`, and compare the clocks)", act.text().en)]
    ControllerDown {
        /// Where.
        server: String,
        /// What was being done.
        act: Act,
        /// Slurm's words.
        why: String,
    },
    /// No token can be had.
    #[error("no Slurm token from {origin}: {why}; `scontrol token username=USER` makes one")]
    NoToken {
        /// The file or the command.
        origin: String,
        /// Why.
        why: String,
    },
    /// The token was refused.
    #[error(
        "slurmrestd at {server} refused the token of user {user:?}: make a new one with `scontrol token username={user}`, and check that slurmctld and slurmdbd hold the same jwt_key"
    )]
    Denied {
        /// Where.
        server: String,
        /// Whose token.
        user: String,
    },
    /// An answer over the limit.
    #[error("the answer of slurmrestd while {} is over {limit_bytes} bytes: raise the limit", act.text().en)]
    TooLarge {
        /// What was being done.
        act: Act,
        /// The limit.
        limit_bytes: usize,
    },
    /// An answer that is not the protocol.
    #[error("the answer of slurmrestd while {} makes no sense: {why}; check that the address is slurmrestd's and not another service's", act.text().en)]
    Protocol {
        /// What was being done.
        act: Act,
        /// What was found.
        why: String,
    },
    /// None of the server's data parsers is known here.
    #[error(
        "slurmrestd at {server} offers {offered}, and v0.0.38 to v0.0.44 are known: load such a parser with slurmrestd -d, or update rixin"
    )]
    NoVersion {
        /// Where.
        server: String,
        /// The versions in its OpenAPI document.
        offered: String,
    },
    /// Slurm said no.
    #[error("Slurm refused {}: {why} (error {number}); {}", act.text().en, kind.mend().en)]
    Refused {
        /// What was being done.
        act: Act,
        /// The reason, sorted.
        kind: Refusal,
        /// Slurm's number.
        number: i64,
        /// Slurm's words.
        why: String,
    },
    /// No such job.
    #[error("Slurm knows no job {id}: it has forgotten it (MinJobAge), or never had it")]
    JobNotFound {
        /// The id.
        id: SlurmJobId,
    },
    /// The answer to a submission was lost: the job may exist.
    #[error(
        "it is unknown whether Slurm took the job {token}: {why}; look for it by its token before submitting it again"
    )]
    OutcomeUnknown {
        /// The submission's token.
        token: SubmitToken,
        /// How the answer was lost.
        why: String,
    },
    /// The cluster keeps no accounts.
    #[error("this cluster keeps no accounts ({why}): set up slurmdbd, or leave the account empty")]
    NoAccounting {
        /// What was found.
        why: String,
    },
    /// Slurm does not say which devices of a node are the job's.
    #[error(
        "Slurm does not say which {kind} of the node are this job's: give their device files in gres.conf (Name={kind} ... File=/dev/...)"
    )]
    NoIndices {
        /// The GRES name.
        kind: String,
    },
    /// Two sorts of device that one variable would have to name.
    #[error(
        "the job has {first} and {second}, which {variable} would both have to name: ask for one of them"
    )]
    MixedDevices {
        /// One GRES name.
        first: String,
        /// The other.
        second: String,
        /// The variable.
        variable: &'static str,
    },
    /// What Slurm says of the job's devices could not be read.
    #[error("the devices of this job are unknown: {why}")]
    Devices {
        /// Why.
        why: String,
    },
}

impl Error {
    /// Whether waiting and trying again can help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. }
                | Error::TimedOut { .. }
                | Error::ControllerDown { .. }
                | Error::OutcomeUnknown { .. }
        )
    }

    pub(crate) fn invalid(param: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Error::Invalid { param, why: Message::new(en, zh) }
    }
}

impl Explain for Error {
    fn code(&self) -> Code {
        match self {
            Error::BadServer { .. } => Code::BadSetting,
            Error::Invalid { .. } => Code::InvalidValue,
            Error::Unreachable { .. }
            | Error::TimedOut { .. }
            | Error::ControllerDown { .. }
            | Error::NoToken { .. }
            | Error::Denied { .. }
            | Error::OutcomeUnknown { .. } => Code::ClusterUnavailable,
            Error::TooLarge { .. } | Error::Protocol { .. } => Code::BadUpstream,
            Error::NoVersion { .. } | Error::NoAccounting { .. } => Code::Unsupported,
            Error::Refused { .. }
            | Error::NoIndices { .. }
            | Error::MixedDevices { .. }
            | Error::Devices { .. } => Code::ClusterRefused,
            Error::JobNotFound { .. } => Code::NotFound,
        }
    }

    fn message(&self) -> Message {
        let zh = match self {
            Error::BadServer { text } => {
                format!(
                    "{text:?} 不是 slurmrestd 的地址：请写成 http://主机:端口、https://主机:端口 或 unix:/路径"
                )
            }
            Error::Invalid { param, why } => format!("'{param}' 有误：{}", why.zh),
            Error::Unreachable { server, why } => {
                format!("无法连接 {server} 上的 slurmrestd：{why}；请确认其正在运行且地址正确")
            }
            Error::TimedOut { server, act, secs } => format!(
                "{server} 上的 slurmrestd 在{}时 {secs} 秒内未响应：请重试或调大超时时间",
                act.text().zh
            ),
            Error::ControllerDown { server, act, why } => format!(
                "{server} 上的 slurmrestd 在{}时失败：{why}；slurmctld 未运行，或不接受该令牌（可用 `scontrol ping` 检查，并核对各机时钟）",
                act.text().zh
            ),
            Error::NoToken { origin, why } => {
                format!("无法从 {origin} 获得 Slurm 令牌：{why}；可用 `scontrol token username=用户名` 生成")
            }
            Error::Denied { server, user } => format!(
                "{server} 上的 slurmrestd 拒绝了用户 {user:?} 的令牌：请用 `scontrol token username={user}` 重新生成，并确认 slurmctld 与 slurmdbd 使用同一 jwt_key"
            ),
            Error::TooLarge { act, limit_bytes } => {
                format!("slurmrestd 在{}时的响应超过 {limit_bytes} 字节：请调大上限", act.text().zh)
            }
            Error::Protocol { act, why } => format!(
                "slurmrestd 在{}时的响应无法理解：{why}；请确认该地址是 slurmrestd 而非其他服务",
                act.text().zh
            ),
            Error::NoVersion { server, offered } => format!(
                "{server} 上的 slurmrestd 提供 {offered}，而当前程序支持 v0.0.38 至 v0.0.44：请用 slurmrestd -d 加载其中之一，或升级 rixin"
            ),
            Error::Refused { act, kind, number, why } => {
                format!("Slurm 拒绝了{}：{why}（错误 {number}）；{}", act.text().zh, kind.mend().zh)
            }
            Error::JobNotFound { id } => {
                format!("Slurm 中没有作业 {id}：它已超过保留时间（MinJobAge），或从未存在")
            }
            Error::OutcomeUnknown { token, why } => {
                format!("无法确定 Slurm 是否已接受作业 {token}：{why}；再次提交前请先按其标记查找")
            }
            Error::NoAccounting { why } => {
                format!("该集群未启用账户管理（{why}）：请部署 slurmdbd，或不填写账户")
            }
            Error::NoIndices { kind } => format!(
                "Slurm 未说明节点上哪些 {kind} 属于本作业：请在 gres.conf 中写明设备文件（Name={kind} ... File=/dev/...）"
            ),
            Error::MixedDevices { first, second, variable } => {
                format!("作业同时拥有 {first} 和 {second}，两者都要由 {variable} 指定：请只申请其中一种")
            }
            Error::Devices { why } => format!("无法得知本作业的设备：{why}"),
        };
        Message::new(self.to_string(), zh)
    }

    fn param(&self) -> Option<String> {
        match self {
            Error::Invalid { param, .. } => Some((*param).to_owned()),
            _ => None,
        }
    }
}
