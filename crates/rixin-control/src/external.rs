//! External engines: kept in the store, checked again and again, their models found by name.
//!
//! An engine's models are asked for by their own names. Where an installed model has the same name, the engine's one is asked for as
//! `engine/model`; that form always works. Two engines with a model of the same name are two replicas of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use rixin_base::{ExternalId, Fault, Message, Settings};
use rixin_store::{External, NewExternal, Store};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Error, ExternalState, ExternalStatus, Options, Result,
    endpoint::{Remote, good_name, is_this_machine, parse_base},
    lease::Hold,
    plan::{Candidate, Routes},
};

/// The most engines, and the most names that one of them is given.
const ENGINES_MOST: usize = 1000;
const NAMES_MOST: usize = 1000;
/// The longest pause between checks of an engine that is down.
const PAUSE_MOST: Duration = Duration::from_secs(60);
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// An engine to add.
#[derive(Clone, Default)]
pub struct NewEngine {
    /// Its unique name, without `/`.
    pub name: String,
    /// The address before `/chat/completions`; without a path, `/v1` is meant.
    pub base_url: String,
    /// The key that it asks for.
    pub api_key: Option<String>,
    /// The models to offer, each as `name` or `alias=name`; empty: all that it lists.
    pub models: Vec<String>,
}

impl std::fmt::Debug for NewEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEngine")
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// An engine that was chosen for a request.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub id: ExternalId,
    pub remote: Arc<Remote>,
    /// The name of the model there.
    pub upstream: Arc<str>,
    pub hold: Hold,
}

struct Engine {
    row: External,
    /// Alias and name there; empty: as the engine lists them.
    names: Vec<(Arc<str>, Arc<str>)>,
    remote: Arc<Remote>,
    active: AtomicU32,
    last_used: AtomicU64,
    _checker: Option<AbortOnDropHandle<()>>,
}

/// All external engines.
pub(crate) struct Externals {
    store: Store,
    offline: bool,
    request_timeout: Duration,
    check_every: Duration,
    check_timeout: Duration,
    engines: RwLock<BTreeMap<ExternalId, Arc<Engine>>>,
    routes: Mutex<Routes<ExternalId>>,
    clock: AtomicU64,
}

impl Externals {
    /// Reads the engines from the store and begins to check them.
    pub async fn open(store: Store, settings: &Settings, options: &Options) -> Result<Self> {
        let this = Self {
            store,
            offline: settings.offline,
            request_timeout: settings.request_timeout,
            check_every: options.check_every,
            check_timeout: options.check_timeout,
            engines: RwLock::default(),
            routes: Mutex::default(),
            clock: AtomicU64::new(0),
        };
        for row in this.store.externals().await.map_err(Error::other)? {
            match this.engine(row.clone()) {
                Ok(engine) => drop(this.engines.write().insert(row.id, Arc::new(engine))),
                Err(error) => {
                    tracing::error!(engine = %row.name, %error, "a stored external engine is left out")
                }
            }
        }
        Ok(this)
    }

    /// Adds an engine, and waits for its first check: its outcome is in the status, and is no reason to refuse it.
    pub async fn add(&self, new: NewEngine) -> Result<ExternalStatus> {
        let base = parse_base(&new.base_url)?;
        if self.offline && !is_this_machine(&base) {
            return Err(Error::Offline { url: base.to_string() });
        }
        let name = new.name.trim();
        if name.is_empty()
            || name.len() > 64
            || name.chars().any(|c| c == '/' || c.is_whitespace() || c.is_control())
        {
            return Err(Error::Invalid {
                param: "name",
                why: Message::new(
                    "it has 1 to 64 bytes, without '/' and spaces",
                    "长度为 1 到 64 字节，不含“/”和空格",
                ),
            });
        }
        parse_names(&new.models)?;
        if self.engines.read().len() >= ENGINES_MOST {
            return Err(Error::Invalid {
                param: "name",
                why: Message::new(
                    format!("there are {ENGINES_MOST} engines already"),
                    format!("外部引擎已达上限 {ENGINES_MOST} 个"),
                ),
            });
        }
        // what the key may look like is checked before it is stored
        Remote::new(name, base.as_str(), new.api_key.as_deref(), self.request_timeout)?;
        let row = NewExternal {
            name: name.to_owned(),
            base_url: base.to_string(),
            api_key: new.api_key,
            models: new.models,
        };
        let row = self.store.add_external(row).await.map_err(Error::other)?;
        let id = row.id;
        let engine = Arc::new(self.engine(row)?);
        self.engines.write().insert(id, engine.clone());
        self.first_check(&engine).await;
        Ok(engine.status())
    }

    /// Forgets an engine. Requests that it is answering go on.
    pub async fn remove(&self, id: ExternalId) -> Result<()> {
        self.store.remove_external(id).await.map_err(Error::other)?;
        self.engines.write().remove(&id);
        self.routes.lock().forget(id);
        Ok(())
    }

    /// All engines, oldest first.
    pub fn list(&self) -> Vec<ExternalStatus> {
        self.engines.read().values().map(|engine| engine.status()).collect()
    }

    /// The names that can be asked for, each with its engine's name and the time when that was added, in milliseconds since 1970.
    /// Names that `installed` has are given in their long form.
    pub fn names(&self, installed: impl Fn(&str) -> bool) -> Vec<(String, String, i64)> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        for engine in self.engines.read().values() {
            for (alias, _) in engine.offers() {
                let name = if installed(&alias) {
                    format!("{}/{alias}", engine.row.name)
                } else {
                    alias.to_string()
                };
                if seen.insert(name.clone()) {
                    all.push((name, engine.row.name.clone(), engine.row.created_at));
                }
            }
        }
        all
    }

    /// The engine that answers for a name, and its count; `None` where no engine has such a model.
    pub async fn choose(&self, name: &str, affinity: Option<u64>) -> Result<Option<Chosen>> {
        let mut offering = self.offering(name);
        if offering.is_empty() {
            // an engine that was never checked may have it
            let unknown: Vec<Arc<Engine>> =
                self.engines.read().values().filter(|e| e.unchecked()).cloned().collect();
            if unknown.is_empty() {
                return Ok(None);
            }
            futures::future::join_all(unknown.iter().map(|engine| self.first_check(engine))).await;
            offering = self.offering(name);
        }
        let up: Vec<&(Arc<Engine>, Arc<str>)> =
            offering.iter().filter(|(e, _)| e.remote.health().state != ExternalState::Failed).collect();
        if up.is_empty() {
            let why = offering.iter().find_map(|(engine, _)| engine.remote.health().why);
            return why.map_or(Ok(None), Err);
        }
        let candidates: Vec<Candidate<ExternalId>> = up
            .iter()
            .map(|(engine, _)| Candidate {
                id: engine.row.id,
                active: engine.active.load(Ordering::Relaxed),
                slots: 16,
                last_used: engine.last_used.load(Ordering::Relaxed),
            })
            .collect();
        let id = self.routes.lock().choose(&candidates, affinity);
        let Some((engine, upstream)) = up.into_iter().find(|(engine, _)| Some(engine.row.id) == id) else {
            return Ok(None);
        };
        Ok(Some(Chosen {
            id: engine.row.id,
            remote: engine.remote.clone(),
            upstream: upstream.clone(),
            hold: self.hold(engine),
        }))
    }

    fn hold(&self, engine: &Arc<Engine>) -> Hold {
        engine.active.fetch_add(1, Ordering::Relaxed);
        engine.last_used.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let engine = engine.clone();
        Hold::new(move || {
            engine.active.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// The engines that have a model of this name: all with the name itself, else the one that the long form names.
    fn offering(&self, name: &str) -> Vec<(Arc<Engine>, Arc<str>)> {
        let engines = self.engines.read();
        let short: Vec<_> =
            engines.values().filter_map(|e| e.upstream(name).map(|upstream| (e.clone(), upstream))).collect();
        if !short.is_empty() {
            return short;
        }
        let Some((engine, model)) = name.split_once('/') else { return Vec::new() };
        engines
            .values()
            .filter(|e| e.row.name == engine)
            .filter_map(|e| e.upstream(model).map(|upstream| (e.clone(), upstream)))
            .collect()
    }

    async fn first_check(&self, engine: &Engine) {
        let checked = engine.remote.checked.notified();
        tokio::pin!(checked);
        checked.as_mut().enable();
        if engine.unchecked() {
            let _ = tokio::time::timeout(self.check_timeout, checked).await;
        }
    }

    fn engine(&self, row: External) -> Result<Engine> {
        let remote =
            Arc::new(Remote::new(&row.name, &row.base_url, row.api_key.as_deref(), self.request_timeout)?);
        let names = parse_names(&row.models)?;
        let base = parse_base(&row.base_url)?;
        let checker = if self.offline && !is_this_machine(&base) {
            remote.failed(Error::Offline { url: base.to_string() }, rixin_store::now_ms());
            None
        } else {
            let checking = check_for_ever(remote.clone(), self.check_every, self.check_timeout);
            Some(AbortOnDropHandle::new(tokio::spawn(checking)))
        };
        Ok(Engine {
            row,
            names,
            remote,
            active: AtomicU32::new(0),
            last_used: AtomicU64::new(0),
            _checker: checker,
        })
    }
}

/// Checks at once, then in steady intervals while the engine answers, with growing pauses while it does not, and soon after a request
/// found it in trouble.
pub(crate) async fn check_for_ever(remote: Arc<Remote>, every: Duration, timeout: Duration) {
    let mut pause = PAUSE_FIRST.min(every);
    loop {
        remote.check(timeout).await;
        let ok = remote.health().state == ExternalState::Ok;
        let wait = if ok { every } else { pause };
        pause = if ok { PAUSE_FIRST.min(every) } else { (pause * 2).min(PAUSE_MOST) };
        // a burst of failing requests asks for one check, not for many
        let _ = tokio::time::timeout(wait, remote.troubled.notified()).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Engine {
    fn unchecked(&self) -> bool {
        self.remote.health().state == ExternalState::Checking
    }

    fn offers(&self) -> Vec<(Arc<str>, Arc<str>)> {
        if !self.names.is_empty() {
            return self.names.clone();
        }
        self.remote.health().listed.iter().map(|name| (name.clone(), name.clone())).collect()
    }

    fn upstream(&self, alias: &str) -> Option<Arc<str>> {
        if self.names.is_empty() {
            return self.remote.health().listed.iter().find(|name| ***name == *alias).cloned();
        }
        self.names.iter().find(|(name, _)| **name == *alias).map(|(_, upstream)| upstream.clone())
    }

    fn status(&self) -> ExternalStatus {
        let health = self.remote.health();
        ExternalStatus {
            id: self.row.id,
            name: self.row.name.clone(),
            base_url: self.row.base_url.clone(),
            has_key: self.row.api_key.is_some(),
            state: health.state,
            error: health.why.map(Fault::from),
            checked_at_ms: health.checked_at_ms,
            models: self.offers().into_iter().map(|(alias, _)| alias.to_string()).collect(),
            created_at_ms: self.row.created_at,
            active: self.active.load(Ordering::Relaxed),
        }
    }
}

/// Reads `name` and `alias=name`.
fn parse_names(models: &[String]) -> Result<Vec<(Arc<str>, Arc<str>)>> {
    let bad = |entry: &str| Error::Invalid {
        param: "models",
        why: Message::new(
            format!(
                "{:?} is neither a model's name nor alias=name",
                entry.chars().take(80).collect::<String>()
            ),
            format!("{:?} 既不是模型名，也不是 别名=模型名", entry.chars().take(80).collect::<String>()),
        ),
    };
    if models.len() > NAMES_MOST {
        return Err(Error::Invalid {
            param: "models",
            why: Message::new(format!("at most {NAMES_MOST} are taken"), format!("最多 {NAMES_MOST} 个")),
        });
    }
    let mut seen = BTreeSet::new();
    models
        .iter()
        .map(|entry| {
            let (alias, name) = entry.split_once('=').unwrap_or((entry, entry));
            let (alias, name) = (alias.trim(), name.trim());
            if !good_name(alias) || !good_name(name) || !seen.insert(alias.to_owned()) {
                return Err(bad(entry));
            }
            Ok((Arc::from(alias), Arc::from(name)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases() {
        let names = parse_names(&["a".into(), "fast = Qwen/Qwen3-8B".into()]).expect("both good");
        assert_eq!(names[0], ("a".into(), "a".into()));
        assert_eq!(names[1], ("fast".into(), "Qwen/Qwen3-8B".into()));
        for bad in [vec![""], vec!["=x"], vec!["x="], vec!["a", "a=b"], vec!["a\nb"]] {
            let bad: Vec<String> = bad.into_iter().map(String::from).collect();
            assert!(parse_names(&bad).is_err(), "{bad:?}");
        }
    }
}
