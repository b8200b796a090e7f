//! The implicit label of GB 45438-2025: seven elements, one line of JSON.
//!
//! Source: GB 45438-2025, appendix E, as public descriptions of it give it; docs/provenance.md says what of it is confirmed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, Result};

/// Whether content is made by a machine: element `Label`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum AigcMark {
    /// It is.
    #[serde(rename = "1")]
    Generated,
    /// It may be: a distributor found no label, and the user said so.
    #[serde(rename = "2")]
    Possibly,
    /// It is suspected to be: a distributor found traces.
    #[serde(rename = "3")]
    Suspected,
}

/// The elements, in the standard's order and spelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AigcLabel {
    /// Whether it is made by a machine.
    #[serde(rename = "Label")]
    pub label: AigcMark,
    /// Who made it: a name or a code.
    #[serde(rename = "ContentProducer")]
    pub content_producer: String,
    /// The producer's number for it.
    #[serde(rename = "ProduceID")]
    pub produce_id: String,
    /// For the producer's own protection of the label.
    #[serde(rename = "ReservedCode1", default)]
    pub reserved_code1: String,
    /// Who spreads it: a name or a code.
    #[serde(rename = "ContentPropagator", default)]
    pub content_propagator: String,
    /// The spreader's number for it.
    #[serde(rename = "PropagateID", default)]
    pub propagate_id: String,
    /// For the spreader's own protection of the label.
    #[serde(rename = "ReservedCode2", default)]
    pub reserved_code2: String,
}

/// The longest element: far above codes (27 characters) and ids.
const LONGEST: usize = 512;

impl AigcLabel {
    /// The label of a file that nobody spread yet: its spreader is its producer (appendix E, note 1).
    pub fn first(label: AigcMark, producer: &str, id: &str) -> Result<Self> {
        Self::check_value("ContentProducer", producer)?;
        Self::check_value("ProduceID", id)?;
        Ok(Self {
            label,
            content_producer: producer.to_owned(),
            produce_id: id.to_owned(),
            reserved_code1: String::new(),
            content_propagator: producer.to_owned(),
            propagate_id: id.to_owned(),
            reserved_code2: String::new(),
        })
    }

    /// The characters that appendix E allows: 0x21, 0x23 to 0x5B, 0x5D to 0x7E.
    pub(crate) fn check_value(field: &'static str, value: &str) -> Result<()> {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if value.is_empty() || value.len() > LONGEST || !value.bytes().all(allowed) {
            return Err(Error::BadLabel {
                field,
                value: value.chars().take(80).collect(),
                why_en: "GB 45438-2025 wants 1 to 512 visible ASCII characters without quotes and backslashes: use the organisation's code instead of a name in Chinese".to_owned(),
                why_zh: "GB 45438-2025 要求 1 至 512 个可见 ASCII 字符，不含引号和反斜杠：请使用服务提供者编码，而不是中文名称".to_owned(),
            });
        }
        Ok(())
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the seven elements, bare or under the key `AIGC` (in any case), as different writers have them.
    pub fn from_json(text: &str) -> Option<Self> {
        if text.len() > 64 << 10 {
            return None;
        }
        let value: serde_json::Value = serde_json::from_str(text.trim()).ok()?;
        let object = value.as_object()?;
        let inside = object.iter().find(|(key, _)| key.eq_ignore_ascii_case("aigc")).map(|(_, v)| v);
        let mut value = inside.unwrap_or(&value).clone();
        // Some writers put the mark as a number.
        if let Some(number) = value.get("Label").and_then(serde_json::Value::as_u64) {
            value["Label"] = number.to_string().into();
        }
        serde_json::from_value(value).ok()
    }
}
