//! Licences: SPDX ids from a short list, or named terms with an address, and what each asks of whoever uses the model.

use rixin_base::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a licence asks for, in the coarse classes that a person wants to know before a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// Any use; keep the notice.
    Permissive,
    /// Any use; what is derived is passed on under the same licence.
    Copyleft,
    /// No commercial use.
    NonCommercial,
    /// Terms of the maker's own: read them.
    Custom,
    /// Nobody said.
    Unknown,
}

impl Terms {
    /// One sentence for a person.
    pub fn summary(self) -> Message {
        let (en, zh) = match self {
            Terms::Permissive => (
                "Any use, also commercial; keep the copyright notice.",
                "可用于任何用途，包括商用；须保留版权声明。",
            ),
            Terms::Copyleft => (
                "Any use, also commercial; works derived from it are passed on under the same licence.",
                "可用于任何用途，包括商用；衍生作品须以相同许可发布。",
            ),
            Terms::NonCommercial => ("No commercial use.", "禁止商用。"),
            Terms::Custom => (
                "The maker's own terms: they may restrict uses, users or regions. Read them before you accept.",
                "发布方自定条款：可能限制用途、用户或地区，接受前请阅读全文。",
            ),
            Terms::Unknown => (
                "No licence is named: ask the maker before you use it.",
                "未注明许可：使用前请先向发布方确认。",
            ),
        };
        Message::new(en, zh)
    }
}

/// SPDX ids that model makers use, with their class.
const SPDX: &[(&str, Terms)] = &[
    ("0BSD", Terms::Permissive),
    ("AFL-3.0", Terms::Permissive),
    ("AGPL-3.0-only", Terms::Copyleft),
    ("AGPL-3.0-or-later", Terms::Copyleft),
    ("Apache-2.0", Terms::Permissive),
    ("Artistic-2.0", Terms::Permissive),
    ("BSD-2-Clause", Terms::Permissive),
    ("BSD-3-Clause", Terms::Permissive),
    ("BSL-1.0", Terms::Permissive),
    ("CC-BY-3.0", Terms::Permissive),
    ("CC-BY-4.0", Terms::Permissive),
    ("CC-BY-NC-2.0", Terms::NonCommercial),
    ("CC-BY-NC-3.0", Terms::NonCommercial),
    ("CC-BY-NC-4.0", Terms::NonCommercial),
    ("CC-BY-NC-ND-4.0", Terms::NonCommercial),
    ("CC-BY-NC-SA-4.0", Terms::NonCommercial),
    ("CC-BY-ND-4.0", Terms::Custom),
    ("CC-BY-SA-3.0", Terms::Copyleft),
    ("CC-BY-SA-4.0", Terms::Copyleft),
    ("CC0-1.0", Terms::Permissive),
    ("ECL-2.0", Terms::Permissive),
    ("EUPL-1.2", Terms::Copyleft),
    ("GPL-2.0-only", Terms::Copyleft),
    ("GPL-2.0-or-later", Terms::Copyleft),
    ("GPL-3.0-only", Terms::Copyleft),
    ("GPL-3.0-or-later", Terms::Copyleft),
    ("ISC", Terms::Permissive),
    ("LGPL-2.1-only", Terms::Copyleft),
    ("LGPL-3.0-only", Terms::Copyleft),
    ("LGPL-3.0-or-later", Terms::Copyleft),
    ("MIT", Terms::Permissive),
    ("MIT-0", Terms::Permissive),
    ("MPL-2.0", Terms::Copyleft),
    ("MulanPSL-2.0", Terms::Permissive),
    ("NCSA", Terms::Permissive),
    ("ODC-By-1.0", Terms::Permissive),
    ("PostgreSQL", Terms::Permissive),
    ("Unlicense", Terms::Permissive),
    ("WTFPL", Terms::Permissive),
    ("Zlib", Terms::Permissive),
];

/// Names that hubs and file headers use for named terms: the word, the full name, the address.
const NAMED: &[(&str, &str, &str)] = &[
    ("gemma", "Gemma Terms of Use", "https://ai.google.dev/gemma/terms"),
    ("llama2", "Llama 2 Community License", "https://ai.meta.com/llama/license/"),
    ("llama3", "Llama 3 Community License", "https://www.llama.com/llama3/license/"),
    ("llama3.1", "Llama 3.1 Community License", "https://www.llama.com/llama3_1/license/"),
    ("llama3.2", "Llama 3.2 Community License", "https://www.llama.com/llama3_2/license/"),
    ("llama3.3", "Llama 3.3 Community License", "https://www.llama.com/llama3_3/license/"),
    ("llama4", "Llama 4 Community License", "https://www.llama.com/llama4/license/"),
    (
        "creativeml-openrail-m",
        "CreativeML Open RAIL-M",
        "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
    ),
    (
        "openrail++",
        "CreativeML Open RAIL++-M",
        "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
    ),
    (
        "bigscience-bloom-rail-1.0",
        "BigScience BLOOM RAIL 1.0",
        "https://huggingface.co/spaces/bigscience/license",
    ),
    ("qwen", "Tongyi Qianwen License", "https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE"),
    (
        "qwen-research",
        "Qwen Research License",
        "https://huggingface.co/Qwen/Qwen2.5-3B-Instruct/blob/main/LICENSE",
    ),
];

/// A licence: an SPDX id or named terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Raw")]
pub struct Licence {
    /// The SPDX id, where it is a standard licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spdx: Option<String>,
    /// The name for a person.
    pub name: String,
    /// Where the text stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    spdx: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

impl TryFrom<Raw> for Licence {
    type Error = String;
    fn try_from(raw: Raw) -> Result<Self, String> {
        let spdx = match raw.spdx {
            Some(id)
                if id.is_empty()
                    || id.len() > 64
                    || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) =>
            {
                return Err(format!("{:?} is no SPDX licence id", id.chars().take(80).collect::<String>()));
            }
            other => other,
        };
        let name = raw.name.or_else(|| spdx.clone()).ok_or("a licence has an SPDX id or a name")?;
        if name.trim().is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            return Err("a licence's name has 1 to 200 bytes on one line".into());
        }
        if let Some(url) = &raw.url
            && (url.len() > 500
                || !(url.starts_with("https://") || url.starts_with("http://"))
                || url.chars().any(|c| c.is_control() || c == ' '))
        {
            return Err("a licence's address is an http(s) URL of at most 500 bytes".into());
        }
        Ok(Self { spdx, name, url: raw.url })
    }
}

impl Licence {
    /// The licence of an SPDX id in any case; deprecated forms such as `GPL-3.0` become `GPL-3.0-only`. `None` for an id that is not in the list.
    pub fn spdx(id: &str) -> Option<Self> {
        let id = id.trim();
        let only = format!("{id}-only");
        let (id, _) = SPDX
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(id) || known.eq_ignore_ascii_case(&only))?;
        Some(Self {
            spdx: Some((*id).to_owned()),
            name: (*id).to_owned(),
            url: Some(format!("https://spdx.org/licenses/{id}.html")),
        })
    }

    /// Named terms. The name is cut to 200 bytes, an address that is not http(s) is left out.
    pub fn named(name: &str, url: Option<&str>) -> Self {
        let clean: String = name.chars().filter(|c| !c.is_control()).collect();
        let mut name = clean.trim().to_owned();
        while name.len() > 200 {
            name.pop();
        }
        if name.is_empty() {
            return Self::unknown();
        }
        let url = url.map(str::to_owned);
        let checked = Self::try_from(Raw { spdx: None, name: Some(name.clone()), url });
        checked.unwrap_or(Self { spdx: None, name, url: None })
    }

    /// What a hub's tag or a file's header says: an SPDX id in any case, a known word such as `gemma` or `llama3.1`, else a name of its own.
    pub fn from_tag(tag: &str, url: Option<&str>) -> Self {
        let tag = tag.trim();
        if let Some(licence) = Self::spdx(tag) {
            return licence;
        }
        let word = tag.to_ascii_lowercase();
        if let Some((_, name, address)) = NAMED.iter().find(|(known, ..)| *known == word) {
            return Self::named(name, Some(url.unwrap_or(address)));
        }
        match word.as_str() {
            "" | "unknown" | "other" => match url {
                Some(_) => Self::named("the maker's own terms", url),
                None => Self::unknown(),
            },
            _ => Self::named(tag, url),
        }
    }

    /// Nobody said.
    pub fn unknown() -> Self {
        Self { spdx: None, name: "unknown".into(), url: None }
    }

    /// Whether a licence is named at all.
    pub fn is_known(&self) -> bool {
        self.spdx.is_some() || self.name != "unknown"
    }

    /// The coarse class.
    pub fn terms(&self) -> Terms {
        match &self.spdx {
            Some(id) => SPDX.iter().find(|(known, _)| known == id).map_or(Terms::Custom, |(_, terms)| *terms),
            None if self.is_known() => Terms::Custom,
            None => Terms::Unknown,
        }
    }

    /// Whether its conditions go beyond keeping a notice, so that somebody has to agree to them before the model is used.
    pub fn needs_acceptance(&self) -> bool {
        self.terms() != Terms::Permissive
    }

    /// Name, address and class in both languages, on one or two lines.
    pub fn text(&self) -> Message {
        let summary = self.terms().summary();
        let (name_en, name_zh) = if self.is_known() {
            (self.name.as_str(), self.name.as_str())
        } else {
            ("unknown licence", "许可未知")
        };
        let address = self.url.as_deref().map(|url| format!(" <{url}>")).unwrap_or_default();
        Message::new(
            format!("{name_en}{address}\n{}", summary.en),
            format!("{name_zh}{address}\n{}", summary.zh),
        )
    }
}

/// That somebody accepted a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acceptance {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Who: a key's name, or the user of the command line.
    pub by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_tags() {
        assert_eq!(Licence::spdx("apache-2.0").and_then(|l| l.spdx).as_deref(), Some("Apache-2.0"));
        assert_eq!(Licence::spdx("gpl-3.0").and_then(|l| l.spdx).as_deref(), Some("GPL-3.0-only"));
        assert_eq!(Licence::spdx("Apache 2"), None);
        assert_eq!(Licence::from_tag("gemma", None).name, "Gemma Terms of Use");
        assert_eq!(Licence::from_tag("MIT", None).terms(), Terms::Permissive);
        assert_eq!(Licence::from_tag("other", None), Licence::unknown());
        assert_eq!(Licence::from_tag("glm-4", Some("https://example.org/l")).terms(), Terms::Custom);
        assert!(!Licence::from_tag("mit", None).needs_acceptance());
        assert!(Licence::from_tag("cc-by-nc-4.0", None).needs_acceptance());
        assert!(Licence::unknown().needs_acceptance());
    }

    #[test]
    fn the_list_is_sorted_and_without_doubles() {
        assert!(SPDX.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_is_read_is_checked() {
        let read = |json: &str| serde_json::from_str::<Licence>(json);
        assert_eq!(read(r#"{"spdx":"MIT"}"#).expect("valid").name, "MIT");
        for bad in [
            r#"{}"#,
            r#"{"name":""}"#,
            r#"{"name":"a\nb"}"#,
            r#"{"spdx":"a b"}"#,
            r#"{"name":"x","url":"javascript:1"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(Licence::named("x", Some("ftp://y")).url, None);
        assert_eq!(Licence::named("\n", None), Licence::unknown());
    }
}
