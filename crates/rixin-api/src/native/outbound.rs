//! Every connection that the suite may make to elsewhere, from one table: what it is for, where it goes, and whether it may be made now.
//!
//! A test looks through the sources for whatever makes connections and holds it against this table's names.

use axum::{Json, extract::State};
use rixin_base::{Lang, Settings};
use rixin_store::DatabaseUrl;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::List;
use crate::{AppState, auth::by, error::ApiResult, request::Info, state::is_loopback};

/// A kind of connection to elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Outbound {
    /// The table's name for it.
    pub name: String,
    /// What it is for, in the caller's language.
    pub about: String,
    /// Where it goes, without passwords; empty: nowhere is set.
    pub targets: Vec<String>,
    /// Whether one may be made now that leaves this machine.
    pub allowed: bool,
    /// What decides, in the caller's language.
    pub why: String,
}

/// What a line of the table is about.
pub(crate) struct Way {
    /// Its name.
    pub id: &'static str,
    about: (&'static str, &'static str),
    /// Whether `offline` refuses it.
    refused_offline: bool,
    decided_by: (&'static str, &'static str),
    targets: fn(&AppState) -> Vec<String>,
}

const SOURCE: (&str, &str) =
    ("fetching models, when an administrator asks for it", "拉取模型，仅在管理员要求时");

const fn source(id: &'static str, by: &'static str, targets: fn(&AppState) -> Vec<String>) -> Way {
    Way { id, about: SOURCE, refused_offline: true, decided_by: (by, by), targets }
}

/// The one table.
pub(crate) const WAYS: &[Way] = &[
    source("hf", "offline, hf_endpoint", |state| vec![state.settings.hf_endpoint.clone()]),
    source("modelscope", "offline, modelscope_endpoint", |state| {
        vec![state.settings.modelscope_endpoint.clone()]
    }),
    source("civitai", "offline, civitai_endpoint", |state| vec![state.settings.civitai_endpoint.clone()]),
    source("pypi", "offline, pip", |state| vec![state.settings.pip.clone()]),
    source("npm", "offline, npm", |state| vec![state.settings.npm.clone()]),
    Way {
        id: "external",
        about: (
            "requests for models of an external engine, and looking whether it lives",
            "请求外部引擎的模型，并检查其是否存活",
        ),
        refused_offline: true,
        decided_by: ("offline, the page of replicas", "offline、副本页面"),
        targets: |state| state.control.externals().iter().map(|engine| engine.base_url.clone()).collect(),
    },
    Way {
        id: "cluster",
        about: ("jobs on a Slurm cluster", "Slurm 集群上的任务"),
        refused_offline: false,
        decided_by: ("slurm_url", "slurm_url"),
        targets: |state| {
            Some(state.settings.slurm_url.clone()).filter(|url| !url.is_empty()).into_iter().collect()
        },
    },
    Way {
        id: "sign_in",
        about: ("members who sign in at an identity provider", "成员通过身份提供方登录"),
        refused_offline: false,
        decided_by: ("oidc_issuer", "oidc_issuer"),
        targets: |state| {
            Some(state.settings.oidc_issuer.clone()).filter(|url| !url.is_empty()).into_iter().collect()
        },
    },
    Way {
        id: "database",
        about: ("the suite's own database", "本系统的数据库"),
        refused_offline: false,
        decided_by: ("database_url", "database_url"),
        targets: |state| database(&state.settings).into_iter().collect(),
    },
    Way {
        id: "bucket",
        about: ("the bytes of files and artifacts", "文件与制品的内容"),
        refused_offline: false,
        decided_by: ("blob_url, s3_endpoint", "blob_url、s3_endpoint"),
        targets: |state| bucket(&state.settings).into_iter().collect(),
    },
];

fn database(settings: &Settings) -> Option<String> {
    // Without its password.
    settings.database_url.reveal()?.parse::<DatabaseUrl>().ok().map(|url| url.to_string())
}

fn bucket(settings: &Settings) -> Option<String> {
    let Settings { blob_url, s3_endpoint, s3_region, .. } = settings;
    match (blob_url.is_empty(), s3_endpoint.is_empty()) {
        (true, _) => None,
        (false, true) => Some(format!("{blob_url} (AWS {s3_region})").replace(" )", ")")),
        (false, false) => Some(format!("{s3_endpoint} {blob_url}")),
    }
}

/// Whether an address is this machine's own.
fn is_local(target: &str) -> bool {
    let Ok(uri) = target.split(' ').next().unwrap_or_default().parse::<http::Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

impl Way {
    fn line(&self, state: &AppState, lang: Lang) -> Outbound {
        let targets = (self.targets)(state);
        let leaves = targets.iter().any(|target| !is_local(target));
        let refused = self.refused_offline && state.settings.offline;
        let by = lang.pick(self.decided_by.0, self.decided_by.1);
        let why = if targets.is_empty() {
            lang.pick(format!("nothing is set: {by}"), format!("未设置：{by}"))
        } else if !leaves {
            lang.pick("it stays on this machine".to_owned(), "不离开本机".to_owned())
        } else if refused {
            lang.pick("offline is set".to_owned(), "已设置 offline".to_owned())
        } else {
            lang.pick(format!("set by {by}"), format!("由 {by} 决定"))
        };
        let about = lang.pick(self.about.0, self.about.1).into();
        Outbound { name: self.id.into(), about, targets, allowed: leaves && !refused, why }
    }
}

/// Every connection that the suite may make to elsewhere, and whether it may be made now.
#[utoipa::path(get, path = "/api/outbound", tag = "suite", responses((status = 200, description = "The connections", body = List<Outbound>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    _: by::Cluster,
    info: Info,
) -> ApiResult<Json<List<Outbound>>> {
    Ok(Json(List { data: WAYS.iter().map(|way| way.line(&state, info.lang)).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        for here in ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:9000 s3://b"] {
            assert!(is_local(here), "{here}");
        }
        for there in
            ["", "https://hub.example", "http://10.0.0.1:80/v1", "python3 -m pip", "s3://bucket (AWS)"]
        {
            assert!(!is_local(there), "{there}");
        }
    }

    /// Where in the sources connections are made, and the line of the table that tells of it; or why none has to.
    const MAKERS: &[(&str, &str)] = &[
        ("rixin-control/src/endpoint/remote.rs", "external"),
        ("rixin-control/src/endpoint/unix.rs", "-a socket of this machine's own replica"),
        ("rixin-models/src/net/mod.rs", "hf"),
        ("rixin-oidc/src/net.rs", "sign_in"),
        ("rixin-provenance/src/seal/stamp.rs", "-no setting leads to it yet"),
        ("rixin-slurm/src/transport.rs", "cluster"),
        ("rixin-store/src/blobs/s3.rs", "bucket"),
        ("rixin-store/src/db/postgres.rs", "database"),
        ("rixin-worker/src/gateway.rs", "-a job asks its own gateway"),
        ("rixin/src/command/chat/backend.rs", "-a command that was given the address"),
    ];

    fn sources(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "tests" && name != "examples" && name != "target" {
                sources(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs")
                && name != "tests.rs"
                && path.components().any(|part| part.as_os_str() == "src")
            {
                found.push(path);
            }
        }
    }

    #[test]
    fn whatever_makes_connections_is_in_the_table() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        sources(&crates, &mut files);
        let marks = [
            "reqwest::Client::builder",
            "reqwest::Client::new",
            "ureq::Agent",
            "TcpStream::connect",
            "UnixStream::connect",
            "options.connect()",
        ];
        let mut found: Vec<String> = files
            .iter()
            .filter(|path| {
                let text = std::fs::read_to_string(path).expect("text");
                !path.ends_with("rixin-api/src/native/outbound.rs")
                    && marks.iter().any(|mark| text.contains(mark))
            })
            .map(|path| path.strip_prefix(&crates).expect("under it").display().to_string())
            .collect();
        found.sort();
        let mut known: Vec<&str> = MAKERS.iter().map(|(path, _)| *path).collect();
        known.sort_unstable();
        assert_eq!(found, known, "what connects to elsewhere gets a line in WAYS and here");
        for (path, id) in MAKERS {
            assert!(id.starts_with('-') || WAYS.iter().any(|way| way.id == *id), "{path}");
        }
    }
}
