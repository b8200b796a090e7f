//! What slurmrestd's data parsers write, read leniently enough for all of them: v0.0.38 gives numbers and words where later ones
//! give objects and lists. Fields that are not needed are skipped unread.

mod account;
mod job;
mod node;
mod submit;

pub(crate) use account::{
    AccountsReply, AssociationsReply, ClustersReply, UsersReply, account_request, association_request,
    joint_account_request, joint_association_request, user_request,
};
pub(crate) use job::{AccountedReply, JobsReply};
pub(crate) use node::{NodesReply, PingReply};
pub(crate) use submit::{SubmitReply, submit_request};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An error in an answer's list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireError {
    error_number: Number,
    error_code: Number,
    error: Option<String>,
    description: Option<String>,
}

impl WireError {
    /// Slurm's number; -1 is its "unspecified", 0 none given.
    pub fn number(&self) -> i64 {
        self.error_number.0.or(self.error_code.0).unwrap_or(0)
    }

    pub fn text(&self) -> String {
        let parts: Vec<&str> = [&self.error, &self.description]
            .into_iter()
            .flatten()
            .map(|t| t.trim())
            .filter(|t| !t.is_empty())
            .collect();
        let text = if parts.is_empty() { "no reason given".to_owned() } else { parts.join(": ") };
        text.chars().take(400).collect()
    }
}

/// An answer that has a list of errors.
pub(crate) trait Reply: for<'de> Deserialize<'de> {
    fn errors(&self) -> &[WireError];
}

/// An answer of which only the errors matter.
#[derive(Deserialize)]
pub(crate) struct PlainReply {
    #[serde(default, deserialize_with = "nullable")]
    errors: Vec<WireError>,
}

impl Reply for PlainReply {
    fn errors(&self) -> &[WireError] {
        &self.errors
    }
}

/// An absent value and `null` are the default.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// A whole number: `7`, `"7"`, `{"set": true, "infinite": false, "number": 7}`; none for null, unset, infinite and Slurm's
/// markers of these (`NO_VAL`, `INFINITE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub Option<i64>);

impl Number {
    pub fn of(value: &Value) -> Self {
        let number = match value {
            Value::Object(fields) => {
                let flag = |name: &str| fields.get(name).and_then(Value::as_bool);
                if flag("set") == Some(false) || flag("infinite") == Some(true) {
                    return Self(None);
                }
                return fields.get("number").map_or(Self(None), |inner| {
                    if inner.is_object() { Self(None) } else { Self::of(inner) }
                });
            }
            Value::String(text) => text.trim().parse().ok(),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "checked against the range of what Slurm counts"
            )]
            Value::Number(number) => number
                .as_i64()
                .or_else(|| number.as_f64().filter(|f| f.is_finite() && f.abs() < 9e15).map(|f| f as i64)),
            _ => None,
        };
        const NO_VAL: i64 = 0xffff_fffe;
        const INFINITE: i64 = 0xffff_ffff;
        Self(number.filter(|n| *n != NO_VAL && *n != INFINITE))
    }

    pub fn u64(self) -> u64 {
        self.0.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
    }

    pub fn u32(self) -> u32 {
        self.0.map_or(0, |n| u32::try_from(n.max(0)).unwrap_or(u32::MAX))
    }

    /// Seconds since 1970, where 0 means never.
    pub fn time(self) -> Option<u64> {
        Some(self.u64()).filter(|t| *t > 0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Value::deserialize(d)?))
    }
}

/// One word, a comma-separated text, or a list of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub Vec<String>);

impl Words {
    pub fn of(value: &Value) -> Self {
        const MOST: usize = 1000;
        let split = |text: &str| -> Vec<String> {
            text.split([',', '+'])
                .map(str::trim)
                .filter(|w| !w.is_empty())
                .take(MOST)
                .map(str::to_owned)
                .collect()
        };
        Self(match value {
            Value::String(text) => split(text),
            Value::Array(items) => {
                items.iter().filter_map(Value::as_str).take(MOST).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        })
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(Self::of(&Value::deserialize(d)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any JSON, to four levels.
    pub(super) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "(RUNNING|gpu:2\\(IDX:0-1\\)|[0-9]{1,20})".prop_map(Value::from),
        ];
        let key = "(set|number|infinite|jobs|nodes|state|current|exit_code|return_code|signal|id|job_id|gres|gres_detail|time|start|errors|name|[a-z]{1,5})";
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..8).prop_map(Value::from_iter),
            ]
        })
    }

    #[test]
    fn numbers_of_every_parser() {
        assert_eq!(Number::of(&json!(7)).0, Some(7));
        assert_eq!(Number::of(&json!("7")).0, Some(7));
        assert_eq!(Number::of(&json!({"set": true, "infinite": false, "number": 7})).0, Some(7));
        assert_eq!(Number::of(&json!({"set": false, "infinite": false, "number": 0})).0, None);
        assert_eq!(Number::of(&json!({"set": true, "infinite": true, "number": 0})).0, None);
        assert_eq!(Number::of(&json!(null)).0, None);
        assert_eq!(Number::of(&json!(4_294_967_294_u32)).0, None);
    }

    #[test]
    fn words_of_every_parser() {
        assert_eq!(Words::of(&json!("RUNNING")).0, ["RUNNING"]);
        assert_eq!(Words::of(&json!("IDLE+DRAIN")).0, ["IDLE", "DRAIN"]);
        assert_eq!(Words::of(&json!(["RUNNING", "COMPLETING"])).0, ["RUNNING", "COMPLETING"]);
        assert_eq!(Words::of(&json!(null)).0, [""; 0]);
    }

    proptest! {
        #[test]
        fn no_json_breaks_the_readers(value in any_json(), list in "(jobs|nodes|accounts|associations|users|pings|clusters)") {
            for value in [json!({ list: [value.clone()], "errors": [value.clone()] }), json!({ "jobs": value.clone() }), value] {
                let text = value.to_string();
                if let Ok(reply) = serde_json::from_str::<JobsReply>(&text) {
                    let _ = reply.into_jobs("rixin");
                }
                if let Ok(reply) = serde_json::from_str::<AccountedReply>(&text) {
                    let _ = reply.into_jobs("rixin");
                }
                if let Ok(reply) = serde_json::from_str::<NodesReply>(&text) {
                    let _ = reply.into_nodes();
                }
                if let Ok(reply) = serde_json::from_str::<SubmitReply>(&text) {
                    let _ = reply.job();
                }
                let _ = serde_json::from_str::<PingReply>(&text);
                let _ = serde_json::from_str::<AccountsReply>(&text);
                let _ = serde_json::from_str::<AssociationsReply>(&text);
            }
        }

        #[test]
        fn no_bytes_break_the_readers(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<JobsReply>(&bytes);
            let _ = serde_json::from_slice::<NodesReply>(&bytes);
            let _ = serde_json::from_slice::<PlainReply>(&bytes);
        }
    }
}
