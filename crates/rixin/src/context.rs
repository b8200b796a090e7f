//! What every command starts from: settings with their origins, language and output.

use rixin_base::{Code, Fault, IdError, Lang, ModelId, Origin, Resolved, Settings};

use crate::{cli::Global, out::Out};

/// The environment as the settings read it.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Settings, language and output of one run.
#[derive(Debug)]
pub struct Context {
    /// The settings and where each came from.
    pub resolved: Resolved,
    /// Where results go.
    pub out: Out,
    /// How often `-v` was given.
    pub verbose: u8,
}

impl Context {
    /// Resolves the settings. `extra` are flags of the command itself.
    ///
    /// # Errors
    /// See [`Settings::load`], and a `--set` that names no setting.
    pub fn load(global: &Global, extra: Vec<(&'static str, String)>) -> Result<Self, Fault> {
        let mut flags = Vec::new();
        for pair in &global.set {
            flags.push(named(pair)?);
        }
        if let Some(lang) = global.lang {
            flags.push(("lang", lang.as_str().to_owned()));
        }
        if let Some(dir) = &global.data_dir {
            flags.push(("data_dir", dir.to_string_lossy().into_owned()));
        }
        if let Some(log) = &global.log {
            flags.push(("log", log.clone()));
        }
        flags.extend(extra);
        let mut resolved = Settings::load(&flags, global.config.clone(), &environment)?;
        // Children and messages name the folder whatever their working directory is.
        if let Ok(absolute) = std::path::absolute(&resolved.settings.data_dir) {
            resolved.settings.data_dir = absolute;
        }
        let lang = resolved.settings.fixed_lang().unwrap_or_else(|| Lang::from_env(environment));
        resolved.settings.lang = lang.pick("en", "zh").to_owned();
        Ok(Self { resolved, out: Out { lang, json: global.json }, verbose: global.verbose })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.resolved.settings
    }

    /// Where a setting came from.
    pub fn origin(&self, name: &str) -> Origin {
        self.resolved.rows.iter().find(|row| row.name == name).map_or(Origin::Default, |row| row.origin)
    }
}

/// `NAME=VALUE` with a name that exists; dashes are as good as underscores.
fn named(pair: &str) -> Result<(&'static str, String), Fault> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        Fault::new(
            Code::BadSetting,
            format!("--set {pair:?} has no '=': write --set NAME=VALUE, such as --set slots=4"),
            format!("--set {pair:?} 中没有“=”：请写 --set 名称=值，例如 --set slots=4"),
        )
    })?;
    let wanted = name.trim().replace('-', "_");
    let known = Settings::TABLE.iter().find(|(name, ..)| *name == wanted);
    let (name, ..) = known.ok_or_else(|| {
        Fault::new(
            Code::BadSetting,
            format!("there is no setting {wanted:?}: `rixin config show` lists them all"),
            format!("没有名为 {wanted:?} 的设置：`rixin config show` 列出全部设置"),
        )
    })?;
    Ok((name, value.to_owned()))
}

/// A model's id from the command line.
///
/// # Errors
/// [`Code::InvalidValue`] that names the rule.
pub fn model_id(text: &str) -> Result<ModelId, Fault> {
    text.parse().map_err(|error: IdError| {
        Fault::new(
            Code::InvalidValue,
            format!("{error}"),
            format!("{text:?} 不是有效的模型编号：须为 1 到 96 个 a-z、0-9、'.'、'_'、'-'，以字母或数字开头，且不含 '..'"),
        )
    })
}
