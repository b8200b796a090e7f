//! What can be asked of the list of models, and the cursor of its pages.

use std::str::FromStr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, Manifest, ModelKind, Origin, Result};

/// A question to the list. The default asks for the first page of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelQuery {
    /// Words that all have to occur, as parts of words too: in id, name, architecture, quantisation, tags, languages, base model or description.
    pub text: Option<String>,
    /// Only this kind.
    pub kind: Option<ModelKind>,
    /// Only this origin.
    pub origin: Option<Origin>,
    /// Models on a page, 1 to [`ModelQuery::MAX_LIMIT`]; 0 means [`ModelQuery::DEFAULT_LIMIT`].
    pub limit: u32,
    /// The `next` of the page before.
    pub after: Option<String>,
}

impl ModelQuery {
    /// Models on a page where nothing is said.
    pub const DEFAULT_LIMIT: u32 = 50;
    /// Most models on a page.
    pub const MAX_LIMIT: u32 = 500;

    pub(super) fn page_size(&self) -> usize {
        match self.limit {
            0 => Self::DEFAULT_LIMIT as usize,
            limit => limit.min(Self::MAX_LIMIT) as usize,
        }
    }
}

/// A page of the list, best matches first, then by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page {
    /// The models.
    pub data: Vec<Manifest>,
    /// What to pass as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Models on all pages.
    pub total: u64,
}

/// A place in the list: how well the text matched (0 is best), then the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    pub rank: u8,
    pub id: String,
}

impl Cursor {
    pub fn text(&self) -> String {
        format!("{}~{}", self.rank, self.id)
    }
}

impl FromStr for Cursor {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::BadCursor { cursor: text.chars().take(80).collect() };
        let (rank, id) = text.split_once('~').ok_or_else(bad)?;
        let rank = rank.parse().map_err(|_| bad())?;
        if id.is_empty() || id.len() > rixin_base::ModelId::MAX_LEN {
            return Err(bad());
        }
        Ok(Self { rank, id: id.to_owned() })
    }
}
