//! Who this instance is to those who check its files: the settings' keys, anchors and privacy.

use std::path::{Path, PathBuf};

use rixin_base::{Code, Fault, Settings};
use rixin_provenance::{
    Authority, AuthorityOptions, FileKeys, Limits, Privacy, Signer, SignerOptions, TenantPrivacy, Trust,
    Verifier,
};

/// The largest file of anchors.
const MAX_ANCHORS: u64 = 4 << 20;

/// Keys, anchors and privacy, as the settings say.
#[derive(Clone, Debug)]
pub struct Instance {
    dir: PathBuf,
    options: SignerOptions,
    keys: Option<(PathBuf, PathBuf)>,
    offline: bool,
}

impl Instance {
    /// Reads the settings; makes nothing and reads no key.
    ///
    /// # Errors
    /// A word that means nothing, a chain without its key, a file of anchors that can't be read.
    pub fn of(settings: &Settings) -> Result<Self, Fault> {
        let (chain, key) = (&settings.provenance_chain, &settings.provenance_key);
        let keys = match (chain.is_empty(), key.is_empty()) {
            (true, true) => None,
            (false, false) => Some((PathBuf::from(chain), PathBuf::from(key))),
            _ => {
                return Err(bad(
                    "provenance_chain and provenance_key belong together: set both, or neither",
                    "provenance_chain 与 provenance_key 须同时设置或同时留空",
                ));
            }
        };
        let tenant = match settings.provenance_tenant.as_str() {
            "omit" => TenantPrivacy::Omit,
            "pseudonym" => TenantPrivacy::Pseudonym,
            "plain" => TenantPrivacy::Plain,
            other => {
                return Err(bad(
                    &format!("provenance_tenant is {other:?}: it has to be omit, pseudonym or plain"),
                    &format!("provenance_tenant 的值为 {other:?}：应为 omit、pseudonym 或 plain"),
                ));
            }
        };
        let anchors_pem = match settings.provenance_anchors.as_str() {
            "" => String::new(),
            path => read_anchors(Path::new(path))?,
        };
        let stamps = &settings.provenance_time_stamps;
        let options = SignerOptions {
            authority: AuthorityOptions {
                organisation: settings.provenance_organisation.clone(),
                ..AuthorityOptions::default()
            },
            producer: settings.provenance_producer.clone(),
            privacy: Privacy { tenant, prompt: settings.provenance_prompt },
            time_stamp_url: (!stamps.is_empty()).then(|| stamps.clone()),
            anchors_pem,
            ..SignerOptions::default()
        };
        Ok(Self { dir: settings.data_dir.join("provenance"), options, keys, offline: settings.offline })
    }

    /// What of a lineage may leave.
    pub fn privacy(&self) -> Privacy {
        self.options.privacy
    }

    /// What signs; the instance's own authority is made at its first use.
    ///
    /// # Errors
    /// A key that others can read, certificates that can't be used, time stamps without connections.
    pub fn signer(&self) -> Result<Signer, Fault> {
        if self.offline && self.options.time_stamp_url.is_some() {
            return Err(bad(
                "provenance_time_stamps needs a connection, and offline forbids every one: unset one of the two",
                "provenance_time_stamps 需要对外连接，而 offline 禁止一切对外连接：请取消其中之一",
            ));
        }
        let signer = match &self.keys {
            None => Signer::open(&self.dir, self.options.clone())?,
            Some((chain, key)) => {
                let keys = FileKeys::open(chain, key)?;
                Signer::with_keys(&self.dir, Box::new(keys), self.options.clone())?
            }
        };
        Ok(signer)
    }

    /// What checks files. It makes no authority: an instance that has signed nothing believes the anchors alone.
    ///
    /// # Errors
    /// Anchors that are no certificates.
    pub fn verifier(&self, limits: Limits) -> Result<Verifier, Fault> {
        let producer = &self.options.producer;
        let more = &self.options.anchors_pem;
        let mut trust = if Authority::exists(&self.dir) {
            let authority = Authority::open(&self.dir, self.options.authority.clone())?;
            Trust::of(&authority, producer, more)?
        } else {
            Trust { anchors_pem: more.clone(), producer: producer.clone(), ..Trust::default() }
        };
        if let Some((chain, _)) = &self.keys {
            trust.own_serials.extend(FileKeys::serial_of(chain)?);
        }
        Ok(Verifier::new(trust, limits)?)
    }
}

fn bad(en: &str, zh: &str) -> Fault {
    Fault::new(Code::BadSetting, en, zh)
}

fn read_anchors(path: &Path) -> Result<String, Fault> {
    let shown = path.display();
    let unreadable = |why: String| {
        bad(
            &format!("provenance_anchors: {shown} can't be read ({why}): name a file of PEM certificates"),
            &format!("provenance_anchors：无法读取 {shown}（{why}）：请指定 PEM 证书文件"),
        )
    };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > MAX_ANCHORS {
        return Err(unreadable("it is over 4 MiB".into()));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}
