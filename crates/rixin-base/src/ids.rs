//! Typed ids: one type a resource, so that a key's id can't be passed where a conversation's is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}: {why}")]
pub struct IdError {
    /// What was expected, with an article.
    pub what: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl IdError {
    fn new(what: &'static str, text: &str, why: &'static str) -> Self {
        Self { what, text: text.chars().take(80).collect(), why }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id; ids sort by the time they were made (UUID version 7).
            #[allow(clippy::new_without_default, reason = "a new id is not a default")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let rest = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or_else(|| IdError::new($what, text, concat!("it starts with ", $prefix, "_")))?;
                if rest.len() != 32 {
                    return Err(IdError::new($what, text, "32 hexadecimal digits follow its prefix"));
                }
                uuid::Uuid::try_parse(rest)
                    .map(Self)
                    .map_err(|_| IdError::new($what, text, "32 hexadecimal digits follow its prefix"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id!(/** A tenant: the owner of keys, conversations and usage. */ TenantId, "ten", "a tenant id");
uuid_id!(/** An API key; not its secret. */ KeyId, "key", "a key id");
uuid_id!(/** A running replica of a model. */ ReplicaId, "rep", "a replica id");
uuid_id!(/** An external engine that an administrator has added. */ ExternalId, "ext", "an external engine id");
uuid_id!(/** A stored conversation. */ ConversationId, "conv", "a conversation id");
uuid_id!(/** A message of a stored conversation. */ MessageId, "msg", "a message id");
uuid_id!(/** A download of a model. */ PullId, "pull", "a pull id");
uuid_id!(/** One request to the gateway. */ RequestId, "req", "a request id");

/// A model's name in the registry: 1 to 96 characters of `a-z`, `0-9`, `.`, `_`, `-`, starting with a letter or digit, without `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ModelId(String);

impl ModelId {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 96;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ModelId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = |why| Err(IdError::new("a model id", text, why));
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return bad("it has 1 to 96 characters");
        }
        if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b)) {
            return bad("it is made of a-z, 0-9, '.', '_' and '-'");
        }
        if !text.as_bytes()[0].is_ascii_alphanumeric() || text.contains("..") {
            return bad("it starts with a letter or digit and has no '..'");
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for ModelId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_do_not_mix() {
        let id = KeyId::new();
        assert_eq!(id.to_string().parse::<KeyId>(), Ok(id));
        assert!(id.to_string().parse::<TenantId>().is_err());
        assert!("key_123".parse::<KeyId>().is_err());
    }

    #[test]
    fn model_ids_stay_inside_a_folder() {
        assert!("qwen3-0.6b_q8".parse::<ModelId>().is_ok());
        for bad in ["", "../x", "a/b", "A", "-a", "a..b", ".a", "模型", &"a".repeat(97)] {
            assert!(bad.parse::<ModelId>().is_err(), "{bad}");
        }
    }
}
